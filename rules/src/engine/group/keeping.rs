//! Which events matter for longer than was known when they were judged: those that incidents took, and those
//! that had a window come to what it did when one opened, was joined again, or saw more than before.
//!
//! A restart needs them for as long as the incident: it opens again by them alone. Each is named once.

use super::Group;
use crate::engine::brief::Brief;
use crate::rule::Count;
use std::sync::Arc;

impl Group {
    /// The entry at `at` belongs to an incident, or stands behind one.
    pub(super) fn keep(&mut self, at: usize) {
        if let Some(entry) = self.entries.get_mut(at).filter(|entry| !entry.kept) {
            entry.kept = true;
            self.kept.push(Arc::clone(&entry.brief));
        }
    }

    /// What is in the window of the entry at `at` stands behind its incident. What was looked at before is
    /// not looked at again.
    pub(super) fn keep_window(&mut self, at: usize) {
        let (first, looked) = (self.window.first, self.looked.clone());
        if first < looked.start {
            self.keep_between(first, looked.start.min(at));
        }
        self.keep_between(first.max(looked.end), at);
        let start = if first > looked.end { first } else { first.min(looked.start) };
        self.looked = start..at.max(looked.end);
    }

    /// The sweep goes back to before the entry at `at`.
    pub(super) fn look_back(&mut self, at: usize) {
        self.looked = self.looked.start.min(at)..self.looked.end.min(at);
    }

    /// The entry at `at` is gone.
    pub(super) fn look_past(&mut self, at: usize) {
        let without = |place: usize| place - usize::from(at < place);
        self.looked = without(self.looked.start)..without(self.looked.end);
    }

    /// So many entries at the front are gone.
    pub(super) fn look_beyond(&mut self, count: usize) {
        self.looked = self.looked.start.saturating_sub(count)..self.looked.end.saturating_sub(count);
    }

    fn keep_between(&mut self, from: usize, to: usize) {
        for at in from..to {
            if self.entries.get(at).is_some_and(|entry| entry.counted && !entry.kept) {
                self.keep(at);
            }
        }
    }

    /// The entry at `at` came late, and windows up to that of the entry at `last` come to more with it.
    pub(super) fn keep_around(&mut self, at: usize, last: Option<usize>, count: &Count) {
        let is_past = self.looked.contains(&at);
        let with = |place: usize| place + usize::from(at < place);
        self.looked = with(self.looked.start)..with(self.looked.end);
        if let Some(last) = last {
            let since = self.entries.get(at).map(|entry| entry.time.plus_secs(-count.timespan_secs));
            let from = self.entries.partition_point(|entry| since.is_some_and(|since| entry.time < since));
            self.keep_between(from, last);
        } else if is_past {
            self.keep_between(at, at + 1);
        }
    }

    /// The events that matter longer than was said since this was last asked.
    pub(super) fn take_kept(&mut self) -> Vec<Arc<Brief>> {
        std::mem::take(&mut self.kept)
    }
}
