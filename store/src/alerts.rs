//! What a batch did to alerts, and who is to be told.
//!
//! Invariant: an alert stays one row however often it changes or is renamed; every change worth
//! telling has one outbox row per receiver, written with the change itself.

use crate::bulk::Bulk;
use crate::codes::Coded;
use crate::key::{self, Hash, hash_of};
use crate::tell;
use crate::{AlertStatus, DeliveryKind, Subscriber};
use keywatch_event::{Alert, AlertChange, Level};
use sqlx::{Arguments, SqliteConnection};
use std::sync::LazyLock;

static EVIDENCE: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::insert("OR IGNORE INTO alert_events (alert, hash, event)", 3, ""));
static TOUCHED: LazyLock<Bulk> =
    LazyLock::new(|| Bulk::insert("OR IGNORE INTO alert_secrets (alert, secret)", 2, ""));

/// Applies alert changes within a transaction.
pub(crate) struct Telling<'t> {
    pub(crate) conn: &'t mut SqliteConnection,
    pub(crate) receivers: &'t [Subscriber],
    pub(crate) now: i64,
}

/// An alert as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
struct Known {
    seq: i64,
    id: String,
    revision: i64,
    status: i64,
}

/// Something to tell about one alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News<'n> {
    pub(crate) seq: i64,
    pub(crate) id: &'n str,
    pub(crate) revision: i64,
    pub(crate) level: Level,
    pub(crate) body: &'n str,
}

