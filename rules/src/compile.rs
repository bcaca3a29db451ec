//! From rule files to rules. Every mistake of every file is reported, with line, column and
//! remedy; rules come back only when there is none.

use crate::examples;
use crate::field::Field;
use crate::matcher::{Matcher, Selections};
use crate::problem::{Problem, suggest};
use crate::rule::{
    Condition, Count, Counted, Escalate, FirstSeen, Hold, Incident, Kind, Lower, Mature, Rule,
};
use crate::yaml::{Node, Problems, Table, duration_secs, parse};
use keywatch_event::Level;
use std::collections::HashMap;
use std::sync::Arc;

/// Every rule of one deployment, in the order of their files.
#[derive(Clone, Debug, Default)]
pub struct RuleSet {
    /// The rules.
    pub rules: Vec<Rule>,
}

/// Keys of a Sigma document (specification 2.0) and Keywatch's one extension key.
const DOCUMENT: &[&str] = &[
    "title",
    "id",
    "name",
    "related",
    "taxonomy",
    "status",
    "description",
    "license",
    "references",
    "author",
    "date",
    "modified",
    "logsource",
    "detection",
    "correlation",
    "fields",
    "falsepositives",
    "level",
    "tags",
    "scope",
    "keywatch",
];
const EXTENSION: &[&str] = &[
    "action",
    "runbook",
    "incident",
    "attach",
    "any",
    "hold",
    "lower",
    "escalate",
    "first_seen",
    "examples",
];
/// Longest an incident stays open unless the rule says otherwise.
const MAX_DURATION_SECS: i64 = 86_400;
/// Longest window: what must be kept in memory grows with it.
const TIMESPAN_SECS_MAX: i64 = 86_400;

/// Compiles rule files, given as `(name, text)`.
///
/// # Errors
/// Every [`Problem`] of every file, in order.
pub fn compile<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<RuleSet, Vec<Problem>> {
    let mut set = RuleSet::default();
    let mut found = Vec::new();
    for (file, text) in files {
        match parse(file, text) {
            Ok(documents) => {
                let problems = Problems::new(file);
                set.rules.extend(compile_file(file, &documents, &problems));
                found.extend(problems.into_sorted());
            }
            Err(problem) => found.push(problem),
        }
    }
    found.extend(repeated_ids(&set));
    if found.is_empty() { Ok(set) } else { Err(found) }
}

fn repeated_ids(set: &RuleSet) -> Vec<Problem> {
    let mut first: HashMap<&str, &str> = HashMap::new();
    let mut found = Vec::new();
    for rule in &set.rules {
        if let Some(other) = first.insert(&rule.id, &rule.file) {
            let message = format!("the rule `{}` is also in {other}", rule.id);
            found.push(Problem {
                file: rule.file.clone(),
                line: 1,
                column: 1,
                message,
                remedy: "give one of them another name".to_owned(),
            });
        }
    }
    found
}

/// What one detection document contributes to the correlations of its file.
struct Base<'n> {
    document: &'n Node,
    selections: Selections,
    /// Nothing when the condition cannot be used, which is reported.
    matcher: Option<Matcher>,
}

fn compile_file(file: &str, documents: &[Node], problems: &Problems) -> Vec<Rule> {
    let mut bases: Vec<(Vec<String>, Base<'_>)> = Vec::new();
    for document in documents.iter().filter(|document| document.get("detection").is_some()) {
        let names = ["name", "id"].iter().filter_map(|key| document.get(key)?.text()).collect();
        bases.extend(base(document, problems).map(|base| (names, base)));
    }
    let mut referenced = Vec::new();
    let mut rules = Vec::new();
    for document in documents {
        let Some(table) = Table::open(document, DOCUMENT, problems) else { continue };
        if let Some(correlation) = table.get("correlation") {
            let used = correlation_rules(correlation, &bases, problems);
            referenced.extend(used.iter().map(|base| std::ptr::from_ref(base.document)));
            rules.extend(correlated(file, &table, correlation, &used, problems));
        } else if table.get("detection").is_none() {
            problems.add(document, "a rule needs a `detection` or a `correlation`", "see rules/README.md");
        }
    }
    let standalone =
        bases.iter().filter(|(_, base)| !referenced.contains(&std::ptr::from_ref(base.document)));
    let plain: Vec<Rule> = standalone.filter_map(|(_, base)| detected(file, base, problems)).collect();
    rules.extend(plain);
    rules.sort_by(|a, b| a.id.cmp(&b.id));
    rules
}

fn base<'n>(document: &'n Node, problems: &Problems) -> Option<Base<'n>> {
    let detection = document.get("detection")?;
    let selections = Selections::compile(detection, problems);
    let condition = detection.get("condition");
    if condition.is_none() {
        let remedy = "add `condition:` with the names of the selections";
        problems.add(detection, "`condition` is missing", remedy);
    }
    let matcher = condition.and_then(|condition| selections.matcher(condition, problems));
    Some(Base { document, selections, matcher })
}

