//! Several rules that speak about one principal or one address.
//!
//! Joins standing alerts. The incidents of an entity are a function of the set of its standing
//! alerts: neither the order they were put in nor what was there in between matters. Nothing is
//! stored; after a restart the alerts are put in again. It judges alerts, never events.

use crate::rule::{Risk, RiskBy};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{AlertId, Level};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// An incident takes alerts for at most this long after its first: a day, as incidents of
/// counting rules do.
const INCIDENT_SECS_MAX: i64 = 86_400;
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
    /// Ids of its first evidence.
    pub(crate) evidence: Vec<Arc<str>>,
    /// How many events it holds: one that only grows is news to what joins it.
    pub(crate) events: u64,
}

impl AlertFacts {
    fn entities(&self) -> impl Iterator<Item = Entity> {
        let principal = self.principal.clone().map(Entity::Principal);
        principal.into_iter().chain(self.source.clone().map(Entity::Source))
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
    alerts: HashMap<AlertId, Arc<AlertFacts>>,
    /// Ordered by opening, then id.
    entities: HashMap<Entity, BTreeMap<(i64, AlertId), Arc<AlertFacts>>>,
    by_age: BTreeSet<(i64, AlertId)>,
    touched: HashSet<Entity>,
    alerts_max: usize,
    evicted: u64,
}

impl Risks {
    /// No alerts yet. Holds at most `alerts_max`, about 600 bytes each.
    pub(crate) fn new(alerts_max: usize) -> Self {
        Self {
            alerts: HashMap::new(),
            entities: HashMap::new(),
            by_age: BTreeSet::new(),
            touched: HashSet::new(),
            alerts_max: alerts_max.max(1),
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
        if self.alerts.get(&facts.id).is_some_and(|known| **known == facts) {
            return;
        }
        self.remove(&facts.id);
        let facts = Arc::new(facts);
        let place = (facts.opened_at_secs, facts.id.clone());
        for entity in facts.entities() {
            self.entities.entry(entity.clone()).or_default().insert(place.clone(), Arc::clone(&facts));
            self.touched.insert(entity.clone());
            self.bound(&entity);
        }
        self.by_age.insert(place);
        self.alerts.insert(facts.id.clone(), facts);
        while self.alerts.len() > self.alerts_max
            && let Some(place) = self.by_age.first().cloned()
        {
            self.forget(&place);
            self.evicted += 1;
        }
    }

    /// An alert stands no more.
    pub(crate) fn remove(&mut self, id: &AlertId) {
        let Some(facts) = self.alerts.remove(id) else { return };
        let place = (facts.opened_at_secs, facts.id.clone());
        self.by_age.remove(&place);
        for entity in facts.entities() {
            self.take_from(&entity, &place);
            self.touched.insert(entity);
        }
    }

    /// Lets alerts go that opened before that second: nothing will join them any more. Their
    /// entities are not touched by that: what was said of them stands.
    pub(crate) fn forget_before(&mut self, secs: i64) {
        while let Some(place) = self.by_age.first().filter(|(at, _)| *at < secs).cloned() {
            self.forget(&place);
        }
    }

    /// Lets one go, and what was said of it stands: it is memory that ends, not the alert.
    fn forget(&mut self, place: &(i64, AlertId)) {
        self.by_age.remove(place);
        let Some(facts) = self.alerts.remove(&place.1) else { return };
        for entity in facts.entities() {
            self.take_from(&entity, place);
        }
    }

    /// Whether the alert is held.
    pub(crate) fn has(&self, id: &AlertId) -> bool {
        self.alerts.contains_key(id)
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
        let Some(alerts) = self.entities.get(entity).filter(|_| entity.is_by(&spec.by)) else {
            return Vec::new();
        };
        let mut sweep = Sweep { spec, window: Vec::new(), open: None, done: Vec::new() };
        for facts in alerts.values().filter(|facts| !spec.except.contains(&facts.rule)) {
            sweep.take(facts);
        }
        sweep.done.extend(sweep.open);
        sweep.done
    }

    fn take_from(&mut self, entity: &Entity, place: &(i64, AlertId)) {
        if let Some(alerts) = self.entities.get_mut(entity) {
            alerts.remove(place);
            if alerts.is_empty() {
                self.entities.remove(entity);
            }
        }
    }

    fn bound(&mut self, entity: &Entity) {
        if let Some(alerts) = self.entities.get_mut(entity).filter(|alerts| alerts.len() > PER_ENTITY_MAX) {
            alerts.pop_first();
            self.evicted += 1;
        }
    }
}

/// The alerts of an entity, walked in order.
struct Sweep<'s> {
    spec: &'s Risk,
    /// Alerts within the timespan before the current one that belong to no incident.
    window: Vec<Arc<AlertFacts>>,
    open: Option<RiskIncident>,
    done: Vec<RiskIncident>,
}

impl Sweep<'_> {
    fn take(&mut self, facts: &Arc<AlertFacts>) {
        if let Some(open) = &mut self.open {
            if open.takes(facts, self.spec.timespan_secs) {
                open.add(facts);
                return;
            }
            self.done.extend(self.open.take());
        }
        let since = facts.opened_at_secs.saturating_sub(self.spec.timespan_secs);
        self.window.retain(|earlier| earlier.opened_at_secs >= since);
        self.window.push(Arc::clone(facts));
        let rules: BTreeSet<&str> = self.window.iter().map(|alert| &*alert.rule).collect();
        let is_grave = self.window.iter().any(|alert| alert.level >= self.spec.level_min);
        if rules.len() >= self.spec.rules_min && is_grave {
            self.open = Some(RiskIncident::of(&self.window, facts));
            self.window.clear();
        }
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
