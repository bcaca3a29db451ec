//! One receiver's lane: what is due is leased, sent and recorded, as many at a time as the
//! receiver bears and no faster than it may be sent.

use super::pulse::Pulse;
use super::record::{attempt_record, chain};
use crate::clock::{Clock, Random};
use crate::notification::{Notification, NotificationKind};
use crate::policy::Policy;
use crate::reply::{Reply, Verdict};
use crate::schedule;
use crate::sender::Sender;
use chrono::{DateTime, Utc};
use keywatch_store::{AttemptOutcome, LeasedDelivery, Leasing, Store, StoreError};
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;
use tokio::task::{JoinError, JoinSet};
use tokio::time::{Instant, sleep, timeout_at};

/// How long running sends may go on after the signal to stop.
pub const STOP_TIMEOUT: Duration = Duration::from_secs(15);
/// A lease outlives the longest attempt by this much, for recording it on a busy disk.
const LEASE_SPARE_SECS: u32 = 45;
/// The outbox is looked at this often whatever it said: the clock may have been set, or a
/// receiver resumed.
const LOOK_AGAIN: Duration = Duration::from_secs(30);
/// The shortest pause between two looks that found nothing to do.
const BREATH: Duration = Duration::from_millis(100);
/// Pause after the store failed to say what is due.
const STORE_PAUSE: Duration = Duration::from_secs(5);
/// Most alerts one message carries; it says how many there are in all. Receivers show a dozen.
const ALERTS_MAX: usize = 20;

/// Makes one attempt to deliver a notification.
pub(crate) trait Transport: Send + Sync {
    /// Sends it once.
    fn send<'t>(
        &'t self,
        notification: &'t Notification,
        at: DateTime<Utc>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 't>>;

    /// How long that may take.
    fn timeout(&self) -> Duration;
}

impl Transport for Sender {
    fn send<'t>(
        &'t self,
        notification: &'t Notification,
        at: DateTime<Utc>,
    ) -> Pin<Box<dyn Future<Output = Reply> + Send + 't>> {
        Box::pin(Self::send(self, notification, at))
    }

    fn timeout(&self) -> Duration {
        Self::timeout(self)
    }
}

/// What all lanes share.
pub(super) struct Desk {
    pub(super) store: Store,
    pub(super) clock: Arc<dyn Clock>,
    pub(super) random: Arc<dyn Random>,
    pub(super) policy: Arc<Policy>,
}

/// Defects that tests put in to see that they are found.
#[cfg(test)]
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Flaw {
    #[default]
    None,
    /// A message is recorded as delivered before it is sent.
    MarkBeforeSend,
    /// A lease ends as it begins.
    NoLease,
}

/// Everything the task of one receiver needs.
pub(super) struct Lane {
    pub(super) name: String,
    pub(super) concurrency: usize,
    pub(super) transport: Box<dyn Transport>,
    pub(super) pulse: Option<Pulse>,
    pub(super) desk: Arc<Desk>,
    #[cfg(test)]
    pub(super) flaw: Flaw,
}

impl Lane {
    pub(super) async fn run(
        self: Arc<Self>,
        mut wake: watch::Receiver<()>,
        mut shutdown: watch::Receiver<bool>,
    ) {
        let mut sends = JoinSet::new();
        loop {
            if *shutdown.borrow() {
                break;
            }
            let pause = self.send_due(&mut sends).await;
            tokio::select! {
                told = shutdown.changed() => if told.is_err() { break },
                _woken = wake.changed() => {}
                Some(ended) = sends.join_next() => self.note_end(ended),
                () = sleep(pause) => {}
            }
        }
        self.finish(sends).await;
    }

    /// Starts sending what is due as far as there is room; yields how long to wait before
    /// looking again.
    pub(super) async fn send_due(self: &Arc<Self>, sends: &mut JoinSet<()>) -> Duration {
        let room = self.concurrency.saturating_sub(sends.len());
        if room == 0 {
            return LOOK_AGAIN;
        }
        let (room, rest) =
            self.pulse.as_ref().map_or((room, BREATH), |pulse| pulse.grant(room, Instant::now()));
        if room == 0 {
            return rest;
        }
        match self.lease(room).await {
            Ok((leased, pause)) => {
                if let Some(pulse) = &self.pulse {
                    pulse.give_back(room - leased.len());
                }
                for delivery in leased {
                    sends.spawn(Arc::clone(self).deliver(delivery));
                }
                pause
            }
            Err(error) => {
                tracing::error!(receiver = self.name, error = chain(&error), "could not read the outbox");
                STORE_PAUSE
            }
        }
    }

