//! A run of entries that belong together: what one alert is about.
//!
//! Joining can be taken back, in the reverse order of joining.

mod forgetting;
mod places;

use super::anchor::Anchor;
use super::brief::Brief;
use super::entry::{Entry, Fact, Role};
use super::few::Few;
use crate::rule::{Count, Counted};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{AlertId, EventTime, Level};
use sha2::{Digest, Sha256};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// From how many actors on an incident takes further actors of the same key: rotation of
/// addresses is one attack, not one per address.
pub(crate) const ACTORS_MAX: usize = 3;

/// Most events an incident keeps by name: what an alert shows, and enough to tell what it is
/// about. A thousand are about 300 kB; further ones are counted. When memory is short it forgets those of
/// them that say nothing of their own.
const MEMBERS_MAX: usize = 1000;
/// Most values an incident knows of those its events brought: no store holds many more secrets. A hundred
/// thousand take 2.2 MB. What it does not know of is told of again when it is repeated.
const VALUES_MAX: usize = if cfg!(test) { 2_000 } else { 100_000 };
/// How many of those take the memory of an entry, about 600 bytes.
const VALUES: usize = 25;
/// How many of the keys it is found by take that, beyond those few that are reckoned with it.
const KEYS: usize = 4;
/// How many members before the latest are asked whether it brings anything new.
const NEIGHBOURS: usize = 16;
/// How many of the latest events an escalation looks at.
const ESCALATION_EVENTS_MAX: usize = 1000;

/// A run of entries that belong together.
#[derive(Clone, Debug)]
pub(crate) struct Incident {
    pub(crate) id: AlertId,
    pub(crate) level: Level,
    /// The event at which the condition was first met.
    pub(crate) opened_by: Arc<Brief>,
    /// Its events in order of joining, those of the opening window first: the first [`MEMBERS_MAX`],
    /// without those that were forgotten.
    pub(crate) members: Vec<Member>,
    /// How many of those were forgotten. They came before all that can be taken back.
    forgotten: usize,
    /// How many of the members were kept when it was last looked which may be forgotten.
    looked_through: usize,
    /// How many events there are in all.
    pub(crate) events: u64,
    /// Events for which rules in between met their conditions at its own, when it was last told of.
    pub(crate) behind: Vec<Member>,
    /// Event time of the earliest member that is not attached.
    pub(crate) first: EventTime,
    /// Event time of the latest such member.
    pub(crate) last: EventTime,
    /// Highest value of the rule's condition among those that met it.
    pub(crate) observed: f64,
    /// The bound that value had to meet when the incident opened, and where it came from.
    pub(crate) bound: (f64, Option<String>),
    /// Whether the event it opened with may still be explained.
    pub(crate) waits: bool,
    pub(crate) full_keys: Vec<u128>,
    pub(crate) base_keys: Vec<u128>,
    /// The first event of each of its actors, [`ACTORS_MAX`] at most.
    actors: Vec<Arc<Brief>>,
    /// The first event from each of its networks, [`PLACES_MAX`](places::PLACES_MAX) at most.
    places: Vec<Member>,
    /// What was last said of it.
    pub(crate) told: Option<Told>,
    /// The values its events brought to the rule's condition, and how often: for rules that
    /// compare with them what is repeated. The first [`VALUES_MAX`] in order of joining.
    values: HashMap<u64, u32>,
    /// Whether every member was looked at for escalations when it came.
    weighed: bool,
    /// What it is known by, when nothing else of it is known and nothing is to be told of it.
    pub(crate) ghost: Option<Box<Anchor>>,
}

/// One event of an incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Member {
    pub(crate) brief: Arc<Brief>,
    /// Which of the rule's hits count of it; none of what stands behind others.
    pub(crate) live: u64,
    pub(crate) note: Option<Arc<str>>,
    /// What it adds to each escalation of the rule.
    pub(crate) weighs: Box<[Fact]>,
    /// What it shares with what may be attached, by number of the attachment.
    pub(crate) shares: Few<Few<u64>>,
}

/// What was last said of an incident.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Told {
    pub(crate) level: Level,
    /// Distinct secrets when it was last news.
    pub(crate) secrets: usize,
    /// Networks it was from, as far as they are told apart.
    pub(crate) places: usize,
    pub(crate) events: u64,
    pub(crate) observed: f64,
    /// Stands for which events they were.
    pub(crate) print: u64,
}

