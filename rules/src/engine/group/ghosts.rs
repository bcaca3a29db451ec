//! Incidents of which only an anchor is known: they take what they took, and nothing is told of them.
//!
//! One comes to be when the sweep has passed its opening, as any other does, and is gone again when the
//! sweep is wound back before that.

use super::Group;
use crate::engine::anchor::{ANCHOR_KEYS_MAX, Anchor};
use crate::engine::brief::{Brief, Who};
use crate::engine::entry::Entry;
use crate::engine::incident::Incident;
use keywatch_event::EventTime;
use std::sync::Arc;

impl Group {
    /// Has incidents come to be that are known by their anchors, and opened before the entry at `at`.
    pub(super) fn summon(&mut self, at: usize) {
        while let (Some(anchor), Some(entry)) = (self.ghosts.front(), self.entries.get(at)) {
            if anchor.order() >= entry.order() {
                return;
            }
            let Some(anchor) = self.ghosts.pop_front() else { return };
            let (incident, time) = (ghost(anchor, entry), entry.time);
            self.incidents.push(incident);
            self.give_keys(time);
        }
    }

    /// Gives the latest incident the keys that its anchor says it had by then.
    fn give_keys(&mut self, by: EventTime) {
        let serial = self.next_serial().saturating_sub(1);
        let Some(incident) = self.incidents.last_mut() else { return };
        let Some(anchor) = &incident.ghost else { return };
        let had = |(_, since): &&(u128, i64)| *since <= by.unix_nanos();
        for (key, _) in anchor.full.iter().filter(had) {
            self.full.remember(*key, (serial, &incident.opened_by), &mut incident.full_keys);
        }
        for (key, _) in anchor.base.iter().filter(had) {
            self.base.remember(*key, (serial, &incident.opened_by), &mut incident.base_keys);
        }
    }

    /// Whether an incident of which little is known opened with the entry at `at`.
    pub(super) fn is_haunted(&self, at: usize) -> bool {
        let order = |at: usize| self.entries.get(at).map(|entry| entry.order());
        self.ghosts.front().is_some_and(|anchor| Some(anchor.order()) == order(at))
    }

    /// The latest incident, which opened with what its opening found, is one of which little more is known.
    pub(super) fn haunt(&mut self) {
        let (Some(incident), Some(anchor)) = (self.incidents.last_mut(), self.ghosts.pop_front()) else {
            return;
        };
        (incident.first, incident.last) = (anchor.first(), anchor.last());
        incident.ghost = Some(Box::new(anchor));
        let by = incident.opened_by.time;
        self.give_keys(by);
    }

    /// Takes back what [`Self::summon`] did at `at`.
    pub(super) fn dismiss(&mut self, at: usize) {
        while let Some(incident) = self.incidents.last().filter(|incident| incident.is_nameless()) {
            let before = at.checked_sub(1).and_then(|at| self.entries.get(at));
            if before.is_some_and(|before| incident.opened_by.order() < before.order()) {
                return;
            }
            let Some(incident) = self.incidents.pop() else { return };
            let serial = self.next_serial();
            self.full.forget(incident.full_keys.into_iter(), serial);
            self.base.forget(incident.base_keys.into_iter(), serial);
            if let Some(anchor) = incident.ghost {
                self.ghosts.push_front(*anchor);
            }
        }
    }

    /// What a restart must know of an incident, but for the group.
    pub(super) fn anchor_of(&self, serial: u32, incident: &Incident) -> Anchor {
        let mut anchor = Anchor::of(incident);
        let full = incident.full_keys.iter().take(ANCHOR_KEYS_MAX);
        anchor.full = full.map(|key| (*key, self.full.since(*key, serial))).collect();
        let base = incident.base_keys.iter().take(ANCHOR_KEYS_MAX);
        anchor.base = base.map(|key| (*key, self.base.since(*key, serial))).collect();
        anchor
    }
}

/// The incident of an anchor, of which the entry is the first that is known.
fn ghost(anchor: Anchor, entry: &Entry) -> Incident {
    let (time, id) = anchor.order();
    let brief = |id: &str, time: EventTime, actor: Option<&str>| {
        let who = actor.map_or_else(
            || Arc::clone(&entry.brief.who),
            |actor| Arc::new(Who { actor: Arc::from(actor), ..Who::clone(&entry.brief.who) }),
        );
        Arc::new(Brief { id: id.into(), time, who, ..Brief::clone(&entry.brief) })
    };
    let earlier = |(_, since): &&(String, i64)| *since <= entry.time.unix_nanos();
    let actor =
        |(actor, since): &(String, i64)| brief("", EventTime::from_unix_nanos(*since, 9), Some(actor));
    let actors = anchor.actors.iter().filter(earlier).map(actor).collect();
    Incident::ghost(brief(id, time, None), actors, anchor)
}
