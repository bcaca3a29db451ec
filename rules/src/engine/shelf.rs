//! Learned state by name: bounded, and written when it changed.
//!
//! What learned thresholds and rhythms have in common: which entries must be
//! committed, which the store must delete, and which go when there are too many. It never looks
//! into an entry.

use super::words::{Name, hashed};
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;
use keywatch_event::Learned;
use serde::{Serialize, de::DeserializeOwned};

/// First byte of every stored state. State that begins otherwise was written by another version
/// and is ignored. Below 0x80, which no state of the first format begins with.
const VERSION: u8 = 2;

/// Entries by name.
#[derive(Debug)]
pub(crate) struct Shelf<T> {
    slots: HashTable<Slot<T>>,
    /// Whether what changed is to be written.
    writes: bool,
    /// Entries to be written, each once.
    dirty: Vec<Box<str>>,
    /// Evicted entries the store still has.
    gone: Vec<Box<str>>,
    evicted: u64,
    unreadable: u64,
}

#[derive(Debug)]
struct Slot<T> {
    /// By the hash alone a name is known here, which is a random one: two names that share it would
    /// have to be found without knowing it. Comparing names costs a look into far memory each time.
    hash: u64,
    name: Box<str>,
    value: T,
    /// Whether it is listed to be written.
    dirty: bool,
    /// Whether the store has it.
    stored: bool,
}

impl<T: Default + Serialize + DeserializeOwned> Shelf<T> {
    /// Nothing yet.
    pub(crate) fn new() -> Self {
        Self {
            slots: HashTable::new(),
            writes: true,
            dirty: Vec::new(),
            gone: Vec::new(),
            evicted: 0,
            unreadable: 0,
        }
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.slots.len()
    }

    /// How many were forgotten for want of room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// The same, and nothing is noted to be written: for a run whose state nobody stores.
    pub(crate) fn unwritten(mut self) -> Self {
        self.writes = false;
        self
    }

    /// Whether there is an entry.
    pub(crate) fn contains<'n>(&self, name: impl Into<Name<'n>>) -> bool {
        self.slot(name.into()).is_some()
    }

    /// An entry.
    pub(crate) fn get<'n>(&self, name: impl Into<Name<'n>>) -> Option<&T> {
        self.slot(name.into()).map(|slot| &slot.value)
    }

    /// An entry, to be changed.
    pub(crate) fn get_mut<'n>(&mut self, name: impl Into<Name<'n>>) -> Option<&mut T> {
        self.slot_mut(name.into()).map(|slot| &mut slot.value)
    }

    /// An entry, made when there is none. Costs an allocation only then.
    pub(crate) fn entry<'n>(&mut self, name: impl Into<Name<'n>>) -> &mut T {
        &mut self.place(name.into(), T::default).value
    }

    /// All entries, in no order.
    pub(crate) fn iter(&self) -> impl Iterator<Item = (&str, &T)> {
        self.slots.iter().map(|slot| (&*slot.name, &slot.value))
    }

    /// An entry changed and must be written.
    pub(crate) fn changed<'n>(&mut self, name: impl Into<Name<'n>>) {
        let name = name.into();
        if self.writes
            && let Some(slot) = self.slot_mut(name)
            && !std::mem::replace(&mut slot.dirty, true)
        {
            self.dirty.push(name.text.into());
        }
    }

    /// Lets an entry go that is for nothing any more.
    pub(crate) fn forget(&mut self, name: &str) {
        if self.remove(name).is_some_and(|slot| slot.stored) {
            self.gone.push(name.into());
        }
    }

    fn slot(&self, name: Name<'_>) -> Option<&Slot<T>> {
        self.slots.find(name.hash, |slot| slot.hash == name.hash)
    }

    fn slot_mut(&mut self, name: Name<'_>) -> Option<&mut Slot<T>> {
        self.slots.find_mut(name.hash, |slot| slot.hash == name.hash)
    }

    fn place(&mut self, name: Name<'_>, value: impl FnOnce() -> T) -> &mut Slot<T> {
        let same = |slot: &Slot<T>| slot.hash == name.hash;
        match self.slots.entry(name.hash, same, |slot| slot.hash) {
            Entry::Occupied(slot) => slot.into_mut(),
            Entry::Vacant(place) => {
                let (hash, name) = (name.hash, name.text.into());
                let slot = Slot { hash, name, value: value(), dirty: false, stored: false };
                place.insert(slot).into_mut()
            }
        }
    }

    fn remove(&mut self, name: &str) -> Option<Slot<T>> {
        let hash = hashed(name);
        let slot = self.slots.find_entry(hash, |slot| slot.hash == hash).ok()?;
        Some(slot.remove().0)
    }

    /// Forgets the lowest by rank, then by name: at most `count`, and none whose rank is `None`.
    /// How many went.
    pub(crate) fn evict<R: Ord>(&mut self, count: usize, rank: impl Fn(&T) -> Option<R>) -> usize {
        let ranked = self.slots.iter().filter_map(|slot| Some((rank(&slot.value)?, &*slot.name)));
        let mut ranked: Vec<(R, &str)> = ranked.collect();
        if count < ranked.len() {
            ranked.select_nth_unstable(count);
            ranked.truncate(count);
        }
        let names: Vec<Box<str>> = ranked.into_iter().map(|(_, name)| name.into()).collect();
        let evicted = names.len();
        for name in names {
            if self.remove(&name).is_some_and(|slot| slot.stored) {
                self.gone.push(name);
            }
        }
        self.evicted += evicted as u64;
        // One batch may make and forget any number; what waits to be written stays as bounded
        // as what there is.
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.retain(|name| self.contains(&**name));
        self.dirty = dirty;
        evicted
    }

    /// What changed since the last call, ordered by key; an empty state is one to delete.
    pub(crate) fn take(&mut self, key: impl Fn(&str) -> String) -> Vec<Learned> {
        let mut learned = Vec::new();
        for name in std::mem::take(&mut self.gone) {
            if !self.contains(&*name) {
                learned.push(Learned { key: key(&name), state: Vec::new() });
            }
        }
        // Names come in no order; keys begin alike, and cost more to compare.
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        learned.reserve(dirty.len());
        for name in dirty {
            let Some(slot) = self.slot_mut(Name::from(&*name)) else { continue };
            (slot.dirty, slot.stored) = (false, true);
            learned.push(Learned { key: key(&name), state: encode(&slot.value) });
        }
        learned.sort_by(|one, other| one.key.cmp(&other.key));
        learned
    }

    /// Takes an entry back from the store; whether it could be read.
    pub(crate) fn put<'n>(&mut self, name: impl Into<Name<'n>>, state: &[u8]) -> bool {
        let Some(value) = decode(state) else {
            self.unreadable += 1;
            return false;
        };
        let slot = self.place(name.into(), T::default);
        (slot.value, slot.dirty, slot.stored) = (value, false, true);
        true
    }
}

