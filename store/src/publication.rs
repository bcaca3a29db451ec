//! Counts on their way to a metrics service that counts twice what it is sent twice.
//!
//! Events are counted by their row numbers, which only grow, so each is counted into exactly one
//! publication. A publication is marked before it is sent: one whose answer nobody heard is in
//! doubt, and is not sent again.

use crate::codes::Coded;
use crate::commit::{at, nanos};
use crate::query::unsigned;
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::{Class, Level};

/// The only mark there is.
const NAME: &str = "cloudwatch";

/// How far has been counted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Mark {
    event: i64,
    reject: i64,
}

/// Stored events that were not counted yet.
#[derive(Clone, Debug, Default)]
pub struct Uncounted {
    /// Where counting stood.
    pub from: Mark,
    /// Where it stands with these.
    pub upto: Mark,
    /// The events, oldest first as stored.
    pub events: Vec<CountedEvent>,
    /// Rejects stored meanwhile.
    pub rejects: u64,
}

/// What is counted of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CountedEvent {
    /// When it happened.
    pub at: DateTime<Utc>,
    /// When it was stored.
    pub received_at: DateTime<Utc>,
    /// What it does.
    pub class: Class,
    /// What the rules said of it.
    pub level: Level,
    /// The rules that said so.
    pub rules: Vec<String>,
    /// Whether it repeats another access.
    pub is_echo: bool,
}

/// A publication that is to be sent now.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Publication {
    /// Its number.
    pub id: i64,
    /// How often it was refused.
    pub refusals: u32,
    /// What is published.
    pub body: String,
}

type Row = (i64, i64, i64, i64, i64, Option<String>, bool);

impl Store {
    /// Events and rejects that were not counted yet, at most `limit` events. The first time there
    /// are none: counting begins with what comes next.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written.
    pub async fn uncounted(&self, limit: u32) -> Result<Uncounted, StoreError> {
        let failed = |source| self.failed("count stored events", source);
        let mark: Option<(i64, i64)> =
            sqlx::query_as("SELECT event, reject FROM publication_marks WHERE name = ?")
                .bind(NAME)
                .fetch_optional(self.readers())
                .await
                .map_err(failed)?;
        match mark {
            Some((event, reject)) => self.after(Mark { event, reject }, limit).await.map_err(failed),
            None => self.begin_counting().await,
        }
    }

    async fn begin_counting(&self) -> Result<Uncounted, StoreError> {
        let failed = |source| self.failed("begin to count stored events", source);
        let mut work = self.begin().await?;
        sqlx::query(
            "INSERT INTO publication_marks (name, event, reject) VALUES (?,
                coalesce((SELECT max(id) FROM events), 0), coalesce((SELECT max(id) FROM rejects), 0))
             ON CONFLICT DO NOTHING",
        )
        .bind(NAME)
        .execute(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(Uncounted::default())
    }

    async fn after(&self, from: Mark, limit: u32) -> Result<Uncounted, sqlx::Error> {
        let mut moment = self.readers().begin().await?;
        let rows: Vec<Row> = sqlx::query_as(
            "SELECT e.id, e.time, b.received_at, e.class, e.level,
                (SELECT group_concat(n.text, char(10)) FROM json_each(e.rules) j JOIN names n ON n.id = j.value),
                e.echo = 1
             FROM events e JOIN raw_blocks b ON b.id = e.block WHERE e.id > ? ORDER BY e.id LIMIT ?",
        )
        .bind(from.event)
        .bind(i64::from(limit))
        .fetch_all(&mut *moment)
        .await?;
        let (rejects, reject): (i64, i64) =
            sqlx::query_as("SELECT count(*), coalesce(max(id), ?1) FROM rejects WHERE id > ?1")
                .bind(from.reject)
                .fetch_one(&mut *moment)
                .await?;
        let event = rows.last().map_or(from.event, |(id, ..)| *id);
        let events = rows.into_iter().map(counted).collect::<Result<_, _>>()?;
        Ok(Uncounted { from, upto: Mark { event, reject }, events, rejects: unsigned(rejects) })
    }

