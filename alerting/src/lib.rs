//! Findings in, notifications out: delivers alerts from the outbox to receivers.
//!
//! A [`Notification`] is what is told, a [`Receiver`] whom, a [`Sender`] makes one attempt and
//! yields a [`Reply`]. Credentials are references, resolved at every attempt. Every outbound
//! address passes one egress policy. Nothing here decides which receiver is told about which
//! alert but [`policy`], which the store asks.

mod clock;
mod deliver;
mod egress;
mod minder;
mod notification;
pub mod ocsf;
pub mod policy;
mod probe;
mod reach;
mod receiver;
pub mod render;
mod reply;
pub mod schedule;
mod sender;
mod sign;
mod story;
#[cfg(test)]
mod testing;
mod text;
mod view;

pub use clock::{Clock, OsRandom, Random};
pub use deliver::{DeliverError, Deliverer, STOP_TIMEOUT, Wake};
pub use egress::{Egress, EgressPolicy, Lookup, Refusal, Resolved, SystemLookup, special_use};
pub use notification::{Notification, NotificationKind};
pub use probe::{TestReport, check_credentials, send_test};
pub use reach::reach;
pub use receiver::{
    AccessKey, Address, Alertmanager, Authorization, CONCURRENCY, Email, Fault, Kafka, KafkaMode, MailTls,
    Ocsf, PAGERDUTY_URL, PagerDuty, Problem, Receiver, ReceiverKind, Role, SECRETS, Slack, Sns, Teams,
    Webhook, validate,
};
pub use reply::{Reply, Verdict};
pub use sender::{Outbound, SEND_TIMEOUT, Sender, Shown};
pub use sign::{SECRET_BYTES, SecretError, SignError, SigningSecret, signature};
