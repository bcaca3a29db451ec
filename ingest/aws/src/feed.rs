//! Pieces of what a source has read, gathered into batches of the size a transaction should have.

use keywatch_ingest::Batch;
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

/// Records and bytes of one batch: large enough that one fsync serves thousands of events.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;

/// Records on their way to the pipeline.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) batch: Batch,
    /// The message they came out of, where there is one to acknowledge.
    pub(crate) message: Option<u64>,
    /// Room in memory they take, given back when they are gathered.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// A batch of `first` and whatever waits behind it, and the messages they came out of, one per
/// piece. Waits for nothing.
pub(crate) fn gather(first: Piece, pieces: &mut Receiver<Piece>) -> (Batch, Vec<u64>) {
    let (mut batch, mut messages) = (Batch::default(), Vec::new());
    let mut next = Some(first);
    while let Some(piece) = next {
        batch.append(piece.batch);
        messages.extend(piece.message);
        drop(piece.room);
        let is_full = batch.records.len() >= BATCH_RECORDS || batch.bytes.len() >= BATCH_BYTES;
        next = if is_full { None } else { pieces.try_recv().ok() };
    }
    (batch, messages)
}
