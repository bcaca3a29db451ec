//! Alerts of several rules about one principal or address become one alert of their own.

use super::alerts::named;
use super::incident::alert_id;
use super::risk::{AlertFacts, Entity, INCIDENT_SECS_MAX, RiskIncident, Risks, Trimmed};
use super::shelf::Shelf;
use super::verdicts::Verdicts;
use super::weight::bytes_of;
use super::words::hashed;
use super::{Engine, Gauges, State};
use crate::rule::{Kind, Risk, RiskBy, Rule};
use crate::surroundings::List;
use hashbrown::HashMap;
use keywatch_event::{
    Alert, AlertChange, AlertId, AlertPrincipal, AlertSession, AlertSessions, EVIDENCE_MAX, Evidence,
    Learned, Level, PrincipalKind, SECRETS_MAX, SESSIONS_MAX, SecretRef, SourceKind, Why,
};
use std::hash::{Hash, Hasher};
use std::sync::Arc;

/// Most standing alerts that can be joined, and most bytes of them: one with a single event takes a
/// kilobyte, one that shows twenty events and a hundred secrets twenty. The earliest opened goes first.
const ALERTS_MAX: usize = 20_000;
const BYTES_MAX: usize = 16 << 20;
/// What the facts of one take: themselves, three times its id, the names of two entities and a place
/// for it with each, and as much again for room in tables.
const FACTS_BYTES: usize = 700;
/// How many that were let go may still lie there: they are looked for when there are so many.
const SPARE: usize = ALERTS_MAX / 10;
/// Most entities of which it is stored since when their alerts are joined, and how long one is after that was
/// last of use. One is about 150 bytes.
const SINCE_MAX: usize = 10_000;
const SINCE_SECS: i64 = 2 * Risk::KEPT_SECS;
/// Between the rule and the entity in a key; nothing else that is learned has it there.
const MARK: &str = "\u{1f}joined since ";

/// The operator's list of addresses that many share.
const KNOWN: &str = "known_networks";

/// What one joining rule remembers.
#[derive(Debug)]
pub(crate) struct RiskState {
    risks: Risks,
    /// Of each what a joined alert shows of it.
    standing: HashMap<AlertId, Box<Alert>>,
    /// What was told of each entity: incident, its level, its rules and its alerts.
    told: HashMap<Entity, Vec<Told>>,
    /// By entity: alerts that opened before this one are joined no more. Where that follows from an
    /// incident that was cut for its age it is stored.
    since: HashMap<Entity, (i64, AlertId)>,
    cuts: Shelf<(i64, String)>,
    /// When it was last looked which of those are old, in seconds since 1970.
    cuts_looked_at: i64,
}

#[derive(Clone, Debug, PartialEq, Eq)]
struct Told {
    id: AlertId,
    level: Level,
    rules: usize,
    alerts: usize,
    events: u64,
    /// Its first alert: when it opened, and its id.
    first: (i64, AlertId),
    /// Stands for which alerts they were, and of which events.
    print: u64,
}

impl RiskState {
    /// No alerts yet; `writes` says whether somebody stores what is to survive a restart.
    pub(crate) fn new(writes: bool) -> Self {
        let cuts = if writes { Shelf::new() } else { Shelf::new().unwritten() };
        let risks = Risks::new(ALERTS_MAX, BYTES_MAX);
        Self {
            risks,
            standing: HashMap::new(),
            told: HashMap::new(),
            since: HashMap::new(),
            cuts,
            cuts_looked_at: i64::MIN / 2,
        }
    }
}

impl Engine {
    /// Joins alerts that changed.
    pub(super) fn join_risks(&mut self, verdicts: &mut Verdicts) {
        let newest = self.newest.map(keywatch_event::EventTime::secs);
        let known = self.settings.surroundings.lists.list(KNOWN);
        let mut joined = Vec::new();
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Risk(risk), State::Risk(state)) = (&rule.kind, state) {
                verdicts.changes.iter().for_each(|change| state.hear(change, known));
                joined.extend(state.tell(rule, risk, newest.map(|newest| newest - Risk::KEPT_SECS)));
                if let Some(newest) = newest {
                    state.forget(risk, newest);
                }
            }
        }
        verdicts.changes.extend(joined);
    }
}

