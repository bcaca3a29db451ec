//! Which incidents took a key, and by which event they did.

use crate::engine::brief::Brief;
use crate::engine::entry::Entry;
use hashbrown::HashMap;
use std::sync::Arc;

/// Most keys an incident is found by: it is one alert of so many names or addresses by then. What comes
/// under a further key alone is another alert. Ten thousand take 2.4 MB.
const KEYS_MAX: usize = if cfg!(test) { 40 } else { 10_000 };

/// Incidents by the keys they took.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Index(HashMap<u128, Vec<Took>>);

/// An incident that took a key.
#[derive(Debug, PartialEq)]
struct Took {
    serial: u32,
    /// The first of its events that has the key; `None` when it is before all that can be judged again.
    by: Option<Arc<Brief>>,
}

impl Index {
    /// Serial numbers of the incidents that took a key, in order.
    pub(super) fn of(&self, key: u128) -> impl Iterator<Item = u32> {
        self.0.get(&key).into_iter().flatten().map(|took| took.serial)
    }

    /// When an incident took a key, in nanoseconds since 1970; the earliest there is when that is before all
    /// that can be judged again.
    pub(super) fn since(&self, key: u128, serial: u32) -> i64 {
        let mut took = self.0.get(&key).into_iter().flatten();
        let by = took.find(|took| took.serial == serial).and_then(|took| took.by.as_ref());
        by.map_or(i64::MIN, |by| by.time.unix_nanos())
    }

    /// As [`Self::of`], of those that took it by an event before the entry.
    pub(super) fn before(&self, key: u128, entry: &Entry) -> impl Iterator<Item = u32> {
        let took = self.0.get(&key).into_iter().flatten();
        let is_before = |took: &&Took| took.by.as_ref().is_none_or(|by| by.order() < entry.order());
        took.filter(is_before).map(|took| took.serial)
    }

    /// Forgets by which event a key was taken where that is sealed.
    pub(super) fn seal(&mut self, is_sealed: impl Fn(&Brief) -> bool) {
        for took in self.0.values_mut().flatten() {
            took.by.take_if(|by| is_sealed(by));
        }
    }

    /// An incident has a key by an event; a key it did not have joins `keys`, as long as these are not too
    /// many.
    pub(super) fn remember(&mut self, key: u128, (serial, by): (u32, &Arc<Brief>), keys: &mut Vec<u128>) {
        if keys.len() >= KEYS_MAX {
            return;
        }
        let took = self.0.entry(key).or_insert_with(|| Vec::with_capacity(1));
        if let Err(at) = took.binary_search_by_key(&serial, |took| took.serial) {
            took.insert(at, Took { serial, by: Some(Arc::clone(by)) });
            keys.push(key);
        }
    }

    /// The incident has these keys no more.
    pub(super) fn forget(&mut self, keys: impl Iterator<Item = u128>, serial: u32) {
        for key in keys {
            let Some(took) = self.0.get_mut(&key) else { continue };
            if let Ok(at) = took.binary_search_by_key(&serial, |took| took.serial) {
                took.remove(at);
            }
            if took.is_empty() {
                self.0.remove(&key);
            }
        }
    }
}
