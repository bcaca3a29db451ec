//! Where incidents opened, and how long they took events: what a restart must know of them beside the events
//! that are fed again.
//!
//! After a restart a rule is fed again with what may still matter, which begins in the midst of what is
//! older. Where an incident opens depends on the one before it: where somebody keeps at it without a pause one
//! is cut at its longest duration, the next opens, and so on back to the first. An anchor says of an incident
//! with which event it opened and what it takes. One that takes nothing more is there again by its
//! anchor alone; one that does is made again of its events, which all matter as long, and opens where it did.
//!
//! Invariant: anchors say nothing that the events of their groups do not say. They stand for those
//! that are not fed again.

use super::group::Order;
use super::incident::Incident;
use super::shelf::Shelf;
use super::words::{Name, hashed};
use crate::rule::Count;
use hashbrown::HashMap;
use keywatch_event::{AlertId, EventTime, Learned};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// Most incidents of one rule of which anchors are kept. With 400 bytes each 8 MB, which is what so many
/// alerts of one rule within some days take. Those that ended first go: one of theirs that goes on may be told
/// again under another id after a restart.
const ANCHORS_MAX: usize = 20_000;
/// Most keys an anchor names, 25 bytes each: the actors of an incident, and the secrets of one that
/// joins by them. Of more the earliest stay.
pub(crate) const ANCHOR_KEYS_MAX: usize = 64;
/// Between the rule and the incident in a key; nothing else that is learned has it there.
const MARK: &str = "\u{1f}anchor ";

/// One incident. Times are in nanoseconds since 1970.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Anchor {
    /// The group it is in.
    group: String,
    /// Time and id of the event it opened with.
    opened: (i64, String),
    /// Its first and its latest event.
    first: i64,
    last: i64,
    /// The keys it took, with and without the actor, and since when.
    pub(crate) full: Vec<(u128, i64)>,
    pub(crate) base: Vec<(u128, i64)>,
    /// Its first actors, and since when.
    pub(crate) actors: Vec<(String, i64)>,
}

impl Anchor {
    /// What there is to say of an incident, but for its group and its keys.
    pub(crate) fn of(incident: &Incident) -> Self {
        let opened = &incident.opened_by;
        Self {
            opened: (opened.time.unix_nanos(), opened.id.to_string()),
            first: incident.first.unix_nanos(),
            last: incident.last.unix_nanos(),
            actors: incident.first_actors(),
            ..Self::default()
        }
    }

    /// When the incident opened, among the entries of its group.
    pub(crate) fn order(&self) -> Order<'_> {
        (time(self.opened.0), &self.opened.1)
    }

    /// When its first event happened.
    pub(crate) fn first(&self) -> EventTime {
        time(self.first)
    }

    /// When its latest event happened.
    pub(crate) fn last(&self) -> EventTime {
        time(self.last)
    }

    /// Whether the incident takes nothing from `at` on.
    fn is_over(&self, at: EventTime, count: &Count) -> bool {
        let limits = &count.incident;
        let by_age = self.first().plus_secs(limits.max_duration_secs);
        let by_rest = self.last().plus_secs(limits.keep_alive_secs);
        by_age.min(by_rest) < at
            && (limits.repeats_secs == 0 || self.last().plus_secs(limits.repeats_secs) < at)
    }
}

fn time(nanos: i64) -> EventTime {
    EventTime::from_unix_nanos(nanos, 9)
}

/// What is known of a group from before a restart.
#[derive(Clone, Debug, Default)]
pub(crate) struct Past {
    /// From when on everything is known, and judged by itself.
    pub(crate) until: Option<EventTime>,
    /// Incidents that were over by then, in order of opening.
    pub(crate) over: Vec<Anchor>,
    /// Those that were not.
    pub(crate) open: Vec<Anchor>,
}

impl Past {
    /// Whether an incident opens with the entry of that order: `None` where that is judged by itself.
    pub(crate) fn opens(&self, order: Order<'_>) -> Option<bool> {
        self.until.filter(|until| order.0 < *until)?;
        Some(self.open.iter().any(|anchor| anchor.order() == order))
    }
}