/// A state as it is stored.
pub(crate) fn encode<S: Serialize>(state: &S) -> Vec<u8> {
    // Nearly all are small: written in place, and copied once into as many bytes as they take. Room for more
    // would cost more to clear than it spares.
    let mut room = [0; 128];
    let (version, rest) = room.split_at_mut(1);
    version.copy_from_slice(&[VERSION]);
    if let Ok(used) = postcard::to_slice(state, rest) {
        let len = used.len();
        return room.get(..=len).unwrap_or_default().to_vec();
    }
    postcard::to_extend(state, vec![VERSION]).unwrap_or_default()
}

/// A stored state; `None` when another version wrote it or it is damaged.
pub(crate) fn decode<S: DeserializeOwned>(state: &[u8]) -> Option<S> {
    let (version, rest) = state.split_first()?;
    (*version == VERSION).then(|| postcard::from_bytes(rest).ok()).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn keys(learned: &[Learned]) -> Vec<(&str, bool)> {
        learned.iter().map(|one| (&*one.key, one.state.is_empty())).collect()
    }

    #[test]
    fn only_what_changed_is_taken_and_in_order() {
        let mut shelf = Shelf::<u32>::new();
        for name in ["b", "a", "c"] {
            *shelf.entry(name) = 1;
        }
        for name in ["b", "a", "b"] {
            shelf.changed(name);
        }
        assert_eq!(keys(&shelf.take(str::to_owned)), [("a", false), ("b", false)]);
        assert!(shelf.take(str::to_owned).is_empty());
    }

    #[test]
    fn the_store_deletes_only_what_it_has() {
        let mut shelf = Shelf::<u32>::new();
        *shelf.entry("stored") = 1;
        shelf.changed("stored");
        shelf.take(str::to_owned);
        *shelf.entry("never stored") = 2;
        shelf.changed("never stored");
        assert_eq!(shelf.evict(5, |value| Some(*value)), 2);
        assert_eq!(keys(&shelf.take(str::to_owned)), [("stored", true)]);
    }

    #[test]
    fn an_entry_that_comes_back_is_written_and_not_deleted() {
        let mut shelf = Shelf::<u32>::new();
        shelf.entry("a");
        shelf.changed("a");
        shelf.take(str::to_owned);
        shelf.evict(1, |value| Some(*value));
        shelf.entry("a");
        shelf.changed("a");
        assert_eq!(keys(&shelf.take(str::to_owned)), [("a", false)]);
    }

    #[test]
    fn eviction_goes_by_rank_then_name_and_spares_who_has_none() {
        let mut shelf = Shelf::<u32>::new();
        for (name, value) in [("d", 1), ("c", 1), ("b", 9), ("a", 0)] {
            *shelf.entry(name) = value;
        }
        assert_eq!(shelf.evict(1, |value| (*value > 0).then_some(*value)), 1);
        assert!(!shelf.contains("c") && shelf.contains("a") && shelf.contains("d"));
        assert_eq!(shelf.evicted(), 1);
    }

    #[test]
    fn state_of_another_version_is_ignored_and_counted() {
        let mut shelf = Shelf::<u32>::new();
        for state in [&[][..], &[1, 1], &[VERSION]] {
            assert!(!shelf.put("a", state));
        }
        assert_eq!((shelf.len(), shelf.unreadable()), (0, 3));
        assert!(shelf.put("a", &encode(&7_u32)) && shelf.put("a", &encode(&8_u32)));
        assert_eq!(shelf.get("a"), Some(&8));
    }
}
