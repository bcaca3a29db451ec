//! Saying again that an alert still needs somebody: reminders, escalations, and the refreshing of
//! receivers that forget what is not repeated.
//!
//! Which alerts those are is looked up without holding up the pipeline; whether each still is one
//! is asked once more in the transaction that writes the message.

use crate::alerts::Telling;
use crate::codes::Coded;
use crate::commit::{at, nanos};
use crate::tell::{self, Told};
use crate::{AlertStatus, Choice, DeliveryKind, Routing, Store, StoreError, decisions};
use chrono::{DateTime, Utc};
use keywatch_event::Level;

/// Most alerts one look finds. The rest is found by the next one.
const FOUND_MAX: i64 = 500;

/// An alert that still stands, and a receiver that knows of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Standing {
    /// The alert's id.
    pub alert: String,
    /// Its level.
    pub level: Level,
    /// The receiver.
    pub receiver: String,
    /// When the receiver last accepted a message about it.
    pub told_at: DateTime<Utc>,
}

/// Which alerts still stand.
#[derive(Clone, Copy, Debug)]
pub struct StandingFilter<'f> {
    /// Of this level.
    pub level: Level,
    /// Known to this receiver only.
    pub receiver: Option<&'f str>,
    /// Also when somebody looks after it.
    pub acknowledged: bool,
    /// Last told before.
    pub told_before: DateTime<Utc>,
    /// Opened since (event time).
    pub opened_since: DateTime<Utc>,
}

/// One message to say it again.
#[derive(Clone, Copy, Debug)]
pub struct Urging<'u> {
    /// The alert's id.
    pub alert: &'u str,
    /// The receiver.
    pub receiver: &'u str,
    /// [`DeliveryKind::AlertReminder`], [`DeliveryKind::AlertEscalated`] or
    /// [`DeliveryKind::AlertRefreshed`].
    pub kind: DeliveryKind,
    /// Why, for the alert's page.
    pub reason: &'u str,
}

impl Store {
    /// Alerts that still stand, with each receiver that accepted a message about it and has none
    /// waiting.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn standing(&self, filter: &StandingFilter<'_>) -> Result<Vec<Standing>, StoreError> {
        let failed = |source| self.failed("find alerts that still stand", source);
        let rows: Vec<(String, String, i64)> = sqlx::query_as(
            "SELECT a.id, o.receiver, max(o.delivered_at) AS told
             FROM alerts a JOIN outbox o ON o.alert = a.seq
             WHERE a.status IN (0, ?1) AND a.level = ?2 AND a.opened_at >= ?3
               AND (?4 IS NULL OR o.receiver = ?4)
             GROUP BY a.seq, o.receiver
             HAVING told <= ?5 AND sum(o.state = 0) = 0
             ORDER BY told LIMIT ?6",
        )
        .bind(if filter.acknowledged { AlertStatus::Acknowledged.code() } else { AlertStatus::Open.code() })
        .bind(filter.level.code())
        .bind(nanos(filter.opened_since))
        .bind(filter.receiver)
        .bind(nanos(filter.told_before))
        .bind(FOUND_MAX)
        .fetch_all(self.readers())
        .await
        .map_err(failed)?;
        let standing =
            |(alert, receiver, told)| Standing { alert, level: filter.level, receiver, told_at: at(told) };
        Ok(rows.into_iter().map(standing).collect())
    }

    /// Alerts of `level` or above that nobody has acknowledged since `open_before`, that are not
    /// muted, and of which `receiver` was not told by an escalation since they opened.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn unacknowledged(
        &self,
        level: Level,
        open_before: DateTime<Utc>,
        receiver: &str,
    ) -> Result<Vec<String>, StoreError> {
        let failed = |source| self.failed("find alerts nobody has acknowledged", source);
        sqlx::query_scalar(
            "SELECT a.id FROM alerts a
             WHERE a.status = 0 AND a.level >= ?1 AND coalesce(a.open_since, a.received_at) <= ?2
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert = a.seq AND o.state = 0 AND o.held_by IS NOT NULL)
               AND NOT EXISTS (SELECT 1 FROM outbox o WHERE o.alert = a.seq AND o.receiver = ?3 AND o.kind = ?4
                   AND o.created_at >= coalesce(a.open_since, a.received_at))
             ORDER BY a.seq LIMIT ?5",
        )
        .bind(level.code())
        .bind(nanos(open_before))
        .bind(receiver)
        .bind(DeliveryKind::AlertEscalated.code())
        .bind(FOUND_MAX)
        .fetch_all(self.readers())
        .await
        .map_err(failed)
    }

    /// Writes messages that say again what still stands; yields how many. An alert that somebody
    /// has acknowledged or resolved meanwhile is passed over.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written; then none was.
    pub async fn urge(
        &self,
        urgings: &[Urging<'_>],
        now: DateTime<Utc>,
        routing: &dyn Routing,
    ) -> Result<usize, StoreError> {
        let failed = |source| self.failed("write a reminder", source);
        if urgings.is_empty() {
            return Ok(0);
        }
        let mut work = self.begin().await?;
        let mut written = 0;
        for urging in urgings {
            let nanos = nanos(now);
            let telling = Telling { conn: &mut work.desk.conn, routing, now: nanos, decided_at: nanos };
            written += usize::from(telling.urge(urging).await.map_err(failed)?);
        }
        work.commit().await.map_err(failed)?;
        Ok(written)
    }
}

impl Telling<'_> {
    async fn urge(mut self, urging: &Urging<'_>) -> Result<bool, sqlx::Error> {
        let Some(known) = self.find_named(urging.alert).await? else { return Ok(false) };
        let refreshed = urging.kind == DeliveryKind::AlertRefreshed;
        let stands = match AlertStatus::from_code(known.status)? {
            AlertStatus::Open => true,
            AlertStatus::Acknowledged => refreshed,
            AlertStatus::Resolved | AlertStatus::Withdrawn => false,
        };
        if !stands {
            return Ok(false);
        }
        if refreshed {
            // One is enough to show: at one a minute they would otherwise pile up.
            self.drop_refreshed(known.seq, urging.receiver).await?;
        }
        let told = Told {
            receiver: urging.receiver,
            kind: urging.kind,
            created_at: self.now,
            decided_at: self.decided_at,
            due_at: self.now,
            group: None,
            note: Some(urging.reason),
        };
        let delivery = tell::write(self.conn, &known.news()?, &told).await?;
        let decided = decisions::Decided {
            alert: known.seq,
            receiver: urging.receiver,
            at: self.decided_at,
            choice: Choice::Told,
            reason: urging.reason,
            delivery,
        };
        decisions::write(self.conn, &decided).await?;
        Ok(true)
    }

    async fn drop_refreshed(&mut self, alert: i64, receiver: &str) -> Result<(), sqlx::Error> {
        for sql in [
            "DELETE FROM attempts WHERE delivery IN (SELECT id FROM outbox
             WHERE alert = ? AND receiver = ? AND kind = 8 AND state = 1)",
            "DELETE FROM outbox WHERE alert = ? AND receiver = ? AND kind = 8 AND state = 1",
        ] {
            sqlx::query(sql).bind(alert).bind(receiver).execute(&mut *self.conn).await?;
        }
        Ok(())
    }
}
