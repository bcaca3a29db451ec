//! Outbox rows as a batch writes them: who is to be told, refreshed, or taken back.
//!
//! Invariant: the body of a row that was ever leased never changes, because a receiver may have
//! seen it under the same message id. It names the alert by the id receivers know it by.

use crate::alerts::News;
use crate::codes::Coded;
use crate::key::short_hash;
use crate::{Choice, DeliveryKind, DeliveryState, Gathering, Routing, UNDO_SECS, decisions};
use serde_json::{Map, Value};
use sqlx::SqliteConnection;
use std::borrow::Cow;

/// One row to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'t> {
    pub(crate) receiver: &'t str,
    pub(crate) kind: DeliveryKind,
    pub(crate) created_at: i64,
    pub(crate) decided_at: i64,
    pub(crate) due_at: i64,
    pub(crate) group: Option<&'t Gathering>,
    pub(crate) note: Option<&'t str>,
}

/// Writes one row, unless it would only repeat what a row nobody took yet will say anyway. Yields
/// the number of the row that was written.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    news: &News<'_>,
    told: &Told<'_>,
) -> Result<Option<i64>, sqlx::Error> {
    let merge = told.kind == DeliveryKind::AlertUpdated;
    let written = sqlx::query(
        "INSERT INTO outbox (message_id, alert, receiver, kind, state, level, body, created_at, due_at,
            attempts, leases, note, decided_at, group_key, group_secs)
         SELECT ?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, 0, 0, ?9, ?11, ?12, ?13
         -- Kinds 2, 3 and 4 say that it is over or looked after: news has no place in those.
         WHERE NOT (?10 AND EXISTS (SELECT 1 FROM outbox WHERE alert = ?2 AND receiver = ?3 AND state = 0
            AND leases = 0 AND kind NOT IN (2, 3, 4)))",
    )
    .bind(message_id(news, told))
    .bind(news.seq)
    .bind(told.receiver)
    .bind(told.kind.code())
    .bind(news.level.code())
    .bind(body_of(news)?)
    .bind(told.created_at)
    .bind(told.due_at)
    .bind(told.note)
    .bind(merge)
    .bind(told.decided_at)
    .bind(told.group.map(|group| group.key.as_str()))
    .bind(told.group.map_or(0, |group| i64::from(group.interval_secs)))
    .execute(conn)
    .await?;
    Ok((written.rows_affected() > 0).then(|| written.last_insert_rowid()))
}

/// Gives rows nobody took yet the alert as it now is.
pub(crate) async fn refresh(conn: &mut SqliteConnection, news: &News<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET body = ?, level = ? WHERE alert = ? AND state = 0 AND leases = 0 AND kind <> ?",
    )
    .bind(body_of(news)?)
    .bind(news.level.code())
    .bind(news.seq)
    .bind(DeliveryKind::AlertWithdrawn.code())
    .execute(conn)
    .await?;
    Ok(())
}

/// What became of an alert, for those who know of it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Following<'f> {
    pub(crate) kind: DeliveryKind,
    pub(crate) note: &'f str,
    pub(crate) cancels: Cancels,
    /// The action that can be undone, when it is one.
    pub(crate) action: Option<i64>,
}

/// Which messages that still wait are taken back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cancels {
    /// All: nobody need look any more.
    Everything,
    /// What only repeats that nobody has looked.
    Urging,
}

/// Now, and when it was decided.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Times {
    pub(crate) now: i64,
    pub(crate) decided_at: i64,
}

