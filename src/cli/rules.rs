//! `keywatch rules`: list, check, test and backtest rules.

mod backtest;
mod report;

use super::given::Given;
use super::output::visible;
use super::{RULE_ERROR, say};
use crate::rulebook::{self, RuleError, Rulebook};
use clap::{Subcommand, ValueEnum};
use keywatch_event::Level;
use keywatch_rules::{Rule, examples};
use serde::Serialize;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Widest column of ids; a longer id, such as a UUID, stands out of its column.
const ID_CHARS_MAX: usize = 32;
/// Rules without examples named one by one.
const UNTESTED_SHOWN: usize = 20;

/// List, check, test and backtest rules.
#[derive(Debug, Subcommand)]
pub(crate) enum Rules {
    /// List the shipped rules and those named: what each finds, where it is written, whose records
    /// it reads, and why it can find nothing here when that is so
    List {
        /// Further rule files or folders
        paths: Vec<PathBuf>,
        #[command(flatten)]
        given: Given,
        /// Output
        #[arg(long, value_enum, default_value = "table")]
        format: ListFormat,
    },
    /// Report every mistake in rule files, with line, column and what to write instead
    Check {
        /// Rule files or folders; none: the shipped rules
        paths: Vec<PathBuf>,
        #[command(flatten)]
        given: Given,
    },
    /// Run the examples inside rules
    Test {
        /// Rule files or folders; none: the shipped rules
        paths: Vec<PathBuf>,
        /// Print what the alerts of each example say
        #[arg(long)]
        alerts: bool,
    },
    /// Try a rule on the stored history, or on files, beside the rules in force
    Backtest(backtest::Backtest),
}

/// How rules are listed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum ListFormat {
    /// For people
    Table,
    /// One JSON array
    Json,
}

impl Rules {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List { paths, given, format } => list(paths, &given, format),
            Self::Check { paths, given } => check(paths, &given),
            Self::Test { paths, alerts } => test(&paths, alerts),
            Self::Backtest(backtest) => backtest.run(),
        }
    }
}

/// A rule as it is listed.
#[derive(Serialize)]
struct Listed<'r> {
    id: &'r str,
    level: Level,
    title: &'r str,
    action: &'r str,
    file: &'r str,
    line: usize,
    log_source: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    blind: Option<&'r str>,
    tags: &'r [String],
}

fn list(paths: Vec<PathBuf>, given: &Given, format: ListFormat) -> anyhow::Result<ExitCode> {
    let mut supplied = given.supplied()?;
    supplied.rules.extend(paths);
    let book = rulebook::load(&supplied.rules)?.told(&supplied.surroundings());
    let origins = book.origins();
    let listed = book.set.rules.iter().map(|rule| Listed {
        id: &rule.id,
        level: rule.level,
        title: &rule.title,
        action: &rule.action,
        file: &rule.file,
        line: rule.line,
        log_source: origins.of_rule(rule),
        blind: rule.blind.as_deref(),
        tags: &rule.tags,
    });
    let listed: Vec<Listed<'_>> = listed.collect();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    match format {
        ListFormat::Json => {
            serde_json::to_writer_pretty(&mut out, &listed)?;
            writeln!(out)?;
        }
        ListFormat::Table => {
            let width =
                listed.iter().map(|rule| rule.id.chars().count()).max().unwrap_or(0).min(ID_CHARS_MAX);
            listed.iter().try_for_each(|rule| line(&mut out, rule, width))?;
        }
    }
    out.flush()?;
    Ok(ExitCode::SUCCESS)
}

fn line(out: &mut impl Write, rule: &Listed<'_>, width: usize) -> std::io::Result<()> {
    let Listed { id, level, title, file, line, log_source, .. } = rule;
    let (id, title) = (visible(id), visible(title));
    writeln!(out, "{id:<width$} {:<8} {log_source:<16} {title}  ({file}:{line})", level.as_str())?;
    match rule.blind {
        Some(why) => writeln!(out, "{:<width$} finds nothing here: {}", "", visible(why)),
        None => Ok(()),
    }
}

/// The rules asked about, beside the shipped ones.
struct Asked {
    book: Rulebook,
    /// Their names; `None` for all.
    names: Option<std::collections::BTreeSet<String>>,
}

impl Asked {
    /// The rules named; the shipped ones when none is. Those with the name of a shipped one stand
    /// in its place.
    fn read(paths: &[PathBuf]) -> Result<Self, RuleError> {
        let shipped = rulebook::load(&[])?;
        if paths.is_empty() {
            return Ok(Self { book: shipped, names: None });
        }
        let (book, names) = shipped.with(paths)?;
        Ok(Self { book, names: Some(names) })
    }

