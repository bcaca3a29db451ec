//! One object: as it is listed, and from its bytes to records.

use crate::Failure;
use crate::position::{Spot, fnv};
use chrono::NaiveDate;
use keywatch_event::{Place, Reject};
use keywatch_ingest::Batch;
use keywatch_ingest::carrier::Opener;
use keywatch_ingest::source::{self, Splitter};
use object_store::ObjectMeta;
use object_store::path::Path;

/// What gzip begins with (RFC 1952, 2.3.1).
const GZIP: &[u8] = &[0x1f, 0x8b];
/// Largest object that is read whole because it is packed, as it lies in its store. Neither Azure nor
/// Google packs; copies of their objects may be.
pub(crate) const PACKED_BYTES_MAX: u64 = 64 << 20;
/// Records and bytes of a batch: large enough that one fsync serves thousands of events.
pub(crate) const BATCH_RECORDS: usize = 4096;
pub(crate) const BATCH_BYTES: usize = 8 << 20;

/// An object as it is listed.
#[derive(Clone, Debug)]
pub(crate) struct Listed {
    pub(crate) path: Path,
    /// Its name below its folder.
    pub(crate) name: String,
    pub(crate) day: NaiveDate,
    pub(crate) size: u64,
    /// Differs when anything of it does.
    pub(crate) version: u64,
    /// Whether nothing more is written into its day.
    pub(crate) is_over: bool,
}

impl Listed {
    /// What tells one state of an object from the next: its tag, or when it was written; and its size.
    pub(crate) fn version(meta: &ObjectMeta) -> u64 {
        let tag = meta.e_tag.clone().unwrap_or_else(|| meta.last_modified.to_rfc3339());
        fnv(format!("{tag} {}", meta.size).as_bytes()).max(1)
    }
}

/// An object that is being read.
pub(crate) struct Reading {
    splitter: Splitter,
    opener: Opener,
}

impl Reading {
    /// Reads on from `spot`; `place` is what people call the object.
    pub(crate) fn from(spot: &Spot, place: String) -> Self {
        let splitter = Splitter::following(spot.bytes, spot.line());
        Self { splitter, opener: Opener::new(place.into()) }
    }

    /// Adds bytes.
    pub(crate) fn feed(&mut self, bytes: &[u8]) {
        self.splitter.feed(bytes);
    }

    /// No more bytes will come: what is left is given out as it is.
    pub(crate) const fn finish(&mut self) {
        self.splitter.finish();
    }

    /// Gives out what is whole until the batch is full; whether it is.
    pub(crate) fn give_out(&mut self, batch: &mut Batch) -> bool {
        while let Some(cut) = self.splitter.cut() {
            self.opener.open(&cut, batch);
            if is_full(batch) {
                return true;
            }
        }
        false
    }

    /// How far everything is given out.
    pub(crate) fn spot(&self) -> Spot {
        Spot::behind(self.splitter.safe(), self.splitter.before_safe())
    }
}

/// Whether a batch has the size a transaction should have.
pub(crate) fn is_full(batch: &Batch) -> bool {
    batch.records.len() + batch.rejects.len() >= BATCH_RECORDS || batch.bytes.len() >= BATCH_BYTES
}

/// Whether an object that begins with these bytes is packed.
pub(crate) fn is_packed(bytes: &[u8]) -> bool {
    bytes.starts_with(GZIP)
}

/// Expands and cuts a whole object. Damage becomes a reject behind what stands before it.
///
/// # Errors
/// When the thread that does it breaks.
pub(crate) async fn unpack(place: String, bytes: Vec<u8>) -> Result<Vec<Batch>, Failure> {
    let cut = move || {
        let mut object = match source::Object::open(&place, bytes) {
            Ok(object) => object,
            Err(error) => return vec![refused(&place, &error.to_string())],
        };
        let mut batches = Vec::new();
        while let Some(batch) = object.next_batch(BATCH_RECORDS, BATCH_BYTES) {
            batches.push(batch);
        }
        if let Some((line, reason)) = object.damage() {
            let place = Place { name: object.name(), line, record: 0 };
            let rejects = vec![Reject { place, reason, bytes: Vec::new() }];
            batches.push(Batch { rejects, ..Batch::default() });
        }
        batches
    };
    let done = tokio::task::spawn_blocking(cut).await;
    done.map_err(|error| Failure::unavailable(&format!("reading it broke: {error}")))
}

/// A format that is not read, as a reject.
fn refused(place: &str, said: &str) -> Batch {
    let place = Place { name: place.into(), line: 1, record: 0 };
    let reason = keywatch_event::RejectReason::Syntax(format!("{said} is not read"));
    Batch { rejects: vec![Reject { place, reason, bytes: Vec::new() }], ..Batch::default() }
}
