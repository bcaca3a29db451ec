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
use crate::yaml::{self, Node, Problems, Reading};
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
    let read: Vec<ReadFile> = files.into_iter().map(|(name, text)| ReadFile::read(name, text)).collect();
    compile_read(&read)
}

/// Compiles rule files that were read.
///
/// # Errors
/// Every [`Problem`] of every file, in the order of the files.
pub fn compile_read(files: &[ReadFile]) -> Result<RuleSet, Vec<Problem>> {
    let files: Vec<File<'_>> = files.iter().map(File::of).collect();
    let set = rules(&files);
    let found: Vec<Problem> = files.into_iter().flat_map(File::into_problems).collect();
    if found.is_empty() { Ok(set) } else { Err(found) }
}

/// What the document of a rule goes by: its `name` and its `id`, and without both its title.
#[must_use]
pub fn names_of(document: &Node) -> Vec<String> {
    document::names_at(document).map(|(name, _)| name).collect()
}

/// A rule file that was read, once for everybody who looks at its documents.
#[derive(Clone, Debug)]
pub struct ReadFile {
    name: String,
    documents: Vec<Node>,
    /// Keys that stand twice.
    repeated: Vec<Problem>,
    /// What stopped the reading; the file then has the documents before it.
    unread: Option<Problem>,
}

impl ReadFile {
    /// Reads `text`; problems name the file `name`.
    #[must_use]
    pub fn read(name: &str, text: &str) -> Self {
        let Reading { documents, repeated, stopped } = yaml::read(name, text);
        Self { name: name.to_owned(), documents, repeated, unread: stopped }
    }

    /// Its documents; of a file that is no YAML those before what cannot be read.
    #[must_use]
    pub fn documents(&self) -> &[Node] {
        &self.documents
    }

    /// Whether it is YAML.
    #[must_use]
    pub const fn is_yaml(&self) -> bool {
        self.unread.is_none()
    }

    /// The file without the documents that have one of these names.
    #[must_use]
    pub fn without(mut self, names: &BTreeSet<String>) -> Self {
        self.documents.retain(|document| !names_of(document).iter().any(|name| names.contains(name)));
        self
    }
}

/// One file: its documents, and what is wrong with it.
struct File<'f> {
    name: &'f str,
    documents: &'f [Node],
    problems: Problems,
    repeated: &'f [Problem],
    unread: Option<&'f Problem>,
}

impl<'f> File<'f> {
    fn of(file: &'f ReadFile) -> Self {
        let problems = Problems::new(&file.name);
        let ReadFile { name, documents, repeated, unread } = file;
        Self { name, documents, problems, repeated, unread: unread.as_ref() }
    }

    fn into_problems(self) -> Vec<Problem> {
        let mut found = self.problems.into_sorted();
        found.extend(self.repeated.iter().chain(self.unread).cloned());
        found.sort_by_key(|problem| (problem.line, problem.column));
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
    risk::settle(&mut rules);
    // A condition that cannot be read may well mean the selections it leaves out.
    let whole = detected.iter().flatten().filter(|detected| detected.matcher.is_some());
    whole.for_each(|detected| detected.book.report_unused());
    let notices = scope.into_notices();
    let (matchers, baselines) = tables.into_parts();
    news::tell(&mut rules, &baselines);
    RuleSet { rules, matchers, baselines, notices }
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
