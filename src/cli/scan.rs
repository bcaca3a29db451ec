//! `keywatch scan`: read audit files once, print the alerts they hold.

use super::given::Given;
use super::output::{Format, alerts, level, visible};
use super::{FINDINGS, NOTHING_READABLE, UsageError, say};
use crate::clock;
use crate::crew::Crew;
use crate::rulebook::{self, Rulebook};
use crate::scanner::Scanner;
use clap::Args;
use indicatif::{HumanBytes, HumanCount, ProgressBar, ProgressDrawTarget, ProgressStyle};
use keywatch_event::{EventTime, Level, Reject};
use keywatch_ingest::Run;
use keywatch_ingest::source::Pieces;
use keywatch_rules::{Engine, RuleSet, Settings};
use std::num::NonZeroUsize;
use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Rejects printed one by one; the rest is counted.
const REJECTS_SHOWN: u64 = 10;

/// Widest column of ids in the summary.
const ID_CHARS_MAX: usize = 32;

/// Events after which alerts are brought up to date: only the end is shown.
const TELL_EVERY: usize = 200_000;

/// Read audit files once and print the alerts they hold.
#[derive(Debug, Args)]
pub(crate) struct Scan {
    /// Files, folders (searched), or - for standard input; any carrier, gzip or not. Files are read from the
    /// one whose events are the oldest on
    #[arg(required = true)]
    paths: Vec<PathBuf>,
    /// Output: a table on a terminal, ndjson otherwise
    #[arg(long, value_enum)]
    format: Option<Format>,
    /// Exit with 1 when an alert has this level or a higher one: warning, high or critical
    #[arg(long, value_parser = level)]
    fail_level: Option<Level>,
    #[command(flatten)]
    given: Given,
    /// Leave the shipped rules out: those of --rules and of the configuration judge alone
    #[arg(long)]
    no_shipped_rules: bool,
    /// Threads that read and normalise; as many as there are processors by default
    #[arg(long, value_name = "N")]
    threads: Option<NonZeroUsize>,
    /// No progress and no summary
    #[arg(long, short)]
    quiet: bool,
}

impl Scan {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let supplied = self.given.supplied()?;
        let load = if self.no_shipped_rules { rulebook::load_alone } else { rulebook::load };
        let book = load(&supplied.rules)?;
        need_rules(&book)?;
        for notice in book.notices(&supplied.lists) {
            say(&format!("keywatch: {}", visible(&notice)));
        }
        let rules = Arc::new(book.set);
        let settings =
            Settings { tell_every: TELL_EVERY, writes_learned: false, ..supplied.settings_for_files() };
        let mut scanner = Scanner::new(Engine::new(Arc::clone(&rules), settings));
        let started = Instant::now();
        let mut pieces = Pieces::in_order_of_time(self.paths.clone(), EventTime::from(clock::now()));
        self.read(&mut pieces, &mut scanner);
        scanner.finish();
        let took = started.elapsed();
        alerts(&scanner.alerts(), Format::or_suitable(self.format))?;
        for failure in pieces.failures() {
            say(&format!("keywatch: {}", visible(&failure.to_string())));
        }
        if !self.quiet {
            summary(&scanner, &rules, pieces.progress().bytes_read, took);
        }
        Ok(self.exit_code(&scanner, !pieces.failures().is_empty()))
    }

    fn read(&self, pieces: &mut Pieces, scanner: &mut Scanner) {
        let bar =
            if self.quiet { ProgressBar::hidden() } else { progress_bar(pieces.progress().bytes_total) };
        let mut shown = 0_u64;
        let mut rejected = |reject: &Reject| {
            shown += 1;
            if shown <= REJECTS_SHOWN {
                bar.suspend(|| {
                    say(&format!(
                        "reject {}: {}",
                        visible(&reject.place.to_string()),
                        visible(&reject.reason.to_string())
                    ));
                });
            }
        };
        let available = || std::thread::available_parallelism().map_or(1, NonZeroUsize::get);
        let normalizer = &scanner.normalizer();
        let crew = Crew {
            threads: self.threads.map_or_else(available, NonZeroUsize::get),
            normalizer,
            now: || EventTime::from(clock::now()),
            progress: &|bytes_read| bar.set_position(bytes_read),
        };
        crew.work(pieces, &mut |run: &Run<'_>, keys: &[u64]| scanner.take(run, keys, &mut rejected));
        bar.finish_and_clear();
        if shown > REJECTS_SHOWN {
            say(&format!(
                "and {} more rejects; `keywatch normalize` names each of them",
                shown - REJECTS_SHOWN
            ));
        }
    }

    fn exit_code(&self, scanner: &Scanner, failed: bool) -> ExitCode {
        let nothing = scanner.counts.events == 0 && scanner.counts.skipped == 0;
        if nothing && (failed || !scanner.counts.rejects.is_empty()) {
            return ExitCode::from(NOTHING_READABLE);
        }
        let highest = scanner.levels().into_keys().max();
        match self.fail_level {
            Some(bound) if highest.is_some_and(|level| level >= bound) => ExitCode::from(FINDINGS),
            _ => ExitCode::SUCCESS,
        }
    }
}

