//! The open database: one connection that writes, a few that read.
//!
//! Invariant: a transaction that does not commit, for whatever reason, takes its connection and
//! everything remembered with it; the next one starts from the database alone.

use crate::names::Names;
use crate::reading::Reading;
use crate::{StoreError, error};
use sqlx::migrate::Migrator;
use sqlx::sqlite::{
    SqliteConnectOptions, SqliteJournalMode, SqlitePool, SqlitePoolOptions, SqliteSynchronous,
};
use sqlx::{ConnectOptions, Connection, SqliteConnection};
use std::fmt;
use std::fs::{File, OpenOptions, TryLockError};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Mutex, MutexGuard};

pub(crate) static MIGRATIONS: Migrator = sqlx::migrate!("../migrations/sqlite");

/// Oldest SQLite that is safe: 3.51.3 fixed the corruption of a reset write-ahead log
/// (sqlite.org/wal.html, "the WAL-reset bug").
const SQLITE_MIN: [u32; 3] = [3, 51, 3];
/// How long a connection waits for another one's lock.
const BUSY_TIMEOUT: Duration = Duration::from_secs(5);
/// Connections that read; more than the pages a handful of people open at once need.
const READERS_MAX: u32 = 4;
/// Page cache of the writing connection, KiB: holds the upper part of every index up to tens of
/// millions of events.
const WRITER_CACHE_KIB: u32 = 65_536;
/// Page cache of each reading connection, KiB.
const READER_CACHE_KIB: u32 = 16_384;
/// Pages of 4 KiB in the write-ahead log before they are moved into the database: 32 MiB, so that
/// a page written by several batches is moved once.
const CHECKPOINT_PAGES: u32 = 8_192;
/// What is left of the write-ahead log after a checkpoint, bytes.
const LOG_BYTES_KEPT: u32 = 64 << 20;

/// One open database; cheap to clone, shared by every part of the program.
#[derive(Clone)]
pub struct Store {
    inner: Arc<Inner>,
}

struct Inner {
    path: PathBuf,
    options: SqliteConnectOptions,
    desk: Mutex<Option<Desk>>,
    readers: SqlitePool,
    /// Held for as long as the store lives.
    _lock: File,
}

/// The writing connection and what it remembers between transactions.
#[derive(Debug)]
pub(crate) struct Desk {
    pub(crate) conn: SqliteConnection,
    pub(crate) memory: Memory,
}

/// What a writer knows without asking the database.
#[derive(Debug)]
pub(crate) struct Memory {
    pub(crate) names: Names,
    pub(crate) next_event: i64,
    pub(crate) next_block: i64,
}

/// A running write transaction. Dropped without [`Work::commit`], it never happened.
pub(crate) struct Work<'s> {
    seat: MutexGuard<'s, Option<Desk>>,
    pub(crate) desk: Desk,
}

impl fmt::Debug for Store {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Store").field("path", &self.inner.path).finish_non_exhaustive()
    }
}

impl Store {
    /// Opens the database at `path`, creates it (readable by its owner only) when it is not
    /// there, and brings its schema up to date. Must be called within a Tokio runtime.
    ///
    /// # Errors
    /// [`StoreError::InUse`] when another process (or another `Store`) has it open;
    /// [`StoreError::File`] when it cannot be created or locked; [`StoreError::Migrate`] when its
    /// schema is of another make; [`StoreError::Corrupt`] or [`StoreError::Io`] when it cannot be
    /// read.
    pub async fn open(path: &Path) -> Result<Self, StoreError> {
        let lock = lock(path)?;
        private(path)?;
        let options = options(path);
        let opened = |source| error::of(path, "open the database", source);
        let mut conn = options.connect().await.map_err(opened)?;
        check_version(&mut conn).await.map_err(opened)??;
        MIGRATIONS
            .run(&mut conn)
            .await
            .map_err(|source| StoreError::Migrate { path: path.to_owned(), source: Box::new(source) })?;
        let memory = Memory::load(&mut conn).await.map_err(opened)?;
        let readers = SqlitePoolOptions::new()
            .max_connections(READERS_MAX)
            .acquire_timeout(2 * BUSY_TIMEOUT)
            .connect_lazy_with(options.clone().read_only(true).pragma("cache_size", cache(READER_CACHE_KIB)));
        let desk = Mutex::new(Some(Desk { conn, memory }));
        let inner = Inner { path: path.to_owned(), options, desk, readers, _lock: lock };
        Ok(Self { inner: Arc::new(inner) })
    }

    /// Moves everything into the database file and closes it. Dropping the store without closing
    /// it is safe too; the next opening then does this work.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be written; nothing committed is lost by that.
    pub async fn close(&self) -> Result<(), StoreError> {
        self.inner.readers.close().await;
        let Some(mut desk) = self.inner.desk.lock().await.take() else { return Ok(()) };
        let closed = |source| self.failed("close the database", source);
        sqlx::query("PRAGMA wal_checkpoint(TRUNCATE)").execute(&mut desk.conn).await.map_err(closed)?;
        desk.conn.close().await.map_err(closed)
    }

    /// Problems SQLite finds in its file; empty when there are none. Reads the whole file.
    ///
    /// # Errors
    /// [`StoreError`] when the file cannot be read at all.
    pub async fn integrity_check(&self) -> Result<Vec<String>, StoreError> {
        let said = sqlx::query_scalar("PRAGMA integrity_check").fetch_all(self.readers()).await;
        let mut said: Vec<String> = said.map_err(|source| self.failed("check the database", source))?;
        said.retain(|line| line != "ok");
        Ok(said)
    }

