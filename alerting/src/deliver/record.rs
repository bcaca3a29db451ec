//! Writing down what an attempt saw and what follows from it.

use super::lane::Lane;
use crate::reply::Reply;
use chrono::{DateTime, Utc};
use keywatch_store::{AttemptOutcome, AttemptRecord, LeasedDelivery};
use std::time::Duration;
use tokio::time::sleep;

/// Pauses between tries to record an attempt. Within the spare time of the lease.
const RECORD_PAUSES: [Duration; 3] =
    [Duration::from_secs(1), Duration::from_secs(4), Duration::from_secs(15)];

impl Lane {
    pub(super) fn log(&self, delivery: &LeasedDelivery, attempt: &AttemptRecord, outcome: &AttemptOutcome) {
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
    pub(super) async fn record(
        &self,
        delivery: &LeasedDelivery,
        attempt: &AttemptRecord,
        outcome: AttemptOutcome,
    ) {
        let (receiver, delivery_id) = (self.name.as_str(), delivery.id);
        let store = &self.desk.store;
        let mut pauses = RECORD_PAUSES.into_iter();
        loop {
            let done = store.record_attempt(delivery_id, &delivery.lease, attempt, outcome.clone()).await;
            let error = match done {
                Ok(true) => return,
                Ok(false) => {
                    tracing::warn!(receiver, delivery_id, "lease lost: another attempt is under way");
                    return;
                }
                Err(error) => error,
            };
            let Some(pause) = pauses.next().filter(|_| error.is_retryable()) else {
                let error = chain(&error);
                tracing::error!(
                    receiver,
                    delivery_id,
                    error,
                    "attempt not recorded, message will be sent again"
                );
                return;
            };
            sleep(pause).await;
        }
    }
}

pub(super) fn attempt_record(started_at: DateTime<Utc>, reply: Reply) -> AttemptRecord {
    AttemptRecord {
        started_at,
        latency_ms: u32::try_from(reply.latency.as_millis()).unwrap_or(u32::MAX),
        status: reply.status,
        error: reply.error,
        response_excerpt: reply.excerpt,
    }
}

/// An error with everything behind it, for the log.
pub(super) fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let causes = std::iter::successors(Some(error), |error| error.source());
    causes.map(ToString::to_string).collect::<Vec<_>>().join(": ")
}
