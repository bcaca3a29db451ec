//! What every rule document has, whatever it does: its names, and the frame of title, level,
//! action, runbook, tags and examples around what it does.

use super::sense;
use crate::examples;
use crate::rule::{Kind, Rule};
use crate::yaml::{Data, Node, Problems, Table};
use keywatch_event::Level;
use std::sync::Arc;

/// The keys under `keywatch:`.
pub(super) const EXTENSION: &[&str] = &[
    "action",
    "runbook",
    "incident",
    "attach",
    "any",
    "hold",
    "lower",
    "escalate",
    "first_seen",
    "lagged",
    "steps",
    "silence",
    "observed",
    "risk",
    "part_of",
    "mention",
    "tried",
    "routine",
    "examples",
];
/// Top-level keys that change what a document does. Published rules carry keys of their own, so
/// an unknown one is no mistake, unless it looks like one of these.
const DECISIVE: &[&str] = &["detection", "correlation", "logsource", "keywatch", "filter"];
/// Sigma's levels.
const LEVELS: &str = "write informational, low, medium, high or critical";

/// Sigma leaves open what a rule without one is worth, and so whether it raises.
const NO_LEVEL: &str = "there is no usual one: write informational or low to classify events and raise nothing, \
    medium (a warning), high or critical to raise alerts";

/// What a document does.
#[derive(Clone, Copy, Debug)]
pub(super) enum Shape<'s> {
    /// It has a `detection` and no `correlation`.
    Detection,
    /// It has a `correlation`, this one.
    Correlation(&'s Node),
    /// It has neither, but this `keywatch.risk`.
    Risk(&'s Node),
    /// It has none of these, but this `keywatch.observed`.
    Observed(&'s Node),
    /// It has none of these, but this `filter`, and changes other rules.
    Filter(&'s Node),
    /// None of these, which is reported.
    Unknown,
}

/// One document.
#[derive(Debug)]
pub(super) struct Document<'s> {
    /// The file it stands in.
    pub(super) file: &'s str,
    pub(super) node: &'s Node,
    /// Where its mistakes are told.
    pub(super) problems: &'s Problems,
    /// The id of its rule: its name, else its id, else its title.
    pub(super) id: Arc<str>,
    pub(super) shape: Shape<'s>,
}

/// Begins the names of the shipped files.
const SHIPPED: &str = "builtin/";

/// What a rule is worth and whether it can work.
pub(super) struct Standing {
    /// Its level.
    pub(super) level: Level,
    /// Why it can never find anything.
    pub(super) blind: Option<String>,
}

impl<'s> Document<'s> {
    /// Whether to count the other would end alerts that are shipped, without a word of whoever writes this one.
    pub(super) fn would_end(&self, other: &Document<'_>) -> bool {
        let level = other.node.get("level").and_then(Node::text);
        let raises = level.is_some_and(|level| matches!(&*level, "medium" | "high" | "critical"));
        raises && other.is_shipped() && !self.is_shipped()
    }

    /// Whether it is one of the shipped rules, which people do not edit.
    pub(super) fn is_shipped(&self) -> bool {
        self.file.starts_with(SHIPPED)
    }

    pub(super) fn read(file: &'s str, node: &'s Node, problems: &'s Problems) -> Option<Self> {
        let Data::Map(entries) = &node.data else {
            if !matches!(node.data, Data::Null) {
                let message = format!("a rule is a mapping, not {}", node.kind());
                problems.add(node, message, "begin with `title: …`");
            }
            return None;
        };
        for (key, _) in entries {
            refuse_slip(key, problems);
        }
        let named = names_at(node).next().map(|(name, _)| name);
        let id = Arc::from(named.unwrap_or_default());
        Some(Self { file, node, problems, id, shape: shape(node, problems) })
    }

    pub(super) fn table(&self) -> Table<'s> {
        Table::of(self.node, self.problems)
    }

    /// The names other documents may use for it, each with its place. Nobody names a filter, so
    /// several may have one title.
    pub(super) fn names(&self) -> impl Iterator<Item = (String, &'s Node)> {
        let is_filter = matches!(self.shape, Shape::Filter(_));
        let title = self.node.get("title").filter(|_| is_filter);
        names_at(self.node).filter(move |(_, at)| !title.is_some_and(|title| std::ptr::eq(title, *at)))
    }

    pub(super) fn is_called(&self, name: &str) -> bool {
        self.names().any(|(known, _)| known == name)
    }

    /// The extension, when there is one.
    pub(super) fn extension(&self) -> Option<Table<'s>> {
        let node = self.table().get("keywatch")?;
        matches!(node.data, Data::Map(_)).then(|| Table::of(node, self.problems))
    }

    /// Reports each of these extension keys that is there.
    pub(super) fn refuse(&self, keys: &[&str], why: &str, remedy: &str) {
        let Some(extension) = self.extension() else { return };
        for key in keys {
            if let Some(node) = extension.get(key) {
                self.problems.add(node, format!("`{key}` has no effect here: {why}"), remedy);
            }
        }
    }

    /// The level as written; a missing one is reported when it is `needed`.
    pub(super) fn level(&self, needed: bool) -> Option<Level> {
        let table = self.table();
        let node = if needed { table.need("level", NO_LEVEL) } else { table.get("level") }?;
        level_at(node, self.problems)
    }

    /// The rule around `kind`. Its parts are read whether `kind` could be made or not, so that
    /// every mistake is reported at once.
    pub(super) fn frame(&self, kind: Option<Kind>, standing: Option<Standing>) -> Option<Rule> {
        let table = self.table();
        let title = table.need("title", "add `title:`, one line").and_then(Node::text);
        let extension = table.get("keywatch").and_then(|node| Table::open(node, EXTENSION, self.problems));
        let text = |key| extension.as_ref().and_then(|extension| extension.text(key));
        let truth = |key| extension.as_ref().and_then(|extension| extension.truth(key)).unwrap_or(false);
        let (tried, routine) = (truth("tried"), truth("routine"));
        let (action, runbook) = (text("action"), text("runbook"));
        let examples = extension.as_ref().map(|extension| extension.list("examples")).unwrap_or_default();
        let examples = examples::compile(examples, self.problems);
        sense::refuse_empty(self);
        let tags = table.texts("tags").into_iter().map(|(tag, _)| tag).collect();
        let (title, kind, Standing { level, blind }) = (title?, kind?, standing?);
        Some(Rule {
            id: Arc::clone(&self.id),
            title,
            level,
            tried,
            routine,
            action: action.unwrap_or_else(|| usual_action(level).to_owned()),
            description: table.text("description").unwrap_or_default().trim().to_owned(),
            runbook: runbook.unwrap_or_default().trim().to_owned(),
            tags,
            file: self.file.to_owned(),
            line: self.node.line,
            kind,
            examples,
            part_of: Vec::new(),
            blind,
        })
    }
}

