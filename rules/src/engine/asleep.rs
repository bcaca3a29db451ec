//! A group that cannot raise anything yet: what came, and nothing more.
//!
//! As long as no window holds enough for the condition, no sweep is needed. A sleeping group keeps
//! its events in 32 bytes each, besides the brief that all rules share, and when each value or step
//! was last seen; everything else is made when it wakes: the same incidents come of it, since they
//! are a function of the entries. In order that costs one look at what is recent. A late event may
//! wake a group that need not have been woken, never the other way round.
//!
//! Where past days say how much is usual, a group sleeps also while there is enough for the rule itself but
//! not for what was learned: somebody busy whose days are alike never wakes.
//!
//! Invariant: a group sleeps only while its condition holds in no window, and only when what an entry
//! needs can be told from its brief.

mod told;

use super::brief::Brief;
use super::instant::can_end;
use super::words::Said;
use crate::rule::{Condition, Count, Counted, Op, Presence, Step};
use keywatch_event::EventTime;
use std::sync::Arc;
use told::{fields, is_told};

/// Most values or events a window may need for its group to sleep: they are looked through one by
/// one.
const NEEDED_MAX: usize = 64;
/// Values of a sleeping group from which on those are dropped that no window reaches any more.
const SEEN_MIN: usize = 16;
/// Most hits and measured quantities of a rule whose groups sleep: bits of a light entry.
const BITS_MAX: usize = 16;
/// How many of the latest entries are looked at one by one for the place of another.
const LATELY: usize = 8;
/// How many entries say what is usual, at first; then twice as many, until it is found.
const USUAL_AFTER: u32 = 16;

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
pub(crate) struct Wakes {
    when: When,
    timespan_secs: i64,
    /// Whether what a window comes to is learned from, and must be right to the last event.
    is_learned: bool,
    /// Whether a group sleeps on as long as what was learned asks for more than the rule itself does.
    exceeds: bool,
}

/// What a window must hold for a group to wake.
#[derive(Clone, Debug)]
enum When {
    /// So many events.
    Events(usize),
    /// So many distinct values.
    Values(usize),
    /// These hits.
    Hits(u64),
    /// Hits of which this holds.
    Present(Presence),
}

/// Entries of a sleeping group, in order.
#[derive(Debug, Default)]
pub(crate) struct Asleep {
    entries: Vec<Light>,
    /// Event times of the oldest and the latest. Each entry's own lies in far memory: whoever goes
    /// through all groups needs these two alone.
    span: Option<(EventTime, EventTime)>,
    /// The distinct values that were counted, or the hits that occurred, with the latest time of
    /// each; some perhaps of entries that are gone.
    seen: Vec<(u64, EventTime)>,
    /// The latest of the times that were dropped.
    dropped: Option<EventTime>,
    /// How many of the oldest entries are sealed.
    sealed: usize,
    /// Whether the latest entry woke it.
    woken: bool,
}

/// What a group held that slept until now.
#[derive(Debug)]
pub(crate) struct Awakened {
    pub(crate) entries: Vec<Light>,
    /// How many of the oldest are sealed.
    pub(crate) sealed: usize,
    /// How many of the oldest were judged when they came, by what was learned until then: they opened
    /// nothing, whatever is known by now.
    pub(crate) judged: usize,
}

/// The hit that nearly all entries of a rule are, as far as such entries wake no group.
#[derive(Debug, Default)]
pub(crate) struct Usual {
    /// Once found it stays: in the backlog are groups in which nothing else happened.
    found: Option<u16>,
    seen: [u32; BITS_MAX],
    all: u32,
}

/// What became of an entry.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Taken {
    Known,
    Beyond,
    /// It was added, and the group sleeps on; what its window comes to, where that is learned from.
    Slept(Option<f64>),
    /// It was added, and the group must wake.
    Woken,
    /// The group must wake to take it in: what it changes about later entries follows from what is learned
    /// by now.
    Late,
}

