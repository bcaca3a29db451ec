//! A sliding window over the entries of a group that can be wound back.
//!
//! Each measure takes entries in and lets them go again, so that moving the window one entry on,
//! or back, costs the same small amount however many entries lie in it.

use super::entry::{Entry, Fact};
use super::sequence::follows;
use crate::rule::{Condition, Count, Counted, Op, Presence, Step};
use hashbrown::HashMap;
use keywatch_event::EventTime;
use std::collections::BTreeMap;

/// What the entries of a window come to.
#[derive(Clone, Debug)]
pub(crate) struct Window {
    /// The rule's condition and its further ones.
    measures: Vec<Measure>,
    /// Position of the oldest entry in the window.
    pub(crate) first: usize,
}

/// One measured quantity.
#[derive(Clone, Debug)]
enum Measure {
    Count(u64),
    Distinct(HashMap<u64, u32>),
    /// How often each hit occurred.
    Occurred(Vec<u32>),
    /// Sum in millionths, and how many numbers.
    Sum(i128, u64),
    /// Numbers in millionths, and how often.
    Ranked(BTreeMap<i64, u32>, u64),
}

impl Measure {
    fn of(counted: &Counted, hits: usize) -> Self {
        match counted {
            Counted::Events | Counted::Matching(_) => Self::Count(0),
            Counted::Distinct(_) => Self::Distinct(HashMap::new()),
            Counted::All(_) | Counted::Ordered(_) => Self::Occurred(vec![0; hits]),
            Counted::Sum(_) | Counted::Average(_) => Self::Sum(0, 0),
            Counted::Median(_) | Counted::Percentile(..) => Self::Ranked(BTreeMap::new(), 0),
        }
    }

    fn add(&mut self, entry: &Entry, fact: &Fact) {
        match (self, fact) {
            (Self::Count(count), Fact::Adds(adds)) => *count += u64::from(*adds),
            (Self::Distinct(values), Fact::Values(new)) => {
                new.iter().for_each(|value| *values.entry(*value).or_insert(0) += 1);
            }
            (Self::Distinct(values), fact) => {
                fact.values(entry.live).for_each(|value| *values.entry(value).or_insert(0) += 1);
            }
            (Self::Occurred(occurred), _) => {
                let hits = occurred.iter_mut().enumerate().filter(|(hit, _)| entry.has_hit(*hit));
                hits.for_each(|(_, times)| *times += 1);
            }
            (Self::Sum(sum, count), Fact::Numbers(numbers)) => {
                *sum += numbers.iter().copied().map(i128::from).sum::<i128>();
                *count += numbers.len() as u64;
            }
            (Self::Ranked(ranked, count), Fact::Numbers(numbers)) => {
                numbers.iter().for_each(|number| *ranked.entry(*number).or_insert(0) += 1);
                *count += numbers.len() as u64;
            }
            _ => {}
        }
    }

    fn remove(&mut self, entry: &Entry, fact: &Fact) {
        match (self, fact) {
            (Self::Count(count), Fact::Adds(adds)) => *count -= u64::from(*adds),
            (Self::Distinct(values), Fact::Values(old)) => old.iter().for_each(|value| less(values, *value)),
            (Self::Distinct(values), fact) => fact.values(entry.live).for_each(|value| less(values, value)),
            (Self::Occurred(occurred), _) => {
                let hits = occurred.iter_mut().enumerate().filter(|(hit, _)| entry.has_hit(*hit));
                hits.for_each(|(_, times)| *times -= 1);
            }
            (Self::Sum(sum, count), Fact::Numbers(numbers)) => {
                *sum -= numbers.iter().copied().map(i128::from).sum::<i128>();
                *count -= numbers.len() as u64;
            }
            (Self::Ranked(ranked, count), Fact::Numbers(numbers)) => {
                for number in numbers {
                    if let Some(times) = ranked.get_mut(number).filter(|times| **times > 1) {
                        *times -= 1;
                    } else {
                        ranked.remove(number);
                    }
                }
                *count -= numbers.len() as u64;
            }
            _ => {}
        }
    }
}

pub(crate) fn less(values: &mut HashMap<u64, u32>, value: u64) {
    if let hashbrown::hash_map::Entry::Occupied(mut known) = values.entry(value) {
        *known.get_mut() -= 1;
        if *known.get() == 0 {
            known.remove();
        }
    }
}

impl Window {
    pub(crate) fn new(count: &Count) -> Self {
        let conditions = std::iter::once(&count.condition).chain(&count.any);
        let measures = conditions.map(|condition| Measure::of(&condition.of, count.hits.len())).collect();
        Self { measures, first: 0 }
    }

