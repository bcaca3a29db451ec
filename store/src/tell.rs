//! Outbox rows as a batch writes them: who is to be told, refreshed, or taken back.
//!
//! Invariant: the body of a row that was ever leased never changes, because a receiver may have
//! seen it under the same message id.

use crate::alerts::News;
use crate::codes::Coded;
use crate::key::short_hash;
use crate::{DeliveryKind, DeliveryState, Subscriber};
use keywatch_event::Level;
use sqlx::SqliteConnection;

/// One row to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Told<'t> {
    pub(crate) receiver: &'t str,
    pub(crate) kind: DeliveryKind,
    pub(crate) created_at: i64,
    pub(crate) due_at: i64,
    pub(crate) note: Option<&'t str>,
}

/// Writes one row, unless it would only repeat what a row nobody took yet will say anyway.
pub(crate) async fn write(
    conn: &mut SqliteConnection,
    news: &News<'_>,
    told: &Told<'_>,
) -> Result<(), sqlx::Error> {
    let merge = told.kind == DeliveryKind::AlertUpdated;
    sqlx::query(
        "INSERT INTO outbox (message_id, alert, receiver, kind, state, level, body, created_at, due_at,
            attempts, leases, note)
         SELECT ?1, ?2, ?3, ?4, 0, ?5, ?6, ?7, ?8, 0, 0, ?9
         WHERE NOT (?10 AND EXISTS (SELECT 1 FROM outbox WHERE alert = ?2 AND receiver = ?3 AND state = 0
            AND leases = 0 AND kind <> ?11))",
    )
    .bind(message_id(news, told))
    .bind(news.seq)
    .bind(told.receiver)
    .bind(told.kind.code())
    .bind(news.level.code())
    .bind(news.body)
    .bind(told.created_at)
    .bind(told.due_at)
    .bind(told.note)
    .bind(merge)
    .bind(DeliveryKind::AlertWithdrawn.code())
    .execute(conn)
    .await?;
    Ok(())
}

/// Gives rows nobody took yet the alert as it now is.
pub(crate) async fn refresh(conn: &mut SqliteConnection, news: &News<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "UPDATE outbox SET body = ?, level = ? WHERE alert = ? AND state = 0 AND leases = 0 AND kind <> ?",
    )
    .bind(news.body)
    .bind(news.level.code())
    .bind(news.seq)
    .bind(DeliveryKind::AlertWithdrawn.code())
    .execute(conn)
    .await?;
    Ok(())
}

/// Why and how an alert is taken back.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Withdrawal<'w> {
    pub(crate) id: &'w str,
    pub(crate) revision: i64,
    pub(crate) reason: &'w str,
    pub(crate) receivers: &'w [Subscriber],
    pub(crate) now: i64,
}

/// Cancels what is still waiting, and tells those who know of the alert, or may know because an
/// attempt was begun, that it is none any more.
pub(crate) async fn withdraw(
    conn: &mut SqliteConnection,
    seq: i64,
    withdrawal: &Withdrawal<'_>,
) -> Result<(), sqlx::Error> {
    let known: Vec<(String, i64)> = sqlx::query_as(
        "SELECT receiver, max(CASE WHEN state = 0 THEN coalesce(leased_until, 0) ELSE 0 END)
         FROM outbox WHERE alert = ? AND leases > 0 GROUP BY receiver ORDER BY receiver",
    )
    .bind(seq)
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query("UPDATE outbox SET state = ?, reason = ? WHERE alert = ? AND state = 0")
        .bind(DeliveryState::Cancelled.code())
        .bind(withdrawal.reason)
        .bind(seq)
        .execute(&mut *conn)
        .await?;
    let (level, body): (i64, String) = sqlx::query_as("SELECT level, body FROM alerts WHERE seq = ?")
        .bind(seq)
        .fetch_one(&mut *conn)
        .await?;
    let level = Level::from_code(level)?;
    let news = News { seq, id: withdrawal.id, revision: withdrawal.revision, level, body: &body };
    for (receiver, leased_until) in
        known.iter().filter(|(name, _)| withdrawal.receivers.iter().any(|known| known.name == *name))
    {
        let kind = DeliveryKind::AlertWithdrawn;
        let note = Some(withdrawal.reason);
        // Not before an attempt under way has ended.
        let due_at = withdrawal.now.max(*leased_until);
        write(conn, &news, &Told { receiver, kind, created_at: withdrawal.now, due_at, note }).await?;
    }
    Ok(())
}

/// The same alert, receiver, kind and revision give the same id.
fn message_id(news: &News<'_>, told: &Told<'_>) -> String {
    let revision = news.revision.to_string();
    let kind = told.kind.as_str();
    let hash =
        short_hash(&[news.id.as_bytes(), told.receiver.as_bytes(), kind.as_bytes(), revision.as_bytes()]);
    // The first 13 of its 16 bytes.
    format!("msg_{:026x}", u128::from_be_bytes(hash) >> 24)
}
