//! Undoing what somebody did with several alerts at once.
//!
//! Receivers hear of such an action half a minute later, so that a slip of the hand is taken back
//! before anybody was told. Whoever was told already is told how it is now. Invariant: an alert that
//! changed after the action is left alone.

use crate::alerts::Telling;
use crate::codes::Coded;
use crate::commit::{at, nanos};
use crate::tell::{self, Told};
use crate::{AlertStatus, DeliveryKind, DeliveryState, Routing, Store, StoreError, WHO_CHARS_MAX};
use chrono::{DateTime, Utc};

/// How long messages about an action that can be undone wait. Seconds.
pub const UNDO_SECS: u32 = 30;
/// Most actions that are kept; with 5,000 alerts each they are half a million short rows.
const ACTIONS_MAX: i64 = 100;

/// What somebody did with several alerts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ActionTaken {
    /// Its number.
    pub id: i64,
    /// In words, with the person: `acknowledged by ada`.
    pub what: String,
    /// When.
    pub at: DateTime<Utc>,
    /// How many alerts it changed.
    pub alerts: u64,
    /// Who undid it, when.
    pub undone: Option<(String, DateTime<Utc>)>,
}

/// What came of undoing an action.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Undone {
    /// Alerts that are as they were before.
    pub restored: u64,
    /// Alerts that have changed since, and were left.
    pub left: u64,
}

/// An alert as it was before an action.
#[derive(Debug, sqlx::FromRow)]
struct Before {
    alert: i64,
    id: String,
    status: i64,
    regressed: i64,
    changed: bool,
}

impl Store {
    /// Notes that something is about to be done that can be undone; yields its number, for
    /// [`Handling::undoable`](crate::Handling). Forgets all but the latest hundred.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn begin_action(&self, what: &str, who: &str, now: DateTime<Utc>) -> Result<i64, StoreError> {
        let failed = |source| self.failed("note an action", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let who: String = who.chars().take(WHO_CHARS_MAX).collect();
        let begun = sqlx::query("INSERT INTO actions (at, who, what) VALUES (?, ?, ?)")
            .bind(nanos(now))
            .bind(who)
            .bind(what)
            .execute(&mut *conn)
            .await
            .map_err(failed)?;
        let id = begun.last_insert_rowid();
        for table in ["action_alerts WHERE action", "actions WHERE id"] {
            let forget = sqlx::AssertSqlSafe(format!("DELETE FROM {table} <= ?"));
            sqlx::query(forget).bind(id - ACTIONS_MAX).execute(&mut *conn).await.map_err(failed)?;
        }
        work.commit().await.map_err(failed)?;
        Ok(id)
    }

    /// An action by its number, while it is kept.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn action(&self, id: i64) -> Result<Option<ActionTaken>, StoreError> {
        type Row = (String, i64, i64, Option<i64>, Option<String>);
        let failed = |source| self.failed("read an action", source);
        let row: Option<Row> = sqlx::query_as(
            "SELECT what, at, (SELECT count(*) FROM action_alerts WHERE action = ?1), undone_at, undone_by
             FROM actions WHERE id = ?1",
        )
        .bind(id)
        .fetch_optional(self.readers())
        .await
        .map_err(failed)?;
        Ok(row.map(|(what, taken_at, alerts, undone_at, undone_by)| ActionTaken {
            id,
            what,
            at: at(taken_at),
            alerts: u64::try_from(alerts).unwrap_or_default(),
            undone: undone_by.zip(undone_at.map(at)),
        }))
    }

    /// Makes every alert of an action what it was before, except those that have changed since.
    /// `None` when the action is not known or was undone already.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written; then nothing was undone.
    pub async fn undo(
        &self,
        id: i64,
        who: &str,
        now: DateTime<Utc>,
        routing: &dyn Routing,
    ) -> Result<Option<Undone>, StoreError> {
        let failed = |source| self.failed("undo an action", source);
        let mut work = self.begin().await?;
        let who: String = who.chars().take(WHO_CHARS_MAX).collect();
        let now = nanos(now);
        let what: Option<String> = sqlx::query_scalar(
            "UPDATE actions SET undone_at = ?, undone_by = ? WHERE id = ? AND undone_at IS NULL RETURNING what",
        )
        .bind(now)
        .bind(&who)
        .bind(id)
        .fetch_optional(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        let Some(what) = what else { return Ok(None) };
        let mut telling = Telling { conn: &mut work.desk.conn, routing, now, decided_at: now };
        let undone = telling.undo(id, &format!("{what}; undone by {who}"), &who).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(Some(undone))
    }
}

