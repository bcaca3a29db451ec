//! What pages and the API ask: filters in, plain rows out.
//!
//! Every list is newest first and paged by a cursor, never by an offset, so a page stays the same
//! while new events arrive. Nothing here changes anything.

mod access;
mod alerts;
mod deliveries;
mod events;
mod filter;
mod meter;
mod overview;
mod rejects;
mod rows;
mod times;

use keywatch_event::Place;
use sqlx::Row;
use sqlx::sqlite::SqliteRow;
use std::fmt;
use std::str::FromStr;

pub use filter::*;
pub use meter::*;
pub use rows::*;
pub use times::{AlertTimes, Percentiles};

/// Most rows a page holds; larger limits are lowered to it.
pub const PAGE_MAX: u32 = 1000;

/// Most rows a summary ([`crate::Store::secret_principals`]) holds: the latest ones.
pub const SUMMARY_MAX: u32 = 500;

/// Where a page ended: the time (or rank) and id of its last row.
///
/// Its text form is for links; it holds nothing secret and nothing a reader needs to understand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: i64,
    pub(crate) id: i64,
}

/// A text that is no cursor.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` does not say where a page ended; follow the link to the next page, or start at the first")]
pub struct CursorError(pub String);

impl fmt::Display for Cursor {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}_{}", self.at, self.id)
    }
}

impl FromStr for Cursor {
    type Err = CursorError;

    fn from_str(text: &str) -> Result<Self, CursorError> {
        let parts = text.split_once('_').and_then(|(at, id)| Some((at.parse().ok()?, id.parse().ok()?)));
        let (at, id) = parts.ok_or_else(|| CursorError(text.chars().take(64).collect()))?;
        Ok(Self { at, id })
    }
}

/// Which page of a list.
#[derive(Clone, Copy, Debug)]
pub struct Page {
    /// Rows after this one; the first page without.
    pub after: Option<Cursor>,
    /// Most rows wanted, 1 to [`PAGE_MAX`].
    pub limit: u32,
}

impl Page {
    /// The first `limit` rows.
    #[must_use]
    pub const fn first(limit: u32) -> Self {
        Self { after: None, limit }
    }
}

/// One page of a list.
#[derive(Clone, Debug)]
pub struct Listed<T> {
    /// The rows, newest first.
    pub rows: Vec<T>,
    /// Where to go on, when there is more.
    pub next: Option<Cursor>,
}

impl Page {
    /// How many rows to read: one more than wanted tells whether there is another page.
    fn read_max(&self) -> i64 {
        i64::from(self.limit.clamp(1, PAGE_MAX)) + 1
    }

    /// The wanted part of the rows read, and where the next page starts.
    fn cut<T>(&self, mut read: Vec<(Cursor, T)>) -> Listed<T> {
        let wanted = usize::try_from(self.read_max() - 1).unwrap_or(usize::MAX);
        let more = read.len() > wanted;
        read.truncate(wanted);
        let next = read.last().filter(|_| more).map(|(cursor, _)| *cursor);
        Listed { rows: read.into_iter().map(|(_, row)| row).collect(), next }
    }
}

/// A record's place out of the three columns that hold it.
pub(crate) fn place_from(row: &SqliteRow, columns: [usize; 3]) -> Result<Place, sqlx::Error> {
    let [name, line, record] = columns;
    let name: String = row.try_get(name)?;
    Ok(Place { name: name.into(), line: unsigned(row.try_get(line)?), record: row.try_get(record)? })
}

/// A stored count or number that is never negative.
pub(crate) fn unsigned(value: i64) -> u64 {
    u64::try_from(value).unwrap_or(0)
}
