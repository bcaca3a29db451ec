//! Reads what is on disk, in order, and removes files of which everything is committed.

use super::segment::{self, Kind, Records};
use super::state::{Refusal, Shared};
use keywatch_event::Place;
use keywatch_ingest::{Advance, Batch, carrier};
use std::io;
use std::sync::{Arc, PoisonError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Records and bytes of one batch: one fsync of the database serves all of them.
const BATCH_RECORDS: u64 = 1000;
const BATCH_BYTES: usize = 4 << 20;
/// How long to rest after the disk failed to give what it holds.
const REST: Duration = Duration::from_secs(1);

pub(super) struct Reader {
    shared: Arc<Shared>,
    name: Arc<str>,
    source: String,
    /// The number to read next, and the position the database holds by then.
    next: u64,
    position: Option<String>,
    /// The file being read, its first number, and the number that comes next in it.
    open: Option<(Records, u64, u64)>,
    into: mpsc::Sender<(Batch, u64)>,
}

impl Reader {
    pub(super) fn new(
        shared: Arc<Shared>,
        name: &str,
        (next, position): (u64, Option<String>),
        into: mpsc::Sender<(Batch, u64)>,
    ) -> Self {
        Self { shared, name: name.into(), source: position_name(name), next, position, open: None, into }
    }

    pub(super) fn run(mut self) {
        while let Some(end) = self.wait() {
            let (mut batch, before) = (Batch::default(), self.next);
            if let Err(error) = self.read(end, &mut batch) {
                tracing::error!(%error, folder = %self.shared.folder.display(), "cannot read the spool");
                self.open = None;
                if self.next == before {
                    self.rest();
                    continue;
                }
            }
            let to = self.next.to_string();
            let from = self.position.replace(to.clone());
            batch.advances.push(Advance { source: self.source.clone(), from, to });
            if self.into.blocking_send((batch, self.next)).is_err() {
                return;
            }
        }
    }

    /// Waits until there is something to read: up to which number. Removes what is spent meanwhile.
    fn wait(&self) -> Option<u64> {
        let mut state = self.shared.lock();
        loop {
            let spent = state.take_spent(self.shared.segment_bytes);
            if !spent.is_empty() {
                drop(state);
                for segment in spent {
                    let path = segment::path(&self.shared.folder, segment.first);
                    if let Err(error) = std::fs::remove_file(&path) {
                        tracing::warn!(%error, path = %path.display(), "cannot remove a file of the spool");
                    }
                }
                state = self.shared.lock();
                continue;
            }
            if state.closed {
                return None;
            }
            if state.end > self.next {
                return Some(state.end);
            }
            state = self.shared.news.wait(state).unwrap_or_else(PoisonError::into_inner);
        }
    }

    fn rest(&self) {
        let state = self.shared.lock();
        drop(self.shared.news.wait_timeout_while(state, REST, |state| !state.closed));
    }

    /// Reads records before `end` into `batch`. Moves on only as records are there.
    fn read(&mut self, end: u64, batch: &mut Batch) -> io::Result<()> {
        let first = self.next;
        while self.next < end && self.next - first < BATCH_RECORDS && batch.bytes.len() < BATCH_BYTES {
            let Some((begins, ends)) = self.segment() else {
                // Nothing is left of what stood here; it was told when the spool was opened.
                self.next = end;
                return Ok(());
            };
            self.next = self.next.max(begins);
            let mut records = self.at(begins)?;
            while self.next < ends && self.next - first < BATCH_RECORDS && batch.bytes.len() < BATCH_BYTES {
                let Some((kind, payload)) = records.next()? else {
                    // It was whole when it was written or looked through; the disk lost it since.
                    let text = format!("record {} and those behind it in its file are damaged", self.next);
                    self.shared.lose(ends - self.next, Refusal::Disk(text));
                    self.next = ends;
                    break;
                };
                let place = Place { name: Arc::clone(&self.name), line: self.next + 1, record: 0 };
                match kind {
                    Kind::Record => batch.push(payload, place),
                    Kind::Document => carrier::open(payload, &place, batch),
                }
                self.next += 1;
            }
            self.open = Some((records, begins, self.next));
        }
        Ok(())
    }

    /// The file in which the next record stands, or the one after a hole: its first number and the
    /// number behind its last.
    fn segment(&self) -> Option<(u64, u64)> {
        let state = self.shared.lock();
        let mut all = state.segments.iter().filter(|segment| segment.count > 0);
        all.find(|segment| segment.end() > self.next).map(|segment| (segment.first, segment.end()))
    }

    /// The file that begins with `first`, at the next record.
    fn at(&mut self, first: u64) -> io::Result<Records> {
        if let Some((records, begins, number)) = self.open.take()
            && begins == first
            && number == self.next
        {
            return Ok(records);
        }
        let mut records = Records::open(&self.shared.folder, first)?;
        for _ in first..self.next {
            records.next()?;
        }
        Ok(records)
    }
}

/// Under which name the store keeps the position of a source.
pub(crate) fn position_name(source: &str) -> String {
    format!("spool:{source}")
}
