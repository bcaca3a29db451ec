//! Silences that people make: kept with who, why and until when.
//!
//! A silence hides nothing from the history: the alerts it mutes are stored and shown. What it
//! holds back is told when it ends, if it still needs somebody.

use crate::commit::{at, nanos};
use crate::{Store, StoreError, WHO_CHARS_MAX};
use chrono::{DateTime, Utc};
use keywatch_event::{Matcher, matchers_from, matchers_text};
use sqlx::SqliteConnection;

/// Most silences that may be in force or coming: more is a rule that should be changed.
pub const SILENCES_MAX: u32 = 500;
/// Most past silences a page lists.
const PAST_MAX: u32 = 100;

/// A silence somebody made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Silence {
    /// Its number.
    pub id: i64,
    /// Which alerts: all of these hold.
    pub matchers: Vec<Matcher>,
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Who made it.
    pub author: String,
    /// Why.
    pub reason: String,
    /// When it was made.
    pub created_at: DateTime<Utc>,
    /// Who ended it before its time.
    pub expired_by: Option<String>,
}

impl Silence {
    /// How messages it holds back name it.
    #[must_use]
    pub fn name(&self) -> String {
        format!("silence {}", self.id)
    }

    /// Whether it is in force.
    #[must_use]
    pub fn is_active(&self, now: DateTime<Utc>) -> bool {
        self.starts_at <= now && now < self.ends_at
    }
}

/// A silence to be made; everything is required.
#[derive(Clone, Debug)]
pub struct NewSilence<'s> {
    /// Which alerts.
    pub matchers: &'s [Matcher],
    /// From when.
    pub starts_at: DateTime<Utc>,
    /// Until when.
    pub ends_at: DateTime<Utc>,
    /// Who makes it.
    pub author: &'s str,
    /// Why.
    pub reason: &'s str,
}

type Row = (i64, String, i64, i64, String, String, i64, Option<String>);

const SELECT: &str =
    "SELECT id, matchers, starts_at, ends_at, author, reason, created_at, expired_by FROM silences";

impl Store {
    /// Makes a silence; yields its number, or `None` when there are [`SILENCES_MAX`] already.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn silence(&self, new: &NewSilence<'_>, now: DateTime<Utc>) -> Result<Option<i64>, StoreError> {
        let failed = |source| self.failed("make a silence", source);
        let mut work = self.begin().await?;
        let author: String = new.author.chars().take(WHO_CHARS_MAX).collect();
        let made = sqlx::query(
            "INSERT INTO silences (matchers, starts_at, ends_at, author, reason, created_at)
             SELECT ?1, ?2, ?3, ?4, ?5, ?6 WHERE (SELECT count(*) FROM silences WHERE ends_at > ?6) < ?7",
        )
        .bind(matchers_text(new.matchers))
        .bind(nanos(new.starts_at))
        .bind(nanos(new.ends_at))
        .bind(author)
        .bind(new.reason)
        .bind(nanos(now))
        .bind(SILENCES_MAX)
        .execute(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok((made.rows_affected() > 0).then(|| made.last_insert_rowid()))
    }

    /// Ends a silence now; what it held back is due at once. `false` when it had ended, or there
    /// is none of this number.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn expire_silence(&self, id: i64, who: &str, now: DateTime<Utc>) -> Result<bool, StoreError> {
        let failed = |source| self.failed("end a silence", source);
        let mut work = self.begin().await?;
        let who: String = who.chars().take(WHO_CHARS_MAX).collect();
        let conn = &mut work.desk.conn;
        let ended = sqlx::query(
            "UPDATE silences SET ends_at = max(?1, starts_at), expired_by = ?2 WHERE id = ?3 AND ends_at > ?1",
        )
        .bind(nanos(now))
        .bind(who)
        .bind(id)
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
        if ended.rows_affected() > 0 {
            let held = format!("silence {id}");
            release(conn, Some(&held), nanos(now)).await.map_err(failed)?;
        }
        work.commit().await.map_err(failed)?;
        Ok(ended.rows_affected() > 0)
    }

    /// Makes everything that a silence holds back due now, to be decided again: the silences of
    /// the configuration may be others than before.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn reconsider_muted(&self, now: DateTime<Utc>) -> Result<(), StoreError> {
        let failed = |source| self.failed("decide again what is muted", source);
        let mut work = self.begin().await?;
        release(&mut work.desk.conn, None, nanos(now)).await.map_err(failed)?;
        work.commit().await.map_err(failed)
    }

    /// Silences in force or to come, and the latest of those that ended; newest first.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn silences(&self, now: DateTime<Utc>) -> Result<Vec<Silence>, StoreError> {
        let failed = |source| self.failed("list silences", source);
        let query = format!(
            "{SELECT} WHERE ends_at > ?1 OR id IN (SELECT id FROM silences WHERE ends_at <= ?1
             ORDER BY ends_at DESC LIMIT {PAST_MAX}) ORDER BY id DESC"
        );
        let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(query))
            .bind(nanos(now))
            .fetch_all(self.readers())
            .await
            .map_err(failed)?;
        rows.into_iter().map(silence_from).collect::<Result<_, _>>().map_err(failed)
    }
}

/// Silences in force, within a transaction.
pub(crate) async fn active(conn: &mut SqliteConnection, now: i64) -> Result<Vec<Silence>, sqlx::Error> {
    let query = format!("{SELECT} WHERE ends_at > ?1 AND starts_at <= ?1 ORDER BY ends_at DESC");
    let rows: Vec<Row> = sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(now).fetch_all(conn).await?;
    rows.into_iter().map(silence_from).collect()
}

async fn release(conn: &mut SqliteConnection, held_by: Option<&str>, now: i64) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET due_at = min(due_at, ?1), held_by = NULL
         WHERE held_by IS NOT NULL AND state = 0 AND (?2 IS NULL OR held_by = ?2)",
    )
    .bind(now)
    .bind(held_by)
    .execute(conn)
    .await?;
    Ok(())
}

fn silence_from(row: Row) -> Result<Silence, sqlx::Error> {
    let (id, matchers, starts_at, ends_at, author, reason, created_at, expired_by) = row;
    let matchers = matchers_from(&matchers).map_err(|error| sqlx::Error::Decode(error.into()))?;
    let (starts_at, ends_at, created_at) = (at(starts_at), at(ends_at), at(created_at));
    Ok(Silence { id, matchers, starts_at, ends_at, author, reason, created_at, expired_by })
}
