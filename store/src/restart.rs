//! What a restart and late events need of the past: learned state, positions, and the stored
//! events that feed windows and incidents.

use crate::reading::{self, Found};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::{EventTime, Learned, Place};
use std::collections::HashMap;

/// One stored record, as it came.
#[derive(Clone, Debug)]
pub struct StoredRecord {
    /// Id of the event it was read as.
    pub event_id: String,
    /// The record, byte for byte.
    pub raw: Vec<u8>,
    /// Where it stood.
    pub place: Place,
    /// When it was taken in.
    pub received_at: DateTime<Utc>,
}

/// A stored event that may matter to a window or an incident.
#[derive(Clone, Debug)]
pub struct StoredSignal {
    /// Its record.
    pub record: StoredRecord,
    /// The rules it was classified with when it was stored, highest level first.
    pub rules: Vec<String>,
}

impl Store {
    /// Everything learned, in no order.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn learned(&self) -> Result<Vec<Learned>, StoreError> {
        let rows: Vec<(String, Vec<u8>)> = sqlx::query_as("SELECT key, state FROM learned")
            .fetch_all(self.readers())
            .await
            .map_err(|source| self.failed("read what was learned", source))?;
        Ok(rows.into_iter().map(|(key, state)| Learned { key, state }).collect())
    }

    /// Every source's position, by name.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn positions(&self) -> Result<HashMap<String, String>, StoreError> {
        let rows: Vec<(String, String)> = sqlx::query_as("SELECT source, position FROM positions")
            .fetch_all(self.readers())
            .await
            .map_err(|source| self.failed("read the positions of sources", source))?;
        Ok(rows.into_iter().collect())
    }

    /// Event time of the newest event; `None` when none is stored.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn newest(&self) -> Result<Option<EventTime>, StoreError> {
        let newest = sqlx::query_scalar("SELECT max(time) FROM events").fetch_one(self.readers()).await;
        let newest: Option<i64> =
            newest.map_err(|source| self.failed("look for the newest event", source))?;
        Ok(newest.map(|nanos| EventTime::from_unix_nanos(nanos, 9)))
    }

    /// The stored events that may still matter to a window or an incident: those whose time to
    /// matter ends no earlier than `lateness_secs` before the newest event, as was decided when
    /// they were judged. Of those within `span_secs` more, the latest `limit`, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or a stored record is damaged.
    pub async fn open_signals(
        &self,
        lateness_secs: i64,
        span_secs: i64,
        limit: u32,
    ) -> Result<Vec<StoredSignal>, StoreError> {
        let failed = |source| self.failed("read the events that windows are rebuilt from", source);
        let Some(newest) = self.newest().await? else { return Ok(Vec::new()) };
        let until = newest.plus_secs(-lateness_secs);
        let rows = sqlx::query(reading::OPEN_SIGNALS)
            .bind(until.plus_secs(-span_secs).unix_nanos())
            .bind(until.unix_nanos())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        self.signals_from(&rows).await
    }

    /// The stored events that may matter to a window or an incident and happened from `from` to
    /// `to`, both included: the `limit` nearest to the middle, oldest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or a stored record is damaged.
    pub async fn signals_between(
        &self,
        from: EventTime,
        to: EventTime,
        limit: u32,
    ) -> Result<Vec<StoredSignal>, StoreError> {
        let (from, to) = (from.unix_nanos(), to.unix_nanos());
        let rows = sqlx::query(reading::SIGNALS_BETWEEN)
            .bind(from)
            .bind(to)
            .bind(from.midpoint(to))
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(|source| self.failed("read the events around late ones", source))?;
        self.signals_from(&rows).await
    }

    async fn signals_from(&self, rows: &[sqlx::sqlite::SqliteRow]) -> Result<Vec<StoredSignal>, StoreError> {
        let mut found = self.reading().found(rows).await?;
        found.sort_by_key(|one| (one.time, one.id));
        Ok(found.into_iter().map(|Found { record, rules, .. }| StoredSignal { record, rules }).collect())
    }
}
