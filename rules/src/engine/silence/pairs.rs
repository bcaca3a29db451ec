//! Events that another must follow within some time, and those nothing followed.
//!
//! A function of the set of events, in whatever order they arrive, as long as none arrives later
//! than the lateness allowed. One follower explains every event of its key that it comes after
//! in time. Nothing is stored here; see [`Pairs::open_ends`].

use crate::rule::Silence;
use hashbrown::HashMap;
use std::collections::BTreeSet;

/// Events that wait, and the followers that came.
#[derive(Debug)]
pub(crate) struct Pairs<T> {
    keys: HashMap<Box<str>, Pair<T>>,
    /// When each key is due to be looked at next: one place for each.
    due: BTreeSet<(i64, Box<str>)>,
    /// The keys under which nothing waits any more, by when they are due first: those go first when
    /// there are too many, so that what waits is not crowded out by what was followed.
    settled: BTreeSet<(i64, Box<str>)>,
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
    /// Whether any event under this key was followed.
    is_matched: bool,
    /// Under which time it is among the due.
    due: Option<i64>,
    /// Under which time it is among the settled.
    settled: Option<i64>,
}

impl<T> Default for Pair<T> {
    fn default() -> Self {
        Self { waiting: Vec::new(), followers: Vec::new(), is_matched: false, due: None, settled: None }
    }
}

impl<T> Pair<T> {
    /// The earliest second of what is kept.
    fn first(&self) -> Option<i64> {
        self.waiting.iter().map(|(time, _)| *time).chain(self.followers.iter().copied()).min()
    }
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

/// Events that wait, and followers of nothing, by second and key.
#[derive(Debug)]
pub(crate) struct OpenEnds<'p, T> {
    pub(crate) waiting: Vec<(i64, &'p str, &'p T)>,
    pub(crate) followers: Vec<(i64, &'p str)>,
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
            settled: BTreeSet::new(),
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
            pair.is_matched = true;
            return;
        }
        if pair.waiting.len() >= PER_KEY_MAX {
            self.evicted += 1;
            return;
        }
        pair.waiting.push((time_secs, brief));
        let settled = pair.settled.take();
        self.unsettle(key, settled);
        self.is_due(spec, key, time_secs);
    }

    /// An event that follows others of its key; whether any waited for it.
    pub(crate) fn follow(&mut self, spec: &Silence, key: &str, time_secs: i64) -> bool {
        let due = due_at(spec, self.lateness_secs, time_secs);
        let Some(pair) = self.pair(spec, key, time_secs) else { return false };
        let before = pair.waiting.len();
        pair.waiting.retain(|(waiting, _)| !follows(spec, *waiting, time_secs));
        let has_followed = pair.waiting.len() < before;
        pair.is_matched |= has_followed;
        if !pair.followers.contains(&time_secs) && pair.followers.len() < PER_KEY_MAX {
            pair.followers.push(time_secs);
        }
        if pair.waiting.is_empty() && pair.settled.is_none() {
            pair.settled = Some(due);
            self.settled.insert((due, key.into()));
        }
        self.is_due(spec, key, time_secs);
        has_followed
    }

    /// What an event was expected with, as long as it waits.
    pub(crate) fn waiting_mut(&mut self, key: &str, time_secs: i64) -> Option<&mut T> {
        let pair = self.keys.get_mut(key)?;
        pair.waiting.iter_mut().find(|(time, _)| *time == time_secs).map(|(_, brief)| brief)
    }

    /// What a restart has to be told: events before `before_secs` that wait, and followers of which
    /// nothing has come that they follow. In order of time, at most `max` of each.
    pub(crate) fn open_ends(&self, before_secs: i64, max: usize) -> OpenEnds<'_, T> {
        let is_old = |secs: i64| secs < before_secs;
        let (mut waiting, mut followers) = (Vec::new(), Vec::new());
        for (key, pair) in &self.keys {
            let all = pair.waiting.iter().filter(|(secs, _)| is_old(*secs));
            waiting.extend(all.map(|(secs, brief)| (*secs, &**key, brief)));
            if !pair.is_matched {
                followers
                    .extend(pair.followers.iter().filter(|secs| is_old(**secs)).map(|secs| (*secs, &**key)));
            }
        }
        waiting.sort_by_key(|(secs, key, _)| (*secs, *key));
        followers.sort_unstable();
        waiting.truncate(max);
        followers.truncate(max);
        OpenEnds { waiting, followers }
    }

    fn unsettle(&mut self, key: &str, settled: Option<i64>) {
        if let Some(due) = settled {
            self.settled.remove(&(due, key.into()));
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
            pair.due = None;
            let due = due_at(spec, self.lateness_secs, pair.first().unwrap_or(i64::MIN));
            if pair.waiting.is_empty() && pair.settled.is_none() {
                pair.settled = Some(due);
                self.settled.insert((due, key.clone()));
            }
            match pair.first() {
                Some(time) => self.is_due(spec, &key, time),
                None => self.forget(&key),
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
        Some(self.keys.entry_ref(key).or_default())
    }

    fn is_due(&mut self, spec: &Silence, key: &str, time_secs: i64) {
        let due = due_at(spec, self.lateness_secs, time_secs);
        let Some(pair) = self.keys.get_mut(key) else { return };
        if pair.due.is_some_and(|known| known <= due) {
            return;
        }
        if let Some(later) = pair.due.replace(due) {
            self.due.remove(&(later, key.into()));
        }
        self.due.insert((due, key.into()));
    }

    /// Lets the keys go under which nothing waits, and then those that are due first.
    fn make_room(&mut self) {
        while self.keys.len() >= self.keys_max {
            if let Some((_, key)) = self.settled.first().cloned() {
                self.forget(&key);
            } else if let Some((_, key)) = self.due.first().cloned() {
                self.evicted += 1;
                self.forget(&key);
            } else {
                break;
            }
        }
    }

    fn forget(&mut self, key: &str) {
        let Some(pair) = self.keys.remove(key) else { return };
        if let Some(due) = pair.due {
            self.due.remove(&(due, key.into()));
        }
        self.unsettle(key, pair.settled);
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
