//! `keywatch config`: write a configuration, check it, and say what holds and what may stand in it.

mod check;
mod init;
mod show;

use super::files::Files;
use super::output::Format;
use crate::config;
use clap::Subcommand;
use std::io::Write;
use std::process::ExitCode;

/// Write, check and show the configuration.
#[derive(Debug, Subcommand)]
pub(crate) enum Config {
    /// Write a configuration to start from, with comments
    Init(init::Init),
    Check(check::Check),
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
            Self::Check(check) => check.run(),
            Self::Show { files, format } => show::run(&files.layers(&[]), Format::or_suitable(format)),
            Self::Schema => print(&format!("{:#}\n", config::schema())),
            Self::Reference => print(&config::reference()),
        }
    }
}

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
