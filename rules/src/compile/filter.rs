//! Filters: documents that take events away from rules other people wrote (Sigma filters
//! specification 2.1).
//!
//! A filter names rules, or `any`, and its condition must hold of an event as well for such a rule
//! to match it: to leave something out a filter says `condition: not selection`, as pySigma has it.
//! It applies to rules of its own log source alone, and before anything counts what they match.

use super::book::Book;
use super::detection::log_source;
use super::document::{Document, Shape};
use crate::log_source::LogSource;
use crate::matcher::Matcher;
use crate::problem::nearest;
use crate::yaml::{Node, Problems, Table};
use std::cell::Cell;

/// Keys of a `filter` that are no selections.
const NO_SELECTION: &[&str] = &["rules", "condition"];
const RULES: &str = "name the rules it is for by name or id, or write `rules: any`";

/// All filters, in the order written.
pub(super) struct Filters<'s>(Vec<Filter<'s>>);

/// One filter.
struct Filter<'s> {
    document: &'s Document<'s>,
    node: &'s Node,
    source: LogSource,
    /// The rules it is for, with where each is named; `None` for every rule of its log source.
    rules: Option<Vec<(String, &'s Node)>>,
    /// Whether its mistakes were told: it is compiled again for each rule, whose log source says
    /// what its fields mean.
    told: Cell<bool>,
}

impl<'s> Filters<'s> {
    pub(super) fn read(documents: &'s [Document<'s>]) -> Self {
        let each = documents.iter().filter_map(|document| match document.shape {
            Shape::Filter(node) => Filter::read(document, node),
            Shape::Detection
            | Shape::Correlation(_)
            | Shape::Risk(_)
            | Shape::Observed(_)
            | Shape::Unknown => None,
        });
        Self(each.collect())
    }

    /// What the filters ask of the events of one rule.
    pub(super) fn of(&self, document: &Document<'_>, source: &LogSource) -> Vec<Matcher> {
        let meant = self.0.iter().filter(|filter| filter.applies(document, source));
        meant.filter_map(|filter| filter.matcher(source)).collect()
    }

    /// Reports filters that can never apply: to a rule nobody knows, unless it may stand in a file
    /// that could not be read, or to one of another log source.
    pub(super) fn check(&self, documents: &[Document<'_>], complete: bool) {
        for filter in &self.0 {
            // A filter without a rule here is still read, so that its mistakes are told.
            filter.matcher(&filter.source);
            for (name, at) in filter.rules.iter().flatten() {
                match documents.iter().find(|document| document.is_called(name)) {
                    Some(document) => filter.check_rule(document, (name, at)),
                    None if complete => filter.tell_unknown(documents, (name, at)),
                    None => {}
                }
            }
        }
    }
}

impl<'s> Filter<'s> {
    fn read(document: &'s Document<'s>, node: &'s Node) -> Option<Self> {
        let remedy = "say whose records it filters, as `logsource: {product: aws, service: cloudtrail}`";
        let title = document.table().need("title", "add `title:`, one line");
        let source = document.table().need("logsource", remedy);
        let rules = Self::rules(&Table::of(node, document.problems), document.problems);
        title.and(source)?;
        let source = log_source(document);
        Some(Self { document, node, source, rules: rules?, told: Cell::new(false) })
    }

    #[expect(clippy::option_option, reason = "the outer says whether it can be read")]
    fn rules(table: &Table<'s>, problems: &Problems) -> Option<Option<Vec<(String, &'s Node)>>> {
        let node = table.need("rules", RULES)?;
        let names = table.texts("rules");
        match names.as_slice() {
            [] => {
                problems.add(node, "the filter names no rule", RULES);
                None
            }
            [(name, _)] if ["any", "all"].contains(&name.to_lowercase().as_str()) => Some(None),
            _ => Some(Some(names)),
        }
    }

    fn applies(&self, document: &Document<'_>, source: &LogSource) -> bool {
        let named = |rules: &Vec<(String, &Node)>| rules.iter().any(|(name, _)| document.is_called(name));
        self.source.contains(source) && self.rules.as_ref().is_none_or(named)
    }

    /// Its condition over the fields of `source`.
    fn matcher(&self, source: &LogSource) -> Option<Matcher> {
        let quiet = Problems::new("");
        let problems = if self.told.replace(true) { &quiet } else { self.document.problems };
        let book = Book::read_but(NO_SELECTION, self.node, source, problems);
        if book.names().next().is_none() {
            let remedy = "add `selection:` with the fields and values it is about";
            problems.add(self.node, "the filter has no selection", remedy);
        }
        let table = Table::of(self.node, problems);
        let matcher = book.plain(table.need("condition", "for example `condition: not selection`")?)?;
        book.report_unused();
        Some(matcher)
    }

    fn check_rule(&self, document: &Document<'_>, (name, at): (&str, &Node)) {
        let problems = self.document.problems;
        if !matches!(document.shape, Shape::Detection) {
            let message = format!("`{name}` has no detection to filter");
            problems.add(at, message, "name the detections it uses");
            return;
        }
        let source = log_source(document);
        if !self.source.contains(&source) {
            let message = format!("`{name}` is about {}, not {}", source.name(), self.source.name());
            problems.add(at, message, "let the filter have the rule's log source");
        }
    }

    fn tell_unknown(&self, documents: &[Document<'_>], (name, at): (&str, &Node)) {
        let names: Vec<String> = documents.iter().flat_map(Document::names).map(|(name, _)| name).collect();
        let near = nearest(name, names.iter().map(String::as_str));
        let remedy = near.map_or_else(|| RULES.to_owned(), |near| format!("did you mean `{near}`?"));
        self.document.problems.add(at, format!("no rule is called `{name}`"), remedy);
    }
}
