//! Subcommands, and what the program says when one fails.

mod config;
mod demo;
mod normalize;
mod output;
mod rules;
mod scan;
mod serve;

use crate::config::ConfigProblems;
use crate::rulebook::RuleError;
use clap::{Parser, Subcommand};
use std::io::Write;
use std::process::ExitCode;

/// Findings at or above `--fail-level`.
pub(crate) const FINDINGS: u8 = 1;
/// A rule cannot be used.
pub(crate) const RULE_ERROR: u8 = 2;
/// The configuration cannot be used.
pub(crate) const CONFIG_ERROR: u8 = 3;
/// Nothing of the input could be read.
pub(crate) const NOTHING_READABLE: u8 = 4;

/// Watches who touches an organisation's secrets.
///
/// Exit codes: 0 done, 1 findings at or above --fail-level, 2 rule error, 3 configuration
/// error, 4 nothing readable.
#[derive(Debug, Parser)]
#[command(name = "keywatch", version, max_term_width = 100)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Try it: the real server on sample logs of all four providers, with an attack going on
    Demo(demo::Demo),
    /// Run the service: follow audit files, raise and deliver alerts, show the dashboard
    Serve(serve::Serve),
    /// Read audit files once and print the alerts they hold
    Scan(scan::Scan),
    /// Print audit files as normalised events, one JSON object per line
    Normalize(normalize::Normalize),
    /// List, check and test rules
    #[command(subcommand)]
    Rules(rules::Rules),
    /// Check the configuration
    #[command(subcommand)]
    Config(config::Config),
}

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Scan(scan) => scan.run(),
        Command::Normalize(normalize) => normalize.run(),
        Command::Rules(rules) => rules.run(),
        Command::Config(config) => config.run(),
    }
}

/// Prints an error with its causes, and gives the exit code its kind has.
pub(crate) fn report(error: &anyhow::Error) -> ExitCode {
    if is_closed_pipe(error) {
        return ExitCode::SUCCESS;
    }
    say(&format!("keywatch: {error:#}"));
    if error.is::<RuleError>() {
        ExitCode::from(RULE_ERROR)
    } else if error.is::<ConfigProblems>() {
        ExitCode::from(CONFIG_ERROR)
    } else {
        ExitCode::FAILURE
    }
}

/// The reader of our output went away (`keywatch scan … | head`): no error of ours.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let io = error.downcast_ref::<std::io::Error>();
    io.is_some_and(|io| io.kind() == std::io::ErrorKind::BrokenPipe)
}

/// A line for the person at the terminal, on standard error.
pub(crate) fn say(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}