    /// Connections that only read.
    pub(crate) fn readers(&self) -> &SqlitePool {
        &self.inner.readers
    }

    /// Explains what the database said while something was attempted.
    pub(crate) fn failed(&self, attempted: &'static str, source: sqlx::Error) -> StoreError {
        error::of(&self.inner.path, attempted, source)
    }

    /// The same connections, with the name of their file.
    pub(crate) fn reading(&self) -> Reading<'_> {
        Reading { path: &self.inner.path, pool: &self.inner.readers }
    }

    /// One block of raw records, inflated.
    pub(crate) async fn block(&self, id: i64) -> Result<Vec<u8>, StoreError> {
        self.reading().block(id).await
    }

    /// Begins a write transaction; waits for the one before.
    pub(crate) async fn begin(&self) -> Result<Work<'_>, StoreError> {
        let failed = |source| self.failed(error::BEGIN, source);
        let mut seat = self.inner.desk.lock().await;
        let mut desk = match seat.take() {
            Some(desk) => desk,
            None => self.connect().await.map_err(failed)?,
        };
        sqlx::query("BEGIN IMMEDIATE").execute(&mut desk.conn).await.map_err(failed)?;
        Ok(Work { seat, desk })
    }

    async fn connect(&self) -> Result<Desk, sqlx::Error> {
        let mut conn = self.inner.options.connect().await?;
        let memory = Memory::load(&mut conn).await?;
        Ok(Desk { conn, memory })
    }
}

impl Work<'_> {
    /// Makes it durable; when this returns, a power cut changes nothing about it.
    ///
    /// # Errors
    /// When the database refused. Whether it committed is then only known after reading it again.
    pub(crate) async fn commit(mut self) -> Result<(), sqlx::Error> {
        sqlx::query("COMMIT").execute(&mut self.desk.conn).await?;
        self.desk.memory.names.trim();
        *self.seat = Some(self.desk);
        Ok(())
    }
}

impl Memory {
    async fn load(conn: &mut SqliteConnection) -> Result<Self, sqlx::Error> {
        let names = Names::load(conn).await?;
        let next = "SELECT (SELECT coalesce(max(id), 0) + 1 FROM events),
                           (SELECT coalesce(max(id), 0) + 1 FROM raw_blocks)";
        let (next_event, next_block) = sqlx::query_as(next).fetch_one(conn).await?;
        Ok(Self { names, next_event, next_block })
    }
}

fn options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .journal_mode(SqliteJournalMode::Wal)
        .synchronous(SqliteSynchronous::Full)
        .foreign_keys(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", cache(WRITER_CACHE_KIB))
        .pragma("wal_autocheckpoint", CHECKPOINT_PAGES.to_string())
        .pragma("journal_size_limit", LOG_BYTES_KEPT.to_string())
        .disable_statement_logging()
}

/// For somebody who only reads, beside the process that has the lock.
pub(crate) fn reading_options(path: &Path) -> SqliteConnectOptions {
    SqliteConnectOptions::new()
        .filename(path)
        .read_only(true)
        .busy_timeout(BUSY_TIMEOUT)
        .pragma("mmap_size", "0")
        .pragma("temp_store", "MEMORY")
        .pragma("cache_size", cache(READER_CACHE_KIB))
        .disable_statement_logging()
}

/// A negative cache size is in KiB (sqlite.org/pragma.html#pragma_cache_size).
fn cache(kib: u32) -> String {
    format!("-{kib}")
}

/// Takes the lock that says which process writes.
fn lock(path: &Path) -> Result<File, StoreError> {
    let mut name = path.as_os_str().to_owned();
    name.push(".lock");
    let lock = PathBuf::from(name);
    let file = private(&lock)?;
    match file.try_lock() {
        Ok(()) => Ok(file),
        Err(TryLockError::WouldBlock) => Err(StoreError::InUse { path: path.to_owned(), lock }),
        Err(TryLockError::Error(source)) => Err(StoreError::File { path: lock, source }),
    }
}

/// Opens a file, created for its owner only when it is not there. SQLite gives its log the same
/// permissions.
fn private(path: &Path) -> Result<File, StoreError> {
    let mut how = OpenOptions::new();
    how.read(true).write(true).create(true).truncate(false).mode(0o600);
    how.open(path).map_err(|source| StoreError::File { path: path.to_owned(), source })
}

async fn check_version(conn: &mut SqliteConnection) -> Result<Result<(), StoreError>, sqlx::Error> {
    let found: String = sqlx::query_scalar("SELECT sqlite_version()").fetch_one(conn).await?;
    Ok(if is_safe(&found) { Ok(()) } else { Err(StoreError::TooOld { found }) })
}

fn is_safe(version: &str) -> bool {
    let parts: Vec<u32> = version.split('.').map_while(|part| part.parse().ok()).collect();
    parts.as_slice() >= SQLITE_MIN.as_slice()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sqlite_that_corrupts_its_log_is_refused() {
        for (version, safe) in [
            ("3.51.3", true),
            ("3.52.0", true),
            ("4.0.0", true),
            ("3.51.2", false),
            ("3.40.1", false),
            ("", false),
        ] {
            assert_eq!(is_safe(version), safe, "{version}");
        }
    }
}
