//! From rule files to rules.
//!
//! All documents of all files are read before any is compiled, so a correlation may use a rule
//! of another file. Every mistake of every file is reported at once, with line, column and
//! remedy; rules come back only when there is none. Nothing here looks at events.

mod book;
mod chain;
mod condition;
mod correlation;
mod detection;
mod document;
mod extension;
mod fields;
mod filter;
mod first_seen;
mod news;
mod observed;
mod part_of;
mod risk;
mod scope;
mod sense;
mod sequence;
mod silence;

#[cfg(test)]
mod tests;

use crate::problem::Problem;
use crate::rule::{Rule, RuleSet};
use crate::yaml::{Node, Problems, parse};
use detection::Detected;
use document::{Document, Shape};
use filter::Filters;
use scope::{Scope, Tables, Uses};
use std::collections::BTreeSet;

/// Compiles rule files, given as `(name, text)`.
///
/// # Errors
/// Every [`Problem`] of every file, in the order of the files.
pub fn compile<'f>(files: impl IntoIterator<Item = (&'f str, &'f str)>) -> Result<RuleSet, Vec<Problem>> {
    let none = BTreeSet::new();
    compile_without(files.into_iter().map(|(name, text)| (name, text, &none)))
}

/// Compiles rule files, given as `(name, text, gone)`: documents with a name in `gone` are taken as
/// not being there.
///
/// # Errors
/// Every [`Problem`] of every file, in the order of the files.
pub fn compile_without<'f, 'g>(
    files: impl IntoIterator<Item = (&'f str, &'f str, &'g BTreeSet<String>)>,
) -> Result<RuleSet, Vec<Problem>> {
    let read = |(name, text, gone)| File::read(name, text, gone);
    let files: Vec<File<'f>> = files.into_iter().map(read).collect();
    let set = rules(&files);
    let found: Vec<Problem> = files.into_iter().flat_map(File::into_problems).collect();
    if found.is_empty() { Ok(set) } else { Err(found) }
}

/// What the document of a rule goes by: its `name` and its `id`, and without both its title.
#[must_use]
pub fn names_of(document: &Node) -> Vec<String> {
    document::names_at(document).map(|(name, _)| name).collect()
}

/// One file: its documents, and what is wrong with it.
struct File<'f> {
    name: &'f str,
    documents: Vec<Node>,
    problems: Problems,
    /// What stopped the reading; the file then has no documents.
    unread: Option<Problem>,
}

impl<'f> File<'f> {
    fn read(name: &'f str, text: &str, gone: &BTreeSet<String>) -> Self {
        let (mut documents, unread) = match parse(name, text) {
            Ok(documents) => (documents, None),
            Err(problem) => (Vec::new(), Some(problem)),
        };
        documents.retain(|document| !names_of(document).iter().any(|name| gone.contains(name)));
        Self { name, documents, problems: Problems::new(name), unread }
    }

    fn into_problems(self) -> Vec<Problem> {
        let mut found = self.problems.into_sorted();
        found.extend(self.unread);
        found
    }
}

fn rules(files: &[File<'_>]) -> RuleSet {
    let each = |file| documents(file);
    let documents: Vec<Document<'_>> = files.iter().flat_map(each).collect();
    let tables = Tables::default();
    let complete = files.iter().all(|file| file.unread.is_none());
    let filters = Filters::read(&documents);
    filters.check(&documents, complete);
    let detected: Vec<Option<Detected<'_>>> =
        documents.iter().map(|document| Detected::read(document, &tables, &filters)).collect();
    let scope = Scope::new(&documents, &detected, &tables, complete);
    let uses = Uses::new(&scope);
    let mut rules: Vec<Rule> =
        documents.iter().enumerate().filter_map(|(at, document)| rule(at, document, &scope, &uses)).collect();
    part_of::read(&scope, &mut rules);
    chain::settle(&mut rules, &tables);
    // A condition that cannot be read may well mean the selections it leaves out.
    let whole = detected.iter().flatten().filter(|detected| detected.matcher.is_some());
    whole.for_each(|detected| detected.book.report_unused());
    let (matchers, baselines) = tables.into_parts();
    news::tell(&mut rules, &baselines);
    RuleSet { rules, matchers, baselines }
}

fn documents<'f>(file: &'f File<'_>) -> impl Iterator<Item = Document<'f>> {
    file.documents.iter().filter_map(|node| Document::read(file.name, node, &file.problems))
}

fn rule<'s>(at: usize, document: &'s Document<'s>, scope: &Scope<'s>, uses: &Uses<'s>) -> Option<Rule> {
    match document.shape {
        Shape::Detection => scope.detected(at).and_then(|detected| detected.rule(uses.of(at), scope)),
        Shape::Correlation(correlation) => correlation::rule(document, correlation, (scope, uses.of(at))),
        Shape::Risk(risk) => risk::rule(document, risk, scope),
        Shape::Observed(node) => observed::rule(document, node),
        Shape::Filter(_) | Shape::Unknown => None,
    }
}
