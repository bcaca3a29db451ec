//! A late entry that changes nothing but itself and the incident it joins.
//!
//! Most do: the windows that hold it open nothing they did not open without it, and what its incident
//! takes it would have taken anyway. Then all that was swept after it stands, and it is put in its place.
//! What could turn out otherwise is judged as a sweep would judge it, before anything is changed;
//! when something does, or when telling would take as long as sweeping, nothing is changed and
//! the caller sweeps. The outcome is that of a sweep of all entries, to the last step that could
//! be taken back; the cost is what shares a window with the entry, not what came since.

use super::{Act, Group, Sweep, place_of};
use crate::engine::entry::{Entry, Fact, Role};
use crate::engine::incident::{Incident, Undo};
use crate::engine::window::{Window, grows};
use crate::rule::Count;
use keywatch_event::{EventTime, Level};

/// Entries of an incident that are asked whether a late one brings it a new value.
const NEIGHBOURS: usize = 64;

/// What comes of a late entry.
#[derive(Debug, Default)]
struct Outcome {
    /// The incident it joins, and what its own window comes to.
    joins: Option<(u32, f64)>,
    /// Where windows come to more than their incidents had seen: the place of the entry, its
    /// incident, and how much.
    more: Vec<(usize, u32, f64)>,
}

/// A late entry that joined an incident.
#[derive(Clone, Copy, Debug)]
struct Joined {
    serial: u32,
    at: EventTime,
    /// When the incident had its latest event before.
    before: EventTime,
}

impl Joined {
    /// Whether at `time` the incident takes or repeats what it would not have without the entry; asked
    /// until its next event.
    fn lasts_longer(&self, time: EventTime, count: &Count) -> bool {
        let by =
            |secs: i64| secs > 0 && time > self.before.plus_secs(secs) && time <= self.at.plus_secs(secs);
        by(count.incident.keep_alive_secs) || by(count.incident.repeats_secs)
    }

    /// From when on it makes no difference any more.
    fn until(&self, count: &Count) -> EventTime {
        self.at.plus_secs(count.incident.keep_alive_secs.max(count.incident.repeats_secs))
    }
}

impl Group {
    /// Puts an entry that lies before others that are swept in its place, and gives it back when what was swept after
    /// it does not stand.
    pub(super) fn slip_in(
        &mut self,
        at: usize,
        mut entry: Box<Entry>,
        sweep: &Sweep<'_>,
    ) -> Option<Box<Entry>> {
        entry.live = (sweep.live)(&entry);
        entry.counted = sweep.counts(&entry);
        let step = at - self.sealed;
        self.entries.insert(at, entry);
        self.steps.insert(step, Act::Nothing);
        if let Some(outcome) = self.foresee(at, sweep) {
            self.take_in(at, outcome, sweep);
            return None;
        }
        self.steps.remove(step);
        Some(self.entries.remove(at))
    }

    /// What comes of the entry at `at`, if all after it stands.
    fn foresee(&self, at: usize, sweep: &Sweep<'_>) -> Option<Outcome> {
        let (entry, count) = (self.entries.get(at)?, sweep.count);
        let time = entry.brief.time;
        if !entry.counted {
            let open = |incident: &Incident| incident.opened_by.time <= time && incident.takes(time, count);
            let joins_nothing = !matches!(entry.role, Role::Attached(..)) || !self.incidents.iter().any(open);
            return joins_nothing.then(Outcome::default);
        }
        if !self.entries.get(at + 1..self.swept())?.iter().rev().any(|later| later.counted) {
            return None;
        }
        let mut window = self.window_before(at, count);
        let observed = self.slide(&mut window, at, count);
        let Some(serial) = self.accepting_then(at, None, count) else {
            let opens = self.would_open((time, at), (&window, observed), sweep);
            (sweep.observe)(time, observed, opens);
            return if opens { None } else { self.foresee_rest(at, None, (window, observed), sweep) };
        };
        if !self.brings_nothing_new(serial, at, count) {
            return None;
        }
        (sweep.observe)(time, observed, true);
        let joined = Joined { serial, at: time, before: self.last_before(serial, at)? };
        self.foresee_rest(at, Some(joined), (window, observed), sweep)
    }

