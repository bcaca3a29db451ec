//! One group of one counting rule: its entries in event-time order, and the incidents they make.
//!
//! The incidents are a function of the set of entries. A sweep walks them in order, slides the
//! window and opens and joins incidents. An entry that comes late is put in its place when what was
//! swept after it stands (`late.rs`). Otherwise, and when an explanation changes what an earlier entry
//! means, the sweep is wound back to that place. It goes on from there when somebody needs to know:
//! a further entry only up to its own place, whoever asks for changes to the end. What lies after a place
//! is thus swept once for all that came late before it. Arrival order, batch borders and duplicates
//! change nothing.
//!
//! What an entry raised when it came is judged by what lies before it, as if all had come in order.

mod again;
mod forgetting;
mod ghosts;
mod index;
mod keeping;
mod late;
mod sweep;
mod telling;
mod waking;

pub(crate) use sweep::Sweep;
pub(crate) use telling::Change;
pub(crate) use waking::Slept;

use super::anchor::{Anchor, Past};
use super::brief::Brief;
use super::entry::{Entry, Role};
use super::incident::{Incident, Member, Undo};
use super::instant::{self, can_end};
use super::window::Window;
use crate::rule::Count;
use index::Index;
use keywatch_event::{EventTime, Level};
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::Arc;

/// Where something is among the entries of a group.
pub(crate) type Order<'o> = (EventTime, &'o str);

/// Entries and incidents of one group.
#[derive(Debug)]
pub(crate) struct Group {
    #[expect(clippy::vec_box, reason = "a late entry moves all after it: 8 bytes each, not 200")]
    entries: Vec<Box<Entry>>,
    /// How many of the oldest entries are swept for good: they fill windows and are not looked
    /// at again.
    sealed: usize,
    /// What the sweep did at each entry after those, as far as it went.
    steps: Vec<Act>,
    window: Window,
    /// In order of opening; the serial number of the first is `serial`.
    incidents: Vec<Incident>,
    serial: u32,
    /// Incidents by the keys they took, with and without the actor.
    full: Index,
    base: Index,
    /// Incidents that were told of and undone.
    undone: Vec<Incident>,
    /// Incidents known by their anchors that the sweep has not come to yet, in order of opening.
    ghosts: VecDeque<Anchor>,
    /// What is known from before a restart, until that is sealed.
    past: Option<Box<Past>>,
    /// Events that matter longer than was said of them.
    kept: Vec<Arc<Brief>>,
    /// Places that were looked through for what stands behind incidents, and are not again.
    looked: Range<usize>,
    /// Serial numbers of incidents that changed since they were last told of; some perhaps twice.
    touched: Vec<u32>,
    /// Whether there may be anything to tell.
    pub(crate) dirty: bool,
    #[cfg(test)]
    steps_taken: usize,
}

/// What the sweep did at one entry.
#[derive(Debug, PartialEq)]
enum Act {
    Nothing,
    /// Joined or was attached to the incident of this serial number.
    Joined(u32, Box<Undo>),
    /// Opened the latest incident; the entries it took, with the incident they had.
    Opened(Vec<(Arc<Brief>, Option<u32>)>),
}

/// What became of an entry that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was there already.
    Known,
    /// It lies before what can still be judged here.
    Beyond,
    /// It was swept, and joined or opened an incident that then had this level, if any.
    Swept(Option<Level>),
}

impl Group {
    pub(crate) fn new(count: &Count) -> Self {
        Self {
            // Most groups never hold more than one entry.
            entries: Vec::with_capacity(1),
            sealed: 0,
            steps: Vec::with_capacity(1),
            window: Window::new(count),
            incidents: Vec::new(),
            serial: 0,
            full: Index::default(),
            base: Index::default(),
            undone: Vec::new(),
            ghosts: VecDeque::new(),
            past: None,
            kept: Vec::new(),
            looked: 0..0,
            touched: Vec::new(),
            dirty: false,
            #[cfg(test)]
            steps_taken: 0,
        }
    }

    /// Takes an entry in.
    pub(crate) fn insert(&mut self, entry: Entry, sweep: &Sweep<'_>) -> Arrival {
        // Nearly every entry is the latest.
        let is_before = |last: &Entry| last.time < entry.time || last.order() < entry.order();
        let is_last = self.entries.last().is_none_or(|last| is_before(last));
        let at = if is_last { self.entries.len() } else { self.place_of(&entry) };
        if self.entries.get(at).is_some_and(|known| known.order() == entry.order()) {
            return Arrival::Known;
        }
        if at < self.sealed {
            return Arrival::Beyond;
        }
        let entry = Box::new(entry);
        if at < self.swept() && !can_end(sweep.count) {
            self.place_late(at, entry, sweep);
        } else {
            self.wind_back(self.since(at, entry.brief.time, sweep.count), sweep.count);
            self.entries.insert(at, entry);
        }
        Arrival::Swept(self.level_at(at, sweep))
    }

