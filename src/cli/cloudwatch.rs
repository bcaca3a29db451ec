//! `keywatch cloudwatch`: the alarm over the published metrics.

use super::{FINDINGS, say};
use crate::cloudwatch::{alarm, settings};
use crate::config;
use crate::config::Layers;
use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use keywatch_cloudwatch::Client;
use keywatch_cloudwatch::alarm::{Difference, Done};
use std::path::PathBuf;
use std::process::ExitCode;

/// Make, compare or remove the alarm that `cloudwatch.alarm` describes.
#[derive(Debug, Subcommand)]
pub(crate) enum CloudWatch {
    /// Make the alarm, or change it to what the configuration says
    Apply(Configured),
    /// Show how the alarm differs from the configuration; exit code 1 when it does
    Diff(Configured),
    /// Remove the alarm; one that Keywatch did not make is left alone
    Remove(Configured),
}

/// Where the alarm is described.
#[derive(Debug, Args)]
pub(crate) struct Configured {
    /// The configuration file
    #[arg(long, short, default_value = "keywatch.yaml")]
    config: PathBuf,
}

impl CloudWatch {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let (Self::Apply(given) | Self::Diff(given) | Self::Remove(given)) = &self;
        let section = config::cloudwatch(&Layers::of_file(&given.config))?;
        let Some((section, wanted)) = section.and_then(|it| alarm(&it).map(|alarm| (it, alarm))) else {
            bail!("{} describes no alarm; add `cloudwatch: {{alarm: {{topic: …}}}}`", given.config.display());
        };
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let client = Client::new(&settings(&section)).await;
            match self {
                Self::Apply(_) => say(&told(&wanted.name, client.apply(&wanted).await?)),
                Self::Remove(_) => say(&told(&wanted.name, client.remove(&wanted.name).await?)),
                Self::Diff(_) => return Ok(differs(&wanted.name, client.difference(&wanted).await?)),
            }
            Ok(ExitCode::SUCCESS)
        })
    }
}

fn told(name: &str, done: Done) -> String {
    let word = match done {
        Done::Created => "was made",
        Done::Updated => "was changed to what the configuration says",
        Done::Unchanged => "is as the configuration says; nothing was changed",
        Done::Removed => "was removed",
        Done::Absent => "does not exist; nothing was changed",
    };
    format!("the alarm {name} {word}")
}

fn differs(name: &str, difference: Option<Difference>) -> ExitCode {
    match difference {
        None => {
            say(&told(name, Done::Unchanged));
            return ExitCode::SUCCESS;
        }
        Some(Difference::Missing) => say(&format!("the alarm {name} does not exist")),
        Some(Difference::Settings(settings)) => {
            say(&format!("the alarm {name} differs:"));
            for (setting, is, shall) in settings {
                say(&format!("  {setting}: is {is}, shall be {shall}"));
            }
        }
    }
    ExitCode::from(FINDINGS)
}
