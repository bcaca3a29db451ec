//! From which networks an incident is: where one alert may be about several, whoever comes from another is news.
//!
//! An incident that is found by who it is alone, without from where, takes both what a nightly job does from
//! a new address and what a thief does with its credential hours later. Without this nobody would hear of the
//! second.
//!
//! Invariant: which events these are is a function of the set of events, whatever the order in which they come.

use super::{Incident, Member};
use crate::engine::entry::Entry;
use crate::field::{Field, Normal};
use crate::rule::Count;

/// Most networks told apart: so often at most a further one is told of, and so much of the evidence is theirs.
/// A proxy that changes its address with each request is not told of each time. Three members are about a
/// kilobyte.
pub(super) const PLACES_MAX: usize = 3;

/// The fields of a key that keep apart what is from different networks.
const PLACES: [Normal; 3] = [Normal::Actor, Normal::SourceNetwork, Normal::SourceIp];

impl Incident {
    /// The first event from each of its first networks, in order. Empty where the key says from where.
    pub(crate) fn places(&self) -> &[Member] {
        &self.places
    }

    /// Keeps the entry that joins when it is the first from its network.
    pub(super) fn see_place(&mut self, entry: &Entry, count: &Count) {
        if self.places.len() < PLACES_MAX && takes_several(count) && self.is_elsewhere(entry, |_| true) {
            self.places.push(Member::behind(entry));
        }
    }

    /// Whether the entry brings it a network that none before it brought.
    pub(crate) fn lacks_place_of(&self, entry: &Entry, count: &Count) -> bool {
        let precedes = |first: &Member| first.brief.order() < entry.order();
        let was_full = self.places.get(PLACES_MAX - 1).is_some_and(precedes);
        !was_full && takes_several(count) && self.is_elsewhere(entry, precedes)
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

/// Whether incidents of the rule are found by keys that do not say from where.
fn takes_several(count: &Count) -> bool {
    let keys = &count.incident.keys;
    let says_where = |field: &Field| PLACES.iter().any(|place| field.is(*place));
    !keys.iter().flatten().any(says_where)
}

#[cfg(test)]
#[path = "places_tests.rs"]
mod tests;
