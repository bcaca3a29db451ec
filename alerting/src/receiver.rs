//! Receivers as the configuration describes them, and everything that can be wrong with them.
//!
//! A receiver holds no credential, only references to them; what it holds may be printed.

mod address;
mod alertmanager;
mod email;
pub(crate) mod kafka;
mod ocsf;
mod pagerduty;
mod slack;
pub(crate) mod sns;
mod teams;
pub(crate) mod webhook;

pub use address::{Address, Authorization};
pub use alertmanager::Alertmanager;
pub use email::{Email, MailTls};
pub(crate) use kafka::Produced as KafkaProduced;
pub use kafka::{Kafka, KafkaMode};
pub use ocsf::Ocsf;
pub use pagerduty::{PAGERDUTY_URL, PagerDuty};
pub use slack::Slack;
pub use sns::{AccessKey, Role, Sns};
pub use teams::Teams;
pub use webhook::Webhook;

use crate::egress::{EgressPolicy, Refusal};
use crate::sender::Held;
use keywatch_event::Level;
use keywatch_secrets::SecretRef;
use std::num::NonZeroU32;
use std::ops::RangeInclusive;
use std::path::PathBuf;
use std::time::Duration;

/// How many requests may be under way to one receiver at a time.
pub const CONCURRENCY: RangeInclusive<usize> = 1..=64;
/// How many secrets one receiver may sign with; more than two only while rotations overlap.
pub const SECRETS: RangeInclusive<usize> = 1..=5;
/// Longest name of a receiver.
const NAME_CHARS_MAX: usize = 64;

/// Somebody, or something, that is told about alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Receiver {
    /// Unique name, under which its deliveries are stored.
    pub name: String,
    /// The least urgent alerts it wants. The program heeds it when it decides who is told.
    pub level_min: Level,
    /// How many messages may be under way at a time, within [`CONCURRENCY`].
    pub concurrency: usize,
    /// How many messages it may be sent a minute. The delivery loop heeds it.
    pub rate_per_minute: Option<NonZeroU32>,
    /// A file of PEM certificates that are trusted besides the system's when it is reached.
    pub ca_file: Option<PathBuf>,
    /// How it is told.
    pub kind: ReceiverKind,
}

/// The ways to tell a receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ReceiverKind {
    /// A signed POST: Standard Webhooks 1.0.
    Webhook(Webhook),
    /// An Amazon SNS topic.
    Sns(Sns),
    /// A Slack channel.
    Slack(Slack),
    /// A channel or chat of Microsoft Teams.
    Teams(Teams),
    /// A PagerDuty service.
    PagerDuty(PagerDuty),
    /// A Prometheus Alertmanager.
    Alertmanager(Alertmanager),
    /// People behind a mail server.
    Email(Email),
    /// An endpoint that takes OCSF findings as CloudEvents.
    Ocsf(Ocsf),
    /// A topic that takes OCSF findings as CloudEvents.
    Kafka(Kafka),
}

/// What every kind of receiver says of itself. Most are one address that is POSTed to, perhaps
/// signed, perhaps with an authorization; for those the rest follows.
pub(crate) trait Described {
    /// Where it is POSTed to, if it is.
    fn address(&self) -> Option<&Address>;

    /// What messages are signed with.
    fn signing(&self) -> &[SecretRef] {
        &[]
    }

    /// What it wants to see besides.
    fn auth(&self) -> Option<&Authorization> {
        None
    }

    /// Whom it reaches, without anything that could be a credential.
    fn target(&self) -> String {
        self.address().map(|address| format!("{address:?}")).unwrap_or_default()
    }

    /// Every credential it is reached with.
    fn credentials(&self) -> Vec<&SecretRef> {
        let address = self.address().and_then(Address::credential);
        let auth = self.auth().map(Authorization::credential);
        address.into_iter().chain(self.signing()).chain(auth).collect()
    }

    /// What is wrong with it, as far as can be told without asking anybody.
    fn faults(&self, policy: &EgressPolicy) -> Vec<Fault> {
        self.address().map(|address| address.faults(policy)).unwrap_or_default()
    }

