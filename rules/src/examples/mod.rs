//! Examples inside a rule: events and what the rule must say of them. `keywatch rules test` and
//! the test suite run the same code.

mod event;
mod run;

pub use run::{Outcomes, apply, run};

use crate::lookup::AddressData;
use crate::pattern::Pattern;
use crate::problem::suggest;
use crate::surroundings::{Lists, Planned, Surroundings};
use crate::yaml::{Data, Node, Problems, Table};
use keywatch_event::{AuditEvent, EventTime, Level, Provider};
use std::collections::BTreeMap;

/// One example.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it shows, as a sentence.
    pub name: String,
    /// What the rule must say.
    pub expect: Expect,
    /// Number of alerts that must stand at the end, when it matters.
    pub alerts: Option<usize>,
    /// The events, in the order they arrive.
    pub events: Vec<ExampleEvent>,
    /// The lists and the planned access it runs with.
    pub surroundings: Surroundings,
}

/// One event of an example.
#[derive(Clone, Debug)]
pub struct ExampleEvent {
    /// The normalised event.
    pub event: AuditEvent<'static>,
    /// Its raw record: JSON, `{}` unless the example gives one.
    pub raw: Vec<u8>,
    /// The country its address lies in, two letters.
    pub country: Option<String>,
    /// The autonomous system its address belongs to, without `AS`.
    pub asn: Option<String>,
}

/// What an example expects of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The rule stays silent.
    Silence,
    /// The rule classifies an event at this level, or its highest alert has it.
    Level(Level),
}

impl Expect {
    /// Whether it expects an alert.
    fn is_raised(self) -> bool {
        matches!(self, Self::Level(level) if level > Level::Info)
    }
}

/// Event time at which examples begin: 2026-01-01, a Thursday, midnight UTC.
pub(crate) const START: i64 = 1_767_225_600;
const EXPECTED: &str = "write silence, informational, medium, high or critical";

/// Reads the `examples` of a rule.
#[must_use]
pub fn compile(list: &[Node], problems: &Problems) -> Vec<Example> {
    list.iter().flat_map(|node| each(node, problems)).collect()
}

/// An example, or with `providers` one for each of them.
fn each(node: &Node, problems: &Problems) -> Vec<Example> {
    let known = ["name", "expect", "alerts", "events", "lists", "planned", "providers"];
    let Some(table) = Table::open(node, &known, problems) else { return Vec::new() };
    let named = table.texts("providers");
    if named.is_empty() {
        return example(&table, Provider::Aws, problems).into_iter().collect();
    }
    // A mistake in the events is told once, not for each provider.
    let quiet = Problems::new("");
    let each = named.iter().enumerate().filter_map(|(nth, (name, at))| {
        let Ok(provider) = name.parse() else {
            problems.add(at, format!("`{name}` is no provider"), suggest(name, Provider::NAMES));
            return None;
        };
        let example = example(&table, provider, if nth == 0 { problems } else { &quiet })?;
        Some(Example { name: format!("{}, {name}", example.name), ..example })
    });
    each.collect()
}

fn example(table: &Table<'_>, provider: Provider, problems: &Problems) -> Option<Example> {
    let name = table.need("name", "say in one sentence what the example shows").and_then(Node::text);
    let expect = table.need("expect", EXPECTED).and_then(|node| expected(node, problems));
    let alerts = table.int("alerts", 0..=1000).and_then(|n| usize::try_from(n).ok());
    let mut events = Vec::new();
    let remedy = "list what happens, as `- {operation: GetSecretValue, secret: prod/db}`";
    for step in table.need("events", remedy).map(|_| table.list("events")).unwrap_or_default() {
        event::steps(step, provider, &mut events, problems);
    }
    let planned = table.list("planned").iter().filter_map(|node| planned(node, problems)).collect();
    let surroundings = Surroundings {
        lists: lists(table, problems),
        planned,
        asn: addresses(&events, |event| event.asn.as_ref()),
        country: addresses(&events, |event| event.country.as_ref()),
    };
    if let (Some(expect), Some(alerts)) = (expect, alerts)
        && let Some(node) = table.get("alerts")
        && (alerts == 0) == expect.is_raised()
    {
        let message = "`alerts` and `expect` contradict each other";
        problems.add(node, message, "levels from medium on are those of alerts, the others raise none");
    }
    Some(Example { name: name?, expect: expect?, alerts, events, surroundings })
}

/// What the events say of their addresses, as the databases an operator would supply.
fn addresses(
    events: &[ExampleEvent],
    said: impl Fn(&ExampleEvent) -> Option<&String>,
) -> Option<AddressData> {
    let of_event = |event: &ExampleEvent| Some((event.event.source.ip?, said(event)?.clone()));
    AddressData::of_table(events.iter().filter_map(of_event).collect())
}

fn expected(node: &Node, problems: &Problems) -> Option<Expect> {
    match node.text().unwrap_or_default().as_str() {
        "silence" => Some(Expect::Silence),
        "informational" => Some(Expect::Level(Level::Info)),
        "medium" => Some(Expect::Level(Level::Warning)),
        "high" => Some(Expect::Level(Level::High)),
        "critical" => Some(Expect::Level(Level::Critical)),
        other => {
            problems.add(node, format!("`{other}` cannot be expected"), EXPECTED);
            None
        }
    }
}

fn lists(table: &Table<'_>, problems: &Problems) -> Lists {
    let Some(node) = table.get("lists") else { return Lists::default() };
    let Data::Map(entries) = &node.data else {
        let message = format!("`lists` must be a mapping, not {}", node.kind());
        problems.add(node, message, "write `lists: {canaries: [prod/bait]}`");
        return Lists::default();
    };
    let lists = Table::of(node, problems);
    let named = entries.iter().filter_map(|(key, _)| key.text());
    let values = named.map(|name| {
        let values = lists.texts(&name).into_iter().map(|(value, _)| value).collect();
        (name, values)
    });
    Lists::new(values.collect::<BTreeMap<String, Vec<String>>>())
}

/// An announced access; its times count from the first moment of the example.
fn planned(node: &Node, problems: &Problems) -> Option<Planned> {
    let table = Table::open(node, &["principal", "secret", "from", "to", "reason"], problems)?;
    let pattern = |key| {
        let node = table.get(key)?;
        let written = Pattern::listed(&table.text(key)?);
        if written.is_err() {
            problems.add(node, format!("`{key}` cannot be used"), "write an id; `*` and `?` are wildcards");
        }
        written.ok()
    };
    let at = |secs| EventTime::from_secs(START.saturating_add(secs));
    Some(Planned {
        principal: pattern("principal"),
        secret: pattern("secret"),
        from: at(table.secs("from").unwrap_or(0)),
        to: at(table.secs("to").unwrap_or(366 * 86_400)),
        reason: table.text("reason").unwrap_or_default(),
    })
}
