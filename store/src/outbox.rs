//! The outbox: what was attempted and what follows from it.
//!
//! Never sends anything. A delivery is at least once with a stable message id; deliveries of one
//! alert to one receiver come in the order they were written.

use crate::codes::Coded;
use crate::commit::nanos;
use crate::{Store, StoreError, WHO_CHARS_MAX, health};
use chrono::{DateTime, Utc};
use sqlx::SqliteConnection;

/// What a delivery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// A new alert.
    AlertOpened,
    /// Something new about it.
    AlertUpdated,
    /// It was explained; no alert any more.
    AlertWithdrawn,
    /// Somebody looks after it.
    AlertAcknowledged,
    /// Somebody is done with it.
    AlertResolved,
    /// New evidence came after somebody was done with it.
    AlertRegressed,
    /// It is still open.
    AlertReminder,
    /// Nobody has acknowledged it in time.
    AlertEscalated,
    /// It still stands, for a receiver that forgets what is not repeated.
    AlertRefreshed,
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[
        Self::AlertOpened,
        Self::AlertUpdated,
        Self::AlertWithdrawn,
        Self::AlertAcknowledged,
        Self::AlertResolved,
        Self::AlertRegressed,
        Self::AlertReminder,
        Self::AlertEscalated,
        Self::AlertRefreshed,
    ];

    /// The `type` of the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertOpened => "alert.opened",
            Self::AlertUpdated => "alert.updated",
            Self::AlertWithdrawn => "alert.withdrawn",
            Self::AlertAcknowledged => "alert.acknowledged",
            Self::AlertResolved => "alert.resolved",
            Self::AlertRegressed => "alert.regressed",
            Self::AlertReminder => "alert.reminder",
            Self::AlertEscalated => "alert.escalated",
            Self::AlertRefreshed => "alert.refreshed",
        }
    }

    /// Whether it asks for somebody's attention: what silences, groups and caps are for. What
    /// says that an alert is over, or looked after, only follows those.
    #[must_use]
    pub const fn asks_attention(self) -> bool {
        !matches!(self, Self::AlertWithdrawn | Self::AlertAcknowledged | Self::AlertResolved)
    }
}

/// Where a delivery stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryState {
    /// Waiting for its time, or in somebody's hands.
    Pending,
    /// The receiver said yes.
    Delivered,
    /// Given up; can be replayed.
    DeadLetter,
    /// Taken back before anybody was told.
    Cancelled,
}

impl DeliveryState {
    /// Every state.
    pub const ALL: &'static [Self] = &[Self::Pending, Self::Delivered, Self::DeadLetter, Self::Cancelled];

    /// The word used in links and on pages.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Pending => "pending",
            Self::Delivered => "delivered",
            Self::DeadLetter => "dead_letter",
            Self::Cancelled => "cancelled",
        }
    }
}

/// What an attempt saw.
#[derive(Clone, Debug)]
pub struct AttemptRecord {
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// How long it took, milliseconds.
    pub latency_ms: u32,
    /// HTTP status, when there was an answer.
    pub status: Option<u16>,
    /// What went wrong.
    pub error: Option<String>,
    /// Beginning of the answer.
    pub response_excerpt: Option<String>,
}

/// What follows from an attempt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum AttemptOutcome {
    /// The receiver said yes.
    Delivered,
    /// Try again then.
    RetryAt(DateTime<Utc>),
    /// Give up, for this reason.
    DeadLetter(String),
    /// Stop sending to this receiver at all until [`Store::resume_receiver`]; the delivery waits.
    Paused(String),
}

