//! A group that cannot raise anything yet: what came, and nothing more.
//!
//! As long as too few events came for the condition to hold in any window, or a step of a sequence
//! never occurred, no sweep is needed. A sleeping group keeps its events in 40 bytes each, besides
//! the brief that all rules share, and everything else is made when it wakes: the same incidents
//! come of it, since they are a function of the entries.
//!
//! Invariant: a group sleeps only while its condition holds over no subset of its entries, and only
//! when what an entry needs can be told from its brief.

use super::brief::Brief;
use super::words::Said;
use crate::field::{Field, Normal};
use crate::rule::{Condition, Count, Counted, Op, Presence};
use keywatch_event::EventTime;
use std::sync::Arc;

/// Most distinct values a group that counts them keeps asleep: they are looked through one by one.
const VALUES_MAX: usize = 64;
/// Most hits and measured quantities of a rule whose groups sleep: bits of a light entry.
const BITS_MAX: usize = 16;

/// One event in a sleeping group.
#[derive(Clone, Debug)]
pub(crate) struct Light {
    pub(crate) brief: Arc<Brief>,
    pub(crate) note: Option<Arc<str>>,
    pub(crate) hits: u16,
    /// Which measured quantities it adds to, where that is a matter of matching.
    pub(crate) adds: u16,
    /// Number of the attachment it is, if it is one.
    pub(crate) attached: Option<u8>,
}

/// When groups of a rule wake.
#[derive(Clone, Debug)]
pub(crate) enum Wakes {
    /// When so many events are there.
    Events(usize),
    /// When so many distinct values are there.
    Values(usize),
    /// When these hits occurred.
    Hits(u64),
    /// When this holds of the hits that occurred.
    Present(Presence),
}

/// Entries of a sleeping group, in order.
#[derive(Debug, Default)]
pub(crate) struct Asleep {
    entries: Vec<Light>,
    /// The distinct values that were counted; some perhaps of entries that are gone.
    values: Vec<u64>,
    /// The hits that occurred; some perhaps of entries that are gone.
    hits: u64,
    /// How many of the oldest entries are sealed.
    sealed: usize,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Taken {
    Known,
    Beyond,
    Added,
}

impl Wakes {
    /// When groups of a rule wake; `None` when they never sleep.
    pub(crate) fn of(count: &Count) -> Option<Self> {
        let quantities = count.measured().count();
        let may = count.lagged.is_none()
            && count.timespan_secs > 0
            && count.hits.len().max(quantities) <= BITS_MAX
            && fields(count).all(is_told);
        if !may {
            return None;
        }
        let Condition { of, bounds } = &count.condition;
        match of {
            Counted::Events => least(bounds).map(Self::Events),
            Counted::Distinct(_) => least(bounds).filter(|least| *least <= VALUES_MAX).map(Self::Values),
            Counted::Ordered(steps) => Some(Self::Hits((0..steps.len()).fold(0, |all, hit| all | 1 << hit))),
            Counted::All(presence) if is_monotone(presence) => Some(Self::Present(presence.clone())),
            Counted::All(_)
            | Counted::Matching(_)
            | Counted::Sum(_)
            | Counted::Average(_)
            | Counted::Percentile(..) => None,
        }
    }

    /// Whether a group must be woken.
    pub(crate) fn wakes(&self, group: &Asleep) -> bool {
        match self {
            Self::Events(least) => group.entries.len() >= *least,
            Self::Values(least) => group.values.len() >= *least,
            Self::Hits(all) => group.hits & all == *all,
            Self::Present(presence) => occurred(presence, group.hits),
        }
    }
}

/// The least a window must come to, when it is more than one event comes to.
fn least(bounds: &[(Op, f64)]) -> Option<usize> {
    let least = bounds.iter().filter_map(|(op, bound)| match op {
        Op::Gte | Op::Eq => Some(bound.ceil()),
        Op::Gt => Some(bound.floor() + 1.0),
        Op::Lte | Op::Lt | Op::Neq => None,
    });
    let least = least.fold(0.0, f64::max);
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "a whole number between 2 and 2^32"
    )]
    let whole = (2.0..4e9).contains(&least).then_some(least as usize);
    whole
}

/// Whether it stays true when more occurs.
fn is_monotone(presence: &Presence) -> bool {
    match presence {
        Presence::Hit(_) => true,
        Presence::And(all) | Presence::Or(all) => all.iter().all(is_monotone),
        Presence::Not(_) => false,
    }
}

