//! From which networks an incident is: whoever comes from another is news.
//!
//! An incident that is found by who it is alone, or that is from so many places that it takes any, takes both
//! what a nightly job does from a new address and what a thief does with its credential hours later. Without
//! this nobody would hear of the second.
//!
//! Invariant: which events these are is a function of the set of events, whatever the order in which they come.

use super::{Incident, Member};
use crate::engine::entry::Entry;

/// Most networks told apart: so often less one a further one is told of, and so much of the evidence is theirs.
/// As many as a principal that KW-002 judges has in a week before wider networks are asked for, so that nobody
/// reaches the end of it there; a proxy that changes its address with each request is not told of each time.
/// Twelve members are two kilobytes beside what they name.
pub(super) const PLACES_MAX: usize = 12;

impl Incident {
    /// The first event from each of its first networks, in order.
    pub(crate) fn places(&self) -> &[Member] {
        &self.places
    }

    /// Keeps the entry that joins when it is the first from its network.
    pub(super) fn see_place(&mut self, entry: &Entry) {
        if self.places.len() < PLACES_MAX && self.is_elsewhere(entry, |_| true) {
            // Most incidents never have more than one.
            self.places.reserve_exact(usize::from(self.places.is_empty()));
            self.places.push(Member::behind(entry));
        }
    }

    /// Whether the entry brings it a network that none before it brought.
    pub(crate) fn lacks_place_of(&self, entry: &Entry) -> bool {
        let precedes = |first: &Member| first.brief.order() < entry.order();
        let was_full = self.places.get(PLACES_MAX - 1).is_some_and(precedes);
        !was_full && self.is_elsewhere(entry, precedes)
    }

    /// Whether the entry is from a network, and none of those that `precedes` is from it.
    fn is_elsewhere(&self, entry: &Entry, precedes: impl Fn(&Member) -> bool) -> bool {
        let own = &entry.brief.who.network;
        own.is_some() && !self.places.iter().any(|first| first.brief.who.network == *own && precedes(first))
    }

    /// Its networks, when there are several, each once and in order.
    pub(crate) fn networks(&self) -> Vec<String> {
        let networks = self.places.iter().filter_map(|first| first.brief.who.network.as_deref());
        let all: Vec<String> = networks.map(str::to_owned).collect();
        if all.len() > 1 { all } else { Vec::new() }
    }
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
