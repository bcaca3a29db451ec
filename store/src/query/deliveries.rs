//! Lists of deliveries with their attempts, and how receivers stand.

use super::{
    Attempt, Cursor, Delivery, DeliveryFilter, DeliveryRow, Failing, HeartbeatRow, Listed, Page, ReceiverRow,
    unsigned,
};
use crate::codes::Coded;
use crate::commit::at;
use crate::{DeliveryKind, DeliveryState, Store, StoreError};
use keywatch_event::Level;
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

/// The columns [`delivery_from`] reads.
const SELECT: &str = "
    SELECT o.id, o.message_id, o.receiver, o.kind, o.state, a.id, a.body ->> '$.title', o.level, o.attempts,
        o.created_at, o.due_at,
        coalesce(o.reason, (SELECT error FROM attempts WHERE delivery = coalesce(o.bundle, o.id)
            ORDER BY id DESC LIMIT 1)),
        o.decided_at, o.delivered_at, o.bundle
    FROM outbox o JOIN alerts a ON a.seq = o.alert WHERE 1 = 1";

const RECEIVERS: &str = "
    SELECT n.receiver, p.at, p.reason, coalesce(sum(o.state = 0), 0), coalesce(sum(o.state = 2), 0),
        coalesce(sum(o.state = 1), 0), max(o.delivered_at), f.since, f.failures, f.probe_at, f.error,
        h.tried_at, h.accepted_at, h.error
    FROM (SELECT receiver FROM outbox UNION SELECT receiver FROM paused_receivers
        UNION SELECT receiver FROM heartbeats) n
    LEFT JOIN outbox o ON o.receiver = n.receiver
    LEFT JOIN paused_receivers p ON p.receiver = n.receiver
    LEFT JOIN failing_receivers f ON f.receiver = n.receiver
    LEFT JOIN heartbeats h ON h.receiver = n.receiver
    GROUP BY n.receiver ORDER BY n.receiver";

impl Store {
    /// Deliveries, newest first by when they were written.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn deliveries(
        &self,
        filter: &DeliveryFilter,
        page: Page,
    ) -> Result<Listed<DeliveryRow>, StoreError> {
        let failed = |source| self.failed("list deliveries", source);
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        if let Some(state) = filter.state {
            query.push(" AND o.state = ").push_bind(state.code());
        }
        if let Some(receiver) = &filter.receiver {
            query.push(" AND o.receiver = ").push_bind(receiver.clone());
        }
        if let Some(after) = page.after {
            query.push(" AND o.id < ").push_bind(after.id);
        }
        query.push(" ORDER BY o.id DESC LIMIT ").push_bind(page.read_max());
        let rows = query.build().fetch_all(self.readers()).await.map_err(failed)?;
        let paged = |row: &SqliteRow| Ok((Cursor { at: 0, id: row.try_get(0)? }, delivery_from(row)?));
        Ok(page.cut(rows.iter().map(paged).collect::<Result<_, _>>().map_err(failed)?))
    }

    /// One delivery with its attempts.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn delivery(&self, id: i64) -> Result<Option<Delivery>, StoreError> {
        let found = self.delivered("o.id", id).await.map_err(|source| self.failed("read a delivery", source));
        Ok(found?.pop())
    }

    /// Every receiver that has deliveries or is paused, by name.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn receivers(&self) -> Result<Vec<ReceiverRow>, StoreError> {
        let failed = |source| self.failed("list receivers", source);
        let rows = sqlx::query(RECEIVERS).fetch_all(self.readers()).await.map_err(failed)?;
        rows.iter().map(receiver_from).collect::<Result<_, _>>().map_err(failed)
    }

    /// Deliveries of one alert, oldest first.
    pub(super) async fn deliveries_of(&self, alert: i64) -> Result<Vec<Delivery>, sqlx::Error> {
        self.delivered("o.alert", alert).await
    }

    async fn delivered(&self, column: &str, value: i64) -> Result<Vec<Delivery>, sqlx::Error> {
        let mut query = QueryBuilder::<Sqlite>::new(SELECT);
        query.push(format!(" AND {column} = ")).push_bind(value).push(" ORDER BY o.id");
        let rows = query.build().fetch_all(self.readers()).await?;
        let mut found = Vec::with_capacity(rows.len());
        for row in &rows {
            let delivery = delivery_from(row)?;
            let attempts = self.attempts(delivery.bundle.unwrap_or(delivery.id)).await?;
            found.push(Delivery { delivery, attempts });
        }
        Ok(found)
    }

    async fn attempts(&self, delivery: i64) -> Result<Vec<Attempt>, sqlx::Error> {
        let rows = sqlx::query(
            "SELECT number, started_at, latency_ms, status, error, response FROM attempts
             WHERE delivery = ? ORDER BY id",
        )
        .bind(delivery)
        .fetch_all(self.readers())
        .await?;
        rows.iter().map(attempt_from).collect()
    }
}

