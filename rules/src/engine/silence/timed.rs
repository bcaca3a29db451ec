//! Things by key and second, the oldest first to go, and which of them are to be stored.
//!
//! Invariant: the store has exactly the keys it was told of, so that what came and went between
//! two commits costs it nothing.

use hashbrown::{HashMap, HashSet};
use keywatch_event::Learned;
use std::collections::BTreeSet;

/// Things kept under one key; a key names one request, or one caller.
const PER_KEY_MAX: usize = 16;

/// Things with their seconds.
type Things<V> = Vec<(i64, V)>;

/// Things by key.
#[derive(Debug)]
pub(crate) struct Timed<V> {
    keys: HashMap<Box<str>, Things<V>>,
    /// Every second of every key once.
    order: BTreeSet<(i64, Box<str>)>,
    len: usize,
    /// Whether what changed is to be written.
    writes: bool,
    /// Keys that changed since they were last taken: no more than a batch has, and those kept.
    dirty: HashSet<Box<str>>,
    /// Keys the store has.
    stored: HashSet<Box<str>>,
}

impl<V> Timed<V> {
    /// Nothing yet; `writes` says whether somebody stores what changed.
    pub(crate) fn new(writes: bool) -> Self {
        Self {
            keys: HashMap::new(),
            order: BTreeSet::new(),
            len: 0,
            writes,
            dirty: HashSet::new(),
            stored: HashSet::new(),
        }
    }

    /// How many things there are.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// What is kept under a key, in the order it came.
    pub(crate) fn get(&self, key: &str) -> &[(i64, V)] {
        self.keys.get(key).map_or(&[], Vec::as_slice)
    }

    /// Keeps one more; false when its key has enough.
    pub(crate) fn put(&mut self, key: &str, secs: i64, value: V) -> bool {
        let things = self.keys.entry_ref(key).or_default();
        if things.len() >= PER_KEY_MAX {
            return false;
        }
        things.push((secs, value));
        self.len += 1;
        self.order.insert((secs, key.into()));
        if self.writes {
            self.dirty.insert(key.into());
        }
        true
    }

    /// Takes out those of a key for whose second `is` holds.
    pub(crate) fn take(&mut self, key: &str, is: impl Fn(i64) -> bool) -> Things<V> {
        let Some(things) = self.keys.get_mut(key) else { return Vec::new() };
        let taken: Things<V> = things.extract_if(.., |(secs, _)| is(*secs)).collect();
        if things.is_empty() {
            self.keys.remove(key);
        }
        self.len -= taken.len();
        for (secs, _) in &taken {
            self.order.remove(&(*secs, key.into()));
        }
        if self.writes && !taken.is_empty() && self.stored.contains(key) {
            self.dirty.insert(key.into());
        }
        taken
    }

    /// Takes out the oldest, with all of its key and second.
    pub(crate) fn take_first(&mut self) -> Option<(i64, Box<str>, Things<V>)> {
        let (secs, key) = self.order.pop_first()?;
        let taken = self.take(&key, |other| other == secs);
        Some((secs, key, taken))
    }

    /// Second of the oldest.
    pub(crate) fn first(&self) -> Option<i64> {
        self.order.first().map(|(secs, _)| *secs)
    }

    /// What changed since the last call: the name of each key, and its state; an empty one is to be
    /// deleted. `state` says `None` of what need not be stored.
    pub(crate) fn changes(
        &mut self,
        name: impl Fn(&str) -> String,
        state: impl Fn(&[(i64, V)]) -> Option<Vec<u8>>,
    ) -> Vec<Learned> {
        let mut learned = Vec::new();
        for key in std::mem::take(&mut self.dirty) {
            if let Some(state) = self.keys.get(&key).and_then(|things| state(things)) {
                learned.push(Learned { key: name(&key), state });
                self.stored.insert(key);
            } else if self.stored.remove(&key) {
                learned.push(Learned { key: name(&key), state: Vec::new() });
            }
        }
        learned.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        learned
    }

    /// Takes back what the store has of a key.
    pub(crate) fn restore(&mut self, key: &str, things: impl IntoIterator<Item = (i64, V)>) {
        for (secs, value) in things {
            self.put(key, secs, value);
        }
        self.dirty.remove(key);
        self.stored.insert(key.into());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changes(timed: &mut Timed<bool>) -> Vec<(String, Vec<u8>)> {
        let state = |things: &[(i64, bool)]| things.iter().any(|(_, counts)| *counts).then(|| vec![1]);
        let changes = timed.changes(str::to_owned, state);
        changes.into_iter().map(|one| (one.key, one.state)).collect()
    }

    #[test]
    fn what_came_and_went_between_two_commits_costs_the_store_nothing() {
        let mut timed = Timed::new(true);
        timed.put("a", 1, true);
        timed.put("b", 2, true);
        assert_eq!(timed.take("a", |_| true), [(1, true)]);
        assert_eq!(changes(&mut timed), [("b".to_owned(), vec![1])]);
        assert!(changes(&mut timed).is_empty());
        timed.take("b", |_| true);
        assert_eq!(changes(&mut timed), [("b".to_owned(), Vec::new())]);
        assert_eq!((timed.len(), timed.first()), (0, None));
    }

    #[test]
    fn what_need_not_be_stored_is_not_and_what_was_restored_is_deleted() {
        let mut timed = Timed::new(true);
        timed.put("a", 1, false);
        timed.restore("c", [(5, true)]);
        assert!(changes(&mut timed).is_empty());
        assert_eq!(timed.take_first(), Some((1, "a".into(), vec![(1, false)])));
        assert_eq!(timed.take_first(), Some((5, "c".into(), vec![(5, true)])));
        assert_eq!(changes(&mut timed), [("c".to_owned(), Vec::new())]);
    }

    #[test]
    fn nothing_is_noted_for_a_store_that_is_not_there_and_a_key_is_bounded() {
        let mut timed = Timed::new(false);
        let kept = (0..100).filter(|secs| timed.put("a", *secs, ())).count();
        assert_eq!((kept, timed.len(), timed.get("a").len()), (PER_KEY_MAX, PER_KEY_MAX, PER_KEY_MAX));
        assert!(timed.dirty.is_empty());
    }
}
