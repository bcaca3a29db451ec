//! One line of an example: an event, or several alike.
//!
//! Everything has a usual value, so an example says only what matters to it.

use super::{ExampleEvent, START};
use crate::problem::suggest;
use crate::yaml::{Data, Node, Problems, Table};
use keywatch_event::scrubbed::KINDS;
use keywatch_event::{
    AuditEvent, Class, ErrorInfo, EventTime, Outcome, Principal, PrincipalKind, Provider, SecretRef, Source,
    SourceKind,
};
use serde_json::Value;
use std::borrow::Cow;

const STEP: &[&str] = &[
    "at",
    "repeat",
    "every",
    "delay",
    "misdated",
    "provider",
    "service",
    "class",
    "outcome",
    "store",
    "operation",
    "principal",
    "kind",
    "ip",
    "country",
    "asn",
    "agent",
    "secret",
    "secrets",
    "echo_of",
    "scrubbed",
    "account",
    "region",
    "error",
    "error_code",
    "session",
    "access_key",
    "via",
    "raw",
];

/// Reads one line into `events`; what it does not say is as `provider` has it.
pub(super) fn steps(node: &Node, provider: Provider, events: &mut Vec<ExampleEvent>, problems: &Problems) {
    let Some(table) = Table::open(node, STEP, problems) else { return };
    let line = Line {
        at: table.secs("at").unwrap_or(0),
        every: table.secs("every").unwrap_or(1),
        delay: table.secs("delay").unwrap_or(0),
        misdated: table.truth("misdated").unwrap_or(false),
        repeat: table.int("repeat", 1..=100_000).unwrap_or(1),
        provider: word(&table, "provider", (provider, Provider::NAMES), problems),
        class: word(&table, "class", (Class::SecretRead, Class::NAMES), problems),
        outcome: word(&table, "outcome", (Outcome::Ok, Outcome::NAMES), problems),
        kind: word(&table, "kind", (PrincipalKind::Role, PrincipalKind::NAMES), problems),
        table,
    };
    if let Some(raw) = line.table.get("raw")
        && !matches!(raw.data, Data::Map(_))
    {
        problems.add(raw, format!("`raw` is a record, so a mapping, not {}", raw.kind()), "");
    }
    for n in 0..line.repeat {
        let id = format!("example-{}", events.len() + 1);
        events.push(line.event(id, n));
    }
}

/// What the repetitions of a line have in common.
struct Line<'n> {
    table: Table<'n>,
    at: i64,
    every: i64,
    delay: i64,
    misdated: bool,
    repeat: i64,
    provider: Provider,
    class: Class,
    outcome: Outcome,
    kind: PrincipalKind,
}

impl Line<'_> {
    /// The `n`th repetition; `{n}` in a text is its number, from 0.
    fn event(&self, id: String, n: i64) -> ExampleEvent {
        let number = n.to_string();
        let text =
            |key| self.table.text(key).map(|text| Cow::<'static, str>::Owned(text.replace("{n}", &number)));
        let secs = START.saturating_add(self.at).saturating_add(n.saturating_mul(self.every));
        let received_at = EventTime::from_secs(secs.saturating_add(self.delay));
        let principal = text("principal").unwrap_or(Cow::Borrowed("role/payments"));
        let (code, message) = (text("error_code"), text("error"));
        let event = AuditEvent {
            id: Cow::Owned(id),
            time: if self.misdated { received_at } else { EventTime::from_secs(secs) },
            time_raw: self.misdated.then_some(Cow::Borrowed("2099-01-01T00:00:00Z")),
            received_at,
            provider: self.provider,
            service: text("service").unwrap_or_default(),
            store: text("store").or(Some(Cow::Borrowed(usual_store(self.provider)))),
            account: text("account"),
            region: text("region"),
            operation: text("operation").unwrap_or_default(),
            class: self.class,
            outcome: self.outcome,
            error: (code.is_some() || message.is_some()).then_some(ErrorInfo { code, message }),
            principal: Principal {
                name: Some(principal.clone()),
                id: principal,
                kind: self.kind,
                session: text("session"),
                access_key: text("access_key"),
                via: text("via"),
            },
            source: text("ip").map_or_else(Source::absent, source),
            user_agent: text("agent"),
            secrets: self.secrets(&number),
            echo_of: text("echo_of"),
            scrubbed: self.scrubbed(),
            told: None,
        };
        let (country, asn) = (text("country").map(Into::into), text("asn").map(Into::into));
        ExampleEvent { event, raw: self.raw(&number), country, asn }
    }

    fn secrets(&self, number: &str) -> Vec<SecretRef<'static>> {
        let names = self.table.texts("secrets").into_iter().chain(self.table.texts("secret"));
        let secret = |(name, _): (String, &Node)| {
            let name = name.replace("{n}", number);
            SecretRef { id: Cow::Owned(name.clone()), name: Cow::Owned(name), version: None }
        };
        names.map(secret).collect()
    }

    /// Kinds of what was scrubbed, as far as they are known.
    fn scrubbed(&self) -> Vec<&'static str> {
        let kinds = self.table.texts("scrubbed").into_iter();
        kinds.filter_map(|(kind, _)| KINDS.iter().find(|known| **known == kind)).copied().collect()
    }

    fn raw(&self, number: &str) -> Vec<u8> {
        let record = self.table.get("raw").map(|node| json(node, number));
        record.map_or_else(|| b"{}".to_vec(), |record| record.to_string().into_bytes())
    }
}

/// A store of the provider's.
const fn usual_store(provider: Provider) -> &'static str {
    match provider {
        Provider::Aws => "sm",
        Provider::Gcp => "gsm",
        Provider::Azure => "kv:shop",
        Provider::Vault => "vault:secret",
    }
}

/// A node as JSON.
fn json(node: &Node, number: &str) -> Value {
    match &node.data {
        Data::Null => Value::Null,
        Data::Bool(truth) => Value::Bool(*truth),
        Data::Int(whole) => Value::from(*whole),
        Data::Float(float) => Value::from(*float),
        Data::Text(text) => Value::String(text.replace("{n}", number)),
        Data::List(items) => items.iter().map(|item| json(item, number)).collect(),
        Data::Map(entries) => {
            let named = entries.iter().filter_map(|(key, value)| Some((key.text()?, json(value, number))));
            Value::Object(named.collect())
        }
    }
}

fn source(raw: Cow<'static, str>) -> Source<'static> {
    let source = Source::from_text(raw);
    match source.ip {
        None if source.raw.as_deref().is_some_and(|raw| raw.ends_with(".amazonaws.com")) => {
            Source { kind: SourceKind::Service, ..source }
        }
        _ => source,
    }
}

/// A word of a closed vocabulary; `usual` when it is absent, or wrong and reported.
fn word<T: std::str::FromStr>(
    table: &Table<'_>,
    key: &str,
    (usual, known): (T, &[&str]),
    problems: &Problems,
) -> T {
    let Some(node) = table.get(key) else { return usual };
    let written = node.text().unwrap_or_default();
    written.parse().unwrap_or_else(|_| {
        problems.add(node, format!("`{written}` is no {key}"), suggest(&written, known));
        usual
    })
}

#[cfg(test)]
mod tests {
    #[test]
    fn every_key_of_an_event_is_documented() {
        let text = include_str!("../../README.md");
        for key in super::STEP {
            assert!(text.contains(&format!("`{key}`")), "`{key}` is not in rules/README.md");
        }
    }
}
