//! The delivery loop: lease what is due, send it, record what happened; one task per receiver,
//! so that a dead receiver delays nobody else.
//!
//! A message is at least once under one stable id. Whatever interrupts an attempt, its lease
//! ends and the message is sent again. Nothing here decides who is told.

use crate::clock::{Clock, Random};
use crate::notification::Notification;
use crate::receiver::{Problem, Receiver, validate};
use crate::reply::{Reply, Verdict};
use crate::schedule;
use crate::sender::{Outbound, Sender};
use chrono::{DateTime, Utc};
use keywatch_store::{AttemptOutcome, AttemptRecord, LeasedDelivery, Store, StoreError};
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
/// Pauses between tries to record an attempt. Within the spare time of the lease.
const RECORD_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

/// Delivers alerts from the outbox to receivers until told to stop.
pub struct Deliverer {
    lanes: Vec<Lane>,
    wake: watch::Sender<()>,
}

/// Tells the loop that something was written to the outbox. Cheap; call it after every commit
/// that opened, updated or withdrew an alert, after a replay and after resuming a receiver.
#[derive(Clone, Debug)]
pub struct Wake(watch::Sender<()>);

impl Wake {
    /// Has every receiver's task look at the outbox now.
    pub fn wake(&self) {
        self.0.send_replace(());
    }
}

