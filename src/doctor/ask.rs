//! Asks about every source, some at the same time, and changes nothing.

mod azure;
mod clock;
mod store;
mod vault;

use super::azure::Goal;
use super::vault::Reads;
use super::{Checkup, Findings, aws, gcp};
use crate::config::live::{LiveSource, Way};
use crate::config::{Config, FileSource};
use futures_util::StreamExt as _;
use futures_util::stream;
use keywatch_aws::survey;
use keywatch_event::Provider;
use keywatch_gcp::survey as google;
use keywatch_rules::RuleSet;
use keywatch_secrets::{Trouble, Unanswered};
use keywatch_store::Picture;

/// Sources asked about at once: one that does not answer holds up no other, and a provider is asked a
/// few questions at a time. Each holds what was answered about it, a few MiB at most.
const ASKED_AT_ONCE: usize = 8;

/// What is asked about all sources.
#[derive(Clone, Copy)]
struct Round<'r> {
    config: &'r Config,
    /// What lately came, when there is a history.
    picture: Option<&'r Picture>,
}

/// How far the questions are.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Step<'s> {
    /// So many sources are to be asked about.
    Begun(usize),
    /// This one is being asked about.
    Asking(&'s str),
    /// It is done.
    Done(&'s str),
}

/// A source to be asked about.
#[derive(Clone, Copy)]
enum Subject<'r> {
    Files(&'r FileSource),
    Live(&'r LiveSource),
}

/// What was found about every source of the configuration, files first, about the clock here, and about
/// what is stored. `told` hears how far it is.
pub(crate) async fn examine(config: &Config, set: &RuleSet, told: &dyn Fn(Step<'_>)) -> Vec<Checkup> {
    let stored = store::picture(&config.database).await;
    let round = Round { config, picture: stored.as_ref().ok().and_then(Option::as_ref) };
    let subjects: Vec<Subject<'_>> =
        config.sources.iter().map(Subject::Files).chain(config.live.iter().map(Subject::Live)).collect();
    told(Step::Begun(subjects.len()));
    let asked = stream::iter(subjects).map(|subject| round.asked(subject, told)).buffered(ASKED_AT_ONCE);
    let (mut checkups, clock) = tokio::join!(asked.collect::<Vec<Checkup>>(), clock::checkup(config));
    checkups.extend(clock);
    checkups.extend(store::checkups(&config.database, stored, &checkups, set));
    checkups
}

/// Whose records a source brings, where it can be nobody else's.
fn provider_of(source: &LiveSource) -> Option<Provider> {
    match &source.way {
        Way::Kafka(access, _) => azure::namespace(&access.brokers).map(|_| Provider::Azure),
        // An address that takes requests takes anybody's.
        Way::Push(settings) => {
            matches!(settings.way, keywatch_push::Way::Device(_)).then_some(Provider::Vault)
        }
        Way::Trail(..)
        | Way::Lookup(..)
        | Way::Logging(..)
        | Way::PubSub(..)
        | Way::Blob(..)
        | Way::Bucket(..) => Some(source.provider()),
    }
}

impl Round<'_> {
    async fn asked(&self, subject: Subject<'_>, told: &dyn Fn(Step<'_>)) -> Checkup {
        let name = match subject {
            Subject::Files(source) => &source.name,
            Subject::Live(source) => &source.name,
        };
        told(Step::Asking(name));
        let checkup = match subject {
            Subject::Files(source) => {
                let paths: Vec<String> = source.paths.iter().map(|path| path.display().to_string()).collect();
                self.about(name, format!("files: {}", paths.join(", ")), None).await
            }
            Subject::Live(source) => {
                let mut checkup = self.about(name, source.kind(), provider_of(source)).await;
                self.of_live(source, &mut checkup.findings).await;
                checkup
            }
        };
        told(Step::Done(name));
        checkup
    }

    /// What those say who are named as feeding a source.
    async fn about(&self, name: &str, kind: String, provider: Option<Provider>) -> Checkup {
        let doctor = &self.config.doctor;
        let named = match (doctor.vault_of(name), doctor.azure_of(name), doctor.google_of(name)) {
            (Some(_), ..) => Some(Provider::Vault),
            (None, Some(_), _) => Some(Provider::Azure),
            (None, None, Some(_)) => Some(Provider::Gcp),
            (None, None, None) => None,
        };
        let provider = provider.or(named);
        let mut findings = Findings::default();
        match provider {
            Some(Provider::Vault) => {
                vault::ask(doctor.vault_of(name), self.reads(name), self.picture, &mut findings).await;
            }
            Some(Provider::Azure) => {
                azure::ask(doctor.azure_of(name), self.goal(name), &mut findings).await;
            }
            Some(Provider::Gcp) if named.is_some() && !self.is_live(name) => {
                self.of_google_files(name, &mut findings).await;
            }
            Some(Provider::Gcp | Provider::Aws) => {}
            None => findings.unknown(
                "how what it brings is logged",
                "an entry under `doctor` in the configuration that names the source",
                "nothing says whose records these are",
            ),
        }
        Checkup { source: name.to_owned(), kind, provider, findings }
    }

    fn is_live(&self, name: &str) -> bool {
        self.config.live.iter().any(|source| source.name == name)
    }

    /// What a source reads of a Vault's devices.
    fn reads(&self, name: &str) -> Reads<'_> {
        let files = self.config.sources.iter().find(|source| source.name == name);
        match files {
            Some(source) => Reads::Files(&source.paths),
            None if self.is_pushed(name) => Reads::Sent,
            None => Reads::Any,
        }
    }

    fn is_pushed(&self, name: &str) -> bool {
        self.config.live.iter().any(|source| source.name == name && matches!(source.way, Way::Push(_)))
    }

    /// Where the logs of Azure's vaults must go for a source to read them.
    fn goal(&self, name: &str) -> Goal<'_> {
        let source = self.config.live.iter().find(|source| source.name == name);
        match source.map(|source| &source.way) {
            Some(Way::Kafka(access, _)) => {
                azure::namespace(&access.brokers).map_or(Goal::Any, Goal::Namespace)
            }
            Some(Way::Blob(access, _)) => access.account.as_deref().map_or(Goal::Any, Goal::Account),
            Some(
                Way::Trail(..)
                | Way::Lookup(..)
                | Way::Logging(..)
                | Way::PubSub(..)
                | Way::Bucket(..)
                | Way::Push(_),
            )
            | None => Goal::Any,
        }
    }

    /// Files somebody else brings from Google are judged by what is logged there at all.
    async fn of_google_files(&self, name: &str, findings: &mut Findings) {
        let resources = self.config.doctor.google_of(name).unwrap_or_default();
        let asked = google::Asked { resources: &resources, subscription: None };
        let surveys = google::of(&keywatch_gcp::Access::default(), &self.config.secrets, &asked).await;
        gcp::of_policies(&surveys, findings);
    }

    /// What a source that asks providers itself can ask about itself.
    async fn of_live(&self, source: &LiveSource, findings: &mut Findings) {
        let secrets = &self.config.secrets;
        match &source.way {
            Way::Trail(access, settings) => {
                let survey = survey::of_queue(access, secrets, settings).await;
                *findings = aws::of_queue(&survey, &settings.queue, &settings.buckets, settings.digests);
            }
            Way::Lookup(access, settings) => {
                let survey = survey::of_lookup(access, secrets, settings).await;
                *findings = aws::of_lookup(&survey, settings);
            }
            Way::Logging(access, settings) => {
                let asked = google::Asked { resources: &settings.resources, subscription: None };
                let surveys = google::of(access, secrets, &asked).await;
                *findings = gcp::of_logging(&surveys, &settings.filter, settings.backfill.num_days());
            }
            Way::PubSub(access, settings) => {
                let own: Vec<String> = settings.subscription.split('/').take(2).map(str::to_owned).collect();
                let resources =
                    self.config.doctor.google_of(&source.name).unwrap_or_else(|| vec![own.join("/")]);
                let asked =
                    google::Asked { resources: &resources, subscription: Some(&settings.subscription) };
                let surveys = google::of(access, secrets, &asked).await;
                *findings = gcp::of_pubsub(&surveys, &settings.subscription);
            }
            Way::Bucket(_, access, _) => match self.config.doctor.google_of(&source.name) {
                Some(resources) => {
                    let asked = google::Asked { resources: &resources, subscription: None };
                    gcp::of_policies(&google::of(access, secrets, &asked).await, findings);
                }
                None => findings.unknown(
                    "how what it brings is logged",
                    "an entry under `doctor` in the configuration that names the source",
                    "a bucket does not say whose logs it holds",
                ),
            },
            Way::Kafka(..) | Way::Blob(..) | Way::Push(_) => {}
        }
    }
}

/// A question that was not answered: what it takes, where that is a right, else what to do.
fn refused(findings: &mut Findings, what: &str, right: &str, unanswered: &Unanswered) {
    let needs = match unanswered.trouble {
        Trouble::Denied => right.to_owned(),
        Trouble::Missing | Trouble::Unavailable | Trouble::Unusable => unanswered.remedy.clone(),
    };
    findings.unknown(what, needs, &unanswered.detail);
}
