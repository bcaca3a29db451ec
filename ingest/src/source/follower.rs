//! Follows files as they grow, rotate and go, and says how far it has read.
//!
//! A file is known by what it is (device, inode, the bytes at its beginning and before the place
//! reached), never by its name: renaming it changes nothing, overwriting it is noticed, and after
//! a restart it is found again among its siblings, compressed or not. Nothing counts as read
//! before [`Follower::acknowledge`] says it is stored; what was read but not stored is read again.
//! Reads no clock: how long a rotated file is held is counted in polls.

mod assign;
mod content;
mod ledger;
mod look;
mod mark;
mod stream;
mod turns;

use super::dating::Dater;
use super::pump::Fill;
use super::walk::ReadFailure;
use crate::{Advance, Batch};
use keywatch_event::EventTime;
use ledger::Ledger;
use look::Watch;
use mark::{Mark, Position};
use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use stream::Stream;

/// Polls without anything new until a renamed or deleted file is given up: at four polls a
/// second, a minute for its writer to open the new one.
const HELD_POLLS: u32 = 240;
/// A rotated file is given up earlier when its successor was written to this much later.
const HELD_NANOS: i64 = 60 * 1_000_000_000;
/// Files held open at once beyond those that have something to read: a quarter of the usual limit
/// of 1024.
const OPEN_MAX: usize = 256;
/// Files up to which the folders are looked through before every batch, and how rarely they are beyond
/// that while there is much to read: looking for a hundred thousand files takes a tenth of a second.
const LOOKED_AT_MAX: usize = 256;
const LOOK_EVERY: u8 = 16;
/// Files of one path that were read to their end and are still told apart from new ones.
const REMEMBERED_MAX: usize = 64;
/// Deleted files that are remembered over all paths.
const FORGOTTEN_FROM: usize = 10_000;

/// Reads what is new in files and folders.
#[derive(Debug)]
pub struct Follower {
    name: String,
    watches: Vec<Watch>,
    streams: Vec<Stream>,
    ledgers: HashMap<Arc<str>, Ledger>,
    notices: Vec<String>,
    gaps: Vec<String>,
    told: HashMap<PathBuf, String>,
    next_stream: u64,
    dater: Arc<Dater>,
    /// The newest event of all when everything was last read: what is much older is a backlog.
    reached: Option<EventTime>,
    /// Whether what is in the backlog has its turn.
    reads_old: bool,
    /// Whether a batch ends where it becomes too long a time.
    keeps_apart: bool,
    /// Batches until the folders are looked through again.
    rest: u8,
}

impl Follower {
    /// Follows `paths`, files or folders (searched, and watched for new files), from `positions`
    /// on: what the store holds, by source. Other sources' positions are passed over. `name` is
    /// what the notices call it.
    #[must_use]
    pub fn new(name: &str, paths: Vec<PathBuf>, positions: HashMap<String, String>) -> Self {
        let mut follower = Self {
            name: name.to_owned(),
            watches: paths.into_iter().map(Watch::new).collect(),
            streams: Vec::new(),
            ledgers: HashMap::new(),
            notices: Vec::new(),
            gaps: Vec::new(),
            told: HashMap::new(),
            next_stream: 0,
            dater: Arc::default(),
            reached: None,
            reads_old: false,
            keeps_apart: false,
            rest: 0,
        };
        let mut positions: Vec<(String, String)> = positions.into_iter().collect();
        positions.sort();
        for (source, position) in positions {
            follower.restore(&source, position);
        }
        follower
    }

    fn restore(&mut self, source: &str, position: String) {
        let Some(path) = source.strip_prefix("file:").map(Path::new) else { return };
        if !self.watches.iter().any(|watch| path.starts_with(&watch.path)) {
            return;
        }
        let source: Arc<str> = source.into();
        let files = match serde_json::from_str::<Position>(&position) {
            Ok(position) => position.files,
            Err(error) => {
                self.notice(&format!(
                    "the stored position of {source} cannot be read ({error}); it is read from its beginning"
                ));
                Vec::new()
            }
        };
        for mark in &files {
            let at = self.add(Arc::clone(&source), mark.clone());
            if let Some(stream) = self.streams.get_mut(at) {
                stream.kept = Some(mark.clone());
            }
        }
        self.ledgers.insert(source, Ledger::committed(position, files));
    }