/// What is known of all groups of a rule from before a restart.
#[derive(Debug, Default)]
pub(crate) struct Pasts {
    until: Option<EventTime>,
    groups: HashMap<u64, Past>,
}

impl Pasts {
    /// Whether incidents of a group are known.
    pub(crate) fn has(&self, group: u64) -> bool {
        self.groups.contains_key(&group)
    }

    /// What is known of a group, by what its name is hashed to.
    pub(crate) fn take(&mut self, group: u64) -> Option<Past> {
        let until = Some(self.until?);
        Some(Past { until, ..self.groups.remove(&group).unwrap_or_default() })
    }
}

/// The anchors of one rule, by the id of the alert.
#[derive(Debug)]
pub(crate) struct Anchors {
    kept: Shelf<Anchor>,
    by_last: BTreeSet<(i64, Box<str>)>,
    writes: bool,
    evicted: u64,
}

impl Anchors {
    /// None yet; `writes` says whether somebody stores them. They serve nobody else.
    pub(crate) fn new(writes: bool) -> Self {
        Self { kept: Shelf::new(), by_last: BTreeSet::new(), writes, evicted: 0 }
    }

    /// Whether anchors are kept.
    pub(crate) fn are_kept(&self) -> bool {
        self.writes
    }

    /// How many were let go for want of room.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// How many could not be read back.
    pub(crate) fn unreadable(&self) -> u64 {
        self.kept.unreadable()
    }

    /// An incident of a group stands so.
    pub(crate) fn put(&mut self, group: &str, id: &AlertId, anchor: Anchor) {
        let anchor = Anchor { group: group.to_owned(), ..anchor };
        let known = self.kept.get(&*id.0);
        if known == Some(&anchor) {
            return;
        }
        if let Some(last) = known.map(|known| known.last) {
            self.by_last.remove(&(last, id.0.as_str().into()));
        }
        self.by_last.insert((anchor.last, id.0.as_str().into()));
        *self.kept.entry(&*id.0) = anchor;
        self.kept.changed(&*id.0);
        while self.kept.len() > ANCHORS_MAX && self.forget_first() {
            self.evicted += 1;
        }
    }

    /// An incident stands no more.
    pub(crate) fn remove(&mut self, id: &AlertId) {
        if let Some(last) = self.kept.get(&*id.0).map(|known| known.last) {
            self.by_last.remove(&(last, id.0.as_str().into()));
            self.kept.forget(&id.0);
        }
    }

    fn forget_first(&mut self) -> bool {
        let first = self.by_last.pop_first();
        first.is_some_and(|(_, id)| {
            self.kept.forget(&id);
            true
        })
    }

    /// What the rule's groups are told of the past, when everything from `until` on will be fed again.
    pub(crate) fn pasts(&self, until: EventTime, count: &Count) -> Pasts {
        let mut groups: HashMap<u64, Past> = HashMap::new();
        for (_, anchor) in self.kept.iter() {
            let past = groups.entry(hashed(&anchor.group)).or_default();
            let side = if anchor.is_over(until, count) { &mut past.over } else { &mut past.open };
            side.push(anchor.clone());
        }
        for past in groups.values_mut() {
            past.over.sort_by(|one, other| one.order().cmp(&other.order()));
        }
        Pasts { until: Some(until), groups }
    }

    /// What changed since the last call, to be committed. Incidents that had their latest event
    /// before `floor` are for nothing: nothing of them is fed again.
    pub(crate) fn take_learned(&mut self, rule: &str, floor: Option<EventTime>) -> Vec<Learned> {
        let floor = floor.map_or(i64::MIN, EventTime::unix_nanos);
        while self.by_last.first().is_some_and(|(last, _)| *last < floor) {
            self.forget_first();
        }
        self.kept.take(|id| format!("{rule}{MARK}{id}"))
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that cannot be read is
    /// ignored and counted.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        let Some(id) = rest else { return };
        let name = Name::from(id);
        if self.kept.put(name, &learned.state)
            && let Some(anchor) = self.kept.get(name)
        {
            self.by_last.insert((anchor.last, id.into()));
        }
    }
}

#[cfg(test)]
#[path = "anchor_tests.rs"]
mod tests;