/// What an incident was before a join, to come back to. How many events it had is not among it, so
/// that an event which comes between two others later changes none of what was kept after it.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Undo {
    pub(crate) level: Level,
    pub(crate) last: EventTime,
    pub(crate) observed: f64,
    actors: usize,
    places: usize,
    /// Keys it had.
    pub(crate) full_keys: usize,
    /// Keys without the actor it had.
    pub(crate) base_keys: usize,
}

impl Member {
    /// An event that stands behind others.
    pub(crate) fn behind(entry: &Entry) -> Self {
        let (brief, note) = (Arc::clone(&entry.brief), entry.note.clone());
        Self { brief, live: 0, note, weighs: Box::default(), shares: Few::None }
    }

    /// The entry as a member, of whose facts the first `conditions` are no escalation's.
    fn of(entry: &Entry, conditions: usize) -> Self {
        Self {
            brief: Arc::clone(&entry.brief),
            live: entry.live,
            note: entry.note.clone(),
            weighs: entry.facts.get(conditions..).unwrap_or_default().into(),
            shares: entry.shares.clone(),
        }
    }
}

impl Incident {
    pub(crate) fn open(rule: &str, entry: &Entry, observed: f64, bound: (f64, Option<String>)) -> Self {
        let key = entry.keys.first().map_or(0, |key| key.full);
        let id = alert_id(rule, &format!("{key:032x}"), &entry.brief.id);
        let waits = matches!(entry.role, Role::Waiting(_));
        Self { observed, bound, waits, ..Self::empty(id, Arc::clone(&entry.brief)) }
    }

    /// One that is known by its anchor alone: it takes what its age and its latest event allow. It has no id.
    pub(crate) fn ghost(opened_by: Arc<Brief>, actors: Vec<Arc<Brief>>, anchor: Anchor) -> Self {
        let (first, last) = (anchor.first(), anchor.last());
        let empty = Self::empty(AlertId(String::new()), opened_by);
        Self { first, last, actors, ghost: Some(Box::new(anchor)), ..empty }
    }

    /// One that nothing joined yet.
    fn empty(id: AlertId, opened_by: Arc<Brief>) -> Self {
        let at = opened_by.time;
        Self {
            id,
            level: Level::Info,
            opened_by,
            members: Vec::new(),
            forgotten: 0,
            looked_through: 0,
            events: 0,
            behind: Vec::new(),
            first: at,
            last: at,
            observed: 0.0,
            bound: (0.0, None),
            waits: false,
            full_keys: Vec::new(),
            base_keys: Vec::new(),
            actors: Vec::new(),
            places: Vec::new(),
            told: None,
            values: HashMap::new(),
            weighed: true,
            ghost: None,
        }
    }

    /// Whether nothing is known of it but its anchor.
    pub(crate) fn is_nameless(&self) -> bool {
        self.id.0.is_empty()
    }

    /// Whether it was there when the entry came. One that is known by its anchor may be there too early.
    pub(crate) fn precedes(&self, entry: &Entry) -> bool {
        self.ghost.is_none() || self.opened_by.order() <= entry.order()
    }

    /// Its first actors, and when each came, in nanoseconds since 1970.
    pub(crate) fn first_actors(&self) -> Vec<(String, i64)> {
        let actor = |brief: &Arc<Brief>| (brief.who.actor.to_string(), brief.time.unix_nanos());
        self.actors.iter().map(actor).collect()
    }

    /// Whether it still takes events at `at`.
    pub(crate) fn takes(&self, at: EventTime, count: &Count) -> bool {
        at <= self.last.plus_secs(count.incident.keep_alive_secs)
            && at <= self.first.plus_secs(count.incident.max_duration_secs)
    }

    /// Whether what repeats it still joins it at `at`.
    pub(crate) fn is_repeated(&self, at: EventTime, count: &Count) -> bool {
        at <= self.last.plus_secs(count.incident.repeats_secs)
    }

    /// What it keeps by name, in entries.
    pub(crate) fn kept(&self) -> usize {
        self.members.len() + self.values.len() / VALUES + self.full_keys.len() / KEYS
    }