    fn add(&mut self, source: Arc<str>, mark: Mark) -> usize {
        let name = source.strip_prefix("file:").unwrap_or(&source).into();
        self.streams.push(Stream::new(self.next_stream, source, name, mark));
        self.next_stream += 1;
        self.streams.len() - 1
    }

    /// Whether no batch is to be about more than [`APART_SECS`](super::APART_SECS), as far as its files
    /// are in order: so that others can be read between.
    pub const fn keep_apart(&mut self, keeps_apart: bool) {
        self.keeps_apart = keeps_apart;
    }

    /// What is new, at most about `max_records` and `max_bytes` (a document is not divided), with
    /// the positions to commit with it. Old files are read in the order of time. Empty when there is
    /// nothing new. To be called a few times a second while there is nothing.
    pub fn poll(&mut self, max_records: usize, max_bytes: usize) -> Batch {
        let looks = self.rest == 0;
        let all_seen = looks && self.look();
        let mut fill = Fill::new(max_records.max(1), max_bytes.max(1));
        self.read(&mut fill);
        let may_rest = !fill.batch.is_empty() && self.streams.len() > LOOKED_AT_MAX;
        self.rest = if !may_rest {
            0
        } else if looks {
            LOOK_EVERY - 1
        } else {
            self.rest - 1
        };
        if all_seen && fill.batch.is_empty() {
            self.let_go();
        }
        self.forget();
        let mut batch = fill.batch;
        batch.advances = self.advances();
        batch
    }

    /// Takes note that `advances` are stored.
    pub fn acknowledge(&mut self, advances: &[Advance]) {
        for advance in advances {
            let Some(ledger) = self.ledgers.get_mut(&*advance.source) else { continue };
            let marks: HashMap<u64, Mark> = ledger.acknowledge(&advance.to).into_iter().collect();
            for stream in self.streams.iter_mut().filter(|stream| *stream.source == *advance.source) {
                if let Some(mark) = marks.get(&stream.id) {
                    stream.kept = Some(mark.clone());
                }
            }
        }
    }

    /// Goes back to what was acknowledged last: everything after it is read again.
    pub fn reset(&mut self) {
        for stream in &mut self.streams {
            stream.reset();
        }
        let mut kept: HashMap<Arc<str>, Vec<Mark>> = HashMap::new();
        for stream in &self.streams {
            kept.entry(Arc::clone(&stream.source)).or_default().extend(stream.kept.clone());
        }
        for (source, ledger) in &mut self.ledgers {
            ledger.reset(kept.remove(source).unwrap_or_default());
        }
    }

    /// What an operator should know, once each: files that cannot be read, were truncated, or went
    /// before they were read.
    pub fn notices(&mut self) -> Vec<String> {
        std::mem::take(&mut self.notices)
    }

    /// What of the notices says that records are lost, once each.
    pub fn gaps(&mut self) -> Vec<String> {
        std::mem::take(&mut self.gaps)
    }

    /// Lines are lost.
    fn miss(&mut self, text: &str) {
        self.gaps.push(text.to_owned());
        self.notice(text);
    }

    fn notice(&mut self, text: &str) {
        self.notices.push(format!("source {}: {text}", self.name));
    }

    /// Tells of a failure unless that was the last word on the path.
    fn tell(&mut self, failure: &ReadFailure) {
        let text = failure.to_string();
        if self.told.insert(failure.path.clone(), text.clone()).as_ref() != Some(&text) {
            self.notice(&text);
        }
    }