    /// The level an entry's incident had when it joined or opened it.
    pub(crate) fn level_of(&mut self, brief: &Brief, sweep: &Sweep<'_>) -> Option<Level> {
        let at = self.position(brief)?;
        self.level_at(at, sweep)
    }

    /// Sweeps what is left.
    pub(crate) fn finish(&mut self, sweep: &Sweep<'_>) {
        self.go_on(self.entries.len(), sweep);
    }

    /// How many entries the sweep has passed.
    fn swept(&self) -> usize {
        self.sealed + self.steps.len()
    }

    fn position(&self, brief: &Brief) -> Option<usize> {
        self.entries.binary_search_by(|entry| entry.order().cmp(&brief.order())).ok()
    }

    fn place_of(&self, entry: &Entry) -> usize {
        self.entries.partition_point(|known| known.order() < entry.order())
    }

    /// The level of what the entry at `at` joined or opened, as it was then.
    fn level_at(&mut self, at: usize, sweep: &Sweep<'_>) -> Option<Level> {
        // Learned thresholds follow the order of arrival: they are told of every window at once.
        self.go_on(if sweep.count.lagged.is_some() { self.entries.len() } else { at + 1 }, sweep);
        self.dirty |= self.swept() < self.entries.len();
        let serial = match self.step_at(at)? {
            Act::Nothing => return None,
            Act::Joined(serial, _) => *serial,
            Act::Opened(_) => self.opened_by(at)?,
        };
        let then = self.next_join(serial, at + 1).map(|(_, undo)| undo.level);
        then.or_else(|| self.incident(serial).map(|incident| incident.level))
    }

    /// The incident that the entry at `at` opened.
    fn opened_by(&self, at: usize) -> Option<u32> {
        let order = self.entries.get(at)?.order();
        let place =
            self.incidents.binary_search_by(|incident| incident.opened_by.order().cmp(&order)).ok()?;
        Some(self.serial + u32::try_from(place).unwrap_or(u32::MAX))
    }

    /// From where on entries are swept again when the one at `at` comes or changes.
    fn since(&self, at: usize, time: EventTime, count: &Count) -> usize {
        at - instant::again(self.entries.get(self.sealed..at).unwrap_or_default(), time, count)
    }

    /// Looks at what the next event will touch first: a number of no meaning.
    pub(crate) fn look(&self) -> u64 {
        let oldest = self.entries.get(self.window.first).map_or(0, |entry| entry.hits);
        self.entries.last().map_or(oldest, |entry| oldest ^ entry.hits)
    }

