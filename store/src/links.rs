//! Which events and secrets an alert names, so that it is found by them.

use crate::bulk::Bulk;
use crate::key::{self, Hash, hash_of};
use hashbrown::{HashMap, HashSet};
use keywatch_event::{Alert, EventTime};
use sqlx::sqlite::SqliteArguments;
use sqlx::{Arguments, SqliteConnection};
use std::sync::LazyLock;

static EVIDENCE: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::insert("OR IGNORE INTO alert_events (alert, hash, event)", 3, ""));
static TOUCHED: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::insert("OR IGNORE INTO alert_secrets (alert, secret)", 2, ""));

static NO_EVIDENCE: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("DELETE FROM alert_events WHERE (alert, hash) IN (VALUES", "(?,?)", ")"));
static UNTOUCHED: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::new("DELETE FROM alert_secrets WHERE (alert, secret) IN (VALUES", "(?,?)", ")"));

/// Evidence and secrets as the alert names them now. Only what differs is written: most of it
/// stands already.
pub(crate) async fn store(conn: &mut SqliteConnection, seq: i64, alert: &Alert) -> Result<(), sqlx::Error> {
    store_evidence(conn, seq, alert).await?;
    let linked: Vec<String> = sqlx::query_scalar("SELECT secret FROM alert_secrets WHERE alert = ?")
        .bind(seq)
        .fetch_all(&mut *conn)
        .await?;
    let named = alert.secrets.iter().map(|secret| &*secret.id);
    let (new, gone) = difference(linked.iter().map(String::as_str), named);
    let bind = |secret: &&str, to: &mut SqliteArguments| {
        to.add(seq)?;
        to.add(*secret)
    };
    UNTOUCHED.execute(conn, &gone, bind).await?;
    TOUCHED.execute(conn, &new, bind).await?;
    Ok(())
}

/// Evidence that is not stored is left out. What was linked before is not searched again.
async fn store_evidence(conn: &mut SqliteConnection, seq: i64, alert: &Alert) -> Result<(), sqlx::Error> {
    let linked: Vec<Vec<u8>> = sqlx::query_scalar("SELECT hash FROM alert_events WHERE alert = ?")
        .bind(seq)
        .fetch_all(&mut *conn)
        .await?;
    let linked = linked.iter().filter_map(|hash| Hash::try_from(hash.as_slice()).ok());
    let times: HashMap<Hash, EventTime> =
        alert.evidence.iter().map(|evidence| (hash_of(&evidence.event), evidence.time)).collect();
    let (new, gone) = difference(linked, times.keys().copied());
    let wanted: Vec<(Hash, EventTime)> =
        new.into_iter().filter_map(|hash| Some((hash, *times.get(&hash)?))).collect();
    let found: Vec<(Hash, i64)> = key::locate(conn, &wanted).await?.into_iter().collect();
    NO_EVIDENCE
        .execute(conn, &gone, |hash, to| {
            to.add(seq)?;
            to.add(hash.as_slice())
        })
        .await?;
    EVIDENCE
        .execute(conn, &found, |(hash, event), to| {
            to.add(seq)?;
            to.add(hash.as_slice())?;
            to.add(*event)
        })
        .await?;
    Ok(())
}

/// What is new in `now`, each once, and what of `before` is gone.
fn difference<T: Copy + Eq + std::hash::Hash>(
    before: impl Iterator<Item = T>,
    now: impl Iterator<Item = T>,
) -> (Vec<T>, Vec<T>) {
    let (before, now): (HashSet<T>, HashSet<T>) = (before.collect(), now.collect());
    (now.difference(&before).copied().collect(), before.difference(&now).copied().collect())
}
