//! `keywatch config check`: the configuration itself, then what it refers to, asked and not
//! changed. No message is sent, nothing is written.

use super::super::files::Files;
use super::super::output::visible;
use super::super::{CONFIG_ERROR, say};
use crate::clock;
use crate::config::live::{LiveSource, Way};
use crate::config::{self, Config};
use crate::rulebook;
use clap::Args;
use keywatch_alerting::{Egress, Outbound, check_credentials, reach};
use keywatch_aws::lookup::Lookup;
use keywatch_aws::trail::TrailQueue;
use keywatch_azure::Container;
use keywatch_gcp::logging::Logging;
use keywatch_gcp::objects::Bucket;
use keywatch_gcp::pubsub::Subscription;
use keywatch_push::Storage;
use keywatch_store::History;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;

/// Free bytes below which a disk is called full: some days of a busy log with its indexes.
const FREE_BYTES_MIN: u64 = 256 << 20;

/// Report every mistake, with line, column and what to write instead; then ask whether every
/// source, receiver, secret and the database can be reached. Exits with 3 when anything is wrong.
#[derive(Debug, Args)]
pub(crate) struct Check {
    /// Configuration files or folders [default: keywatch.yaml]
    paths: Vec<PathBuf>,
    #[command(flatten)]
    files: Files,
    /// Look at the configuration alone: no file, secret, receiver or database it names
    #[arg(long)]
    no_environment: bool,
}

/// One line of the summary.
struct Finding {
    what: String,
    /// What is there, or what is wrong and the remedy.
    said: Result<String, String>,
}

impl Check {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let layers = self.files.layers(&self.paths);
        let names = layers.names().join(", ");
        if self.no_environment {
            let notices = config::check(&layers)?;
            for notice in &notices {
                say(notice);
            }
            say(&format!("{names}: no mistakes"));
            return Ok(ExitCode::SUCCESS);
        }
        let config = config::load(&layers)?;
        for notice in &config.notices {
            say(notice);
        }
        let runtime = tokio::runtime::Runtime::new()?;
        let findings = runtime.block_on(look(&config))?;
        print(&findings)?;
        let wrong = findings.iter().filter(|finding| finding.said.is_err()).count();
        if wrong > 0 {
            say(&format!("{names}: {wrong} problem(s)"));
            return Ok(ExitCode::from(CONFIG_ERROR));
        }
        say(&format!("{names}: no mistakes, and everything it names is there"));
        Ok(ExitCode::SUCCESS)
    }
}

/// Looks at everything the configuration names.
async fn look(config: &Config) -> anyhow::Result<Vec<Finding>> {
    let rules = rulebook::load(&config.supplied.rules)?;
    let lists = config.supplied.lists.len();
    let told = format!("{} rules, {lists} lists", rules.set.rules.len());
    for notice in rules.notices(&config.supplied.lists) {
        say(&visible(&notice));
    }
    let mut findings = vec![Finding { what: "rules".to_owned(), said: Ok(told) }];
    findings.push(Finding { what: "database".to_owned(), said: database(&config.database).await });
    findings.push(Finding { what: "disk".to_owned(), said: disk(&config.database) });
    for source in &config.sources {
        for path in &source.paths {
            findings.push(Finding { what: format!("source {}", source.name), said: readable(path) });
        }
    }
    for source in &config.live {
        let finding = |said| Finding { what: format!("source {}", source.name), said };
        if let Way::Push(settings) = &source.way {
            findings.push(finding(spool(&settings.storage)));
            findings.extend(settings.probe(clock::now()).into_iter().map(finding));
            continue;
        }
        findings.push(finding(probe(source, config).await));
    }
    findings.extend(secrets(config).await);
    findings.extend(receivers(config).await);
    Ok(findings)
}

async fn database(path: &Path) -> Result<String, String> {
    let shown = path.display();
    if !path.exists() {
        return Ok(format!("{shown} is not there yet; `keywatch serve` makes it"));
    }
    match History::open(path).await {
        Ok(_history) => Ok(format!("{shown} opens and has this version's schema")),
        Err(error) => Err(chain(&error)),
    }
}

/// An error with its causes.
fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text = format!("{text}: {error}");
        cause = error.source();
    }
    text
}

/// Whether the folder of the database can be written to and has room.
fn disk(database: &Path) -> Result<String, String> {
    let folder = database.parent().filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    room(folder, FREE_BYTES_MIN, "make room, the history grows by what is read")
}