impl RiskState {
    /// What had to go of the alerts that can be joined.
    pub(crate) fn gauges(&self) -> Gauges {
        let (evicted, unreadable) = (self.risks.evicted() + self.cuts.evicted(), self.cuts.unreadable());
        Gauges { principals_evicted: evicted, unreadable, ..Gauges::default() }
    }

    fn hear(&mut self, change: &AlertChange, known: Option<&List>) {
        match change {
            AlertChange::Opened { alert, .. } => self.put(alert, known),
            AlertChange::Updated { alert, was, .. } => {
                if *was != alert.id {
                    self.remove(was);
                }
                self.put(alert, known);
            }
            AlertChange::Withdrawn { id, .. } => self.remove(id),
        }
    }

    /// An address behind which everybody sits, as the operator says, joins nothing.
    fn put(&mut self, alert: &Alert, known: Option<&List>) {
        let source = alert.source.as_ref().filter(|source| source.kind == SourceKind::Addr);
        let address = source.and_then(|source| source.ip);
        let address = address.filter(|ip| !known.is_some_and(|known| known.spans(*ip)));
        let shown = Box::new(shown(alert));
        let principal = alert.principal.as_ref().filter(|p| is_somebody(p)).map(|p| Arc::from(&*p.id));
        let source = address.map(|ip| Arc::from(ip.to_string()));
        let order = (alert.opened_at.secs(), &alert.id);
        self.risks.put(AlertFacts {
            id: alert.id.clone(),
            rule: Arc::from(&*alert.rule),
            level: alert.level,
            opened_at_secs: alert.opened_at.secs(),
            principal: self.still(principal, Entity::Principal, order),
            source: self.still(source, Entity::Source, order),
            evidence: alert.evidence.iter().map(|row| hashed(&row.event)).collect(),
            events: alert.events,
            bytes: bytes_of(&shown) + FACTS_BYTES + 8 * alert.evidence.len(),
        });
        self.standing.insert(alert.id.clone(), shown);
    }

    /// Who is spoken of, unless alerts of that time about them are joined no more.
    fn still(
        &self,
        who: Option<Arc<str>>,
        entity: fn(Arc<str>) -> Entity,
        order: (i64, &AlertId),
    ) -> Option<Arc<str>> {
        let is_past = |who: &Arc<str>| {
            let since = self.since.get(&entity(Arc::clone(who)));
            since.is_some_and(|(secs, id)| order < (*secs, id))
        };
        who.filter(|who| !is_past(who))
    }

    fn remove(&mut self, id: &AlertId) {
        self.risks.remove(id);
        self.standing.remove(id);
    }

    /// Lets go what nothing will join any more, and what there was no room for. What was told stands.
    fn forget(&mut self, risk: &Risk, newest: i64) {
        let (secs, horizon) = (newest - risk.reach_secs() - INCIDENT_SECS_MAX, newest - Risk::KEPT_SECS);
        while let Some(entities) = self.risks.first_before(secs) {
            for entity in entities {
                self.trim(risk, &entity, horizon);
            }
            self.risks.forget_first();
        }
        if self.standing.len() > self.risks.len() + SPARE {
            let risks = &self.risks;
            self.standing.retain(|id, _| risks.has(id));
            self.told.retain(|entity, _| risks.knows(entity));
        }
        if self.since.len() > self.risks.len() + self.cuts.len() + SPARE {
            let (risks, cuts) = (&self.risks, &self.cuts);
            self.since.retain(|entity, _| risks.knows(entity) || cuts.contains(&*entity.key()));
        }
        self.forget_cuts(newest);
    }

    /// Lets cuts go that were of no use for long, once an hour of event time.
    fn forget_cuts(&mut self, newest: i64) {
        if newest < self.cuts_looked_at + 3_600 {
            return;
        }
        self.cuts_looked_at = newest;
        let old = self.cuts.iter().filter(|(_, (secs, _))| *secs < newest - SINCE_SECS);
        let old: Vec<Box<str>> = old.map(|(key, _)| key.into()).collect();
        for key in old {
            self.cuts.forget(&key);
        }
    }