fn delivery_from(row: &SqliteRow) -> Result<DeliveryRow, sqlx::Error> {
    Ok(DeliveryRow {
        id: row.try_get(0)?,
        message_id: row.try_get(1)?,
        receiver: row.try_get(2)?,
        kind: DeliveryKind::from_code(row.try_get(3)?)?,
        state: DeliveryState::from_code(row.try_get(4)?)?,
        alert_id: row.try_get(5)?,
        alert_title: row.try_get(6)?,
        level: Level::from_code(row.try_get(7)?)?,
        attempts: row.try_get(8)?,
        created_at: at(row.try_get(9)?),
        due_at: at(row.try_get(10)?),
        reason: row.try_get(11)?,
        decided_at: row.try_get::<Option<i64>, _>(12)?.map(at),
        delivered_at: row.try_get::<Option<i64>, _>(13)?.map(at),
        bundle: row.try_get(14)?,
    })
}

fn attempt_from(row: &SqliteRow) -> Result<Attempt, sqlx::Error> {
    Ok(Attempt {
        number: row.try_get(0)?,
        started_at: at(row.try_get(1)?),
        latency_ms: row.try_get(2)?,
        status: row.try_get(3)?,
        error: row.try_get(4)?,
        response_excerpt: row.try_get(5)?,
    })
}

fn receiver_from(row: &SqliteRow) -> Result<ReceiverRow, sqlx::Error> {
    let paused: (Option<i64>, Option<String>) = (row.try_get(1)?, row.try_get(2)?);
    Ok(ReceiverRow {
        name: row.try_get(0)?,
        paused: paused.0.map(at).zip(paused.1),
        pending: unsigned(row.try_get(3)?),
        dead: unsigned(row.try_get(4)?),
        delivered: unsigned(row.try_get(5)?),
        last_delivered_at: row.try_get::<Option<i64>, _>(6)?.map(at),
        failing: failing_from(row)?,
        heartbeat: heartbeat_from(row)?,
    })
}

fn failing_from(row: &SqliteRow) -> Result<Option<Failing>, sqlx::Error> {
    let Some(since) = row.try_get::<Option<i64>, _>(7)? else { return Ok(None) };
    let probe_at = row.try_get::<Option<i64>, _>(9)?.map(at);
    Ok(Some(Failing { since: at(since), failures: row.try_get(8)?, probe_at, error: row.try_get(10)? }))
}

fn heartbeat_from(row: &SqliteRow) -> Result<Option<HeartbeatRow>, sqlx::Error> {
    let Some(tried_at) = row.try_get::<Option<i64>, _>(11)? else { return Ok(None) };
    let accepted_at = row.try_get::<Option<i64>, _>(12)?.map(at);
    Ok(Some(HeartbeatRow { tried_at: at(tried_at), accepted_at, error: row.try_get(13)? }))
}