    /// After a poll with nothing new: lets go of files that are no longer written to.
    fn let_go(&mut self) {
        let mut newest: HashMap<Arc<str>, i64> = HashMap::new();
        for stream in &self.streams {
            let at = newest.entry(Arc::clone(&stream.source)).or_insert(i64::MIN);
            *at = stream.seen.1.max(*at);
        }
        let mut lost = Vec::new();
        for stream in &mut self.streams {
            stream.idle_polls = stream.idle_polls.saturating_add(1);
            let successor = newest.get(&stream.source).copied().unwrap_or(i64::MIN);
            let held_long = stream.idle_polls >= HELD_POLLS;
            let is_over = held_long || successor.saturating_sub(stream.seen.1) >= HELD_NANOS;
            let is_left = !stream.is_at_home() && !stream.mark.done && stream.is_settled();
            if is_left && is_over || stream.is_cut_short() && held_long {
                stream.finish();
            }
            if held_long && stream.is_settled() {
                stream.close();
            }
            if held_long && stream.path.is_none() && !stream.is_open() && !stream.mark.done {
                stream.mark.done = true;
                if !stream.displaced {
                    lost.push(stream.what_is_lost());
                }
            }
        }
        for text in lost {
            self.miss(&text);
        }
    }

    /// Bounds what is remembered of files that are gone.
    fn forget(&mut self) {
        let is_gone = |stream: &Stream| stream.path.is_none() && stream.mark.done && !stream.is_open();
        let mut gone: HashMap<Arc<str>, usize> = HashMap::new();
        let mut all = 0;
        for stream in self.streams.iter().filter(|stream| is_gone(stream)) {
            *gone.entry(Arc::clone(&stream.source)).or_default() += 1;
            all += 1;
        }
        if all <= FORGOTTEN_FROM && gone.values().all(|count| *count <= REMEMBERED_MAX) {
            return;
        }
        let mut surplus = usize::saturating_sub(all, FORGOTTEN_FROM);
        self.streams.retain(|stream| {
            let Some(count) = gone.get_mut(&stream.source).filter(|_| is_gone(stream)) else { return true };
            let drop = surplus > 0 || *count > REMEMBERED_MAX;
            surplus = surplus.saturating_sub(usize::from(drop));
            *count -= usize::from(drop);
            !drop
        });
        let left: HashSet<&Arc<str>> = self.streams.iter().map(|stream| &stream.source).collect();
        self.ledgers.retain(|source, _| left.contains(source));
    }

    /// The positions that moved.
    fn advances(&mut self) -> Vec<Advance> {
        let mut marks: HashMap<Arc<str>, Vec<(u64, Mark)>> = HashMap::new();
        for stream in &mut self.streams {
            let mark = (stream.mark.id(), stream.mark.offset, stream.mark.done);
            if stream.handed.replace(mark) != Some(mark) {
                marks.entry(Arc::clone(&stream.source)).or_default();
            }
        }
        for stream in &self.streams {
            if let Some(marks) = marks.get_mut(&stream.source) {
                marks.push((stream.id, stream.mark.clone()));
            }
        }
        let mut advances: Vec<Advance> = Vec::new();
        for (source, marks) in marks {
            let ledger = self.ledgers.entry(Arc::clone(&source)).or_default();
            advances.extend(ledger.advance(&source, latest(marks)));
        }
        advances.sort_by(|a, b| a.source.cmp(&b.source));
        advances
    }
}

/// All that are not read to their end, and the latest of those that are.
fn latest(mut marks: Vec<(u64, Mark)>) -> Vec<(u64, Mark)> {
    let mut surplus = marks.iter().filter(|(_, mark)| mark.done).count().saturating_sub(REMEMBERED_MAX);
    marks.retain(|(_, mark)| {
        let drop = mark.done && surplus > 0;
        surplus -= usize::from(drop);
        !drop
    });
    marks
}

fn source_of(path: &Path) -> String {
    format!("file:{}", path.display())
}

#[cfg(test)]
mod tests;
