//! Events that another must follow within some time, and those nothing followed.
//!
//! A function of the set of events, in whatever order they arrive, as long as none arrives later
//! than the lateness allowed. One follower explains every event of its key that it comes after
//! in time. Nothing is stored; after a restart the stored events are told again.

use crate::rule::Silence;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// Events that wait, and the followers that came.
#[derive(Debug)]
pub(crate) struct Pairs<T> {
    keys: HashMap<Box<str>, Pair<T>>,
    /// When each key is due to be looked at: a place for everything kept under it.
    due: BTreeSet<(i64, Box<str>)>,
    keys_max: usize,
    lateness_secs: i64,
    /// How far events are known to have arrived: the latest `now` of a tick.
    ticked: i64,
    evicted: u64,
    late: u64,
}

#[derive(Debug)]
struct Pair<T> {
    waiting: Vec<(i64, T)>,
    followers: Vec<i64>,
}

/// An event nothing followed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Unfollowed<T> {
    /// The key it shared with nobody.
    pub(crate) key: Box<str>,
    /// Its second.
    pub(crate) time_secs: i64,
    /// What it was expected with.
    pub(crate) brief: T,
}

/// Events and followers kept under one key, each; more are not judged, and counted. A key names
/// one request.
const PER_KEY_MAX: usize = 16;

impl<T> Pairs<T> {
    /// Nothing waits yet. Holds at most `keys_max` keys, about 200 bytes each and the brief;
    /// judges an event `lateness_secs` after its time for a follower is over.
    pub(crate) fn new(keys_max: usize, lateness_secs: i64) -> Self {
        Self {
            keys: HashMap::new(),
            due: BTreeSet::new(),
            keys_max: keys_max.max(1),
            lateness_secs: lateness_secs.max(0),
            ticked: i64::MIN,
            evicted: 0,
            late: 0,
        }
    }

    /// How many keys are held.
    pub(crate) fn len(&self) -> usize {
        self.keys.len()
    }

    /// How many keys were let go unjudged because of the limits.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many events came too late to be judged.
    pub(crate) fn late(&self) -> u64 {
        self.late
    }

    /// An event that must be followed.
    pub(crate) fn expect(&mut self, spec: &Silence, key: &str, time_secs: i64, brief: T) {
        let Some(pair) = self.pair(spec, key, time_secs) else { return };
        if pair.followers.iter().any(|follower| follows(spec, time_secs, *follower)) {
            return;
        }
        if pair.waiting.len() >= PER_KEY_MAX {
            self.evicted += 1;
            return;
        }
        pair.waiting.push((time_secs, brief));
        self.is_due(spec, key, time_secs);
    }

    /// An event that follows others of its key.
    pub(crate) fn follow(&mut self, spec: &Silence, key: &str, time_secs: i64) {
        let Some(pair) = self.pair(spec, key, time_secs) else { return };
        pair.waiting.retain(|(waiting, _)| !follows(spec, *waiting, time_secs));
        if !pair.followers.contains(&time_secs) && pair.followers.len() < PER_KEY_MAX {
            pair.followers.push(time_secs);
            self.is_due(spec, key, time_secs);
        }
    }

    /// What nothing followed in time, ordered by time and key, each once. `now_secs` is the
    /// newest event time; it never goes back.
    pub(crate) fn tick(&mut self, spec: &Silence, now_secs: i64) -> Vec<Unfollowed<T>> {
        self.ticked = self.ticked.max(now_secs);
        let mut missing = Vec::new();
        while self.due.first().is_some_and(|(due, _)| *due < self.ticked) {
            let Some((_, key)) = self.due.pop_first() else { break };
            let Some(pair) = self.keys.get_mut(&key) else { continue };
            let over = |time: i64| due_at(spec, self.lateness_secs, time) < self.ticked;
            for (time_secs, brief) in pair.waiting.extract_if(.., |(time, _)| over(*time)) {
                missing.push(Unfollowed { key: key.clone(), time_secs, brief });
            }
            pair.followers.retain(|time| !over(*time));
            if pair.waiting.is_empty() && pair.followers.is_empty() {
                self.keys.remove(&key);
            }
        }
        missing.sort_by(|one, other| (one.time_secs, &one.key).cmp(&(other.time_secs, &other.key)));
        missing
    }

    /// The pair of a key, made when there is none; `None` for an event that came too late.
    fn pair(&mut self, spec: &Silence, key: &str, time_secs: i64) -> Option<&mut Pair<T>> {
        let due = due_at(spec, self.lateness_secs, time_secs);
        if due < self.ticked {
            self.late += 1;
            return None;
        }
        if self.keys.len() >= self.keys_max && !self.keys.contains_key(key) {
            self.make_room();
        }
        Some(self.keys.entry_ref(key).or_insert_with(|| Pair { waiting: Vec::new(), followers: Vec::new() }))
    }

    fn is_due(&mut self, spec: &Silence, key: &str, time_secs: i64) {
        self.due.insert((due_at(spec, self.lateness_secs, time_secs), key.into()));
    }

    /// Lets the keys go that are due first.
    fn make_room(&mut self) {
        while self.keys.len() >= self.keys_max {
            let Some((_, key)) = self.due.pop_first() else { break };
            self.evicted += u64::from(self.keys.remove(&key).is_some());
        }
    }
}

/// Whether a follower comes in time.
fn follows(spec: &Silence, time: i64, follower: i64) -> bool {
    (0..=spec.secs_min).contains(&follower.saturating_sub(time))
}

/// The last second in which something may arrive that matters to an event of that time.
fn due_at(spec: &Silence, lateness_secs: i64, time: i64) -> i64 {
    time.saturating_add(spec.secs_min).saturating_add(lateness_secs)
}

#[cfg(test)]
#[path = "pairs_tests.rs"]
mod tests;
