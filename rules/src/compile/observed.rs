//! `keywatch.observed`: how urgent something noticed about a source is, and what to do.

use super::detection::RAISING;
use super::document::{Document, Standing};
use crate::problem::suggest;
use crate::rule::{Kind, Rule};
use crate::yaml::Node;
use keywatch_event::{Level, Observed};

/// The rule a document with `keywatch.observed` makes.
pub(super) fn rule(document: &Document<'_>, node: &Node) -> Option<Rule> {
    let alone = "no event is behind what is noticed about a source";
    document.refuse(RAISING, alone, "remove it");
    document.refuse(&["first_seen", "lagged", "steps", "silence", "risk", "examples"], alone, "remove it");
    let level = document.level(true);
    if level == Some(Level::Info) {
        let message = "what is noticed at level informational or low is told to nobody";
        document.problems.add(node, message, "raise the level");
    }
    let name = node.text().unwrap_or_default();
    let observed = name.parse::<Observed>();
    if observed.is_err() {
        let message = format!("nothing called `{name}` is noticed about a source");
        document.problems.add(node, message, suggest(&name, Observed::NAMES));
    }
    let standing = level.map(|level| Standing { level, blind: None });
    document.frame(observed.ok().map(Kind::Observed), standing)
}
