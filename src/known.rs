//! Which events of a scan were seen before.
//!
//! Ids are kept as 64-bit keys, made with a secret of this run, so that nobody can choose ids
//! that collide. Two different ids among four million share a key once in a million runs.

use hashbrown::HashSet;
use std::hash::{BuildHasher, BuildHasherDefault, Hasher, RandomState};

/// Keys remembered in one generation: its sets are then nearly full, 9.4 MB.
const GENERATION: usize = 900_000;
/// Generations kept: 38 MB in all. The last one is let go when a new one begins.
const GENERATIONS: usize = 4;

/// Sets that a generation is divided into, so that one grows at a time.
const SHARDS: usize = 16;

/// Turns ids into keys; SipHash with a random key (`std::hash::RandomState`).
#[derive(Clone, Debug, Default)]
pub(crate) struct Keys(RandomState);

impl Keys {
    /// The key of an id.
    pub(crate) fn key(&self, id: &str) -> u64 {
        self.0.hash_one(id)
    }
}

/// Keys seen, the youngest generation first.
#[derive(Debug)]
pub(crate) struct Known {
    generations: [Generation; GENERATIONS],
    /// Keys of one generation.
    each: usize,
}

#[derive(Debug, Default)]
struct Generation {
    shards: [HashSet<u64, BuildHasherDefault<AsIs>>; SHARDS],
    keys: usize,
}

impl Default for Known {
    fn default() -> Self {
        Self { generations: Default::default(), each: GENERATION }
    }
}

impl Known {
    /// Whether `key` was not seen before; it is now.
    pub(crate) fn is_new(&mut self, key: u64) -> bool {
        // The sets look at the lowest and highest bits themselves.
        let shard = usize::from(key.to_be_bytes()[2]) % SHARDS;
        let [young, old @ ..] = &mut self.generations;
        if old.iter().any(|one| one.keys > 0 && one.shards.get(shard).is_some_and(|keys| keys.contains(&key)))
            || !young.shards.get_mut(shard).is_some_and(|keys| keys.insert(key))
        {
            return false;
        }
        young.keys += 1;
        if young.keys >= self.each {
            self.generations.rotate_right(1);
            let [young, ..] = &mut self.generations;
            young.shards.iter_mut().for_each(HashSet::clear);
            young.keys = 0;
        }
        true
    }
}

/// Keys are hashes already.
#[derive(Clone, Copy, Debug, Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(*byte);
        }
    }

    fn write_u64(&mut self, key: u64) {
        self.0 = key;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_counts_once() {
        let (keys, mut known) = (Keys::default(), Known::default());
        assert!(known.is_new(keys.key("aws:1:a")));
        assert!(!known.is_new(keys.key("aws:1:a")));
        assert!(known.is_new(keys.key("aws:1:b")));
    }

    #[test]
    fn what_was_seen_is_remembered_for_three_generations_at_least() {
        let mut known = Known { each: 1000, ..Known::default() };
        let key = |n: u64| n.wrapping_mul(0x9e37_79b9_7f4a_7c15);
        for n in 0..3500 {
            assert!(known.is_new(key(n)), "{n}");
        }
        assert!((0..3500).all(|n| !known.is_new(key(n))));
        (3500..4000).for_each(|n| assert!(known.is_new(key(n)), "{n}"));
        assert!(known.is_new(key(0)) && !known.is_new(key(1000)), "four generations ago");
    }

    #[test]
    fn every_run_has_keys_of_its_own() {
        assert_ne!(Keys::default().key("aws:1:a"), Keys::default().key("aws:1:a"));
    }
}
