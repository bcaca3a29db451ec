//! How receivers fare: the circuit breaker, and their heartbeats.
//!
//! Written with the attempts it follows from, so that a restart knows it. A receiver that failed
//! [`FAILURES_MAX`] times in a row is only probed: one message at a time, [`PROBE_SECS`] apart,
//! while all others wait and use up none of their attempts. When it answers again everything that
//! waits for it is due at once: the long pauses of the schedule were for a receiver that is down.

use crate::commit::nanos;
use crate::{AttemptOutcome, Store, StoreError};
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

/// Failed attempts in a row after which a receiver is only probed.
pub const FAILURES_MAX: u32 = 5;
/// Seconds between two probes of a receiver that fails.
pub const PROBE_SECS: i64 = 30;
const PROBE_NANOS: i64 = PROBE_SECS * 1_000_000_000;

/// What an attempt says about its receiver.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Seen<'s> {
    pub(crate) receiver: &'s str,
    pub(crate) ended_at: i64,
    pub(crate) error: Option<&'s str>,
}

/// Takes an attempt into account.
pub(crate) async fn note(
    conn: &mut SqliteConnection,
    seen: &Seen<'_>,
    outcome: &AttemptOutcome,
) -> Result<(), sqlx::Error> {
    match outcome {
        AttemptOutcome::Delivered => recovered(conn, seen).await,
        AttemptOutcome::RetryAt(_) => failed(conn, seen).await,
        // It answered, or the schedule is over: the message is given up, not the receiver.
        AttemptOutcome::DeadLetter(_) => {
            sqlx::query(
                "UPDATE failing_receivers SET probe_at = ?2 WHERE receiver = ?1 AND probe_at IS NOT NULL",
            )
            .bind(seen.receiver)
            .bind(seen.ended_at.saturating_add(PROBE_NANOS))
            .execute(conn)
            .await?;
            Ok(())
        }
        AttemptOutcome::Paused(_) => forget(conn, seen.receiver).await.map(drop),
    }
}

async fn failed(conn: &mut SqliteConnection, seen: &Seen<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO failing_receivers (receiver, since, failures, error) VALUES (?1, ?2, 1, ?3)
         ON CONFLICT (receiver) DO UPDATE SET failures = failures + 1, error = ?3,
            probe_at = CASE WHEN failures + 1 >= ?4 THEN ?5 END",
    )
    .bind(seen.receiver)
    .bind(seen.ended_at)
    .bind(seen.error.unwrap_or_default())
    .bind(FAILURES_MAX)
    .bind(seen.ended_at.saturating_add(PROBE_NANOS))
    .execute(conn)
    .await?;
    Ok(())
}

async fn recovered(conn: &mut SqliteConnection, seen: &Seen<'_>) -> Result<(), sqlx::Error> {
    if forget(conn, seen.receiver).await? {
        sqlx::query(
            "UPDATE outbox SET due_at = min(due_at, ?2)
             WHERE receiver = ?1 AND state = 0 AND attempts > 0 AND leased_until IS NULL",
        )
        .bind(seen.receiver)
        .bind(seen.ended_at)
        .execute(conn)
        .await?;
    }
    Ok(())
}

/// Whether it was only being probed.
async fn forget(conn: &mut SqliteConnection, receiver: &str) -> Result<bool, sqlx::Error> {
    let gone: Option<Option<i64>> =
        sqlx::query_scalar("DELETE FROM failing_receivers WHERE receiver = ? RETURNING probe_at")
            .bind(receiver)
            .fetch_optional(conn)
            .await?;
    Ok(gone.flatten().is_some())
}

/// When a receiver is probed next; `None` when it is not only probed.
pub(crate) async fn probe_at(
    conn: &mut SqliteConnection,
    receiver: &str,
) -> Result<Option<i64>, sqlx::Error> {
    let found = sqlx::query_scalar("SELECT probe_at FROM failing_receivers WHERE receiver = ?");
    Ok(found.bind(receiver).fetch_optional(conn).await?.flatten())
}

/// A probe is under way until `until`.
pub(crate) async fn probing(
    conn: &mut SqliteConnection,
    receiver: &str,
    until: i64,
) -> Result<(), sqlx::Error> {
    sqlx::query("UPDATE failing_receivers SET probe_at = ? WHERE receiver = ? AND probe_at IS NOT NULL")
        .bind(until)
        .bind(receiver)
        .execute(conn)
        .await?;
    Ok(())
}

impl Store {
    /// Keeps what became of a heartbeat to `receiver`: accepted, or the error.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn record_heartbeat(
        &self,
        receiver: &str,
        tried_at: DateTime<Utc>,
        error: Option<&str>,
    ) -> Result<(), StoreError> {
        let failed = |source| self.failed("record a heartbeat", source);
        let mut work = self.begin().await?;
        sqlx::query(
            "INSERT INTO heartbeats (receiver, tried_at, accepted_at, error)
             VALUES (?1, ?2, CASE WHEN ?3 IS NULL THEN ?2 END, ?3)
             ON CONFLICT (receiver) DO UPDATE SET tried_at = ?2, error = ?3,
                accepted_at = CASE WHEN ?3 IS NULL THEN ?2 ELSE accepted_at END",
        )
        .bind(receiver)
        .bind(nanos(tried_at))
        .bind(error)
        .execute(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        work.commit().await.map_err(failed)
    }
}
