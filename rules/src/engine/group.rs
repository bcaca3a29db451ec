//! One group of one counting rule: its entries in event-time order, and the incidents they make.
//!
//! The incidents are a function of the set of entries. A sweep walks them in order, slides the
//! window and opens and joins incidents. When an entry comes late, or an explanation changes what
//! an earlier one means, the sweep is wound back to that place and goes on from there: the cost
//! is what lies after it, not what lies in the window. Arrival order, batch borders and
//! duplicates therefore change nothing.

mod forgetting;
mod telling;

pub(crate) use telling::Change;

use super::brief::Brief;
use super::entry::{Entry, Role};
use super::incident::{ACTORS_MAX, Incident, Member, Undo};
use super::window::Window;
use crate::rule::{Count, Op, Rule};
use hashbrown::HashMap;
use keywatch_event::{EventTime, Level};

/// Entries and incidents of one group.
#[derive(Debug)]
pub(crate) struct Group {
    entries: Vec<Entry>,
    /// How many of the oldest entries are swept for good: they fill windows and are not looked
    /// at again.
    sealed: usize,
    /// What the sweep did at each entry after those.
    steps: Vec<Step>,
    window: Window,
    /// In order of opening; the serial number of the first is `serial`.
    incidents: Vec<Incident>,
    serial: u32,
    /// Incidents by the keys they took, the earliest first.
    full: HashMap<u128, Vec<u32>>,
    base: HashMap<u128, Vec<u32>>,
    /// Incidents that were told of and undone.
    undone: Vec<Incident>,
    /// Serial numbers of incidents that changed since they were last told of; some perhaps twice.
    touched: Vec<u32>,
    /// Whether there may be anything to tell.
    pub(crate) dirty: bool,
}

/// What the sweep did at one entry.
#[derive(Debug)]
struct Step {
    /// How many entries left the window.
    expired: u32,
    act: Act,
}

#[derive(Debug)]
enum Act {
    Nothing,
    /// Joined or was attached to the incident of this serial number.
    Joined(u32, Box<Undo>),
    /// Opened the latest incident; the entries it took, with the incident they had.
    Opened(Vec<(usize, Option<u32>)>),
}

/// What a sweep needs to know beyond the group.
pub(crate) struct Sweep<'s> {
    pub(crate) rule: &'s Rule,
    pub(crate) count: &'s Count,
    /// Whether a waiting entry is explained after all.
    pub(crate) explained: &'s dyn Fn(&Entry) -> bool,
    /// The level one entry has by itself.
    pub(crate) level: &'s dyn Fn(&Entry) -> Level,
    /// The learned bound for a day, and where it comes from; `None` for the rule's own.
    pub(crate) bound: &'s dyn Fn(EventTime) -> Option<(f64, String)>,
    /// Told of what the window comes to at each entry, and whether an incident is open.
    pub(crate) observe: &'s dyn Fn(EventTime, f64, bool),
}

