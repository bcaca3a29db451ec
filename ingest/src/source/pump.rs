//! From a reader into a batch: what one-shot reading and following have in common.

use super::dating::Pace;
use super::splitter::Splitter;
use crate::Batch;
use crate::carrier::Opener;
use keywatch_event::{Place, Reject, RejectReason};
use std::io::{self, Read};
use std::sync::Arc;

/// A batch being filled up to its limits. One document may pass them, because it is not divided.
#[derive(Debug)]
pub(crate) struct Fill {
    pub(crate) batch: Batch,
    records_max: usize,
    bytes_max: usize,
    rejects_seen: usize,
    reject_bytes: usize,
    /// Says where to stop while old records are read in the order of time.
    pub(super) pace: Option<Pace>,
}

impl Fill {
    pub(crate) fn new(records_max: usize, bytes_max: usize) -> Self {
        Self { batch: Batch::default(), records_max, bytes_max, rejects_seen: 0, reject_bytes: 0, pace: None }
    }

    /// Whether nothing more is to be put into it, or nothing more of the file that is read.
    pub(super) fn is_full(&mut self) -> bool {
        if let Some(pace) = &mut self.pace {
            pace.look(&self.batch);
        }
        self.pace.as_ref().is_some_and(Pace::stops) || self.is_at_limit()
    }

    /// Whether it holds as much as it may.
    pub(super) fn is_at_limit(&mut self) -> bool {
        let fresh = self.batch.rejects.get(self.rejects_seen..).unwrap_or_default();
        self.reject_bytes += fresh.iter().map(|reject| reject.bytes.len()).sum::<usize>();
        self.rejects_seen = self.batch.rejects.len();
        self.batch.records.len() + self.batch.rejects.len() >= self.records_max
            || self.batch.bytes.len() + self.reject_bytes >= self.bytes_max
    }

    /// Puts down that the bytes at `line` of `name` go on but cannot be read. The bytes stay where
    /// they are.
    pub(crate) fn damaged(&mut self, name: &Arc<str>, line: u64, reason: RejectReason) {
        let place = Place { name: Arc::clone(name), line, record: 0 };
        self.batch.rejects.push(Reject { place, reason, bytes: Vec::new() });
    }
}

/// The splitter and opener of one stream.
#[derive(Debug)]
pub(crate) struct Pump {
    pub(super) splitter: Splitter,
    opener: Opener,
}

/// Why pumping stopped.
#[derive(Debug)]
pub(crate) enum Pumped {
    /// The batch is full.
    Full,
    /// The reader has no more.
    Dry,
    /// The reader failed.
    Broke(io::Error),
}

impl Pump {
    pub(crate) fn new(splitter: Splitter, name: Arc<str>) -> Self {
        Self { splitter, opener: Opener::new(name) }
    }

    /// Goes on within a list of records, of which `given` were taken: the lines it began on and
    /// has come to.
    pub(crate) fn within_list(lines: (u64, u64), given: u32, name: Arc<str>) -> Self {
        Self { splitter: Splitter::within_list(lines, given), opener: Opener::within(name, lines.0, given) }
    }

    /// Line up to which everything was given out.
    pub(crate) const fn line(&self) -> u64 {
        self.splitter.safe().1
    }

    pub(crate) fn run(&mut self, reader: &mut dyn Read, fill: &mut Fill) -> Pumped {
        loop {
            if !self.drain(fill) {
                return Pumped::Full;
            }
            match self.splitter.fill_from(reader) {
                Ok(0) => return Pumped::Dry,
                Ok(_) => {}
                Err(error) => return Pumped::Broke(error),
            }
        }
    }

    /// Gives out what is left of a stream that has ended; whether that was all.
    pub(crate) fn flush(&mut self, fill: &mut Fill) -> bool {
        self.splitter.finish();
        self.drain(fill)
    }

    /// Gives out what is complete; false when the batch is full before that.
    pub(super) fn drain(&mut self, fill: &mut Fill) -> bool {
        loop {
            if fill.is_full() {
                return false;
            }
            match self.splitter.cut() {
                Some(cut) => self.opener.open(&cut, &mut fill.batch),
                None => return true,
            }
        }
    }
}
