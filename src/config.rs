//! The configuration: strict, and every mistake named at once with line, column and remedy.
//!
//! Three steps, each in its own place: files, variables and flags become one tree (`layers`); the
//! tree becomes sections that say what was written (`section`, built from `frame`); and [`Config`]
//! is what that means, with lists at hand and secrets still references. A flag beats a variable, which beats the
//! files, which beat the defaults.

mod describe;
mod edited;
pub(crate) mod frame;
#[cfg(test)]
mod hostile;
mod layers;
mod lists;
pub(crate) mod live;
mod policy;
mod receivers;
mod references;
pub(crate) mod section;
mod supplied;
#[cfg(test)]
pub(crate) mod testing;

pub(crate) use describe::{Shown, reference, schema};
pub(crate) use edited::{EditedReceiver, filled_in, settings_of};
pub(crate) use layers::{Layers, Reading, environment};
pub(crate) use lists::Lists;
pub(crate) use supplied::Supplied;

use crate::watch::Patience;
use frame::{At, Problems};
use keywatch_alerting::policy::Policy;
use keywatch_alerting::{EgressPolicy, Receiver};
use keywatch_rules::Problem;
use keywatch_secrets::{SecretManager, SecretRef, Settings};
pub(crate) use references::Named;
use section::{CloudWatch, Doctor, Log, Root};
use std::collections::{BTreeSet, HashMap};
use std::net::SocketAddr;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

/// What a configuration means.
#[derive(Clone, Debug)]
pub(crate) struct Config {
    /// What it was read from, to be read again; `None` for what was made without files.
    pub(crate) layers: Option<Layers>,
    pub(crate) database: PathBuf,
    pub(crate) listen: SocketAddr,
    /// Host names the dashboard answers to besides loopback.
    pub(crate) hosts: Vec<String>,
    /// Whether people reach the dashboard over HTTPS, through a proxy.
    pub(crate) https: bool,
    /// What rules run with; all that is read again on SIGHUP.
    pub(crate) supplied: Supplied,
    pub(crate) sources: Vec<FileSource>,
    /// Sources that are asked over the network.
    pub(crate) live: Vec<live::LiveSource>,
    /// How patient the watch over sources is, by their names.
    pub(crate) patience: HashMap<String, Patience>,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) egress: EgressPolicy,
    /// Where figures are read besides the dashboard's address.
    pub(crate) metrics_listen: Option<SocketAddr>,
    pub(crate) log: Log,
    pub(crate) cloudwatch: Option<CloudWatch>,
    /// Whom `keywatch doctor` asks.
    pub(crate) doctor: Doctor,
    /// Who is told of what, when.
    pub(crate) policy: Policy,
    /// Resolves the references in all the others.
    pub(crate) secrets: SecretManager,
    /// Every reference to a secret.
    pub(crate) named: Vec<Named>,
    /// What is no mistake but looks like one.
    pub(crate) notices: Vec<String>,
}

/// Audit files to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSource {
    pub(crate) name: String,
    pub(crate) paths: Vec<PathBuf>,
}

/// Everything wrong with a configuration.
#[derive(Debug, thiserror::Error)]
#[error("{}", listed(.0))]
pub(crate) struct ConfigProblems(pub(crate) Vec<Problem>);

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("the configuration cannot be used\n{}\n{} problem(s)", lines.join("\n"), problems.len())
}

/// Reads and checks a configuration.
pub(crate) fn load(layers: &Layers) -> Result<Config, ConfigProblems> {
    let problems = Problems::default();
    let config = layers.reading(&problems).map(|reading| Config {
        layers: Some(layers.clone()),
        notices: reading.notices,
        named: references::references(&reading.tree),
        ..Config::collect(&reading.root, &problems)
    });
    finished(config, problems)
}

/// What rules run with, and the database: for commands that need no more, and must not fail
/// because somebody else's secret cannot be read.
pub(crate) fn load_supplied(layers: &Layers) -> Result<(Supplied, PathBuf), ConfigProblems> {
    let problems = Problems::default();
    let reading = layers.reading(&problems);
    let supplied = reading.map(|Reading { root, .. }| (Supplied::collect(&root, &problems), root.database));
    finished(supplied, problems)
}

/// What goes to CloudWatch, for the command that needs no more.
pub(crate) fn cloudwatch(layers: &Layers) -> Result<Option<CloudWatch>, ConfigProblems> {
    let problems = Problems::default();
    let section = layers.reading(&problems).map(|reading| reading.root.cloudwatch);
    finished(section, problems)
}

/// Resolves references to secrets with what this machine has, when there is no configuration.
pub(crate) fn secret_manager() -> SecretManager {
    SecretManager::new(Settings::new(Arc::new(environment)))
}

/// What a configuration says about secrets.
#[derive(Debug)]
pub(crate) struct Secrets {
    /// Resolves references.
    pub(crate) manager: SecretManager,
    /// Every reference in the configuration.
    pub(crate) named: Vec<Named>,
}

/// What a configuration says about secrets: for commands that look at nothing else.
pub(crate) fn load_secrets(layers: &Layers) -> Result<Secrets, ConfigProblems> {
    let problems = Problems::default();
    let secrets = layers.reading(&problems).map(|Reading { root, tree, .. }| Secrets {
        manager: SecretManager::new(root.secret_manager.settings(Arc::new(environment))),
        named: references::references(&tree),
    });
    finished(secrets, problems)
}