    /// Why the credentials in hand are not what they should be.
    fn unusable(&self, held: &Held) -> Option<String> {
        let keys = webhook::keys(self.signing(), held).err();
        let address = self.address().and_then(|address| address.url(held).err());
        keys.or(address).map(|fault| fault.to_string())
    }
}

impl ReceiverKind {
    fn described(&self) -> &dyn Described {
        match self {
            Self::Webhook(kind) => kind,
            Self::Sns(kind) => kind,
            Self::Slack(kind) => kind,
            Self::Teams(kind) => kind,
            Self::PagerDuty(kind) => kind,
            Self::Alertmanager(kind) => kind,
            Self::Email(kind) => kind,
            Self::Ocsf(kind) => kind,
            Self::Kafka(kind) => kind,
        }
    }

    /// Its name in a configuration.
    #[must_use]
    pub const fn as_str(&self) -> &'static str {
        match self {
            Self::Webhook(_) => "webhook",
            Self::Sns(_) => "sns",
            Self::Slack(_) => "slack",
            Self::Teams(_) => "teams",
            Self::PagerDuty(_) => "pagerduty",
            Self::Alertmanager(_) => "alertmanager",
            Self::Email(_) => "email",
            Self::Ocsf(_) => "ocsf",
            Self::Kafka(_) => "kafka",
        }
    }
}

impl Receiver {
    /// A receiver of every alert from warning up, at an ordinary pace.
    #[must_use]
    pub fn new(name: impl Into<String>, kind: ReceiverKind) -> Self {
        Self {
            name: name.into(),
            level_min: Level::Warning,
            concurrency: 4,
            rate_per_minute: None,
            ca_file: None,
            kind,
        }
    }

    /// Every credential it is reached with.
    #[must_use]
    pub fn credentials(&self) -> Vec<&SecretRef> {
        self.kind.described().credentials()
    }

    /// Why its credentials are not what they should be, without sending anything; `None` when
    /// they are.
    pub(crate) fn unusable(&self, held: &Held) -> Option<String> {
        self.kind.described().unusable(held)
    }

    /// Whom it reaches, for people: a host, a topic, or the name of the secret that holds the
    /// address.
    #[must_use]
    pub fn target(&self) -> String {
        self.kind.described().target()
    }

    /// How often what still stands must be said again
    /// ([`NotificationKind::Refreshed`](crate::NotificationKind::Refreshed)), for receivers that
    /// forget an alert that is not repeated; `None` for all others.
    #[must_use]
    pub const fn refresh_every(&self) -> Option<Duration> {
        match &self.kind {
            ReceiverKind::Alertmanager(_) => Some(alertmanager::REFRESH_EVERY),
            ReceiverKind::Webhook(_)
            | ReceiverKind::Sns(_)
            | ReceiverKind::Slack(_)
            | ReceiverKind::Teams(_)
            | ReceiverKind::PagerDuty(_)
            | ReceiverKind::Email(_)
            | ReceiverKind::Ocsf(_)
            | ReceiverKind::Kafka(_) => None,
        }
    }
}

/// One thing wrong with one receiver.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("receiver `{receiver}`: {fault}")]
pub struct Problem {
    /// Which receiver.
    pub receiver: String,
    /// What is wrong.
    pub fault: Fault,
}