    /// Whether its events brought the value.
    pub(crate) fn knows(&self, value: u64) -> bool {
        self.values.contains_key(&value)
    }

    /// Notes, or with `back` takes back, what an entry brought to the rule's condition.
    pub(crate) fn bring(&mut self, entry: &Entry, count: &Count, back: bool) {
        let Some(brought) = entry.facts.first().filter(|_| count.incident.repeats_secs > 0) else { return };
        for value in brought.values(entry.live) {
            if back {
                super::window::less(&mut self.values, value);
            } else if let Some(times) = self.values.get_mut(&value) {
                *times += 1;
            } else if self.values.len() < VALUES_MAX {
                self.values.insert(value, 1);
            }
        }
    }

    /// Takes an entry that counts.
    pub(crate) fn join(&mut self, entry: &Entry, level: Level, count: &Count) -> Undo {
        let undo = self.mark();
        let named = self.push(entry, count);
        self.first = self.first.min(entry.brief.time);
        self.last = self.last.max(entry.brief.time);
        self.level = self.level.max(level);
        if !self.is_crowded() && self.first_of(entry).is_none() {
            self.actors.push(Arc::clone(&entry.brief));
        }
        self.see_place(entry);
        self.escalate(count, named);
        undo
    }

    /// Takes an entry as further evidence.
    pub(crate) fn attach(&mut self, entry: &Entry, count: &Count) -> Undo {
        let undo = self.mark();
        self.push(entry, count);
        self.weighed = false;
        undo
    }

    /// Whether it was kept by name.
    fn push(&mut self, entry: &Entry, count: &Count) -> bool {
        let conditions = 1 + count.any.len();
        let named = !self.is_full();
        if named {
            // Most incidents never have more than one.
            self.members.reserve_exact(usize::from(self.members.is_empty()));
            self.members.push(Member::of(entry, conditions));
        }
        self.events += 1;
        named
    }

    /// The first event of the entry's actor.
    fn first_of(&self, entry: &Entry) -> Option<&Arc<Brief>> {
        self.actors.iter().find(|first| first.who.actor == entry.brief.who.actor)
    }

    /// Whether it has so many actors that it takes any more of the same key.
    pub(crate) fn is_crowded(&self) -> bool {
        self.actors.len() >= ACTORS_MAX
    }

    /// Whether it was so when the entry came.
    pub(crate) fn was_crowded(&self, entry: &Entry) -> bool {
        self.actors.get(ACTORS_MAX - 1).is_some_and(|last| last.order() < entry.order())
    }

    /// Whether the entry brings it an actor that none before it brought.
    pub(crate) fn lacks_actor_of(&self, entry: &Entry) -> bool {
        !self.was_crowded(entry) && self.first_of(entry).is_none_or(|first| first.order() > entry.order())
    }

    /// Takes an entry that counts in between those it has, and that brings it no new key, no new
    /// actor and no new place.
    pub(crate) fn slip_in(&mut self, entry: &Entry, (level, observed): (Level, f64), count: &Count) {
        let at = self.members.partition_point(|member| member.brief.order() < entry.order());
        let most = MEMBERS_MAX.saturating_sub(self.forgotten);
        if at < most {
            self.members.insert(at, Member::of(entry, 1 + count.any.len()));
            self.members.truncate(most);
        }
        self.events += 1;
        self.last = self.last.max(entry.brief.time);
        self.level = self.level.max(level);
        self.observed = self.observed.max(observed);
        self.bring(entry, count, false);
    }

    /// Its members before an entry, the latest first.
    pub(crate) fn members_before(&self, entry: &Entry) -> impl Iterator<Item = &Member> {
        let upto = self.members.partition_point(|member| member.brief.order() < entry.order());
        self.members.get(..upto).unwrap_or_default().iter().rev()
    }

    /// Whether it named as many events as it may.
    pub(crate) fn is_full(&self) -> bool {
        self.members.len() + self.forgotten >= MEMBERS_MAX
    }

    /// What it is now, to come back to.
    pub(crate) fn mark(&self) -> Undo {
        Undo {
            level: self.level,
            last: self.last,
            observed: self.observed,
            actors: self.actors.len(),
            places: self.places.len(),
            full_keys: self.full_keys.len(),
            base_keys: self.base_keys.len(),
        }
    }

