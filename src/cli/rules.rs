//! `keywatch rules`: list, check and test rules.

use super::{RULE_ERROR, say};
use crate::rulebook::{self, RuleError};
use clap::Subcommand;
use keywatch_rules::{Rule, RuleSet, examples};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// List, check and test rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// List the shipped rules and those named
    List {
        /// Further rule files or folders
        paths: Vec<PathBuf>,
    },
    /// Report every mistake in rule files, with line, column and what to write instead
    Check {
        /// Rule files or folders; none: the shipped rules
        paths: Vec<PathBuf>,
    },
    /// Run the examples inside rules
    Test {
        /// Rule files or folders; none: the shipped rules
        paths: Vec<PathBuf>,
    },
}

impl Rules {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { paths } => list(&rulebook::load(&paths)?.rules),
            Self::Check { paths } => check(&paths),
            Self::Test { paths } => test(&paths),
        }
    }
}

fn list(rules: &[Rule]) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    for rule in rules {
        let (id, level, title) = (&rule.id, rule.level, &rule.title);
        writeln!(out, "{id:<8} {level:<8} {:<17} {title}  ({})", rule.action, rule.file)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The rules named; the shipped ones when none is.
fn asked(paths: &[PathBuf]) -> Result<RuleSet, RuleError> {
    if paths.is_empty() { rulebook::load(&[]) } else { rulebook::load_only(paths) }
}

fn check(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let set = asked(paths)?;
    // Beside the shipped rules, where a name may be taken.
    rulebook::load(paths)?;
    say(&format!("{} rule(s), no mistakes", set.rules.len()));
    Ok(ExitCode::SUCCESS)
}

fn test(paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let set = asked(paths)?;
    let outcomes = examples::run(&set);
    let mut out = std::io::stdout().lock();
    let mut failed = 0;
    for outcome in &outcomes {
        match &outcome.failure {
            None => writeln!(out, "ok    {} {}", outcome.rule, outcome.example)?,
            Some(failure) => {
                failed += 1;
                writeln!(out, "FAIL  {} {}: {failure}", outcome.rule, outcome.example)?;
            }
        }
    }
    let untested: Vec<&str> =
        set.rules.iter().filter(|rule| rule.examples.is_empty()).map(|rule| &*rule.id).collect();
    if !untested.is_empty() {
        say(&format!("without examples: {}", untested.join(", ")));
    }
    say(&format!("{} example(s), {failed} failed", outcomes.len()));
    Ok(if failed > 0 { ExitCode::from(RULE_ERROR) } else { ExitCode::SUCCESS })
}
