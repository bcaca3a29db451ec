//! Pieces of what a source has read, gathered into batches of the size a transaction should have.

use keywatch_ingest::Batch;
use tokio::sync::mpsc::Receiver;

/// Records and bytes of one batch: large enough that one fsync serves thousands of events.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;

/// A batch of `first` and whatever waits behind it, and what each piece is acknowledged with. Waits
/// for nothing.
pub(crate) fn gather<T>(first: (Batch, T), pieces: &mut Receiver<(Batch, T)>) -> (Batch, Vec<T>) {
    let (mut batch, mut receipts) = (Batch::default(), Vec::new());
    let mut next = Some(first);
    while let Some((piece, receipt)) = next {
        batch.append(piece);
        receipts.push(receipt);
        let is_full = batch.records.len() >= BATCH_RECORDS || batch.bytes.len() >= BATCH_BYTES;
        next = if is_full { None } else { pieces.try_recv().ok() };
    }
    (batch, receipts)
}