    /// The distinct values the rule's condition counts.
    pub(crate) fn values(&self) -> impl Iterator<Item = u64> {
        let distinct = self.measures.first().and_then(|measure| match measure {
            Measure::Distinct(values) => Some(values),
            Measure::Count(_) | Measure::Occurred(_) | Measure::Sum(..) | Measure::Ranked(..) => None,
        });
        distinct.into_iter().flat_map(HashMap::keys).copied()
    }

    /// Takes the entry at `at` in and lets go what is too old for it.
    pub(crate) fn forward(&mut self, entries: &[Box<Entry>], at: usize, timespan_secs: i64) {
        let Some(entry) = entries.get(at) else { return };
        let since = entry.time.plus_secs(-timespan_secs);
        while let Some(oldest) = entries.get(self.first).filter(|old| old.time < since) {
            self.remove(oldest);
            self.first += 1;
        }
        self.add(entry);
    }

    /// Makes ready for the oldest `count` entries to go.
    pub(crate) fn drop_oldest(&mut self, entries: &[Box<Entry>], count: usize) {
        entries.iter().take(count).skip(self.first).for_each(|entry| self.remove(entry));
        self.first = self.first.saturating_sub(count);
    }

    /// Undoes [`Self::forward`] for the entry at `at`, the latest taken in: what the one before it that
    /// counts still reached comes back.
    pub(crate) fn back(&mut self, entries: &[Box<Entry>], at: usize, timespan_secs: i64) {
        if let Some(entry) = entries.get(at) {
            self.remove(entry);
        }
        let before = entries.get(..at).unwrap_or_default().iter().rfind(|entry| entry.counted);
        let since = before.map(|entry| entry.time.plus_secs(-timespan_secs));
        while let Some(place) = self.first.checked_sub(1)
            && let Some(entry) = entries.get(place)
            && since.is_none_or(|since| entry.time >= since)
        {
            self.add(entry);
            self.first = place;
        }
    }

    /// A window as it was before the entry at `at` was taken in.
    pub(crate) fn before(count: &Count, entries: &[Box<Entry>], at: usize) -> Self {
        let mut window = Self::new(count);
        let Some(entry) = entries.get(at) else { return window };
        let since = entry.time.plus_secs(-count.timespan_secs);
        let earlier = entries.get(..at).unwrap_or_default();
        window.first = earlier.partition_point(|entry| entry.time < since);
        earlier.iter().skip(window.first).for_each(|entry| window.add(entry));
        window
    }

    /// The same, made of the window of the latest of the `swept` entries, of which it holds all but the
    /// one at `at`: cheaper when few came since.
    pub(crate) fn back_to(&self, count: &Count, entries: &[Box<Entry>], (at, swept): (usize, usize)) -> Self {
        let Some(entry) = entries.get(at) else { return Self::new(count) };
        let mut window = self.clone();
        // The entry has moved all after it.
        window.first += usize::from(at < window.first);
        let later = entries.iter().take(swept).skip((at + 1).max(window.first));
        later.for_each(|later| window.remove(later));
        window.first = window.first.min(at);
        let since = entry.time.plus_secs(-count.timespan_secs);
        while let Some(place) = window.first.checked_sub(1)
            && let Some(earlier) = entries.get(place).filter(|earlier| earlier.time >= since)
        {
            window.add(earlier);
            window.first = place;
        }
        window
    }

    /// Makes room for a late entry, when the latest that counts has the event time `latest`.
    pub(crate) fn slip_in(&mut self, entry: &Entry, latest: EventTime, timespan_secs: i64) {
        if entry.time < latest.plus_secs(-timespan_secs) {
            self.first += 1;
        } else {
            self.add(entry);
        }
    }

    fn add(&mut self, entry: &Entry) {
        if entry.counted {
            let facts = entry.facts.iter();
            self.measures.iter_mut().zip(facts).for_each(|(measure, fact)| measure.add(entry, fact));
        }
    }

    fn remove(&mut self, entry: &Entry) {
        if entry.counted {
            let facts = entry.facts.iter();
            self.measures.iter_mut().zip(facts).for_each(|(measure, fact)| measure.remove(entry, fact));
        }
    }

    /// What the rule's own condition comes to now; `window` are the entries from the oldest in
    /// the window to the latest. No number when there is none to measure: that meets no bound.
    pub(crate) fn observed(&self, count: &Count, window: &[Box<Entry>]) -> f64 {
        self.measures.first().map_or(0.0, |measure| value(measure, &count.condition.of, window))
    }

