//! Keywatch's own alerts about delivery: what one receiver does not take is told to the others.
//!
//! Invariant: never about themselves. A message that is given up and was itself about such an
//! alert is marked as reported and goes no further, and no receiver is told of its own failure.

use crate::alerts::Telling;
use crate::codes::Coded;
use crate::commit::nanos;
use crate::key::short_hash;
use crate::{Routed, Routing, Store, StoreError};
use chrono::{DateTime, Utc};
use keywatch_event::{
    Alert, AlertChange, AlertId, AlertSource, EventTime, Level, Provider, SourceKind, Subject, Why,
};
use sqlx::SqliteConnection;

/// The rule under which messages that were given up are alerted.
pub const RULE_UNDELIVERED: &str = "KW-900";
/// The rule under which messages to a receiver that is configured no more are alerted.
pub const RULE_ORPHANED: &str = "KW-901";

/// Messages that need somebody.
struct Stuck {
    receiver: String,
    count: i64,
    provider: i64,
    first: i64,
    reason: String,
}

impl Store {
    /// Raises [`RULE_UNDELIVERED`] for every receiver with messages that were given up and not
    /// reported, and for one that is paused; yields how many alerts were raised or grew.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn report_undelivered(
        &self,
        now: DateTime<Utc>,
        routing: &dyn Routing,
    ) -> Result<usize, StoreError> {
        let failed = |source| self.failed("report messages that were given up", source);
        let waiting: i64 = sqlx::query_scalar(
            "SELECT (SELECT count(*) FROM (SELECT 1 FROM outbox WHERE state = 2 AND reported = 0 LIMIT 1))
                  + (SELECT count(*) FROM paused_receivers)",
        )
        .fetch_one(self.readers())
        .await
        .map_err(failed)?;
        if waiting == 0 {
            return Ok(0);
        }
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let mut raised = 0;
        for stuck in given_up(conn).await.map_err(failed)? {
            let text = format!(
                "{} messages to {} were given up; the last error: {}. Replay them once it takes messages again",
                stuck.count, stuck.receiver, stuck.reason
            );
            raise(conn, (RULE_UNDELIVERED, &text), &stuck, (now, routing)).await.map_err(failed)?;
            raised += 1;
        }
        for stuck in paused(conn).await.map_err(failed)? {
            let text = format!(
                "{} wants no more messages ({}) and is paused; {} wait for it. Set it up again and resume it",
                stuck.receiver, stuck.reason, stuck.count
            );
            raise(conn, (RULE_UNDELIVERED, &text), &stuck, (now, routing)).await.map_err(failed)?;
            raised += 1;
        }
        work.commit().await.map_err(failed)?;
        Ok(raised)
    }

    /// Raises [`RULE_ORPHANED`] for every receiver that `routing` does not know and that messages
    /// wait for; yields how many. They go on waiting: when the receiver comes back they are sent.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be written.
    pub async fn report_orphaned(
        &self,
        now: DateTime<Utc>,
        routing: &dyn Routing,
    ) -> Result<usize, StoreError> {
        let failed = |source| self.failed("report messages to receivers that are gone", source);
        let mut work = self.begin().await?;
        let conn = &mut work.desk.conn;
        let mut raised = 0;
        for stuck in orphaned(conn, routing).await.map_err(failed)? {
            let text = format!(
                "{} messages wait for {}, which is no longer configured. Configure it again, or handle the alerts by hand",
                stuck.count, stuck.receiver
            );
            raise(conn, (RULE_ORPHANED, &text), &stuck, (now, routing)).await.map_err(failed)?;
            raised += 1;
        }
        work.commit().await.map_err(failed)?;
        Ok(raised)
    }
}

type Found = (String, i64, i64, i64, Option<String>);

fn stuck_from((receiver, count, provider, first, reason): Found) -> Stuck {
    Stuck { receiver, count, provider, first, reason: reason.unwrap_or_default() }
}

/// Marks what was given up as reported, and yields it per receiver.
async fn given_up(conn: &mut SqliteConnection) -> Result<Vec<Stuck>, sqlx::Error> {
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT o.receiver, count(*), a.provider, min(o.id), max(o.reason)
         FROM outbox o JOIN alerts a ON a.seq = o.alert
         WHERE o.state = 2 AND o.reported = 0 AND a.rule NOT IN (?1, ?2)
         GROUP BY o.receiver ORDER BY o.receiver",
    )
    .bind(RULE_UNDELIVERED)
    .bind(RULE_ORPHANED)
    .fetch_all(&mut *conn)
    .await?;
    sqlx::query("UPDATE outbox SET reported = 1 WHERE state = 2 AND reported = 0").execute(conn).await?;
    Ok(rows.into_iter().map(stuck_from).collect())
}

/// Receivers that paused since an alert was last raised about them.
async fn paused(conn: &mut SqliteConnection) -> Result<Vec<Stuck>, sqlx::Error> {
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT p.receiver, (SELECT count(*) FROM outbox WHERE receiver = p.receiver AND state = 0),
            coalesce((SELECT a.provider FROM outbox o JOIN alerts a ON a.seq = o.alert
                WHERE o.receiver = p.receiver ORDER BY o.id DESC LIMIT 1), 0), p.at, p.reason
         FROM paused_receivers p
         WHERE NOT EXISTS (SELECT 1 FROM alerts a WHERE a.rule = ?1 AND a.received_at >= p.at
            AND a.body ->> '$.source.raw' = p.receiver)
         ORDER BY p.receiver",
    )
    .bind(RULE_UNDELIVERED)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(stuck_from).collect())
}

