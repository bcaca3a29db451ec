//! Thresholds learned from a group's own past.
//!
//! What is learned from is closed days only, and not a day on which the group raised (unless it
//! raised on three): a threshold that followed the running day would climb with the attack it is to find. How far it
//! may climb within a week is limited too. The state is a function of what was observed, whatever
//! the order within a day. It knows nothing of rules or events, only of numbers per day.

use super::shelf::Shelf;
use super::words::Name;
use crate::rule::{Lagged, LaggedBy};
use keywatch_event::Learned;
use serde::{Deserialize, Serialize};

/// Days of a week, over which growth is limited.
const WEEK: i32 = 7;
/// Up to how many days with events a group is worth more the more it has.
const WORTH_DAYS: usize = 7;
/// From how many days on which the group raised they are learned from after all: what somebody
/// does every night is what they do, and growth stays limited.
const ACCEPT_DAYS: usize = 3;
/// Least deviation, as a share of the median: a job that reads exactly as many every night is
/// not raised about for one more.
const SPREAD_SHARE_MIN: f64 = 0.05;
/// Between the rule and the group in a key; no baseline's key has it there.
const MARK: &str = "\u{1f}lagged ";

/// The past of the groups of one rule.
#[derive(Debug)]
pub(crate) struct Lag {
    groups: Shelf<Past>,
    bytes_max: usize,
    /// As the limit counts them.
    bytes: usize,
}

/// Bytes of a group beside its days: its slot in a table that is half full at worst, a name of some 60
/// bytes, and 16 for each of two blocks of the allocator.
const GROUP_BYTES: usize = 240;

/// What was measured of a group.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) struct Measured {
    /// The value, as the condition measures it.
    pub(crate) value: f64,
    /// Whether the group raised.
    pub(crate) alerted: bool,
}

/// One group's days, ordered. 32 bytes a day; [`Lagged::days`] of them and two weeks.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Past {
    days: Vec<Day>,
}

#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
struct Day {
    /// Days since 1970.
    date: i32,
    /// Whether the group raised on it.
    alerted: bool,
    /// The highest value of the day.
    highest: f64,
    /// The learned bound that was in force when the day was first observed.
    bound: Option<f64>,
}

/// A bound learned from the past, and the words for it.
struct LearnedBound {
    bound: f64,
    words: String,
}

impl Lag {
    /// Nothing known yet. Remembers at most `bytes_max`; a group takes about a kilobyte with 28 days.
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self { groups: Shelf::new(), bytes_max, bytes: 0 }
    }

    /// The same for a run whose state nobody stores.
    pub(crate) fn unwritten(mut self) -> Self {
        self.groups = self.groups.unwritten();
        self
    }

    /// How many groups are known.
    pub(crate) fn len(&self) -> usize {
        self.groups.len()
    }

    /// Bytes they take, as the limit counts them.
    pub(crate) fn bytes(&self) -> usize {
        self.bytes
    }

    /// How many groups were forgotten because of the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.groups.evicted()
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.groups.unreadable()
    }

    /// Notes what was measured of a group on a day (days since 1970).
    pub(crate) fn observe<'n>(
        &mut self,
        spec: &Lagged,
        group: impl Into<Name<'n>>,
        day: i32,
        seen: Measured,
    ) {
        let group = group.into();
        if !seen.value.is_finite() {
            return;
        }
        let past = self.groups.entry(group);
        let before = past.bytes();
        if past.observe(spec, day, seen) {
            let after = past.bytes();
            self.bytes = self.bytes + after - before;
            self.groups.changed(group);
            if self.bytes > self.bytes_max {
                self.make_room(spec, day);
            }
        }
    }

    /// The bound of a group on a day: `fixed`, or what its past says when that is higher. The
    /// words say what the learned bound rests on.
    pub(crate) fn bound<'n>(
        &self,
        spec: &Lagged,
        group: impl Into<Name<'n>>,
        day: i32,
        fixed: f64,
    ) -> (f64, Option<String>) {
        let learned = self.groups.get(group.into()).and_then(|past| past.bound(spec, day));
        match learned {
            Some(learned) => (learned.bound.max(fixed), Some(learned.words)),
            None => (fixed, None),
        }
    }

    /// State that changed since the last call, to be committed, ordered by key; an empty state
    /// is one to delete.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        self.groups.take(|group| format!("{rule}{MARK}{group}"))
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that
    /// cannot be read is ignored and counted.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        if let Some(group) = rest {
            let group = Name::from(group);
            let bytes = |groups: &Shelf<Past>| groups.get(group).map_or(0, Past::bytes);
            let before = bytes(&self.groups);
            self.groups.put(group, &learned.state);
            self.bytes = self.bytes + bytes(&self.groups) - before;
        }
    }

    /// Forgets a tenth, time and again until the rest is below the limit: first those whose days are too long
    /// ago to say anything, then those with the fewest days up to a week, which is what invented names
    /// have, then those not seen for longest.
    fn make_room(&mut self, spec: &Lagged, today: i32) {
        let kept = kept_days(spec);
        let rank = |past: &Past| {
            let last = past.days.last().map(|day| day.date);
            let counts = last.is_some_and(|last| today.saturating_sub(last) <= kept);
            (counts, past.days.len().min(WORTH_DAYS), last)
        };
        while self.bytes > self.bytes_max && self.groups.len() > 0 {
            self.groups.evict((self.groups.len() / 10).max(1), |past| Some(rank(past)));
            self.bytes = self.groups.iter().map(|(_, past)| past.bytes()).sum();
        }
    }
}

