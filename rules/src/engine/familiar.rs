//! Events of which every baseline knows all there is to know.
//!
//! Most events are like one a moment ago: by the same principal, from the same network, about the same
//! secret. All baselines together then judge them the same, nothing is new, and there is nothing to
//! learn. One look-up says so, instead of one for each baseline.
//!
//! What was found out holds for as long as every sight would still be known and noted, and until somebody
//! whom the event is about loses anything that was known. Events are told apart by a hash of 64 bits of
//! all that baselines ask of them, under a random key, as names are everywhere in the engine.

use super::baseline::{Baselines, Noted};
use super::heard::Heard;
use super::words::{Words, hasher};
use crate::view::View;
use hashbrown::HashTable;
use std::hash::Hasher;

/// Most events remembered: about 3 MB. All are forgotten when there are more.
const FAMILIAR_MAX: usize = 65_536;
/// One event in so many must be familiar, or none are remembered during as many times as many.
const WORTH: u32 = 8;

/// Events that teach nothing.
#[derive(Debug, Default)]
pub(super) struct Familiar {
    known: HashTable<Known>,
    sought: u32,
    found: u32,
    /// For how many events more nothing is remembered, since they are too varied for that.
    rests: u32,
}

#[derive(Clone, Copy, Debug)]
struct Known {
    mark: u64,
    /// What was lost until then of those whom it is about.
    losses: u64,
    noted: Noted,
}

impl Familiar {
    /// What all baselines together ask of an event, as one number; `None` when nothing is remembered
    /// of it.
    pub(super) fn mark(&mut self, heard: &Heard, view: &View<'_>, words: &Words) -> Option<u64> {
        if heard.baselines.is_empty() || heard.taints {
            return None;
        }
        if self.rests > 0 {
            self.rests -= 1;
            return None;
        }
        let mut hash = hasher();
        hash.write_u64(heard.number);
        match view.event().source.ip {
            Some(std::net::IpAddr::V4(ip)) => hash.write_u32(ip.to_bits()),
            Some(std::net::IpAddr::V6(ip)) => hash.write_u128(ip.to_bits()),
            None => hash.write_u8(0),
        }
        for which in &heard.learned {
            hash.write_u8(u8::from(words.is_whole(*which)));
            for said in words.of(*which)? {
                hash.write_u64(said.name.hash);
            }
        }
        Some(hash.finish())
    }

    /// Whether an event with this mark came before.
    pub(super) fn knows(&self, mark: u64) -> bool {
        self.known.find(mark, |one| one.mark == mark).is_some()
    }

    /// Whether an event with this mark teaches nothing.
    pub(super) fn is(
        &mut self,
        mark: u64,
        heard: &Heard,
        (words, known): (&Words, &Baselines),
        now_secs: i64,
    ) -> bool {
        self.sought = self.sought.saturating_add(1);
        let Some(one) = self.known.find(mark, |one| one.mark == mark) else { return false };
        let is = one.noted.holds_at(now_secs) && one.losses == losses(heard, words, known);
        self.found = self.found.saturating_add(u32::from(is));
        is
    }

    /// An event with this mark teaches nothing from now on.
    pub(super) fn note(
        &mut self,
        mark: u64,
        heard: &Heard,
        (words, known): (&Words, &Baselines),
        noted: Noted,
    ) {
        if self.known.len() >= FAMILIAR_MAX {
            self.forget();
        }
        let one = Known { mark, losses: losses(heard, words, known), noted };
        let place = self.known.entry(mark, |one| one.mark == mark, |one| one.mark);
        *place.or_insert(one).get_mut() = one;
    }

    /// One that remembers nothing.
    #[cfg(test)]
    pub(super) fn never() -> Self {
        Self { rests: u32::MAX, ..Self::default() }
    }

    /// Forgets everything; it is gathered again only where enough of it was used.
    pub(super) fn forget(&mut self) {
        if self.found < self.sought / WORTH {
            self.rests = self.sought.saturating_mul(WORTH);
        }
        self.known = HashTable::new();
        (self.sought, self.found) = (0, 0);
    }
}

/// How often somebody the event is about lost something that was known; it only grows.
fn losses(heard: &Heard, words: &Words, known: &Baselines) -> u64 {
    let names = heard.about.iter().filter_map(|which| words.of(*which)).flatten();
    names.map(|said| known.losses(said.name)).sum()
}

#[cfg(test)]
#[path = "familiar_tests.rs"]
mod tests;