async fn orphaned(conn: &mut SqliteConnection, routing: &dyn Routing) -> Result<Vec<Stuck>, sqlx::Error> {
    let rows: Vec<Found> = sqlx::query_as(
        "SELECT w.receiver, w.count, w.provider, w.first, NULL FROM (
            SELECT o.receiver, count(*) AS count, a.provider, min(o.id) AS first, max(o.created_at) AS latest
            FROM outbox o JOIN alerts a ON a.seq = o.alert WHERE o.state = 0 GROUP BY o.receiver) w
         WHERE NOT EXISTS (SELECT 1 FROM alerts k WHERE k.rule = ? AND k.received_at >= w.latest
            AND k.body ->> '$.source.raw' = w.receiver)
         ORDER BY w.receiver",
    )
    .bind(RULE_ORPHANED)
    .fetch_all(conn)
    .await?;
    Ok(rows.into_iter().map(stuck_from).filter(|stuck| !routing.knows(&stuck.receiver)).collect())
}

/// Opens the alert about a receiver, or lets the one that is still open grow.
async fn raise(
    conn: &mut SqliteConnection,
    (rule, text): (&'static str, &str),
    stuck: &Stuck,
    (now, routing): (DateTime<Utc>, &dyn Routing),
) -> Result<(), sqlx::Error> {
    let known: Option<(String, i64)> = sqlx::query_as(
        "SELECT id, coalesce(body ->> '$.events', 0) FROM alerts
         WHERE rule = ? AND status IN (0, 2) AND body ->> '$.source.raw' = ? ORDER BY seq DESC LIMIT 1",
    )
    .bind(rule)
    .bind(&stuck.receiver)
    .fetch_optional(&mut *conn)
    .await?;
    let fresh = || {
        let first = stuck.first.to_string();
        let hash = short_hash(&[rule.as_bytes(), stuck.receiver.as_bytes(), first.as_bytes()]);
        format!("{:032x}", u128::from_be_bytes(hash))
    };
    let (id, before) = known.clone().unwrap_or_else(|| (fresh(), 0));
    let events = u64::try_from(before.saturating_add(stuck.count.max(1))).unwrap_or(1);
    let alert = alert_about(stuck, (rule, text), (id.clone(), events), now)?;
    let change = if known.is_some() {
        AlertChange::Updated { alert, was: AlertId(id), news: false }
    } else {
        AlertChange::Opened { alert, hold_secs: 0 }
    };
    let others = Others { routing, but: &stuck.receiver };
    let now = nanos(now);
    Telling { conn, routing: &others, now, decided_at: now }.apply(&[change]).await?;
    Ok(())
}

fn alert_about(
    stuck: &Stuck,
    (rule, text): (&str, &str),
    (id, events): (String, u64),
    now: DateTime<Utc>,
) -> Result<Alert, sqlx::Error> {
    let time = EventTime::from(now);
    let source = AlertSource { ip: None, kind: SourceKind::Service, raw: Some(stuck.receiver.clone()) };
    Ok(Alert {
        id: AlertId(id),
        rule: rule.to_owned(),
        title: format!("Alerts do not reach {}", stuck.receiver),
        level: Level::High,
        action: "Mend the receiver".to_owned(),
        opened_at: time,
        first_event_at: time,
        last_event_at: time,
        sessions: keywatch_event::AlertSessions::default(),
        late_secs: None,
        principal: None,
        source: Some(source),
        secrets: Vec::new(),
        provider: Provider::from_code(stuck.provider)?,
        account: None,
        store: None,
        events,
        evidence: Vec::new(),
        why: Why {
            text: text.to_owned(),
            observed: f64::from(i32::try_from(stuck.count).unwrap_or(i32::MAX)),
            threshold: 1.0,
            baseline: None,
        },
        tags: vec!["keywatch.delivery".to_owned()],
    })
}

/// Everybody but the receiver that fails: telling it that it cannot be told would go in circles.
struct Others<'o> {
    routing: &'o dyn Routing,
    but: &'o str,
}

impl Routing for Others<'_> {
    fn routes(&self, subject: &Subject, at: DateTime<Utc>) -> Vec<Routed> {
        let mut routed = self.routing.routes(subject, at);
        for one in routed.iter_mut().filter(|one| one.receiver == self.but) {
            one.told = false;
            "it is the receiver that cannot be told".clone_into(&mut one.reason);
        }
        if !routed.iter().any(|one| one.told) {
            for one in routed.iter_mut().filter(|one| one.receiver != self.but) {
                one.told = true;
                "routes would tell nobody else, and somebody must know".clone_into(&mut one.reason);
            }
        }
        routed
    }

    fn knows(&self, receiver: &str) -> bool {
        self.routing.knows(receiver)
    }
}