fn correlation_rules<'b, 'n>(
    correlation: &Node,
    bases: &'b [(Vec<String>, Base<'n>)],
    problems: &Problems,
) -> Vec<&'b Base<'n>> {
    let known: Vec<&str> = bases.iter().flat_map(|(names, _)| names).map(String::as_str).collect();
    let mut used = Vec::new();
    let Some(table) = Table::open(
        correlation,
        &["type", "rules", "group-by", "timespan", "condition", "aliases", "generate"],
        problems,
    ) else {
        return used;
    };
    for (name, at) in table.texts("rules") {
        match bases.iter().find(|(names, _)| names.contains(&name)) {
            Some((_, base)) => used.push(base),
            None => {
                problems.add(at, format!("no rule of this file is called `{name}`"), suggest(&name, &known));
            }
        }
    }
    used
}

/// The parts every rule has. They are read whether the rest of the rule can be used or not, so
/// that every mistake is reported at once.
fn frame(file: &str, table: &Table<'_>, kind: Option<Kind>, problems: &Problems) -> Option<Rule> {
    let title = table.need("title", "add `title:`, one line").and_then(Node::text);
    let level = level(table, problems);
    let extension = table.get("keywatch").and_then(|node| Table::open(node, EXTENSION, problems));
    let from_extension = |key| extension.as_ref().and_then(|e| e.text(key));
    let (action, runbook) = (from_extension("action"), from_extension("runbook"));
    let tags = table.texts("tags").into_iter().map(|(tag, _)| tag).collect();
    let examples = extension.as_ref().map(|e| examples::compile(e.list("examples"), problems));
    let (title, level, kind) = (title?, level?, kind?);
    let id = table.text("name").or_else(|| table.text("id")).unwrap_or_else(|| title.clone());
    Some(Rule {
        id: Arc::from(id),
        title,
        level,
        action: action.unwrap_or_else(|| "Review".to_owned()),
        description: table.text("description").unwrap_or_default().trim().to_owned(),
        runbook: runbook.unwrap_or_default().trim().to_owned(),
        tags,
        file: file.to_owned(),
        kind,
        examples: examples.unwrap_or_default(),
    })
}

/// Sigma's levels in Keywatch's words: informational and low classify, medium warns.
fn level(table: &Table<'_>, problems: &Problems) -> Option<Level> {
    let node = table.need("level", "add `level:` informational, medium, high or critical")?;
    let found = level_named(&node.text().unwrap_or_default());
    if found.is_none() {
        problems.add(
            node,
            format!("`{}` is no level", node.text().unwrap_or_default()),
            "write informational, low, medium, high or critical",
        );
    }
    found
}

fn level_named(name: &str) -> Option<Level> {
    match name {
        "informational" | "low" | "info" => Some(Level::Info),
        "medium" | "warning" => Some(Level::Warning),
        "high" => Some(Level::High),
        "critical" => Some(Level::Critical),
        _ => None,
    }
}

fn detected(file: &str, base: &Base<'_>, problems: &Problems) -> Option<Rule> {
    let table = Table::of(base.document, problems);
    let extension = table.get("keywatch").map(|node| Table::of(node, problems));
    let kind = match extension.as_ref().and_then(|e| e.get("first_seen")) {
        Some(node) => first_seen_of(node, base, problems).map(|spec| Kind::FirstSeen(Box::new(spec))),
        None if level(&table, problems) == Some(Level::Info) => base.matcher.clone().map(Kind::Classify),
        None => Some(Kind::Count(Box::new(single(base, extension.as_ref(), problems)))),
    };
    frame(file, &table, kind.filter(|_| base.matcher.is_some()), problems)
}

/// A detection rule on its own: every match is an incident or joins one.
fn single(base: &Base<'_>, extension: Option<&Table<'_>>, problems: &Problems) -> Count {
    let reader = Reader { selections: &base.selections, problems };
    let count = Count {
        hits: base.matcher.iter().cloned().collect(),
        attach: None,
        group_by: Vec::new(),
        timespan_secs: 0,
        condition: Condition { of: Counted::Events, at_least: 1 },
        any: Vec::new(),
        incident: Incident::default(),
        hold: None,
        lower: None,
        escalate: None,
    };
    match extension {
        Some(extension) => reader.extend(count, extension),
        None => count,
    }
}

