//! The outbox: who is to be told what, leased, attempted and recorded.
//!
//! Never sends anything. A delivery is at least once with a stable message id; deliveries of one
//! alert to one receiver come in the order they were written.

use crate::codes::Coded;
use crate::commit::{at, nanos};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use sqlx::sqlite::SqliteRow;
use sqlx::{Row, SqliteConnection};

/// What a delivery tells.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum DeliveryKind {
    /// A new alert.
    AlertOpened,
    /// Something new about it.
    AlertUpdated,
    /// It was explained; no alert any more.
    AlertWithdrawn,
}

impl DeliveryKind {
    /// Every kind.
    pub const ALL: &'static [Self] = &[Self::AlertOpened, Self::AlertUpdated, Self::AlertWithdrawn];

    /// The `type` of the message.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::AlertOpened => "alert.opened",
            Self::AlertUpdated => "alert.updated",
            Self::AlertWithdrawn => "alert.withdrawn",
        }
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

/// One delivery in the caller's hands until its lease ends.
#[derive(Clone, Debug)]
pub struct LeasedDelivery {
    /// Number of the delivery.
    pub id: i64,
    /// Stable id the receiver sees: the same at every attempt; letters, digits and `_`.
    pub message_id: String,
    /// To whom.
    pub receiver: String,
    /// What is told.
    pub kind: DeliveryKind,
    /// Number of the attempt now to be made, from 1.
    pub attempt: u32,
    /// The alert in its public JSON form.
    pub alert_json: String,
    /// Why it was withdrawn, for [`DeliveryKind::AlertWithdrawn`].
    pub note: Option<String>,
    /// When the delivery was written.
    pub created_at: DateTime<Utc>,
    /// Proof of the lease, for [`Store::record_attempt`].
    pub lease: String,
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
    /// Takes what is due for `receiver` into the caller's hands for `lease_secs`.
    ///
    /// Due is a pending delivery whose time has come and which nobody holds, or whose lease has
    /// ended, and which no earlier pending delivery of the same alert precedes. Earliest due
    /// first, then most urgent. Nothing while the receiver is paused.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written.
    pub async fn lease_due(
        &self,
        receiver: &str,
        now: DateTime<Utc>,
        lease_secs: u32,
        limit: u32,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let failed = |source| self.failed("lease deliveries", source);
        let now = nanos(now);
        let until = now.saturating_add(i64::from(lease_secs) * 1_000_000_000);
        let mut work = self.begin().await?;
        let rows = sqlx::query(DUE)
            .bind(receiver)
            .bind(now)
            .bind(i64::from(limit))
            .fetch_all(&mut work.desk.conn)
            .await
            .map_err(failed)?;
        let leased: Vec<LeasedDelivery> =
            rows.iter().map(leased_from).collect::<Result<_, _>>().map_err(failed)?;
        for delivery in &leased {
            sqlx::query("UPDATE outbox SET leases = leases + 1, leased_until = ? WHERE id = ?")
                .bind(until)
                .bind(delivery.id)
                .execute(&mut work.desk.conn)
                .await
                .map_err(failed)?;
        }
        work.commit().await.map_err(failed)?;
        Ok(leased)
    }

    /// When [`Self::lease_due`] will next have something for `receiver`: its earliest due time or
    /// end of lease. `None` when nothing is pending or the receiver is paused.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn next_due(&self, receiver: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let next: Option<i64> = sqlx::query_scalar(NEXT)
            .bind(receiver)
            .fetch_one(self.readers())
            .await
            .map_err(|source| self.failed("find the next delivery", source))?;
        Ok(next.map(at))
    }

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
        }
        work.commit().await.map_err(failed)?;
        Ok(held.is_some())
    }

    /// Sends a delivery again, under its own message id, with a fresh schedule. `false` when
    /// there is no such delivery or it is pending anyway.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn replay(&self, id: i64, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let failed = |source| self.failed("replay a delivery", source);
        let mut work = self.begin().await?;
        let done = sqlx::query(
            "UPDATE outbox SET state = 0, due_at = ?, attempts = 0, leased_until = NULL, reason = NULL
             WHERE id = ? AND state <> 0",
        )
        .bind(nanos(now))
        .bind(id)
        .execute(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(done.rows_affected() > 0)
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

/// `receiver`, `now`, `limit`.
const DUE: &str = "
    SELECT o.id, o.message_id, o.receiver, o.kind, o.attempts + 1, o.body, o.note, o.created_at, o.leases + 1
    FROM outbox o
    WHERE o.receiver = ?1 AND o.state = 0 AND o.due_at <= ?2
      AND (o.leased_until IS NULL OR o.leased_until <= ?2)
      AND NOT EXISTS (SELECT 1 FROM outbox p
            WHERE p.alert = o.alert AND p.receiver = o.receiver AND p.id < o.id AND p.state = 0)
      AND NOT EXISTS (SELECT 1 FROM paused_receivers WHERE receiver = ?1)
    ORDER BY o.due_at, o.level DESC, o.id LIMIT ?3";

/// `receiver`. The same conditions as [`DUE`], without the time.
const NEXT: &str = "
    SELECT min(max(o.due_at, coalesce(o.leased_until, o.due_at)))
    FROM outbox o
    WHERE o.receiver = ?1 AND o.state = 0
      AND NOT EXISTS (SELECT 1 FROM outbox p
            WHERE p.alert = o.alert AND p.receiver = o.receiver AND p.id < o.id AND p.state = 0)
      AND NOT EXISTS (SELECT 1 FROM paused_receivers WHERE receiver = ?1)";

fn leased_from(row: &SqliteRow) -> Result<LeasedDelivery, sqlx::Error> {
    let id: i64 = row.try_get(0)?;
    let leases: i64 = row.try_get(8)?;
    Ok(LeasedDelivery {
        id,
        message_id: row.try_get(1)?,
        receiver: row.try_get(2)?,
        kind: DeliveryKind::from_code(row.try_get(3)?)?,
        attempt: row.try_get(4)?,
        alert_json: row.try_get(5)?,
        note: row.try_get(6)?,
        created_at: at(row.try_get(7)?),
        lease: lease_text(id, leases),
    })
}

/// Counting leases makes each one unique without a random number.
fn lease_text(id: i64, leases: i64) -> String {
    format!("{id}-{leases}")
}

/// A delivery whose lease the caller still holds.
#[derive(Debug)]
struct Held {
    id: i64,
    receiver: String,
    attempts: i64,
    state: DeliveryState,
}

async fn held(conn: &mut SqliteConnection, id: i64, lease: &str) -> Result<Option<Held>, sqlx::Error> {
    let query = "SELECT receiver, attempts, state, leases FROM outbox
                 WHERE id = ? AND leased_until IS NOT NULL AND state IN (0, 3)";
    let found: Option<(String, i64, i64, i64)> = sqlx::query_as(query).bind(id).fetch_optional(conn).await?;
    let Some((receiver, attempts, state, leases)) = found else { return Ok(None) };
    let held = Held { id, receiver, attempts, state: DeliveryState::from_code(state)? };
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

/// Gives the lease back and writes what follows from the attempt.
async fn settle(
    conn: &mut SqliteConnection,
    held: &Held,
    attempt: &AttemptRecord,
    outcome: AttemptOutcome,
) -> Result<(), sqlx::Error> {
    let ended_at = nanos(attempt.started_at).saturating_add(i64::from(attempt.latency_ms) * 1_000_000);
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
         WHERE id = ?5",
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
