//! Stored records in numbers: rows to records, each block of raw bytes inflated once.

use crate::commit::at;
use crate::query::place_from;
use crate::{StoreError, StoredRecord, error, raw};
use sqlx::Row;
use sqlx::sqlite::{SqlitePool, SqliteRow};
use std::path::Path;

/// The columns [`Reading::found`] reads, of `events e` and `raw_blocks b`.
macro_rules! columns {
    () => {
        "SELECT e.id, e.time, e.block, e.raw_start, e.raw_len, e.event_id,
            (SELECT text FROM names WHERE id = e.place), e.line, e.record, b.received_at,
            (SELECT json_group_array(n.text ORDER BY j.key) FROM json_each(e.rules) j JOIN names n ON n.id = j.value)"
    };
}

/// Earliest time, least end of mattering, limit.
pub(crate) const OPEN_SIGNALS: &str = concat!(
    "WITH chosen AS MATERIALIZED (
        SELECT id FROM events INDEXED BY events_matters
        WHERE matters_until > 0 AND time >= ?1 AND matters_until >= ?2
        ORDER BY time DESC, id DESC LIMIT ?3) ",
    columns!(),
    " FROM chosen c JOIN events e ON e.id = c.id JOIN raw_blocks b ON b.id = e.block"
);

/// From, to, middle, limit.
pub(crate) const SIGNALS_BETWEEN: &str = concat!(
    "WITH chosen AS MATERIALIZED (
        SELECT id FROM events INDEXED BY events_matters
        WHERE matters_until > 0 AND time >= ?1 AND time <= ?2
        ORDER BY abs(time - ?3), id LIMIT ?4) ",
    columns!(),
    " FROM chosen c JOIN events e ON e.id = c.id JOIN raw_blocks b ON b.id = e.block"
);

/// After this event, from, to (not included), limit. In the order of commit, which is that of the
/// ids; no other index, because it would have to be sorted.
pub(crate) const RECORDS: &str = concat!(
    columns!(),
    " FROM events e NOT INDEXED JOIN raw_blocks b ON b.id = e.block
    WHERE e.id > ?1 AND e.time >= ?2 AND e.time < ?3 ORDER BY e.id LIMIT ?4"
);

/// Connections that read, and the file they read.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reading<'r> {
    pub(crate) path: &'r Path,
    pub(crate) pool: &'r SqlitePool,
}

/// A stored event with its record.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) id: i64,
    pub(crate) time: i64,
    pub(crate) record: StoredRecord,
    pub(crate) rules: Vec<String>,
    spot: Spot,
}

/// Where a record lies.
#[derive(Clone, Copy, Debug)]
struct Spot {
    block: i64,
    start: i64,
    len: i64,
}

impl Reading<'_> {
    /// Explains what the database said while something was attempted.
    pub(crate) fn failed(&self, attempted: &'static str, source: sqlx::Error) -> StoreError {
        error::of(self.path, attempted, source)
    }

    /// The rows with their records, in the order of their blocks.
    pub(crate) async fn found(&self, rows: &[SqliteRow]) -> Result<Vec<Found>, StoreError> {
        let read = rows.iter().map(found_from).collect::<Result<Vec<Found>, _>>();
        let mut found = read.map_err(|source| self.failed("read stored events", source))?;
        found.sort_by_key(|one| (one.spot.block, one.id));
        let mut open = (0, Vec::new());
        for Found { spot, record, .. } in &mut found {
            if open.0 != spot.block {
                open = (spot.block, self.block(spot.block).await?);
            }
            record.raw = raw::cut(&open.1, spot.start, spot.len)?;
        }
        Ok(found)
    }

    /// One block of raw records, inflated.
    pub(crate) async fn block(&self, id: i64) -> Result<Vec<u8>, StoreError> {
        let (len, zstd): (i64, Vec<u8>) =
            sqlx::query_as("SELECT bytes_len, zstd FROM raw_blocks WHERE id = ?")
                .bind(id)
                .fetch_one(self.pool)
                .await
                .map_err(|source| self.failed("read raw records", source))?;
        raw::unpack(&zstd, len)
    }
}

fn found_from(row: &SqliteRow) -> Result<Found, sqlx::Error> {
    let rules: String = row.try_get(10)?;
    Ok(Found {
        id: row.try_get(0)?,
        time: row.try_get(1)?,
        spot: Spot { block: row.try_get(2)?, start: row.try_get(3)?, len: row.try_get(4)? },
        record: StoredRecord {
            event_id: row.try_get(5)?,
            raw: Vec::new(),
            place: place_from(row, [6, 7, 8])?,
            received_at: at(row.try_get(9)?),
        },
        rules: serde_json::from_str(&rules).map_err(|error| sqlx::Error::Decode(error.into()))?,
    })
}
