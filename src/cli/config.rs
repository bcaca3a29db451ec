//! `keywatch config`: check the configuration.

use super::say;
use crate::{config, rulebook};
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Report every mistake, with line, column and what to write instead
    Check {
        /// The configuration file [default: keywatch.yaml]
        file: Option<PathBuf>,
        /// The same, as the other commands take it
        #[arg(long, short, conflicts_with = "file")]
        config: Option<PathBuf>,
    },
}

impl Config {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Check { file, config: named } = self;
        let path = file.or(named).unwrap_or_else(|| PathBuf::from("keywatch.yaml"));
        let config = config::load(&path)?;
        let rules = rulebook::load(&config.supplied.rules)?;
        say(&format!(
            "{}: {} source(s), {} receiver(s), {} rule(s), {} list(s), no mistakes",
            path.display(),
            config.sources.len(),
            config.receivers.len(),
            rules.set.rules.len(),
            config.supplied.lists.len()
        ));
        Ok(ExitCode::SUCCESS)
    }
}
