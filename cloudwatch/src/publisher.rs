//! Counts what was stored and sends it, minute by minute.
//!
//! Invariant: a publication is marked in the database before it is sent. When no answer comes, or
//! the service ends meanwhile, it stays marked as in doubt and is never sent again: CloudWatch may
//! miss a minute then, and never counts one twice.

use crate::client::Client;
use crate::count::{AGE_SECS_MAX, Datum, data};
use crate::error::CloudWatchError;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_store::{Publication, Store, StoreError};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::watch;

/// How often it counts and sends.
const EVERY: Duration = Duration::from_mins(1);
/// Most events read at once: about 20 MB with their rules.
const EVENTS_MAX: u32 = 50_000;
/// Seconds until a refused publication is tried again, by how often it was.
const PAUSES: [i64; 5] = [5, 30, 120, 300, 900];

/// Tells the time.
pub type Clock = Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>;

/// What became of the publications that were due.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sent {
    /// Taken.
    pub taken: u64,
    /// Refused; due again later.
    pub refused: u64,
    /// In doubt; not sent again.
    pub doubted: u64,
}

/// Counts and sends.
pub struct Publisher {
    store: Store,
    client: Client,
    /// Rules with a dimension of their own.
    rules: BTreeSet<String>,
    clock: Clock,
}

impl Publisher {
    /// A publisher over `store`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn start(
        store: Store,
        client: Client,
        rules: BTreeSet<String>,
        clock: Clock,
    ) -> Result<Self, StoreError> {
        let doubted = store.doubt_publications().await?;
        if doubted > 0 {
            tracing::warn!(
                publications = doubted,
                "the service ended while metrics were being sent to CloudWatch; they may be missing there"
            );
        }
        store.uncounted(0).await?;
        Ok(Self { store, client, rules, clock })
    }

    /// Counts and sends until told to stop.
    pub async fn run(self, mut stop: watch::Receiver<bool>) {
        let mut minute = tokio::time::interval(EVERY);
        minute.set_missed_tick_behavior(tokio::time::MissedTickBehavior::Delay);
        loop {
            tokio::select! {
                _ = stop.wait_for(|stop| *stop) => return,
                _ = minute.tick() => {}
            }
            if let Err(error) = self.round(&stop).await {
                tracing::error!("metrics for CloudWatch could not be counted, it is tried again: {error}");
            }
        }
    }

    async fn round(&self, stop: &watch::Receiver<bool>) -> Result<(), StoreError> {
        self.count().await?;
        loop {
            let sent = if *stop.borrow() { Sent::default() } else { self.send_one().await? };
            if sent == Sent::default() || sent.taken == 0 {
                return Ok(());
            }
        }
    }

    /// Turns what was stored since the last time into publications.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written; nothing is lost by that.
    pub async fn count(&self) -> Result<(), StoreError> {
        let now = (self.clock)();
        let forgotten = self.store.forget_publications(now - TimeDelta::seconds(AGE_SECS_MAX)).await?;
        if forgotten > 0 {
            tracing::warn!(publications = forgotten, "metrics older than CloudWatch takes were let go");
        }
        loop {
            let counted = self.store.uncounted(EVENTS_MAX).await?;
            if counted.from == counted.upto {
                return Ok(());
            }
            let (parts, too_old) = data(&counted, &self.rules, now);
            if too_old > 0 {
                tracing::info!(accesses = too_old, "accesses older than CloudWatch takes were not published");
            }
            let bodies = parts.iter().filter_map(|part| serde_json::to_string(part).ok());
            if !self.store.publish(&counted, &bodies.collect::<Vec<_>>(), now).await? {
                return Ok(());
            }
        }
    }

    /// Sends the next publication that is due, if there is one.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written.
    pub async fn send_one(&self) -> Result<Sent, StoreError> {
        let now = (self.clock)();
        let Some(publication) = self.store.next_publication(now).await? else { return Ok(Sent::default()) };
        let data: Vec<Datum> = serde_json::from_str(&publication.body).unwrap_or_default();
        match self.client.put(&data).await {
            Ok(()) => {
                self.store.publication_taken(publication.id).await?;
                Ok(Sent { taken: 1, ..Sent::default() })
            }
            Err(error @ CloudWatchError::Doubtful { .. }) => {
                tracing::warn!("{error}; these metrics are not sent again");
                self.store.publication_doubted(publication.id).await?;
                Ok(Sent { doubted: 1, ..Sent::default() })
            }
            Err(error @ (CloudWatchError::Refused { .. } | CloudWatchError::Foreign(_))) => {
                let due_at = now + TimeDelta::seconds(pause(&publication));
                tracing::warn!(refusals = publication.refusals + 1, "{error}");
                self.store.publication_refused(publication.id, due_at).await?;
                Ok(Sent { refused: 1, ..Sent::default() })
            }
        }
    }
}

fn pause(publication: &Publication) -> i64 {
    let last = PAUSES.last().copied().unwrap_or(900);
    PAUSES.get(publication.refusals as usize).copied().unwrap_or(last)
}

impl std::fmt::Debug for Publisher {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Publisher").field("client", &self.client).finish_non_exhaustive()
    }
}
