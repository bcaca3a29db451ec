//! `keywatch config`: check the configuration.

use super::say;
use crate::config;
use clap::Subcommand;
use std::path::PathBuf;
use std::process::ExitCode;

/// Check the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Report every mistake, with line, column and what to write instead
    Check {
        /// The configuration file
        #[arg(long, short, default_value = "keywatch.yaml")]
        config: PathBuf,
    },
}

impl Config {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let Self::Check { config: path } = self;
        let config = config::load(&path)?;
        say(&format!(
            "{}: {} source(s), {} receiver(s), {} further rule path(s), no mistakes",
            path.display(),
            config.sources.len(),
            config.receivers.len(),
            config.rules.len()
        ));
        Ok(ExitCode::SUCCESS)
    }
}