    /// How many entries are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.incidents.is_empty()
    }

    /// Event time of the latest entry.
    pub(crate) fn latest(&self) -> Option<EventTime> {
        self.entries.last().map(|entry| entry.brief.time)
    }

    /// Whether an incident is open at `at`.
    pub(crate) fn is_open(&self, at: EventTime, count: &Count) -> bool {
        self.incidents.iter().any(|incident| incident.takes(at, count))
    }

    fn incident(&self, serial: u32) -> Option<&Incident> {
        self.incidents.get(place_of(serial, self.serial)?)
    }

    fn next_serial(&self) -> u32 {
        self.serial + u32::try_from(self.incidents.len()).unwrap_or(u32::MAX)
    }

    fn wind_back(&mut self, to: usize, count: &Count) {
        while self.swept() > to {
            let Some(act) = self.steps.pop() else { return };
            let at = self.swept();
            self.take_back(at, act, count);
            self.dismiss(at);
            self.look_back(at);
            if self.entries.get(at).is_some_and(|entry| entry.counted) {
                self.window.back(&self.entries, at, count.timespan_secs);
            }
            if let Some(entry) = self.entries.get_mut(at) {
                entry.counted = false;
            }
        }
    }

    fn take_back(&mut self, at: usize, act: Act, count: &Count) {
        match act {
            Act::Nothing => {}
            Act::Joined(serial, undo) => {
                if let Some(incident) =
                    place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at))
                {
                    self.full.forget(incident.full_keys.drain(undo.full_keys..), serial);
                    self.base.forget(incident.base_keys.drain(undo.base_keys..), serial);
                    incident.undo(&undo);
                    if let Some(entry) = self.entries.get(at).filter(|entry| entry.counted) {
                        incident.bring(entry, count, true);
                    }
                }
                self.touch(serial);
                self.own(at, None);
            }
            Act::Opened(taken) => {
                let Some(mut incident) = self.incidents.pop() else { return };
                let serial = self.next_serial();
                if let Some(anchor) = incident.ghost.take() {
                    self.ghosts.push_front(*anchor);
                }
                self.full.forget(incident.full_keys.drain(..), serial);
                self.base.forget(incident.base_keys.drain(..), serial);
                for (brief, before) in taken {
                    if let Some(at) = self.position(&brief) {
                        self.own(at, before);
                    }
                }
                if incident.told.is_some() {
                    self.dirty = true;
                    self.undone.push(incident);
                }
            }
        }
    }

    fn own(&mut self, at: usize, owner: Option<u32>) {
        if let Some(entry) = self.entries.get_mut(at) {
            entry.owner = owner;
        }
    }

    /// Notes that there is something new about an incident.
    fn touch(&mut self, serial: u32) {
        self.dirty = true;
        if self.touched.last() != Some(&serial) {
            self.touched.push(serial);
        }
    }

    /// Sweeps up to the entry at `to`, and on through the instant before it where conditions are looked at when
    /// that is complete: of what is not swept nothing is looked at again when it turns out to count otherwise.
    fn go_on(&mut self, to: usize, sweep: &Sweep<'_>) {
        let to = to + instant::rest(&self.entries, to, sweep.count);
        while self.swept() < to.min(self.entries.len()) {
            let act = self.step(self.swept(), sweep);
            self.steps.push(act);
            #[cfg(test)]
            {
                self.steps_taken += 1;
            }
        }
    }

    fn step(&mut self, at: usize, sweep: &Sweep<'_>) -> Act {
        if !self.ghosts.is_empty() {
            self.summon(at);
        }
        if self.look_upon(at, sweep) { self.hit(at, sweep) } else { self.attach(at, sweep) }
    }

    /// Moves the window on to the entry at `at` when it counts; whether it does.
    fn look_upon(&mut self, at: usize, sweep: &Sweep<'_>) -> bool {
        let Some(entry) = self.entries.get_mut(at) else { return false };
        entry.live = (sweep.live)(entry);
        entry.counted = sweep.counts(entry);
        let counts = entry.counted;
        if counts {
            self.window.forward(&self.entries, at, sweep.count.timespan_secs);
        }
        counts
    }

    fn attach(&mut self, at: usize, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let Role::Attached(which, shared) = &entry.role else { return Act::Nothing };
        let Some(attach) = sweep.count.attach.get(usize::from(*which)) else { return Act::Nothing };
        let time = entry.brief.time;
        let fits = |incident: &Incident| {
            let related = |member: &Member| {
                shared.iter().any(|value| {
                    member.shares.get(usize::from(*which)).is_some_and(|own| own.contains(value))
                })
            };
            incident.takes(time, sweep.count) && incident.members.iter().any(related)
        };
        let Some(place) = self.incidents.iter().position(fits) else { return Act::Nothing };
        let Some(incident) = self.incidents.get_mut(place) else { return Act::Nothing };
        let undo = incident.attach(entry, sweep.count);
        if let Some(level) = attach.raise_to {
            incident.level = incident.level.max(level);
        }
        let serial = self.serial + u32::try_from(place).unwrap_or(u32::MAX);
        self.own(at, Some(serial));
        self.keep(at);
        self.touch(serial);
        Act::Joined(serial, Box::new(undo))
    }

    fn hit(&mut self, at: usize, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let window = self.entries.get(self.window.first..=at).unwrap_or_default();
        let time = entry.brief.time;
        let observed = self.window.observed(sweep.count, window);
        let accepting = self.accepting(entry, sweep.count);
        if let Some(serial) = accepting {
            (sweep.observe)(time, observed, true);
            if self.incident(serial).is_some_and(|incident| incident.observed < observed) {
                self.keep_window(at);
            }
            return self.join(at, serial, observed, sweep);
        }
        let counts = |other: &Entry| sweep.counts_as(other, (sweep.live)(other));
        let goes_on = instant::goes_on(&self.entries, at, sweep.count, counts);
        let opens = !goes_on && sweep.opens(time, (&self.window, observed), window);
        (sweep.observe)(time, observed, opens);
        if let Some(serial) = opens.then(|| self.repeated(entry, sweep)).flatten() {
            self.keep_window(at);
            return self.join(at, serial, observed, sweep);
        }
        let said = self.past.as_ref().and_then(|past| past.opens(entry.order()));
        if self.is_haunted(at) {
            let act = self.open(at, observed, sweep);
            self.haunt();
            return act;
        }
        if said.unwrap_or(opens) { self.open(at, observed, sweep) } else { Act::Nothing }
    }

    /// The earliest open incident that takes the entry by one of its keys.
    fn accepting(&self, entry: &Entry, count: &Count) -> Option<u32> {
        if self.incidents.is_empty() {
            return None;
        }
        let time = entry.brief.time;
        let takes = |incident: &Incident| incident.takes(time, count) && incident.precedes(entry);
        let open = |serial: &u32| self.incident(*serial).is_some_and(takes);
        let crowded = |serial: &u32| self.incident(*serial).is_some_and(Incident::is_crowded);
        let by_full = entry.keys.iter().filter_map(|key| self.full.of(key.full).find(open));
        let by_base = entry.keys.iter().filter_map(|key| self.base.of(key.base).filter(crowded).find(open));
        by_full.chain(by_base).min()
    }

    /// The latest incident that told of what the window holds, all but too little.
    fn repeated(&self, entry: &Entry, sweep: &Sweep<'_>) -> Option<u32> {
        let (time, count) = (entry.brief.time, sweep.count);
        if count.incident.repeats_secs == 0 {
            return None;
        }
        let told = entry.keys.iter().flat_map(|key| self.full.of(key.full));
        let told: Vec<(u32, &Incident)> = told
            .filter_map(|serial| Some((serial, self.incident(serial)?)))
            .filter(|(_, incident)| incident.is_repeated(time, count))
            .collect();
        let latest = told.iter().map(|(serial, _)| *serial).max()?;
        let new = self.window.values().filter(|value| !told.iter().any(|(_, known)| known.knows(*value)));
        #[expect(clippy::cast_precision_loss, reason = "a window holds no 2^52 values")]
        let new = new.count() as f64;
        (!sweep.fixed_holds(new)).then_some(latest)
    }

    fn join(&mut self, at: usize, serial: u32, observed: f64, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let level = (sweep.level)(entry);
        let incident = place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at));
        let Some(incident) = incident else { return Act::Nothing };
        let undo = incident.join(entry, level, sweep.count);
        if sweep.fixed_holds(observed) {
            incident.observed = incident.observed.max(observed);
        }
        incident.bring(entry, sweep.count, false);
        for key in &*entry.keys {
            let by = (serial, &entry.brief);
            self.full.remember(key.full, by, &mut incident.full_keys);
            self.base.remember(key.base, by, &mut incident.base_keys);
        }
        self.own(at, Some(serial));
        self.keep(at);
        self.touch(serial);
        Act::Joined(serial, Box::new(undo))
    }

    fn open(&mut self, at: usize, observed: f64, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let time = entry.brief.time;
        let free = |owner: Option<u32>| {
            owner.and_then(|serial| self.incident(serial)).is_none_or(|other| !other.takes(time, sweep.count))
        };
        let window = (self.window.first..=at).filter_map(|place| Some((place, self.entries.get(place)?)));
        let ours = window.filter(|(_, other)| other.counted && other.shares_base(entry) && free(other.owner));
        let ours: Vec<(usize, &Entry)> = ours.map(|(place, other)| (place, &**other)).collect();
        let taken = ours.iter().map(|(_, other)| (Arc::clone(&other.brief), other.owner)).collect();
        let places: Vec<usize> = ours.iter().map(|(place, _)| *place).collect();
        let bound = match sweep.bound_at(time, observed) {
            Some((bound, from)) => (bound, Some(from)),
            None => (sweep.count.condition.bounds.first().map_or(1.0, |(_, bound)| *bound), None),
        };
        let serial = self.next_serial();
        // Most groups never have more than one.
        self.incidents.reserve_exact(usize::from(self.incidents.is_empty()));
        self.incidents.push(Incident::open(&sweep.rule.id, entry, observed, bound));
        self.touch(serial);
        for place in places {
            self.join(place, serial, observed, sweep);
        }
        self.keep_window(at);
        Act::Opened(taken)
    }
}

/// Place of an incident among those kept, of which `first` is the earliest.
fn place_of(serial: u32, first: u32) -> Option<usize> {
    usize::try_from(serial.checked_sub(first)?).ok()
}
