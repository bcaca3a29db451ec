//! Why each receiver was told of an alert or was not: written with the decision itself.

use crate::Choice;
use crate::codes::Coded;
use sqlx::SqliteConnection;

/// One decision to write.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Decided<'d> {
    pub(crate) alert: i64,
    pub(crate) receiver: &'d str,
    pub(crate) at: i64,
    pub(crate) choice: Choice,
    pub(crate) reason: &'d str,
    pub(crate) delivery: Option<i64>,
}

/// Writes a decision, unless it only repeats the latest one about that alert and receiver: an
/// alert that is updated for days stays readable, and its table bounded.
pub(crate) async fn write(conn: &mut SqliteConnection, decided: &Decided<'_>) -> Result<(), sqlx::Error> {
    sqlx::query(
        "INSERT INTO decisions (alert, receiver, at, choice, reason, delivery)
         SELECT ?1, ?2, ?3, ?4, ?5, ?6
         WHERE (?4, ?5) IS NOT (SELECT choice, reason FROM decisions WHERE alert = ?1 AND receiver = ?2
            ORDER BY id DESC LIMIT 1)",
    )
    .bind(decided.alert)
    .bind(decided.receiver)
    .bind(decided.at)
    .bind(decided.choice.code())
    .bind(decided.reason)
    .bind(decided.delivery)
    .execute(conn)
    .await?;
    Ok(())
}