/// Checks a configuration without looking at anything it refers to; what is no mistake but looks
/// like one.
///
/// # Errors
/// Every mistake.
pub(crate) fn check(layers: &Layers) -> Result<Vec<String>, ConfigProblems> {
    let problems = Problems::default();
    let notices = layers.reading(&problems).map(|Reading { root, notices, .. }| {
        let receivers: Vec<Receiver> = root.receivers.iter().filter_map(receivers::receiver).collect();
        check_receivers(&root, &receivers, &problems);
        notices
    });
    finished(notices, problems)
}

/// Every value that holds with the place it was written at, and notices.
///
/// # Errors
/// Every mistake.
pub(crate) fn values(layers: &Layers) -> Result<(Vec<Shown>, Vec<String>), ConfigProblems> {
    let problems = Problems::default();
    let reading = layers.reading(&problems);
    finished(reading.map(|reading| (describe::show(&reading.tree), reading.notices)), problems)
}

/// The result, unless there are problems.
fn finished<T>(result: Option<T>, problems: Problems) -> Result<T, ConfigProblems> {
    let found = problems.into_sorted();
    match result {
        Some(result) if found.is_empty() => Ok(result),
        _ => Err(ConfigProblems(found)),
    }
}

impl Config {
    /// What the sections mean, with the files they refer to.
    pub(crate) fn collect(root: &Root, problems: &Problems) -> Self {
        let receivers: Vec<Receiver> = root.receivers.iter().filter_map(receivers::receiver).collect();
        check_receivers(root, &receivers, problems);
        Self {
            layers: None,
            database: root.database.clone(),
            listen: root.listen,
            hosts: root.hosts.clone(),
            https: root.https,
            supplied: Supplied::collect(root, problems),
            sources: root.sources.iter().filter_map(FileSource::of).collect(),
            live: root
                .sources
                .iter()
                .filter_map(|source| live::LiveSource::of(source, &root.database))
                .collect(),
            patience: root.sources.iter().map(patience).collect(),
            policy: policy::policy(root, &receivers),
            receivers,
            egress: (&root.egress).into(),
            metrics_listen: root.metrics.listen,
            log: root.log.clone(),
            cloudwatch: root.cloudwatch.clone(),
            doctor: root.doctor.clone(),
            secrets: SecretManager::new(root.secret_manager.settings(Arc::new(environment))),
            named: Vec::new(),
            notices: Vec::new(),
        }
    }
}

impl Config {
    /// Every secret that is needed to run, each once: not what only `keywatch doctor` shows.
    pub(crate) fn secrets_needed(&self) -> Vec<SecretRef> {
        let needed = self.named.iter().filter(|named| !named.key.starts_with("doctor."));
        let needed: BTreeSet<_> = needed.map(|named| named.reference.clone()).collect();
        needed.into_iter().collect()
    }
}

/// What the delivery code itself finds wrong with a receiver, at the receiver's place.
fn check_receivers(root: &Root, receivers: &[Receiver], problems: &Problems) {
    use keywatch_alerting::Fault;
    for problem in keywatch_alerting::validate(receivers, &(&root.egress).into()) {
        if matches!(problem.fault, Fault::Secrets(0) | Fault::NameTwice) {
            continue;
        }
        let is_meant = |receiver: &&At<section::Receiver>| receiver.value.name.value == problem.receiver;
        if let Some(receiver) = root.receivers.iter().find(is_meant) {
            problems.add(&receiver.origin, problem.to_string(), "");
        }
    }
}

fn patience(source: &section::Source) -> (String, Patience) {
    let secs = |time: Duration| i64::try_from(time.as_secs()).unwrap_or(i64::MAX);
    let patience = Patience { silent_secs: secs(source.silent_after), late_secs: secs(source.late_after) };
    (source.name.value.clone(), patience)
}

impl FileSource {
    /// What a section means; `None` for a source that is no files.
    fn of(source: &section::Source) -> Option<Self> {
        let paths = source.files.as_ref()?.iter().map(|file| file.value.clone()).collect();
        Some(Self { name: source.name.value.clone(), paths })
    }
}

#[cfg(test)]
mod tests {
    use super::testing::problems;

    #[test]
    fn an_empty_file_is_a_configuration() {
        assert_eq!(problems(""), Vec::<String>::new());
        assert_eq!(problems("# nothing yet\n"), Vec::<String>::new());
    }

    #[test]
    fn three_mistakes_are_three_problems_with_place_and_remedy() {
        let found = problems(
            "lisen: 127.0.0.1:1\nknown_networks: [office]\nsources:\n  - name: vault\n    file: /var/log/vault.log\n",
        );
        assert_eq!(
            found,
            [
                "c.yaml:1:1: unknown key `lisen`; did you mean `listen`?",
                "c.yaml:2:18: `office` is no network; write it as 198.51.100.0/24 or 2001:db8::/32",
                "c.yaml:4:5: says of no kind what it is; write one of files, aws_queue, aws_lookup, gcp_logging, gcp_pubsub, gcp_objects, kafka, event_hubs, azure_blob, vault, http",
                "c.yaml:5:5: unknown key `file`; did you mean `files`?",
            ]
        );
    }

    #[test]
    fn a_secret_is_named_never_written() {
        let file = |secret: &str| {
            format!(
                "receivers:\n  - name: soc\n    webhook:\n      url: https://hooks.example.com/k\n      secret: {secret}\n"
            )
        };
        assert_eq!(problems(&file("{source: env, path: SOC_SECRET}")), Vec::<String>::new());
        let found = problems(&file("whsec_hunter2"));
        assert!(found.iter().any(|problem| problem.contains(":5:15: `secret` is no reference")), "{found:?}");
        assert!(!found.concat().contains("hunter2"), "{found:?}");
    }
}
