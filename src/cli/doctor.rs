//! `keywatch doctor`: what the sources of a configuration cannot see, and what mends it.

mod report;

use super::files::Files;
use super::{FINDINGS, say};
use crate::{config, doctor, rulebook};
use clap::Args;
use std::path::PathBuf;
use std::process::ExitCode;

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
        let runtime = tokio::runtime::Runtime::new()?;
        let checkups = runtime.block_on(doctor::examine(&config, &book.set));
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
