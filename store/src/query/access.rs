//! Secrets and principals, and who touched what.
//!
//! An access counts once: an event that repeats another record's access (an echo) is in no count.

use super::events::push_hours;
use super::{AccessSummary, Cursor, Listed, Page, PrincipalRow, SUMMARY_MAX, SecretRow, Span, unsigned};
use crate::codes::Coded;
use crate::{Store, StoreError};
use keywatch_event::{EventTime, PrincipalKind};
use sqlx::sqlite::SqliteRow;
use sqlx::{QueryBuilder, Row, Sqlite};

const SECRETS: &str = "
    SELECT s.id, s.last_at, n.text, r.text, s.events, s.failed, s.first_at
    FROM secrets s JOIN names n ON n.id = s.id JOIN names r ON r.id = s.name WHERE 1 = 1";

const PRINCIPALS: &str = "
    SELECT s.id, s.last_at, n.text, r.text, s.events, s.failed, s.first_at, s.kind
    FROM principals s JOIN names n ON n.id = s.id LEFT JOIN names r ON r.id = s.name WHERE 1 = 1";

/// Counts over rows `x(other, time, ok, source)`, one line per `other`.
const SUMMARY: &str = "
    min(x.time), max(x.time), sum(x.ok), count(*) - sum(x.ok), count(DISTINCT x.source)";

impl Store {
    /// Secrets some event named, latest access first. `search` looks into id and name, whatever
    /// the case of ASCII letters.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn secrets(&self, search: Option<&str>, page: Page) -> Result<Listed<SecretRow>, StoreError> {
        let failed = |source| self.failed("list secrets", source);
        let mut query = listing(SECRETS, search, page);
        let rows = query.build().fetch_all(self.readers()).await.map_err(failed)?;
        let paged = |row: &SqliteRow| Ok((cursor(row)?, secret_from(row)?));
        Ok(page.cut(rows.iter().map(paged).collect::<Result<_, _>>().map_err(failed)?))
    }

    /// How many secrets [`Self::secrets`] lists over all its pages.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn secrets_count(&self, search: Option<&str>) -> Result<u64, StoreError> {
        let counted = count(SECRETS, search).build_query_scalar().fetch_one(self.readers()).await;
        counted.map(unsigned).map_err(|source| self.failed("count secrets", source))
    }

    /// One secret by its id.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn secret(&self, id: &str) -> Result<Option<SecretRow>, StoreError> {
        let failed = |source| self.failed("read a secret's counts", source);
        let mut query = by_id(SECRETS, id);
        let row = query.build().fetch_optional(self.readers()).await.map_err(failed)?;
        row.as_ref().map(secret_from).transpose().map_err(failed)
    }

    /// Principals some event named, latest event first. `search` looks into id and name, whatever
    /// the case of ASCII letters.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn principals(
        &self,
        search: Option<&str>,
        page: Page,
    ) -> Result<Listed<PrincipalRow>, StoreError> {
        let failed = |source| self.failed("list principals", source);
        let mut query = listing(PRINCIPALS, search, page);
        let rows = query.build().fetch_all(self.readers()).await.map_err(failed)?;
        let paged = |row: &SqliteRow| Ok((cursor(row)?, principal_from(row)?));
        Ok(page.cut(rows.iter().map(paged).collect::<Result<_, _>>().map_err(failed)?))
    }

    /// How many principals [`Self::principals`] lists over all its pages.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn principals_count(&self, search: Option<&str>) -> Result<u64, StoreError> {
        let counted = count(PRINCIPALS, search).build_query_scalar().fetch_one(self.readers()).await;
        counted.map(unsigned).map_err(|source| self.failed("count principals", source))
    }

    /// One principal by its id.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn principal(&self, id: &str) -> Result<Option<PrincipalRow>, StoreError> {
        let failed = |source| self.failed("read a principal's counts", source);
        let mut query = by_id(PRINCIPALS, id);
        let row = query.build().fetch_optional(self.readers()).await.map_err(failed)?;
        row.as_ref().map(principal_from).transpose().map_err(failed)
    }

    /// Who touched `secret`, latest access first, at most [`SUMMARY_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn secret_principals(
        &self,
        secret: &str,
        span: Span,
    ) -> Result<Vec<AccessSummary>, StoreError> {
        let mut query = QueryBuilder::new(format!(
            "SELECT n.text, (SELECT text FROM names WHERE id = p.name), c.* FROM (
                SELECT x.principal AS other, {SUMMARY}
                FROM hours h CROSS JOIN event_secrets x ON x.hour = h.hour
                CROSS JOIN events e ON e.id = x.event
                WHERE e.echo = 0 AND x.secret = (SELECT id FROM names WHERE text = "
        ));
        query.push_bind(secret.to_owned()).push(")");
        push_span(&mut query, "x", span);
        query.push(" GROUP BY x.principal ORDER BY max(x.time) DESC, x.principal LIMIT ");
        query.push_bind(i64::from(SUMMARY_MAX));
        query.push(") c JOIN names n ON n.id = c.other JOIN principals p ON p.id = c.other");
        self.summary(query).await
    }

    /// What `principal` touched, latest access first, at most [`SUMMARY_MAX`].
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn principal_secrets(
        &self,
        principal: &str,
        span: Span,
    ) -> Result<Vec<AccessSummary>, StoreError> {
        let mut query = QueryBuilder::new(format!(
            "SELECT n.text, (SELECT text FROM names WHERE id = s.name), c.* FROM (
                SELECT x.other, {SUMMARY} FROM (
                    SELECT j.value AS other, e.time, e.outcome = 0 AS ok, e.source
                    FROM hours h CROSS JOIN events e INDEXED BY events_principal ON e.hour = h.hour
                    CROSS JOIN json_each(e.secrets) j
                    WHERE e.echo = 0 AND e.principal = (SELECT id FROM names WHERE text = "
        ));
        query.push_bind(principal.to_owned()).push(")");
        push_span(&mut query, "e", span);
        query.push(") x GROUP BY x.other ORDER BY max(x.time) DESC, x.other LIMIT ");
        query.push_bind(i64::from(SUMMARY_MAX));
        query.push(") c JOIN names n ON n.id = c.other JOIN secrets s ON s.id = c.other");
        self.summary(query).await
    }

    async fn summary(&self, mut query: QueryBuilder<Sqlite>) -> Result<Vec<AccessSummary>, StoreError> {
        let failed = |source| self.failed("summarise accesses", source);
        let rows = query.build().fetch_all(self.readers()).await.map_err(failed)?;
        let mut rows: Vec<AccessSummary> =
            rows.iter().map(summary_from).collect::<Result<_, _>>().map_err(failed)?;
        rows.sort_by(|a, b| b.last_at.cmp(&a.last_at).then_with(|| a.id.cmp(&b.id)));
        Ok(rows)
    }
}

fn push_span(query: &mut QueryBuilder<Sqlite>, rows: &str, span: Span) {
    let (since, until) = (span.since.map(EventTime::unix_nanos), span.until.map(EventTime::unix_nanos));
    push_hours(query, since, until);
    if let Some(since) = since {
        query.push(format!(" AND {rows}.time >= ")).push_bind(since);
    }
    if let Some(until) = until {
        query.push(format!(" AND {rows}.time < ")).push_bind(until);
    }
}

fn listing(select: &str, search: Option<&str>, page: Page) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(select);
    push_search(&mut query, search);
    if let Some(after) = page.after {
        query.push(" AND (s.last_at < ").push_bind(after.at);
        query.push(" OR (s.last_at = ").push_bind(after.at);
        query.push(" AND s.id < ").push_bind(after.id).push("))");
    }
    query.push(" ORDER BY s.last_at DESC, s.id DESC LIMIT ").push_bind(page.read_max());
    query
}

fn count(select: &str, search: Option<&str>) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(format!("SELECT count(*) FROM ({select}"));
    push_search(&mut query, search);
    query.push(")");
    query
}

