//! Which secrets were new of an event that names known ones as well.
//!
//! One batch reads nine secrets its principal knows and one it never read. What counts, weighs and names new
//! secrets takes the one alone. Which it was is known when the event is judged; after a restart an event
//! comes back with the rules it met and no more, so this is kept and stored beside what is learned. An event
//! of which nothing is kept brought new secrets alone.

use super::baseline::Print;
use super::shelf::Shelf;
use crate::Signal;
use crate::field::{Field, Normal};
use crate::rule::{Baseline, Novel};
use keywatch_event::{EventTime, Learned};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most events of which this is kept. With two names of 110 bytes and ten prints each takes 400 bytes, all
/// 8 MB: one in seven seconds, a day long and more. The oldest go first: after a restart all their secrets
/// count as new.
const MIXED_MAX: usize = 20_000;
/// Between the baseline's rule and the event in a key; nothing else that is learned has it there.
const MARK: &str = "\u{1f}mixed ";

/// The new ones of an event's secrets, by what a baseline remembers of their ids.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct NewSecrets {
    /// Second of the event.
    secs: i64,
    prints: Vec<Print>,
}

impl NewSecrets {
    /// These are, of an event at that time.
    pub(crate) fn of<'i>(time: EventTime, ids: impl Iterator<Item = &'i str>) -> Self {
        Self { secs: time.secs(), prints: ids.map(Print::of_text).collect() }
    }

    /// Whether the secret with that id is one.
    pub(crate) fn has(&self, id: &str) -> bool {
        self.prints.contains(&Print::of_text(id))
    }

    /// What is new for either of two baselines.
    pub(crate) fn and(mut self, mut other: Self) -> Self {
        self.prints.append(&mut other.prints);
        self
    }
}

/// Whether a baseline says which secrets are new.
pub(crate) fn is_of_secrets(spec: &Baseline) -> bool {
    matches!(&spec.of, Novel::Values(fields) if matches!(fields[..], [Field::Normal(Normal::SecretsId)]))
}

/// The events that may be told again.
#[derive(Debug)]
pub(crate) struct Mixed {
    /// By key.
    kept: Shelf<NewSecrets>,
    by_secs: BTreeSet<(i64, Box<str>)>,
}

impl Mixed {
    /// None yet; `writes` says whether somebody stores them.
    pub(crate) fn new(writes: bool) -> Self {
        let kept = Shelf::new();
        Self { kept: if writes { kept } else { kept.unwritten() }, by_secs: BTreeSet::new() }
    }

    /// What was new of an event for the baseline of that rule, when not all of it was.
    pub(crate) fn get(&self, rule: &str, event: &str) -> Option<&NewSecrets> {
        self.kept.get(&*key(rule, event))
    }

    /// Keeps what was new of an event for the baseline of that rule.
    pub(crate) fn put(&mut self, rule: &str, event: &str, new: NewSecrets) {
        self.insert(&key(rule, event), new);
        while self.kept.len() > MIXED_MAX && self.forget_first() {}
    }

    /// The same of some events alone, for a run of its own over them.
    pub(crate) fn of(&self, events: &[Signal<'_>]) -> Self {
        let mut some = Self::new(false);
        for signal in events {
            for rule in &signal.rules {
                let key = key(rule, &signal.seen.event.id);
                if let Some(new) = self.kept.get(&*key) {
                    some.insert(&key, new.clone());
                }
            }
        }
        some
    }

    fn insert(&mut self, key: &str, new: NewSecrets) {
        if let Some(known) = self.kept.get(key) {
            self.by_secs.remove(&(known.secs, key.into()));
        }
        self.by_secs.insert((new.secs, key.into()));
        *self.kept.entry(key) = new;
        self.kept.changed(key);
    }

    fn forget_first(&mut self) -> bool {
        let first = self.by_secs.pop_first();
        first.is_some_and(|(_, key)| {
            self.kept.forget(&key);
            true
        })
    }

    /// How many could not be read back.
    pub(crate) fn unreadable(&self) -> u64 {
        self.kept.unreadable()
    }

    /// What changed since the last call, to be committed. Events from before `floor` are told again to nobody.
    pub(crate) fn take_learned(&mut self, floor: Option<EventTime>) -> Vec<Learned> {
        let floor = floor.map_or(i64::MIN, EventTime::secs);
        while self.by_secs.first().is_some_and(|(secs, _)| *secs < floor) {
            self.forget_first();
        }
        self.kept.take(str::to_owned)
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that cannot be read is
    /// ignored and counted.
    pub(crate) fn restore(&mut self, learned: &Learned) {
        let key = &*learned.key;
        if key.contains(MARK)
            && self.kept.put(key, &learned.state)
            && let Some(new) = self.kept.get(key)
        {
            self.by_secs.insert((new.secs, key.into()));
        }
    }
}

fn key(rule: &str, event: &str) -> String {
    [rule, MARK, event].concat()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn new(secs: i64) -> NewSecrets {
        NewSecrets::of(EventTime::from_secs(secs), ["a"].into_iter())
    }

    #[test]
    fn the_oldest_are_forgotten_and_deleted_when_there_are_too_many() {
        let mut mixed = Mixed::new(true);
        let most = i64::try_from(MIXED_MAX).unwrap();
        for at in 0..most {
            mixed.put("r", &format!("e{at}"), new(at));
        }
        assert_eq!(mixed.take_learned(None).len(), MIXED_MAX);
        mixed.put("r", "one more", new(most));
        assert!(mixed.get("r", "e0").is_none() && mixed.get("r", "e1").is_some());
        let learned = mixed.take_learned(Some(EventTime::from_secs(2)));
        let gone: Vec<&str> =
            learned.iter().filter(|one| one.state.is_empty()).map(|one| &*one.key).collect();
        assert_eq!(gone, ["r\u{1f}mixed e0", "r\u{1f}mixed e1"]);
        assert_eq!(mixed.kept.len(), mixed.by_secs.len());
    }

    #[test]
    fn what_was_stored_comes_back_as_it_was() {
        let mut mixed = Mixed::new(true);
        mixed.put("r", "e", new(7));
        let mut again = Mixed::new(true);
        mixed.take_learned(None).iter().for_each(|learned| again.restore(learned));
        again.restore(&Learned { key: "r\u{1f}mixed f".to_owned(), state: vec![0] });
        assert_eq!(again.get("r", "e"), Some(&new(7)));
        assert_eq!((again.get("r", "f"), again.unreadable()), (None, 1));
        assert!(new(7).has("a") && !new(7).has("b"));
    }
}