impl Telling<'_> {
    /// Applies `changes` in order; returns how many alerts opened.
    pub(crate) async fn apply(mut self, changes: &[AlertChange]) -> Result<usize, sqlx::Error> {
        let mut opened = 0;
        for change in changes {
            match change {
                AlertChange::Opened { alert, hold_secs } => {
                    opened += usize::from(self.open(alert, *hold_secs).await?);
                }
                AlertChange::Updated { alert, was, news } => {
                    opened += usize::from(self.update(alert, &was.0, *news).await?);
                }
                AlertChange::Withdrawn { id, reason } => self.withdraw(&id.0, reason).await?,
            }
        }
        Ok(opened)
    }

    /// Opens an alert. One that is open already (the rules were restarted) is only brought up to
    /// date; one that was withdrawn opens again.
    async fn open(&mut self, alert: &Alert, hold_secs: u32) -> Result<bool, sqlx::Error> {
        let known = self.find(&alert.id.0).await?;
        let Some(known) = known else { return self.create(alert, hold_secs).await };
        if known.status == AlertStatus::Withdrawn.code() {
            return self.reopen(&known, alert, hold_secs).await;
        }
        if known.id == alert.id.0 {
            self.store(&known, alert).await?;
        }
        Ok(false)
    }

    async fn create(&mut self, alert: &Alert, hold_secs: u32) -> Result<bool, sqlx::Error> {
        let body = body_of(alert)?;
        let seq = sqlx::query(
            "INSERT INTO alerts (id, rule, level, provider, principal, opened_at, status, revision,
                received_at, changed_at, body) VALUES (?, ?, ?, ?, ?, ?, ?, 1, ?, ?, ?)",
        )
        .bind(&alert.id.0)
        .bind(&alert.rule)
        .bind(alert.level.code())
        .bind(alert.provider.code())
        .bind(alert.principal.as_ref().map(|principal| &principal.id))
        .bind(alert.opened_at.unix_nanos())
        .bind(AlertStatus::Open.code())
        .bind(self.now)
        .bind(self.now)
        .bind(&body)
        .execute(&mut *self.conn)
        .await?
        .last_insert_rowid();
        self.store_links(seq, alert).await?;
        self.note(seq, "opened", "").await?;
        let news = News { seq, id: &alert.id.0, revision: 1, level: alert.level, body: &body };
        self.tell(&news, DeliveryKind::AlertOpened, self.due(hold_secs)).await?;
        Ok(true)
    }

    async fn reopen(&mut self, known: &Known, alert: &Alert, hold_secs: u32) -> Result<bool, sqlx::Error> {
        let (revision, body) = self.store(known, alert).await?;
        self.note(known.seq, "reopened", "").await?;
        let news = News { seq: known.seq, id: &alert.id.0, revision, level: alert.level, body: &body };
        self.tell(&news, DeliveryKind::AlertOpened, self.due(hold_secs)).await?;
        Ok(true)
    }

    /// Brings an alert up to date; `true` when it was not known, or withdrawn, and so opened.
    async fn update(&mut self, alert: &Alert, was: &str, news: bool) -> Result<bool, sqlx::Error> {
        let now_known = self.find(&alert.id.0).await?;
        let was_known = if was == alert.id.0 { None } else { self.find(was).await? };
        let known = match (now_known, was_known) {
            (None, None) => return self.create(alert, 0).await,
            (Some(known), Some(merged)) if known.seq != merged.seq => {
                self.withdraw(&merged.id, &format!("part of {}", alert.id)).await?;
                known
            }
            (Some(known), _) | (None, Some(known)) => known,
        };
        if known.status == AlertStatus::Withdrawn.code() {
            return self.reopen(&known, alert, 0).await;
        }
        let (revision, body) = self.store(&known, alert).await?;
        let told = News { seq: known.seq, id: &alert.id.0, revision, level: alert.level, body: &body };
        tell::refresh(self.conn, &told).await?;
        if news {
            self.note(known.seq, "updated", &alert.why.text).await?;
            self.tell(&told, DeliveryKind::AlertUpdated, self.now).await?;
        }
        Ok(false)
    }

    async fn withdraw(&mut self, id: &str, reason: &str) -> Result<(), sqlx::Error> {
        let Some(known) = self.find(id).await? else {
            tracing::warn!(alert = id, reason, "an alert nobody opened was withdrawn");
            return Ok(());
        };
        if known.status == AlertStatus::Withdrawn.code() {
            return Ok(());
        }
        sqlx::query("UPDATE alerts SET status = ?, revision = revision + 1, changed_at = ? WHERE seq = ?")
            .bind(AlertStatus::Withdrawn.code())
            .bind(self.now)
            .bind(known.seq)
            .execute(&mut *self.conn)
            .await?;
        self.note(known.seq, "withdrawn", reason).await?;
        tell::withdraw(
            self.conn,
            known.seq,
            &tell::Withdrawal {
                id: &known.id,
                revision: known.revision + 1,
                reason,
                receivers: self.receivers,
                now: self.now,
            },
        )
        .await
    }

    async fn find(&mut self, id: &str) -> Result<Option<Known>, sqlx::Error> {
        sqlx::query_as(
            "SELECT seq, id, revision, status FROM alerts
             WHERE seq = coalesce((SELECT seq FROM alerts WHERE id = ?1),
                                  (SELECT alert FROM alert_aliases WHERE id = ?1))",
        )
        .bind(id)
        .fetch_optional(&mut *self.conn)
        .await
    }

    /// Writes the alert as it now is and opens it; returns its new revision and body.
    async fn store(&mut self, known: &Known, alert: &Alert) -> Result<(i64, String), sqlx::Error> {
        let (revision, body) = (known.revision + 1, body_of(alert)?);
        if known.id != alert.id.0 {
            self.rename(known, &alert.id.0).await?;
        }
        sqlx::query(
            "UPDATE alerts SET level = ?, principal = ?, opened_at = ?, status = ?, revision = ?,
                changed_at = ?, body = ? WHERE seq = ?",
        )
        .bind(alert.level.code())
        .bind(alert.principal.as_ref().map(|principal| &principal.id))
        .bind(alert.opened_at.unix_nanos())
        .bind(AlertStatus::Open.code())
        .bind(revision)
        .bind(self.now)
        .bind(&body)
        .bind(known.seq)
        .execute(&mut *self.conn)
        .await?;
        self.store_links(known.seq, alert).await?;
        Ok((revision, body))
    }

    async fn rename(&mut self, known: &Known, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM alert_aliases WHERE id = ?").bind(id).execute(&mut *self.conn).await?;
        sqlx::query("UPDATE alerts SET id = ? WHERE seq = ?")
            .bind(id)
            .bind(known.seq)
            .execute(&mut *self.conn)
            .await?;
        sqlx::query("INSERT OR REPLACE INTO alert_aliases (id, alert) VALUES (?, ?)")
            .bind(&known.id)
            .bind(known.seq)
            .execute(&mut *self.conn)
            .await?;
        self.note(known.seq, "renamed", &format!("was {}", known.id)).await
    }

    /// Evidence and secrets as the alert names them now.
    async fn store_links(&mut self, seq: i64, alert: &Alert) -> Result<(), sqlx::Error> {
        let links = self.evidence(seq, alert).await?;
        for sql in ["DELETE FROM alert_events WHERE alert = ?", "DELETE FROM alert_secrets WHERE alert = ?"] {
            sqlx::query(sql).bind(seq).execute(&mut *self.conn).await?;
        }
        EVIDENCE
            .execute(self.conn, &links, |(hash, event), to| {
                to.add(seq)?;
                to.add(hash.as_slice())?;
                to.add(*event)
            })
            .await?;
        TOUCHED
            .execute(self.conn, &alert.secrets, |secret, to| {
                to.add(seq)?;
                to.add(&*secret.id)
            })
            .await?;
        Ok(())
    }

    /// The stored events that are the alert's evidence. Those linked before are not searched again.
    async fn evidence(&mut self, seq: i64, alert: &Alert) -> Result<Vec<(Hash, i64)>, sqlx::Error> {
        let linked: Vec<(Vec<u8>, i64)> =
            sqlx::query_as("SELECT hash, event FROM alert_events WHERE alert = ?")
                .bind(seq)
                .fetch_all(&mut *self.conn)
                .await?;
        let mut links = Vec::with_capacity(alert.evidence.len());
        for evidence in &alert.evidence {
            let hash = hash_of(&evidence.event);
            let known = linked.iter().find(|(known, _)| known.as_slice() == hash.as_slice());
            let mut event = known.map(|(_, event)| *event);
            if event.is_none() {
                event = key::find_near(self.conn, &hash, evidence.time).await?;
            }
            if event.is_none() {
                event = key::find_anywhere(self.conn, &hash).await?;
            }
            links.extend(event.map(|event| (hash, event)));
        }
        Ok(links)
    }

    async fn note(&mut self, seq: i64, what: &str, detail: &str) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO alert_history (alert, at, what, detail) VALUES (?, ?, ?, ?)")
            .bind(seq)
            .bind(self.now)
            .bind(what)
            .bind(detail)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    async fn tell(&mut self, news: &News<'_>, kind: DeliveryKind, due_at: i64) -> Result<(), sqlx::Error> {
        for receiver in self.receivers.iter().filter(|receiver| receiver.level_min <= news.level) {
            let told =
                tell::Told { receiver: &receiver.name, kind, created_at: self.now, due_at, note: None };
            tell::write(self.conn, news, &told).await?;
        }
        Ok(())
    }

    const fn due(&self, hold_secs: u32) -> i64 {
        self.now.saturating_add(hold_secs as i64 * 1_000_000_000)
    }
}

fn body_of(alert: &Alert) -> Result<String, sqlx::Error> {
    serde_json::to_string(alert).map_err(|error| sqlx::Error::Encode(error.into()))
}