    pub(super) async fn lease(&self, room: usize) -> Result<(Vec<LeasedDelivery>, Duration), StoreError> {
        let now = self.desk.clock.now();
        let leasing = Leasing {
            receiver: &self.name,
            now,
            lease_secs: self.lease_secs(),
            limit: u32::try_from(room).unwrap_or(u32::MAX),
        };
        let leased = self.desk.store.lease(&leasing, &self.desk.policy.gate).await?;
        if leased.len() >= room {
            return Ok((leased, BREATH));
        }
        let due = self.desk.store.next_due(&self.name).await?;
        Ok((leased, due.map_or(LOOK_AGAIN, |due| pause_until(due, now))))
    }

    fn lease_secs(&self) -> u32 {
        #[cfg(test)]
        if self.flaw == Flaw::NoLease {
            return 0;
        }
        let timeout_secs = u32::try_from(self.transport.timeout().as_secs()).unwrap_or(u32::MAX);
        timeout_secs.saturating_add(LEASE_SPARE_SECS)
    }

    pub(super) async fn deliver(self: Arc<Self>, delivery: LeasedDelivery) {
        let started_at = self.desk.clock.now();
        #[cfg(test)]
        if self.flaw == Flaw::MarkBeforeSend {
            let attempt = attempt_record(started_at, Reply::delivered(None));
            self.record(&delivery, &attempt, AttemptOutcome::Delivered).await;
        }
        let reply = self.transport.send(&notification_of(&delivery), started_at).await;
        let outcome = self.outcome(delivery.attempt, &reply);
        let attempt = attempt_record(started_at, reply);
        self.log(&delivery, &attempt, &outcome);
        self.record(&delivery, &attempt, outcome).await;
    }

    fn outcome(&self, attempt: u32, reply: &Reply) -> AttemptOutcome {
        let error = || reply.error.clone().unwrap_or_default();
        match reply.verdict {
            Verdict::Delivered => AttemptOutcome::Delivered,
            Verdict::Gone => AttemptOutcome::Paused(error()),
            Verdict::GiveUp => AttemptOutcome::DeadLetter(format!("will never be taken: {}", error())),
            Verdict::TryAgain => {
                let now = self.desk.clock.now();
                let asked =
                    reply.retry_after.as_deref().and_then(|text| schedule::retry_after_secs(text, now));
                let next = schedule::next_attempt_at(attempt, now, asked, self.desk.random.next_u64());
                let given_up = || format!("given up after {attempt} attempts; last: {}", error());
                next.map_or_else(|| AttemptOutcome::DeadLetter(given_up()), AttemptOutcome::RetryAt)
            }
        }
    }

    fn note_end(&self, ended: Result<(), JoinError>) {
        if let Err(error) = ended {
            let error = error.to_string();
            tracing::error!(
                receiver = self.name,
                error,
                "an attempt died; the message is sent again when its lease ends"
            );
        }
    }

    async fn finish(&self, mut sends: JoinSet<()>) {
        let deadline = Instant::now() + STOP_TIMEOUT;
        loop {
            match timeout_at(deadline, sends.join_next()).await {
                Ok(Some(ended)) => self.note_end(ended),
                Ok(None) => return,
                Err(_elapsed) => {
                    let unfinished = sends.len();
                    tracing::warn!(
                        receiver = self.name,
                        unfinished,
                        "stopped while sending; these messages are sent again"
                    );
                    return;
                }
            }
        }
    }
}

/// What a delivery tells, as it was written to the outbox.
fn notification_of(delivery: &LeasedDelivery) -> Notification {
    let all = delivery.others.len() + 1;
    let others = delivery.others.iter().take(ALERTS_MAX - 1).cloned();
    let left_out =
        (all > ALERTS_MAX).then(|| format!("{ALERTS_MAX} of {all} alerts; the rest is on the dashboard"));
    let note = match (delivery.note.clone(), left_out) {
        (Some(note), Some(left_out)) => Some(format!("{note}. {left_out}")),
        (note, left_out) => note.or(left_out),
    };
    let together = delivery.summary || all > 1;
    Notification {
        id: delivery.message_id.clone(),
        kind: if delivery.summary { NotificationKind::Summary } else { delivery.kind.into() },
        created_at: delivery.created_at,
        alerts: std::iter::once(delivery.alert_json.clone()).chain(others).collect(),
        group: delivery.group.as_deref().filter(|_| together).map(labels).unwrap_or_default(),
        note,
        link: None,
    }
}

/// `rule=KW-002, account=111122223333` as names and values.
fn labels(key: &str) -> Vec<(String, String)> {
    let pairs = key.split(", ").map(|part| part.split_once('=').unwrap_or(("group", part)));
    pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).collect()
}

fn pause_until(due: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    due.signed_duration_since(now).to_std().unwrap_or_default().clamp(BREATH, LOOK_AGAIN)
}