    /// The window before the late entry at `at`, made of what is fewer: the entries in it, or those that
    /// came since.
    fn window_before(&self, at: usize, count: &Count) -> Window {
        let Some(entry) = self.entries.get(at) else { return Window::new(count) };
        let since = entry.brief.time.plus_secs(-count.timespan_secs);
        let from = self.entries.partition_point(|entry| entry.brief.time < since);
        if self.swept() - at < at.saturating_sub(from) {
            return self.window.back_to(count, &self.entries, (at, self.swept()));
        }
        Window::before(count, &self.entries, at)
    }

    /// Goes through what shares a window with the entry at `at`, and through what its incident might
    /// take because of it.
    fn foresee_rest(
        &self,
        at: usize,
        joined: Option<Joined>,
        (mut window, observed): (Window, f64),
        sweep: &Sweep<'_>,
    ) -> Option<Outcome> {
        let count = sweep.count;
        let reach = self.entries.get(at)?.brief.time.plus_secs(count.timespan_secs);
        let mut outcome = Outcome { joins: joined.map(|joined| (joined.serial, observed)), more: Vec::new() };
        // Until the incident's next event.
        let mut open = joined;
        for (place, other) in self.entries.iter().enumerate().take(self.swept()).skip(at + 1) {
            let time = other.brief.time;
            let shares = time <= reach;
            if !shares && open.is_none_or(|open| time > open.until(count)) {
                break;
            }
            let act = self.step_at(place)?;
            let differs = open.is_some_and(|open| open.lasts_longer(time, count));
            let known = match act {
                Act::Opened(_) if shares || differs => return None,
                Act::Joined(serial, undo) => Some((*serial, undo.observed)),
                Act::Nothing | Act::Opened(_) => None,
            };
            if !other.counted {
                if differs && matches!(other.role, Role::Attached(..)) {
                    return None;
                }
                continue;
            }
            if (shares || differs) && self.accepting_then(place, joined, count) != known.map(|known| known.0)
            {
                return None;
            }
            if shares {
                let observed = self.look_at(place, known, &mut window, sweep)?;
                let more = known.filter(|(_, seen)| observed > *seen);
                outcome.more.extend(more.map(|(serial, _)| (place, serial, observed)));
            }
            open = open.filter(|open| known.is_none_or(|(serial, _)| serial != open.serial));
        }
        Some(outcome)
    }

    /// What the window at an entry comes to with the late one in it, if that changes nothing but what its
    /// incident has seen.
    fn look_at(
        &self,
        place: usize,
        known: Option<(u32, f64)>,
        window: &mut Window,
        sweep: &Sweep<'_>,
    ) -> Option<f64> {
        let time = self.entries.get(place)?.brief.time;
        let observed = self.slide(window, place, sweep.count);
        if known.is_none() {
            let opens = self.would_open((time, place), (window, observed), sweep);
            (sweep.observe)(time, observed, opens);
            return (!opens).then_some(observed);
        }
        (sweep.observe)(time, observed, true);
        // Otherwise it may have fallen, and the highest of the incident with it.
        grows(&sweep.count.condition.of).then_some(observed)
    }

    /// Moves a window on to the entry at `at`; what it comes to.
    fn slide(&self, window: &mut Window, at: usize, count: &Count) -> f64 {
        window.forward(&self.entries, at, count.timespan_secs);
        window.observed(count, self.entries.get(window.first..=at).unwrap_or_default())
    }

    fn would_open(
        &self,
        (time, at): (EventTime, usize),
        (window, observed): (&Window, f64),
        sweep: &Sweep<'_>,
    ) -> bool {
        let entries = self.entries.get(window.first..=at).unwrap_or_default();
        sweep.opens(time, (window, observed), entries)
    }

