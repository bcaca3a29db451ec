//! What a sweep needs to know beyond the group, and what it works out of that.

use super::Window;
use crate::engine::entry::{Entry, Role};
use crate::rule::{Count, Op, Rule};
use keywatch_event::{EventTime, Level};

/// What a sweep needs to know beyond the group.
pub(crate) struct Sweep<'s> {
    pub(crate) rule: &'s Rule,
    pub(crate) count: &'s Count,
    /// Which hits of an entry count.
    pub(crate) live: &'s dyn Fn(&Entry) -> u64,
    /// Whether a waiting entry is explained after all.
    pub(crate) explained: &'s dyn Fn(&Entry) -> bool,
    /// The level one entry has by itself.
    pub(crate) level: &'s dyn Fn(&Entry) -> Level,
    /// The learned bound for a day, and where it comes from; `None` for the rule's own.
    pub(crate) bound: &'s dyn Fn(EventTime) -> Option<(f64, String)>,
    /// Told of what the window comes to at each entry, and whether an incident is open.
    pub(crate) observe: &'s dyn Fn(EventTime, f64, bool),
}

impl Sweep<'_> {
    /// Whether windows count an entry, by what is known of explanations now.
    pub(super) fn counts(&self, entry: &Entry) -> bool {
        self.counts_as(entry, entry.live)
    }

    /// The same, if these of its hits count.
    pub(super) fn counts_as(&self, entry: &Entry, live: u64) -> bool {
        match entry.role {
            Role::Attached(..) => false,
            Role::Hit => live != 0,
            Role::Waiting(_) => live != 0 && !(self.explained)(entry),
        }
    }

    /// The learned bound at a time, asked only when the rule's own is met.
    pub(super) fn bound_at(&self, time: EventTime, observed: f64) -> Option<(f64, String)> {
        self.count.lagged.as_ref()?;
        self.fixed_holds(observed).then(|| (self.bound)(time))?
    }

    /// Whether a window that comes to that much, of the entries in it, opens an incident.
    pub(super) fn opens(
        &self,
        time: EventTime,
        (window, observed): (&Window, f64),
        entries: &[Box<Entry>],
    ) -> bool {
        let learned = self.bound_at(time, observed);
        self.holds(observed, learned.as_ref()) && window.any_holds(self.count, entries)
    }

    pub(super) fn fixed_holds(&self, observed: f64) -> bool {
        self.count.condition.bounds.iter().all(|(op, bound)| op.holds(observed, *bound))
    }

    pub(super) fn holds(&self, observed: f64, learned: Option<&(f64, String)>) -> bool {
        let over = |(bound, _): &(f64, String)| Op::Gte.holds(observed, *bound);
        self.fixed_holds(observed) && learned.is_none_or(over)
    }
}
