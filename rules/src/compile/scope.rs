//! What one document may know of all the others: their names, and the tables they share.

use super::detection::Detected;
use super::document::{Document, Shape};
use crate::field::Field;
use crate::matcher::Matcher;
use crate::problem::{Problem, nearest};
use crate::rule::{Baseline, BaselineId, MatcherId};
use crate::wording::listed;
use crate::yaml::{Node, Table};
use std::cell::RefCell;
use std::collections::HashMap;

/// The tables of a rule set while they grow.
#[derive(Debug, Default)]
pub(super) struct Tables {
    matchers: RefCell<Vec<Matcher>>,
    baselines: RefCell<Vec<Baseline>>,
}

impl Tables {
    pub(super) fn add_matcher(&self, matcher: Matcher) -> MatcherId {
        let mut matchers = self.matchers.borrow_mut();
        matchers.push(matcher);
        MatcherId(matchers.len() - 1)
    }

    pub(super) fn add_baseline(&self, baseline: Baseline) -> BaselineId {
        let mut baselines = self.baselines.borrow_mut();
        baselines.push(baseline);
        BaselineId(baselines.len() - 1)
    }

    /// Whether no event the matcher matches has a value of the field.
    pub(super) fn never_has(&self, matcher: MatcherId, field: &Field) -> bool {
        self.matchers.borrow().get(matcher.0).is_some_and(|found| found.never_has(field))
    }

    /// Why the matcher can never match: its log source is not ingested.
    pub(super) fn blindness(&self, matcher: MatcherId) -> Option<String> {
        self.matchers.borrow().get(matcher.0).and_then(|found| found.source().blindness())
    }

    pub(super) fn into_parts(self) -> (Vec<Matcher>, Vec<Baseline>) {
        (self.matchers.into_inner(), self.baselines.into_inner())
    }
}

/// All documents by name.
pub(super) struct Scope<'s> {
    pub(super) documents: &'s [Document<'s>],
    detected: &'s [Option<Detected<'s>>],
    pub(super) tables: &'s Tables,
    /// Whether every file could be read: a name that is missing may stand in one that could not.
    complete: bool,
    names: HashMap<String, usize>,
    /// Shipped rules that are named and not loaded.
    notices: RefCell<Vec<(Place, Vec<String>)>>,
}

/// A place in a file.
#[derive(Clone, Debug, PartialEq)]
struct Place {
    file: String,
    line: usize,
    column: usize,
}

