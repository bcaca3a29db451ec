//! `keywatch rules backtest`: a rule on the history, beside the rules in force.

use super::super::given::Given;
use super::super::output::{Format, visible};
use super::super::{NOTHING_READABLE, UsageError, say};
use super::report::{self, Subject};
use crate::backtest::Trial;
use crate::clock;
use crate::known::{Keys, Known};
use crate::rulebook::{self, Rulebook};
use anyhow::Context;
use clap::Args;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use keywatch_event::{AuditEvent, EventTime, Place};
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::scrub;
use keywatch_ingest::source::Reader;
use keywatch_rules::yaml::duration_secs;
use keywatch_rules::{RuleSet, Seen, problem};
use keywatch_store::{History, Span, StoreError};
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::time::Duration;

/// Records read at a time.
const BATCH_RECORDS: usize = 2048;
/// The same, as the store counts.
const PAGE_RECORDS: u32 = 2048;
/// Bytes read at a time.
const BATCH_BYTES: usize = 4 << 20;
/// The configuration whose database holds the history, unless another is named.
const CONFIG: &str = "keywatch.yaml";

/// Try a rule on the stored history, or on files, beside the rules in force.
///
/// A file's rules take the place of those with the same names, and the alerts of both are compared:
/// gained, lost, changed. A loaded rule, named by its id, is compared with not having it. Rules
/// that learn begin with nothing learned. Nothing is stored or sent, and a running service is not
/// disturbed.
#[derive(Debug, Args)]
pub(crate) struct Backtest {
    /// The id of a loaded rule, or a file (or folder) with new or changed rules
    rule: String,
    /// Audit files or folders, - for standard input; none: the history in the configured database
    files: Vec<PathBuf>,
    /// Only events of so long ago or less, such as 30d or 12h
    #[arg(long, value_parser = since)]
    since: Option<i64>,
    #[command(flatten)]
    given: Given,
    /// Output: a table on a terminal, ndjson otherwise
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// No progress
    #[arg(long, short)]
    quiet: bool,
}

fn since(text: &str) -> Result<i64, String> {
    duration_secs(text).ok_or_else(|| "write a length of time such as 12h or 30d".to_owned())
}

/// What is compared with what.
struct Sides {
    before: RuleSet,
    after: RuleSet,
    subject: Subject,
}

impl Backtest {
    pub(crate) fn run(mut self) -> anyhow::Result<ExitCode> {
        if self.files.is_empty() && self.given.config.is_empty() {
            self.given.config.push(PathBuf::from(CONFIG));
        }
        let (supplied, database) = self.given.with_database()?;
        let book = rulebook::load(&supplied.rules)?;
        let sides = sides(&self.rule, book)?;
        let since = self.since.map(|secs| EventTime::from_secs(clock::now().timestamp() - secs));
        let mut run = Run {
            trial: Trial::new(sides.before, sides.after, &supplied.settings_for_files()),
            normalizer: Normalizer::new(),
            since,
            bar: ProgressBar::hidden(),
            quiet: self.quiet,
        };
        let readable = match (self.files.is_empty(), database) {
            (true, Some(database)) => run.history(&database)?,
            _ => run.files(self.files)?,
        };
        run.bar.finish_and_clear();
        if run.trial.events() == 0 && !readable {
            return Ok(ExitCode::from(NOTHING_READABLE));
        }
        let difference = run.trial.end()?;
        report::print(&sides.subject, &difference, Format::or_suitable(self.format))?;
        Ok(ExitCode::SUCCESS)
    }
}

fn sides(rule: &str, book: Rulebook) -> anyhow::Result<Sides> {
    let path = Path::new(rule);
    if path.exists() {
        let (tried, names) = book.with(&[path.to_owned()])?;
        let ids = tried.set.rules.iter().map(|rule| rule.id.to_string()).filter(|id| names.contains(id));
        let subject = Subject { rules: ids.collect(), against: "the rules in force".to_owned() };
        return Ok(Sides { before: book.set, after: tried.set, subject });
    }
    match book.set_without(rule) {
        Some(before) => {
            let subject =
                Subject { rules: vec![rule.to_owned()], against: format!("the rules without {rule}") };
            Ok(Sides { before, after: book.set, subject })
        }
        None => Err(unknown(rule, &book).into()),
    }
}

fn unknown(rule: &str, book: &Rulebook) -> UsageError {
    let ids = book.set.rules.iter().map(|rule| &*rule.id);
    let remedy = match problem::nearest(rule, ids) {
        Some(near) => format!("did you mean `{near}`?"),
        None => "name a rule that `keywatch rules list` shows, or a file with rules".to_owned(),
    };
    UsageError(format!("no rule is called `{rule}`, and there is no file or folder of that name; {remedy}"))
}

/// A trial under way.
struct Run {
    trial: Trial,
    normalizer: Normalizer,
    since: Option<EventTime>,
    bar: ProgressBar,
    quiet: bool,
}

