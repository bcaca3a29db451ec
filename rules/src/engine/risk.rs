//! Several rules that speak about one principal or one address.
//!
//! Joins standing alerts. The incidents of an entity are a function of the set of its standing
//! alerts: neither the order they were put in nor what was there in between matters. After a restart the
//! alerts are put in again, as far back as anything may still change. Where an incident was cut for its age
//! alone the next begins at once, and so on back to the first: of that it is stored since when an entity's
//! alerts are joined. It judges alerts, never events.

use crate::rule::{Risk, RiskBy};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{AlertId, Level};
use std::borrow::Borrow;
use std::cmp::Ordering;
use std::collections::BTreeSet;
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// An incident takes alerts for at most this long after its first: a day, as incidents of
/// counting rules do.
pub(crate) const INCIDENT_SECS_MAX: i64 = 86_400;
/// Most alerts joined per entity; the earliest opened go first. An entity with more than this in
/// a day is beyond joining.
const PER_ENTITY_MAX: usize = 1_000;

/// What joins alerts.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(crate) enum Entity {
    /// A principal, by its id.
    Principal(Arc<str>),
    /// A source address, as text.
    Source(Arc<str>),
}

impl Entity {
    /// A text that no other entity has, for the incident's identity.
    pub(crate) fn key(&self) -> String {
        match self {
            Self::Principal(id) => format!("principal {id}"),
            Self::Source(id) => format!("source {id}"),
        }
    }

    /// The entity of a [`Self::key`].
    pub(crate) fn of_key(key: &str) -> Option<Self> {
        let principal = key.strip_prefix("principal ").map(|id| Self::Principal(id.into()));
        principal.or_else(|| key.strip_prefix("source ").map(|id| Self::Source(id.into())))
    }

    /// Whether alerts are joined by it.
    fn is_by(&self, by: &[RiskBy]) -> bool {
        match self {
            Self::Principal(_) => by.contains(&RiskBy::Principal),
            Self::Source(_) => by.contains(&RiskBy::Source),
        }
    }
}

/// What counts of one standing alert.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct AlertFacts {
    /// Its id.
    pub(crate) id: AlertId,
    /// The rule that raised it.
    pub(crate) rule: Arc<str>,
    /// Its level.
    pub(crate) level: Level,
    /// When it opened, in seconds since 1970.
    pub(crate) opened_at_secs: i64,
    /// Its principal, when it has exactly one.
    pub(crate) principal: Option<Arc<str>>,
    /// Its source address, when it has exactly one.
    pub(crate) source: Option<Arc<str>>,
    /// Ids of its first evidence, hashed: by that alone they are known here.
    pub(crate) evidence: Box<[u64]>,
    /// How many events it holds: one that only grows is news to what joins it.
    pub(crate) events: u64,
    /// Bytes it takes, with what its owner keeps of it.
    pub(crate) bytes: usize,
}

impl AlertFacts {
    fn entities(&self) -> impl Iterator<Item = Entity> {
        let principal = self.principal.clone().map(Entity::Principal);
        principal.into_iter().chain(self.source.clone().map(Entity::Source))
    }

    /// Its place among others.
    fn order(&self) -> Order<'_> {
        (self.opened_at_secs, &self.id)
    }
}

/// A place among the alerts of an entity: when one opened, and its id.
pub(crate) type Order<'o> = (i64, &'o AlertId);

/// Facts, known by their alert's id.
#[derive(Debug)]
struct ById(Arc<AlertFacts>);

impl PartialEq for ById {
    fn eq(&self, other: &Self) -> bool {
        self.0.id == other.0.id
    }
}

impl Eq for ById {}

impl Hash for ById {
    fn hash<H: Hasher>(&self, state: &mut H) {
        self.0.id.hash(state);
    }
}

impl Borrow<AlertId> for ById {
    fn borrow(&self) -> &AlertId {
        &self.0.id
    }
}

