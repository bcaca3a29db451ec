//! `keywatch.risk`: several rules that speak about one principal or address.

use super::detection::RAISING;
use super::document::{Document, Standing, level_of};
use super::scope::Scope;
use crate::problem::suggest;
use crate::rule::{Kind, Risk, RiskBy, Rule};
use crate::yaml::{Node, Table};
use keywatch_event::Level;
use std::sync::Arc;

const KEYS: &[&str] = &["except", "by", "rules", "level", "within"];
const BY: &[&str] = &["principal", "source"];

/// The rule a document with `keywatch.risk` makes.
pub(super) fn rule(document: &Document<'_>, node: &Node, scope: &Scope<'_>) -> Option<Rule> {
    let alone = "a risk rule joins the alerts of others";
    document.refuse(RAISING, alone, "remove it");
    document.refuse(&["first_seen", "lagged", "steps", "silence", "observed"], alone, "remove it");
    let level = document.level(true);
    if level == Some(Level::Info) {
        document.problems.add(
            node,
            "a risk rule of level informational or low tells nobody",
            "raise the level",
        );
    }
    let risk = Table::open(node, KEYS, document.problems).and_then(|table| read(document, &table, scope));
    let standing = level.map(|level| Standing { level, blind: None });
    document.frame(risk.map(|risk| Kind::Risk(Box::new(risk))), standing)
}

fn read(document: &Document<'_>, table: &Table<'_>, scope: &Scope<'_>) -> Option<Risk> {
    let mut except: Vec<Arc<str>> = Vec::new();
    for (name, at) in table.texts("except") {
        let found = scope.find_related(&name, at, document).and_then(|place| scope.documents.get(place));
        except.extend(found.map(|found| Arc::clone(&found.id)));
    }
    let level_min = match table.get("level") {
        Some(_) => level_of(table, "level", document.problems)?,
        None => Level::High,
    };
    let timespan_secs = table.secs("within").unwrap_or(3600);
    if let Some(node) = table.get("within").filter(|_| timespan_secs == 0) {
        document.problems.add(node, "`within` is no time at all", "write a length of time such as 1h");
    }
    Some(Risk {
        except,
        by: by(document, table),
        rules_min: table.int("rules", 2..=1000).and_then(|n| usize::try_from(n).ok()).unwrap_or(2),
        level_min,
        timespan_secs,
    })
}

fn by(document: &Document<'_>, table: &Table<'_>) -> Vec<RiskBy> {
    let mut found = Vec::new();
    for (name, at) in table.texts("by") {
        match name.as_str() {
            "principal" => found.push(RiskBy::Principal),
            "source" => found.push(RiskBy::Source),
            other => {
                let message = format!("alerts cannot be joined by `{other}`");
                document.problems.add(at, message, suggest(other, BY));
            }
        }
    }
    if found.is_empty() { vec![RiskBy::Principal, RiskBy::Source] } else { found }
}

/// Sets how long the events of alerts matter to rules that join them.
pub(super) fn settle(rules: &mut [Rule]) {
    let reach = |rule: &Rule| match &rule.kind {
        Kind::Risk(risk) => Some(risk.reach_secs()),
        Kind::Classify(_) | Kind::Count(_) | Kind::Silence(_) | Kind::Observed(_) => None,
    };
    let reach = rules.iter().filter_map(reach).max().unwrap_or(0);
    for rule in rules {
        if let Kind::Count(count) = &mut rule.kind {
            count.joined_secs = reach;
        }
    }
}