    fn has(&self, id: &str) -> bool {
        self.names.as_ref().is_none_or(|names| names.contains(id))
    }

    fn rules(&self) -> impl Iterator<Item = &Rule> {
        self.book.set.rules.iter().filter(|rule| self.has(&rule.id))
    }
}

fn check(mut paths: Vec<PathBuf>, given: &Given) -> anyhow::Result<ExitCode> {
    let supplied = given.supplied()?;
    paths.extend(supplied.rules);
    let asked = Asked::read(&paths)?;
    // As the service would load them, where a name may be taken.
    let book = rulebook::load(&paths)?;
    for notice in book.notices(&supplied.lists) {
        say(&format!("notice: {}", visible(&notice)));
    }
    match asked.rules().count() {
        0 => say("no rule found; a rule has a `title`, and a `detection` or a `correlation`"),
        count => say(&format!("{count} rule(s), no mistakes")),
    }
    if asked.book.passed_over > 0 {
        say(&format!("{} other YAML file(s) hold no rule and were passed over", asked.book.passed_over));
    }
    let blind = asked.book.blind(asked.rules());
    if !blind.is_empty() {
        say(&format!(
            "{} rule(s) find nothing here; `keywatch rules list` says why for each:",
            blind.values().sum::<usize>()
        ));
        for (source, count) in &blind {
            say(&format!("  {count:>6} {}", visible(source)));
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn test(paths: &[PathBuf], alerts: bool) -> anyhow::Result<ExitCode> {
    let asked = Asked::read(paths)?;
    let mut outcomes = examples::run(&asked.book.set);
    outcomes.retain(|outcome| asked.has(&outcome.rule));
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    let mut failed = 0;
    for outcome in &outcomes {
        let shown = if alerts { outcome.alerts.as_slice() } else { &[] };
        match &outcome.failure {
            None => writeln!(out, "ok    {} {}", outcome.rule, outcome.example)?,
            Some(failure) => {
                failed += 1;
                writeln!(out, "FAIL  {} {}: {failure}", outcome.rule, outcome.example)?;
            }
        }
        for alert in shown {
            writeln!(out, "      {} {}", alert.level.as_str().to_uppercase(), visible(&alert.title))?;
            writeln!(out, "        {}", visible(&alert.why.text))?;
        }
    }
    out.flush()?;
    let untested: Vec<&str> =
        asked.rules().filter(|rule| rule.examples.is_empty()).map(|rule| &*rule.id).collect();
    match untested.len() {
        0 => {}
        1..=UNTESTED_SHOWN => say(&format!("without examples: {}", untested.join(", "))),
        many => say(&format!("without examples: {many} rules")),
    }
    say(&format!("{} example(s), {failed} failed", outcomes.len()));
    Ok(if failed > 0 { ExitCode::from(RULE_ERROR) } else { ExitCode::SUCCESS })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Rules whose example must fail, in ways of writing that say the same.
    const WAYS: [&str; 5] = [
        "{title: Flow, level: medium, detection: {d: {class: secret.read}, condition: d}, keywatch: EXAMPLES}",
        "\"title\": Flow\n'name': flow\ndetection: {d: {class: secret.read}, condition: d}\nlevel: medium\nkeywatch: EXAMPLES\n",
        " detection: {d: {class: secret.read}, condition: d}\n title: Flow\n level: medium\n keywatch: EXAMPLES\n",
        "title: Flow\nid: flow\ndetection: {d: {class: secret.read}, condition: d}\nlevel: medium\nkeywatch: EXAMPLES\n",
        "{name: KW-003, title: Flow, level: medium, detection: {d: {class: secret.read}, condition: d}, keywatch: EXAMPLES}",
    ];

    #[test]
    fn the_examples_of_a_rule_are_run_however_the_rule_is_written() {
        let folder = tempfile::tempdir().unwrap();
        for (n, way) in WAYS.iter().enumerate() {
            let below = folder.path().join(n.to_string());
            std::fs::create_dir(&below).unwrap();
            let path = below.join("own.yml");
            let examples = "{examples: [{name: must fail, expect: silence, events: [{secret: a}]}]}";
            std::fs::write(&path, way.replace("EXAMPLES", examples)).unwrap();
            for given in [path, below] {
                let asked = Asked::read(std::slice::from_ref(&given)).unwrap();
                let titles: Vec<&str> = asked.rules().map(|rule| rule.title.as_str()).collect();
                assert_eq!(titles, ["Flow"], "{way} in {}", given.display());
                let code = format!("{:?}", test(&[given], false).unwrap());
                assert_eq!(code, format!("{:?}", ExitCode::from(RULE_ERROR)), "{way}");
            }
        }
    }
}