/// Facts in the order in which their alerts opened.
#[derive(Clone, Debug)]
struct ByAge(Arc<AlertFacts>);

impl PartialEq for ByAge {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other) == Ordering::Equal
    }
}

impl Eq for ByAge {}

impl PartialOrd for ByAge {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for ByAge {
    fn cmp(&self, other: &Self) -> Ordering {
        self.0.order().cmp(&other.0.order())
    }
}

/// One incident of an entity.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct RiskIncident {
    /// The alert that completed the condition. With the rule and the entity it identifies the
    /// incident.
    pub(crate) completed_by: Arc<AlertFacts>,
    /// Its alerts in the order they opened, then by id.
    pub(crate) alerts: Vec<Arc<AlertFacts>>,
    /// The distinct rules, in the order they first spoke.
    pub(crate) rules: Vec<Arc<str>>,
}

/// The standing alerts of one deployment.
#[derive(Debug)]
pub(crate) struct Risks {
    alerts: HashSet<ById>,
    /// Ordered by opening, then id.
    entities: HashMap<Entity, Vec<Arc<AlertFacts>>>,
    by_age: BTreeSet<ByAge>,
    touched: HashSet<Entity>,
    alerts_max: usize,
    bytes_max: usize,
    bytes: usize,
    evicted: u64,
}

impl Risks {
    /// No alerts yet. Holds at most so many, and so many bytes of them; the earliest opened goes first.
    pub(crate) fn new(alerts_max: usize, bytes_max: usize) -> Self {
        Self {
            alerts: HashSet::new(),
            entities: HashMap::new(),
            by_age: BTreeSet::new(),
            touched: HashSet::new(),
            alerts_max: alerts_max.max(1),
            bytes_max,
            bytes: 0,
            evicted: 0,
        }
    }

    /// How many alerts are held.
    pub(crate) fn len(&self) -> usize {
        self.alerts.len()
    }

