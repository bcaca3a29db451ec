//! How a stage gives memory back: what no window reaches any more goes, and when memory is short what
//! says least: groups of one entry first, the oldest of them before the newer, because a real
//! attack has more than one; then the oldest of the others.

use super::{Group, Stage};
use crate::rule::Count;
use keywatch_event::EventTime;

/// How many notes and whereabouts take the memory of an entry.
const LIGHT: usize = 4;

impl Stage {
    /// What is held, in entries.
    pub(crate) fn len(&self) -> usize {
        self.held + (self.notes.len() + self.places.len()).div_ceil(LIGHT)
    }

    /// Gives up judging what lies before `floor`, and keeps what is known of it.
    pub(crate) fn close(&mut self, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
    }

    /// Gives up judging what lies before `floor`.
    pub(crate) fn seal(&mut self, count: &Count, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
        let keep_from = floor.plus_secs(-count.timespan_secs);
        self.groups.retain(|_, group| {
            let old = group.entries.partition_point(|entry| entry.brief.time < keep_from);
            group.drop_oldest(old);
            !group.entries.is_empty()
        });
        self.forget();
    }

    /// Lets entries go until the share `part` of `of` is left; how many went.
    pub(crate) fn shed(&mut self, (part, of): (usize, usize)) -> usize {
        let before = self.held;
        let target = before * part / of.max(1);
        self.shed_singles(target);
        if self.held > target {
            let held = self.held;
            for group in self.groups.values_mut() {
                let keep = (group.entries.len() * target / held).max(1);
                group.drop_oldest(group.entries.len().saturating_sub(keep));
            }
            self.forget();
            self.shed_singles(target);
        }
        before - self.held
    }

    fn shed_singles(&mut self, target: usize) {
        let single = |group: &Group| match group.entries.as_slice() {
            [one] => Some(one.brief.time),
            _ => None,
        };
        let mut times: Vec<EventTime> = self.groups.values().filter_map(single).collect();
        let excess = self.held.saturating_sub(target).min(times.len());
        let Some(last) = excess.checked_sub(1) else { return };
        let (_, bound, _) = times.select_nth_unstable(last);
        let bound = *bound;
        self.groups.retain(|_, group| single(group).is_none_or(|time| time > bound));
        self.forget();
    }

    /// Forgets what was noted of entries that are gone.
    fn forget(&mut self) {
        let (floor, groups) = (self.floor, &self.groups);
        let oldest = |group: &u64| groups.get(group).and_then(|group| group.entries.first());
        self.notes.retain(|_, note| {
            let is_there =
                |(group, _): &(u64, bool)| oldest(group).is_some_and(|oldest| oldest.brief.time <= note.time);
            floor.is_none_or(|floor| note.time >= floor) && note.groups.iter().any(is_there)
        });
        self.places.forget(floor, |group| groups.contains_key(&group));
        self.held = groups.values().map(|group| group.entries.len()).sum();
    }
}

impl Group {
    fn drop_oldest(&mut self, count: usize) {
        self.window.drop_oldest(&self.entries, count);
        self.entries.drain(..count);
        self.marks.drain(..count);
    }
}
