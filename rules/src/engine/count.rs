//! What one counting rule remembers, and how an event changes it.

mod room;
mod sweeping;

use super::anchor::{Anchors, Pasts};
use super::asleep::{Asleep, Awakened, Light, Taken, Usual, Wakes};
use super::backlog::Backlog;
use super::brief::Brief;
use super::chain::{Chained, Whereabouts};
use super::entry::{Asks, Entry, Part, Plays, Reading, combined};
use super::explain::Explanations;
use super::group::{Arrival, Change, Group, Slept, Sweep};
use super::incident::Incident;
use super::key::Digests;
use super::lagged::{Lag, Measured};
use super::lives::Lives;
use super::stage::Stage;
use super::words::Name;
use super::{Context, Dispatch, Gauges};
use crate::Surroundings;
use crate::rule::{Count, Hold, Kind, Rule, RuleSet};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry as Cell;
use keywatch_event::{EventTime, Level};
use std::cell::RefCell;
use std::sync::Arc;
use sweeping::{day_of, hold_key, is_enough, swept};

/// What one counting rule remembers.
#[derive(Debug)]
pub(crate) struct CountState {
    /// By hash of the name, which is a random one: two names that share it would have to be
    /// found without knowing it.
    groups: HashMap<u64, Slot>,
    /// Entries of groups that have no slot: in them only the usual happened.
    backlog: Backlog,
    usual: Usual,
    wakes: Option<Wakes>,
    dirty: Vec<(Box<str>, u64)>,
    explanations: Explanations,
    lives: Lives,
    pub(crate) lag: RefCell<Lag>,
    /// Incidents that end for their age, for a restart.
    pub(crate) anchors: Anchors,
    /// While what is stored is given back: what is known of groups from before.
    pasts: Pasts,
    /// Groups that are awake of events that come through other rules, and their names.
    places: Whereabouts,
    names: HashMap<u64, Box<str>>,
    /// Entries of groups that are awake, and of those that sleep.
    awake: usize,
    asleep: usize,
    /// Incidents of groups that are awake.
    incidents: usize,
    /// Events that incidents keep by name, as far as that is noted when one comes; counted when memory is
    /// short.
    members: usize,
    /// What lies before it is sealed.
    floor: Option<EventTime>,
}

#[derive(Debug)]
enum Slot {
    Asleep(Asleep),
    Awake(Box<Group>),
}

/// A rule with what it counts and what it asks of an event.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting<'r> {
    pub(crate) rule: &'r Rule,
    pub(crate) count: &'r Count,
    pub(crate) asks: &'r Asks,
    pub(crate) chained: Chained<'r>,
}

impl<'r> Counting<'r> {
    /// The rule at that place; `None` when it does not count.
    pub(crate) fn of(
        rules: &'r RuleSet,
        dispatch: &'r Dispatch,
        at: usize,
        stages: &'r [Stage],
    ) -> Option<Self> {
        let rule = rules.rules.get(at)?;
        let Kind::Count(count) = &rule.kind else { return None };
        Some(Self { rule, count, asks: dispatch.asks(at)?, chained: dispatch.chains.chained(at, stages) })
    }
}

/// What an event did to a rule.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Effect {
    /// Whether it entered a window.
    pub(crate) entered: bool,
    /// Level of the incident it belongs to.
    pub(crate) raised: Option<Level>,
    /// Groups that could not judge it any more.
    pub(crate) beyond: u32,
}

impl CountState {
    pub(crate) fn new(count: &Count, lag: Lag, anchors: Anchors) -> Self {
        Self {
            groups: HashMap::new(),
            backlog: Backlog::default(),
            usual: Usual::default(),
            wakes: Wakes::of(count),
            dirty: Vec::new(),
            explanations: Explanations::default(),
            lives: Lives::default(),
            lag: RefCell::new(lag),
            anchors,
            pasts: Pasts::default(),
            places: Whereabouts::default(),
            names: HashMap::new(),
            awake: 0,
            asleep: 0,
            incidents: 0,
            members: 0,
            floor: None,
        }
    }

    /// Groups that are awake, by what their names are hashed to.
    #[cfg(test)]
    pub(super) fn awake(&self) -> impl Iterator<Item = (u64, &Group)> {
        self.groups.iter().filter_map(|(hash, slot)| match slot {
            Slot::Awake(group) => Some((*hash, &**group)),
            Slot::Asleep(_) => None,
        })
    }

    /// From now on every group is awake.
    #[cfg(test)]
    pub(super) fn never_sleep(&mut self) {
        self.wakes = None;
    }