    /// How many alerts were let go because of a limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.evicted
    }

    /// An alert stands, or stands with other facts.
    pub(crate) fn put(&mut self, facts: AlertFacts) {
        if self.alerts.get(&facts.id).is_some_and(|known| *known.0 == facts) {
            return;
        }
        self.remove(&facts.id);
        let facts = Arc::new(facts);
        for entity in facts.entities() {
            let alerts = self.entities.entry(entity.clone()).or_insert_with(|| Vec::with_capacity(1));
            let at = alerts.partition_point(|other| other.order() < facts.order());
            alerts.insert(at, Arc::clone(&facts));
            if alerts.len() > PER_ENTITY_MAX {
                alerts.remove(0);
                self.evicted += 1;
            }
            self.touched.insert(entity);
        }
        self.bytes += facts.bytes;
        self.by_age.insert(ByAge(Arc::clone(&facts)));
        self.alerts.insert(ById(facts));
        while self.alerts.len() > self.alerts_max || self.bytes > self.bytes_max {
            if !self.forget_first() {
                break;
            }
            self.evicted += 1;
        }
    }

    /// An alert stands no more.
    pub(crate) fn remove(&mut self, id: &AlertId) {
        if let Some(facts) = self.alerts.get(id).map(|known| Arc::clone(&known.0)) {
            self.forget(&facts);
            self.touched.extend(facts.entities());
        }
    }

    /// Lets alerts of an entity go that belong to incidents which are over before `horizon`: those before the
    /// latest of its alerts at which nothing before it matters. Where that is so because an incident was cut for
    /// its age, the alert's order is given back: it is not to be found again without those before it.
    pub(crate) fn trim(&mut self, spec: &Risk, entity: &Entity, horizon: i64) -> Trimmed {
        let Sweep { begins, last, .. } = self.sweep(spec, entity);
        let Some(alerts) = self.entities.get_mut(entity) else { return Trimmed::default() };
        // Nothing that still comes is joined to it.
        let is_past = |last: i64| last < horizon.saturating_sub(spec.timespan_secs);
        if let Some(last) = last.filter(|last| is_past(*last)) {
            self.entities.remove(entity);
            return Trimmed { since: Some((last.saturating_add(1), AlertId(String::new()))), cut: None };
        }
        let may_be = |begin: &&Begin| begin.at.opened_at_secs < horizon || begin.after.is_some_and(is_past);
        let Some(begin) = begins.iter().rev().find(may_be) else { return Trimmed::default() };
        let upto = alerts.partition_point(|other| other.order() < begin.at.order());
        alerts.drain(..upto);
        let at = (begin.at.opened_at_secs, begin.at.id.clone());
        let cut = Some(at.clone()).filter(|_| begin.cut);
        // Others may still come before it.
        let after = begin.after.filter(|last| is_past(*last));
        let since = after.map_or(at, |last| (last.saturating_add(1), AlertId(String::new())));
        Trimmed { since: Some(since), cut }
    }

    /// The entities of the alert that opened first, when that was before that second.
    pub(crate) fn first_before(&self, secs: i64) -> Option<Vec<Entity>> {
        let first = self.by_age.first().filter(|first| first.0.opened_at_secs < secs)?;
        Some(first.0.entities().collect())
    }

    /// Lets the earliest opened go; whether there was one. What was said of it stands.
    pub(crate) fn forget_first(&mut self) -> bool {
        let first = self.by_age.first().map(|first| Arc::clone(&first.0));
        first.is_some_and(|first| {
            self.forget(&first);
            true
        })
    }

    /// Lets one go, and what was said of it stands: it is memory that ends, not the alert.
    fn forget(&mut self, facts: &Arc<AlertFacts>) {
        self.by_age.remove(&ByAge(Arc::clone(facts)));
        if self.alerts.remove(&facts.id) {
            self.bytes -= facts.bytes;
        }
        for entity in facts.entities() {
            let Some(alerts) = self.entities.get_mut(&entity) else { continue };
            if let Ok(at) = alerts.binary_search_by(|other| other.order().cmp(&facts.order())) {
                alerts.remove(at);
            }
            if alerts.is_empty() {
                self.entities.remove(&entity);
            }
        }
    }

    /// Whether the alert is held.
    pub(crate) fn has(&self, id: &AlertId) -> bool {
        self.alerts.contains(id)
    }

    /// Whether any alert about the entity is held.
    pub(crate) fn knows(&self, entity: &Entity) -> bool {
        self.entities.contains_key(entity)
    }

    /// The entities whose alerts changed since the last call, in order.
    pub(crate) fn take_touched(&mut self) -> Vec<Entity> {
        let mut touched: Vec<Entity> = self.touched.drain().collect();
        touched.sort_unstable();
        touched
    }

    /// The incidents of an entity, in order of their first alert.
    pub(crate) fn incidents(&self, spec: &Risk, entity: &Entity) -> Vec<RiskIncident> {
        let mut sweep = self.sweep(spec, entity);
        sweep.done.extend(sweep.open);
        sweep.done
    }

    fn sweep<'s>(&self, spec: &'s Risk, entity: &Entity) -> Sweep<'s> {
        let mut sweep =
            Sweep { spec, window: Vec::new(), open: None, done: Vec::new(), begins: Vec::new(), last: None };
        let alerts = self.entities.get(entity).filter(|_| entity.is_by(&spec.by));
        for facts in alerts.into_iter().flatten().filter(|facts| !spec.except.contains(&facts.rule)) {
            sweep.take(facts);
        }
        sweep
    }
}

/// What was let go of an entity's alerts: all before `since`.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Trimmed {
    pub(crate) since: Option<(i64, AlertId)>,
    /// The same, when an incident was cut there for its age.
    pub(crate) cut: Option<(i64, AlertId)>,
}

