//! The history alone, read beside whoever writes it: no lock, no migration, no change.
//!
//! Invariant: records come in the order of their commit, which is the order rules learned from
//! them in, and at most one page of them is in memory.

use crate::query::unsigned;
use crate::reading::{self, Reading};
use crate::store::{MIGRATIONS, reading_options};
use crate::{Span, StoreError, StoredRecord};
use keywatch_event::EventTime;
use sqlx::sqlite::{SqlitePool, SqlitePoolOptions};
use std::path::{Path, PathBuf};

/// A database opened to be read.
#[derive(Clone, Debug)]
pub struct History {
    path: PathBuf,
    pool: SqlitePool,
}

/// How much history lies in a stretch of time.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Extent {
    /// Events.
    pub events: u64,
    /// Event time of the earliest.
    pub first_at: Option<EventTime>,
    /// Event time of the latest.
    pub last_at: Option<EventTime>,
    start: i64,
}

/// Some of the records, and where to go on.
#[derive(Clone, Debug)]
pub struct HistoryPage {
    /// The records, in the order they were committed in.
    pub records: Vec<StoredRecord>,
    /// Where the next page begins; `None` at the end.
    pub next: Option<i64>,
}

impl Extent {
    /// Where the first page begins.
    #[must_use]
    pub const fn start(&self) -> i64 {
        self.start
    }
}

impl History {
    /// Opens the database at `path`, which another process may be writing.
    ///
    /// # Errors
    /// [`StoreError::File`] when there is none; [`StoreError::Schema`] when another version wrote
    /// it; otherwise what the database says.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        std::fs::metadata(path).map_err(|source| StoreError::File { path: path.to_owned(), source })?;
        let pool = SqlitePoolOptions::new().max_connections(1).connect_lazy_with(reading_options(path));
        let history = Self { path: path.to_owned(), pool };
        let failed = |source| history.reading().failed("open the database", source);
        let there = "SELECT count(*) FROM sqlite_schema WHERE name = '_sqlx_migrations'";
        let there: i64 = sqlx::query_scalar(there).fetch_one(&history.pool).await.map_err(failed)?;
        let found: i64 = match there {
            0 => 0,
            _ => sqlx::query_scalar("SELECT coalesce(max(version), 0) FROM _sqlx_migrations WHERE success")
                .fetch_one(&history.pool)
                .await
                .map_err(failed)?,
        };
        let wanted = MIGRATIONS.iter().map(|migration| migration.version).max().unwrap_or(0);
        if found == wanted {
            Ok(history)
        } else {
            Err(StoreError::Schema { path: history.path, found, wanted })
        }
    }

    /// How much history lies within `span`. Reads one index entry per event.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn extent(&self, span: Span) -> Result<Extent, StoreError> {
        let (since, until) = bounds(span);
        let sql = "SELECT count(*), min(time), max(time), coalesce(min(id), 1) - 1
            FROM events INDEXED BY events_time WHERE time >= ? AND time < ?";
        let row: (i64, Option<i64>, Option<i64>, i64) = sqlx::query_as(sql)
            .bind(since)
            .bind(until)
            .fetch_one(&self.pool)
            .await
            .map_err(|source| self.reading().failed("measure the history", source))?;
        let at = |nanos: Option<i64>| nanos.map(|nanos| EventTime::from_unix_nanos(nanos, 0));
        Ok(Extent { events: unsigned(row.0), first_at: at(row.1), last_at: at(row.2), start: row.3 })
    }

    /// At most `limit` records of events that happened within `span`, from `start` on: that of an
    /// [`Extent`], then that of the page before.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or a stored record is damaged.
    pub async fn records(&self, span: Span, start: i64, limit: u32) -> Result<HistoryPage, StoreError> {
        let (since, until) = bounds(span);
        let rows = sqlx::query(reading::RECORDS)
            .bind(start)
            .bind(since)
            .bind(until)
            .bind(i64::from(limit))
            .fetch_all(&self.pool)
            .await
            .map_err(|source| self.reading().failed("read the history", source))?;
        let mut found = self.reading().found(&rows).await?;
        found.sort_by_key(|one| one.id);
        let full = found.len() >= usize::try_from(limit).unwrap_or(usize::MAX);
        let next = found.last().map(|last| last.id).filter(|_| full);
        Ok(HistoryPage { records: found.into_iter().map(|one| one.record).collect(), next })
    }

    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { path: &self.path, pool: &self.pool }
    }
}

/// Nanoseconds: from, and before.
fn bounds(span: Span) -> (i64, i64) {
    let since = span.since.map_or(i64::MIN, EventTime::unix_nanos);
    (since, span.until.map_or(i64::MAX, EventTime::unix_nanos))
}
