//! The contract of sources that are asked over the network.
//!
//! A [`Live`] source yields a batch and a receipt, and hears of the receipt once the batch is
//! committed. Until then it must be able to yield the same records again, in this process or the
//! next. It never fails: what goes wrong is told in its [`Health`](super::Health), and tried again.

use crate::Batch;
use chrono::{DateTime, Utc};
use std::future::Future;
use std::sync::Arc;

/// Tells the time, so that a source needs no clock of its own.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// A source that runs as a task.
pub trait Live: Send + 'static {
    /// What the source needs to acknowledge a batch.
    type Receipt: Send + 'static;

    /// The next batch, when there is one. Dropping the future before it is done loses nothing.
    fn next(&mut self) -> impl Future<Output = (Batch, Self::Receipt)> + Send;

    /// Hears that the batch of this receipt is committed. Batches are committed in the order they
    /// were yielded.
    fn acknowledge(&mut self, receipt: Self::Receipt) -> impl Future<Output = ()> + Send;
}

impl Batch {
    /// Adds another batch at the end of this one.
    pub fn append(&mut self, other: Self) {
        if self.is_empty() {
            *self = other;
            return;
        }
        let start = self.bytes.len();
        self.bytes.extend_from_slice(&other.bytes);
        self.records.extend(other.records.into_iter().map(|mut record| {
            record.range = record.range.start + start..record.range.end + start;
            record
        }));
        self.rejects.extend(other.rejects);
        self.skipped += other.skipped;
        self.advances.extend(other.advances);
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::Place;

    #[test]
    fn a_batch_that_was_added_to_keeps_the_bytes_of_every_record() {
        let place = |record| Place { name: "f".into(), line: 1, record };
        let (mut one, mut two) = (Batch::default(), Batch::default());
        one.push(b"first", place(1));
        two.push(b"second", place(2));
        two.push(b"", place(3));
        two.skipped = 2;
        one.append(two);
        let raw: Vec<&[u8]> = one.records.iter().map(|record| one.raw(record)).collect();
        assert_eq!(raw, [&b"first"[..], b"second", b""]);
        assert_eq!(one.skipped, 2);
    }
}