impl Store {
    /// Records an attempt and what follows from it. `false` when the lease was lost: somebody
    /// else has the delivery now, and nothing was recorded.
    ///
    /// A delivery that was taken back while the attempt was under way stays taken back, unless
    /// the receiver has said yes.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn record_attempt(
        &self,
        id: i64,
        lease: &str,
        attempt: &AttemptRecord,
        outcome: AttemptOutcome,
    ) -> Result<bool, StoreError> {
        let failed = |source| self.failed("record an attempt to deliver", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let held = held(conn, id, lease).await.map_err(failed)?;
        if let Some(held) = &held {
            write_attempt(conn, id, held.attempts + 1, attempt).await.map_err(failed)?;
            settle(conn, held, attempt, outcome).await.map_err(failed)?;
            let ended_at =
                nanos(attempt.started_at).saturating_add(i64::from(attempt.latency_ms) * 1_000_000);
            release_followers(conn, held, ended_at).await.map_err(failed)?;
        }
        work.commit().await.map_err(failed)?;
        Ok(held.is_some())
    }

    /// Sends a delivery again, under its own message id, with a fresh schedule, and with it those
    /// that went out in the same message; each alert's history says that `who` asked for it. `false`
    /// when there is no such delivery or it is pending anyway.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn replay(&self, id: i64, who: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let failed = |source| self.failed("replay a delivery", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let again: Vec<(i64, String)> = sqlx::query_as(
            "UPDATE outbox SET state = 0, due_at = ?1, attempts = 0, leased_until = NULL, reason = NULL,
                reported = 0
             WHERE state <> 0 AND (id = ?2 OR bundle = (SELECT bundle FROM outbox WHERE id = ?2))
             RETURNING alert, receiver",
        )
        .bind(nanos(now))
        .bind(id)
        .fetch_all(&mut *conn)
        .await
        .map_err(failed)?;
        note_again(conn, &again, who, now).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(!again.is_empty())
    }

    /// Sends everything again that was given up for `receiver`, because `who` asked for it; yields
    /// how many messages.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn replay_all(&self, receiver: &str, who: &str, now: DateTime<Utc>) -> Result<u64, StoreError> {
        let failed = |source| self.failed("replay what was given up", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let again: Vec<(i64, String)> = sqlx::query_as(
            "UPDATE outbox SET state = 0, due_at = ?, attempts = 0, leased_until = NULL, reason = NULL,
                reported = 0 WHERE receiver = ? AND state = 2 RETURNING alert, receiver",
        )
        .bind(nanos(now))
        .bind(receiver)
        .fetch_all(&mut *conn)
        .await
        .map_err(failed)?;
        note_again(conn, &again, who, now).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(again.len() as u64)
    }

    /// Lets a paused receiver receive again. `false` when it was not paused.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn resume_receiver(&self, name: &str) -> Result<bool, StoreError> {
        let failed = |source| self.failed("resume a receiver", source);
        let mut work = self.begin().await?;
        let resume = sqlx::query("DELETE FROM paused_receivers WHERE receiver = ?").bind(name);
        let done = resume.execute(&mut work.desk.conn).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
    }
}

/// In the history of each alert, that its message to a receiver is sent again, and who asked.
async fn note_again(
    conn: &mut SqliteConnection,
    again: &[(i64, String)],
    who: &str,
    now: DateTime<Utc>,
) -> Result<(), sqlx::Error> {
    let who: String = who.chars().take(WHO_CHARS_MAX).collect();
    for (alert, receiver) in again {
        sqlx::query("INSERT INTO alert_history (alert, at, what, detail, who) VALUES (?, ?, ?, ?, ?)")
            .bind(alert)
            .bind(nanos(now))
            .bind("message")
            .bind(format!("sent again to {receiver}"))
            .bind(&who)
            .execute(&mut *conn)
            .await?;
    }
    Ok(())
}

/// Counting leases makes each one unique without a random number.
pub(crate) fn lease_text(id: i64, leases: i64) -> String {
    format!("{id}-{leases}")
}

/// A delivery whose lease the caller still holds.
#[derive(Debug)]
struct Held {
    id: i64,
    receiver: String,
    attempts: i64,
    state: DeliveryState,
    leased_until: Option<i64>,
}

/// Receiver, attempts, state, leases, and until when it is leased.
type Row = (String, i64, i64, i64, Option<i64>);