/// What can be wrong with a receiver, with the remedy.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum Fault {
    /// Empty, too long, or of other characters.
    #[error("a name has 1 to 64 letters, digits, `-`, `_` or `.`; rename it")]
    Name,
    /// Another receiver has the name.
    #[error("the name is used twice; deliveries are stored under it, so give each receiver its own")]
    NameTwice,
    /// No URL.
    #[error("the url cannot be read ({0}); write it as https://host/path")]
    Url(url::ParseError),
    /// A URL that may not be sent to.
    #[error(transparent)]
    Refused(#[from] Refusal),
    /// None, or too many.
    #[error("it has {0} signing secrets; give it 1, or up to 5 during a rotation")]
    Secrets(usize),
    /// Zero, or too high.
    #[error("a concurrency of {0} is not possible; choose 1 to 64")]
    Concurrency(usize),
    /// The file of trusted certificates cannot be used.
    #[error("the certificates in {file} cannot be used ({detail}); name a readable file of PEM certificates")]
    Certificates {
        /// Which file.
        file: String,
        /// What is wrong with it.
        detail: String,
    },
    /// The HTTP client cannot be set up.
    #[error(
        "no HTTPS client could be set up ({0}); check that CA certificates are installed (package ca-certificates)"
    )]
    Client(String),
    /// A credential cannot be had, or is not what it should be.
    #[error("{0}")]
    Credential(String),
    /// A setting of one kind of receiver.
    #[error("{0}")]
    Setting(String),
}

/// Everything that is wrong with `receivers`, without resolving any name or any secret. Empty
/// when they can be used.
#[must_use]
pub fn validate(receivers: &[Receiver], policy: &EgressPolicy) -> Vec<Problem> {
    let mut problems = Vec::new();
    for (at, receiver) in receivers.iter().enumerate() {
        let repeated = receivers.iter().take(at).any(|earlier| earlier.name == receiver.name);
        let twice = repeated.then_some(Fault::NameTwice);
        let faults = twice.into_iter().chain(faults_of(receiver, policy));
        problems.extend(faults.map(|fault| Problem { receiver: receiver.name.clone(), fault }));
    }
    problems
}

fn faults_of(receiver: &Receiver, policy: &EgressPolicy) -> Vec<Fault> {
    let mut faults = Vec::new();
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_' | '.');
    let length = receiver.name.chars().count();
    if !(1..=NAME_CHARS_MAX).contains(&length) || !receiver.name.chars().all(plain) {
        faults.push(Fault::Name);
    }
    faults.extend(receiver.kind.described().faults(policy));
    if !CONCURRENCY.contains(&receiver.concurrency) {
        faults.push(Fault::Concurrency(receiver.concurrency));
    }
    faults
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::receiver;

    #[test]
    fn receivers_that_can_be_used_have_no_problems() {
        let good =
            [receiver("siem", "https://siem.example/hook"), receiver("on-call", "https://1.1.1.1/x?y")];
        assert_eq!(validate(&good, &EgressPolicy::default()), []);
    }

    #[test]
    fn every_problem_of_every_receiver_is_reported_at_once() {
        let unsigned =
            Webhook { address: Address::Plain("http://u@10.0.0.1".to_owned()), signing: vec![], auth: None };
        let worst = Receiver { concurrency: 0, ..Receiver::new("a b", ReceiverKind::Webhook(unsigned)) };
        let receivers = [receiver("siem", "https://siem.example"), receiver("siem", "nowhere"), worst];
        let texts: Vec<_> =
            validate(&receivers, &EgressPolicy::default()).iter().map(ToString::to_string).collect();
        let want = [
            ("`siem`", "used twice"),
            ("`siem`", "cannot be read"),
            ("`a b`", "1 to 64 letters"),
            ("`a b`", "before the `@`"),
            ("`a b`", "without encryption"),
            ("`a b`", "a private address"),
            ("`a b`", "0 signing secrets"),
            ("`a b`", "concurrency of 0"),
        ];
        assert_eq!(texts.len(), want.len(), "{texts:#?}");
        for (text, (name, part)) in texts.iter().zip(want) {
            assert!(text.contains(name) && text.contains(part), "{text}");
        }
    }

    #[test]
    fn neither_debug_output_nor_problems_show_the_path_of_an_address() {
        let leaky = receiver("siem", "http://user:hunter2@siem.example/services/T0KEN");
        let problems = validate(std::slice::from_ref(&leaky), &EgressPolicy::default());
        let shown = format!("{leaky:?} {problems:?}");
        assert!(problems.len() >= 2 && shown.contains("siem.example"), "{problems:?}");
        for hidden in ["hunter2", "T0KEN"] {
            assert!(!shown.contains(hidden), "{shown}");
        }
    }
}
