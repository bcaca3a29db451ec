//! One group of one counting rule: its entries in event-time order, and the incidents they make.
//!
//! The incidents are a function of the set of entries. A sweep walks them in order, slides the
//! window and opens, joins and closes incidents; when an entry comes late, the sweep is done
//! again from the floor and compared with what it said before. Arrival order, batch borders and
//! duplicates therefore change nothing.

use super::brief::{Brief, Entry, Fact, Role};
use crate::rule::{Condition, Count, Rule};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{AlertId, EventTime, Level};
use sha2::{Digest, Sha256};
use std::sync::Arc;

/// From how many actors on an incident takes further actors of the same key: rotation of
/// addresses is one attack, not one per address.
const ACTORS_MAX: usize = 3;

/// Entries and incidents of one group.
#[derive(Debug, Default)]
pub(crate) struct Group {
    entries: Vec<Entry>,
    /// Incidents open when the floor was passed.
    base: Vec<Incident>,
    /// What the last sweep found.
    pub(crate) live: Vec<Incident>,
    /// Level and number of secrets last told, by incident.
    told: HashMap<AlertId, (Level, usize)>,
}

/// A run of entries that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) id: AlertId,
    pub(crate) level: Level,
    /// The event at which the condition was first met.
    pub(crate) opened_by: Arc<Brief>,
    /// Every event, in order of joining: those of the opening window first.
    pub(crate) members: Vec<Arc<Brief>>,
    /// Event time of the earliest member.
    pub(crate) first: EventTime,
    /// Event time of the latest.
    pub(crate) last: EventTime,
    /// Highest value of the rule's condition.
    pub(crate) observed: u64,
    /// Whether the event it opened with may still be explained.
    pub(crate) waits: bool,
    ids: HashSet<Box<str>>,
    full_keys: HashSet<Box<str>>,
    base_keys: HashSet<Box<str>>,
    actors: HashSet<Box<str>>,
}

/// How a sweep differs from the one before.
pub(crate) enum Change {
    Opened(Incident),
    Updated { incident: Incident, was: AlertId, news: bool },
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
}

impl Group {
    /// Adds an entry; an event that is there already changes nothing.
    pub(crate) fn insert(&mut self, entry: Entry) -> bool {
        let at = self.entries.partition_point(|known| known.order() < entry.order());
        if self.entries.get(at).is_some_and(|known| known.order() == entry.order()) {
            return false;
        }
        self.entries.insert(at, entry);
        true
    }

    /// Lets the oldest sealed entries go until `keep` are left; how many went. Windows longer than
    /// what is kept then see less; open incidents keep all they have.
    pub(crate) fn shed(&mut self, keep: usize) -> usize {
        let sealed = self.entries.iter().take_while(|entry| entry.sealed).count();
        let excess = self.entries.len().saturating_sub(keep).min(sealed);
        self.entries.drain(..excess);
        excess
    }

    /// How many entries are kept.
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// Whether nothing is kept any more.
    pub(crate) fn is_empty(&self) -> bool {
        self.entries.is_empty() && self.base.is_empty()
    }

    /// Sweeps again and says what changed.
    pub(crate) fn refresh(&mut self, sweep: &Sweep<'_>) -> Vec<Change> {
        let found = sweep.run(&self.entries, self.base.clone());
        let changes = self.differences(&found);
        self.live = found;
        changes
    }

    fn differences(&mut self, found: &[Incident]) -> Vec<Change> {
        let mut changes = Vec::new();
        let mut gone: Vec<&Incident> =
            self.live.iter().filter(|old| !found.iter().any(|new| new.id == old.id)).collect();
        let mut told = HashMap::new();
        for incident in found {
            let now = (incident.level, incident.secrets());
            let same = self.live.iter().find(|old| old.id == incident.id);
            let moved = || gone.iter().position(|old| incident.has(&old.opened_by));
            let before = match same {
                Some(old) => Some(old),
                None => moved().map(|at| gone.swap_remove(at)),
            };
            let Some(old) = before else {
                told.insert(incident.id.clone(), now);
                changes.push(Change::Opened(incident.clone()));
                continue;
            };
            let last_told = self.told.get(&old.id).copied().unwrap_or(now);
            let news = now.0 > last_told.0 || now.1 >= last_told.1.max(1) * 2;
            told.insert(incident.id.clone(), if news { now } else { last_told });
            if !incident.same_as(old) {
                changes.push(Change::Updated { incident: incident.clone(), was: old.id.clone(), news });
            }
        }
        for old in gone {
            let merged_into = found.iter().find(|new| new.has(&old.opened_by)).map(|new| new.id.clone());
            changes.push(Change::Withdrawn { id: old.id.clone(), merged_into });
        }
        self.told = told;
        changes
    }

