//! From an incident to the alert people see: words, numbers, evidence.

mod notes;
mod reason;
mod sessions;
mod things;
mod title;

use super::brief::{Brief, Who};
use super::incident::{Incident, Member};
use crate::rule::{Count, Rule};
use keywatch_event::{Alert, EVIDENCE_MAX, EventTime, Evidence, Level, SECRETS_MAX, SecretRef};
use notes::Notes;
use sessions::Acted;
pub(super) use sessions::named;
use std::sync::Arc;
use things::Things;

/// So many lines of the evidence, and so many secrets, are the latest that an incident names: what joined it last
/// can be seen whatever it began with.
const LATEST_EVENTS: usize = 5;
const LATEST_SECRETS: usize = 20;

/// The alert of a counted incident.
pub(crate) fn counted(rule: &Rule, count: &Count, incident: &Incident) -> Alert {
    let members = &*all(incident);
    let events = incident.events + incident.behind.len() as u64;
    let secrets = distinct_secrets(members);
    let opened_by = &incident.opened_by;
    let principal = common(members, |who| &who.principal).cloned();
    let source = common(members, |who| &who.source).cloned();
    let who = Acted::of(members);
    let notes = Notes::of(count.mention.as_ref(), members);
    let things = Things::of(members);
    let mut why = reason::of(count, incident, (&things, &notes));
    why.text.push_str(&who.in_reasons());
    Alert {
        id: incident.id.clone(),
        rule: rule.id.to_string(),
        title: title::of(rule, count, (&secrets, &things), (&who, &notes)),
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
        why,
        principal,
        sessions: who.into_sessions(),
        source,
        secrets,
        tags: rule.tags.clone(),
        late_secs: None,
    }
}

/// Its events, and those that stand behind them where they were. The first from a network is among
/// them however many there are.
fn all(incident: &Incident) -> Vec<&Member> {
    let mut members: Vec<&Member> = incident.behind.iter().chain(&incident.members).collect();
    let unnamed = incident.places().iter().filter(|first| !incident.has(&first.brief));
    let named = members.len();
    members.extend(unnamed);
    if !incident.behind.is_empty() || members.len() > named {
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
    let mut all: Vec<&Arc<SecretRef<'static>>> = all.filter(|secret| seen.insert(&*secret.id)).collect();
    let most = all.len();
    if most > SECRETS_MAX {
        all.drain(SECRETS_MAX - LATEST_SECRETS..most - LATEST_SECRETS);
    }
    all.into_iter().map(|secret| (**secret).clone()).collect()
}

/// The opening event, the first from each network and the latest always, then the earliest.
fn evidence(incident: &Incident, members: &[&Member]) -> Vec<Evidence> {
    let mut chosen: Vec<&Arc<Brief>> = members.iter().map(|member| &member.brief).collect();
    chosen.sort_by(|a, b| a.order().cmp(&b.order()));
    let places = || incident.places().iter().map(|first| &first.brief.id);
    let latest: Vec<Arc<Brief>> =
        chosen.iter().rev().take(LATEST_EVENTS).map(|brief| Arc::clone(brief)).collect();
    let must = |brief: &Brief| {
        let is_latest = latest.iter().any(|late| late.id == brief.id);
        is_latest || brief.id == incident.opened_by.id || places().any(|id| *id == brief.id)
    };
    let mut room = EVIDENCE_MAX.saturating_sub(chosen.iter().filter(|brief| must(brief)).count());
    chosen.retain(|brief| {
        let stays = must(brief) || room > 0;
        room -= usize::from(stays && !must(brief));
        stays
    });
    let row = |brief: &Arc<Brief>| Evidence {
        event: brief.id.to_string(),
        time: brief.time,
        place: brief.place.clone(),
    };
    chosen.into_iter().take(EVIDENCE_MAX).map(row).collect()
}

/// The level an entry of `rule` has when its secrets were the principal's own and fresh.
pub(crate) fn lowered(rule: &Rule, count: &Count, own: bool) -> Level {
    match &count.lower {
        Some(lower) if own => rule.level.min(lower.to),
        _ => rule.level,
    }
}