/// What a rule document goes by, each with its place: its `name` and its `id`, and without both its
/// title.
pub(super) fn names_at(node: &Node) -> impl Iterator<Item = (String, &Node)> {
    let found = |key: &str| node.get(key).and_then(|at| Some((at.text()?, at)));
    let (name, id) = (found("name"), found("id"));
    let title = if name.is_none() && id.is_none() { found("title") } else { None };
    [name, id, title].into_iter().flatten()
}

/// A level named under `key` of an extension's section.
pub(super) fn level_of(table: &Table<'_>, key: &str, problems: &Problems) -> Option<Level> {
    level_at(table.need(key, LEVELS)?, problems)
}

/// Sigma's levels in Keywatch's words: informational and low classify, medium warns.
fn level_at(node: &Node, problems: &Problems) -> Option<Level> {
    let written = node.text().unwrap_or_default();
    match written.as_str() {
        "informational" | "low" => Some(Level::Info),
        "medium" => Some(Level::Warning),
        "high" => Some(Level::High),
        "critical" => Some(Level::Critical),
        _ => {
            let remedy = if written == "warning" { "a warning is written `medium`" } else { LEVELS };
            problems.add(node, format!("`{written}` is no level"), remedy);
            None
        }
    }
}

fn usual_action(level: Level) -> &'static str {
    match level {
        Level::Info => "Log only",
        Level::Warning | Level::High => "Investigate",
        Level::Critical => "Immediate review",
    }
}

fn refuse_slip(key: &Node, problems: &Problems) {
    let name = key.text().unwrap_or_default();
    if name == "selection" {
        // Told as what is missing around it.
        return;
    }
    let near = DECISIVE.iter().find(|known| (1..=2).contains(&strsim::damerau_levenshtein(&name, known)));
    if let Some(near) = near {
        problems.add(key, format!("unknown key `{name}`"), format!("did you mean `{near}`?"));
    }
}

fn shape<'s>(node: &'s Node, problems: &Problems) -> Shape<'s> {
    let risk = node.get("keywatch").and_then(|extension| extension.get("risk"));
    match (node.get("correlation"), node.get("detection"), risk) {
        (Some(correlation), ..) => Shape::Correlation(correlation),
        (None, Some(_), _) => Shape::Detection,
        (None, None, Some(risk)) => Shape::Risk(risk),
        (None, None, None) => {
            if let Some(observed) = node.get("keywatch").and_then(|extension| extension.get("observed")) {
                return Shape::Observed(observed);
            }
            if let Some(filter) = node.get("filter") {
                return Shape::Filter(filter);
            }
            let is_flat = ["condition", "selection"].iter().any(|key| node.get(key).is_some());
            let remedy = if is_flat {
                "put the selections and their `condition` below `detection:`"
            } else {
                "say under `detection:` which events the rule is about"
            };
            problems.add(node, "a rule needs a `detection` or a `correlation`", remedy);
            Shape::Unknown
        }
    }
}