    /// Looks at what an event of that group will touch first: a number of no meaning.
    pub(crate) fn look(&self, group: u64) -> u64 {
        match self.groups.get(&group) {
            Some(Slot::Asleep(group)) => group.look(),
            Some(Slot::Awake(group)) => group.look(),
            None => 0,
        }
    }

    /// Takes what an event explains or changes in the life of a secret; no entry comes of it. Whether there is
    /// anything that it explains, or a secret whose making is known.
    pub(crate) fn witness(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) -> bool {
        let explains = self.take_explanation(counting, context);
        self.take_life(counting, context) || explains
    }

    /// Takes an event that counts or is attached.
    pub(crate) fn take(
        &mut self,
        counting: Counting<'_>,
        context: &Context<'_, '_>,
        part: &Part,
        brief: &Arc<Brief>,
    ) -> Effect {
        let parts = counting.asks.parted(part.hits);
        let which = counting.asks.group(part.hits).filter(|_| parts.len() == 1);
        if let Some(groups) = which.and_then(|which| context.words.of(which)) {
            let groups = groups.map(|said| (said.name, part.hits));
            return self.take_into(counting, context, (part, brief), groups);
        }
        // Under a group's name, as which of the hits the event is in it.
        let mut named: Vec<(String, u64)> = Vec::new();
        for hits in parts.iter() {
            for text in combined(counting.count.group_by(*hits), context.view) {
                match named.iter_mut().find(|(known, _)| *known == text) {
                    Some((_, known)) => *known |= hits,
                    None => named.push((text, *hits)),
                }
            }
        }
        let groups = named.iter().map(|(text, hits)| (Name::from(&**text), *hits));
        self.take_into(counting, context, (part, brief), groups)
    }