fn occurred(presence: &Presence, hits: u64) -> bool {
    match presence {
        Presence::Hit(hit) => hits >> hit & 1 == 1,
        Presence::And(all) => all.iter().all(|inner| occurred(inner, hits)),
        Presence::Or(any) => any.iter().any(|inner| occurred(inner, hits)),
        Presence::Not(inner) => !occurred(inner, hits),
    }
}

/// Every field an entry is made of.
fn fields(count: &Count) -> impl Iterator<Item = &Field> {
    let measured = count.measured().flat_map(|of| -> Vec<&Field> {
        match of {
            Counted::Distinct(per_hit) => per_hit.iter().flatten().collect(),
            Counted::Ordered(steps) => steps.iter().filter_map(|step| step.of.as_ref()).collect(),
            Counted::Sum(field) | Counted::Average(field) | Counted::Percentile(field, _) => vec![field],
            Counted::Events | Counted::Matching(_) | Counted::All(_) => Vec::new(),
        }
    });
    let attached = count.attach.iter().flat_map(|attach| &attach.on);
    count.incident.keys.iter().flatten().chain(measured).chain(attached)
}

/// Whether [`Brief::event`] tells the field.
fn is_told(field: &Field) -> bool {
    matches!(
        field,
        Field::Normal(
            Normal::Provider
                | Normal::Store
                | Normal::Account
                | Normal::PrincipalId
                | Normal::PrincipalKind
                | Normal::PrincipalName
                | Normal::PrincipalSession
                | Normal::PrincipalAccessKey
                | Normal::SourceIp
                | Normal::SourceKind
                | Normal::SourceRaw
                | Normal::SourceNetwork
                | Normal::UserAgent
                | Normal::UserAgentFamily
                | Normal::Actor
                | Normal::SecretsId
                | Normal::SecretsName
                | Normal::SecretsCount
        )
    )
}

impl Light {
    fn order(&self) -> (EventTime, &str) {
        (self.brief.time, &self.brief.id)
    }
}

impl Asleep {
    /// Takes an entry in, and the values it counts.
    pub(crate) fn take<'w>(&mut self, light: Light, values: impl Iterator<Item = Said<'w>>) -> Taken {
        let is_last = self.entries.last().is_none_or(|last| last.order() < light.order());
        let at = if is_last {
            self.entries.len()
        } else {
            self.entries.partition_point(|known| known.order() < light.order())
        };
        if self.entries.get(at).is_some_and(|known| known.order() == light.order()) {
            return Taken::Known;
        }
        if at < self.sealed {
            return Taken::Beyond;
        }
        self.hits |= u64::from(light.hits);
        if light.attached.is_none() {
            for Said { name, .. } in values {
                if !self.values.contains(&name.hash) {
                    self.values.push(name.hash);
                }
            }
        }
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(1 + self.entries.len() / 2);
        }
        self.entries.insert(at, light);
        Taken::Added
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Event time of the latest entry.
    pub(crate) fn latest(&self) -> Option<EventTime> {
        self.entries.last().map(|light| light.brief.time)
    }

    /// What it holds, and how many of the oldest are sealed.
    pub(crate) fn into_entries(self) -> (Vec<Light>, usize) {
        (self.entries, self.sealed)
    }

    /// Gives up judging what lies before `floor` again; what no window reaches any more goes.
    pub(crate) fn seal(&mut self, floor: EventTime, timespan_secs: i64) {
        let upto = self.entries.partition_point(|light| light.brief.time < floor);
        self.sealed = self.sealed.max(upto);
        let Some(latest) = self.latest() else { return };
        let keep_from = latest.min(floor).plus_secs(-timespan_secs);
        let old = self.entries.iter().take(self.sealed).take_while(|light| light.brief.time < keep_from);
        self.drop_oldest(old.count());
    }

    /// Lets all entries but the latest `keep` go.
    pub(crate) fn shed(&mut self, keep: usize) {
        self.drop_oldest(self.entries.len().saturating_sub(keep));
    }

    fn drop_oldest(&mut self, count: usize) {
        self.entries.drain(..count);
        self.sealed = self.sealed.saturating_sub(count);
    }
}

#[cfg(test)]
#[path = "asleep_tests.rs"]
mod tests;
