//! `keywatch config`: write a configuration, check it, and say what holds and what may stand in it.

mod init;
mod show;

use super::files::Files;
use super::output::Format;
use super::say;
use crate::{config, rulebook};
use clap::Subcommand;
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// Write, check and show the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Write a configuration to start from, with comments
    Init(init::Init),
    /// Report every mistake, with line, column and what to write instead
    Check {
        /// Configuration files or folders [default: keywatch.yaml]
        paths: Vec<PathBuf>,
        #[command(flatten)]
        files: Files,
    },
    /// Print every value that holds and where it was written; secrets are not shown
    Show {
        #[command(flatten)]
        files: Files,
        /// Output: a table on a terminal, ndjson otherwise
        #[arg(long, value_enum)]
        format: Option<Format>,
    },
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the reference of the configuration, in Markdown
    Reference,
}

impl Config {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Init(init) => init.run(),
            Self::Check { paths, files } => check(&files, &paths),
            Self::Show { files, format } => show::run(&files.layers(&[]), Format::or_suitable(format)),
            Self::Schema => print(&format!("{:#}\n", config::schema())),
            Self::Reference => print(&config::reference()),
        }
    }
}

fn check(files: &Files, paths: &[PathBuf]) -> anyhow::Result<ExitCode> {
    let layers = files.layers(paths);
    let config = config::load(&layers)?;
    for notice in &config.notices {
        say(notice);
    }
    let rules = rulebook::load(&config.supplied.rules)?;
    say(&format!(
        "{}: {} source(s), {} receiver(s), {} rule(s), {} list(s), no mistakes",
        layers.names().join(", "),
        config.sources.len(),
        config.receivers.len(),
        rules.set.rules.len(),
        config.supplied.lists.len()
    ));
    Ok(ExitCode::SUCCESS)
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
