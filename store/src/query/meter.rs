//! What monitoring asks: how much waits, and what is new since it last asked.

use super::unsigned;
use crate::codes::Coded;
use crate::commit::at;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::Level;

/// Most new alerts and attempts one look reads; the rest comes with the next look.
const NEW_MAX: i64 = 10_000;

/// How far somebody has read alerts and attempts.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Seen {
    alert: i64,
    attempt: i64,
}

/// What is new, and how much waits.
#[derive(Clone, Debug, Default)]
pub struct Meter {
    /// How far this went.
    pub seen: Seen,
    /// Alerts opened since: rule and level of each.
    pub alerts: Vec<(String, Level)>,
    /// Attempts made since.
    pub attempts: Vec<AttemptMade>,
    /// Deliveries that wait or were given up, per receiver.
    pub queues: Vec<Queue>,
}

/// One attempt at a delivery.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AttemptMade {
    /// Whom it was to tell.
    pub receiver: String,
    /// The status of the answer, where there is one.
    pub status: Option<i64>,
    /// Whether it went wrong.
    pub failed: bool,
    /// How long it took, milliseconds.
    pub latency_ms: u64,
}

/// The deliveries of one receiver.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Queue {
    /// The receiver's name.
    pub receiver: String,
    /// Deliveries that wait.
    pub pending: u64,
    /// Deliveries that were given up.
    pub dead: u64,
    /// When the oldest that waits was written.
    pub oldest_at: Option<DateTime<Utc>>,
}

impl Store {
    /// Where alerts and attempts end now: what is there already is not new.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn seen(&self) -> Result<Seen, StoreError> {
        let sql =
            "SELECT coalesce((SELECT max(seq) FROM alerts), 0), coalesce((SELECT max(id) FROM attempts), 0)";
        let found: Result<(i64, i64), _> = sqlx::query_as(sql).fetch_one(self.readers()).await;
        let (alert, attempt) = found.map_err(|source| self.failed("look where alerts end", source))?;
        Ok(Seen { alert, attempt })
    }

    /// What is new since `seen`, and how much waits.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn meter(&self, seen: Seen) -> Result<Meter, StoreError> {
        self.read_meter(seen).await.map_err(|source| self.failed("measure what is new", source))
    }

    async fn read_meter(&self, seen: Seen) -> Result<Meter, sqlx::Error> {
        let mut moment = self.readers().begin().await?;
        let alerts: Vec<(i64, String, i64)> =
            sqlx::query_as("SELECT seq, rule, level FROM alerts WHERE seq > ? ORDER BY seq LIMIT ?")
                .bind(seen.alert)
                .bind(NEW_MAX)
                .fetch_all(&mut *moment)
                .await?;
        let attempts: Vec<(i64, String, Option<i64>, bool, i64)> = sqlx::query_as(
            "SELECT a.id, o.receiver, a.status, a.error IS NOT NULL, a.latency_ms
             FROM attempts a JOIN outbox o ON o.id = a.delivery WHERE a.id > ? ORDER BY a.id LIMIT ?",
        )
        .bind(seen.attempt)
        .bind(NEW_MAX)
        .fetch_all(&mut *moment)
        .await?;
        // Receivers of the past have no row that waits and are left out.
        let queues: Vec<(String, i64, i64, Option<i64>)> = sqlx::query_as(
            "SELECT receiver, sum(state = 0), sum(state = 2), min(CASE WHEN state = 0 THEN created_at END)
             FROM outbox WHERE state IN (0, 2) GROUP BY receiver ORDER BY receiver",
        )
        .fetch_all(&mut *moment)
        .await?;
        let latest = Seen {
            alert: alerts.last().map_or(seen.alert, |(seq, ..)| *seq),
            attempt: attempts.last().map_or(seen.attempt, |(id, ..)| *id),
        };
        let level = |(_, rule, level): (i64, String, i64)| Ok((rule, Level::from_code(level)?));
        Ok(Meter {
            seen: latest,
            alerts: alerts.into_iter().map(level).collect::<Result<_, sqlx::Error>>()?,
            attempts: attempts.into_iter().map(attempt).collect(),
            queues: queues.into_iter().map(queue).collect(),
        })
    }
}

fn attempt((_, receiver, status, failed, latency): (i64, String, Option<i64>, bool, i64)) -> AttemptMade {
    AttemptMade { receiver, status, failed, latency_ms: unsigned(latency) }
}

fn queue((receiver, pending, dead, oldest): (String, i64, i64, Option<i64>)) -> Queue {
    Queue { receiver, pending: unsigned(pending), dead: unsigned(dead), oldest_at: oldest.map(at) }
}