/// The alerts of an entity, walked in order.
struct Sweep<'s> {
    spec: &'s Risk,
    /// Alerts within the timespan before the current one that belong to no incident.
    window: Vec<Arc<AlertFacts>>,
    open: Option<RiskIncident>,
    done: Vec<RiskIncident>,
    begins: Vec<Begin>,
    /// When the latest alert opened.
    last: Option<i64>,
}

/// An alert for which nothing before it matters.
struct Begin {
    at: Arc<AlertFacts>,
    /// When the one before it opened.
    after: Option<i64>,
    /// Whether it is so because an incident was cut for its age.
    cut: bool,
}

impl Sweep<'_> {
    fn take(&mut self, facts: &Arc<AlertFacts>) {
        let after = self.last.replace(facts.opened_at_secs);
        let is_apart =
            after.is_none_or(|last| facts.opened_at_secs.saturating_sub(last) > self.spec.timespan_secs);
        if let Some(open) = &mut self.open {
            if open.takes(facts, self.spec.timespan_secs) {
                open.add(facts);
                return;
            }
            self.done.extend(self.open.take());
            self.begins.push(Begin { at: Arc::clone(facts), after, cut: !is_apart });
        } else if is_apart {
            self.begins.push(Begin { at: Arc::clone(facts), after, cut: false });
        }
        let since = facts.opened_at_secs.saturating_sub(self.spec.timespan_secs);
        self.window.retain(|earlier| earlier.opened_at_secs >= since);
        self.window.push(Arc::clone(facts));
        let signals = signals(&self.window);
        let is_grave = signals.first().is_some_and(|alert| alert.level >= self.spec.level_min);
        if signals.len() >= self.spec.rules_min && is_grave {
            self.open = Some(RiskIncident::of(&self.window, facts));
            self.window.clear();
        }
    }
}

/// The alerts that are signals of their own, each of another rule, the weightiest first.
fn signals(alerts: &[Arc<AlertFacts>]) -> Vec<&AlertFacts> {
    let mut by_weight: Vec<&AlertFacts> = alerts.iter().map(Arc::as_ref).collect();
    by_weight.sort_by(|one, other| other.level.cmp(&one.level).then_with(|| one.order().cmp(&other.order())));
    let mut signals: Vec<&AlertFacts> = Vec::new();
    for alert in by_weight {
        if signals.iter().all(|signal| signal.rule != alert.rule && !signal.tells_the_same_as(alert)) {
            signals.push(alert);
        }
    }
    signals
}

impl AlertFacts {
    /// Whether the two are one thing told by two rules: of the events the one with fewer shows, more than
    /// half are shown by both.
    fn tells_the_same_as(&self, other: &Self) -> bool {
        let both = self.evidence.iter().filter(|event| other.evidence.contains(event)).count();
        2 * both > self.evidence.len().min(other.evidence.len())
    }
}

impl RiskIncident {
    fn of(alerts: &[Arc<AlertFacts>], completed_by: &Arc<AlertFacts>) -> Self {
        let completed_by = Arc::clone(completed_by);
        let mut incident = Self { completed_by, alerts: Vec::new(), rules: Vec::new() };
        for alert in alerts {
            incident.add(alert);
        }
        incident
    }

    fn takes(&self, facts: &AlertFacts, timespan_secs: i64) -> bool {
        let secs_since = |alert: Option<&Arc<AlertFacts>>| {
            alert.map_or(i64::MAX, |alert| facts.opened_at_secs.saturating_sub(alert.opened_at_secs))
        };
        secs_since(self.alerts.last()) <= timespan_secs
            && secs_since(self.alerts.first()) <= INCIDENT_SECS_MAX.max(timespan_secs)
    }

    fn add(&mut self, facts: &Arc<AlertFacts>) {
        if !self.rules.contains(&facts.rule) {
            self.rules.push(Arc::clone(&facts.rule));
        }
        self.alerts.push(Arc::clone(facts));
    }
}

#[cfg(test)]
#[path = "risk_tests.rs"]
mod tests;
