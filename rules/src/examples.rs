//! Examples inside a rule: events and what the rule must say of them. `keywatch rules test` and
//! the test suite run the same code.

use crate::engine::{Engine, Settings};
use crate::problem::suggest;
use crate::rule::Rule;
use crate::yaml::{Node, Problems, Table};
use crate::{RuleSet, Seen};
use keywatch_event::{
    Alert, AlertChange, AuditEvent, Class, ErrorInfo, EventTime, Level, Outcome, Place, Principal,
    PrincipalKind, Provider, SecretRef, Source, SourceKind,
};
use std::borrow::Cow;
use std::collections::BTreeMap;
use std::sync::Arc;

/// One example.
#[derive(Clone, Debug)]
pub struct Example {
    /// What it shows, as a sentence.
    pub name: String,
    /// What the rule must say.
    pub expect: Expect,
    /// Number of alerts that must stand at the end, when it matters.
    pub alerts: Option<usize>,
    /// The events.
    pub events: Vec<AuditEvent<'static>>,
}

/// What an example expects of its rule.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Expect {
    /// The rule stays silent.
    Silence,
    /// The rule classifies an event at this level, or its highest alert has it.
    Level(Level),
}

/// How one example went.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// The rule.
    pub rule: Arc<str>,
    /// The example.
    pub example: String,
    /// What was wrong; `None` when it passed.
    pub failure: Option<String>,
}

/// Event time at which examples begin.
const START: i64 = 1_767_225_600;
const STEP: &[&str] = &[
    "at",
    "repeat",
    "every",
    "provider",
    "class",
    "outcome",
    "store",
    "operation",
    "principal",
    "kind",
    "ip",
    "agent",
    "secret",
    "secrets",
    "echo_of",
    "account",
    "error",
    "session",
];

/// Reads the `examples` of a rule.
#[must_use]
pub fn compile(list: &[Node], problems: &Problems) -> Vec<Example> {
    list.iter().filter_map(|node| example(node, problems)).collect()
}

fn example(node: &Node, problems: &Problems) -> Option<Example> {
    let table = Table::open(node, &["name", "expect", "alerts", "events"], problems)?;
    let name = table.need("name", "say in one sentence what the example shows").and_then(Node::text);
    let expect = table.need("expect", EXPECTED).and_then(|node| expected(node, problems));
    let alerts = table.int("alerts", 0..=1000).and_then(|n| usize::try_from(n).ok());
    let mut events = Vec::new();
    for step in table.list("events") {
        steps(step, &mut events, problems);
    }
    Some(Example { name: name?, expect: expect?, alerts, events })
}

const EXPECTED: &str = "write silence, informational, medium, high or critical";

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

fn steps(node: &Node, events: &mut Vec<AuditEvent<'static>>, problems: &Problems) {
    let Some(table) = Table::open(node, STEP, problems) else { return };
    let at = table.secs("at").unwrap_or(0);
    let repeat = table.int("repeat", 1..=100_000).unwrap_or(1);
    let every = table.secs("every").unwrap_or(1);
    for n in 0..repeat {
        let id = format!("example-{}", events.len() + 1);
        events.push(event(&table, id, START + at + n * every, n, problems));
    }
}

fn event(table: &Table<'_>, id: String, secs: i64, n: i64, problems: &Problems) -> AuditEvent<'static> {
    let text =
        |key| table.text(key).map(|text| Cow::<'static, str>::Owned(text.replace("{n}", &n.to_string())));
    let principal = text("principal").unwrap_or(Cow::Borrowed("role/payments"));
    let source = text("ip").map_or_else(Source::absent, source);
    let names = table
        .texts("secrets")
        .into_iter()
        .chain(table.texts("secret"))
        .map(|(name, _)| name.replace("{n}", &n.to_string()));
    let error = text("error").map(|message| ErrorInfo { code: None, message: Some(message) });
    AuditEvent {
        id: Cow::Owned(id),
        time: EventTime::from_secs(secs),
        time_raw: None,
        received_at: EventTime::from_secs(secs),
        provider: word(table, "provider", (Provider::Aws, Provider::NAMES), problems),
        service: Cow::Borrowed(""),
        store: text("store").or(Some(Cow::Borrowed("sm"))),
        account: text("account"),
        region: None,
        operation: text("operation").unwrap_or(Cow::Borrowed("")),
        class: word(table, "class", (Class::SecretRead, Class::NAMES), problems),
        outcome: word(table, "outcome", (Outcome::Ok, Outcome::NAMES), problems),
        error,
        principal: Principal {
            name: Some(principal.clone()),
            id: principal,
            kind: word(table, "kind", (PrincipalKind::Role, PrincipalKind::NAMES), problems),
            session: text("session"),
            access_key: None,
            via: None,
        },
        source,
        user_agent: text("agent"),
        secrets: names
            .map(|name| SecretRef { id: Cow::Owned(name.clone()), name: Cow::Owned(name), version: None })
            .collect(),
        echo_of: text("echo_of"),
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

/// Runs every example of every rule, each alone with its rule.
#[must_use]
pub fn run(set: &RuleSet) -> Vec<Outcomes> {
    let each = |rule: &Rule| rule.examples.iter().map(|example| run_one(rule, example)).collect::<Vec<_>>();
    set.rules.iter().flat_map(each).collect()
}

fn run_one(rule: &Rule, example: &Example) -> Outcomes {
    let alone = RuleSet { rules: vec![rule.clone()] };
    let mut engine = Engine::new(Arc::new(alone), Settings::default());
    let mut standing = BTreeMap::new();
    let mut said = None;
    let place = Place { name: Arc::from("example"), line: 1, record: 0 };
    for event in &example.events {
        let evaluation = engine.evaluate(&[Seen { event, place: &place, raw: b"{}" }]);
        let matched = evaluation.classified.iter().filter(|classified| !classified.rules.is_empty());
        said = said.max(matched.map(|classified| classified.level).max());
        apply(&mut standing, evaluation.changes);
    }
    let highest = standing.values().map(|alert| alert.level).max();
    let got = if rule.level == Level::Info { said } else { highest };
    let failure = failure(example, got, standing.len());
    Outcomes { rule: Arc::clone(&rule.id), example: example.name.clone(), failure }
}

fn failure(example: &Example, got: Option<Level>, alerts: usize) -> Option<String> {
    let spoken = |level: Option<Level>| level.map_or_else(|| "silence".to_owned(), |level| level.to_string());
    let want = match example.expect {
        Expect::Silence => None,
        Expect::Level(level) => Some(level),
    };
    if got != want {
        return Some(format!("expected {}, got {}", spoken(want), spoken(got)));
    }
    match example.alerts {
        Some(wanted) if wanted != alerts => Some(format!("expected {wanted} alert(s), got {alerts}")),
        _ => None,
    }
}

/// Applies alert changes to the alerts that stand, by id.
pub fn apply(standing: &mut BTreeMap<String, Alert>, changes: Vec<AlertChange>) {
    for change in changes {
        match change {
            AlertChange::Opened { alert, .. } => drop(standing.insert(alert.id.0.clone(), alert)),
            AlertChange::Updated { alert, was, .. } => {
                standing.remove(&was.0);
                standing.insert(alert.id.0.clone(), alert);
            }
            AlertChange::Withdrawn { id, .. } => drop(standing.remove(&id.0)),
        }
    }
}