/// For how many days before the latest a group's days are kept.
fn kept_days(spec: &Lagged) -> i32 {
    i32::try_from(spec.days).unwrap_or(366).min(366) + 2 * WEEK
}

impl Past {
    /// Its bytes, as the limit counts them: 0 until a day was noted. A quarter of the days may be room
    /// to grow.
    fn bytes(&self) -> usize {
        match self.days.len() {
            0 => 0,
            days => GROUP_BYTES + (days + 1 + days / 4) * size_of::<Day>(),
        }
    }

    /// Whether the state changed.
    fn observe(&mut self, spec: &Lagged, day: i32, seen: Measured) -> bool {
        if let Ok(at) = self.days.binary_search_by_key(&day, |known| known.date) {
            let Some(known) = self.days.get_mut(at) else { return false };
            let before = *known;
            known.highest = known.highest.max(seen.value);
            known.alerted |= seen.alerted;
            return before != *known;
        }
        let newest = self.days.last().map_or(day, |last| last.date.max(day));
        let keep = kept_days(spec);
        if day < newest - keep {
            return false;
        }
        let bound = self.bound(spec, day).map(|learned| learned.bound);
        self.days.retain(|known| known.date >= newest - keep);
        let at = self.days.partition_point(|known| known.date < day);
        if self.days.len() == self.days.capacity() {
            self.days.reserve_exact(1 + self.days.len() / 4);
        }
        self.days.insert(at, Day { date: day, alerted: seen.alerted, highest: seen.value, bound });
        true
    }

    /// What the past says of a day; `None` when there is too little of it.
    fn bound(&self, spec: &Lagged, day: i32) -> Option<LearnedBound> {
        let days = i32::try_from(spec.days).unwrap_or(366).min(366);
        let known = || self.days.iter().filter(|past| past.date < day && past.date >= day - days);
        let raised = known().filter(|past| past.alerted).count();
        let usable = known().filter(|past| !past.alerted || raised >= ACCEPT_DAYS);
        let mut values: Vec<f64> = usable.map(|past| past.highest).collect();
        if values.len() < spec.days_min.max(1) {
            return None;
        }
        values.sort_unstable_by(f64::total_cmp);
        let free = by(spec.by, &values);
        let cap = self.week_before(day).map(|before| before * spec.growth_weekly_max.max(1.0));
        let Some(cap) = cap.filter(|cap| *cap < free.bound) else { return Some(free) };
        let words = format!("{}; its growth is limited to {} within a week", free.words, round(cap));
        Some(LearnedBound { bound: cap, words })
    }

    /// The learned bound seven days before, else the first one there was.
    fn week_before(&self, day: i32) -> Option<f64> {
        let with_bound = || self.days.iter().filter(|past| past.date < day && past.bound.is_some());
        let week = with_bound().rfind(|past| past.date <= day - WEEK);
        week.or_else(|| with_bound().next()).and_then(|past| past.bound)
    }
}

/// The bound that ordered daily values give.
fn by(by: LaggedBy, values: &[f64]) -> LearnedBound {
    match by {
        LaggedBy::Highest { factor, plus } => {
            let highest = values.last().copied().unwrap_or(0.0);
            let words = format!("highest of {} previous days: {}", values.len(), round(highest));
            LearnedBound { bound: factor * highest + plus, words }
        }
        LaggedBy::Spread { times } => {
            let middle = median(values);
            let mut off: Vec<f64> = values.iter().map(|value| (value - middle).abs()).collect();
            off.sort_unstable_by(f64::total_cmp);
            let spread = median(&off).max(1.0).max(middle * SPREAD_SHARE_MIN);
            let words = format!(
                "median of {} previous days: {}, median deviation {}",
                values.len(),
                round(middle),
                round(spread)
            );
            LearnedBound { bound: middle + times * spread, words }
        }
    }
}

/// The median of ordered values; of two in the middle, their mean.
fn median(values: &[f64]) -> f64 {
    let at = |place: usize| values.get(place).copied().unwrap_or(0.0);
    let half = values.len() / 2;
    if values.len() % 2 == 1 { at(half) } else { f64::midpoint(at(half.saturating_sub(1)), at(half)) }
}

/// A number for people: two decimals at most.
fn round(value: f64) -> f64 {
    (value * 100.0).round() / 100.0
}

#[cfg(test)]
#[path = "lagged_tests.rs"]
mod tests;
