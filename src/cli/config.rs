//! `keywatch config`: check the configuration, and say what may stand in it.

use super::say;
use crate::config::Layers;
use crate::{config, rulebook};
use clap::Subcommand;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Check the configuration, and say what may stand in it.
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
    /// Print the JSON Schema of the configuration, for editors
    Schema,
    /// Print the reference of the configuration, in Markdown
    Reference,
}

impl Config {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Check { file, config } => {
                check(&file.or(config).unwrap_or_else(|| PathBuf::from("keywatch.yaml")))
            }
            Self::Schema => print(&format!("{:#}\n", config::schema())),
            Self::Reference => print(&config::reference()),
        }
    }
}

fn check(path: &Path) -> anyhow::Result<ExitCode> {
    let config = config::load(&Layers::of_file(path))?;
    config.notices.iter().for_each(|notice| say(notice));
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

fn print(text: &str) -> anyhow::Result<ExitCode> {
    std::io::stdout().lock().write_all(text.as_bytes())?;
    Ok(ExitCode::SUCCESS)
}
