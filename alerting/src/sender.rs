//! The sending side of one receiver: credentials are fetched, the message is written, sent and
//! its answer understood. One attempt; when and how often is decided elsewhere.
//!
//! Credentials are resolved at every attempt. When a receiver refuses them they are asked for
//! anew, and if others have taken their place the attempt is made again at once: a rotation
//! fails nothing.

mod bounded;
mod credentials;
mod http;
mod kafka;
mod mail;
mod sns;
mod trust;

pub(crate) use credentials::{Held, Unsendable};
pub(crate) use http::{Answer, Format, Header, Judgement, Request};

use crate::egress::Egress;
use crate::notification::Notification;
use crate::receiver::{Fault, Problem, Receiver, ReceiverKind};
use crate::reply::Reply;
use chrono::{DateTime, Utc};
use http::Http;
use kafka::Producing;
use keywatch_secrets::SecretManager;
use mail::Mailer;
use sns::Topic;
use std::sync::Arc;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};

/// How long one attempt may take, from resolving the name to the end of the answer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(15);

/// What everything that is sent goes through.
#[derive(Clone, Debug)]
pub struct Outbound {
    /// Where may be sent to.
    pub egress: Egress,
    /// Where credentials come from.
    pub secrets: SecretManager,
}

/// What was sent, for people to see: credentials are replaced by a mark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Shown {
    /// What was asked of whom: `POST https://host/path`.
    pub target: String,
    /// Names and values.
    pub headers: Vec<(String, String)>,
    /// The message.
    pub body: String,
}

/// What one attempt is made of.
pub(crate) struct Parcel<'a> {
    pub(crate) notification: &'a Notification,
    /// The time of the attempt.
    pub(crate) at: DateTime<Utc>,
    pub(crate) held: &'a Held,
    pub(crate) deadline: Instant,
    /// How long the whole attempt may take.
    pub(crate) limit: Duration,
    /// Whether what is sent is to be shown.
    pub(crate) rehearsal: bool,
}

/// What an attempt yields.
pub(crate) struct Carried {
    pub(crate) reply: Reply,
    /// What was sent, in a rehearsal.
    pub(crate) shown: Vec<Shown>,
}

impl From<Reply> for Carried {
    fn from(reply: Reply) -> Self {
        Self { reply, shown: Vec::new() }
    }
}

/// The ways messages leave.
enum Channel {
    Http(Box<Http>),
    Sns(Box<Topic>),
    Mail(Box<Mailer>),
    Kafka(Box<Producing>),
}

/// Sends to one receiver.
pub struct Sender {
    receiver: Receiver,
    channel: Channel,
    secrets: SecretManager,
    timeout: Duration,
}

impl Sender {
    /// Sets up what is needed to send to `receiver`; nothing is connected yet.
    ///
    /// # Errors
    /// [`Problem`] when it cannot be sent to at all.
    pub fn new(receiver: &Receiver, outbound: &Outbound) -> Result<Self, Problem> {
        let problem = |fault| Problem { receiver: receiver.name.clone(), fault };
        let channel = Channel::of(receiver, outbound).map_err(problem)?;
        let secrets = outbound.secrets.clone();
        Ok(Self { receiver: receiver.clone(), channel, secrets, timeout: SEND_TIMEOUT })
    }

    /// The same with another time limit.
    #[must_use]
    pub fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long one attempt may take.
    #[must_use]
    pub const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// To whom.
    #[must_use]
    pub const fn receiver(&self) -> &Receiver {
        &self.receiver
    }

    /// Makes one attempt to deliver `notification` at the time `at`.
    pub async fn send(&self, notification: &Notification, at: DateTime<Utc>) -> Reply {
        self.attempt(notification, at, false).await.0
    }

    /// The same, and shows what was sent, with credentials replaced by a mark.
    pub async fn rehearse(&self, notification: &Notification, at: DateTime<Utc>) -> (Reply, Vec<Shown>) {
        self.attempt(notification, at, true).await
    }

    async fn attempt(
        &self,
        notification: &Notification,
        at: DateTime<Utc>,
        rehearsal: bool,
    ) -> (Reply, Vec<Shown>) {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let carried = match timeout_at(deadline, self.hold()).await {
            Ok(Ok(held)) => {
                let limit = self.timeout;
                let parcel = Parcel { notification, at, held: &held, deadline, limit, rehearsal };
                self.carry_renewing(&parcel).await
            }
            Ok(Err(error)) => Reply::failed(error).into(),
            Err(_elapsed) => {
                Reply::failed(format!("its credentials were not to be had within {:?}", self.timeout)).into()
            }
        };
        let Carried { mut reply, shown } = carried;
        reply.latency = started.elapsed();
        (reply, shown)
    }

    async fn hold(&self) -> Result<Held, String> {
        Held::fetch(&self.receiver, &self.secrets).await
    }

    /// Sends, and once more when refused credentials turn out to have been replaced.
    async fn carry_renewing(&self, parcel: &Parcel<'_>) -> Carried {
        let mut first = self.carry(parcel).await;
        if !first.reply.credentials_refused {
            return first;
        }
        match timeout_at(parcel.deadline, parcel.held.renewed(&self.secrets)).await {
            Ok(Ok(Some(fresh))) => self.carry(&Parcel { held: &fresh, ..*parcel }).await,
            Ok(Ok(None)) | Err(_) => first,
            Ok(Err(error)) => {
                let said = first.reply.error.take().unwrap_or_default();
                first.reply.error = Some(format!("{said}; and {error}"));
                first
            }
        }
    }

    async fn carry(&self, parcel: &Parcel<'_>) -> Carried {
        let mut carried = match &self.channel {
            Channel::Http(http) => http.carry(parcel).await,
            // Boxed: their clients make futures of many kilobytes.
            Channel::Sns(topic) => Box::pin(topic.carry(parcel)).await,
            Channel::Mail(mailer) => Box::pin(mailer.carry(parcel)).await,
            Channel::Kafka(topic) => Box::pin(topic.carry(parcel)).await,
        };
        let reply = &mut carried.reply;
        // A receiver may repeat what it was shown.
        for text in [&mut reply.error, &mut reply.excerpt].into_iter().flatten() {
            *text = parcel.held.redacted(text);
        }
        carried
    }
}

impl Channel {
    fn of(receiver: &Receiver, outbound: &Outbound) -> Result<Self, Fault> {
        let egress = &outbound.egress;
        let format: Arc<dyn Format> = match &receiver.kind {
            ReceiverKind::Webhook(kind) => Arc::new(kind.clone()),
            ReceiverKind::Slack(kind) => Arc::new(kind.clone()),
            ReceiverKind::Teams(kind) => Arc::new(kind.clone()),
            ReceiverKind::PagerDuty(kind) => Arc::new(kind.clone()),
            ReceiverKind::Alertmanager(kind) => Arc::new(kind.clone()),
            ReceiverKind::Ocsf(kind) => Arc::new(kind.clone()),
            ReceiverKind::Sns(sns) => {
                return Ok(Self::Sns(Box::new(Topic::new(receiver, sns, egress)?)));
            }
            ReceiverKind::Kafka(kafka) => {
                return Ok(Self::Kafka(Box::new(Producing::new(receiver, kafka, egress))));
            }
            ReceiverKind::Email(email) => {
                return Ok(Self::Mail(Box::new(Mailer::new(receiver, email, egress)?)));
            }
        };
        Ok(Self::Http(Box::new(Http::new(receiver, egress, format)?)))
    }
}

#[cfg(test)]
mod tests;