async fn held(conn: &mut SqliteConnection, id: i64, lease: &str) -> Result<Option<Held>, sqlx::Error> {
    let query = "SELECT receiver, attempts, state, leases, leased_until FROM outbox
                 WHERE id = ? AND leased_until IS NOT NULL AND state IN (0, 3)";
    let found: Option<Row> = sqlx::query_as(query).bind(id).fetch_optional(conn).await?;
    let Some((receiver, attempts, state, leases, leased_until)) = found else { return Ok(None) };
    let state = DeliveryState::from_code(state)?;
    let held = Held { id, receiver, attempts, state, leased_until };
    Ok((lease_text(id, leases) == lease).then_some(held))
}

async fn write_attempt(
    conn: &mut SqliteConnection,
    id: i64,
    number: i64,
    attempt: &AttemptRecord,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO attempts (delivery, number, started_at, latency_ms, status, error, response)
         VALUES (?, ?, ?, ?, ?, ?, ?)",
    )
    .bind(id)
    .bind(number)
    .bind(nanos(attempt.started_at))
    .bind(i64::from(attempt.latency_ms))
    .bind(attempt.status.map(i64::from))
    .bind(&attempt.error)
    .bind(&attempt.response_excerpt)
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives the lease back and writes what follows from the attempt, for every row of the message.
async fn settle(
    conn: &mut SqliteConnection,
    held: &Held,
    attempt: &AttemptRecord,
    outcome: AttemptOutcome,
) -> Result<(), sqlx::Error> {
    let ended_at = nanos(attempt.started_at).saturating_add(i64::from(attempt.latency_ms) * 1_000_000);
    let seen = health::Seen { receiver: &held.receiver, ended_at, error: attempt.error.as_deref() };
    health::note(conn, &seen, &outcome).await?;
    let (state, due_at, delivered_at, reason) = match outcome {
        AttemptOutcome::Delivered => (DeliveryState::Delivered, None, Some(ended_at), None),
        AttemptOutcome::RetryAt(due) => (held.state, Some(nanos(due)), None, None),
        AttemptOutcome::DeadLetter(_) if held.state == DeliveryState::Cancelled => {
            (held.state, None, None, None)
        }
        AttemptOutcome::DeadLetter(reason) => (DeliveryState::DeadLetter, None, None, Some(reason)),
        AttemptOutcome::Paused(reason) => {
            pause(conn, &held.receiver, ended_at, &reason).await?;
            (held.state, None, None, None)
        }
    };
    sqlx::query(
        "UPDATE outbox SET state = ?1, attempts = attempts + 1, leased_until = NULL,
            due_at = coalesce(?2, due_at), delivered_at = coalesce(?3, delivered_at),
            reason = CASE WHEN ?1 = 1 THEN NULL ELSE coalesce(?4, reason) END
         WHERE id = ?5 OR bundle = ?5",
    )
    .bind(state.code())
    .bind(due_at)
    .bind(delivered_at)
    .bind(reason)
    .bind(held.id)
    .execute(conn)
    .await?;
    Ok(())
}

/// What follows about the same alerts waited for the end of this attempt at the latest until its
/// lease would have ended ([`crate::tell::follow`]): it need not wait any longer.
async fn release_followers(conn: &mut SqliteConnection, held: &Held, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET due_at = ?1
         WHERE receiver = ?2 AND state = 0 AND leases = 0 AND due_at = ?3 AND due_at > ?1
           AND alert IN (SELECT alert FROM outbox WHERE id = ?4 OR bundle = ?4)",
    )
    .bind(now)
    .bind(&held.receiver)
    .bind(held.leased_until)
    .bind(held.id)
    .execute(conn)
    .await?;
    Ok(())
}

async fn pause(
    conn: &mut SqliteConnection,
    receiver: &str,
    now: i64,
    reason: &str,
) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO paused_receivers (receiver, at, reason) VALUES (?, ?, ?) ON CONFLICT DO NOTHING",
    )
    .bind(receiver)
    .bind(now)
    .bind(reason)
    .execute(conn)
    .await?;
    Ok(())
}