    /// As [`Self::accepting`], for an entry in the midst of what was swept, by what incidents were when it
    /// came; `joined` is late itself and known to none of them.
    fn accepting_then(&self, at: usize, joined: Option<Joined>, count: &Count) -> Option<u32> {
        if self.incidents.is_empty() {
            return None;
        }
        let entry = self.entries.get(at)?;
        let open = |serial: &u32| self.was_open(*serial, at, joined, count);
        let crowded =
            |serial: &u32| self.incident(*serial).is_some_and(|incident| incident.was_crowded(entry));
        let by_full = entry.keys.iter().filter_map(|key| self.full.before(key.full, entry).find(open));
        let by_base =
            entry.keys.iter().filter_map(|key| self.base.before(key.base, entry).filter(crowded).find(open));
        by_full.chain(by_base).min()
    }

    /// Whether an incident was open when the entry at `at` came.
    fn was_open(&self, serial: u32, at: usize, joined: Option<Joined>, count: &Count) -> bool {
        let (Some(incident), Some(entry)) = (self.incident(serial), self.entries.get(at)) else {
            return false;
        };
        let (time, limits) = (entry.brief.time, &count.incident);
        if incident.opened_by.order() >= entry.order()
            || time > incident.first.plus_secs(limits.max_duration_secs)
        {
            return false;
        }
        let Some(last) = self.last_before(serial, at) else { return false };
        let late = joined.filter(|joined| joined.serial == serial).map(|joined| joined.at);
        time <= last.max(late.unwrap_or(last)).plus_secs(limits.keep_alive_secs)
    }

    /// Event time of the latest event an incident had before the entry at `at`.
    fn last_before(&self, serial: u32, at: usize) -> Option<EventTime> {
        let last = self.incident(serial)?.last;
        Some(self.next_join(serial, at).map_or(last, |(_, undo)| undo.last))
    }

    /// The first entry at `at` or after it that joined an incident, as long as some that counts may
    /// have, and what the incident was before.
    pub(super) fn next_join(&self, serial: u32, at: usize) -> Option<(usize, &Undo)> {
        let last = self.incident(serial)?.last;
        let later = self.entries.iter().enumerate().take(self.swept()).skip(at);
        let mut later = later.take_while(|(_, entry)| entry.brief.time <= last);
        later.find_map(|(place, _)| match self.step_at(place)? {
            Act::Joined(other, undo) if *other == serial => Some((place, &**undo)),
            Act::Nothing | Act::Joined(..) | Act::Opened(_) => None,
        })
    }

    pub(super) fn step_at(&self, at: usize) -> Option<&Act> {
        self.steps.get(at.checked_sub(self.sealed)?)
    }

    /// Whether what an incident takes and how grave it is stays the same when the entry at `at` joins
    /// it, but for the entry's own level.
    fn brings_nothing_new(&self, serial: u32, at: usize, count: &Count) -> bool {
        let (Some(entry), Some(incident)) = (self.entries.get(at), self.incident(serial)) else {
            return false;
        };
        let has = |mut took: Box<dyn Iterator<Item = u32> + '_>| took.any(|other| other == serial);
        let has_keys = entry.keys.iter().all(|key| {
            has(Box::new(self.full.before(key.full, entry)))
                && has(Box::new(self.base.before(key.base, entry)))
        });
        let shares = |entry: &Entry| {
            !incident.is_full() && incident.members_before(entry).any(|member| member.shares == entry.shares)
        };
        let level = self.next_join(serial, at).map_or(incident.level, |(_, undo)| undo.level);
        has_keys
            && grows(&count.condition.of)
            && !incident.lacks_actor_of(entry)
            && !incident.lacks_place_of(entry)
            && (count.attach.is_empty() || shares(entry))
            && (count.incident.repeats_secs == 0 || self.knows_values(serial, at))
            && weighs_nothing(incident, (entry, level), count)
    }

    /// Whether the incident had the entry's values before it, as far as a few of its entries tell.
    fn knows_values(&self, serial: u32, at: usize) -> bool {
        let Some(entry) = self.entries.get(at) else { return true };
        let earlier = self.entries.get(..at).unwrap_or_default().iter().rev();
        let own = earlier.filter(|entry| entry.owner == Some(serial)).take(NEIGHBOURS);
        let brought = |entry: &Entry, value| {
            entry.facts.first().is_some_and(|fact| fact.values(entry.live).any(|own| own == value))
        };
        let known = |value| own.clone().any(|entry| brought(entry, value));
        entry.facts.first().is_none_or(|fact| fact.values(entry.live).all(known))
    }

