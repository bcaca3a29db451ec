//! `keywatch demo`: the real service on sample logs, with an attack going on.

mod receiver;

use super::say;
use crate::config::section::{Doctor, Log, LogFormat};
use crate::config::{Config, FileSource, Supplied};
use crate::{app, clock, demo, logging};
use anyhow::Context;
use clap::Args;
use ipnet::IpNet;
use keywatch_alerting::EgressPolicy;
use keywatch_alerting::policy::Policy;
use receiver::DemoReceiver;
use std::collections::HashMap;
use std::fs::{self, OpenOptions};
use std::io::Write;
use std::net::{IpAddr, SocketAddr};
use std::path::Path;
use std::process::ExitCode;

/// Try it: the real server on sample logs of all four providers, with an attack going on.
///
/// Everything lives in a temporary folder that is removed at the end. Nothing leaves this machine.
#[derive(Debug, Args)]
pub(crate) struct Demo {
    /// Where the dashboard listens
    #[arg(long, default_value = "127.0.0.1:8420")]
    listen: SocketAddr,
    /// Keep the sample logs and the database here instead of a temporary folder
    #[arg(long, value_name = "FOLDER")]
    keep: Option<std::path::PathBuf>,
}

impl Demo {
    pub(crate) fn run(self) -> anyhow::Result<ExitCode> {
        let log = Log { format: LogFormat::Text, level: "error".to_owned() };
        logging::start(&log);
        let temporary = tempfile::Builder::new()
            .prefix("keywatch-demo-")
            .tempdir()
            .context("cannot make a temporary folder")?;
        let folder = self.keep.as_deref().unwrap_or(temporary.path());
        let logs = folder.join("logs");
        let now = clock::now();
        for file in demo::history(now) {
            deliver(&logs, &file.path, &file.bytes)?;
        }
        let mut config = Config {
            layers: None,
            database: folder.join("keywatch.db"),
            listen: self.listen,
            hosts: Vec::new(),
            https: false,
            supplied: Supplied::default(),
            sources: vec![FileSource { name: "sample logs".to_owned(), paths: vec![logs.clone()] }],
            live: Vec::new(),
            patience: HashMap::new(),
            receivers: Vec::new(),
            policy: Policy::default(),
            egress: EgressPolicy { allow: vec![IpNet::from(IpAddr::from([127, 0, 0, 1]))], allow_http: true },
            metrics_listen: None,
            log,
            cloudwatch: None,
            doctor: Doctor::nobody(),
            secrets: crate::config::secret_manager(),
            named: Vec::new(),
            notices: Vec::new(),
        };
        let runtime = tokio::runtime::Runtime::new().context("cannot start the runtime")?;
        runtime.block_on(async {
            let stop = app::ended_by_signal()?;
            let mut tasks = tokio::task::JoinSet::new();
            let receiver = DemoReceiver::bind().await?;
            config.receivers.push(receiver.receiver.clone());
            config.secrets = receiver.secrets();
            tasks.spawn(receiver.serve());
            // On the stack it is some 16 kB.
            Box::pin(app::run(config, stop, |running| {
                say(&format!("Keywatch demo: two weeks of sample logs in {}", logs.display()));
                say(&format!("Open this, once, within 15 minutes:\n\n  {}\n", running.login_link));
                say("An attack on the sample company begins now and takes about 15 seconds. Ctrl-C ends the demo.");
                tasks.spawn(attack(logs.clone()));
            }))
            .await
        })?;
        Ok(ExitCode::SUCCESS)
    }
}

/// Writes the attack as it would arrive.
async fn attack(logs: std::path::PathBuf) {
    let started = tokio::time::Instant::now();
    for chunk in demo::attack(clock::now()) {
        tokio::time::sleep_until(started + chunk.after).await;
        if let Err(error) = deliver(&logs, &chunk.path, &chunk.bytes) {
            say(&format!("keywatch: the sample attack stops: {error:#}"));
            return;
        }
    }
}

/// Delivers bytes as a provider does: a new object appears whole, a log grows.
fn deliver(logs: &Path, name: &str, bytes: &[u8]) -> anyhow::Result<()> {
    let path = logs.join(name);
    let failed = || format!("cannot write the sample log {}", path.display());
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent).with_context(failed)?;
    }
    if path.exists() {
        let mut file = OpenOptions::new().append(true).open(&path).with_context(failed)?;
        return file.write_all(bytes).with_context(failed);
    }
    let mut file = tempfile::NamedTempFile::new_in(logs.parent().unwrap_or(logs)).with_context(failed)?;
    file.write_all(bytes).with_context(failed)?;
    file.persist(&path).with_context(failed)?;
    Ok(())
}
