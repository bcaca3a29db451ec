//! Lists of alerts, and one alert with its history, deliveries and evidence.

use super::{
    AlertDetail, AlertFilter, AlertRow, AlertStatus, Cursor, DecisionRow, HistoryEntry, Listed, Page,
    unsigned,
};
use crate::alerts::named;
use crate::codes::Coded;
use crate::commit::at;
use crate::{Choice, Resolution, Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::{EventTime, Level, Provider};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

/// The columns [`alert_from`] reads. What only the JSON form holds is read from there.
macro_rules! select {
    () => {
        "
        SELECT a.seq, a.opened_at, a.id, a.rule, a.level, a.status, a.provider, a.principal, a.received_at,
            a.changed_at, a.revision, a.body, a.body ->> '$.title', a.body ->> '$.opened_at',
            a.body ->> '$.first_event_at', a.body ->> '$.last_event_at', a.body ->> '$.events', a.regressed,
            a.acknowledged_by, a.acknowledged_at, a.resolved_by, a.resolved_at, a.resolution,
            (SELECT held_by FROM outbox WHERE alert = a.seq AND state = 0 AND held_by IS NOT NULL LIMIT 1)
        FROM alerts a WHERE 1 = 1"
    };
}

impl Store {
    /// Alerts, newest first by when they opened (event time).
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn alerts(&self, filter: &AlertFilter, page: Page) -> Result<Listed<AlertRow>, StoreError> {
        let failed = |source| self.failed("list alerts", source);
        let rows = select(filter, page).build().fetch_all(self.readers()).await.map_err(failed)?;
        let paged =
            |row: &SqliteRow| Ok((Cursor { at: row.try_get(1)?, id: row.try_get(0)? }, alert_from(row)?));
        Ok(page.cut(rows.iter().map(paged).collect::<Result<_, _>>().map_err(failed)?))
    }

    /// One alert by its present id, the one receivers know it by, or one it had before.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn alert(&self, id: &str) -> Result<Option<AlertDetail>, StoreError> {
        let failed = |source| self.failed("read an alert", source);
        let row = sqlx::query(concat!(select!(), " AND a.seq = ", named!()))
            .bind(id)
            .fetch_optional(self.readers())
            .await
            .map_err(failed)?;
        let Some(row) = row else { return Ok(None) };
        let seq: i64 = row.try_get(0).map_err(failed)?;
        let (former_ids, told_as) = self.names(seq).await.map_err(failed)?;
        Ok(Some(AlertDetail {
            alert: alert_from(&row).map_err(failed)?,
            former_ids,
            told_as,
            history: self.history(seq).await.map_err(failed)?,
            deliveries: self.deliveries_of(seq).await.map_err(failed)?,
            evidence: self.evidence(seq).await.map_err(failed)?,
            decisions: self.decisions(seq).await.map_err(failed)?,
        }))
    }

    /// Ids it had before, and the one receivers know it by when that is not its present one.
    async fn names(&self, seq: i64) -> Result<(Vec<String>, Option<String>), sqlx::Error> {
        let former = sqlx::query_scalar("SELECT id FROM alert_aliases WHERE alert = ? ORDER BY id")
            .bind(seq)
            .fetch_all(self.readers())
            .await?;
        let told_as = "SELECT told_as FROM alerts WHERE seq = ? AND told_as <> id";
        let told_as = sqlx::query_scalar(told_as).bind(seq).fetch_optional(self.readers()).await?;
        Ok((former, told_as))
    }

    async fn history(&self, seq: i64) -> Result<Vec<HistoryEntry>, sqlx::Error> {
        let rows: Vec<(i64, String, String, Option<String>)> =
            sqlx::query_as("SELECT at, what, detail, who FROM alert_history WHERE alert = ? ORDER BY id")
                .bind(seq)
                .fetch_all(self.readers())
                .await?;
        let entry = |(nanos, what, detail, who)| HistoryEntry { at: at(nanos), what, detail, who };
        Ok(rows.into_iter().map(entry).collect())
    }

    async fn decisions(&self, seq: i64) -> Result<Vec<DecisionRow>, sqlx::Error> {
        let rows: Vec<(String, i64, i64, String)> = sqlx::query_as(
            "SELECT receiver, at, choice, reason FROM decisions WHERE alert = ? ORDER BY receiver, id",
        )
        .bind(seq)
        .fetch_all(self.readers())
        .await?;
        let decision = |(receiver, nanos, choice, reason)| {
            Ok(DecisionRow { receiver, at: at(nanos), choice: Choice::from_code(choice)?, reason })
        };
        rows.into_iter().map(decision).collect()
    }
}