    /// Puts what was foreseen into effect.
    fn take_in(&mut self, at: usize, outcome: Outcome, sweep: &Sweep<'_>) {
        let Some(entry) = self.entries.get(at) else { return };
        // Where nothing counts the window is empty.
        let swept = self.entries.get(..self.swept()).unwrap_or_default();
        if let Some(latest) = swept.iter().rfind(|entry| entry.counted) {
            self.window.slip_in(entry, latest.brief.time, sweep.count.timespan_secs);
        }
        if let Some((serial, observed)) = outcome.joins {
            self.join_late(at, serial, observed, sweep);
        }
        self.keep_around(at, outcome.more.last().map(|(place, ..)| *place), sweep.count);
        for (place, serial, observed) in outcome.more {
            self.raise(place, serial, Level::Info, observed);
            let incident = place_of(serial, self.serial).and_then(|place| self.incidents.get_mut(place));
            if let Some(incident) = incident.filter(|incident| incident.observed < observed) {
                incident.observed = observed;
                self.touch(serial);
            }
        }
    }

    fn join_late(&mut self, at: usize, serial: u32, observed: f64, sweep: &Sweep<'_>) {
        let (Some(entry), Some(incident)) = (self.entries.get(at), self.incident(serial)) else { return };
        let (time, level) = (entry.brief.time, (sweep.level)(entry));
        let undo = self.next_join(serial, at).map_or_else(|| incident.mark(), |(_, undo)| undo.clone());
        self.outlast(at, serial, time);
        self.raise(at, serial, level, observed);
        let incident = place_of(serial, self.serial).and_then(|place| self.incidents.get_mut(place));
        if let (Some(incident), Some(entry)) = (incident, self.entries.get(at)) {
            incident.slip_in(entry, (level, observed), sweep.count);
        }
        if let Some(act) = self.steps.get_mut(at - self.sealed) {
            *act = Act::Joined(serial, Box::new(undo));
        }
        self.own(at, Some(serial));
        self.keep(at);
        self.touch(serial);
    }

    /// The joins after the one at `at`, up to the next that counts, come to an incident that lasted
    /// until `time`.
    fn outlast(&mut self, at: usize, serial: u32, time: EventTime) {
        let later =
            self.steps.iter_mut().zip(self.entries.iter().skip(self.sealed)).skip(at + 1 - self.sealed);
        for (act, entry) in later {
            let Act::Joined(other, undo) = act else { continue };
            if *other == serial {
                undo.last = undo.last.max(time);
                if entry.counted {
                    return;
                }
            }
        }
    }

    /// The joins after the one at `at` come to an incident of at least this level that has seen at
    /// least so much.
    fn raise(&mut self, at: usize, serial: u32, level: Level, observed: f64) {
        for act in self.steps.iter_mut().skip(at + 1 - self.sealed) {
            let Act::Joined(other, undo) = act else { continue };
            if *other == serial {
                if undo.level >= level && undo.observed >= observed {
                    return;
                }
                undo.level = undo.level.max(level);
                undo.observed = undo.observed.max(observed);
            }
        }
    }
}

/// Whether an entry escalates nothing in an incident that had that level when it came.
fn weighs_nothing(incident: &Incident, (entry, level): (&Entry, Level), count: &Count) -> bool {
    let conditions = 1 + count.any.len();
    let mut escalations = count.escalate.iter().zip(entry.facts.iter().skip(conditions)).enumerate();
    escalations.all(|(at, (escalate, weighs))| {
        let known = |value: &u64| {
            incident.members_before(entry).any(|member| {
                matches!(member.weighs.get(at), Some(Fact::Values(values)) if values.contains(value))
            })
        };
        level >= escalate.to
            || !incident.is_full()
                && match weighs {
                    Fact::Adds(adds) => !adds,
                    Fact::Values(values) => {
                        values.is_empty() || escalate.within_secs == 0 && values.iter().all(known)
                    }
                    Fact::Numbers(_) | Fact::ByHit(_) => true,
                }
    })
}

#[cfg(test)]
#[path = "late_tests.rs"]
mod tests;