impl<'s> Scope<'s> {
    /// Indexes the documents; a name given twice is reported where it is given again.
    pub(super) fn new(
        documents: &'s [Document<'s>],
        detected: &'s [Option<Detected<'s>>],
        tables: &'s Tables,
        complete: bool,
    ) -> Self {
        let mut names: HashMap<String, usize> = HashMap::new();
        for (at, document) in documents.iter().enumerate() {
            for (name, node) in document.names() {
                match names.get(&name).and_then(|first| documents.get(*first)) {
                    None => drop(names.insert(name, at)),
                    Some(first) => {
                        let message =
                            format!("the rule `{name}` is also in {}:{}", first.file, first.node.line);
                        document.problems.add(node, message, "give one of them another name");
                    }
                }
            }
        }
        Self { documents, detected, tables, complete, names, notices: RefCell::default() }
    }

    /// The place of the document with this name.
    pub(super) fn place(&self, name: &str) -> Option<usize> {
        self.names.get(name).copied()
    }

    pub(super) fn detected(&self, at: usize) -> Option<&'s Detected<'s>> {
        self.detected.get(at)?.as_ref()
    }

    /// As [`Self::find`], for what relates a rule to others and may lack some of them: rules copied out
    /// of the catalogue one by one name others of it. A shipped rule that is not loaded is noticed.
    pub(super) fn find_related(&self, name: &str, at: &Node, document: &Document<'_>) -> Option<usize> {
        let found = self.names.get(name).copied();
        if found.is_some() || !is_shipped(name) {
            return found.or_else(|| self.find(name, at, document));
        }
        if self.complete {
            let mut notices = self.notices.borrow_mut();
            let quoted = format!("`{name}`");
            let place = Place { file: document.file.to_owned(), line: at.line, column: at.column };
            let same = |known: &Place| known.file == place.file && known.line == place.line;
            match notices.last_mut() {
                Some((known, names)) if same(known) => names.push(quoted),
                Some(_) | None => notices.push((place, vec![quoted])),
            }
        }
        None
    }

    /// What was noticed: for each place in a file one sentence.
    pub(super) fn into_notices(self) -> Vec<Problem> {
        let told = |(place, names): (Place, Vec<String>)| {
            let (verb, effect) = if names.len() > 1 { ("rules", "are") } else { ("rule", "is") };
            Problem {
                file: place.file,
                line: place.line,
                column: place.column,
                message: format!("the shipped {verb} {} {effect} not loaded", listed(&names)),
                remedy: "what is said of that here has no effect".to_owned(),
            }
        };
        self.notices.into_inner().into_iter().map(told).collect()
    }

    /// The place of the document with this name; reported when there is none.
    pub(super) fn find(&self, name: &str, at: &Node, document: &Document<'_>) -> Option<usize> {
        let found = self.names.get(name).copied();
        if found.is_none() && self.complete {
            let near = nearest(name, self.names.keys().map(String::as_str));
            let remedy = near.map_or_else(
                || "write the `name` or `id` of a rule in one of the files loaded".to_owned(),
                |near| format!("did you mean `{near}`?"),
            );
            document.problems.add(at, format!("no rule is called `{name}`"), remedy);
        }
        found
    }
}

/// Whether a rule of the catalogue goes by this name or id.
fn is_shipped(name: &str) -> bool {
    let names = |line: &str| ["name: ", "id: "].iter().any(|key| line.strip_prefix(key) == Some(name));
    crate::builtin().iter().any(|(_, text)| text.lines().any(names))
}

/// How correlations use a detection.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Use<'s> {
    /// The id of a correlation that uses it, when one does.
    pub(super) by: Option<&'s str>,
    /// Where a rule of somebody else's names it, when it is a shipped one.
    pub(super) elsewhere: Option<(&'s Document<'s>, &'s Node)>,
    /// Whether it raises by itself all the same.
    pub(super) generate: bool,
}

/// How correlations use each document.
pub(super) struct Uses<'s>(Vec<Use<'s>>);

impl<'s> Uses<'s> {
    pub(super) fn new(scope: &Scope<'s>) -> Self {
        let mut uses = vec![Use::default(); scope.documents.len()];
        for document in scope.documents {
            let Shape::Correlation(correlation) = document.shape else { continue };
            let rules = correlation.get("rules").map(Node::items).unwrap_or_default();
            let table = Table::of(correlation, document.problems);
            let generate = table.truth("generate");
            for rule in rules {
                let Some(name) = rule.text() else { continue };
                let Some(&at) = scope.names.get(&name) else { continue };
                let ends =
                    generate.is_none() && scope.documents.get(at).is_some_and(|of| document.would_end(of));
                if ends {
                    let message =
                        format!("`{name}` is shipped and raises alerts of its own, which this would end");
                    let remedy = "write `generate: true` beside `rules` to keep them, or `generate: false` to do without";
                    document.problems.add(rule, message, remedy);
                }
                if let Some(used) = uses.get_mut(at) {
                    used.by = used.by.or(Some(&document.id));
                    if scope.documents.get(at).is_some_and(Document::is_shipped) && !document.is_shipped() {
                        used.elsewhere = used.elsewhere.or(Some((document, rule)));
                    }
                    used.generate |= ends || generate == Some(true);
                }
            }
        }
        Self(uses)
    }

    pub(super) fn of(&self, at: usize) -> Use<'s> {
        self.0.get(at).copied().unwrap_or_default()
    }
}