fn correlated(
    file: &str,
    table: &Table<'_>,
    correlation: &Node,
    used: &[&Base<'_>],
    problems: &Problems,
) -> Option<Rule> {
    let fields = Table::of(correlation, problems);
    let kind = fields.text("type").unwrap_or_default();
    let timespan_secs = timespan(&fields, problems);
    let group_by = fields_of(&fields.texts("group-by"), problems);
    let condition = threshold(&kind, correlation, problems);
    let usable = timespan_secs.is_some() && condition.is_some() && !used.is_empty();
    let count = Count {
        hits: used.iter().filter_map(|base| base.matcher.clone()).collect(),
        attach: None,
        incident: Incident { keys: vec![group_by.clone()], ..Incident::default() },
        group_by,
        timespan_secs: timespan_secs.unwrap_or(0),
        condition: condition.unwrap_or(Condition { of: Counted::Events, at_least: 1 }),
        any: Vec::new(),
        hold: None,
        lower: None,
        escalate: None,
    };
    let count = match (table.get("keywatch"), used.first()) {
        (Some(node), Some(first)) => {
            Reader { selections: &first.selections, problems }.extend(count, &Table::of(node, problems))
        }
        _ => count,
    };
    frame(file, table, usable.then(|| Kind::Count(Box::new(count))), problems)
}

fn timespan(correlation: &Table<'_>, problems: &Problems) -> Option<i64> {
    let written = correlation.text("timespan");
    let secs = written.as_deref().and_then(duration_secs).filter(|secs| *secs <= TIMESPAN_SECS_MAX);
    if secs.is_none() {
        let at = correlation.get("timespan").unwrap_or(correlation.node());
        problems.add(at, "`timespan` is missing or cannot be used", "write `timespan: 10m`; at most 24h");
    }
    secs
}

fn threshold(kind: &str, correlation: &Node, problems: &Problems) -> Option<Condition> {
    let Some(node) = correlation.get("condition") else {
        problems.add(correlation, "`condition` is missing", "for example `condition: {gte: 5}`");
        return None;
    };
    let table = Table::open(node, &["gte", "gt", "field"], problems)?;
    let at_least = table.int("gte", 1..=1_000_000).or_else(|| table.int("gt", 0..=1_000_000).map(|n| n + 1));
    let Some(at_least) = at_least.and_then(|n| u64::try_from(n).ok()) else {
        problems.add(node, "the condition needs `gte` or `gt`", "for example `gte: 5`");
        return None;
    };
    let of = match kind {
        "event_count" => Counted::Events,
        "value_count" => Counted::Distinct(fields_of(&table.texts("field"), problems).into_iter().next()?),
        _ => {
            problems.add(
                correlation,
                format!("the correlation type `{kind}` is not evaluated yet"),
                "event_count and value_count are",
            );
            return None;
        }
    };
    Some(Condition { of, at_least })
}

fn fields_of(names: &[(String, &Node)], problems: &Problems) -> Vec<Field> {
    let read = |(name, node): &(String, &Node)| match Field::parse(name) {
        Ok(field) => Some(field),
        Err(remedy) => {
            problems.add(node, format!("unknown field `{name}`"), remedy);
            None
        }
    };
    names.iter().filter_map(read).collect()
}

impl Default for Incident {
    fn default() -> Self {
        let principal = Field::Normal(crate::field::Normal::PrincipalId);
        Self { keys: vec![vec![principal]], keep_alive_secs: 3600, max_duration_secs: MAX_DURATION_SECS }
    }
}

/// Reads the parts of the extension that name selections of the rule's detection.
struct Reader<'r> {
    selections: &'r Selections,
    problems: &'r Problems,
}

