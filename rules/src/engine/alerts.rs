//! From an incident to the alert people see: words, numbers, evidence.

use super::brief::Brief;
use super::group::{Incident, alert_id};
use super::networks::OpenIncident;
use crate::Seen;
use crate::rule::{Count, Counted, Rule};
use keywatch_event::{
    Alert, AlertPrincipal, EVIDENCE_MAX, EventTime, Evidence, Level, Place, SECRETS_MAX, SecretRef, Why,
};
use std::sync::Arc;

/// The alert of a counted incident.
pub(crate) fn counted(rule: &Rule, count: &Count, incident: &Incident) -> Alert {
    let members = &incident.members;
    let secrets = distinct_secrets(members);
    let opened_by = &incident.opened_by;
    let principal = common(members, |m| &m.principal).cloned();
    let source = common(members, |m| &m.source).cloned();
    Alert {
        id: incident.id.clone(),
        rule: rule.id.to_string(),
        title: title(rule, &secrets, principal.as_ref(), members.len()),
        level: incident.level,
        action: rule.action.clone(),
        opened_at: opened_by.time,
        first_event_at: incident.first,
        last_event_at: incident.last,
        late_secs: None,
        provider: opened_by.provider,
        account: common(members, |m| &m.account).and_then(Clone::clone).map(String::from),
        store: common(members, |m| &m.store).and_then(Clone::clone).map(String::from),
        events: members.len() as u64,
        evidence: evidence(incident),
        why: why(rule, count, incident, secrets.len()),
        principal,
        source,
        secrets,
        tags: rule.tags.clone(),
    }
}

/// The value all members share, if they do.
fn common<T: PartialEq>(members: &[Arc<Brief>], of: impl Fn(&Brief) -> &T) -> Option<&T> {
    let first = of(members.first()?);
    members.iter().all(|member| of(member) == first).then_some(first)
}

fn distinct_secrets(members: &[Arc<Brief>]) -> Vec<SecretRef<'static>> {
    let mut seen = hashbrown::HashSet::new();
    let all = members.iter().flat_map(|member| &member.secrets);
    all.filter(|secret| seen.insert(&*secret.id)).take(SECRETS_MAX).cloned().collect()
}

/// The opening event always, then the earliest.
fn evidence(incident: &Incident) -> Vec<Evidence> {
    let mut chosen: Vec<&Arc<Brief>> = incident.members.iter().collect();
    chosen.sort_by(|a, b| (a.time, &a.id).cmp(&(b.time, &b.id)));
    let opener = chosen.iter().position(|member| member.id == incident.opened_by.id);
    if let Some(at) = opener.filter(|at| *at >= EVIDENCE_MAX) {
        chosen.swap(EVIDENCE_MAX - 1, at);
    }
    let row = |brief: &Arc<Brief>| Evidence {
        event: brief.id.to_string(),
        time: brief.time,
        place: brief.place.clone(),
    };
    chosen.into_iter().take(EVIDENCE_MAX).map(row).collect()
}

fn title(
    rule: &Rule,
    secrets: &[SecretRef<'_>],
    principal: Option<&AlertPrincipal>,
    events: usize,
) -> String {
    let what = match secrets {
        [] => String::new(),
        [one] => format!(": {}", one.name),
        many => format!(": {} secrets", many.len()),
    };
    let who = match principal {
        Some(principal) => format!(" by {}", short_name(principal)),
        None if events > 1 => " by several principals".to_owned(),
        None => String::new(),
    };
    format!("{}{what}{who}", rule.title)
}

fn short_name(principal: &AlertPrincipal) -> &str {
    principal.name.as_deref().unwrap_or(&principal.id)
}

fn why(rule: &Rule, count: &Count, incident: &Incident, secrets: usize) -> Why {
    let (observed, threshold) = (number(incident.observed), number(count.condition.at_least));
    let events = incident.members.len();
    let span = match count.timespan_secs {
        0 => String::new(),
        secs => format!(" within {}", spoken(secs)),
    };
    let counted = match &count.condition.of {
        Counted::Events | Counted::Matching(_) => "events",
        Counted::Distinct(_) => "distinct values",
    };
    let text = match count.timespan_secs {
        0 => format!("{}: {events} event(s) naming {secrets} secret(s)", rule.title),
        _ => format!(
            "{} {counted}{span}, from {} on this is an alert; {events} event(s) naming {secrets} secret(s) in all",
            incident.observed, count.condition.at_least
        ),
    };
    Why { text, observed, threshold, baseline: None }
}

/// A count as the number the contract shows; counts stay far below four thousand million.
fn number(count: u64) -> f64 {
    u32::try_from(count).map_or(f64::from(u32::MAX), f64::from)
}

fn spoken(secs: i64) -> String {
    match secs {
        s if s % 86_400 == 0 => format!("{} h", s / 3600),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The alert of reads from networks never seen before.
pub(crate) fn first_seen(rule: &Rule, seen: &Seen<'_>, open: &OpenIncident) -> Alert {
    let event = seen.event;
    let brief = Brief::of(seen);
    let time = |(nanos, digits): (i64, u8)| EventTime::from_unix_nanos(nanos, digits);
    let networks = open.networks.join(", ");
    let one = open.networks.len() == 1;
    Alert {
        id: alert_id(&rule.id, &event.principal.id, &open.opened_by),
        rule: rule.id.to_string(),
        title: format!("{}: {} from {networks}", rule.title, short_name(&brief.principal)),
        level: rule.level,
        action: rule.action.clone(),
        opened_at: time(open.opened_at),
        first_event_at: time(open.first),
        last_event_at: time(open.last),
        late_secs: None,
        principal: Some(brief.principal),
        source: one.then_some(brief.source),
        secrets: open
            .secrets
            .iter()
            .map(|(id, name)| SecretRef { id: id.clone().into(), name: name.clone().into(), version: None })
            .collect(),
        provider: event.provider,
        account: brief.account.map(String::from),
        store: brief.store.map(String::from),
        events: open.events,
        evidence: open
            .evidence
            .iter()
            .map(|row| Evidence {
                event: row.event.clone(),
                time: time(row.time),
                place: Place { name: row.place.0.as_str().into(), line: row.place.1, record: row.place.2 },
            })
            .collect(),
        why: Why {
            text: format!(
                "{} read from {networks}, where this principal was never seen; it reads from {} known network(s)",
                if open.events == 1 {
                    "1 secret".to_owned()
                } else {
                    format!("{} times secrets were", open.events)
                },
                open.known
            ),
            observed: number(open.networks.len() as u64),
            threshold: 1.0,
            baseline: Some(format!("{} known network(s)", open.known)),
        },
        tags: rule.tags.clone(),
    }
}

/// The level an entry of `rule` has when its secrets were the principal's own and fresh.
pub(crate) fn lowered(rule: &Rule, count: &Count, own: bool) -> Level {
    match &count.lower {
        Some(lower) if own => rule.level.min(lower.to),
        _ => rule.level,
    }
}
