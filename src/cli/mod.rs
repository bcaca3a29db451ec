//! Subcommands, and what the program says when one fails.

mod cloudwatch;
mod config;
mod demo;
mod doctor;
mod files;
mod given;
mod normalize;
mod output;
mod receiver;
mod rules;
mod scan;
mod secret;
mod serve;

use crate::config::ConfigProblems;
use crate::rulebook::RuleError;
use clap::{Parser, Subcommand};
use keywatch_secrets::SecretErrors;
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

/// A command line that asks for nothing that can be done.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub(crate) struct UsageError(pub(crate) String);

/// Anything else: a full disk, a lost database.
pub(crate) const OTHER_ERROR: u8 = 5;

/// Watches who touches an organisation's secrets.
///
/// Exit codes: 0 done, 1 findings at or above --fail-level, 2 rule error, 3 configuration or
/// usage error, 4 nothing readable, 5 any other error.
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
    /// List receivers and try them out
    #[command(subcommand)]
    Receiver(receiver::Receiver),
    /// Check the configuration
    #[command(subcommand)]
    Config(config::Config),
    /// Name what the sources cannot see, with the command that mends it
    Doctor(doctor::Doctor),
    /// Make, compare or remove the CloudWatch alarm
    #[command(subcommand)]
    Cloudwatch(cloudwatch::CloudWatch),
    /// Fetch one secret, or see whether all of them can be had
    #[command(subcommand)]
    Secret(secret::Secret),
}

/// Runs one command.
pub(crate) fn run(arguments: Arguments) -> anyhow::Result<ExitCode> {
    match arguments.command {
        Command::Demo(demo) => demo.run(),
        Command::Serve(serve) => serve.run(),
        Command::Scan(scan) => scan.run(),
        Command::Normalize(normalize) => normalize.run(),
        Command::Rules(rules) => rules.run(),
        Command::Receiver(receiver) => receiver.run(),
        Command::Config(config) => config.run(),
        Command::Doctor(doctor) => doctor.run(),
        Command::Cloudwatch(cloudwatch) => cloudwatch.run(),
        Command::Secret(secret) => secret.run(),
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
    } else if error.is::<ConfigProblems>() || error.is::<SecretErrors>() || error.is::<UsageError>() {
        ExitCode::from(CONFIG_ERROR)
    } else {
        ExitCode::from(OTHER_ERROR)
    }
}

/// Prints help or what is wrong with the command line.
pub(crate) fn report_usage(usage: &clap::Error) -> ExitCode {
    let _closed = usage.print();
    if usage.use_stderr() { ExitCode::from(CONFIG_ERROR) } else { ExitCode::SUCCESS }
}

/// The reader of our output went away (`keywatch scan … | head`): no error of ours.
fn is_closed_pipe(error: &anyhow::Error) -> bool {
    let closed = std::io::ErrorKind::BrokenPipe;
    let json = error.downcast_ref::<serde_json::Error>().and_then(serde_json::Error::io_error_kind);
    let io = error.downcast_ref::<std::io::Error>().map(std::io::Error::kind);
    json == Some(closed) || io == Some(closed)
}

/// A line for the person at the terminal, on standard error.
pub(crate) fn say(line: &str) {
    let _closed = writeln!(std::io::stderr().lock(), "{line}");
}