impl Reader<'_> {
    fn extend(&self, count: Count, extension: &Table<'_>) -> Count {
        let section =
            |key, known: &[&str]| extension.get(key).and_then(|node| Table::open(node, known, self.problems));
        Count {
            attach: extension.get("attach").and_then(|node| self.selections.matcher(node, self.problems)),
            any: extension.list("any").iter().filter_map(|node| self.extra(node)).collect(),
            hold: section("hold", &["when", "cleared_by", "on", "for", "before_too", "unless_count"])
                .and_then(|t| self.hold(&t)),
            lower: section("lower", &["to", "within", "created_by", "read_by"]).and_then(|t| self.lower(&t)),
            escalate: section("escalate", &["to", "gte", "within"]).and_then(|t| self.escalate(&t)),
            incident: section("incident", &["key", "or", "keep_alive", "max_duration"])
                .map_or(count.incident.clone(), |t| self.incident(&t, &count.incident)),
            ..count
        }
    }

    fn incident(&self, table: &Table<'_>, usual: &Incident) -> Incident {
        let keys = [table.texts("key"), table.texts("or")].map(|names| fields_of(&names, self.problems));
        let keys: Vec<Vec<Field>> = keys.into_iter().filter(|fields| !fields.is_empty()).collect();
        Incident {
            keys: if keys.is_empty() { usual.keys.clone() } else { keys },
            keep_alive_secs: table.secs("keep_alive").unwrap_or(usual.keep_alive_secs),
            max_duration_secs: table.secs("max_duration").unwrap_or(usual.max_duration_secs),
        }
    }

    fn extra(&self, node: &Node) -> Option<Condition> {
        let table = Table::open(node, &["distinct", "matching", "gte"], self.problems)?;
        let at_least = table.int("gte", 1..=1_000_000).and_then(|n| u64::try_from(n).ok()).unwrap_or(1);
        let distinct =
            fields_of(&table.texts("distinct"), self.problems).into_iter().next().map(Counted::Distinct);
        let matching = || table.get("matching").and_then(|node| self.selections.matcher(node, self.problems));
        let of = distinct.or_else(|| matching().map(|m| Counted::Matching(Box::new(m))));
        if of.is_none() {
            self.problems.add(
                node,
                "needs `distinct` or `matching`",
                "for example `{distinct: secrets.id, gte: 2}`",
            );
        }
        Some(Condition { of: of?, at_least })
    }

    fn hold(&self, table: &Table<'_>) -> Option<Hold> {
        Some(Hold {
            when: self.named(table, "when")?,
            cleared_by: self.named(table, "cleared_by")?,
            on: fields_of(&table.texts("on"), self.problems),
            secs: table.secs("for").unwrap_or(60),
            before_too: table.truth("before_too").unwrap_or(false),
            unless_count: table
                .int("unless_count", 2..=1_000_000)
                .and_then(|n| u64::try_from(n).ok())
                .unwrap_or(u64::MAX),
        })
    }

    fn lower(&self, table: &Table<'_>) -> Option<Lower> {
        Some(Lower {
            to: self.level(table, "to")?,
            within_secs: table.secs("within").unwrap_or(3600),
            created_by: self.named(table, "created_by")?,
            read_by: self.named(table, "read_by")?,
        })
    }

    fn escalate(&self, table: &Table<'_>) -> Option<Escalate> {
        Some(Escalate {
            to: self.level(table, "to")?,
            at_least: table.int("gte", 2..=1_000_000).and_then(|n| u64::try_from(n).ok()).unwrap_or(3),
            within_secs: table.secs("within").unwrap_or(600),
        })
    }

    fn level(&self, table: &Table<'_>, key: &str) -> Option<Level> {
        let node = table.need(key, "write medium, high or critical")?;
        let found = level_named(&node.text().unwrap_or_default());
        if found.is_none() {
            self.problems.add(
                node,
                format!("`{key}` is no level"),
                "write informational, medium, high or critical",
            );
        }
        found
    }

    fn named(&self, table: &Table<'_>, key: &str) -> Option<Matcher> {
        let node = table.need(key, "name a selection of this rule's detection")?;
        self.selections.matcher(node, self.problems)
    }
}

fn first_seen_of(node: &Node, base: &Base<'_>, problems: &Problems) -> Option<FirstSeen> {
    let known =
        ["of", "taints", "learn", "mature", "mobile", "decay", "networks_max", "accept_days", "once_per"];
    let table = Table::open(node, &known, problems)?;
    if table.text("of").as_deref() != Some("source.network") {
        problems.add(
            node,
            "`of` must be source.network",
            "first-seen baselines of other fields are not evaluated yet",
        );
        return None;
    }
    let reader = Reader { selections: &base.selections, problems };
    let mature = table.get("mature").and_then(|n| Table::open(n, &["age", "events", "days"], problems));
    let mobile = table.get("mobile").and_then(|n| Table::open(n, &["networks", "within"], problems));
    let count = |t: Option<&Table<'_>>, key, usual| {
        t.and_then(|t| t.int(key, 1..=100_000)).and_then(|n| usize::try_from(n).ok()).unwrap_or(usual)
    };
    let secs = |t: Option<&Table<'_>>, key, usual| t.and_then(|t| t.secs(key)).unwrap_or(usual);
    Some(FirstSeen {
        reads: base.matcher.clone()?,
        taints: reader.named(&table, "taints")?,
        learn_secs: secs(Some(&table), "learn", 7 * 86_400),
        mature: Mature {
            age_secs: secs(mature.as_ref(), "age", 7 * 86_400),
            events: u32::try_from(count(mature.as_ref(), "events", 10)).unwrap_or(10),
            days: count(mature.as_ref(), "days", 3).min(8),
        },
        mobile_networks: count(mobile.as_ref(), "networks", 12),
        mobile_within_secs: secs(mobile.as_ref(), "within", 7 * 86_400),
        decay_secs: secs(Some(&table), "decay", 30 * 86_400),
        networks_max: count(Some(&table), "networks_max", 256),
        accept_days: count(Some(&table), "accept_days", 3).min(8),
        once_per_secs: secs(Some(&table), "once_per", 12 * 3600),
    })
}
