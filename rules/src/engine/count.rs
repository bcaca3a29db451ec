//! What one counting rule remembers, and how an event changes it.

use super::alerts;
use super::brief::Brief;
use super::entry::{Entry, Part, Role, combined, shared_values};
use super::explain::Explanations;
use super::group::{Arrival, Change, Group, Sweep};
use super::lagged::{Lag, Measured};
use super::lives::Lives;
use super::{Context, Gauges};
use crate::rule::{Count, Hold, Rule};
use hashbrown::HashMap;
use keywatch_event::{EventTime, Level};
use std::cell::RefCell;
use std::sync::Arc;

/// What one counting rule remembers.
#[derive(Debug)]
pub(crate) struct CountState {
    groups: HashMap<Box<str>, Group>,
    dirty: Vec<Box<str>>,
    explanations: Explanations,
    lives: Lives,
    pub(crate) lag: RefCell<Lag>,
    /// Entries in all groups.
    held: usize,
}

/// A rule with what it counts.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Counting<'r> {
    pub(crate) rule: &'r Rule,
    pub(crate) count: &'r Count,
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
    pub(crate) fn new(groups_max: usize) -> Self {
        Self {
            groups: HashMap::new(),
            dirty: Vec::new(),
            explanations: Explanations::default(),
            lives: Lives::default(),
            lag: RefCell::new(Lag::new(groups_max)),
            held: 0,
        }
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
        let count = counting.count;
        let hit = usize::try_from(part.hits.trailing_zeros()).unwrap_or(0);
        let group_by = count.hits.get(hit).or(count.hits.first()).map_or(&[][..], |hit| &hit.group_by);
        let groups = combined(group_by, context.view);
        let secs = brief.time.secs();
        if let Role::Waiting(key) = &part.role {
            self.explanations.wait(key, (secs, &brief.id), &groups);
        }
        let mut effect = Effect { entered: !groups.is_empty(), ..Effect::default() };
        for group in groups {
            if count.lower.is_some() {
                brief.secrets.iter().for_each(|secret| self.lives.deleted(&secret.id, secs, &group));
            }
            let entry = Entry::new(Arc::clone(brief), count, context, part.clone());
            match self.insert(counting, &group, entry) {
                Arrival::Known => {}
                Arrival::Beyond => effect.beyond += 1,
                Arrival::Swept(level) => effect.raised = effect.raised.max(level),
            }
            self.look_at_neighbours(counting, part, brief.time, &group);
        }
        effect
    }

    fn insert(&mut self, counting: Counting<'_>, name: &str, entry: Entry) -> Arrival {
        let Self { groups, explanations, lives, lag, .. } = self;
        let group = groups.entry_ref(name).or_insert_with(|| Group::new(counting.count));
        let was_dirty = group.dirty;
        let before = group.len();
        let arrival = swept(counting, name, (explanations, lives, lag), |sweep| group.insert(entry, sweep));
        self.held += group.len() - before;
        if group.dirty && !was_dirty {
            self.dirty.push(name.into());
        }
        arrival
    }

    /// Events that wait together are explained only while they are few: one more may change what
    /// the others are.
    fn look_at_neighbours(&mut self, counting: Counting<'_>, part: &Part, at: EventTime, group: &str) {
        if let (Role::Waiting(key), Some(hold)) = (&part.role, &counting.count.hold)
            && self.explanations.waiting_near(key, at.secs(), hold.secs) > 1
        {
            self.look_again(counting, group, at.plus_secs(-hold.secs - 1));
        }
    }

    fn look_again(&mut self, counting: Counting<'_>, name: &str, from: EventTime) {
        let Self { groups, explanations, lives, lag, .. } = self;
        let Some(group) = groups.get_mut(name) else { return };
        let was_dirty = group.dirty;
        swept(counting, name, (explanations, lives, lag), |sweep| group.look_again(from, sweep));
        if group.dirty && !was_dirty {
            self.dirty.push(name.into());
        }
    }

    /// What an event is to the rule, if it is anything.
    pub(crate) fn role(count: &Count, context: &Context<'_, '_>, hits: u64) -> Option<Role> {
        if hits != 0 {
            return Some(match &count.hold {
                Some(hold) if context.found.has(hold.when) => Role::Waiting(hold_key(hold, context)),
                _ => Role::Hit,
            });
        }
        let attached = count.attach.iter().enumerate().find(|(_, attach)| context.found.has(attach.matcher));
        attached.map(|(at, attach)| {
            Role::Attached(u8::try_from(at).unwrap_or(u8::MAX), shared_values(&attach.on, context))
        })
    }

    fn take_explanation(&mut self, counting: Counting<'_>, context: &Context<'_, '_>) {
        let clears = |hold: &&Hold| context.found.has(hold.cleared_by);
        let Some(hold) = counting.count.hold.as_ref().filter(clears) else { return };
        let at = context.seen().event.time;
        for group in self.explanations.explain(hold, &hold_key(hold, context), at.secs()) {
            self.look_again(counting, &group, at.plus_secs(-hold.secs - 1));
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
                self.look_again(counting, &group, EventTime::from_secs(from));
            }
        }
    }

    /// Tells what changed in its incidents since the last call.
    pub(crate) fn changes(&mut self, tell: &mut dyn FnMut(Change<'_>)) {
        let mut dirty = std::mem::take(&mut self.dirty);
        dirty.sort_unstable();
        for name in &dirty {
            if let Some(group) = self.groups.get_mut(name) {
                group.changes(tell);
            }
        }
    }

    /// Entries and explanations held.
    pub(crate) fn len(&self) -> usize {
        self.held + self.explanations.len()
    }

    /// What is learned, and what of it had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        let lag = self.lag.borrow();
        Gauges {
            principals: lag.len(),
            principals_evicted: lag.evicted(),
            unreadable: lag.unreadable(),
            ..Gauges::default()
        }
    }

    pub(crate) fn seal(&mut self, count: &Count, floor: EventTime) {
        self.groups.retain(|_, group| {
            group.seal(floor, count);
            group.dirty || !group.is_empty()
        });
        self.explanations.forget_before(floor.secs() - count.timespan_secs);
        self.held = self.groups.values().map(Group::len).sum();
    }

    /// Lets entries and explanations go until at most `target` are left, of each its share: groups
    /// of one entry first, those without an open incident before the others and the oldest before
    /// the newer, because a real attack has more than one; then the oldest of the others.
    pub(crate) fn shed(&mut self, count: &Count, target: usize) -> usize {
        let (explanations, all) = (self.explanations.len(), self.len().max(1));
        let explained = self.explanations.shed(explanations * target / all);
        explained + self.shed_entries(count, target - explanations * target / all)
    }

    fn shed_entries(&mut self, count: &Count, target: usize) -> usize {
        let before = self.held;
        self.shed_singles(target, |group| group.latest().is_some_and(|time| !group.is_open(time, count)));
        self.shed_singles(target, |_| true);
        if self.held > target {
            let (held, groups) = (self.held, &mut self.groups);
            groups.values_mut().for_each(|group| _ = group.shed((group.len() * target / held).max(1), count));
            self.held = self.groups.values().map(Group::len).sum();
            // Each of the others is down to a few, and may be one of very many.
            self.shed_singles(target, |_| true);
        }
        before.saturating_sub(self.held)
    }

    /// Lets the oldest groups of one entry go, of those that may.
    fn shed_singles(&mut self, target: usize, may_go: impl Fn(&Group) -> bool) {
        let single = |group: &Group| group.len() == 1 && !group.dirty && may_go(group);
        let singles = self.groups.values().filter(|group| single(group));
        let mut latest: Vec<EventTime> = singles.filter_map(Group::latest).collect();
        let excess = self.held.saturating_sub(target).min(latest.len());
        if excess == 0 {
            return;
        }
        let (_, bound, _) = latest.select_nth_unstable(excess - 1);
        let bound = *bound;
        self.groups.retain(|_, group| !single(group) || group.latest().is_none_or(|time| time > bound));
        self.held = self.groups.values().map(Group::len).sum();
    }
}