    /// Moves the floor to `floor`: what lies before can no longer be revised, what lies more
    /// than a window before is dropped. Incidents still open are kept whole.
    pub(crate) fn seal(&mut self, sweep: &Sweep<'_>, floor: EventTime) {
        let upto = self.entries.partition_point(|entry| entry.brief.time < floor);
        let found = sweep.run(self.entries.get(..upto).unwrap_or_default(), std::mem::take(&mut self.base));
        let alive = |incident: &Incident| incident.takes(floor, sweep.count);
        let keep_from = floor.plus_secs(-sweep.count.timespan_secs);
        for entry in self.entries.iter_mut().take(upto) {
            entry.sealed = true;
        }
        self.entries
            .retain(|entry| !entry.sealed || (entry.brief.time >= keep_from && !(sweep.explained)(entry)));
        self.live.retain(|incident| incident.takes(floor, sweep.count));
        self.base = found.into_iter().filter(alive).collect();
    }
}

impl Sweep<'_> {
    fn run(&self, entries: &[Entry], open: Vec<Incident>) -> Vec<Incident> {
        let mut open = open;
        let mut closed = Vec::new();
        let mut window = Window::new(self.count);
        for entry in entries {
            if !entry.sealed {
                let (alive, over) = open
                    .drain(..)
                    .partition(|incident: &Incident| incident.takes(entry.brief.time, self.count));
                open = alive;
                closed.extend::<Vec<Incident>>(over);
            }
            match entry.role {
                Role::Attached => {
                    if let Some(incident) =
                        open.iter_mut().find(|i| i.shares_secret(entry)).filter(|_| !entry.sealed)
                    {
                        incident.attach(entry);
                    }
                }
                Role::Waiting(_) if (self.explained)(entry) => {}
                Role::Hit | Role::Waiting(_) => {
                    window.push(entry);
                    if !entry.sealed {
                        self.hit(entry, &window, &mut open);
                    }
                }
            }
        }
        closed.extend(open);
        closed
    }

    fn hit(&self, entry: &Entry, window: &Window<'_>, open: &mut Vec<Incident>) {
        let level = (self.level)(entry);
        if let Some(incident) = open.iter_mut().find(|incident| incident.accepts(entry)) {
            incident.join(entry, level, self);
            incident.observed = incident.observed.max(window.observed());
            return;
        }
        if !window.holds() {
            return;
        }
        let free = |other: &&Entry| !open.iter().any(|incident| incident.has(&other.brief));
        let ours = window.entries.iter().copied().filter(|other| other.shares_base(entry)).filter(free);
        let mut incident = Incident::open(self.rule, entry, window.observed());
        for member in ours.collect::<Vec<_>>() {
            incident.join(member, (self.level)(member), self);
        }
        open.push(incident);
    }
}

impl Entry {
    fn shares_base(&self, other: &Entry) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|o| o.base == key.base))
    }
}

impl Incident {
    fn open(rule: &Rule, entry: &Entry, observed: u64) -> Self {
        let key = entry.keys.first().map(|key| &*key.full).unwrap_or_default();
        Self {
            id: alert_id(&rule.id, key, &entry.brief.id),
            level: Level::Info,
            opened_by: Arc::clone(&entry.brief),
            members: Vec::new(),
            first: entry.brief.time,
            last: entry.brief.time,
            observed,
            waits: matches!(entry.role, Role::Waiting(_)),
            ids: HashSet::new(),
            full_keys: HashSet::new(),
            base_keys: HashSet::new(),
            actors: HashSet::new(),
        }
    }

    fn takes(&self, at: EventTime, count: &Count) -> bool {
        at <= self.last.plus_secs(count.incident.keep_alive_secs)
            && at <= self.first.plus_secs(count.incident.max_duration_secs)
    }

    fn accepts(&self, entry: &Entry) -> bool {
        let known = |key: &super::brief::Key| {
            self.full_keys.contains(&key.full)
                || (self.actors.len() >= ACTORS_MAX && self.base_keys.contains(&key.base))
        };
        entry.keys.iter().any(known)
    }

