//! What a source hands to the pipeline: raw records, rejects, and how far it has read.

use keywatch_event::{Place, Reject};
use std::ops::Range;

/// Raw records of one or more files, in the order read, with the positions to commit with them.
#[derive(Debug, Default)]
pub struct Batch {
    /// The records' bytes, back to back; each record is a range of it.
    pub bytes: Vec<u8>,
    /// Where each record lies in [`Self::bytes`] and stands in its source.
    pub records: Vec<RawRecord>,
    /// What could not be cut or opened into records.
    pub rejects: Vec<Reject>,
    /// Documents that carry no event by design: control messages, digests, notifications.
    pub skipped: u64,
    /// Positions to commit in the same transaction.
    pub advances: Vec<Advance>,
}

/// One raw record of a [`Batch`].
#[derive(Clone, Debug)]
pub struct RawRecord {
    /// Where its bytes lie in [`Batch::bytes`].
    pub range: Range<usize>,
    /// Where it stands in its source.
    pub place: Place,
}

/// How far one source has been read, as a compare-and-set on what was committed before.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Advance {
    /// Unique name of the source: for a file, `file:` and its path.
    pub source: String,
    /// The position the store must still hold; `None` when it must hold none.
    pub from: Option<String>,
    /// The position after this batch, opaque to the store.
    pub to: String,
}

impl Batch {
    /// The bytes of one of this batch's records.
    #[must_use]
    pub fn raw(&self, record: &RawRecord) -> &[u8] {
        self.bytes.get(record.range.clone()).unwrap_or_default()
    }

    /// Appends a record.
    pub fn push(&mut self, bytes: &[u8], place: Place) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(bytes);
        self.records.push(RawRecord { range: start..self.bytes.len(), place });
    }

    /// Whether there is nothing to commit.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.records.is_empty() && self.rejects.is_empty() && self.skipped == 0 && self.advances.is_empty()
    }
}