/// A receiver's task ended without being told to. A defect: nothing is lost, but nothing more is
/// sent until the program restarts.
#[derive(Debug, thiserror::Error)]
#[error("the task that delivers alerts died; restart Keywatch, nothing is lost, and please report it")]
pub struct DeliverError(#[from] JoinError);

impl Deliverer {
    /// Prepares delivery to `receivers`, which are validated first.
    ///
    /// # Errors
    /// Every [`Problem`] of every receiver.
    pub fn new(
        store: Store,
        receivers: &[Receiver],
        outbound: &Outbound,
        clock: Arc<dyn Clock>,
        random: Arc<dyn Random>,
    ) -> Result<Self, Vec<Problem>> {
        let mut problems = validate(receivers, outbound.egress.policy());
        if !problems.is_empty() {
            return Err(problems);
        }
        let desk = Arc::new(Desk { store, clock, random });
        let mut lanes = Vec::new();
        for receiver in receivers {
            let (name, desk) = (receiver.name.clone(), Arc::clone(&desk));
            match Sender::new(receiver, outbound) {
                Ok(sender) => lanes.push(Lane { name, concurrency: receiver.concurrency, sender, desk }),
                Err(problem) => problems.push(problem),
            }
        }
        if problems.is_empty() { Ok(Self { lanes, wake: watch::Sender::new(()) }) } else { Err(problems) }
    }

    /// The same with another time limit for one attempt than
    /// [`SEND_TIMEOUT`](crate::SEND_TIMEOUT).
    #[must_use]
    pub fn with_send_timeout(self, timeout: Duration) -> Self {
        let limit = |lane: Lane| Lane { sender: lane.sender.with_timeout(timeout), ..lane };
        Self { lanes: self.lanes.into_iter().map(limit).collect(), ..self }
    }

    /// A handle that makes the loop look at the outbox.
    #[must_use]
    pub fn wake(&self) -> Wake {
        Wake(self.wake.clone())
    }

    /// Delivers until `shutdown` becomes true or its sender is dropped; then leases nothing more
    /// and gives running sends [`STOP_TIMEOUT`] to finish.
    ///
    /// # Errors
    /// [`DeliverError`] when a receiver's task panicked.
    pub async fn run(self, mut shutdown: watch::Receiver<bool>) -> Result<(), DeliverError> {
        let mut tasks = JoinSet::new();
        for lane in self.lanes {
            tasks.spawn(Arc::new(lane).run(self.wake.subscribe(), shutdown.clone()));
        }
        while let Some(ended) = tasks.join_next().await {
            ended?;
        }
        // Without receivers there is nothing to do but to wait. An error means the sender is gone.
        let _told = shutdown.wait_for(|stop| *stop).await;
        Ok(())
    }
}

/// What all receivers share.
struct Desk {
    store: Store,
    clock: Arc<dyn Clock>,
    random: Arc<dyn Random>,
}

/// Everything the task of one receiver needs.
struct Lane {
    name: String,
    concurrency: usize,
    sender: Sender,
    desk: Arc<Desk>,
}

impl Lane {
    async fn run(self: Arc<Self>, mut wake: watch::Receiver<()>, mut shutdown: watch::Receiver<bool>) {
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
    async fn send_due(self: &Arc<Self>, sends: &mut JoinSet<()>) -> Duration {
        let room = self.concurrency.saturating_sub(sends.len());
        if room == 0 {
            return LOOK_AGAIN;
        }
        match self.lease(room).await {
            Ok((leased, pause)) => {
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

    async fn lease(&self, room: usize) -> Result<(Vec<LeasedDelivery>, Duration), StoreError> {
        let now = self.desk.clock.now();
        let timeout_secs = u32::try_from(self.sender.timeout().as_secs()).unwrap_or(u32::MAX);
        let lease_secs = timeout_secs.saturating_add(LEASE_SPARE_SECS);
        let limit = u32::try_from(room).unwrap_or(u32::MAX);
        let leased = self.desk.store.lease_due(&self.name, now, lease_secs, limit).await?;
        if leased.len() >= room {
            return Ok((leased, LOOK_AGAIN));
        }
        let due = self.desk.store.next_due(&self.name).await?;
        Ok((leased, due.map_or(LOOK_AGAIN, |due| pause_until(due, now))))
    }

    async fn deliver(self: Arc<Self>, delivery: LeasedDelivery) {
        let started_at = self.desk.clock.now();
        let reply = self.sender.send(&notification_of(&delivery), started_at).await;
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
                schedule::next_attempt_at(attempt, now, asked, self.desk.random.next_u64()).map_or_else(
                    || {
                        AttemptOutcome::DeadLetter(format!(
                            "given up after {attempt} attempts; last: {}",
                            error()
                        ))
                    },
                    AttemptOutcome::RetryAt,
                )
            }
        }
    }

    fn log(&self, delivery: &LeasedDelivery, attempt: &AttemptRecord, outcome: &AttemptOutcome) {
        let (receiver, delivery_id, number) = (self.name.as_str(), delivery.id, delivery.attempt);
        let error = attempt.error.as_deref();
        match outcome {
            AttemptOutcome::Delivered => {
                tracing::debug!(receiver, delivery_id, number, latency_ms = attempt.latency_ms, "delivered");
            }
            AttemptOutcome::RetryAt(at) => {
                tracing::warn!(receiver, delivery_id, number, error, retry_at = %at, "not delivered, will be tried again");
            }
            AttemptOutcome::DeadLetter(reason) => {
                tracing::error!(
                    receiver,
                    delivery_id,
                    number,
                    reason,
                    "not delivered, given up; it can be replayed"
                );
            }
            AttemptOutcome::Paused(reason) => {
                tracing::error!(receiver, delivery_id, number, reason, "receiver paused until it is resumed");
            }
        }
    }

    /// Records an attempt; tries again while the database is busy or its disk full. Without a
    /// record the message is sent again when the lease ends.
    async fn record(&self, delivery: &LeasedDelivery, attempt: &AttemptRecord, outcome: AttemptOutcome) {
        let mut pauses = RECORD_PAUSES.into_iter();
        loop {
            let done =
                self.desk.store.record_attempt(delivery.id, &delivery.lease, attempt, outcome.clone()).await;
            let error = match done {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(
                        receiver = self.name,
                        delivery_id = delivery.id,
                        "lease lost: another attempt is under way"
                    );
                    return;
                }
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_retryable()) else {
                let error = chain(&error);
                tracing::error!(
                    receiver = self.name,
                    delivery_id = delivery.id,
                    error,
                    "attempt not recorded, message will be sent again"
                );
                return;
            };
            sleep(pause).await;
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
    Notification {
        id: delivery.message_id.clone(),
        kind: delivery.kind.into(),
        created_at: delivery.created_at,
        alerts: vec![delivery.alert_json.clone()],
        group: Vec::new(),
        note: delivery.note.clone(),
        link: None,
    }
}

fn attempt_record(started_at: DateTime<Utc>, reply: Reply) -> AttemptRecord {
    AttemptRecord {
        started_at,
        latency_ms: u32::try_from(reply.latency.as_millis()).unwrap_or(u32::MAX),
        status: reply.status,
        error: reply.error,
        response_excerpt: reply.excerpt,
    }
}

fn pause_until(due: DateTime<Utc>, now: DateTime<Utc>) -> Duration {
    due.signed_duration_since(now).to_std().unwrap_or_default().clamp(BREATH, LOOK_AGAIN)
}

/// An error with everything behind it, for the log.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}

#[cfg(test)]
mod tests;