fn select(filter: &AlertFilter, page: Page) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(select!());
    for (column, text) in [("rule", &filter.rule), ("principal", &filter.principal)] {
        if let Some(text) = text {
            query.push(format!(" AND a.{column} = ")).push_bind(text.clone());
        }
    }
    if let Some(provider) = filter.provider {
        query.push(" AND +a.provider = ").push_bind(provider.code());
    }
    if !filter.statuses.is_empty() {
        // The plus keeps the status index out: a page comes from the time index.
        let mut codes = query.push(" AND +a.status IN (").separated(", ");
        for status in &filter.statuses {
            codes.push_bind(status.code());
        }
        query.push(")");
    }
    if let Some(level) = filter.level_min {
        query.push(" AND a.level >= ").push_bind(level.code());
    }
    if let Some(secret) = &filter.secret {
        query.push(" AND a.seq IN (SELECT alert FROM alert_secrets WHERE secret = ");
        query.push_bind(secret.clone()).push(")");
    }
    push_place(&mut query, filter, page);
    query
}

fn push_place(query: &mut QueryBuilder<Sqlite>, filter: &AlertFilter, page: Page) {
    if let Some(since) = filter.span.since {
        query.push(" AND a.opened_at >= ").push_bind(since.unix_nanos());
    }
    if let Some(until) = filter.span.until {
        query.push(" AND a.opened_at < ").push_bind(until.unix_nanos());
    }
    if let Some(after) = page.after {
        query.push(" AND (a.opened_at < ").push_bind(after.at);
        query.push(" OR (a.opened_at = ").push_bind(after.at);
        query.push(" AND a.seq < ").push_bind(after.id).push("))");
    }
    query.push(" ORDER BY a.opened_at DESC, a.seq DESC LIMIT ").push_bind(page.read_max());
}

fn alert_from(row: &SqliteRow) -> Result<AlertRow, sqlx::Error> {
    Ok(AlertRow {
        id: row.try_get(2)?,
        rule: row.try_get(3)?,
        title: row.try_get(12)?,
        level: Level::from_code(row.try_get(4)?)?,
        status: AlertStatus::from_code(row.try_get(5)?)?,
        provider: Provider::from_code(row.try_get(6)?)?,
        principal: row.try_get(7)?,
        opened_at: time_from(row, 13)?,
        first_event_at: time_from(row, 14)?,
        last_event_at: time_from(row, 15)?,
        events: unsigned(row.try_get(16)?),
        received_at: at(row.try_get(8)?),
        changed_at: at(row.try_get(9)?),
        revision: row.try_get(10)?,
        muted: row.try_get(23)?,
        regressed: row.try_get(17)?,
        acknowledged: by_at(row, 18)?,
        resolved: resolved(row)?,
        json: row.try_get(11)?,
    })
}

/// A name and the time in the column after it.
fn by_at(row: &SqliteRow, column: usize) -> Result<Option<(String, DateTime<Utc>)>, sqlx::Error> {
    let (who, when): (Option<String>, Option<i64>) = (row.try_get(column)?, row.try_get(column + 1)?);
    Ok(who.zip(when.map(at)))
}

fn resolved(row: &SqliteRow) -> Result<Option<(String, DateTime<Utc>, Resolution)>, sqlx::Error> {
    let why = row.try_get::<Option<i64>, _>(22)?.map(Resolution::from_code).transpose()?;
    Ok(by_at(row, 20)?.zip(why).map(|((who, when), why)| (who, when, why)))
}

fn time_from(row: &SqliteRow, column: usize) -> Result<EventTime, sqlx::Error> {
    let text: String = row.try_get(column)?;
    EventTime::parse(&text).map_err(|error| sqlx::Error::Decode(error.into()))
}
