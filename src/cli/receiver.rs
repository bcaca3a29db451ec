//! `keywatch receiver`: who is told, and whether it works.
//!
//! What is shown holds no credential: references are named, values are replaced by a mark.

use super::output::{Format, visible};
use super::say;
use crate::clock::SystemClock;
use crate::config::{self, Config, Layers};
use anyhow::Context;
use clap::{Args, Subcommand};
use keywatch_alerting::{
    Egress, OsRandom, Outbound, Receiver as Target, Shown, TestReport, Verdict, send_test,
};
use serde_json::{Value, json};
use std::io::Write;
use std::path::PathBuf;
use std::process::ExitCode;

/// List receivers and try them out
#[derive(Debug, Subcommand)]
pub(crate) enum Receiver {
    /// Print who is told about alerts, and with which credentials
    List(List),
    /// Send a test message to one receiver and show request, answer and latency
    ///
    /// Exit codes: 0 the receiver took it, 3 the configuration cannot be used, 5 it was not taken.
    Test(Test),
}

/// Where the configuration is, and how to print.
#[derive(Debug, Args)]
pub(crate) struct List {
    /// The configuration file or folder; may be given several times
    #[arg(long, short, default_value = "keywatch.yaml")]
    config: Vec<PathBuf>,
    /// How to print [default: table on a terminal, ndjson otherwise]
    #[arg(long, value_enum)]
    format: Option<Format>,
}

/// Which receiver.
#[derive(Debug, Args)]
pub(crate) struct Test {
    /// The receiver's name
    name: String,
    #[command(flatten)]
    given: List,
}

impl Receiver {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        match self {
            Self::List(list) => list.run(),
            Self::Test(test) => test.run(),
        }
    }
}

impl List {
    fn read(&self) -> anyhow::Result<Config> {
        Ok(config::load(&Layers::of_files(&self.config))?)
    }

    fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.read()?;
        let rows: Vec<Value> = config.receivers.iter().map(row).collect();
        let mut out = std::io::stdout().lock();
        match Format::or_suitable(self.format) {
            Format::Json => writeln!(out, "{:#}", Value::from(rows))?,
            Format::Ndjson => rows.iter().try_for_each(|row| writeln!(out, "{row}"))?,
            Format::Table => {
                for receiver in &config.receivers {
                    let (kind, level) = (receiver.kind.as_str(), receiver.level_min.as_str());
                    writeln!(
                        out,
                        "{:<20} {kind:<13} {level:<9} {}",
                        receiver.name,
                        visible(&receiver.target())
                    )?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn row(receiver: &Target) -> Value {
    json!({
        "name": receiver.name,
        "kind": receiver.kind.as_str(),
        "level": receiver.level_min.as_str(),
        "target": receiver.target(),
        "concurrency": receiver.concurrency,
        "rate_per_minute": receiver.rate_per_minute,
        "credentials": receiver.credentials().iter().map(ToString::to_string).collect::<Vec<_>>(),
    })
}

impl Test {
    fn run(self) -> anyhow::Result<ExitCode> {
        let config = self.given.read()?;
        let Some(receiver) = config.receivers.iter().find(|receiver| receiver.name == self.name) else {
            let known: Vec<&str> = config.receivers.iter().map(|receiver| receiver.name.as_str()).collect();
            say(&format!(
                "keywatch: no receiver is called `{}`; there are: {}",
                visible(&self.name),
                known.join(", ")
            ));
            return Ok(ExitCode::from(super::CONFIG_ERROR));
        };
        let outbound =
            Outbound { egress: Egress::new(config.egress.clone()), secrets: config.secrets.clone() };
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        match runtime.block_on(send_test(receiver, &outbound, &SystemClock, &OsRandom)) {
            Ok(report) => shown(&report, Format::or_suitable(self.given.format)),
            Err(problems) => {
                let lines: Vec<String> =
                    problems.iter().map(|problem| format!("keywatch: {problem}")).collect();
                say(&lines.join("\n"));
                Ok(ExitCode::from(super::CONFIG_ERROR))
            }
        }
    }
}

fn shown(report: &TestReport, format: Format) -> anyhow::Result<ExitCode> {
    let mut out = std::io::stdout().lock();
    match format {
        Format::Table => table(&mut out, report)?,
        Format::Json => writeln!(out, "{:#}", document(report))?,
        Format::Ndjson => writeln!(out, "{}", document(report))?,
    }
    let taken = report.reply.verdict == Verdict::Delivered;
    Ok(if taken { ExitCode::SUCCESS } else { ExitCode::from(super::OTHER_ERROR) })
}

fn table(out: &mut impl Write, report: &TestReport) -> std::io::Result<()> {
    for Shown { target, headers, body } in &report.sent {
        writeln!(out, "> {}", visible(target))?;
        for (name, value) in headers {
            writeln!(out, "> {}: {}", visible(name), visible(value))?;
        }
        writeln!(out, ">")?;
        for line in body.lines() {
            writeln!(out, "> {}", visible(line))?;
        }
    }
    let reply = &report.reply;
    let status = reply.status.map_or_else(|| "no answer".to_owned(), |status| format!("answered {status}"));
    writeln!(out, "< {status} after {} ms", reply.latency.as_millis())?;
    if let Some(excerpt) = &reply.excerpt {
        writeln!(out, "< {}", visible(excerpt))?;
    }
    match &reply.error {
        None => writeln!(out, "delivered"),
        Some(error) => writeln!(out, "not delivered: {}", visible(error)),
    }
}

fn document(report: &TestReport) -> Value {
    let sent = report.sent.iter().map(|shown| {
        let headers: Vec<Value> =
            shown.headers.iter().map(|(name, value)| json!({"name": name, "value": value})).collect();
        json!({"target": shown.target, "headers": headers, "body": shown.body})
    });
    let reply = &report.reply;
    json!({
        "message_id": report.message_id,
        "sent": sent.collect::<Vec<_>>(),
        "delivered": reply.verdict == Verdict::Delivered,
        "status": reply.status,
        "latency_ms": u64::try_from(reply.latency.as_millis()).unwrap_or(u64::MAX),
        "answer": reply.excerpt,
        "error": reply.error,
    })
}
