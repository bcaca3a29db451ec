//! Which file is read when: the oldest first, so that what is usual is learned as it came to be.
//!
//! What is new is never kept waiting by old files that are put in later, and no file keeps another
//! from being read.

use super::super::dating::{Pace, is_ahead};
use super::super::pump::Fill;
use super::super::walk::ReadFailure;
use super::stream::Stream;
use super::{Follower, OPEN_MAX};
use keywatch_event::EventTime;
use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::path::PathBuf;
use std::sync::Arc;

/// Files that are read a part each at once. Beyond that a file is read on to its end: some 600 KiB each
/// while it is read are 40 MiB.
const BEGUN_MAX: usize = 64;

/// What comes first is read first.
type Rank = (bool, bool, Option<EventTime>, usize);

impl Follower {
    /// Reads what is new, until the batch is full.
    pub(super) fn read(&mut self, fill: &mut Fill) {
        let unread: Vec<usize> = self
            .streams
            .iter()
            .enumerate()
            .filter(|(_, stream)| stream.is_unread())
            .map(|(at, _)| at)
            .collect();
        if unread.is_empty() {
            self.reached = self.streams.iter().filter_map(|stream| stream.track.newest).max();
        }
        // A lone file is read as it comes, and nobody asks when that was.
        if self.keeps_apart || unread.len() > 1 {
            self.date(&unread);
            fill.pace = Some(Pace::new(Arc::clone(&self.dater), self.keeps_apart));
        }
        let mut waiting: BinaryHeap<Reverse<Rank>> =
            unread.into_iter().map(|at| Reverse(self.rank(at))).collect();
        let mut held = Held::by(&self.streams);
        while let Some(Reverse((.., time, at))) = waiting.pop() {
            let belongs = fill.pace.as_ref().is_none_or(|pace| pace.reaches(time));
            if !belongs || fill.is_full() {
                break;
            }
            let next = waiting.peek().and_then(|Reverse((.., time, _))| *time);
            let before = self.state(at);
            if self.attend(at, fill, next.filter(|_| held.begun < BEGUN_MAX)) {
                waiting.push(Reverse(self.rank(at)));
            }
            held.change(before, self.state(at));
            self.close(at, &mut held);
        }
        self.reads_old = !self.reads_old;
        for at in 0..self.streams.len() {
            self.close(at, &mut held);
        }
    }

    /// Whether a file is open, and whether it has something to read.
    fn state(&self, at: usize) -> (bool, bool) {
        self.streams.get(at).map_or((false, false), |stream| (stream.is_open(), stream.is_unread()))
    }

    fn date(&mut self, unread: &[usize]) {
        for at in unread {
            if let Some(stream) = self.streams.get_mut(*at) {
                stream.date(&self.dater);
            }
        }
    }

    /// When what lies far behind everything that was read before has its turn, every other time, it comes
    /// first, and else last.
    fn rank(&self, at: usize) -> Rank {
        let Some(stream) = self.streams.get(at) else { return (true, true, None, at) };
        let time = stream.track.at;
        let is_old = self.reached.zip(time).is_some_and(|(reached, time)| is_ahead(reached, time));
        (stream.is_tired, is_old != self.reads_old, time, at)
    }

    /// Reads on in one file, up to where `next` is to be read; whether that is why it stopped.
    fn attend(&mut self, at: usize, fill: &mut Fill, next: Option<EventTime>) -> bool {
        let Some(stream) = self.streams.get_mut(at) else { return false };
        let (was_open, before, records) = (stream.is_open(), stream.track.at, fill.batch.records.len());
        if let Some(pace) = &mut fill.pace {
            pace.begin(stream.track, next);
        }
        let outcome = stream.read(fill);
        let mut is_ahead = false;
        if let Some(pace) = &mut fill.pace {
            (stream.track, is_ahead) = pace.end();
        } else if let Some(last) = fill.batch.records.get(records..).and_then(<[_]>::last)
            && let Some(time) = self.dater.time(fill.batch.raw(last))
        {
            stream.track.take(time);
        }
        stream.is_tired = fill.is_at_limit() && stream.track.at <= before;
        if stream.is_settled() {
            stream.track.at = None;
        }
        let has_opened = stream.is_open() && !was_open;
        if outcome.is_ok() && !has_opened {
            return is_ahead;
        }
        let path = stream.path.clone().unwrap_or_else(|| PathBuf::from(&*stream.name));
        match outcome {
            Ok(()) => drop(self.told.remove(&path)),
            Err(error) => self.tell(&ReadFailure::new(&path, &error)),
        }
        is_ahead
    }

    /// Gives a file back that has nothing to read, when it was read to its end or too many are open.
    fn close(&mut self, at: usize, held: &mut Held) {
        let Some(stream) = self.streams.get_mut(at).filter(|stream| stream.is_open()) else { return };
        if stream.is_settled() && (stream.mark.done || held.open > OPEN_MAX) {
            stream.close();
            held.open -= usize::from(!stream.is_open());
        }
    }
}

/// How many files are held.
struct Held {
    open: usize,
    /// Of those, how many have something to read.
    begun: usize,
}

impl Held {
    fn by(streams: &[Stream]) -> Self {
        let open = streams.iter().filter(|stream| stream.is_open());
        let begun = open.clone().filter(|stream| stream.is_unread()).count();
        Self { open: open.count(), begun }
    }

    /// A file was attended to that was as `before`.
    fn change(&mut self, before: (bool, bool), after: (bool, bool)) {
        let count =
            |held: usize, was: bool, is: bool| (held + usize::from(is)).saturating_sub(usize::from(was));
        self.open = count(self.open, before.0, after.0);
        self.begun = count(self.begun, before.0 && before.1, after.0 && after.1);
    }
}