/// Runs `work` with what a sweep of the group needs to know.
fn swept<T>(
    counting: Counting<'_>,
    group: &str,
    (explanations, lives, lag): (&Explanations, &Lives, &RefCell<Lag>),
    work: impl FnOnce(&Sweep<'_>) -> T,
) -> T {
    let Counting { rule, count } = counting;
    let explained = |entry: &Entry| match (&count.hold, &entry.role) {
        (Some(hold), Role::Waiting(key)) => explanations.explains(hold, key, entry.brief.time.secs()),
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
fn learned_bound(count: &Count, lag: &Lag, group: &str, time: EventTime) -> Option<(f64, String)> {
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

fn hold_key(hold: &Hold, context: &Context<'_, '_>) -> Box<str> {
    let values = hold.on.iter().map(|field| field.values(context.view).join("\u{1e}"));
    values.collect::<Vec<_>>().join("\u{1f}").into()
}

fn own(count: &Count, lives: &Lives, brief: &Brief) -> bool {
    let Some(lower) = &count.lower else { return false };
    let own = |secret: &str| {
        lives.is_own_and_fresh(secret, &brief.who.principal.id, brief.time.secs(), lower.within_secs)
    };
    !brief.secrets.is_empty() && brief.secrets.iter().all(|secret| own(&secret.id))
}