/// Whether a spool can be written, and all of it finds room beside what it holds already.
fn spool(storage: &Storage) -> Result<String, String> {
    let holds = std::fs::read_dir(&storage.folder).map_or(0, |files| {
        files.flatten().filter_map(|file| file.metadata().ok()).map(|file| file.len()).sum()
    });
    // The folder is made at the start: what is there of its path must let it be.
    let there = storage.folder.ancestors().find(|folder| folder.as_os_str().is_empty() || folder.exists());
    let there = there.filter(|folder| !folder.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let needed = storage.bytes_max.saturating_sub(holds);
    let told = room(there, needed, "make room, lower `spool.size`, or move `spool.folder`")?;
    Ok(format!("spool of {} MiB, {} MiB in use: {told}", storage.bytes_max >> 20, holds >> 20))
}

/// Whether a folder can be written to and has so many bytes free.
fn room(folder: &Path, bytes_min: u64, remedy: &str) -> Result<String, String> {
    let shown = folder.display();
    let room = rustix::fs::statvfs(folder)
        .map_err(|error| format!("the folder {shown} cannot be looked at: {error}; create it"))?;
    rustix::fs::access(folder, rustix::fs::Access::WRITE_OK).map_err(|error| {
        format!("the folder {shown} cannot be written to: {error}; give it to the user Keywatch runs as")
    })?;
    let free = room.f_bavail.saturating_mul(room.f_frsize);
    let told = format!("{} MiB free in {shown}", free >> 20);
    if free < bytes_min {
        return Err(format!("{told}, and {} are needed; {remedy}", bytes_min >> 20));
    }
    Ok(told)
}

/// Whether a file or folder of a source can be read.
fn readable(path: &Path) -> Result<String, String> {
    let shown = path.display();
    let wrong = |error: std::io::Error| {
        let remedy = if error.kind() == std::io::ErrorKind::PermissionDenied {
            "let the user Keywatch runs as read it"
        } else {
            "create it, or correct the path"
        };
        format!("{shown} cannot be read: {error}; {remedy}")
    };
    if path.is_dir() {
        let entries = std::fs::read_dir(path).map_err(wrong)?.count();
        return Ok(format!("{shown}: a folder with {entries} entries"));
    }
    let bytes = std::fs::File::open(path).and_then(|file| file.metadata()).map_err(wrong)?.len();
    Ok(format!("{shown}: a file of {bytes} bytes"))
}

/// Whether a source that is asked over the network answers.
async fn probe(source: &LiveSource, config: &Config) -> Result<String, String> {
    let secrets = &config.secrets;
    match &source.way {
        Way::Trail(access, settings) => TrailQueue::probe(access, secrets, &settings.queue).await,
        Way::Logging(access, settings) => Logging::probe((access, secrets), settings, clock::now()).await,
        Way::PubSub(access, settings) => {
            Subscription::probe((access, secrets), settings.clone(), Arc::new(clock::now)).await
        }
        Way::Bucket(bucket, access, settings) => {
            keywatch_objects::probe(&Bucket::new(bucket, access, secrets), settings).await
        }
        Way::Blob(access, settings) => {
            keywatch_objects::probe(&Container::new(access, secrets), settings).await
        }
        Way::Kafka(access, settings) => keywatch_kafka::probe(access, secrets, &settings.topics).await,
        Way::Push(settings) => Ok(settings.way.told()),
        Way::Lookup(access, settings) => Lookup::probe(access, secrets, settings, clock::now()).await,
    }
}

/// Whether every secret that is named can be had. Its value goes nowhere.
async fn secrets(config: &Config) -> Vec<Finding> {
    let mut findings = Vec::new();
    for config::Named { key, reference, .. } in &config.named {
        let said = match config.secrets.get(reference).await {
            Ok(_value) => Ok(format!("{reference} is there ({key})")),
            Err(error) => Err(format!("{error} ({key})")),
        };
        findings.push(Finding { what: "secret".to_owned(), said });
    }
    findings
}

/// Whether every receiver can be reached: its name, the egress policy, the TLS handshake.
async fn receivers(config: &Config) -> Vec<Finding> {
    let outbound = Outbound { egress: Egress::new(config.egress.clone()), secrets: config.secrets.clone() };
    let mut findings = Vec::new();
    for receiver in &config.receivers {
        let wrong = check_credentials(std::slice::from_ref(receiver), &outbound).await;
        let said = match wrong.first() {
            Some(problem) => Err(problem.to_string()),
            None => reach(receiver, &outbound).await,
        };
        findings.push(Finding { what: format!("receiver {}", receiver.name), said });
    }
    findings
}

fn print(findings: &[Finding]) -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    let width = findings.iter().map(|finding| finding.what.chars().count()).max().unwrap_or(0);
    for Finding { what, said } in findings {
        let (state, text) = match said {
            Ok(text) => ("ok   ", text),
            Err(text) => ("WRONG", text),
        };
        writeln!(out, "{state}  {:<width$}  {}", visible(what), visible(text))?;
    }
    Ok(())
}