    fn take_into<'g>(
        &mut self,
        counting: Counting<'_>,
        context: &Context<'_, '_>,
        (part, brief): (&Part, &Arc<Brief>),
        groups: impl Iterator<Item = (Name<'g>, u64)>,
    ) -> Effect {
        let secs = brief.time.secs();
        let mut effect = Effect::default();
        // Everything that waits is known before any of it is judged.
        let groups: super::few::Few<(Name<'_>, u64)> = groups.collect();
        if let Plays::Waiting(key) = part.plays {
            self.explanations.wait(key, (secs, &brief.id), groups.iter().map(|(group, _)| group.text));
        }
        for (group, hits) in groups.iter() {
            let part = &*part.of(*hits);
            effect.entered = true;
            if counting.count.lower.is_some() {
                brief.secrets.iter().for_each(|secret| self.lives.deleted(&secret.id, secs, group.text));
            }
            match self.insert(counting, *group, context, (part, brief)) {
                Arrival::Known => {}
                Arrival::Beyond => effect.beyond += 1,
                Arrival::Swept(level) => {
                    self.members += usize::from(level.is_some());
                    effect.raised = effect.raised.max(level);
                }
            }
            self.note_place(counting, part, brief, *group);
            self.look_at_neighbours(counting, part, brief.time, *group);
        }
        effect
    }

    fn insert(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        context: &Context<'_, '_>,
        (part, brief): (&Part, &Arc<Brief>),
    ) -> Arrival {
        let sleeps = self.wakes.is_some() && !matches!(part.plays, Plays::Waiting(_));
        if sleeps
            && !matches!(self.groups.get(&name.hash), Some(Slot::Awake(_)))
            && let Some(arrival) = self.doze(counting, name, context, (part, brief))
        {
            return arrival;
        }
        self.wake(counting, name, (context.view.around(), context.digests));
        let entry = Entry::new(
            Arc::clone(brief),
            (counting.count, counting.asks),
            &Reading { view: context.view, words: Some(context.words), digests: context.digests },
            (part, name),
        );
        self.change(counting, name, |group, sweep| group.insert(entry, sweep)).unwrap_or(Arrival::Known)
    }

    /// Takes an entry into a sleeping group, and wakes it when it is time; `None` when the group must be awake
    /// to take it in.
    fn doze(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        context: &Context<'_, '_>,
        (part, brief): (&Part, &Arc<Brief>),
    ) -> Option<Arrival> {
        let low = |bits: u64| u16::try_from(bits & 0xffff).unwrap_or(0);
        let light = Light {
            brief: Arc::clone(brief),
            note: part.note.clone(),
            hits: low(part.hits),
            adds: low(part.adds),
            attached: match part.plays {
                Plays::Attached(which) => Some(which),
                Plays::Hit | Plays::Waiting(_) => None,
            },
        };
        let wakes = self.wakes.as_ref()?;
        let is_usual =
            self.usual.is(&light, wakes) && self.floor.is_none_or(|floor| light.brief.time >= floor);
        if is_usual && !self.groups.contains_key(&name.hash) {
            self.backlog.push(name.hash, light);
            return Some(Arrival::Swept(None));
        }
        self.find_place(name);
        let (Some(wakes), Some(Slot::Asleep(group))) = (&self.wakes, self.groups.get_mut(&name.hash)) else {
            return None;
        };
        let fact = wakes.asks_values().then(|| counting.asks.fact(0, part.hits)).flatten();
        let values = fact.and_then(|which| context.words.of(which));
        let (lag, time) = (self.lag.get_mut(), light.brief.time);
        let has_past = self.pasts.has(name.hash);
        let is_enough = |observed: f64| has_past || is_enough(counting.count, lag, name, (time, observed));
        match group.take(light, wakes, values.into_iter().flatten(), is_enough) {
            Taken::Late => return None,
            Taken::Known => return Some(Arrival::Known),
            Taken::Beyond => return Some(Arrival::Beyond),
            Taken::Slept(observed) => {
                self.asleep += 1;
                if let (Some(lagged), Some(value)) = (&counting.count.lagged, observed) {
                    let seen = Measured { value, alerted: false };
                    self.lag.get_mut().observe(lagged, name, day_of(brief.time), seen);
                }
                return Some(Arrival::Swept(None));
            }
            Taken::Woken => self.asleep += 1,
        }
        self.wake(counting, name, (context.view.around(), context.digests));
        let level = self.change(counting, name, |group, sweep| group.level_of(brief, sweep));
        Some(Arrival::Swept(level.flatten()))
    }

    /// Makes sure that a group has a slot, with what lay in the backlog of it.
    fn find_place(&mut self, name: Name<'_>) {
        let Cell::Vacant(place) = self.groups.entry(name.hash) else { return };
        let usual = self.backlog.take(name.hash);
        let group = match &self.wakes {
            Some(wakes) if !usual.is_empty() => Asleep::of_usual(usual, wakes, self.floor),
            _ => Asleep::default(),
        };
        self.asleep += group.len();
        place.insert(Slot::Asleep(group));
    }

    /// Makes sure that a group is awake.
    fn wake(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        (around, digests): (&Surroundings, &RefCell<Digests>),
    ) {
        let count = counting.count;
        self.find_place(name);
        let Some(slot) = self.groups.get_mut(&name.hash) else { return };
        let Slot::Asleep(group) = slot else { return };
        let Awakened { entries, sealed, judged } = std::mem::take(group).into_entries(self.wakes.as_ref());
        self.asleep -= entries.len();
        self.awake += entries.len();
        let entry = |light| Entry::awakened(light, (count, counting.asks), (around, digests), name);
        let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
        let chained = entries.iter().filter(|entry| counting.chained.comes_through(entry.hits));
        for entry in chained {
            self.places.note(&entry.brief, name.hash);
            self.names.entry(name.hash).or_insert_with(|| name.text.into());
        }
        let known = (&self.explanations, &self.lives, &self.lag);
        let past = self.pasts.take(name.hash);
        // What is known from before decides otherwise.
        let judged = if past.is_none() { judged } else { 0 };
        let slept = Slept { entries, sealed, judged, past };
        let group = swept(counting, name, known, |sweep| Group::woken(count, slept, sweep));
        self.incidents += group.incidents();
        if group.dirty {
            self.dirty.push((name.text.into(), name.hash));
        }
        *slot = Slot::Awake(Box::new(group));
    }

    /// Remembers where an event is that another rule may count otherwise later. A group that sleeps has
    /// too little in it even when all of that counts.
    fn note_place(&mut self, counting: Counting<'_>, part: &Part, brief: &Brief, name: Name<'_>) {
        if counting.chained.comes_through(part.hits)
            && matches!(self.groups.get(&name.hash), Some(Slot::Awake(_)))
        {
            self.places.note(brief, name.hash);
            self.names.entry(name.hash).or_insert_with(|| name.text.into());
        }
    }

    /// Other rules count these events otherwise than before.
    pub(crate) fn look_again_at(&mut self, counting: Counting<'_>, changed: &[Arc<Brief>]) {
        for brief in changed {
            for hash in self.places.of(brief).iter() {
                let Some(text) = self.names.get(hash).cloned() else { continue };
                let name = Name { text: &text, hash: *hash };
                self.change(counting, name, |group, sweep| group.look_at_one(brief, sweep));
            }
        }
    }

    /// Changes a group that is awake; `None` when there is none.
    fn change<T>(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        work: impl FnOnce(&mut Group, &Sweep<'_>) -> T,
    ) -> Option<T> {
        let Some(Slot::Awake(group)) = self.groups.get_mut(&name.hash) else { return None };
        let (was_dirty, before, incidents) = (group.dirty, group.len(), group.incidents());
        let known = (&self.explanations, &self.lives, &self.lag);
        let done = swept(counting, name, known, |sweep| work(group, sweep));
        self.awake += group.len() - before;
        self.incidents = self.incidents + group.incidents() - incidents;
        if group.dirty && !was_dirty {
            self.dirty.push((name.text.into(), name.hash));
        }
        Some(done)
    }

    /// Events that wait together are explained only while they are few: one more may change what
    /// the others are.
    fn look_at_neighbours(&mut self, counting: Counting<'_>, part: &Part, at: EventTime, group: Name<'_>) {
        if let (Plays::Waiting(key), Some(hold)) = (part.plays, &counting.count.hold)
            && self.explanations.waiting_near(key, at.secs(), hold.secs) > 1
        {
            self.look_at_waiting(counting, group, (at, hold));
        }
    }

    /// Looks again at what waits within `hold` of a time.
    fn look_at_waiting(&mut self, counting: Counting<'_>, name: Name<'_>, (at, hold): (EventTime, &Hold)) {
        let near = (at.plus_secs(-hold.secs - 1), at.plus_secs(hold.secs + 1));
        self.change(counting, name, |group, sweep| group.look_at_waiting(near, sweep));
    }

    /// Looks at a group again; one that sleeps has nothing that could turn out otherwise.
    fn look_again(&mut self, counting: Counting<'_>, name: Name<'_>, from: EventTime) {
        self.change(counting, name, |group, sweep| group.look_again(from, sweep));
    }

    /// What an event is to the rule, if it is anything.
    pub(crate) fn plays(count: &Count, context: &Context<'_, '_>, hits: u64) -> Option<Plays> {
        if hits != 0 {
            return Some(match &count.hold {
                Some(hold) if context.found.has(hold.when) => Plays::Waiting(hold_key(hold, context)),
                _ => Plays::Hit,
            });
        }
        let attached = count.attach.iter().position(|attach| context.found.has(attach.matcher));
        attached.map(|at| Plays::Attached(u8::try_from(at).unwrap_or(u8::MAX)))
    }

    fn take_explanation(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) -> bool {
        let clears = |hold: &&Hold| context.found.has(hold.cleared_by);
        let Some(hold) = counting.count.hold.as_ref().filter(clears) else { return false };
        let at = context.seen().event.time;
        let groups = self.explanations.explain(hold, hold_key(hold, context), at.secs());
        for group in &groups {
            self.look_at_waiting(counting, Name::from(&**group), (at, hold));
        }
        !groups.is_empty()
    }

    fn take_life(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) -> bool {
        let Some(lower) = &counting.count.lower else { return false };
        let (created, read) = (context.found.has(lower.created_by), context.found.has(lower.read_by));
        if !created && !read {
            return false;
        }
        let mut is_known = created;
        let event = context.seen().event;
        let (who, at) = (&*event.principal.id, event.time.secs());
        for secret in &event.secrets {
            let again = if created {
                self.lives.created(&secret.id, who, at)
            } else {
                is_known |= self.lives.is_made(&secret.id, at);
                self.lives.read(&secret.id, who, at)
            };
            for (group, from) in again {
                self.look_again(counting, Name::from(&*group), EventTime::from_secs(from));
            }
        }
        is_known
    }

    /// What is stored is about to be given back, and nothing before `floor` will be judged again; without
    /// one it was all given back.
    pub(crate) fn expect_past(&mut self, count: &Count, floor: Option<EventTime>) {
        self.pasts = floor.map(|floor| self.anchors.pasts(floor, count)).unwrap_or_default();
    }

    /// Tells what changed in its incidents since the last call.
    pub(crate) fn changes(&mut self, counting: Counting<'_>, tell: &mut dyn FnMut(Change<'_>)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for (text, hash) in &dirty {
            if let Some(Slot::Awake(group)) = self.groups.get_mut(hash) {
                let (known, before) = ((&self.explanations, &self.lives, &self.lag), group.incidents());
                swept(counting, Name { text, hash: *hash }, known, |sweep| group.finish(sweep));
                self.incidents = self.incidents + group.incidents() - before;
                let floor = self.floor;
                let anchors = &mut self.anchors;
                let behind = |incident: &Incident| counting.chained.behind_all(incident, floor);
                group.changes(&behind, anchors.are_kept(), &mut |change| match change {
                    Change::Stands(id, anchor) => anchors.put(text, id, anchor),
                    Change::Gone(id) => anchors.remove(id),
                    Change::Opened(_)
                    | Change::Updated { .. }
                    | Change::Withdrawn { .. }
                    | Change::Kept(_) => {
                        tell(change);
                    }
                });
            }
        }
    }
}
