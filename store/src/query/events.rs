//! Lists of events, and one event with its raw record.

use super::{Cursor, EventDetail, EventFilter, EventRow, Listed, Page, Span, place_from};
use crate::codes::Coded;
use crate::commit::at;
use crate::key::{find_anywhere, hash_of, hour_of};
use crate::{Store, StoreError, raw};
use keywatch_event::{Class, EventTime, Level, Outcome, PrincipalKind, Provider, SourceKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

/// The columns [`event_from`] reads, of `events e`.
const COLUMNS: &str = "
    e.id, e.time, e.digits, e.event_id, e.provider, e.class, e.outcome, e.level, e.echo, e.source_kind,
    e.line, e.record, b.received_at, p.kind,
    (SELECT text FROM names WHERE id = e.service), (SELECT text FROM names WHERE id = e.operation),
    (SELECT text FROM names WHERE id = e.principal), (SELECT text FROM names WHERE id = e.place),
    (SELECT text FROM names WHERE id = e.store), (SELECT text FROM names WHERE id = e.account),
    (SELECT text FROM names WHERE id = e.region), (SELECT text FROM names WHERE id = e.source),
    (SELECT text FROM names WHERE id = p.name),
    (SELECT json_group_array(n.text ORDER BY j.key) FROM json_each(e.secrets) j JOIN names n ON n.id = j.value),
    (SELECT json_group_array(n.text ORDER BY j.key) FROM json_each(e.rules) j JOIN names n ON n.id = j.value)";

/// What [`COLUMNS`] need beside `events e`.
const JOINS: &str = "JOIN raw_blocks b ON b.id = e.block JOIN principals p ON p.id = e.principal";

impl Store {
    /// Events, newest first by event time.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn events(&self, filter: &EventFilter, page: Page) -> Result<Listed<EventRow>, StoreError> {
        let failed = |source| self.failed("list events", source);
        let rows = select(filter, page).build().fetch_all(self.readers()).await.map_err(failed)?;
        let read = rows.iter().map(paged_event).collect::<Result<_, _>>().map_err(failed)?;
        Ok(page.cut(read))
    }

    /// One event by its id, with its raw record.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read, or the stored record is damaged.
    pub async fn event(&self, id: &str) -> Result<Option<EventDetail>, StoreError> {
        let failed = |source| self.failed("read an event", source);
        let mut conn = self.readers().acquire().await.map_err(failed)?;
        let found = find_anywhere(&mut conn, &hash_of(id)).await.map_err(failed)?;
        drop(conn);
        let Some(seq) = found else { return Ok(None) };
        let sql =
            format!("SELECT {COLUMNS}, e.block, e.raw_start, e.raw_len FROM events e {JOINS} WHERE e.id = ");
        let mut query = QueryBuilder::<Sqlite>::new(sql);
        query.push_bind(seq);
        let row = query.build().fetch_one(self.readers()).await.map_err(failed)?;
        let event = event_from(&row).map_err(failed)?;
        let (block, start, len) = spot_from(&row).map_err(failed)?;
        let alerts = sqlx::query_scalar(
            "SELECT a.id FROM alert_events x JOIN alerts a ON a.seq = x.alert WHERE x.event = ? ORDER BY a.seq",
        )
        .bind(seq)
        .fetch_all(self.readers())
        .await
        .map_err(failed)?;
        let raw = raw::cut(&self.block(block).await?, start, len)?;
        Ok(Some(EventDetail { event, raw, alerts }))
    }

    /// Events that touch `secret`, newest first; those that repeat another's access only with
    /// `echoes`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn secret_access(
        &self,
        secret: &str,
        span: Span,
        echoes: bool,
        page: Page,
    ) -> Result<Listed<EventRow>, StoreError> {
        let filter = EventFilter { secret: Some(secret.to_owned()), span, echoes, ..EventFilter::default() };
        self.events(&filter, page).await
    }

    /// Events `principal` caused, newest first; those that repeat another's access only with
    /// `echoes`.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn principal_access(
        &self,
        principal: &str,
        span: Span,
        echoes: bool,
        page: Page,
    ) -> Result<Listed<EventRow>, StoreError> {
        let filter =
            EventFilter { principal: Some(principal.to_owned()), span, echoes, ..EventFilter::default() };
        self.events(&filter, page).await
    }

    /// Events that are evidence for an alert, earliest first.
    pub(super) async fn evidence(&self, alert: i64) -> Result<Vec<EventRow>, sqlx::Error> {
        let sql = format!(
            "SELECT {COLUMNS} FROM alert_events x JOIN events e ON e.id = x.event {JOINS} WHERE x.alert = "
        );
        let mut query = QueryBuilder::<Sqlite>::new(sql);
        query.push_bind(alert).push(" ORDER BY e.time, e.id");
        query.build().fetch_all(self.readers()).await?.iter().map(event_from).collect()
    }
}