    /// Takes the latest join back; keys are the group's to take back. What joins an incident that is open
    /// is not before its first event, which therefore stays.
    pub(crate) fn undo(&mut self, undo: &Undo) {
        self.events -= 1;
        let events = usize::try_from(self.events).unwrap_or(MEMBERS_MAX);
        self.members.truncate(events.saturating_sub(self.forgotten));
        (self.level, self.last, self.observed) = (undo.level, undo.last, undo.observed);
        self.actors.truncate(undo.actors);
        self.places.truncate(undo.places);
        self.weighed = false;
    }

    /// Raises the level where enough came together. What the latest member adds to that is looked
    /// at first: when all others were weighed before and it brings nothing, neither do they.
    fn escalate(&mut self, count: &Count, named: bool) {
        for (at, escalate) in count.escalate.iter().enumerate() {
            if self.level >= escalate.to {
                continue;
            }
            let since = match escalate.within_secs {
                0 => EventTime::from_unix_nanos(i64::MIN, 0),
                secs => self.last.plus_secs(-secs),
            };
            if self.weighed && (!named || self.adds_nothing(at, since)) {
                continue;
            }
            let latest = self.members.iter().rev().take(ESCALATION_EVENTS_MAX);
            let recent = latest.filter(|member| member.brief.time >= since);
            if weighed(&escalate.of, recent.filter_map(|member| member.weighs.get(at))) >= escalate.at_least {
                self.level = escalate.to;
            }
        }
        self.weighed = true;
    }

    /// Whether the latest member weighs nothing for an escalation, or only what one of the few
    /// before it weighs already.
    fn adds_nothing(&self, escalation: usize, since: EventTime) -> bool {
        let mut latest = self.members.iter().rev();
        match latest.next().and_then(|member| member.weighs.get(escalation)) {
            None | Some(Fact::Adds(false) | Fact::Numbers(_) | Fact::ByHit(_)) => true,
            Some(Fact::Adds(true)) => false,
            Some(Fact::Values(new)) => {
                let before = latest.take(NEIGHBOURS).filter(|member| member.brief.time >= since);
                let mut known = before.filter_map(|member| match member.weighs.get(escalation) {
                    Some(Fact::Values(values)) => Some(values),
                    Some(Fact::Adds(_) | Fact::Numbers(_) | Fact::ByHit(_)) | None => None,
                });
                new.is_empty() || known.any(|values| new.iter().all(|value| values.contains(value)))
            }
        }
    }

    /// How many distinct secrets it names.
    pub(crate) fn secrets(&self) -> usize {
        let all: HashSet<&str> =
            self.members.iter().flat_map(|m| &*m.brief.secrets).map(|secret| &*secret.id).collect();
        all.len()
    }

    /// Stands for which events it has: two sets of them differ in it but for chance.
    pub(crate) fn print(&self) -> u64 {
        let mut hasher = std::hash::DefaultHasher::new();
        let events = self.members.iter().chain(&self.behind);
        events.for_each(|member| member.brief.id.hash(&mut hasher));
        hasher.finish()
    }

    /// Whether the event is one of its own.
    pub(crate) fn has(&self, brief: &Brief) -> bool {
        self.members.iter().any(|member| member.brief.id == brief.id)
    }
}

fn weighed<'f>(of: &Counted, facts: impl Iterator<Item = &'f Fact>) -> u64 {
    let mut values = HashSet::new();
    let mut count = 0;
    for fact in facts {
        match fact {
            Fact::Adds(adds) => count += u64::from(*adds),
            Fact::Values(all) => values.extend(all.iter().copied()),
            Fact::Numbers(_) | Fact::ByHit(_) => {}
        }
    }
    if matches!(of, Counted::Distinct(_)) { values.len() as u64 } else { count }
}

/// Identity of an incident: rule, key, opening event.
#[must_use]
pub fn alert_id(rule: &str, key: &str, event: &str) -> AlertId {
    let mut hash = Sha256::new();
    for part in [rule, key, event] {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part.as_bytes());
    }
    let head = hash.finalize().iter().take(13).fold(0_u128, |all, byte| all << 8 | u128::from(*byte));
    AlertId(format!("alert_{head:026x}"))
}