/// What became of an entry that came.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Arrival {
    /// It was there already.
    Known,
    /// It lies before what can still be judged here.
    Beyond,
    /// It was swept, and belongs to an incident of this level, if any.
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
            full: HashMap::new(),
            base: HashMap::new(),
            undone: Vec::new(),
            touched: Vec::new(),
            dirty: false,
        }
    }

    /// Takes an entry in.
    pub(crate) fn insert(&mut self, entry: Entry, sweep: &Sweep<'_>) -> Arrival {
        // Nearly every entry is the latest.
        let is_last = self.entries.last().is_none_or(|last| last.order() < entry.order());
        let at = if is_last { self.entries.len() } else { self.place_of(&entry) };
        if self.entries.get(at).is_some_and(|known| known.order() == entry.order()) {
            return Arrival::Known;
        }
        if at < self.sealed {
            return Arrival::Beyond;
        }
        self.wind_back(at, sweep.count);
        self.entries.insert(at, entry);
        self.go_on(sweep);
        Arrival::Swept(self.level_at(at))
    }

    /// A group that slept until now, of whose entries the oldest `sealed` are sealed.
    pub(crate) fn woken(count: &Count, entries: Vec<Entry>, sealed: usize, sweep: &Sweep<'_>) -> Self {
        let mut group = Self { entries, ..Self::new(count) };
        group.go_on(sweep);
        group.sealed = sealed.min(group.steps.len());
        group.steps.drain(..group.sealed);
        group
    }

    /// The level of the incident an entry belongs to, found by its brief.
    pub(crate) fn level_of(&self, brief: &Brief) -> Option<Level> {
        let order = (brief.time, &*brief.id);
        self.level_at(self.entries.binary_search_by(|entry| entry.order().cmp(&order)).ok()?)
    }

    fn place_of(&self, entry: &Entry) -> usize {
        self.entries.partition_point(|known| known.order() < entry.order())
    }

    fn level_at(&self, at: usize) -> Option<Level> {
        let owner = self.entries.get(at)?.owner?;
        self.incident(owner).map(|incident| incident.level)
    }

    /// Sweeps again from the first entry at or after `from`: what explains it changed.
    pub(crate) fn look_again(&mut self, from: EventTime, sweep: &Sweep<'_>) {
        let at = self.entries.partition_point(|entry| entry.brief.time < from);
        self.wind_back(at.max(self.sealed), sweep.count);
        self.go_on(sweep);
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
        while self.sealed + self.steps.len() > to {
            let Some(step) = self.steps.pop() else { return };
            let at = self.sealed + self.steps.len();
            self.take_back(at, step.act, count);
            if self.entries.get(at).is_some_and(|entry| entry.counted) {
                self.window.back(&self.entries, at, step.expired);
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
                    forget(&mut self.full, incident.full_keys.drain(undo.full_keys..), serial);
                    forget(&mut self.base, incident.base_keys.drain(undo.base_keys..), serial);
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
                forget(&mut self.full, incident.full_keys.drain(..), serial);
                forget(&mut self.base, incident.base_keys.drain(..), serial);
                for (at, before) in taken {
                    self.own(at, before);
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

    fn go_on(&mut self, sweep: &Sweep<'_>) {
        while self.sealed + self.steps.len() < self.entries.len() {
            let step = self.step(self.sealed + self.steps.len(), sweep);
            self.steps.push(step);
        }
    }

    fn step(&mut self, at: usize, sweep: &Sweep<'_>) -> Step {
        let Some(entry) = self.entries.get_mut(at) else { return Step { expired: 0, act: Act::Nothing } };
        entry.counted = match entry.role {
            Role::Attached(..) => false,
            Role::Hit => true,
            Role::Waiting(_) => !(sweep.explained)(entry),
        };
        if entry.counted {
            let expired = self.window.forward(&self.entries, at, sweep.count.timespan_secs);
            return Step { expired, act: self.hit(at, sweep) };
        }
        Step { expired: 0, act: self.attach(at, sweep) }
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
            return self.join(at, serial, observed, sweep);
        }
        let learned = sweep.bound_at(time, observed);
        let opens = sweep.holds(observed, learned.as_ref()) && self.window.any_holds(sweep.count, window);
        (sweep.observe)(time, observed, opens);
        if let Some(serial) = opens.then(|| self.repeated(entry, sweep)).flatten() {
            return self.join(at, serial, observed, sweep);
        }
        if opens { self.open(at, observed, learned, sweep) } else { Act::Nothing }
    }

    /// The earliest open incident that takes the entry by one of its keys.
    fn accepting(&self, entry: &Entry, count: &Count) -> Option<u32> {
        if self.incidents.is_empty() {
            return None;
        }
        let time = entry.brief.time;
        let open =
            |serial: &&u32| self.incident(**serial).is_some_and(|incident| incident.takes(time, count));
        let crowded = |serial: &&u32| {
            self.incident(**serial).is_some_and(|incident| incident.actors.len() >= ACTORS_MAX)
        };
        let by_full = entry.keys.iter().filter_map(|key| self.full.get(&key.full)?.iter().find(open));
        let by_base =
            entry.keys.iter().filter_map(|key| self.base.get(&key.base)?.iter().filter(crowded).find(open));
        by_full.chain(by_base).min().copied()
    }

    /// The latest incident that told of what the window holds, all but too little.
    fn repeated(&self, entry: &Entry, sweep: &Sweep<'_>) -> Option<u32> {
        let (time, count) = (entry.brief.time, sweep.count);
        if count.incident.repeats_secs == 0 {
            return None;
        }
        let told = entry.keys.iter().filter_map(|key| self.full.get(&key.full)).flatten();
        let told: Vec<(u32, &Incident)> = told
            .filter_map(|serial| Some((*serial, self.incident(*serial)?)))
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
        incident.observed = incident.observed.max(observed);
        incident.bring(entry, sweep.count, false);
        for key in &*entry.keys {
            remember(&mut self.full, &mut incident.full_keys, key.full, serial);
            remember(&mut self.base, &mut incident.base_keys, key.base, serial);
        }
        self.own(at, Some(serial));
        self.touch(serial);
        Act::Joined(serial, Box::new(undo))
    }

    fn open(&mut self, at: usize, observed: f64, learned: Option<(f64, String)>, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let time = entry.brief.time;
        let free = |owner: Option<u32>| {
            owner.and_then(|serial| self.incident(serial)).is_none_or(|other| !other.takes(time, sweep.count))
        };
        let window = (self.window.first..=at).filter_map(|place| Some((place, self.entries.get(place)?)));
        let ours = window.filter(|(_, other)| other.counted && other.shares_base(entry) && free(other.owner));
        let taken: Vec<(usize, Option<u32>)> = ours.map(|(place, other)| (place, other.owner)).collect();
        let bound = match learned {
            Some((bound, from)) => (bound, Some(from)),
            None => (sweep.count.condition.bounds.first().map_or(1.0, |(_, bound)| *bound), None),
        };
        let serial = self.next_serial();
        self.incidents.push(Incident::open(&sweep.rule.id, entry, observed, bound));
        self.touch(serial);
        for (place, _) in &taken {
            self.join(*place, serial, observed, sweep);
        }
        Act::Opened(taken)
    }
}

impl Sweep<'_> {
    /// The learned bound at a time, asked only when the rule's own is met.
    fn bound_at(&self, time: EventTime, observed: f64) -> Option<(f64, String)> {
        self.count.lagged.as_ref()?;
        self.fixed_holds(observed).then(|| (self.bound)(time))?
    }

    fn fixed_holds(&self, observed: f64) -> bool {
        self.count.condition.bounds.iter().all(|(op, bound)| op.holds(observed, *bound))
    }

    fn holds(&self, observed: f64, learned: Option<&(f64, String)>) -> bool {
        let over = |(bound, _): &(f64, String)| Op::Gte.holds(observed, *bound);
        self.fixed_holds(observed) && learned.is_none_or(over)
    }
}

/// Place of an incident among those kept, of which `first` is the earliest.
fn place_of(serial: u32, first: u32) -> Option<usize> {
    usize::try_from(serial.checked_sub(first)?).ok()
}

fn remember(index: &mut HashMap<u128, Vec<u32>>, keys: &mut Vec<u128>, key: u128, serial: u32) {
    let incidents = index.entry(key).or_default();
    if !incidents.contains(&serial) {
        incidents.push(serial);
        incidents.sort_unstable();
        keys.push(key);
    }
}

fn forget(index: &mut HashMap<u128, Vec<u32>>, keys: impl Iterator<Item = u128>, serial: u32) {
    for key in keys {
        if let Some(incidents) = index.get_mut(&key) {
            incidents.retain(|other| *other != serial);
            if incidents.is_empty() {
                index.remove(&key);
            }
        }
    }
}
