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

/// Rules keep and give back very many small things of every age. The C library's allocator loses itself in
/// the gaps they leave: the same flood of events takes it three times the processor time, and ever more memory
/// (`rules/tests/flood.rs`).
#[global_allocator]
static ALLOCATOR: mimalloc::MiMalloc = mimalloc::MiMalloc;

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