/// What a list of events is read from: in the order of time, or hour by hour in that order.
struct Scan {
    from: &'static str,
    time: &'static str,
    id: &'static str,
    hourly: bool,
}

const BY_SECRET: Scan = Scan {
    from: "hours h CROSS JOIN event_secrets s ON s.hour = h.hour CROSS JOIN events e ON e.id = s.event",
    time: "s.time",
    id: "s.event",
    hourly: true,
};
const BY_PRINCIPAL: Scan = Scan {
    from: "hours h CROSS JOIN events e INDEXED BY events_principal ON e.hour = h.hour",
    time: "e.time",
    id: "e.id",
    hourly: true,
};
const BY_SOURCE: Scan = Scan {
    from: "hours h CROSS JOIN events e INDEXED BY events_source ON e.hour = h.hour",
    time: "e.time",
    id: "e.id",
    hourly: true,
};
const BY_LEVEL: Scan =
    Scan { from: "events e INDEXED BY events_level", time: "e.time", id: "e.id", hourly: false };
const BY_TIME: Scan =
    Scan { from: "events e INDEXED BY events_time", time: "e.time", id: "e.id", hourly: false };

/// Chooses the index by what is asked, because only an index that holds the order of time makes a
/// page cheap: the secret's, else the principal's, else the source's, else that of the classified
/// events, else time's.
const fn scan_for(filter: &EventFilter) -> Scan {
    match filter {
        EventFilter { secret: Some(_), .. } => BY_SECRET,
        EventFilter { principal: Some(_), .. } => BY_PRINCIPAL,
        EventFilter { source: Some(_), .. } => BY_SOURCE,
        EventFilter { level_min: Some(Level::Warning | Level::High | Level::Critical), .. } => BY_LEVEL,
        _ => BY_TIME,
    }
}

fn select(filter: &EventFilter, page: Page) -> QueryBuilder<Sqlite> {
    let Scan { from, time, id, hourly } = scan_for(filter);
    let mut query = QueryBuilder::new(format!("SELECT {COLUMNS} FROM {from} {JOINS} WHERE 1 = 1"));
    push_names(&mut query, filter);
    push_codes(&mut query, filter);
    let since = filter.span.since.map(EventTime::unix_nanos);
    let until = filter.span.until.map(EventTime::unix_nanos);
    if hourly {
        push_hours(&mut query, since, until.into_iter().chain(page.after.map(|after| after.at)).min());
    }
    if let Some(since) = since {
        query.push(format!(" AND {time} >= ")).push_bind(since);
    }
    if let Some(until) = until {
        query.push(format!(" AND {time} < ")).push_bind(until);
    }
    if let Some(after) = page.after {
        query.push(format!(" AND {time} <= ")).push_bind(after.at);
        query.push(format!(" AND ({time} < ")).push_bind(after.at);
        query.push(format!(" OR {id} < ")).push_bind(after.id).push(")");
    }
    let order = if hourly { "h.hour DESC, " } else { "" };
    query.push(format!(" ORDER BY {order}{time} DESC, {id} DESC LIMIT ")).push_bind(page.read_max());
    query
}

/// The hours `h` that a stretch of time touches.
pub(super) fn push_hours(query: &mut QueryBuilder<Sqlite>, since: Option<i64>, until: Option<i64>) {
    if let Some(since) = since {
        query.push(" AND h.hour >= ").push_bind(hour_of(since));
    }
    if let Some(until) = until {
        query.push(" AND h.hour <= ").push_bind(hour_of(until));
    }
}

