//! What explains an event after all: a success that follows a failure, an answered challenge.
//!
//! Kept as merged intervals of time that are explained, so it is exact in any order of arrival
//! and stays small however often a client succeeds.

use crate::rule::Hold;
use hashbrown::{HashMap, HashSet};

/// Explanations of one rule. Keys are hashes of the values that must agree.
#[derive(Debug, Default)]
pub(crate) struct Explanations {
    /// By key: intervals of event seconds within which a waiting event is explained.
    explained: HashMap<u64, Spans>,
    /// By key: the waiting events and the groups they are in.
    waiting: HashMap<u64, Waiting>,
    /// How many intervals there are.
    intervals: usize,
    /// How many events wait.
    waits: usize,
}

/// Sorted, disjoint, closed intervals. The latest, which nearly every explanation lengthens or comes after, lies
/// in place: no look into far memory.
#[derive(Debug, Default)]
struct Spans {
    last: Option<(i64, i64)>,
    /// Those before it.
    older: Vec<(i64, i64)>,
}

#[derive(Debug, Default)]
struct Waiting {
    /// Second and id of each, sorted: an event that comes twice waits once.
    events: Vec<(i64, Box<str>)>,
    groups: HashSet<String>,
}

impl Explanations {
    /// Takes an event that explains others; names the groups that must be looked at again.
    pub(crate) fn explain(&mut self, hold: &Hold, key: u64, at: i64) -> Vec<String> {
        let until = if hold.before_too { at + hold.secs } else { at };
        let intervals = self.explained.entry(key).or_default();
        self.intervals -= intervals.len();
        intervals.add(at - hold.secs, until);
        self.intervals += intervals.len();
        let near = |secs: &i64| (at - hold.secs..=until).contains(secs);
        match self.waiting.get(&key) {
            Some(waiting) if waiting.events.iter().any(|(secs, _)| near(secs)) => {
                waiting.groups.iter().cloned().collect()
            }
            _ => Vec::new(),
        }
    }

    /// Takes an event that waits.
    pub(crate) fn wait<'g>(
        &mut self,
        key: u64,
        (at, event): (i64, &str),
        groups: impl Iterator<Item = &'g str>,
    ) {
        let waiting = self.waiting.entry(key).or_default();
        let place = waiting.events.binary_search_by(|(secs, id)| (*secs, &**id).cmp(&(at, event)));
        if let Err(place) = place {
            waiting.events.insert(place, (at, event.into()));
            self.waits += 1;
        }
        waiting.groups.extend(groups.map(str::to_owned));
    }

    /// Whether the waiting event at `at` is explained.
    pub(crate) fn explains(&self, hold: &Hold, key: u64, at: i64) -> bool {
        let covered = self.explained.get(&key).is_some_and(|intervals| intervals.hold(at));
        covered && self.waiting_near(key, at, hold.secs) < hold.unless_count
    }

    /// How many events wait within `secs` of `at`.
    pub(crate) fn waiting_near(&self, key: u64, at: i64, secs: i64) -> u64 {
        let Some(waiting) = self.waiting.get(&key) else { return 0 };
        let from = waiting.events.partition_point(|(other, _)| *other < at - secs);
        let to = waiting.events.partition_point(|(other, _)| *other <= at + secs);
        (to - from) as u64
    }

    /// Forgets what lies before `secs`.
    pub(crate) fn forget_before(&mut self, secs: i64) {
        self.explained.retain(|_, intervals| {
            intervals.forget_before(secs);
            intervals.last.is_some()
        });
        self.waiting.retain(|_, waiting| {
            waiting.events.retain(|(at, _)| *at >= secs);
            !waiting.events.is_empty()
        });
        self.intervals = self.explained.values().map(Spans::len).sum();
        self.waits = self.waiting.values().map(|waiting| waiting.events.len()).sum();
    }

    /// Forgets the oldest until at most `target` are left, and what is of the same second as the
    /// last to go; how many went.
    pub(crate) fn shed(&mut self, target: usize) -> usize {
        let before = self.len();
        let ends = self.explained.values().flat_map(Spans::iter).map(|(_, end)| *end);
        let waits = self.waiting.values().flat_map(|waiting| &waiting.events).map(|(at, _)| *at);
        let mut times: Vec<i64> = ends.chain(waits).collect();
        let Some(last) = before.saturating_sub(target).checked_sub(1) else { return 0 };
        let (_, bound, _) = times.select_nth_unstable(last);
        let bound = bound.saturating_add(1);
        self.forget_before(bound);
        before - self.len()
    }

    /// How many intervals and waiting events are kept.
    pub(crate) fn len(&self) -> usize {
        self.intervals + self.waits
    }
}