    fn join(&mut self, entry: &Entry, level: Level, sweep: &Sweep<'_>) {
        self.attach(entry);
        self.first = self.first.min(entry.brief.time);
        self.last = self.last.max(entry.brief.time);
        self.level = self.level.max(level);
        self.actors.insert(entry.brief.actor.clone());
        for key in &entry.keys {
            self.full_keys.insert(key.full.clone());
            self.base_keys.insert(key.base.clone());
        }
        if let Some(escalate) = &sweep.count.escalate {
            let since = entry.brief.time.plus_secs(-escalate.within_secs);
            let recent = self.members.iter().rev().take_while(|member| member.time >= since).count() as u64;
            if recent >= escalate.at_least {
                self.level = self.level.max(escalate.to);
            }
        }
    }

    fn shares_secret(&self, entry: &Entry) -> bool {
        let named =
            |id: &str| self.members.iter().any(|member| member.secrets.iter().any(|secret| secret.id == id));
        entry.brief.secrets.iter().any(|secret| named(&secret.id))
    }

    fn attach(&mut self, entry: &Entry) {
        self.ids.insert(entry.brief.id.clone());
        self.members.push(Arc::clone(&entry.brief));
    }

    fn has(&self, brief: &Arc<Brief>) -> bool {
        self.ids.contains(&brief.id)
    }

    /// How many distinct secrets it names.
    pub(crate) fn secrets(&self) -> usize {
        let all: HashSet<&str> = self.members.iter().flat_map(|m| &m.secrets).map(|s| &*s.id).collect();
        all.len()
    }

    fn same_as(&self, other: &Self) -> bool {
        let members = self.members.iter().zip(&other.members);
        (&self.id, self.level, self.observed, self.members.len())
            == (&other.id, other.level, other.observed, other.members.len())
            && members.into_iter().all(|(a, b)| Arc::ptr_eq(a, b) || a.id == b.id)
    }
}

/// Identity of an incident: rule, key, opening event.
pub(crate) fn alert_id(rule: &str, key: &str, event: &str) -> AlertId {
    let mut hash = Sha256::new();
    for part in [rule, key, event] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let head = hash.finalize().iter().take(13).fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    AlertId(format!("alert_{head:026x}"))
}

/// The entries within one timespan, and what they count to.
struct Window<'w> {
    count: &'w Count,
    entries: std::collections::VecDeque<&'w Entry>,
    tallies: Vec<Tally<'w>>,
}

#[derive(Default)]
struct Tally<'w> {
    count: u64,
    values: HashMap<&'w str, u32>,
}

impl<'w> Window<'w> {
    fn new(count: &'w Count) -> Self {
        let tallies = (0..=count.any.len()).map(|_| Tally::default()).collect();
        Self { count, entries: std::collections::VecDeque::new(), tallies }
    }

    fn push(&mut self, entry: &'w Entry) {
        let since = entry.brief.time.plus_secs(-self.count.timespan_secs);
        while self.entries.front().is_some_and(|oldest| oldest.brief.time < since) {
            let Some(oldest) = self.entries.pop_front() else { break };
            for (tally, fact) in self.tallies.iter_mut().zip(&oldest.facts) {
                tally.remove(fact);
            }
        }
        for (tally, fact) in self.tallies.iter_mut().zip(&entry.facts) {
            tally.add(fact);
        }
        self.entries.push_back(entry);
    }

    fn observed(&self) -> u64 {
        self.tallies.first().map_or(0, Tally::total)
    }

    fn holds(&self) -> bool {
        let met = |(condition, tally): (&Condition, &Tally<'_>)| tally.total() >= condition.at_least;
        let further = self.tallies.get(1..).unwrap_or_default();
        self.observed() >= self.count.condition.at_least
            && (self.count.any.is_empty() || self.count.any.iter().zip(further).any(met))
    }
}

impl<'w> Tally<'w> {
    fn add(&mut self, fact: &'w Fact) {
        match fact {
            Fact::Adds(adds) => self.count += u64::from(*adds),
            Fact::Values(values) => {
                for value in values {
                    *self.values.entry(value).or_insert(0) += 1;
                }
            }
        }
    }

    fn remove(&mut self, fact: &'w Fact) {
        match fact {
            Fact::Adds(adds) => self.count -= u64::from(*adds),
            Fact::Values(values) => {
                for value in values {
                    if let Some(times) = self.values.get_mut(&**value) {
                        *times -= 1;
                        if *times == 0 {
                            self.values.remove(&**value);
                        }
                    }
                }
            }
        }
    }

    fn total(&self) -> u64 {
        self.count + self.values.len() as u64
    }
}
