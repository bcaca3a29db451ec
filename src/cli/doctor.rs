//! `keywatch doctor`: what the sources of a configuration cannot see, and what mends it.

mod report;

use super::files::Files;
use super::output::visible;
use super::{FINDINGS, say};
use crate::{config, doctor, rulebook};
use clap::Args;
use doctor::Step;
use indicatif::{ProgressBar, ProgressDrawTarget, ProgressStyle};
use std::cell::RefCell;
use std::collections::BTreeSet;
use std::path::PathBuf;
use std::process::ExitCode;
use std::time::Duration;

/// Ask providers, read-only, how they log what the sources bring, and name every blind spot: what
/// cannot be seen, why, the command that mends it, and the rules that are blind because of it.
///
/// Nothing is changed and nothing is stored. Exits with 1 when there are blind spots.
#[derive(Debug, Args)]
pub(crate) struct Doctor {
    /// Configuration files or folders [default: keywatch.yaml]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
    /// One JSON object instead of text
    #[arg(long)]
    json: bool,
    /// Exit with 1 as well when something could not be asked
    #[arg(long)]
    strict: bool,
}

impl Doctor {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let layers = self.files.layers(&self.paths);
        let config = config::load(&layers)?;
        for notice in &config.notices {
            say(notice);
        }
        let book = rulebook::load(&config.supplied.rules)?.told(&config.supplied.surroundings());
        for notice in book.notices(&config.supplied.lists) {
            say(&visible(&notice));
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let progress = Progress::new();
        let told = |step: Step<'_>| progress.hear(step);
        let checkups = runtime.block_on(doctor::examine(&config, &book.set, &told));
        progress.bar.finish_and_clear();
        let report = report::Report::of(&checkups, &book.set);
        if self.json {
            report.print_json()?;
        } else {
            report.print()?;
        }
        let is_ill = report.blind_spots > 0 || (self.strict && report.unknown > 0);
        Ok(if is_ill { ExitCode::from(FINDINGS) } else { ExitCode::SUCCESS })
    }
}

/// How far the questions are, on standard error while that is a terminal.
struct Progress {
    bar: ProgressBar,
    /// The sources that are being asked about.
    asking: RefCell<BTreeSet<String>>,
}

impl Progress {
    fn new() -> Self {
        let bar = ProgressBar::with_draw_target(None, ProgressDrawTarget::stderr_with_hz(5));
        if let Ok(style) = ProgressStyle::with_template("{pos} of {len} sources asked, {elapsed}: {wide_msg}")
        {
            bar.set_style(style);
        }
        Self { bar, asking: RefCell::default() }
    }

    fn hear(&self, step: Step<'_>) {
        let mut asking = self.asking.borrow_mut();
        match step {
            Step::Begun(sources) => {
                self.bar.set_length(sources as u64);
                self.bar.enable_steady_tick(Duration::from_millis(200));
            }
            Step::Asking(name) => {
                asking.insert(visible(name));
            }
            Step::Done(name) => {
                asking.remove(&visible(name));
                self.bar.inc(1);
            }
        }
        let names: Vec<&str> = asking.iter().map(String::as_str).collect();
        self.bar.set_message(names.join(", "));
    }
}
