//! Rule files from disk, beside the shipped ones.
//!
//! Invariant: every mistake of every file is told at once, and rules are loaded all or none.

mod files;
mod lists;
mod sources;

use crate::config::{Lists, Supplied};
use files::{Opened, RuleFile};
use keywatch_rules::{Problem, ReadFile, Rule, RuleSet, Surroundings, builtin, compile_read, names_of};
use sources::Origins;
use std::collections::{BTreeMap, BTreeSet};
use std::path::PathBuf;
use std::sync::Arc;

/// Problems shown one by one; the rest is counted.
const PROBLEMS_SHOWN: usize = 200;

/// Mistakes in rule files.
#[derive(Debug, thiserror::Error)]
#[error("{}", listed(.0))]
pub(crate) struct RuleError(pub(crate) Vec<Problem>);

fn listed(problems: &[Problem]) -> String {
    let mut lines: Vec<String> = problems.iter().take(PROBLEMS_SHOWN).map(ToString::to_string).collect();
    if problems.len() > lines.len() {
        lines.push(format!("and {} more", problems.len() - lines.len()));
    }
    let files: BTreeSet<&str> = problems.iter().map(|problem| problem.file.as_str()).collect();
    format!(
        "{}\n{} problem(s) in {} rule file(s); no rule was changed",
        lines.join("\n"),
        problems.len(),
        files.len()
    )
}

/// Rules and the files they come from.
#[derive(Debug)]
pub(crate) struct Rulebook {
    /// The rules.
    pub(crate) set: RuleSet,
    files: Vec<RuleFile>,
    origins: Origins,
    /// YAML files in folders that hold no rule.
    pub(crate) passed_over: usize,
}

/// The shipped rules and those in `paths` (files, or folders searched for `.yml` and `.yaml`).
pub(crate) fn load(paths: &[PathBuf]) -> Result<Rulebook, RuleError> {
    let mut own = files::read(paths)?;
    let is_copy = |opened: &Opened| builtin().iter().any(|(_, shipped)| *shipped == opened.file.text);
    own.files.retain(|opened| !is_copy(opened));
    Rulebook::of(shipped().chain(own.files).collect(), own.passed_over)
}

/// The rules a service runs with; what is odd about them and about the lists goes to the
/// log.
pub(crate) fn in_force(supplied: &Supplied) -> Result<Rulebook, RuleError> {
    let book = load(&supplied.rules)?.told(&supplied.surroundings());
    book.notices(&supplied.lists).iter().for_each(|notice| tracing::warn!("{notice}"));
    Ok(book)
}

/// The rules in `paths` alone, without the shipped ones.
pub(crate) fn load_alone(paths: &[PathBuf]) -> Result<Rulebook, RuleError> {
    let own = files::read(paths)?;
    Rulebook::of(own.files, own.passed_over)
}

fn shipped() -> impl Iterator<Item = Opened> {
    builtin().iter().map(|(name, text)| RuleFile::new((*name).to_owned(), (*text).to_owned()).read())
}

impl Rulebook {
    fn of(files: Vec<Opened>, passed_over: usize) -> Result<Self, RuleError> {
        let origins = Origins::of(&files);
        let (files, read): (Vec<RuleFile>, Vec<ReadFile>) =
            files.into_iter().map(|opened| (opened.file, opened.read)).unzip();
        let set = compile_read(&read).map_err(RuleError)?;
        Ok(Self { set, files, origins, passed_over })
    }

    /// What is no mistake and worth knowing, of the rules and of the lists in `supplied`. One sentence
    /// each.
    pub(crate) fn notices(&self, supplied: &Lists) -> Vec<String> {
        let mut notices: Vec<String> = self.set.notices.iter().map(ToString::to_string).collect();
        notices.extend(self.list_notices(supplied));
        notices
    }

    /// The same rules with those of `paths` in the place of the ones with the same names, and the
    /// names of their documents.
    ///
    /// # Errors
    /// Every mistake in the files, or that their rules make beside the others.
    pub(crate) fn with(&self, paths: &[PathBuf]) -> Result<(Self, BTreeSet<String>), RuleError> {
        let new = files::read(paths)?;
        let documents = new.files.iter().flat_map(|opened| opened.read.documents());
        let names: BTreeSet<String> = documents.flat_map(names_of).collect();
        let gone = Arc::new(names.clone());
        let kept = self.files.iter().map(|file| file.without(&gone).read());
        let book = Self::of(kept.chain(new.files).collect(), new.passed_over)?;
        Ok((book, names))
    }

    /// The same rules without the one called `id`; `None` when there is none.
    pub(crate) fn set_without(&self, id: &str) -> Option<RuleSet> {
        let mut set = self.set.clone();
        set.rules.retain(|rule| &*rule.id != id);
        (set.rules.len() < self.set.rules.len()).then_some(set)
    }

    /// Says of every rule why it can never find anything with what the operator supplies.
    pub(crate) fn told(mut self, around: &Surroundings) -> Self {
        let reasons: Vec<Option<String>> =
            self.set.rules.iter().map(|rule| self.set.blindness(rule, around)).collect();
        for (rule, reason) in self.set.rules.iter_mut().zip(reasons) {
            rule.blind = reason;
        }
        self
    }

    /// Where the rules' events come from.
    pub(crate) const fn origins(&self) -> &Origins {
        &self.origins
    }

    /// How many of `rules` read a log that is not ingested, by that log.
    pub(crate) fn blind<'r>(&self, rules: impl Iterator<Item = &'r Rule>) -> BTreeMap<String, usize> {
        let origins = self.origins();
        let mut counts = BTreeMap::new();
        for rule in rules.filter(|rule| rule.blind.is_some()) {
            *counts.entry(origins.of_rule(rule)).or_insert(0) += 1;
        }
        counts
    }
}
