//! Incidents about sources: what is stated of one becomes the opening, growth or withdrawal of an
//! alert.
//!
//! An incident's key is source, kind and subject. Its id is a function of the key and of when it
//! opened, so an alert that stands in the store is recognised after a restart without anything else
//! being kept. Invariant: what stands is told once, however often it is stated.

use super::is_repeated;
use chrono::{DateTime, Utc};
use keywatch_event::{
    Alert, AlertChange, AlertId, AlertSource, EventTime, Observed, Provider, SourceKind, Why,
};
use keywatch_ingest::source::{Stated, Statement};
use keywatch_rules::rule::{Kind, Rule};
use keywatch_rules::{RuleSet, alert_id};
use keywatch_store::{AlertFilter, AlertRow, AlertStatus, Page, Store, StoreError};
use std::collections::HashMap;

/// Alerts about sources that are read at a start; those beyond are raised anew when they grow.
const STANDING_MAX: u32 = 500;
/// Incidents kept at once: a few of each of a hundred sources. The oldest is let go beyond that, and
/// raised anew when it grows.
const OPEN_MAX: usize = 2_000;
/// Seconds after which an incident that grows is told of again, and after which it ends and a new
/// one begins.
const NEWS_SECS: i64 = 3_600;
const DURATION_SECS_MAX: i64 = 86_400;

/// The source a statement is about.
#[derive(Clone, Copy, Debug)]
pub(super) struct About<'a> {
    pub(super) source: &'a str,
    pub(super) provider: Provider,
}

#[derive(Clone, Debug, PartialEq, Eq, Hash)]
struct Key {
    observed: Observed,
    source: String,
    subject: String,
}

/// An incident that is open.
#[derive(Clone, Debug)]
struct Open {
    id: AlertId,
    opened_at: i64,
    told_at: i64,
    events: u64,
}

/// All open incidents, and what rules say of each kind.
#[derive(Debug)]
pub(super) struct Book {
    rules: HashMap<Observed, Rule>,
    open: HashMap<Key, Open>,
    /// Alerts of an earlier run, whose keys are not yet known.
    standing: Vec<AlertRow>,
}

/// Alerts about sources that stand in the store.
///
/// # Errors
/// [`StoreError`] when the database cannot be read.
pub(crate) async fn standing(store: &Store, rules: &RuleSet) -> Result<Vec<AlertRow>, StoreError> {
    let mut all = Vec::new();
    for rule in rules.rules.iter().filter(|rule| matches!(rule.kind, Kind::Observed(_))) {
        let statuses = vec![AlertStatus::Open, AlertStatus::Acknowledged];
        let filter = AlertFilter { rule: Some(rule.id.to_string()), statuses, ..AlertFilter::default() };
        all.extend(store.alerts(&filter, Page::first(STANDING_MAX)).await?.rows);
    }
    Ok(all)
}

impl Book {
    pub(super) fn new(rules: &RuleSet, standing: &[AlertRow]) -> Self {
        let mut book = Self { rules: HashMap::new(), open: HashMap::new(), standing: standing.to_vec() };
        book.reload(rules);
        book
    }

    pub(super) fn reload(&mut self, rules: &RuleSet) {
        self.rules.clear();
        for rule in &rules.rules {
            if let Kind::Observed(observed) = rule.kind {
                self.rules.insert(observed, rule.clone());
            }
        }
    }

    /// What a statement does to alerts.
    pub(super) fn tell(
        &mut self,
        about: About<'_>,
        statement: &Statement,
        now: DateTime<Utc>,
    ) -> Option<AlertChange> {
        let rule = self.rules.get(&statement.observed)?.clone();
        let key = Key {
            observed: statement.observed,
            source: about.source.to_owned(),
            subject: statement.subject.clone(),
        };
        self.recall(&rule, &key);
        let secs = now.timestamp();
        if let Stated::Over = statement.stated {
            let open = self.open.remove(&key)?;
            let reason = format!("{} is as usual again", about.source);
            return Some(AlertChange::Withdrawn { id: open.id, reason });
        }
        let more = if let Stated::Happened(more) = statement.stated { more } else { 1 };
        let is_over =
            |open: &&mut Open| !is_repeated(statement.stated) && secs - open.opened_at > DURATION_SECS_MAX;
        if let Some(open) = self.open.get_mut(&key).filter(|open| !is_over(open)) {
            if is_repeated(statement.stated) {
                return None;
            }
            open.events += more;
            let news = secs - open.told_at >= NEWS_SECS;
            if news {
                open.told_at = secs;
            }
            let alert = alert(&rule, about, statement, (open, secs));
            return Some(AlertChange::Updated { alert, was: open.id.clone(), news });
        }
        let id = alert_id(&rule.id, &joined(&key), &secs.to_string());
        let open = Open { id, opened_at: secs, told_at: secs, events: more };
        let alert = alert(&rule, about, statement, (&open, secs));
        self.make_room();
        self.open.insert(key, open);
        Some(AlertChange::Opened { alert, hold_secs: 0 })
    }

    /// Finds the alert of an earlier run that belongs to a key.
    fn recall(&mut self, rule: &Rule, key: &Key) {
        let is_it = |row: &AlertRow| {
            *row.rule == *rule.id
                && row.id == alert_id(&rule.id, &joined(key), &row.opened_at.secs().to_string()).0
        };
        let Some(at) = self.standing.iter().position(is_it) else { return };
        let row = self.standing.swap_remove(at);
        let opened_at = row.opened_at.secs();
        let open =
            Open { id: AlertId(row.id), opened_at, told_at: row.changed_at.timestamp(), events: row.events };
        self.open.insert(key.clone(), open);
    }

    fn make_room(&mut self) {
        if self.open.len() < OPEN_MAX {
            return;
        }
        let oldest = self.open.iter().min_by_key(|(_, open)| open.opened_at).map(|(key, _)| key.clone());
        if let Some(oldest) = oldest {
            self.open.remove(&oldest);
        }
    }
}

fn joined(key: &Key) -> String {
    format!("{}\u{1f}{}", key.source, key.subject)
}

fn alert(rule: &Rule, about: About<'_>, statement: &Statement, (open, now): (&Open, i64)) -> Alert {
    let subject =
        if statement.subject.is_empty() { String::new() } else { format!(", {}", statement.subject) };
    let events = i32::try_from(open.events).unwrap_or(i32::MAX);
    Alert {
        id: open.id.clone(),
        rule: rule.id.to_string(),
        title: format!("{}: {}{subject}", rule.title, about.source),
        level: rule.level,
        action: rule.action.clone(),
        opened_at: EventTime::from_secs(open.opened_at),
        first_event_at: EventTime::from_secs(open.opened_at),
        last_event_at: EventTime::from_secs(now),
        sessions: keywatch_event::AlertSessions::default(),
        late_secs: None,
        principal: None,
        source: Some(AlertSource { ip: None, kind: SourceKind::Service, raw: Some(about.source.to_owned()) }),
        secrets: Vec::new(),
        provider: about.provider,
        account: None,
        store: None,
        events: open.events,
        evidence: Vec::new(),
        why: Why {
            text: statement.text.clone(),
            observed: f64::from(events),
            threshold: 1.0,
            baseline: None,
        },
        tags: rule.tags.clone(),
    }
}
