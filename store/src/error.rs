//! What can go wrong, by what the caller does about it.

use std::path::{Path, PathBuf};

/// Why the store could not do what was asked. [`Self::is_retryable`] tells whether trying again
/// may help.
#[derive(Debug, thiserror::Error)]
pub enum StoreError {
    /// Another process writes to this database.
    #[error(
        "{} is in use by another Keywatch process (its lock is {}); stop that process, or give this one a path of its own",
        path.display(), lock.display()
    )]
    InUse {
        /// The database.
        path: PathBuf,
        /// The lock file that is held.
        lock: PathBuf,
    },
    /// The file could not be created, opened or locked.
    #[error("cannot open {}; check that the directory exists and that Keywatch may read and write it", path.display())]
    File {
        /// The file.
        path: PathBuf,
        /// What the system said.
        #[source]
        source: std::io::Error,
    },
    /// The schema could not be brought up to date.
    #[error("cannot bring the schema of {} up to date; restore a copy taken before the upgrade, or run the version that wrote it", path.display())]
    Migrate {
        /// The database.
        path: PathBuf,
        /// What the migration said.
        #[source]
        source: Box<sqlx::migrate::MigrateError>,
    },
    /// The schema is another version's, and the database was opened only to be read.
    #[error(
        "{} has schema {found}, and this version reads schema {wanted}; start `keywatch serve` of this version on it once, \
         or use the version that wrote it",
        path.display()
    )]
    Schema {
        /// The database.
        path: PathBuf,
        /// The schema it has.
        found: i64,
        /// The schema this version has.
        wanted: i64,
    },
    /// The SQLite this program is linked with can corrupt a write-ahead log.
    #[error("SQLite {found} can corrupt its write-ahead log; use a build with 3.51.3 or later")]
    TooOld {
        /// Its version.
        found: String,
    },
    /// Somebody held the database too long. Try again.
    #[error("{} was busy for too long while trying to {attempted}; it will be tried again", path.display())]
    Busy {
        /// The database.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The disk is full. Nothing is lost: sources are not acknowledged until there is room.
    #[error(
        "the disk holding {} is full, so Keywatch could not {attempted}; free space on that disk (old logs, copies of the database) \
         or move the database to a larger one. Never delete its -wal file",
        path.display()
    )]
    Full {
        /// The database.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The database file is damaged. Give up.
    #[error(
        "{} is damaged (found while trying to {attempted}); stop Keywatch, keep the file, and restore the latest copy",
        path.display()
    )]
    Corrupt {
        /// The database.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// What was to be written contradicts what is stored, or itself. A defect; nothing was committed.
    #[error("{} does not take what was to be written to {attempted}; this is a defect, please report it", path.display())]
    Refused {
        /// The database.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// The disk failed, or the database refused for another reason. Give up.
    #[error("could not {attempted} in {}; check the disk and the file's permissions", path.display())]
    Io {
        /// The database.
        path: PathBuf,
        /// What was attempted.
        attempted: &'static str,
        /// What the database said.
        #[source]
        source: sqlx::Error,
    },
    /// A source's position is not what the batch was read from: somebody else moved it. Nothing
    /// was committed; read on from the stored position.
    #[error(
        "the position of {feed} is {found:?}, not {expected:?}: another reader moved it; read on from the stored position"
    )]
    PositionMoved {
        /// Name of the source.
        feed: String,
        /// What the batch expected.
        expected: Option<String>,
        /// What is stored.
        found: Option<String>,
    },
    /// The rules answered for another number of events than they were asked about. A defect;
    /// nothing was committed.
    #[error("the rules classified {answered} of {asked} events; this is a defect, please report it")]
    Answer {
        /// Events asked about.
        asked: usize,
        /// Answers given.
        answered: usize,
    },
    /// What is stored, or was to be stored, cannot be encoded or decoded. Give up.
    #[error("could not {attempted}: {detail}; this is a defect or a damaged file, please report it")]
    Encoding {
        /// What was attempted.
        attempted: &'static str,
        /// What was wrong.
        detail: String,
    },
}

/// What is attempted before anything else of a transaction.
pub(crate) const BEGIN: &str = "begin a transaction";

impl StoreError {
    /// Whether the transaction was not even begun, so that nobody was asked anything within it: the
    /// same call is right again once the database is free.
    #[must_use]
    pub fn has_begun_nothing(&self) -> bool {
        matches!(self, Self::Busy { attempted, .. } if *attempted == BEGIN)
    }

    /// Whether the same call may succeed later without anybody reading further first.
    #[must_use]
    pub const fn is_retryable(&self) -> bool {
        matches!(self, Self::Busy { .. } | Self::Full { .. })
    }

    /// Whether it lies in what was to be written, so that something else can be written.
    #[must_use]
    pub const fn is_defect(&self) -> bool {
        matches!(self, Self::Refused { .. } | Self::Answer { .. } | Self::Encoding { .. })
    }
}

/// Explains a database error by what the caller can do about it.
pub(crate) fn of(path: &Path, attempted: &'static str, source: sqlx::Error) -> StoreError {
    let path = path.to_owned();
    match kind(&source) {
        Kind::Busy => StoreError::Busy { path, attempted, source },
        Kind::Full => StoreError::Full { path, attempted, source },
        Kind::Corrupt => StoreError::Corrupt { path, attempted, source },
        Kind::Encoding => StoreError::Encoding { attempted, detail: source.to_string() },
        Kind::Refused => StoreError::Refused { path, attempted, source },
        Kind::Other => StoreError::Io { path, attempted, source },
    }
}

enum Kind {
    Busy,
    Full,
    Corrupt,
    Encoding,
    Refused,
    Other,
}

/// Result codes: sqlite.org/rescode.html. The low byte is the primary code.
fn kind(error: &sqlx::Error) -> Kind {
    if matches!(error, sqlx::Error::PoolTimedOut) {
        return Kind::Busy;
    }
    if matches!(error, sqlx::Error::Decode(_) | sqlx::Error::ColumnDecode { .. } | sqlx::Error::Encode(_)) {
        return Kind::Encoding;
    }
    let code = error.as_database_error().and_then(sqlx::error::DatabaseError::code);
    let code: u32 = code.and_then(|code| code.parse().ok()).unwrap_or(0);
    match (code, code & 0xff) {
        // SQLITE_IOERR_SHMSIZE: no room for the log's index.
        (4874, _) | (_, 13) => Kind::Full,
        (_, 5 | 6) => Kind::Busy,
        (_, 11 | 26) => Kind::Corrupt,
        // SQLITE_TOOBIG, SQLITE_CONSTRAINT, SQLITE_MISMATCH.
        (_, 18..=20) => Kind::Refused,
        _ => Kind::Other,
    }
}