fn push_search(query: &mut QueryBuilder<Sqlite>, search: Option<&str>) {
    if let Some(search) = search.filter(|search| !search.is_empty()) {
        query.push(" AND (instr(lower(n.text), lower(").push_bind(search.to_owned());
        query.push(")) > 0 OR instr(lower(r.text), lower(").push_bind(search.to_owned());
        query.push(")) > 0)");
    }
}

fn by_id(select: &str, id: &str) -> QueryBuilder<Sqlite> {
    let mut query = QueryBuilder::new(select);
    query.push(" AND s.id = (SELECT id FROM names WHERE text = ").push_bind(id.to_owned()).push(")");
    query
}

fn cursor(row: &SqliteRow) -> Result<Cursor, sqlx::Error> {
    Ok(Cursor { at: row.try_get(1)?, id: row.try_get(0)? })
}

fn secret_from(row: &SqliteRow) -> Result<SecretRow, sqlx::Error> {
    Ok(SecretRow {
        id: row.try_get(2)?,
        name: row.try_get(3)?,
        events: unsigned(row.try_get(4)?),
        failed: unsigned(row.try_get(5)?),
        first_at: shown(row.try_get(6)?),
        last_at: shown(row.try_get(1)?),
    })
}

fn principal_from(row: &SqliteRow) -> Result<PrincipalRow, sqlx::Error> {
    Ok(PrincipalRow {
        id: row.try_get(2)?,
        name: row.try_get(3)?,
        kind: PrincipalKind::from_code(row.try_get(7)?)?,
        events: unsigned(row.try_get(4)?),
        failed: unsigned(row.try_get(5)?),
        first_at: shown(row.try_get(6)?),
        last_at: shown(row.try_get(1)?),
    })
}

fn summary_from(row: &SqliteRow) -> Result<AccessSummary, sqlx::Error> {
    Ok(AccessSummary {
        id: row.try_get(0)?,
        name: row.try_get(1)?,
        first_at: shown(row.try_get(3)?),
        last_at: shown(row.try_get(4)?),
        ok: unsigned(row.try_get(5)?),
        failed: unsigned(row.try_get(6)?),
        sources: unsigned(row.try_get(7)?),
    })
}

/// Summaries keep instants, not the precision they were given with: whole seconds are shown
/// without a fraction, others with milliseconds.
fn shown(nanos: i64) -> EventTime {
    let digits = if nanos.rem_euclid(1_000_000_000) == 0 { 0 } else { 3 };
    EventTime::from_unix_nanos(nanos, digits)
}