impl Telling<'_> {
    /// Keeps how an alert is before an action changes it.
    pub(crate) async fn remember(&mut self, action: i64, seq: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "INSERT INTO action_alerts (action, alert, revision, status, regressed, open_since,
                acknowledged_at, acknowledged_by, resolved_at, resolved_by, resolution)
             SELECT ?1, seq, revision + 1, status, regressed, open_since, acknowledged_at, acknowledged_by,
                resolved_at, resolved_by, resolution FROM alerts WHERE seq = ?2",
        )
        .bind(action)
        .bind(seq)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    async fn undo(&mut self, action: i64, words: &str, who: &str) -> Result<Undone, sqlx::Error> {
        let all: Vec<Before> = sqlx::query_as(
            "SELECT b.alert, a.id, b.status, b.regressed, a.revision <> b.revision AS changed
             FROM action_alerts b JOIN alerts a ON a.seq = b.alert WHERE b.action = ? ORDER BY b.alert",
        )
        .bind(action)
        .fetch_all(&mut *self.conn)
        .await?;
        let mut undone = Undone::default();
        for before in all {
            if before.changed {
                undone.left += 1;
                continue;
            }
            self.restore(action, before.alert).await?;
            self.note_by(before.alert, "undone", words, Some(who)).await?;
            self.take_back(action, &before, words).await?;
            undone.restored += 1;
        }
        Ok(undone)
    }

    async fn restore(&mut self, action: i64, seq: i64) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE alerts SET (status, regressed, open_since, acknowledged_at, acknowledged_by, resolved_at,
                    resolved_by, resolution)
                = (SELECT status, regressed, open_since, acknowledged_at, acknowledged_by, resolved_at,
                    resolved_by, resolution FROM action_alerts WHERE action = ?1 AND alert = ?2),
                revision = revision + 1, changed_at = ?3 WHERE seq = ?2",
        )
        .bind(action)
        .bind(seq)
        .bind(self.now)
        .execute(&mut *self.conn)
        .await?;
        Ok(())
    }

    /// What the action took back waits again, what it wrote and nobody has begun to send is taken
    /// back, and whoever may have heard of it is told how the alert is now.
    async fn take_back(&mut self, action: i64, before: &Before, words: &str) -> Result<(), sqlx::Error> {
        sqlx::query(
            "UPDATE outbox SET state = 0, reason = NULL, action = NULL WHERE action = ? AND alert = ? AND state = ?",
        )
        .bind(action)
        .bind(before.alert)
        .bind(DeliveryState::Cancelled.code())
        .execute(&mut *self.conn)
        .await?;
        sqlx::query(
            "UPDATE outbox SET state = ?, reason = ? WHERE action = ? AND alert = ? AND state = 0 AND leases = 0",
        )
        .bind(DeliveryState::Cancelled.code())
        .bind(words)
        .bind(action)
        .bind(before.alert)
        .execute(&mut *self.conn)
        .await?;
        let heard: Vec<(String, i64)> = sqlx::query_as(
            "SELECT receiver, max(coalesce(leased_until, 0)) FROM outbox
             WHERE action = ? AND alert = ? AND leases > 0 GROUP BY receiver ORDER BY receiver",
        )
        .bind(action)
        .bind(before.alert)
        .fetch_all(&mut *self.conn)
        .await?;
        let Some(known) = self.find_named(&before.id).await? else { return Ok(()) };
        for (receiver, leased_until) in heard.iter().filter(|(name, _)| self.routing.knows(name)) {
            let told = Told {
                receiver,
                kind: kind_of(before)?,
                created_at: self.now,
                decided_at: self.decided_at,
                // Not before an attempt under way has ended.
                due_at: self.now.max(*leased_until),
                group: None,
                note: Some(words),
            };
            tell::write(self.conn, &known.news()?, &told).await?;
        }
        Ok(())
    }
}

/// What says how an alert is now.
fn kind_of(before: &Before) -> Result<DeliveryKind, sqlx::Error> {
    Ok(match AlertStatus::from_code(before.status)? {
        AlertStatus::Open if before.regressed != 0 => DeliveryKind::AlertRegressed,
        AlertStatus::Open => DeliveryKind::AlertOpened,
        AlertStatus::Acknowledged => DeliveryKind::AlertAcknowledged,
        AlertStatus::Resolved => DeliveryKind::AlertResolved,
        AlertStatus::Withdrawn => DeliveryKind::AlertWithdrawn,
    })
}
