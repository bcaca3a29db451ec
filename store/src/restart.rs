//! What a restart needs: learned state, positions, and the stored events that feed windows.

use crate::commit::at;
use crate::query::place_from;
use crate::{Store, StoreError, raw};
use chrono::{DateTime, Utc};
use keywatch_event::{EventTime, Learned, Place};
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
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

    /// The stored events that can matter to a window or an incident and happened at or after
    /// `since`: the latest `limit` of them, oldest first. Which those are was decided when they
    /// were committed: every failure, every change, every assumed role, and everything a rule
    /// found worth more than `info`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or a stored record is damaged.
    pub async fn signals_since(&self, since: EventTime, limit: u32) -> Result<Vec<StoredRecord>, StoreError> {
        let failed = |source| self.failed("read the events that windows are rebuilt from", source);
        let rows = sqlx::query(SIGNALS)
            .bind(since.unix_nanos())
            .bind(i64::from(limit))
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        let mut found: Vec<Signal> =
            rows.iter().map(signal_from).collect::<Result<_, _>>().map_err(failed)?;
        fill(self, &mut found).await?;
        found.sort_by_key(|signal| (signal.time, signal.id));
        Ok(found.into_iter().map(|signal| signal.record).collect())
    }
}

/// `since`, `limit`.
const SIGNALS: &str = "
    SELECT e.id, e.time, e.block, e.raw_start, e.raw_len, e.event_id,
        (SELECT text FROM names WHERE id = e.place), e.line, e.record, b.received_at
    FROM events e INDEXED BY events_signal JOIN raw_blocks b ON b.id = e.block
    WHERE e.signal = 1 AND e.time >= ?1
    ORDER BY e.time DESC, e.id DESC LIMIT ?2";

/// A signal and where its record lies.
struct Signal {
    id: i64,
    time: i64,
    block: i64,
    start: i64,
    len: i64,
    record: StoredRecord,
}

fn signal_from(row: &SqliteRow) -> Result<Signal, sqlx::Error> {
    Ok(Signal {
        id: row.try_get(0)?,
        time: row.try_get(1)?,
        block: row.try_get(2)?,
        start: row.try_get(3)?,
        len: row.try_get(4)?,
        record: StoredRecord {
            event_id: row.try_get(5)?,
            raw: Vec::new(),
            place: place_from(row, [6, 7, 8])?,
            received_at: at(row.try_get(9)?),
        },
    })
}

/// Reads the records, inflating each block once.
async fn fill(store: &Store, signals: &mut [Signal]) -> Result<(), StoreError> {
    signals.sort_by_key(|signal| signal.block);
    let mut open = (0, Vec::new());
    for signal in signals {
        if open.0 != signal.block {
            open = (signal.block, store.block(signal.block).await?);
        }
        signal.record.raw = raw::cut(&open.1, signal.start, signal.len)?;
    }
    Ok(())
}

impl Store {
    /// One block of raw records, inflated.
    pub(crate) async fn block(&self, id: i64) -> Result<Vec<u8>, StoreError> {
        let (len, zstd): (i64, Vec<u8>) =
            sqlx::query_as("SELECT bytes_len, zstd FROM raw_blocks WHERE id = ?")
                .bind(id)
                .fetch_one(self.readers())
                .await
                .map_err(|source| self.failed("read raw records", source))?;
        raw::unpack(&zstd, len)
    }
}