    /// Lets alerts of an entity go that nothing joins any more. What was told of them stands.
    fn trim(&mut self, risk: &Risk, entity: &Entity, horizon: i64) {
        let Trimmed { since: Some(since), cut } = self.risks.trim(risk, entity, horizon) else { return };
        if let Some((secs, id)) = cut {
            let key = entity.key();
            let now = (secs, id.0);
            if self.cuts.get(&*key) != Some(&now) {
                *self.cuts.entry(&*key) = now;
                self.cuts.changed(&*key);
            }
            if self.cuts.len() > SINCE_MAX {
                self.cuts.evict(SINCE_MAX / 10, |(secs, _)| Some(*secs));
            }
        }
        if let Some(told) = self.told.get_mut(entity) {
            told.retain(|told| told.first >= since);
        }
        self.since.insert(entity.clone(), since);
    }

    /// What is to be stored.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        self.cuts.take(|entity| format!("{rule}{MARK}{entity}"))
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        let Some(key) = rest else { return };
        if self.cuts.put(key, &learned.state)
            && let (Some((secs, id)), Some(entity)) = (self.cuts.get(key), Entity::of_key(key))
        {
            self.since.insert(entity, (*secs, AlertId(id.clone())));
        }
    }

    fn tell(&mut self, rule: &Rule, risk: &Risk, horizon: Option<i64>) -> Vec<AlertChange> {
        let mut changes = Vec::new();
        for entity in self.risks.take_touched() {
            let mut incidents = self.risks.incidents(risk, &entity);
            incidents.retain(|incident| is_its_own(&entity, incident, risk));
            let alerts: Vec<(Alert, Told)> =
                incidents.iter().filter_map(|incident| self.alert(rule, &entity, incident)).collect();
            let mut before = self.told.remove(&entity).unwrap_or_default();
            for (alert, told) in &alerts {
                changes.extend(change(alert, told, &mut before));
            }
            let withdrawn = before.into_iter().map(|old| AlertChange::Withdrawn {
                id: old.id,
                reason: "the alerts it joined do not stand any more".to_owned(),
            });
            changes.extend(withdrawn);
            if !alerts.is_empty() {
                self.told.insert(entity.clone(), alerts.into_iter().map(|(_, told)| told).collect());
            }
            if let Some(horizon) = horizon {
                self.trim(risk, &entity, horizon);
            }
        }
        changes
    }

    fn alert(&self, rule: &Rule, entity: &Entity, incident: &RiskIncident) -> Option<(Alert, Told)> {
        let joined = incident.alerts.iter().filter_map(|facts| self.standing.get(&facts.id));
        let joined: Vec<&Alert> = joined.map(Box::as_ref).collect();
        let first = joined.first()?;
        let id = alert_id(&rule.id, &entity.key(), &incident.completed_by.id.0);
        let mut evidence: Vec<Evidence> = joined.iter().flat_map(|alert| alert.evidence.clone()).collect();
        evidence.sort_by(|a, b| (a.time, &a.event).cmp(&(b.time, &b.event)));
        evidence.dedup_by(|a, b| a.event == b.event);
        let events = distinct(&joined, evidence.len());
        evidence.truncate(EVIDENCE_MAX);
        let rules = incident.rules.join(", ");
        let completed = self.standing.get(&incident.completed_by.id).map_or(*first, Box::as_ref);
        let same = |of: fn(&Alert) -> Option<String>| {
            of(first).filter(|one| joined.iter().all(|a| of(a).as_ref() == Some(one)))
        };
        let alert = Alert {
            id: id.clone(),
            rule: rule.id.to_string(),
            title: format!("{}: {} ({rules})", rule.title, spoken(entity, &joined)),
            level: rule.level,
            action: rule.action.clone(),
            opened_at: completed.opened_at,
            first_event_at: joined.iter().map(|alert| alert.first_event_at).min()?,
            last_event_at: joined.iter().map(|alert| alert.last_event_at).max()?,
            principal: principal(&joined),
            sessions: sessions(&joined),
            source: first.source.clone().filter(|s| joined.iter().all(|a| a.source.as_ref() == Some(s))),
            secrets: secrets(&joined),
            provider: first.provider,
            account: same(|alert| alert.account.clone()),
            store: same(|alert| alert.store.clone()),
            events,
            evidence,
            why: why(incident, (entity, &joined)),
            tags: rule.tags.clone(),
            late_secs: None,
        };
        let first = incident.alerts.first().map(|facts| (facts.opened_at_secs, facts.id.clone()))?;
        let (rules, alerts) = (incident.rules.len(), joined.len());
        let told = Told { id, level: alert.level, rules, alerts, events, first, print: print(&joined) };
        Some((alert, told))
    }
}