/// Cancels what is still waiting, and tells those who know of the alert, or may know because an
/// attempt was begun, what became of it.
///
/// A row that goes out together with others is not cancelled: its message was begun, and the
/// others need it.
pub(crate) async fn follow(
    conn: &mut SqliteConnection,
    routing: &dyn Routing,
    news: &News<'_>,
    following: &Following<'_>,
    times: Times,
) -> Result<(), sqlx::Error> {
    let known: Vec<(String, i64)> = sqlx::query_as(
        "SELECT receiver, max(CASE WHEN state = 0 THEN coalesce(leased_until, 0) ELSE 0 END)
         FROM outbox WHERE alert = ? AND leases > 0 GROUP BY receiver ORDER BY receiver",
    )
    .bind(news.seq)
    .fetch_all(&mut *conn)
    .await?;
    cancel(conn, news.seq, following, times).await?;
    let wait_secs = following.action.map_or(0, |_| i64::from(UNDO_SECS));
    let waited = times.now.saturating_add(wait_secs * 1_000_000_000);
    for (receiver, leased_until) in known.iter().filter(|(name, _)| routing.knows(name)) {
        let told = Told {
            receiver,
            kind: following.kind,
            created_at: times.now,
            decided_at: times.decided_at,
            // Not before an attempt under way has ended.
            due_at: waited.max(*leased_until),
            group: None,
            note: Some(following.note),
        };
        let delivery = write(conn, news, &told).await?;
        if let (Some(action), Some(written)) = (following.action, delivery) {
            let mark = sqlx::query("UPDATE outbox SET action = ? WHERE id = ?");
            mark.bind(action).bind(written).execute(&mut *conn).await?;
        }
        let reason = "it was told of the alert before";
        decide(conn, (news.seq, receiver, Choice::Told), reason, (times.decided_at, delivery)).await?;
    }
    Ok(())
}

async fn cancel(
    conn: &mut SqliteConnection,
    alert: i64,
    following: &Following<'_>,
    times: Times,
) -> Result<(), sqlx::Error> {
    let cancelled: Vec<(i64, String)> = sqlx::query_as(
        "UPDATE outbox SET state = ?1, reason = ?2, action = ?8
         WHERE alert = ?3 AND state = 0 AND bundle IS NULL AND (?4 OR (leases = 0 AND kind IN (?5, ?6, ?7)))
         RETURNING id, receiver",
    )
    .bind(DeliveryState::Cancelled.code())
    .bind(following.note)
    .bind(alert)
    .bind(following.cancels == Cancels::Everything)
    .bind(DeliveryKind::AlertReminder.code())
    .bind(DeliveryKind::AlertEscalated.code())
    .bind(DeliveryKind::AlertRefreshed.code())
    .bind(following.action)
    .fetch_all(&mut *conn)
    .await?;
    for (id, receiver) in cancelled {
        let what = (alert, receiver.as_str(), Choice::TakenBack);
        decide(conn, what, following.note, (times.decided_at, Some(id))).await?;
    }
    Ok(())
}

async fn decide(
    conn: &mut SqliteConnection,
    (alert, receiver, choice): (i64, &str, Choice),
    reason: &str,
    (at, delivery): (i64, Option<i64>),
) -> Result<(), sqlx::Error> {
    decisions::write(conn, &decisions::Decided { alert, receiver, at, choice, reason, delivery }).await
}

/// The alert's public JSON form, with the id receivers know it by.
fn body_of<'n>(news: &News<'n>) -> Result<Cow<'n, str>, sqlx::Error> {
    let Some(told_as) = news.told_as else { return Ok(news.body.into()) };
    let encoded = |error: serde_json::Error| sqlx::Error::Encode(error.into());
    let mut body: Map<String, Value> = serde_json::from_str(news.body).map_err(encoded)?;
    body.insert("id".to_owned(), told_as.into());
    Ok(serde_json::to_string(&body).map_err(encoded)?.into())
}

/// The same alert, receiver, kind and revision give the same id; what is said again and again of
/// one revision differs by when.
fn message_id(news: &News<'_>, told: &Told<'_>) -> String {
    let revision = news.revision.to_string();
    let kind = told.kind.as_str();
    let repeats = matches!(
        told.kind,
        DeliveryKind::AlertReminder | DeliveryKind::AlertEscalated | DeliveryKind::AlertRefreshed
    );
    let when = if repeats { told.created_at.to_string() } else { String::new() };
    let parts = [news.told_as.unwrap_or(news.id), told.receiver, kind, &revision, &when].map(str::as_bytes);
    let hash = if repeats { short_hash(&parts) } else { short_hash(parts.get(..4).unwrap_or(&parts)) };
    // The first 13 of its 16 bytes.
    format!("msg_{:026x}", u128::from_be_bytes(hash) >> 24)
}
