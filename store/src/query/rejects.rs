//! Lists of rejects, and one reject with its bytes.

use super::{Cursor, Listed, Page, RejectDetail, RejectRow, place_from, unsigned};
use crate::commit::at;
use crate::{Store, StoreError, raw};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

const COLUMNS: &str = "id, place, line, record, kind, reason, bytes_len, received_at";

impl Store {
    /// Rejects, newest first by when they were taken in.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn rejects(&self, page: Page) -> Result<Listed<RejectRow>, StoreError> {
        let failed = |source| self.failed("list rejects", source);
        let after = page.after.map_or(i64::MAX, |after| after.id);
        let mut query = QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS} FROM rejects WHERE id < "));
        query.push_bind(after).push(" ORDER BY id DESC LIMIT ").push_bind(page.read_max());
        let rows = query.build().fetch_all(self.readers()).await.map_err(failed)?;
        let paged = |row: &SqliteRow| Ok((Cursor { at: 0, id: row.try_get(0)? }, reject_from(row)?));
        Ok(page.cut(rows.iter().map(paged).collect::<Result<_, _>>().map_err(failed)?))
    }

    /// One reject with its bytes.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or the stored bytes are damaged.
    pub async fn reject(&self, id: i64) -> Result<Option<RejectDetail>, StoreError> {
        let failed = |source| self.failed("read a reject", source);
        let mut query =
            QueryBuilder::<Sqlite>::new(format!("SELECT {COLUMNS}, zstd FROM rejects WHERE id = "));
        query.push_bind(id);
        let row = query.build().fetch_optional(self.readers()).await.map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let zstd: Vec<u8> = row.try_get(8).map_err(failed)?;
        let bytes = raw::unpack(&zstd, row.try_get(6).map_err(failed)?)?;
        Ok(Some(RejectDetail { reject: reject_from(&row).map_err(failed)?, bytes }))
    }
}

fn reject_from(row: &SqliteRow) -> Result<RejectRow, sqlx::Error> {
    Ok(RejectRow {
        id: row.try_get(0)?,
        place: place_from(row, [1, 2, 3])?,
        kind: row.try_get(4)?,
        reason: row.try_get(5)?,
        bytes_len: unsigned(row.try_get(6)?),
        received_at: at(row.try_get(7)?),
    })
}