impl Spans {
    fn len(&self) -> usize {
        self.older.len() + usize::from(self.last.is_some())
    }

    fn iter(&self) -> impl Iterator<Item = &(i64, i64)> {
        self.older.iter().chain(&self.last)
    }

    /// Adds an interval.
    fn add(&mut self, start: i64, end: i64) {
        match &mut self.last {
            Some((from, to)) if *from <= start && start <= *to => *to = end.max(*to),
            Some((_, to)) if *to < start => self.older.extend(self.last.replace((start, end))),
            _ => {
                self.older.extend(self.last.take());
                merge(&mut self.older, start, end);
                self.last = self.older.pop();
            }
        }
    }

    /// Whether one of them holds that second.
    fn hold(&self, at: i64) -> bool {
        self.last.is_some_and(|(start, end)| (start..=end).contains(&at)) || covers(&self.older, at)
    }

    /// Forgets intervals that end before `secs`.
    fn forget_before(&mut self, secs: i64) {
        self.older.retain(|(_, end)| *end >= secs);
        self.last = self.last.filter(|(_, end)| *end >= secs);
    }
}

fn covers(intervals: &[(i64, i64)], at: i64) -> bool {
    let after = intervals.partition_point(|(start, _)| *start <= at);
    after.checked_sub(1).and_then(|i| intervals.get(i)).is_some_and(|(_, end)| at <= *end)
}

fn merge(intervals: &mut Vec<(i64, i64)>, start: i64, end: i64) {
    let first = intervals.partition_point(|(_, e)| *e < start);
    let last = intervals.partition_point(|(s, _)| *s <= end);
    let touched = intervals.get(first..last).unwrap_or_default();
    let start = touched.first().map_or(start, |(s, _)| start.min(*s));
    let end = touched.last().map_or(end, |(_, e)| end.max(*e));
    intervals.splice(first..last, [(start, end)]);
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn the_oldest_explanations_go_first() {
        let mut kept = Explanations::default();
        for at in 0_i64..10 {
            kept.explained.entry(at.unsigned_abs()).or_default().add(at, at);
        }
        // Counts them, and forgets none.
        kept.forget_before(0);
        assert_eq!((kept.shed(10), kept.shed(4), kept.len()), (0, 6, 4));
        assert_eq!((kept.shed(0), kept.len()), (4, 0));
    }

    proptest! {
        #[test]
        fn merged_intervals_cover_exactly_what_was_added(
            added in proptest::collection::vec((0_i64..200, 0_i64..20), 0..30),
            at in 0_i64..230,
        ) {
            let mut intervals = Spans::default();
            for (start, length) in &added {
                intervals.add(*start, start + length);
            }
            let wanted = added.iter().any(|(start, length)| (*start..=start + length).contains(&at));
            prop_assert_eq!(intervals.hold(at), wanted);
            let all: Vec<_> = intervals.iter().collect();
            prop_assert_eq!(all.len(), intervals.len());
            prop_assert!(all.windows(2).all(|pair| pair[0].1 < pair[1].0));
            let kept = added.iter().any(|(start, length)| (at..=start + length).contains(&(start + length)));
            intervals.forget_before(at);
            prop_assert_eq!(intervals.last.is_some(), kept);
        }
    }
}