    /// Keeps publications of what was counted, and moves the mark; false when somebody else did.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written; nothing was kept then.
    pub async fn publish(
        &self,
        counted: &Uncounted,
        bodies: &[String],
        now: DateTime<Utc>,
    ) -> Result<bool, StoreError> {
        let failed = |source| self.failed("keep what is to be published", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let moved = sqlx::query(
            "UPDATE publication_marks SET event = ?, reject = ? WHERE name = ? AND event = ? AND reject = ?",
        )
        .bind(counted.upto.event)
        .bind(counted.upto.reject)
        .bind(NAME)
        .bind(counted.from.event)
        .bind(counted.from.reject)
        .execute(&mut *conn)
        .await
        .map_err(failed)?;
        if moved.rows_affected() != 1 {
            return Ok(false);
        }
        for body in bodies {
            let insert =
                "INSERT INTO publications (made_at, due_at, state, refusals, body) VALUES (?1, ?1, 0, 0, ?2)";
            let query = sqlx::query(insert).bind(nanos(now)).bind(body);
            query.execute(&mut *conn).await.map_err(failed)?;
        }
        work.commit().await.map_err(failed)?;
        Ok(true)
    }

    /// The next publication that is due, marked as being sent.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn next_publication(&self, now: DateTime<Utc>) -> Result<Option<Publication>, StoreError> {
        let failed = |source| self.failed("take up a publication", source);
        let mut work = self.begin().await?;
        let taken: Option<(i64, i64, String)> = sqlx::query_as(
            "UPDATE publications SET state = 1 WHERE id =
                (SELECT id FROM publications WHERE state = 0 AND due_at <= ? ORDER BY id LIMIT 1)
             RETURNING id, refusals, body",
        )
        .bind(nanos(now))
        .fetch_optional(&mut work.desk.conn)
        .await
        .map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(taken.map(|(id, refusals, body)| Publication {
            id,
            refusals: u32::try_from(refusals).unwrap_or(u32::MAX),
            body,
        }))
    }

    /// It was taken, and is forgotten.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn publication_taken(&self, id: i64) -> Result<(), StoreError> {
        self.change_publications("DELETE FROM publications WHERE id = ?", id).await.map(drop)
    }

    /// Nobody knows whether it was taken.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn publication_doubted(&self, id: i64) -> Result<(), StoreError> {
        self.change_publications("UPDATE publications SET state = 2 WHERE id = ?", id).await.map(drop)
    }

    /// It was refused for certain, and is due again then.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn publication_refused(&self, id: i64, due_at: DateTime<Utc>) -> Result<(), StoreError> {
        let sql = "UPDATE publications SET state = 0, refusals = refusals + 1, due_at = ?2 WHERE id = ?1";
        let failed = |source| self.failed("put a publication back", source);
        let mut work = self.begin().await?;
        let query = sqlx::query(sql).bind(id).bind(nanos(due_at));
        query.execute(&mut work.desk.conn).await.map_err(failed)?;
        work.commit().await.map_err(failed)
    }

    /// What was being sent when the service ended is in doubt; how many those are.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn doubt_publications(&self) -> Result<u64, StoreError> {
        self.change_publications("UPDATE publications SET state = 2 WHERE state = 1 AND ? = 1", 1).await
    }

    /// Forgets publications made before `limit`, waiting or in doubt; how many waited.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn forget_publications(&self, limit: DateTime<Utc>) -> Result<u64, StoreError> {
        self.change_publications("DELETE FROM publications WHERE state <> 1 AND made_at < ?", nanos(limit))
            .await
    }

    async fn change_publications(&self, sql: &'static str, bound: i64) -> Result<u64, StoreError> {
        let failed = |source| self.failed("change a publication", source);
        let mut work = self.begin().await?;
        let done = sqlx::query(sql).bind(bound).execute(&mut work.desk.conn).await.map_err(failed)?;
        work.commit().await.map_err(failed)?;
        Ok(done.rows_affected())
    }
}

fn counted((_, time, received, class, level, rules, is_echo): Row) -> Result<CountedEvent, sqlx::Error> {
    Ok(CountedEvent {
        at: at(time),
        received_at: at(received),
        class: Class::from_code(class)?,
        level: Level::from_code(level)?,
        rules: rules.map(|rules| rules.split('\n').map(str::to_owned).collect()).unwrap_or_default(),
        is_echo,
    })
}
