//! What the engine remembers of an event that counted, and how entries are ordered.

use crate::Seen;
use crate::field::{Field, Normal};
use crate::rule::{Count, Counted, Incident};
use keywatch_event::{AlertPrincipal, AlertSource, EventTime, Place, Provider, SecretRef};
use std::sync::Arc;

/// The parts of an event an alert may show.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Brief {
    pub(crate) id: Box<str>,
    pub(crate) time: EventTime,
    pub(crate) place: Place,
    pub(crate) provider: Provider,
    pub(crate) account: Option<Box<str>>,
    pub(crate) store: Option<Box<str>>,
    pub(crate) principal: AlertPrincipal,
    pub(crate) source: AlertSource,
    pub(crate) actor: Box<str>,
    pub(crate) secrets: Vec<SecretRef<'static>>,
}

impl Brief {
    pub(crate) fn of(seen: &Seen<'_>) -> Self {
        let event = seen.event;
        let boxed = |text: &std::borrow::Cow<'_, str>| Box::from(&**text);
        Self {
            id: boxed(&event.id),
            time: event.time,
            place: seen.place.clone(),
            provider: event.provider,
            account: event.account.as_ref().map(boxed),
            store: event.store.as_ref().map(boxed),
            principal: AlertPrincipal {
                id: event.principal.id.clone().into_owned(),
                kind: event.principal.kind,
                name: event.principal.name.clone().map(std::borrow::Cow::into_owned),
            },
            source: AlertSource {
                ip: event.source.ip,
                kind: event.source.kind,
                raw: event.source.raw.clone().map(std::borrow::Cow::into_owned),
            },
            actor: event.actor_fingerprint().into(),
            secrets: event.secrets.iter().map(|secret| secret.clone().into_owned()).collect(),
        }
    }
}

/// One event in one group of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) brief: Arc<Brief>,
    /// One per set of incident key fields.
    pub(crate) keys: Vec<Key>,
    /// What the event adds to the rule's condition and then to each further condition.
    pub(crate) facts: Vec<Fact>,
    pub(crate) role: Role,
    /// Whether the group's floor has passed it: it still fills windows, but is not swept again.
    pub(crate) sealed: bool,
}

/// Values of one set of incident key fields.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(crate) struct Key {
    /// All fields.
    pub(crate) full: Box<str>,
    /// All fields but the actor.
    pub(crate) base: Box<str>,
}

/// What one event adds to one counted condition.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// One more, or not.
    Adds(bool),
    /// These values.
    Values(Vec<Box<str>>),
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It counts.
    Hit,
    /// It counts unless something explains it; the text is the key of the explanation.
    Waiting(Box<str>),
    /// It joins an open incident that names the same secret.
    Attached,
}

impl Entry {
    /// The order in which a group is swept: event time, then id, so that it never depends on
    /// arrival.
    pub(crate) fn order(&self) -> (EventTime, &str) {
        (self.brief.time, &self.brief.id)
    }

    pub(crate) fn new(brief: Arc<Brief>, count: &Count, seen: &Seen<'_>, role: Role) -> Self {
        let keys = keys_of(&count.incident, seen);
        let conditions = std::iter::once(&count.condition).chain(&count.any);
        let facts = conditions.map(|condition| fact(&condition.of, seen)).collect();
        Self { brief, keys, facts, role, sealed: false }
    }
}

fn fact(of: &Counted, seen: &Seen<'_>) -> Fact {
    match of {
        Counted::Events => Fact::Adds(true),
        Counted::Matching(matcher) => Fact::Adds(matcher.matches(seen)),
        Counted::Distinct(field) => Fact::Values(field.values(seen).into_iter().map(Into::into).collect()),
    }
}

/// One key per set of fields. Further sets count only when each field has a value: otherwise all
/// events without one would share it.
/// One key per set of fields. Further sets count only when each field has a value: otherwise all
/// events without one would share it.
fn keys_of(incident: &Incident, seen: &Seen<'_>) -> Vec<Key> {
    let whole = |set: &[Field]| set.iter().all(|field| field.any(seen, &mut |_| true));
    let sets = incident.keys.iter().enumerate().filter(|(at, set)| *at == 0 || whole(set));
    sets.map(|(at, set)| {
        let stable: Vec<&Field> = set.iter().filter(|field| !field.is(Normal::Actor)).collect();
        let all: Vec<&Field> = set.iter().collect();
        Key { full: joined(at, &all, seen), base: joined(at, &stable, seen) }
    })
    .collect()
}

fn joined(set: usize, fields: &[&Field], seen: &Seen<'_>) -> Box<str> {
    let values = fields.iter().map(|field| field.values(seen).join("\u{1e}"));
    let all: Vec<String> = std::iter::once(set.to_string()).chain(values).collect();
    all.join("\u{1f}").into()
}

/// The groups an event belongs to: one per combination of the group fields' values.
pub(crate) fn groups_of(fields: &[Field], seen: &Seen<'_>) -> Vec<String> {
    let mut groups = vec![String::new()];
    for field in fields {
        let values = field.values(seen);
        groups = groups
            .iter()
            .flat_map(|group| values.iter().map(move |value| format!("{group}{value}\u{1f}")))
            .collect();
    }
    groups
}