impl Wakes {
    /// When groups of a rule wake; `None` when they never sleep.
    pub(crate) fn of(count: &Count) -> Option<Self> {
        let quantities = count.measured().count();
        let may = count.timespan_secs > 0
            && count.hits.len().max(quantities) <= BITS_MAX
            && !count.counts_by_hit()
            && fields(count).all(is_told);
        if !may {
            return None;
        }
        let Condition { of, bounds } = &count.condition;
        let needed = || least(bounds).filter(|least| *least <= NEEDED_MAX);
        let when = match of {
            Counted::Events => When::Events(needed()?),
            Counted::Distinct(_) => When::Values(needed()?),
            Counted::Ordered(steps) if steps.iter().all(|step| step.hits.is_power_of_two()) => {
                When::Hits(steps.iter().fold(0, |all, step| all | step.hits))
            }
            Counted::Ordered(steps) => When::Present(one_of_each(steps)),
            Counted::All(presence) if is_monotone(presence) => When::Present(presence.clone()),
            Counted::All(_)
            | Counted::Matching(_)
            | Counted::Sum(_)
            | Counted::Average(_)
            | Counted::Median(_)
            | Counted::Percentile(..) => return None,
        };
        let is_counted = matches!(when, When::Events(_) | When::Values(_));
        let is_learned = count.lagged.is_some();
        // What a window comes to is known to the last event then, and no later one takes any of it back.
        let exceeds = is_learned && matches!(when, When::Values(_)) && !can_end(count) && !count.is_chained();
        let timespan_secs = count.timespan_secs;
        (is_counted || !is_learned).then_some(Self { when, timespan_secs, is_learned, exceeds })
    }

    /// Whether the values an event brings are looked at.
    pub(crate) fn asks_values(&self) -> bool {
        matches!(self.when, When::Values(_))
    }

    /// Whether any number of entries of these hits alone leave a group asleep.
    fn sleeps_through(&self, hits: u16) -> bool {
        let hits = u64::from(hits);
        match &self.when {
            When::Events(_) | When::Values(_) => false,
            When::Hits(all) => hits & all != *all,
            When::Present(presence) => !occurred(presence, hits),
        }
    }

