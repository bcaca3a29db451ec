//! Who is told about alerts.

mod email;
mod http;
mod kafka;
mod sns;

pub(crate) use email::{Email, MailSecurity};
use http::{Alertmanager, Ocsf, PagerDuty, Slack, Teams};
pub(crate) use http::{Auth, Webhook};
pub(crate) use kafka::{KafkaLayout, KafkaTopic};
pub(crate) use sns::{Sns, SnsKey};

use crate::config::frame::{At, default, need, section};
use keywatch_event::Level;
use std::path::PathBuf;

section! {
    /// One receiver of alerts: exactly one of the kinds below. `docs/receivers.md` shows each of
    /// them.
    pub(crate) struct Receiver {
        /// Its name, under which its deliveries are kept.
        name: At<String> = need("give the receiver a name of its own"),
        /// The least urgent alerts it wants: warning, high or critical.
        level: Level = default("warning"),
        /// How many messages may be under way to it at a time.
        concurrency: usize [1..=64] = default("4"),
        /// How many messages it may be sent a minute; as many as there are unless told.
        rate_per_minute: Option<u64> [1..=6000],
        /// A file of PEM certificates that are trusted besides the system's, for a receiver with
        /// certificates of your own authority. For SNS it is about a configured `endpoint`.
        ca_file: Option<PathBuf>,
        /// A signed webhook (Standard Webhooks 1.0).
        webhook: Option<Webhook>,
        /// An Amazon SNS topic.
        sns: Option<Sns>,
        /// A Slack channel, through an incoming webhook.
        slack: Option<Slack>,
        /// A channel or chat of Microsoft Teams, through a workflow.
        teams: Option<Teams>,
        /// A PagerDuty service, through Events API v2.
        pagerduty: Option<PagerDuty>,
        /// A Prometheus Alertmanager, through its API v2.
        alertmanager: Option<Alertmanager>,
        /// People, by e-mail.
        email: Option<Email>,
        /// A data lake or SIEM: OCSF 1.8 findings as CloudEvents.
        ocsf: Option<Ocsf>,
        /// A topic of Kafka: OCSF 1.8 findings as CloudEvents.
        kafka: Option<KafkaTopic>,
    }
    one_of: [webhook, sns, slack, teams, pagerduty, alertmanager, email, ocsf, kafka];
}
