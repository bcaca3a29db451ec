//! From an incident to the alert people see: words, numbers, evidence.

use super::brief::{Brief, Who};
use super::incident::{Incident, Member};
use crate::rule::{Count, Counted, Op, Rule};
use keywatch_event::{
    Alert, AlertPrincipal, EVIDENCE_MAX, EventTime, Evidence, Level, SECRETS_MAX, SecretRef, Why,
};
use std::sync::Arc;

/// Most new values a title names.
const NOTES_MAX: usize = 3;

/// The alert of a counted incident.
pub(crate) fn counted(rule: &Rule, count: &Count, incident: &Incident) -> Alert {
    let members = &*all(incident);
    let events = incident.events + incident.behind.len() as u64;
    let secrets = distinct_secrets(members);
    let opened_by = &incident.opened_by;
    let principal = common(members, |who| &who.principal).cloned();
    let source = common(members, |who| &who.source).cloned();
    let notes = notes(members);
    Alert {
        id: incident.id.clone(),
        rule: rule.id.to_string(),
        title: title(rule, &secrets, principal.as_ref(), (events, &notes)),
        level: incident.level,
        action: rule.action.clone(),
        opened_at: opened_by.time,
        first_event_at: incident
            .behind
            .iter()
            .map(|member| member.brief.time)
            .fold(incident.first, EventTime::min),
        last_event_at: incident.last,
        provider: opened_by.who.provider,
        account: common(members, |who| &who.account).and_then(Clone::clone).map(String::from),
        store: common(members, |who| &who.store).and_then(Clone::clone).map(String::from),
        events,
        evidence: evidence(incident, members),
        why: why(rule, count, incident, (secrets.len(), &notes)),
        principal,
        source,
        secrets,
        tags: rule.tags.clone(),
        late_secs: None,
    }
}

/// Its events, and those that stand behind them where they were.
fn all(incident: &Incident) -> Vec<&Member> {
    let mut members: Vec<&Member> = incident.behind.iter().chain(&incident.members).collect();
    if !incident.behind.is_empty() {
        members.sort_by(|one, other| one.brief.order().cmp(&other.brief.order()));
    }
    members
}

/// The value all members share, if they do.
fn common<'m, T: PartialEq>(members: &[&'m Member], of: impl Fn(&Who) -> &T) -> Option<&'m T> {
    let first = of(&members.first()?.brief.who);
    members.iter().all(|member| of(&member.brief.who) == first).then_some(first)
}

fn distinct_secrets(members: &[&Member]) -> Vec<SecretRef<'static>> {
    let mut seen = hashbrown::HashSet::new();
    let all = members.iter().flat_map(|member| &*member.brief.secrets);
    all.filter(|secret| seen.insert(&*secret.id)).take(SECRETS_MAX).map(|secret| (**secret).clone()).collect()
}

/// What was new, each once, in the order it came.
fn notes(members: &[&Member]) -> Vec<Arc<str>> {
    let mut notes: Vec<Arc<str>> = Vec::new();
    for note in members.iter().filter_map(|member| member.note.as_ref()) {
        if !notes.contains(note) {
            notes.push(Arc::clone(note));
        }
    }
    notes
}

/// The opening event always, then the earliest.
fn evidence(incident: &Incident, members: &[&Member]) -> Vec<Evidence> {
    let mut chosen: Vec<&Arc<Brief>> = members.iter().map(|member| &member.brief).collect();
    chosen.sort_by(|a, b| a.order().cmp(&b.order()));
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
    (events, notes): (u64, &[Arc<str>]),
) -> String {
    let what = match secrets {
        [] => String::new(),
        [one] => format!(": {}", one.name),
        many => format!(": {} secrets", many.len()),
    };
    let who = match principal {
        Some(principal) => format!(" by {}", principal.name.as_deref().unwrap_or(&principal.id)),
        None if events > 1 => " by several principals".to_owned(),
        None => String::new(),
    };
    let new = match notes {
        [] => String::new(),
        few if few.len() <= NOTES_MAX => format!(" ({})", few.join(", ")),
        many => format!(" ({} new values)", many.len()),
    };
    format!("{}{what}{who}{new}", rule.title)
}

fn why(rule: &Rule, count: &Count, incident: &Incident, (secrets, notes): (usize, &[Arc<str>])) -> Why {
    let events = incident.events + incident.behind.len() as u64;
    let (bound, learned) = &incident.bound;
    let named = format!("{events} event(s) naming {secrets} secret(s)");
    let new = match notes {
        [] => String::new(),
        notes => format!(
            "; never seen before: {}",
            notes.iter().take(20).map(|n| &**n).collect::<Vec<_>>().join(", ")
        ),
    };
    let text = match count.timespan_secs {
        0 => format!("{}: {named}{new}", rule.title),
        secs => format!(
            "{} within {}; {named} in all{new}",
            measured(count, incident.observed, *bound),
            spoken(secs)
        ),
    };
    Why { text, observed: incident.observed, threshold: *bound, baseline: learned.clone() }
}

fn measured(count: &Count, observed: f64, bound: f64) -> String {
    let bounds: Vec<String> = count.condition.bounds.iter().map(|(op, bound)| limit(*op, *bound)).collect();
    let on = match &count.condition.bounds[..] {
        // A learned bound stands in the place of the rule's own.
        [(Op::Gte, _)] => format!("from {bound} on this is an alert"),
        _ => format!("{} this is an alert", bounds.join(" and ")),
    };
    match &count.condition.of {
        Counted::Events | Counted::Matching(_) => format!("{observed} events, {on}"),
        Counted::Distinct(_) => format!("{observed} distinct values, {on}"),
        Counted::All(_) => "all the events this rule looks for came together".to_owned(),
        Counted::Ordered(steps) => format!("{} steps came one after the other", steps.len()),
        Counted::Sum(_) => format!("a sum of {observed}, {on}"),
        Counted::Average(_) => format!("an average of {observed}, {on}"),
        Counted::Percentile(_, percent) => format!("percentile {percent} is {observed}, {on}"),
    }
}

fn limit(op: Op, bound: f64) -> String {
    match op {
        Op::Gte => format!("from {bound} on"),
        Op::Gt => format!("above {bound}"),
        Op::Lte => format!("up to {bound}"),
        Op::Lt => format!("below {bound}"),
        Op::Eq => format!("at {bound}"),
        Op::Neq => format!("at anything but {bound}"),
    }
}

/// Seconds in the largest unit that divides them.
pub(crate) fn spoken(secs: i64) -> String {
    match secs {
        s if s % 86_400 == 0 && s > 86_400 => format!("{} d", s / 86_400),
        s if s % 3600 == 0 => format!("{} h", s / 3600),
        s if s % 60 == 0 => format!("{} min", s / 60),
        s => format!("{s} s"),
    }
}

/// The level an entry of `rule` has when its secrets were the principal's own and fresh.
pub(crate) fn lowered(rule: &Rule, count: &Count, own: bool) -> Level {
    match &count.lower {
        Some(lower) if own => rule.level.min(lower.to),
        _ => rule.level,
    }
}