fn push_names(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    let named = [
        ("s.secret", &filter.secret),
        ("e.principal", &filter.principal),
        ("e.source", &filter.source),
        ("e.operation", &filter.operation),
        ("e.account", &filter.account),
    ];
    for (column, text) in named {
        if let Some(text) = text {
            query.push(format!(" AND {column} = (SELECT id FROM names WHERE text = "));
            query.push_bind(text.clone()).push(")");
        }
    }
}

fn push_codes(query: &mut QueryBuilder<Sqlite>, filter: &EventFilter) {
    let coded = [
        ("provider", filter.provider.map(Coded::code)),
        ("class", filter.class.map(Coded::code)),
        ("outcome", filter.outcome.map(Coded::code)),
    ];
    for (column, code) in coded {
        if let Some(code) = code {
            query.push(format!(" AND e.{column} = ")).push_bind(code);
        }
    }
    if !filter.echoes {
        query.push(" AND e.echo = 0");
    }
    if let Some(level) = filter.level_min.filter(|level| *level > Level::Info) {
        // The first half is what the partial index is defined by.
        query.push(" AND e.level > 0 AND e.level >= ").push_bind(level.code());
    }
}

fn paged_event(row: &SqliteRow) -> Result<(Cursor, EventRow), sqlx::Error> {
    Ok((Cursor { at: row.try_get(1)?, id: row.try_get(0)? }, event_from(row)?))
}

/// Reads [`COLUMNS`].
fn event_from(row: &SqliteRow) -> Result<EventRow, sqlx::Error> {
    Ok(EventRow {
        id: row.try_get(3)?,
        time: EventTime::from_unix_nanos(row.try_get(1)?, row.try_get(2)?),
        received_at: at(row.try_get(12)?),
        provider: Provider::from_code(row.try_get(4)?)?,
        service: row.try_get(14)?,
        store: row.try_get(18)?,
        account: row.try_get(19)?,
        region: row.try_get(20)?,
        operation: row.try_get(15)?,
        class: Class::from_code(row.try_get(5)?)?,
        outcome: Outcome::from_code(row.try_get(6)?)?,
        level: Level::from_code(row.try_get(7)?)?,
        rules: texts_from(row, 24)?,
        principal: row.try_get(16)?,
        principal_kind: PrincipalKind::from_code(row.try_get(13)?)?,
        principal_name: row.try_get(22)?,
        source: row.try_get(21)?,
        source_kind: SourceKind::from_code(row.try_get(9)?)?,
        secrets: texts_from(row, 23)?,
        echo: row.try_get(8)?,
        place: place_from(row, [17, 10, 11])?,
    })
}

fn texts_from(row: &SqliteRow, column: usize) -> Result<Vec<String>, sqlx::Error> {
    let json: String = row.try_get(column)?;
    serde_json::from_str(&json).map_err(|error| sqlx::Error::Decode(error.into()))
}

fn spot_from(row: &SqliteRow) -> Result<(i64, i64, i64), sqlx::Error> {
    Ok((row.try_get(25)?, row.try_get(26)?, row.try_get(27)?))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_page_is_read_from_an_index_and_never_sorted() {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("keywatch.db")).await.unwrap();
        let text = || Some("x".to_owned());
        let any = EventFilter::default;
        for (filter, index) in [
            (any(), "events_time"),
            (EventFilter { echoes: true, ..any() }, "events_time"),
            (EventFilter { class: Some(Class::Export), ..any() }, "events_time"),
            (EventFilter { level_min: Some(Level::High), ..any() }, "events_level"),
            (EventFilter { source: text(), ..any() }, "events_source"),
            (EventFilter { principal: text(), source: text(), ..any() }, "events_principal"),
            (EventFilter { secret: text(), principal: text(), ..any() }, "SEARCH s USING PRIMARY KEY"),
        ] {
            let page = Page { after: Some(Cursor { at: 1, id: 1 }), limit: 50 };
            let sql = format!("EXPLAIN QUERY PLAN {}", select(&filter, page).sql().as_str());
            let rows = sqlx::query(sqlx::AssertSqlSafe(sql)).fetch_all(store.readers()).await.unwrap();
            let plan: Vec<String> = rows.iter().map(|row| row.get("detail")).collect();
            assert!(plan.iter().any(|step| step.contains(index)), "{filter:?}: {plan:#?}");
            assert!(!plan.iter().any(|step| step.ends_with(" ORDER BY")), "{filter:?}: {plan:#?}");
        }
    }
}
