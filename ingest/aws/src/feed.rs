//! Pieces of what a source has read, gathered into batches of the size a transaction should have.

use keywatch_ingest::Batch;
use keywatch_ingest::source::{APART_SECS, Dater};
use tokio::sync::OwnedSemaphorePermit;
use tokio::sync::mpsc::Receiver;

/// Records and bytes of one batch: large enough that one fsync serves thousands of events.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;
/// Seconds over which one batch may go, so that other sources can be read between.
const APART: u64 = APART_SECS.unsigned_abs();

/// Records on their way to the pipeline.
#[derive(Debug)]
pub(crate) struct Piece {
    pub(crate) batch: Batch,
    /// The message they came out of, where there is one to acknowledge.
    pub(crate) message: Option<u64>,
    /// Room in memory they take, given back when they are gathered.
    pub(crate) room: Option<OwnedSemaphorePermit>,
}

/// Pieces as they come, and batches of them.
pub(crate) struct Feed {
    pieces: Receiver<Piece>,
    /// One that is too far in time from the batch before it.
    held: Option<Piece>,
    dater: Dater,
}

impl Feed {
    pub(crate) fn new(pieces: Receiver<Piece>) -> Self {
        Self { pieces, held: None, dater: Dater::default() }
    }

    /// The first piece of a batch; `None` when nobody brings any more. Dropping it loses nothing.
    pub(crate) async fn first(&mut self) -> Option<Piece> {
        match self.held.take() {
            Some(held) => Some(held),
            None => self.pieces.recv().await,
        }
    }

    /// A batch of `first` and whatever waits behind it and happened about then, and the messages they came
    /// out of, one per piece. Waits for nothing.
    pub(crate) fn gather(&mut self, first: Piece) -> (Batch, Vec<u64>) {
        let (mut batch, mut messages) = (Batch::default(), Vec::new());
        let mut begins = self.dater.earliest(&first.batch);
        let mut next = Some(first);
        while let Some(piece) = next {
            batch.append(piece.batch);
            messages.extend(piece.message);
            drop(piece.room);
            let is_full = batch.records.len() >= BATCH_RECORDS || batch.bytes.len() >= BATCH_BYTES;
            next = if is_full { None } else { self.pieces.try_recv().ok() };
            let time = next.as_ref().and_then(|piece| self.dater.earliest(&piece.batch));
            if begins.zip(time).is_some_and(|(begins, time)| begins.secs().abs_diff(time.secs()) > APART) {
                self.held = next.take();
            }
            begins = begins.or(time);
        }
        (batch, messages)
    }
}