    /// Whether a further condition holds, or there is none.
    pub(crate) fn any_holds(&self, count: &Count, window: &[Box<Entry>]) -> bool {
        let further = self.measures.get(1..).unwrap_or_default();
        let met = |(condition, measure): (&Condition, &Measure)| {
            let got = value(measure, &condition.of, window);
            condition.bounds.iter().all(|(op, bound)| op.holds(got, *bound))
        };
        count.any.is_empty() || count.any.iter().zip(further).any(met)
    }
}

impl Op {
    /// Whether `value` stands so to `bound`.
    #[must_use]
    pub fn holds(self, value: f64, bound: f64) -> bool {
        match self {
            Self::Gte => value >= bound,
            Self::Gt => value > bound,
            Self::Lte => value <= bound,
            Self::Lt => value < bound,
            Self::Eq => (value - bound).abs() < f64::EPSILON,
            Self::Neq => (value - bound).abs() >= f64::EPSILON,
        }
    }
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52; sums are shown, not stored")]
fn value(measure: &Measure, of: &Counted, window: &[Box<Entry>]) -> f64 {
    match (measure, of) {
        (Measure::Count(count), _) => *count as f64,
        (Measure::Distinct(values), _) => values.len() as f64,
        (Measure::Occurred(occurred), Counted::All(presence)) => {
            f64::from(u8::from(present(presence, occurred)))
        }
        (Measure::Occurred(occurred), Counted::Ordered(steps)) => {
            let occurs = |step: &Step| {
                let times = occurred.iter().enumerate().filter(|(_, times)| **times > 0);
                times.fold(0, |hits, (hit, _)| hits | 1 << hit) & step.hits != 0
            };
            f64::from(u8::from(steps.iter().all(occurs) && follows(steps, window)))
        }
        (Measure::Occurred(_), _) => 0.0,
        (Measure::Sum(_, 0) | Measure::Ranked(_, 0), _) => f64::NAN,
        // Divided once: an average of just the bound is rounded to the number that the rule names.
        (Measure::Sum(sum, count), Counted::Average(_)) => *sum as f64 / (1e6 * *count as f64),
        (Measure::Sum(sum, _), _) => *sum as f64 / 1e6,
        (Measure::Ranked(ranked, count), Counted::Percentile(_, percent)) => {
            at_rank(ranked, nearest_rank(*count, *percent)) as f64 / 1e6
        }
        (Measure::Ranked(ranked, count), _) => {
            let middle = [count.div_ceil(2), count / 2 + 1].map(|rank| i128::from(at_rank(ranked, rank)));
            middle.iter().sum::<i128>() as f64 / 2e6
        }
    }
}

/// Whether a further entry never makes it less.
pub(crate) fn grows(of: &Counted) -> bool {
    match of {
        Counted::Events
        | Counted::Matching(_)
        | Counted::Distinct(_)
        | Counted::All(_)
        | Counted::Ordered(_) => true,
        Counted::Sum(_) | Counted::Average(_) | Counted::Median(_) | Counted::Percentile(..) => false,
    }
}

fn present(presence: &Presence, occurred: &[u32]) -> bool {
    match presence {
        Presence::Hit(hit) => occurred.get(*hit).is_some_and(|times| *times > 0),
        Presence::And(all) => all.iter().all(|inner| present(inner, occurred)),
        Presence::Or(any) => any.iter().any(|inner| present(inner, occurred)),
        Presence::AtLeast(number, any) => {
            any.iter().filter(|inner| present(inner, occurred)).count() >= *number
        }
        Presence::Not(inner) => !present(inner, occurred),
    }
}

/// The place of a percentile among ordered numbers, from 1, by the nearest-rank method: of the smallest
/// number that at least that share of all does not exceed. In whole numbers: 7 % of 100 are 7, and not one
/// more because 0.07 is no binary fraction.
#[expect(clippy::cast_possible_truncation, clippy::cast_sign_loss, reason = "a share from 0 to 100 million")]
fn nearest_rank(count: u64, percent: f64) -> u64 {
    let millionths = (percent * 1e6).round() as u128;
    let rank = (millionths * u128::from(count)).div_ceil(100_000_000);
    u64::try_from(rank).unwrap_or(count).max(1)
}

/// The number at that place among ordered ones, from 1.
fn at_rank(ranked: &BTreeMap<i64, u32>, rank: u64) -> i64 {
    let mut passed = 0;
    let mut reached = ranked.iter().filter(|(_, times)| {
        passed += u64::from(**times);
        passed >= rank
    });
    reached.next().map_or(0, |(number, _)| *number)
}
