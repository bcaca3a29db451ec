//! What one counting rule remembers, and how an event changes it.

use super::alerts;
use super::asleep::{Asleep, Light, Taken, Usual, Wakes};
use super::backlog::Backlog;
use super::brief::Brief;
use super::entry::{Asks, Digests, Entry, Part, Plays, Reading, Role, combined, values_hash};
use super::explain::Explanations;
use super::group::{Arrival, Change, Group, Sweep};
use super::lagged::{Lag, Measured};
use super::lives::Lives;
use super::words::Name;
use super::{Context, Gauges};
use crate::Surroundings;
use crate::rule::{Count, Hold, Rule};
use hashbrown::HashMap;
use hashbrown::hash_map::Entry as Cell;
use keywatch_event::{EventTime, Level};
use std::cell::RefCell;
use std::sync::Arc;

/// How many entries of sleeping groups take the memory of one that is awake, about 600 bytes: alone
/// in its group one takes about 180, besides the brief that rules share.
const LIGHT: usize = 3;
/// How many entries of the backlog take that. One takes about 60, but where each is by somebody else
/// the briefs are what fills memory.
const USUAL: usize = 3;

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
    /// Entries of groups that are awake, and of those that sleep.
    awake: usize,
    asleep: usize,
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
    pub(crate) fn new(count: &Count, lag: Lag) -> Self {
        Self {
            groups: HashMap::new(),
            backlog: Backlog::default(),
            usual: Usual::default(),
            wakes: Wakes::of(count),
            dirty: Vec::new(),
            explanations: Explanations::default(),
            lives: Lives::default(),
            lag: RefCell::new(lag),
            awake: 0,
            asleep: 0,
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

    /// Takes what an event explains or changes in the life of a secret; no entry comes of it.
    pub(crate) fn witness(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) {
        self.take_explanation(counting, context);
        self.take_life(counting, context);
    }

    /// Takes an event that counts or is attached.
    pub(crate) fn take(
        &mut self,
        counting: Counting<'_>,
        context: &Context<'_, '_>,
        part: &Part,
        brief: &Arc<Brief>,
    ) -> Effect {
        let which = counting.asks.group(part.hits);
        if let Some(groups) = which.and_then(|which| context.words.of(which)) {
            let groups = groups.map(|said| said.name);
            return self.take_into(counting, context, (part, brief), groups);
        }
        let hit = usize::try_from(part.hits.trailing_zeros()).unwrap_or(0);
        let hits = &counting.count.hits;
        let group_by = hits.get(hit).or(hits.first()).map_or(&[][..], |hit| &hit.group_by);
        let groups = combined(group_by, context.view);
        self.take_into(counting, context, (part, brief), groups.iter().map(|name| Name::from(&**name)))
    }

    fn take_into<'g>(
        &mut self,
        counting: Counting<'_>,
        context: &Context<'_, '_>,
        (part, brief): (&Part, &Arc<Brief>),
        groups: impl Iterator<Item = Name<'g>>,
    ) -> Effect {
        let secs = brief.time.secs();
        let mut effect = Effect::default();
        // Everything that waits is known before any of it is judged.
        let groups: super::few::Few<Name<'_>> = groups.collect();
        if let Plays::Waiting(key) = part.plays {
            self.explanations.wait(key, (secs, &brief.id), groups.iter().map(|group| group.text));
        }
        for group in groups.iter() {
            effect.entered = true;
            if counting.count.lower.is_some() {
                brief.secrets.iter().for_each(|secret| self.lives.deleted(&secret.id, secs, group.text));
            }
            match self.insert(counting, *group, context, (part, brief)) {
                Arrival::Known => {}
                Arrival::Beyond => effect.beyond += 1,
                Arrival::Swept(level) => effect.raised = effect.raised.max(level),
            }
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
        if sleeps && !matches!(self.groups.get(&name.hash), Some(Slot::Awake(_))) {
            return self.doze(counting, name, context, (part, brief));
        }
        self.wake(counting, name, (context.view.around(), context.digests));
        let entry = Entry::new(
            Arc::clone(brief),
            (counting.count, counting.asks),
            &Reading { view: context.view, words: Some(context.words), digests: context.digests },
            part,
        );
        self.change(counting, name, |group, sweep| group.insert(entry, sweep)).unwrap_or(Arrival::Known)
    }

    /// Takes an entry into a sleeping group, and wakes it when it is time.
    fn doze(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        context: &Context<'_, '_>,
        (part, brief): (&Part, &Arc<Brief>),
    ) -> Arrival {
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
        let Some(wakes) = &self.wakes else { return Arrival::Known };
        let is_usual =
            self.usual.is(&light, wakes) && self.floor.is_none_or(|floor| light.brief.time >= floor);
        if is_usual && !self.groups.contains_key(&name.hash) {
            self.backlog.push(name.hash, light);
            return Arrival::Swept(None);
        }
        self.find_place(name);
        let (Some(wakes), Some(Slot::Asleep(group))) = (&self.wakes, self.groups.get_mut(&name.hash)) else {
            return Arrival::Known;
        };
        let fact = wakes.asks_values().then(|| counting.asks.fact(0, part.hits)).flatten();
        let values = fact.and_then(|which| context.words.of(which));
        match group.take(light, wakes, values.into_iter().flatten()) {
            Taken::Known => return Arrival::Known,
            Taken::Beyond => return Arrival::Beyond,
            Taken::Slept(observed) => {
                self.asleep += 1;
                if let (Some(lagged), Some(value)) = (&counting.count.lagged, observed) {
                    let seen = Measured { value, alerted: false };
                    self.lag.get_mut().observe(lagged, name, day_of(brief.time), seen);
                }
                return Arrival::Swept(None);
            }
            Taken::Woken => self.asleep += 1,
        }
        self.wake(counting, name, (context.view.around(), context.digests));
        Arrival::Swept(self.change(counting, name, |group, sweep| group.level_of(brief, sweep)).flatten())
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
        let (entries, sealed) = std::mem::take(group).into_entries();
        self.asleep -= entries.len();
        self.awake += entries.len();
        let entry = |light| Entry::awakened(light, (count, counting.asks), around, digests);
        let entries: Vec<Entry> = entries.into_iter().map(entry).collect();
        let known = (&self.explanations, &self.lives, &self.lag);
        let group = swept(counting, name, known, |sweep| Group::woken(count, entries, sealed, sweep));
        if group.dirty {
            self.dirty.push((name.text.into(), name.hash));
        }
        *slot = Slot::Awake(Box::new(group));
    }

    /// Changes a group that is awake; `None` when there is none.
    fn change<T>(
        &mut self,
        counting: Counting<'_>,
        name: Name<'_>,
        work: impl FnOnce(&mut Group, &Sweep<'_>) -> T,
    ) -> Option<T> {
        let Some(Slot::Awake(group)) = self.groups.get_mut(&name.hash) else { return None };
        let (was_dirty, before) = (group.dirty, group.len());
        let known = (&self.explanations, &self.lives, &self.lag);
        let done = swept(counting, name, known, |sweep| work(group, sweep));
        self.awake += group.len() - before;
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

    fn take_explanation(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) {
        let clears = |hold: &&Hold| context.found.has(hold.cleared_by);
        let Some(hold) = counting.count.hold.as_ref().filter(clears) else { return };
        let at = context.seen().event.time;
        for group in self.explanations.explain(hold, hold_key(hold, context), at.secs()) {
            self.look_at_waiting(counting, Name::from(&*group), (at, hold));
        }
    }

    fn take_life(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) {
        let Some(lower) = &counting.count.lower else { return };
        let (created, read) = (context.found.has(lower.created_by), context.found.has(lower.read_by));
        if !created && !read {
            return;
        }
        let event = context.seen().event;
        let (who, at) = (&*event.principal.id, event.time.secs());
        for secret in &event.secrets {
            let again = if created {
                self.lives.created(&secret.id, who, at)
            } else {
                self.lives.read(&secret.id, who, at)
            };
            for (group, from) in again {
                self.look_again(counting, Name::from(&*group), EventTime::from_secs(from));
            }
        }
    }

    /// Tells what changed in its incidents since the last call.
    pub(crate) fn changes(&mut self, counting: Counting<'_>, tell: &mut dyn FnMut(Change<'_>)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for (text, hash) in &dirty {
            if let Some(Slot::Awake(group)) = self.groups.get_mut(hash) {
                let known = (&self.explanations, &self.lives, &self.lag);
                swept(counting, Name { text, hash: *hash }, known, |sweep| group.finish(sweep));
                group.changes(tell);
            }
        }
    }

    /// What is held, in entries of groups that are awake.
    pub(crate) fn len(&self) -> usize {
        let light = (self.asleep + self.explanations.len()).div_ceil(LIGHT);
        self.awake + light + self.backlog.len().div_ceil(USUAL)
    }

    /// What is learned, and what of it had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        let lag = self.lag.borrow();
        Gauges {
            principals: lag.len(),
            learned_bytes: lag.bytes(),
            principals_evicted: lag.evicted(),
            unreadable: lag.unreadable(),
            ..Gauges::default()
        }
    }

    pub(crate) fn seal(&mut self, count: &Count, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
        // No entry that may still come has them in its window.
        self.backlog.forget_before(floor.plus_secs(-count.timespan_secs));
        self.groups.retain(|_, slot| match slot {
            Slot::Asleep(group) => {
                group.seal(floor, count.timespan_secs);
                group.len() > 0
            }
            Slot::Awake(group) => {
                group.seal(floor, count);
                group.dirty || !group.is_empty()
            }
        });
        self.explanations.forget_before(floor.secs() - count.timespan_secs);
        self.recount();
    }

    fn recount(&mut self) {
        (self.awake, self.asleep) = (0, 0);
        for slot in self.groups.values() {
            match slot {
                Slot::Asleep(group) => self.asleep += group.len(),
                Slot::Awake(group) => self.awake += group.len(),
            }
        }
    }

    /// Lets entries and explanations go until the share `part` of `of` is left: of the backlog
    /// the oldest, of the others groups of one entry first,
    /// those without an open incident before the others and the oldest before the newer, because
    /// a real attack has more than one; then the oldest of the others. How many went.
    pub(crate) fn shed(&mut self, count: &Count, (part, of): (usize, usize)) -> usize {
        let explained = self.explanations.shed(self.explanations.len() * part / of.max(1));
        let usual = self.backlog.shed(self.backlog.len() * part / of.max(1));
        let before = self.awake + self.asleep;
        let target = before * part / of.max(1);
        self.shed_singles(target, |slot| match slot {
            Slot::Asleep(_) => true,
            Slot::Awake(group) => group.latest().is_some_and(|time| !group.is_open(time, count)),
        });
        self.shed_singles(target, |_| true);
        let held = self.awake + self.asleep;
        if held > target {
            let keep = |len: usize| (len * target / held).max(1);
            for slot in self.groups.values_mut() {
                match slot {
                    Slot::Asleep(group) => group.shed(keep(group.len())),
                    Slot::Awake(group) => _ = group.shed(keep(group.len()), count),
                }
            }
            self.recount();
            // Each of the others is down to a few, and may be one of very many.
            self.shed_singles(target, |_| true);
        }
        explained + usual + before.saturating_sub(self.awake + self.asleep)
    }

    /// Lets the oldest groups of one entry go, of those that may.
    fn shed_singles(&mut self, target: usize, may_go: impl Fn(&Slot) -> bool) {
        let single = |slot: &Slot| slot.is_single() && may_go(slot);
        let singles = self.groups.values().filter(|slot| single(slot));
        let mut latest: Vec<EventTime> = singles.filter_map(Slot::latest).collect();
        let excess = (self.awake + self.asleep).saturating_sub(target).min(latest.len());
        if excess == 0 {
            return;
        }
        let (_, bound, _) = latest.select_nth_unstable(excess - 1);
        let bound = *bound;
        self.groups.retain(|_, slot| !single(slot) || slot.latest().is_none_or(|time| time > bound));
        self.recount();
    }
}

impl Slot {
    fn is_single(&self) -> bool {
        match self {
            Self::Asleep(group) => group.len() == 1,
            Self::Awake(group) => group.len() == 1 && !group.dirty,
        }
    }

    fn latest(&self) -> Option<EventTime> {
        match self {
            Self::Asleep(group) => group.latest(),
            Self::Awake(group) => group.latest(),
        }
    }
}

/// Runs `work` with what a sweep of the group needs to know.
fn swept<T>(
    counting: Counting<'_>,
    group: Name<'_>,
    (explanations, lives, lag): (&Explanations, &Lives, &RefCell<Lag>),
    work: impl FnOnce(&Sweep<'_>) -> T,
) -> T {
    let Counting { rule, count, .. } = counting;
    let explained = |entry: &Entry| match (&count.hold, &entry.role) {
        (Some(hold), Role::Waiting(key)) => explanations.explains(hold, *key, entry.brief.time.secs()),
        _ => false,
    };
    let level = |entry: &Entry| alerts::lowered(rule, count, own(count, lives, &entry.brief));
    let bound = |time: EventTime| learned_bound(count, &lag.borrow(), group, time);
    let observe = |time: EventTime, value: f64, alerted: bool| {
        if let Some(lagged) = &count.lagged {
            lag.borrow_mut().observe(lagged, group, day_of(time), Measured { value, alerted });
        }
    };
    work(&Sweep { rule, count, explained: &explained, level: &level, bound: &bound, observe: &observe })
}

/// What the group's past says must be met on that day; `None` when the rule's own bound is all
/// there is.
fn learned_bound(count: &Count, lag: &Lag, group: Name<'_>, time: EventTime) -> Option<(f64, String)> {
    let lagged = count.lagged.as_ref()?;
    let fixed = count.condition.bounds.first().map_or(0.0, |(_, bound)| *bound);
    match lag.bound(lagged, group, day_of(time), fixed) {
        (bound, Some(words)) => Some((bound, words)),
        (_, None) if lagged.silent => Some((f64::INFINITY, "too few days are known".to_owned())),
        (_, None) => None,
    }
}

/// Days since 1970 in UTC.
fn day_of(time: EventTime) -> i32 {
    i32::try_from(time.secs().div_euclid(86_400)).unwrap_or(i32::MAX)
}

fn hold_key(hold: &Hold, context: &Context<'_, '_>) -> u64 {
    values_hash(hold.on.iter(), context.view)
}

fn own(count: &Count, lives: &Lives, brief: &Brief) -> bool {
    let Some(lower) = &count.lower else { return false };
    let own = |secret: &str| {
        lives.is_own_and_fresh(secret, &brief.who.principal.id, brief.time.secs(), lower.within_secs)
    };
    !brief.secrets.is_empty() && brief.secrets.iter().all(|secret| own(&secret.id))
}