/// Stands for the alerts: as many others of as many events are another joined alert.
fn print(joined: &[&Alert]) -> u64 {
    let mut hasher = std::hash::DefaultHasher::new();
    for alert in joined {
        (&alert.id, &alert.title, alert.events, alert.last_event_at).hash(&mut hasher);
        alert.evidence.iter().for_each(|row| row.event.hash(&mut hasher));
    }
    hasher.finish()
}

/// How many events the alerts hold together, of which they name so many: an event that several rules
/// raised for is one. Of what an alert holds beyond its evidence it is not known whether others hold it too;
/// it is taken that they do.
fn distinct(joined: &[&Alert], named: usize) -> u64 {
    let beyond = joined.iter().map(|alert| alert.events.saturating_sub(alert.evidence.len() as u64));
    named as u64 + beyond.max().unwrap_or(0)
}

/// Whether the incident says more than another entity's does. What one principal did from one
/// address is told as that principal's; an address speaks when several principals share it, or
/// when none is known. Rules about one and the same event are one finding, and so is what a
/// critical alert cites with all its evidence: to join that would say nothing more.
fn is_its_own(entity: &Entity, incident: &RiskIncident, risk: &Risk) -> bool {
    let first = incident.alerts.first().map(|alert| (&alert.principal, &alert.evidence));
    let shared = |same: fn(&AlertFacts, &AlertFacts) -> bool| {
        incident.alerts.windows(2).all(|pair| matches!(pair, [one, other] if same(one, other)))
    };
    let one_principal = first.is_some_and(|(principal, _)| principal.is_some())
        && shared(|one, other| one.principal == other.principal);
    let one_event = first.is_some_and(|(_, evidence)| evidence.len() == 1)
        && shared(|one, other| one.evidence == other.evidence);
    let told_elsewhere =
        matches!(entity, Entity::Source(_)) && risk.by.contains(&RiskBy::Principal) && one_principal;
    !one_event && !told_elsewhere && !is_one_finding(&incident.alerts)
}

/// Whether one critical alert cites everything the others do.
fn is_one_finding(alerts: &[Arc<AlertFacts>]) -> bool {
    let covers = |whole: &AlertFacts| {
        alerts.iter().flat_map(|alert| &*alert.evidence).all(|event| whole.evidence.contains(event))
    };
    alerts.iter().any(|alert| alert.level >= Level::Critical && covers(alert))
}

/// What a joined alert shows of it.
fn shown(alert: &Alert) -> Alert {
    Alert {
        id: alert.id.clone(),
        rule: String::new(),
        title: alert.title.clone(),
        level: alert.level,
        action: String::new(),
        opened_at: alert.opened_at,
        first_event_at: alert.first_event_at,
        last_event_at: alert.last_event_at,
        late_secs: None,
        principal: alert.principal.clone(),
        sessions: alert.sessions.clone(),
        source: alert.source.clone(),
        secrets: alert.secrets.clone(),
        provider: alert.provider,
        account: alert.account.clone(),
        store: alert.store.clone(),
        events: alert.events,
        evidence: alert.evidence.clone(),
        why: Why { text: String::new(), observed: 0.0, threshold: 0.0, baseline: None },
        tags: Vec::new(),
    }
}

/// Whether a principal is somebody: alerts about nobody in particular are not joined.
fn is_somebody(principal: &AlertPrincipal) -> bool {
    !matches!(principal.kind, PrincipalKind::Anonymous | PrincipalKind::Unknown)
}