    /// How many values are kept before those are dropped that no window reaches any more.
    fn seen_max(&self) -> usize {
        match self.when {
            When::Values(needed) => SEEN_MIN.max(2 * needed),
            When::Events(_) | When::Hits(_) | When::Present(_) => usize::MAX,
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

/// A hit of each step.
fn one_of_each(steps: &[Step]) -> Presence {
    let hits =
        |step: &Step| (0..BITS_MAX).filter(|hit| step.hits >> hit & 1 == 1).map(Presence::Hit).collect();
    Presence::And(steps.iter().map(|step| Presence::Or(hits(step))).collect())
}

/// Whether what is met stays met when more occurs.
pub(crate) fn stays_met(count: &Count) -> bool {
    let stays = |Condition { of, bounds }: &Condition| {
        let is_lower = |op: &Op| matches!(op, Op::Gte | Op::Gt);
        bounds.iter().all(|(op, _)| is_lower(op))
            && match of {
                Counted::Events | Counted::Matching(_) | Counted::Distinct(_) | Counted::Ordered(_) => true,
                Counted::All(presence) => is_monotone(presence),
                Counted::Sum(_) | Counted::Average(_) | Counted::Median(_) | Counted::Percentile(..) => false,
            }
    };
    stays(&count.condition) && count.any.iter().all(stays)
}

/// Whether it stays true when more occurs.
fn is_monotone(presence: &Presence) -> bool {
    match presence {
        Presence::Hit(_) => true,
        Presence::And(all) | Presence::Or(all) | Presence::AtLeast(_, all) => all.iter().all(is_monotone),
        Presence::Not(_) => false,
    }
}

fn occurred(presence: &Presence, hits: u64) -> bool {
    match presence {
        Presence::Hit(hit) => hits >> hit & 1 == 1,
        Presence::And(all) => all.iter().all(|inner| occurred(inner, hits)),
        Presence::Or(any) => any.iter().any(|inner| occurred(inner, hits)),
        Presence::AtLeast(number, any) => any.iter().filter(|inner| occurred(inner, hits)).count() >= *number,
        Presence::Not(inner) => !occurred(inner, hits),
    }
}

impl Usual {
    /// Whether entries like this one wake no group, however many they are.
    pub(crate) fn is(&mut self, light: &Light, wakes: &Wakes) -> bool {
        light.attached.is_some() || self.of(wakes, light.hits).is_some_and(|usual| light.hits == usual)
    }

    /// The usual hit, once it is found; three in four entries are it.
    fn of(&mut self, wakes: &Wakes, hits: u16) -> Option<u16> {
        let is_sought = self.found.is_none() && !matches!(wakes.when, When::Events(_) | When::Values(_));
        if is_sought {
            let place = usize::try_from(hits.trailing_zeros()).unwrap_or(BITS_MAX);
            self.seen.get_mut(place).into_iter().for_each(|seen| *seen += 1);
            self.all = self.all.saturating_add(1);
            if self.all >= USUAL_AFTER && self.all.is_power_of_two() {
                let most = (0_u16..).zip(self.seen).find(|(_, seen)| *seen > self.all / 4 * 3);
                self.found = most.map(|(hit, _)| 1 << hit).filter(|usual| wakes.sleeps_through(*usual));
            }
        }
        self.found
    }
}

impl Light {
    fn order(&self) -> (EventTime, &str) {
        self.brief.order()
    }
}

impl Asleep {
    /// A group of usual entries, of which those before `floor` are sealed.
    pub(crate) fn of_usual(mut lights: Vec<Light>, wakes: &Wakes, floor: Option<EventTime>) -> Self {
        // Of those that came twice the first stays.
        lights.sort_by(|one, other| one.order().cmp(&other.order()));
        lights.dedup_by(|later, first| later.order() == first.order());
        let mut group = Self { entries: Vec::with_capacity(lights.len() + 1), ..Self::default() };
        for light in lights {
            group.take(light, wakes, std::iter::empty(), |_| true);
        }
        if let Some(floor) = floor {
            group.sealed = group.entries.partition_point(|light| light.brief.time < floor);
        }
        group
    }

    /// Takes an entry in, and the values it counts. `is_enough` says whether that many are, by what was
    /// learned.
    pub(crate) fn take<'w>(
        &mut self,
        light: Light,
        wakes: &Wakes,
        values: impl Iterator<Item = Said<'w>>,
        is_enough: impl FnOnce(f64) -> bool,
    ) -> Taken {
        let at = self.place_of(&light);
        if self.entries.get(at).is_some_and(|known| known.order() == light.order()) {
            return Taken::Known;
        }
        if at < self.sealed {
            return Taken::Beyond;
        }
        if wakes.exceeds && at < self.entries.len() {
            return Taken::Late;
        }
        let (time, hits, counts) = (light.brief.time, light.hits, light.attached.is_none());
        let is_late = self.latest().is_some_and(|latest| time < latest);
        self.span = Some(self.span.map_or((time, time), |(from, to)| (from.min(time), to.max(time))));
        if self.entries.len() == self.entries.capacity() {
            self.entries.reserve_exact(1 + self.entries.len() / 2);
        }
        self.entries.insert(at, light);
        // What is attached joins what is open, and opens nothing.
        if !counts {
            return Taken::Slept(None);
        }
        match wakes.when {
            When::Values(_) => values.for_each(|said| self.see(said.name.hash, time, wakes)),
            When::Hits(_) | When::Present(_) => {
                let occurred = (0..16).filter(|hit| hits >> hit & 1 == 1);
                occurred.for_each(|hit| self.see(hit, time, wakes));
            }
            When::Events(_) => {}
        }
        let taken = self.judge(wakes, (at, time, is_late), is_enough);
        self.woken = taken == Taken::Woken;
        taken
    }

    /// Where an entry belongs. Nearly every one is among the latest, whose briefs are in near memory.
    fn place_of(&self, light: &Light) -> usize {
        if self.latest().is_none_or(|latest| latest < light.brief.time) {
            return self.entries.len();
        }
        let order = light.order();
        let lately = self.entries.iter().rev().take(LATELY).position(|known| known.order() < order);
        match lately {
            Some(later) => self.entries.len() - later,
            None => self.entries.partition_point(|known| known.order() < order),
        }
    }

    /// Notes that a value or hit was there at that time.
    fn see(&mut self, key: u64, time: EventTime, wakes: &Wakes) {
        if let Some((_, last)) = self.seen.iter_mut().find(|(known, _)| *known == key) {
            *last = time.max(*last);
            return;
        }
        if self.seen.len() >= wakes.seen_max()
            && let Some(latest) = self.latest()
        {
            let reached = latest.plus_secs(-wakes.timespan_secs);
            let old = self.seen.iter().map(|(_, last)| *last).filter(|last| *last < reached);
            self.dropped = self.dropped.max(old.max());
            self.seen.retain(|(_, last)| *last >= reached);
        }
        if self.seen.len() == self.seen.capacity() {
            self.seen.reserve_exact(1 + self.seen.len() / 2);
        }
        self.seen.push((key, time));
    }

    /// Whether a window with the entry at `at` may hold enough.
    fn judge(
        &self,
        wakes: &Wakes,
        (at, time, is_late): (usize, EventTime, bool),
        is_enough: impl FnOnce(f64) -> bool,
    ) -> Taken {
        let since = time.plus_secs(-wakes.timespan_secs);
        // How much a late event changes what was learned from, and what was dropped before it
        // came, only a sweep can tell.
        if is_late && (wakes.is_learned || self.dropped.is_some_and(|dropped| dropped >= since)) {
            return Taken::Woken;
        }
        // What was last seen before the earliest window is in none; what was seen later is in one
        // or lies after it.
        let recent = || self.seen.iter().filter(|(_, last)| *last >= since);
        let (enough, found) = match &wakes.when {
            When::Events(needed) => {
                let found = self.around(at, since, *needed, wakes.timespan_secs);
                (found >= *needed, found)
            }
            When::Values(needed) => {
                let found = recent().count();
                (found >= *needed, found)
            }
            When::Hits(all) => (recent().fold(0, |hits, (hit, _)| hits | 1 << hit) & all == *all, 0),
            When::Present(presence) => {
                (occurred(presence, recent().fold(0, |hits, (hit, _)| hits | 1 << hit)), 0)
            }
        };
        if enough && !(wakes.exceeds && found <= NEEDED_MAX) {
            return Taken::Woken;
        }
        #[expect(clippy::cast_precision_loss, reason = "64 at most")]
        let observed = found as f64;
        if enough && is_enough(observed) {
            return Taken::Woken;
        }
        Taken::Slept(wakes.is_learned.then_some(observed))
    }

    /// How many events that count lie as near the one at `at` as one window reaches, before it and
    /// after it; looks no further than `needed`.
    fn around(&self, at: usize, since: EventTime, needed: usize, timespan_secs: i64) -> usize {
        let counts = |light: &&Light| light.attached.is_none();
        let Some((before, rest)) = self.entries.split_at_checked(at) else { return needed };
        let until = since.plus_secs(timespan_secs).plus_secs(timespan_secs);
        let before = before.iter().rev().take_while(|light| light.brief.time >= since).filter(counts);
        let after = rest.iter().take_while(|light| light.brief.time <= until).filter(counts);
        before.take(needed).count() + after.take(needed).count()
    }

    /// Looks at what the next event will touch first: a number of no meaning.
    pub(crate) fn look(&self) -> u64 {
        let latest = self.entries.last().map_or(0, |light| u64::from(light.hits));
        self.seen.first().map_or(latest, |(key, _)| latest ^ key)
    }

    /// How many entries there are.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Event time of the latest entry.
    pub(crate) fn latest(&self) -> Option<EventTime> {
        self.span.map(|(_, latest)| latest)
    }

    /// What it holds.
    pub(crate) fn into_entries(self, wakes: Option<&Wakes>) -> Awakened {
        let judged = self.entries.len() - usize::from(self.woken);
        let judged = if wakes.is_some_and(|wakes| wakes.exceeds) { judged } else { 0 };
        Awakened { entries: self.entries, sealed: self.sealed, judged }
    }

    /// Gives up judging what lies before `floor` again; what no window reaches any more goes.
    pub(crate) fn seal(&mut self, floor: EventTime, timespan_secs: i64) {
        let Some((oldest, latest)) = self.span.filter(|(oldest, _)| *oldest < floor) else { return };
        let upto = if latest < floor {
            self.entries.len()
        } else {
            self.entries.partition_point(|light| light.brief.time < floor)
        };
        self.sealed = self.sealed.max(upto);
        let keep_from = latest.min(floor).plus_secs(-timespan_secs);
        if oldest >= keep_from {
            return;
        }
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
        let times = |light: &Light| light.brief.time;
        self.span = self.entries.first().map(times).zip(self.entries.last().map(times));
    }
}

#[cfg(test)]
#[path = "asleep_tests.rs"]
mod tests;

#[cfg(test)]
mod busy_tests;
