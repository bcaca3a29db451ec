//! The selections of one `detection`: found by name, compiled once, and watched for use.

use super::scope::Tables;
use crate::log_source::LogSource;
use crate::matcher::{Matcher, Selections, broken, parse_condition};
use crate::problem::suggest;
use crate::rule::MatcherId;
use crate::yaml::{Data, Node, Problems};
use rsigma_parser::{ConditionExpr, SelectorPattern, detection_name_matches};
use std::cell::RefCell;
use std::collections::{HashMap, HashSet};

/// Keys of a `detection` that are no selections.
const NO_SELECTION: &[&str] = &["condition", "timeframe"];

/// The selections of one `detection`.
#[derive(Debug)]
pub(super) struct Book<'s> {
    problems: &'s Problems,
    selections: Selections,
    /// Name and place of every selection.
    names: Vec<(String, &'s Node)>,
    used: RefCell<HashSet<String>>,
    compiled: RefCell<HashMap<String, MatcherId>>,
}

impl<'s> Book<'s> {
    pub(super) fn read(detection: &'s Node, source: &LogSource, problems: &'s Problems) -> Self {
        Self::read_but(NO_SELECTION, detection, source, problems)
    }

    /// As [`Self::read`], of a mapping in which these `keys` are no selections.
    pub(super) fn read_but(
        keys: &[&str],
        detection: &'s Node,
        source: &LogSource,
        problems: &'s Problems,
    ) -> Self {
        let selections = Selections::compile_but(keys, detection, source, problems);
        let names = names(detection, keys);
        for (name, body) in &names {
            if matches!(&body.data, Data::Map(items) if items.is_empty()) {
                let remedy = "name the fields and values an event must have";
                problems.add(body, format!("the selection `{name}` is empty"), remedy);
            }
        }
        Self { problems, selections, names, used: RefCell::default(), compiled: RefCell::default() }
    }

    pub(super) fn names(&self) -> impl Iterator<Item = &str> {
        self.names.iter().map(|(name, _)| name.as_str())
    }

    /// The matcher of a condition over these selections; what is wrong is told to `problems`.
    pub(super) fn matcher(
        &self,
        condition: &Node,
        tables: &Tables,
        problems: &Problems,
    ) -> Option<MatcherId> {
        let key = self.note_used_in(condition).join("\n");
        if let Some(known) = self.compiled.borrow().get(&key) {
            return Some(*known);
        }
        let id = tables.add_matcher(self.selections.matcher(condition, problems)?);
        self.compiled.borrow_mut().insert(key, id);
        Some(id)
    }

    /// What a condition means, as it stands.
    pub(super) fn plain(&self, condition: &Node) -> Option<Matcher> {
        self.note_used_in(condition);
        self.selections.matcher(condition, self.problems)
    }

    /// As [`Self::matcher`], for the rule's own condition, and the filters that apply to the rule.
    /// Selections the extension names are not filtered.
    pub(super) fn filtered(
        &self,
        condition: &Node,
        filters: Vec<Matcher>,
        tables: &Tables,
    ) -> Option<MatcherId> {
        if filters.is_empty() {
            return self.matcher(condition, tables, self.problems);
        }
        let own = self.plain(condition)?;
        let whole = filters.into_iter().enumerate().fold(own, |own, (at, filter)| own.filtered(filter, at));
        Some(tables.add_matcher(whole))
    }

    /// Whether every selection the expression names is here.
    fn knows(&self, expression: &ConditionExpr) -> bool {
        match expression {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => all.iter().all(|inner| self.knows(inner)),
            ConditionExpr::Not(inner) => self.knows(inner),
            ConditionExpr::Identifier(name) => self.names().any(|known| known == name),
            ConditionExpr::Selector { pattern, .. } => self.names().any(|name| fits(pattern, name)),
        }
    }

    /// Notes what a condition uses; its texts.
    fn note_used_in(&self, condition: &Node) -> Vec<String> {
        let texts: Vec<String> = condition.items().iter().filter_map(Node::text).collect();
        let parsed = texts.iter().filter_map(|text| parse_condition(text).ok());
        parsed.for_each(|expression| self.note_used(&expression));
        texts
    }

    fn note_used(&self, expression: &ConditionExpr) {
        match expression {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => {
                for inner in all {
                    self.note_used(inner);
                }
            }
            ConditionExpr::Not(inner) => self.note_used(inner),
            ConditionExpr::Identifier(name) => drop(self.used.borrow_mut().insert(name.clone())),
            ConditionExpr::Selector { pattern, .. } => {
                let fitting = self.names().filter(|name| fits(pattern, name)).map(str::to_owned);
                self.used.borrow_mut().extend(fitting);
            }
        }
    }

    /// Reports every selection that nothing used. Call it when every rule is compiled: a
    /// correlation may use the selections of the detections it refers to.
    pub(super) fn report_unused(&self) {
        let used = self.used.borrow();
        for (name, body) in &self.names {
            if !used.contains(name) && !name.starts_with('_') {
                let remedy = "name it in the condition, or remove it";
                self.problems.add(body, format!("no condition uses the selection `{name}`"), remedy);
            }
        }
    }
}

fn names<'n>(detection: &'n Node, keys: &[&str]) -> Vec<(String, &'n Node)> {
    let Data::Map(entries) = &detection.data else { return Vec::new() };
    let named = entries.iter().filter_map(|(key, body)| Some((key.text()?, body)));
    named.filter(|(name, _)| !keys.contains(&name.as_str())).collect()
}

fn fits(pattern: &SelectorPattern, name: &str) -> bool {
    match pattern {
        SelectorPattern::Them => !name.starts_with('_'),
        SelectorPattern::Pattern(pattern) => detection_name_matches(pattern, name),
    }
}

/// Where an extension's selection names are looked up: the first book that has them.
#[derive(Clone, Debug)]
pub(super) struct Library<'b, 's> {
    pub(super) books: Vec<&'b Book<'s>>,
    pub(super) tables: &'b Tables,
    pub(super) problems: &'b Problems,
}

impl Library<'_, '_> {
    /// The matcher of a selection, or of a condition over the selections of one book.
    pub(super) fn matcher(&self, node: &Node) -> Option<MatcherId> {
        let Some(text) = node.text() else {
            let message = format!("expected the name of a selection, found {}", node.kind());
            self.problems.add(node, message, self.remedy(""));
            return None;
        };
        let expression = match parse_condition(&text) {
            Ok(expression) => expression,
            Err(error) => {
                self.problems.add(node, broken(&text, &error), "write the name of a selection");
                return None;
            }
        };
        let Some(book) = self.books.iter().find(|book| book.knows(&expression)) else {
            self.problems.add(node, format!("`{text}` is no selection here"), self.remedy(&text));
            return None;
        };
        book.matcher(node, self.tables, self.problems)
    }

    fn remedy(&self, written: &str) -> String {
        let known: Vec<&str> = self.books.iter().flat_map(|book| book.names()).collect();
        if known.is_empty() { "add it under `detection:`".to_owned() } else { suggest(written, &known) }
    }
}