fn change(alert: &Alert, told: &Told, before: &mut Vec<Told>) -> Option<AlertChange> {
    let Some(at) = before.iter().position(|old| old.id == told.id) else {
        // An incident that another alert completes now goes on under its new id.
        let Some(old) = (!before.is_empty()).then(|| before.remove(0)) else {
            return Some(AlertChange::Opened { alert: alert.clone(), hold_secs: 0 });
        };
        return Some(AlertChange::Updated { alert: alert.clone(), was: old.id, news: false });
    };
    let old = before.remove(at);
    let news = told.rules > old.rules;
    (old != *told).then(|| AlertChange::Updated { alert: alert.clone(), was: old.id, news })
}

/// The sessions of all of them, as far as they name theirs.
fn sessions(joined: &[&Alert]) -> AlertSessions {
    let mut first: Vec<AlertSession> = Vec::new();
    for session in joined.iter().flat_map(|alert| &alert.sessions.first) {
        if !first.contains(session) {
            first.push(session.clone());
        }
    }
    let most = joined.iter().map(|alert| alert.sessions.count).max().unwrap_or(0);
    let count = most.max(first.len() as u64);
    first.truncate(SESSIONS_MAX);
    AlertSessions { count, first }
}

fn secrets(joined: &[&Alert]) -> Vec<SecretRef<'static>> {
    let mut secrets: Vec<SecretRef<'static>> = Vec::new();
    for secret in joined.iter().flat_map(|alert| &alert.secrets) {
        if secrets.len() < SECRETS_MAX && !secrets.iter().any(|known| known.id == secret.id) {
            secrets.push(secret.clone());
        }
    }
    secrets
}

/// The one principal of all of them, by its id: a record that leaves the name out is about nobody else.
fn principal(joined: &[&Alert]) -> Option<AlertPrincipal> {
    let all = || joined.iter().map(|alert| alert.principal.as_ref());
    let first = all().next()??;
    if !all().all(|one| one.is_some_and(|one| one.id == first.id)) {
        return None;
    }
    let named = all().flatten().find(|one| one.name.is_some());
    Some(named.unwrap_or(first).clone())
}

/// A title without who it was, which all of them say.
fn without_who(title: &str, who: &str, session: Option<&str>) -> String {
    let acted = format!(" by {who}");
    let Some((before, rest)) = title.split_once(&acted) else { return title.to_owned() };
    let session = session.map(|session| format!(", session {session}"));
    let rest = session.and_then(|session| rest.strip_prefix(&session)).unwrap_or(rest);
    // Of a longer name this is but the beginning.
    let is_whole = rest.is_empty() || rest.starts_with([',', ' ']);
    if is_whole { format!("{before}{rest}") } else { title.to_owned() }
}

#[expect(clippy::cast_precision_loss, reason = "a handful of rules")]
fn why(incident: &RiskIncident, (entity, joined): (&Entity, &[&Alert])) -> Why {
    let all = sessions(joined);
    let session = all.first.first().filter(|_| all.count == 1).and_then(|one| one.name.as_deref());
    let who = spoken(entity, joined);
    let titles: Vec<String> = match entity {
        Entity::Principal(_) => {
            joined.iter().take(10).map(|alert| without_who(&alert.title, &who, session)).collect()
        }
        Entity::Source(_) => joined.iter().take(10).map(|alert| alert.title.clone()).collect(),
    };
    Why {
        text: format!("{} rules spoke: {}", incident.rules.len(), titles.join("; ")),
        observed: incident.rules.len() as f64,
        threshold: 2.0,
        baseline: None,
    }
}

/// Who or what it is about: a principal by its readable name, where one of the alerts knows it.
fn spoken(entity: &Entity, joined: &[&Alert]) -> String {
    match entity {
        Entity::Principal(id) => {
            let mut principals = joined.iter().filter_map(|alert| alert.principal.as_ref());
            let known = principals.find(|principal| *principal.id == **id && principal.name.is_some());
            known.map_or_else(|| id.to_string(), named)
        }
        Entity::Source(address) => address.to_string(),
    }
}

#[cfg(test)]
#[path = "risks_tests.rs"]
mod tests;