impl Run {
    /// Reads the stored history; false when there is none to read.
    fn history(&mut self, database: &Path) -> anyhow::Result<bool> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("cannot start the runtime")?;
        runtime.block_on(async {
            let history = match History::open(database).await {
                Ok(history) => history,
                Err(error @ (StoreError::File { .. } | StoreError::Schema { .. })) => {
                    say(&format!("keywatch: {:#}", anyhow::Error::from(error)));
                    return Ok(false);
                }
                Err(error) => return Err(error.into()),
            };
            let span = Span { since: self.since, until: None };
            let extent = history.extent(span).await?;
            if extent.events == 0 {
                say(&format!(
                    "keywatch: {} holds no event of that time; name a longer one with --since, or files",
                    database.display()
                ));
                return Ok(false);
            }
            self.show(Some(extent.events), "{bar:30} {human_pos}/{human_len} events  {per_sec}  eta {eta}");
            let mut next = Some(extent.start());
            while let Some(start) = next {
                let page = history.records(span, start, PAGE_RECORDS).await?;
                next = page.next;
                let records = page.records.iter();
                let read =
                    records.map(|one| (one.raw.as_slice(), &one.place, EventTime::from(one.received_at)));
                self.take(read, |_| true)?;
                self.bar.inc(page.records.len() as u64);
            }
            Ok(true)
        })
    }

    /// Reads files; false when one of them could not be read or held nothing but rejects.
    fn files(&mut self, files: Vec<PathBuf>) -> anyhow::Result<bool> {
        let mut reader = Reader::new(files);
        let (keys, mut known) = (Keys::default(), Known::default());
        let mut rejects = 0;
        self.show(
            reader.progress().bytes_total,
            "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  eta {eta}",
        );
        while let Some(batch) = reader.next_batch(BATCH_RECORDS, BATCH_BYTES) {
            let batch = scrub::clean(&batch).unwrap_or(batch);
            rejects += batch.rejects.len() as u64;
            let now = EventTime::from(clock::now());
            let read = batch.records.iter().map(|record| (batch.raw(record), &record.place, now));
            rejects += self.take(read, |event| known.is_new(keys.key(&event.id)))?;
            self.bar.set_position(reader.progress().bytes_read);
        }
        for failure in reader.failures() {
            say(&format!("keywatch: {}", visible(&failure.to_string())));
        }
        if rejects > 0 {
            say(&format!(
                "keywatch: {rejects} record(s) cannot be read; `keywatch normalize` names each of them"
            ));
        }
        Ok(reader.failures().is_empty() && rejects == 0)
    }

    /// Gives records to both sides; returns how many cannot be read.
    fn take<'r>(
        &mut self,
        records: impl Iterator<Item = (&'r [u8], &'r Place, EventTime)>,
        mut is_wanted: impl FnMut(&AuditEvent<'_>) -> bool,
    ) -> anyhow::Result<u64> {
        let mut rejects = 0;
        let mut events: Vec<(AuditEvent<'r>, &'r Place, &'r [u8])> = Vec::with_capacity(BATCH_RECORDS);
        for (raw, place, received_at) in records {
            match self.normalizer.normalize(raw, received_at) {
                Ok(Some(event))
                    if self.since.is_none_or(|since| event.time >= since) && is_wanted(&event) =>
                {
                    events.push((event, place, raw));
                }
                Ok(_) => {}
                Err(_) => rejects += 1,
            }
        }
        let seen = events.iter().map(|(event, place, raw)| Seen { event, place, raw });
        self.trial.take(&seen.collect::<Vec<_>>())?;
        Ok(rejects)
    }

    /// A bar on a terminal; without a total, a turning mark.
    fn show(&mut self, total: Option<u64>, template: &str) {
        if self.quiet {
            return;
        }
        let (bar, template) = match total {
            Some(total) => (ProgressBar::new(total), template),
            None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {bytes_per_sec}"),
        };
        bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
        bar.enable_steady_tick(Duration::from_millis(200));
        if let Ok(style) = ProgressStyle::with_template(template) {
            bar.set_style(style);
        }
        self.bar = bar;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_edited_rule_stands_in_the_place_of_the_one_in_force_however_they_are_written() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            std::fs::write(&path, text).unwrap();
            path
        };
        let detection = "detection: {d: {class: secret.read}, condition: d}";
        let old = write("old.yml", &format!("{{title: Mine, level: medium, {detection}}}\n"));
        let new = write("new.yml", &format!(" \"title\": Mine\n level: high\n {detection}\n"));
        let sides = sides(&new.display().to_string(), rulebook::load(&[old]).unwrap()).unwrap();
        assert_eq!(sides.subject.rules, ["Mine"]);
        assert_eq!(sides.before.rules.len(), sides.after.rules.len());
    }

    #[test]
    fn a_slip_in_the_id_of_a_rule_is_told_as_one_and_blames_no_file() {
        let told = |rule: &str| {
            let error = sides(rule, rulebook::load(&[]).unwrap()).err().unwrap();
            assert!(error.is::<UsageError>(), "{error}");
            error.to_string()
        };
        let nothing = "and there is no file or folder of that name";
        assert_eq!(
            told("KW-0003"),
            format!("no rule is called `KW-0003`, {nothing}; did you mean `KW-003`?")
        );
        assert!(told("no such rule at all").contains("`keywatch rules list` shows"));
        assert_eq!(sides("KW-003", rulebook::load(&[]).unwrap()).unwrap().subject.rules, ["KW-003"]);
    }
}
