//! One group of one counting rule: its entries in event-time order, and the incidents they make.
//!
//! The incidents are a function of the set of entries. A sweep walks them in order, slides the
//! window and opens and joins incidents. When an entry comes late, or an explanation changes what
//! an earlier one means, the sweep is wound back to that place and goes on from there: the cost
//! is what lies after it, not what lies in the window. Arrival order, batch borders and
//! duplicates therefore change nothing.

use super::brief::Brief;
use super::entry::{Entry, Role};
use super::incident::{ACTORS_MAX, Incident, Member, Told, Undo};
use super::window::Window;
use crate::rule::{Count, Op, Rule};
use hashbrown::HashMap;
use keywatch_event::{AlertId, EventTime, Level};

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

/// How a group differs from what was last told of it.
pub(crate) enum Change<'i> {
    Opened(&'i Incident),
    Updated { incident: &'i Incident, was: AlertId, news: bool },
    Withdrawn { id: AlertId, merged_into: Option<AlertId> },
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
        self.wind_back(at);
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
        self.wind_back(at.max(self.sealed));
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

    fn wind_back(&mut self, to: usize) {
        while self.sealed + self.steps.len() > to {
            let Some(step) = self.steps.pop() else { return };
            let at = self.sealed + self.steps.len();
            self.take_back(at, step.act);
            if self.entries.get(at).is_some_and(|entry| entry.counted) {
                self.window.back(&self.entries, at, step.expired);
            }
            if let Some(entry) = self.entries.get_mut(at) {
                entry.counted = false;
            }
        }
    }

    fn take_back(&mut self, at: usize, act: Act) {
        match act {
            Act::Nothing => {}
            Act::Joined(serial, undo) => {
                if let Some(incident) =
                    place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at))
                {
                    forget(&mut self.full, incident.full_keys.drain(undo.full_keys..), serial);
                    forget(&mut self.base, incident.base_keys.drain(undo.base_keys..), serial);
                    incident.undo(&undo);
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

    fn join(&mut self, at: usize, serial: u32, observed: f64, sweep: &Sweep<'_>) -> Act {
        let Some(entry) = self.entries.get(at) else { return Act::Nothing };
        let level = (sweep.level)(entry);
        let incident = place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at));
        let Some(incident) = incident else { return Act::Nothing };
        let undo = incident.join(entry, level, sweep.count);
        incident.observed = incident.observed.max(observed);
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

    /// Tells what changed since this was last asked.
    pub(crate) fn changes(&mut self, tell: &mut dyn FnMut(Change<'_>)) {
        self.dirty = false;
        let mut undone = std::mem::take(&mut self.undone);
        let mut touched = std::mem::take(&mut self.touched);
        touched.sort_unstable();
        touched.dedup();
        for serial in touched {
            let incident = place_of(serial, self.serial).and_then(|at| self.incidents.get_mut(at));
            let Some(incident) = incident else { continue };
            let before = match undone.iter().position(|old| old.id == incident.id) {
                Some(at) => Some(undone.swap_remove(at)),
                None if incident.told.is_some() => None,
                None => undone
                    .iter()
                    .position(|old| incident.has(&old.opened_by))
                    .map(|at| undone.swap_remove(at)),
            };
            incident.tell(before, tell);
        }
        for old in undone {
            let merged = self.incidents.iter().find(|new| new.has(&old.opened_by));
            tell(Change::Withdrawn { id: old.id, merged_into: merged.map(|new| new.id.clone()) });
        }
    }

    /// Gives up judging what lies before `floor` again; entries more than a window before it go.
    /// Incidents still open are kept.
    pub(crate) fn seal(&mut self, floor: EventTime, count: &Count) {
        let upto = self.entries.partition_point(|entry| entry.brief.time < floor);
        let newly = upto.saturating_sub(self.sealed).min(self.steps.len());
        self.steps.drain(..newly);
        self.sealed += newly;
        let keep_from = floor.plus_secs(-count.timespan_secs);
        let old =
            self.entries.iter().take(self.sealed.min(self.window.first)).filter(|e| e.brief.time < keep_from);
        self.drop_oldest(old.count());
        self.drop_closed(floor, count);
    }

    /// Lets all entries but the latest `keep` go, whatever windows see; how many went.
    pub(crate) fn shed(&mut self, keep: usize, count: &Count) -> usize {
        let excess = self.entries.len().saturating_sub(keep);
        if excess == 0 {
            return 0;
        }
        let newly = excess.saturating_sub(self.sealed).min(self.steps.len());
        self.steps.drain(..newly);
        self.sealed += newly;
        let mut window = Window::new(count);
        self.entries.drain(..excess);
        self.sealed -= excess.min(self.sealed);
        for at in 0..self.entries.len() {
            if self.entries.get(at).is_some_and(|entry| entry.counted) {
                let expired = window.forward(&self.entries, at, count.timespan_secs);
                if let Some(step) = at.checked_sub(self.sealed).and_then(|at| self.steps.get_mut(at)) {
                    step.expired = expired;
                }
            }
        }
        for step in &mut self.steps {
            if let Act::Opened(taken) = &mut step.act {
                *taken =
                    taken.iter().filter_map(|(at, owner)| Some((at.checked_sub(excess)?, *owner))).collect();
            }
        }
        self.window = window;
        if let Some(floor) =
            self.entries.get(self.sealed).or(self.entries.last()).map(|entry| entry.brief.time)
        {
            self.drop_closed(floor, count);
        }
        excess
    }

    fn drop_oldest(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        self.forget_expired(count);
        self.entries.drain(..count);
        self.sealed -= count;
        self.window.first -= count;
        for step in &mut self.steps {
            if let Act::Opened(taken) = &mut step.act {
                *taken =
                    taken.iter().filter_map(|(at, owner)| Some((at.checked_sub(count)?, *owner))).collect();
            }
        }
    }

    /// The oldest `count` entries go: steps that would bring them back into the window when they
    /// are wound back do so no more. No entry that may still come has them in its window.
    fn forget_expired(&mut self, count: usize) {
        let expired: usize = self.steps.iter().filter_map(|step| usize::try_from(step.expired).ok()).sum();
        let mut lacking = count.saturating_sub(self.window.first.saturating_sub(expired));
        for step in &mut self.steps {
            let less = lacking.min(usize::try_from(step.expired).unwrap_or(0));
            step.expired -= u32::try_from(less).unwrap_or(0);
            lacking -= less;
        }
    }

    /// Forgets incidents at the front that are over before `floor` and were made by entries that
    /// are sealed.
    fn drop_closed(&mut self, floor: EventTime, count: &Count) {
        let opened_since = self.steps.iter().filter(|step| matches!(step.act, Act::Opened(_))).count();
        let settled = self.incidents.len().saturating_sub(opened_since);
        let over =
            self.incidents.iter().take(settled).take_while(|incident| !incident.takes(floor, count)).count();
        for (at, incident) in self.incidents.drain(..over).enumerate() {
            let serial = self.serial + u32::try_from(at).unwrap_or(u32::MAX);
            forget(&mut self.full, incident.full_keys.into_iter(), serial);
            forget(&mut self.base, incident.base_keys.into_iter(), serial);
        }
        self.serial += u32::try_from(over).unwrap_or(u32::MAX);
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

impl Incident {
    /// What is to be said of it, given what was said before under its own or another id.
    fn tell(&mut self, before: Option<Incident>, tell: &mut dyn FnMut(Change<'_>)) {
        let (was, last) = match before {
            Some(old) => (old.id, old.told),
            None => (self.id.clone(), self.told.take()),
        };
        let now = Told {
            level: self.level,
            secrets: self.secrets(),
            events: self.events,
            observed: self.observed,
            print: self.print(),
        };
        let Some(last) = last else {
            self.told = Some(now);
            return tell(Change::Opened(self));
        };
        let news = now.level > last.level || now.secrets >= last.secrets.max(1) * 2;
        let same = was == self.id
            && (now.level, now.events, now.print) == (last.level, last.events, last.print)
            && now.observed.to_bits() == last.observed.to_bits();
        self.told = Some(Told { secrets: if news { now.secrets } else { last.secrets }, ..now });
        if !same {
            tell(Change::Updated { incident: self, was, news });
        }
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
