//! `keywatch secret`: fetch one secret, or see whether all of them can be had.
//!
//! A value is printed by `get` alone, on standard output alone, and to a terminal only when asked to.

use super::{CONFIG_ERROR, say};
use crate::cli::output::visible;
use crate::config::{self, Layers, Secrets};
use anyhow::Context;
use clap::Subcommand;
use keywatch_secrets::{Checked, SecretRef};
use std::io::{IsTerminal, Write};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Fetch one secret, or see whether all of them can be had.
#[derive(Debug, Subcommand)]
pub(crate) enum Secret {
    /// Print the value of one secret, and nothing else
    Get {
        /// The secret, such as env:NAME, file:/path or vault:secret/app#token
        #[arg(value_name = "REF")]
        reference: SecretRef,
        /// Print it to a terminal too, where it can be seen and stays in the scrollback
        #[arg(long)]
        reveal: bool,
        /// How the backends are reached: a configuration file [default: keywatch.yaml, if there is one]
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
    /// See whether secrets can be had, with what to do about those that cannot
    ///
    /// Exit codes: 0 all can be had, 3 some cannot.
    Check {
        /// Secrets to look for [default: every one the configuration names]
        #[arg(value_name = "REF")]
        references: Vec<SecretRef>,
        /// The configuration file [default: keywatch.yaml, if there is one]
        #[arg(long, short, value_name = "FILE")]
        config: Option<PathBuf>,
    },
}

impl Secret {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::Get { reference, reveal, config } => get(&reference, reveal, config.as_deref()),
            Self::Check { references, config } => check(references, config.as_deref()),
        }
    }
}

fn get(reference: &SecretRef, reveal: bool, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    if std::io::stdout().is_terminal() && !reveal {
        say("keywatch: a secret is not printed to a terminal; pipe it to where it belongs, or add --reveal");
        return Ok(ExitCode::from(CONFIG_ERROR));
    }
    let Secrets { manager, .. } = secrets(config)?;
    let fetched = runtime()?.block_on(manager.get(reference));
    manager.clear();
    let value = match fetched {
        Ok(value) => value,
        Err(error) => {
            say(&format!("keywatch: {}", visible(&error.to_string())));
            return Ok(ExitCode::from(CONFIG_ERROR));
        }
    };
    // No line end is added: whoever pipes it gets the value, byte for byte.
    let mut out = std::io::stdout().lock();
    out.write_all(value.expose().as_bytes()).and_then(|()| out.flush()).context("cannot print the secret")?;
    Ok(ExitCode::SUCCESS)
}

fn check(told: Vec<SecretRef>, config: Option<&Path>) -> anyhow::Result<ExitCode> {
    let Secrets { manager, named } = secrets(config)?;
    let mut references = told;
    if references.is_empty() {
        references = named.into_iter().map(|named| named.reference).collect();
        references.sort();
        references.dedup();
    }
    if references.is_empty() {
        say("the configuration names no secret");
        return Ok(ExitCode::SUCCESS);
    }
    let checked = runtime()?.block_on(manager.check_all(&references));
    manager.clear();
    let mut out = std::io::BufWriter::new(std::io::stdout().lock());
    table(&mut out, &checked)?;
    out.flush()?;
    let wrong = checked.iter().filter(|checked| checked.error.is_some()).count();
    say(&format!("{} secret(s), {wrong} cannot be had", checked.len()));
    Ok(if wrong == 0 { ExitCode::SUCCESS } else { ExitCode::from(CONFIG_ERROR) })
}

fn table(out: &mut impl Write, checked: &[Checked]) -> std::io::Result<()> {
    let names: Vec<String> = checked.iter().map(|one| visible(&one.reference.to_string())).collect();
    let width =
        names.iter().map(|name| name.chars().count()).chain(["REFERENCE".len()]).max().unwrap_or_default();
    writeln!(out, "{:<width$}  {:<11}  {:>8}", "REFERENCE", "STATE", "TOOK")?;
    for (Checked { took, error, .. }, name) in checked.iter().zip(names) {
        let state = error.as_ref().map_or("ok", |error| error.trouble.as_str());
        writeln!(out, "{name:<width$}  {state:<11}  {:>5} ms", took.as_millis())?;
        if let Some(error) = error {
            writeln!(out, "  problem: {}", visible(&error.detail))?;
            writeln!(out, "  remedy:  {}", visible(&error.remedy))?;
        }
    }
    Ok(())
}

/// What is told about secrets: in the file named, else in `keywatch.yaml`, else nothing.
fn secrets(config: Option<&Path>) -> anyhow::Result<Secrets> {
    let usual = Path::new("keywatch.yaml");
    let layers = match config {
        Some(path) => Layers::of_file(path),
        None if usual.exists() => Layers::of_file(usual),
        None => Layers::of_files(&[]),
    };
    Ok(config::load_secrets(&layers)?)
}

fn runtime() -> anyhow::Result<tokio::runtime::Runtime> {
    tokio::runtime::Runtime::new().context("cannot start the runtime")
}
