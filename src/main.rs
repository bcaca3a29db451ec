//! The `keywatch` program: one executable, one file per subcommand under `cli/`.
//!
//! Everything that decides lives in the libraries; this crate wires them to files, clock,
//! terminal and network.

mod app;
mod backtest;
mod cli;
mod clock;
mod cloudwatch;
mod config;
mod crew;
mod demo;
mod doctor;
mod known;
mod logging;
mod metrics;
mod pipeline;
mod rulebook;
mod scanner;
mod watch;

use clap::Parser;
use std::process::ExitCode;

fn main() -> ExitCode {
    let arguments = match cli::Arguments::try_parse() {
        Ok(arguments) => arguments,
        Err(usage) => return cli::report_usage(&usage),
    };
    match cli::run(arguments) {
        Ok(code) => code,
        Err(error) => cli::report(&error),
    }
}