/// Without a rule nothing would be found, and silence would read as if nothing were wrong.
fn need_rules(book: &Rulebook) -> Result<(), UsageError> {
    if !book.set.rules.is_empty() {
        return Ok(());
    }
    Err(UsageError(
        "--no-shipped-rules leaves no rule to judge by; name rule files or folders with --rules, or under \
         `rules:` in a configuration that --config names"
            .to_owned(),
    ))
}

/// A bar over the bytes on disk, drawn only on a terminal and only when it takes a while.
fn progress_bar(bytes_total: Option<u64>) -> ProgressBar {
    let (bar, template) = match bytes_total {
        Some(total) => {
            (ProgressBar::new(total), "{bar:30} {bytes}/{total_bytes}  {bytes_per_sec}  eta {eta}")
        }
        None => (ProgressBar::new_spinner(), "{spinner} {bytes}  {bytes_per_sec}"),
    };
    bar.set_draw_target(ProgressDrawTarget::stderr_with_hz(5));
    bar.enable_steady_tick(Duration::from_millis(200));
    if let Ok(style) = ProgressStyle::with_template(template) {
        bar.set_style(style);
    }
    bar
}

fn summary(scanner: &Scanner, rules: &RuleSet, bytes: u64, took: Duration) {
    let counts = &scanner.counts;
    let rejects: u64 = counts.rejects.values().sum();
    say(&format!(
        "{} events in {}, {} repeated, {} rejects, {} without an event ({} read)",
        HumanCount(counts.events),
        spoken(took),
        HumanCount(counts.duplicates),
        HumanCount(rejects),
        HumanCount(counts.skipped),
        HumanBytes(bytes),
    ));
    if rejects > 0 {
        let kinds: Vec<String> = counts.rejects.iter().map(|(kind, n)| format!("{kind} {n}")).collect();
        say(&format!("  rejects: {}", kinds.join(", ")));
    }
    if counts.misdated > 0 {
        let misdated = HumanCount(counts.misdated);
        say(&format!(
            "  {misdated} event(s) have a time that cannot be read or lies ahead; they count as happening now"
        ));
    }
    let levels = scanner.levels();
    let level = |level: Level| format!("{level} {}", levels.get(&level).copied().unwrap_or(0));
    say(&format!("  alerts: {}, {}, {}", level(Level::Critical), level(Level::High), level(Level::Warning)));
    let matched = || rules.rules.iter().filter(|rule| scanner.matched.contains_key(&*rule.id));
    let width = matched().map(|rule| rule.id.chars().count()).max().unwrap_or(0).min(ID_CHARS_MAX);
    for rule in matched() {
        if let Some(events) = scanner.matched.get(&*rule.id) {
            say(&format!("  {:<width$} {:>10} event(s)  {}", rule.id, HumanCount(*events), rule.title));
        }
    }
    let per_second = u128::from(counts.events) * 1000 / took.as_millis().max(1);
    say(&format!("  {per_second} events/s"));
    let gauges = scanner.gauges();
    if gauges.entries_evicted + gauges.principals_evicted > 0 {
        say(&format!(
            "  memory limits were reached: {} window entries and {} principals were let go, so slow attacks may be missed",
            gauges.entries_evicted, gauges.principals_evicted
        ));
    }
}

fn spoken(took: Duration) -> String {
    match took.as_secs() {
        0..60 => format!("{:.2} s", took.as_secs_f64()),
        secs => format!("{} min {} s", secs / 60, secs % 60),
    }
}
