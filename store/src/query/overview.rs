//! What the first page shows, from counts kept while writing: it costs the same at any size.

use super::{HourCount, LevelCounts, Overview, PositionRow, Scrubbed, Totals, unsigned};
use crate::codes::Coded;
use crate::commit::{SCRUBBED, at, nanos};
use crate::key::{HOUR_NANOS, hour_of};
use crate::{Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::{EventTime, Level};
use sqlx::sqlite::SqliteConnection;

/// Hours of a day, which the overview shows one by one.
const DAY: i64 = 24;
/// Hours of a week.
const WEEK: i64 = 7 * DAY;

impl Store {
    /// Everything the first page shows, as of `now`, from one moment of the database.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn overview(&self, now: DateTime<Utc>) -> Result<Overview, StoreError> {
        self.read_overview(nanos(now)).await.map_err(|source| self.failed("read the overview", source))
    }

    /// Counts of everything that is stored.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn totals(&self) -> Result<Totals, StoreError> {
        let failed = |source| self.failed("count what is stored", source);
        let mut conn = self.readers().acquire().await.map_err(failed)?;
        totals(&mut conn).await.map_err(failed)
    }

    async fn read_overview(&self, now: i64) -> Result<Overview, sqlx::Error> {
        let mut moment = self.readers().begin().await?;
        let conn = &mut *moment;
        let hour = hour_of(now);
        let hours = hours(conn, hour).await?;
        let latest: Option<(i64, u8)> =
            sqlx::query_as("SELECT time, digits FROM events ORDER BY time DESC LIMIT 1")
                .fetch_optional(&mut *conn)
                .await?;
        let received: Option<i64> =
            sqlx::query_scalar("SELECT received_at FROM raw_blocks ORDER BY id DESC LIMIT 1")
                .fetch_optional(&mut *conn)
                .await?;
        Ok(Overview {
            alerts_day: alerts(conn, KEPT, (now - DAY * HOUR_NANOS, now)).await?,
            alerts_week: alerts(conn, KEPT, (now - WEEK * HOUR_NANOS, now)).await?,
            events_day: sum(&hours, hour - DAY, hour),
            events_week: sum(&hours, hour - WEEK, hour),
            hours: (hour - DAY + 1..=hour).map(|hour| hour_count(&hours, hour)).collect(),
            open_alerts: alerts(conn, UNDONE, (i64::MIN, i64::MAX)).await?,
            totals: totals(conn).await?,
            latest_received_at: received.map(at),
            latest_event_at: latest.map(|(nanos, digits)| EventTime::from_unix_nanos(nanos, digits)),
            positions: positions(conn).await?,
        })
    }
}

/// `(hour, level, events)` of the week that ends with `hour`.
async fn hours(conn: &mut SqliteConnection, hour: i64) -> Result<Vec<(i64, Level, u64)>, sqlx::Error> {
    let rows: Vec<(i64, i64, i64, i64, i64)> = sqlx::query_as(
        "SELECT hour, info, warning, high, critical FROM hours WHERE hour > ? AND hour <= ? ORDER BY hour",
    )
    .bind(hour - WEEK)
    .bind(hour)
    .fetch_all(conn)
    .await?;
    let mut counts = Vec::with_capacity(rows.len() * Level::ALL.len());
    for (hour, info, warning, high, critical) in rows {
        let events = [info, warning, high, critical].map(unsigned);
        counts.extend(Level::ALL.iter().zip(events).map(|(level, events)| (hour, *level, events)));
    }
    Ok(counts)
}

/// Events after `from` up to and including `to`.
fn sum(hours: &[(i64, Level, u64)], from: i64, to: i64) -> LevelCounts {
    let mut counts = LevelCounts::default();
    for &(hour, level, events) in hours {
        if hour > from && hour <= to {
            counts.add(level, events);
        }
    }
    counts
}

fn hour_count(hours: &[(i64, Level, u64)], hour: i64) -> HourCount {
    let start = EventTime::from_unix_nanos(hour.saturating_mul(HOUR_NANOS), 0);
    HourCount { hour: start, events: sum(hours, hour - 1, hour) }
}

/// Codes of every status but withdrawn.
const KEPT: &str = "0, 2, 3";
/// Codes of what nobody is done with: open and acknowledged.
const UNDONE: &str = "0, 2";

/// Alerts in these statuses that opened after `from` up to and including `to`.
async fn alerts(
    conn: &mut SqliteConnection,
    statuses: &'static str,
    (from, to): (i64, i64),
) -> Result<LevelCounts, sqlx::Error> {
    let query = format!(
        "SELECT level, count(*) FROM alerts WHERE status IN ({statuses}) AND opened_at > ? AND opened_at <= ?
         GROUP BY level"
    );
    let rows: Vec<(i64, i64)> =
        sqlx::query_as(sqlx::AssertSqlSafe(query)).bind(from).bind(to).fetch_all(conn).await?;
    let mut counts = LevelCounts::default();
    for (level, count) in rows {
        counts.add(Level::from_code(level)?, unsigned(count));
    }
    Ok(counts)
}

async fn positions(conn: &mut SqliteConnection) -> Result<Vec<PositionRow>, sqlx::Error> {
    let rows: Vec<(String, String, i64)> =
        sqlx::query_as("SELECT source, position, updated_at FROM positions ORDER BY source")
            .fetch_all(conn)
            .await?;
    let read = |(source, position, nanos)| PositionRow { source, position, updated_at: at(nanos) };
    Ok(rows.into_iter().map(read).collect())
}

/// What a counter says of scrubbed records, if it is one of theirs.
fn scrubbed(name: &str, records: u64) -> Option<Scrubbed> {
    let (of, kind) = name.strip_prefix(SCRUBBED)?.split_once('/')?;
    Some(Scrubbed { of: of.to_owned(), kind: kind.to_owned(), records })
}

async fn totals(conn: &mut SqliteConnection) -> Result<Totals, sqlx::Error> {
    let mut totals = Totals::default();
    let counters: Vec<(String, i64)> =
        sqlx::query_as("SELECT name, value FROM counters").fetch_all(&mut *conn).await?;
    for (name, value) in counters {
        match name.as_str() {
            "events" => totals.events = unsigned(value),
            "duplicates" => totals.duplicates = unsigned(value),
            "rejects" => totals.rejects = unsigned(value),
            name => totals.scrubbed.extend(scrubbed(name, unsigned(value))),
        }
    }
    let rows = "SELECT count(*), (SELECT count(*) FROM outbox WHERE state = 0),
        (SELECT count(*) FROM outbox WHERE state = 1), (SELECT count(*) FROM outbox WHERE state = 2),
        (SELECT count(*) FROM outbox WHERE state = 3) FROM alerts";
    let (alerts, pending, delivered, dead, cancelled): (i64, i64, i64, i64, i64) =
        sqlx::query_as(rows).fetch_one(conn).await?;
    totals.alerts = unsigned(alerts);
    totals.pending = unsigned(pending);
    totals.delivered = unsigned(delivered);
    totals.dead = unsigned(dead);
    totals.cancelled = unsigned(cancelled);
    Ok(totals)
}
