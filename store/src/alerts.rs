//! What a batch did to alerts, and who is to be told.
//!
//! Invariant: an alert stays one row however often it changes or is renamed; every change worth
//! telling has one outbox row per receiver, written with the change itself. Receivers know an alert
//! by one id for ever, and no two alerts by the same.

use crate::codes::Coded;
use crate::links;
use crate::tell;
use crate::{AlertStatus, Choice, DeliveryKind, Resolution, Routing, decisions};
use chrono::{DateTime, SecondsFormat, Utc};
use keywatch_event::{Alert, AlertChange, Level, Subject};
use sqlx::SqliteConnection;

/// Applies alert changes within a transaction.
pub(crate) struct Telling<'t> {
    pub(crate) conn: &'t mut SqliteConnection,
    pub(crate) routing: &'t dyn Routing,
    /// When the batch was taken in.
    pub(crate) now: i64,
    /// When it is decided who is told.
    pub(crate) decided_at: i64,
}

/// An alert as it is stored.
#[derive(Clone, Debug, sqlx::FromRow)]
pub(crate) struct Known {
    pub(crate) seq: i64,
    pub(crate) id: String,
    /// The id receivers know it by, when it is another one.
    told_as: Option<String>,
    pub(crate) revision: i64,
    pub(crate) status: i64,
    pub(crate) level: i64,
    pub(crate) body: String,
    /// Events it counts.
    pub(crate) events: i64,
    pub(crate) resolved_at: Option<i64>,
    pub(crate) resolved_by: Option<String>,
    pub(crate) resolution: Option<i64>,
    /// Times of its first and last event, RFC 3339.
    first_event_at: Option<String>,
    last_event_at: Option<String>,
}

/// Something to tell about one alert.
#[derive(Clone, Copy, Debug)]
pub(crate) struct News<'n> {
    pub(crate) seq: i64,
    /// Its present id, as `body` has it.
    pub(crate) id: &'n str,
    /// The id receivers know it by, when it is another one.
    pub(crate) told_as: Option<&'n str>,
    pub(crate) revision: i64,
    pub(crate) level: Level,
    pub(crate) body: &'n str,
}

/// An alert as it was just stored.
struct Stored {
    seq: i64,
    id: String,
    told_as: Option<String>,
    revision: i64,
    level: Level,
    body: String,
}

impl Stored {
    fn news(&self) -> News<'_> {
        News {
            seq: self.seq,
            id: &self.id,
            told_as: self.told_as.as_deref(),
            revision: self.revision,
            level: self.level,
            body: &self.body,
        }
    }
}

/// `id`: the row of the alert a person means.
macro_rules! named {
    () => {
        "coalesce((SELECT seq FROM alerts WHERE id = ?1), (SELECT seq FROM alerts WHERE told_as = ?1),
            (SELECT alert FROM alert_aliases WHERE id = ?1))"
    };
}
pub(crate) use named;

/// Selects a [`Known`] by its row.
macro_rules! known_at {
    ($place:expr) => {
        concat!(
            "SELECT seq, id, told_as, revision, status, level, body,
                coalesce(body ->> '$.events', 0) AS events, resolved_at, resolved_by, resolution,
                body ->> '$.first_event_at' AS first_event_at, body ->> '$.last_event_at' AS last_event_at
             FROM alerts WHERE seq = ",
            $place
        )
    };
}

impl Telling<'_> {
    /// Applies `changes` in order, but first what is known already: an alert may open under the name
    /// that another one loses. Returns how many alerts opened.
    pub(crate) async fn apply(mut self, changes: &[AlertChange]) -> Result<usize, sqlx::Error> {
        let mut opened = 0;
        let is_known = |change: &&AlertChange| matches!(change, AlertChange::Updated { .. });
        let others = changes.iter().filter(|change| !is_known(change));
        let ordered = changes.iter().filter(is_known).chain(others);
        for change in ordered {
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
        let known = self.find_itself(alert).await?;
        let Some(known) = known else { return self.create(alert, hold_secs).await };
        if known.status == AlertStatus::Withdrawn.code() {
            return self.reopen(&known, alert, hold_secs).await;
        }
        if known.regresses_with(alert) {
            self.regress(&known, alert).await?;
        } else if known.id == alert.id.0 {
            self.store(&known, alert, known.status).await?;
        }
        Ok(false)
    }

    async fn create(&mut self, alert: &Alert, hold_secs: u32) -> Result<bool, sqlx::Error> {
        let body = body_of(alert)?;
        self.forget_alias(&alert.id.0).await?;
        let told_as = self.another_name(&alert.id.0).await?;
        let seq = sqlx::query(
            "INSERT INTO alerts (id, rule, level, provider, principal, opened_at, status, revision,
                received_at, changed_at, body, open_since, told_as)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, 1, ?8, ?9, ?10, ?8, ?11)",
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
        .bind(&told_as)
        .execute(&mut *self.conn)
        .await?
        .last_insert_rowid();
        links::store(self.conn, seq, alert).await?;
        self.note(seq, "opened", "").await?;
        let told_as = told_as.as_deref();
        let (id, level) = (alert.id.0.as_str(), alert.level);
        let news = News { seq, id, told_as, revision: 1, level, body: &body };
        self.tell(&news, DeliveryKind::AlertOpened, hold_secs, None).await?;
        Ok(true)
    }

    async fn reopen(&mut self, known: &Known, alert: &Alert, hold_secs: u32) -> Result<bool, sqlx::Error> {
        let stored = self.store(known, alert, AlertStatus::Open.code()).await?;
        self.note(known.seq, "reopened", "").await?;
        let news = stored.news();
        self.tell(&news, DeliveryKind::AlertOpened, hold_secs, None).await?;
        Ok(true)
    }

    /// Opens an alert again that somebody was done with: new evidence came, and everybody is told,
    /// with the name of who had resolved it.
    async fn regress(&mut self, known: &Known, alert: &Alert) -> Result<(), sqlx::Error> {
        let stored = self.store(known, alert, AlertStatus::Open.code()).await?;
        sqlx::query("UPDATE alerts SET regressed = 1 WHERE seq = ?")
            .bind(known.seq)
            .execute(&mut *self.conn)
            .await?;
        let note = known.resolved_words()?;
        self.note(known.seq, "regressed", &note).await?;
        let news = stored.news();
        tell::refresh(self.conn, &news).await?;
        self.tell(&news, DeliveryKind::AlertRegressed, 0, Some(&note)).await
    }

    /// Brings an alert up to date; `true` when it was not known, or withdrawn, and so opened.
    async fn update(&mut self, alert: &Alert, was: &str, news: bool) -> Result<bool, sqlx::Error> {
        let now_known = self.find_itself(alert).await?;
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
        if known.regresses_with(alert) {
            self.regress(&known, alert).await?;
            return Ok(false);
        }
        let stored = self.store(&known, alert, known.status).await?;
        let told = stored.news();
        tell::refresh(self.conn, &told).await?;
        if news {
            self.note(known.seq, "updated", &alert.why.text).await?;
            if known.status != AlertStatus::Resolved.code() {
                self.tell(&told, DeliveryKind::AlertUpdated, 0, None).await?;
            }
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
        let news = News { revision: known.revision + 1, ..known.news()? };
        let following = tell::Following {
            kind: DeliveryKind::AlertWithdrawn,
            note: reason,
            cancels: tell::Cancels::Everything,
            action: None,
        };
        self.follow(&news, &following).await
    }

    /// Tells those who know of an alert what became of it, and takes back what still waits.
    pub(crate) async fn follow(
        &mut self,
        news: &News<'_>,
        following: &tell::Following<'_>,
    ) -> Result<(), sqlx::Error> {
        let times = tell::Times { now: self.now, decided_at: self.decided_at };
        tell::follow(self.conn, self.routing, news, following, times).await
    }

    /// The alert the rules mean: by its present id, or one it had.
    async fn find(&mut self, id: &str) -> Result<Option<Known>, sqlx::Error> {
        let sql = known_at!(
            "coalesce((SELECT seq FROM alerts WHERE id = ?1),
                (SELECT alert FROM alert_aliases WHERE id = ?1))"
        );
        sqlx::query_as(sql).bind(id).fetch_optional(&mut *self.conn).await
    }

    /// The alert a person means: by its present id, the one receivers know it by, or one it had.
    pub(crate) async fn find_named(&mut self, id: &str) -> Result<Option<Known>, sqlx::Error> {
        sqlx::query_as(known_at!(named!())).bind(id).fetch_optional(&mut *self.conn).await
    }

    /// A name for an alert that opens under an id by which receivers know another one. Numbers of
    /// rows only grow, so no two are alike.
    async fn another_name(&mut self, id: &str) -> Result<Option<String>, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT ?1 || '.' || ((SELECT max(seq) FROM alerts) + 1) FROM alerts WHERE told_as = ?1",
        )
        .bind(id)
        .fetch_optional(&mut *self.conn)
        .await
    }

    /// The stored alert that this is. One that had its id before is another one when the event that
    /// gave the id lies outside of it now: evidence that came late moved its opening, and that event
    /// opens an incident of its own.
    async fn find_itself(&mut self, alert: &Alert) -> Result<Option<Known>, sqlx::Error> {
        let known = self.find(&alert.id.0).await?;
        Ok(known.filter(|known| known.id == alert.id.0 || known.spans(alert)))
    }

    /// Writes the alert as it now is, in this status.
    async fn store(&mut self, known: &Known, alert: &Alert, status: i64) -> Result<Stored, sqlx::Error> {
        let (revision, body) = (known.revision + 1, body_of(alert)?);
        if known.id != alert.id.0 {
            self.rename(known, &alert.id.0).await?;
        }
        sqlx::query(
            "UPDATE alerts SET level = ?1, principal = ?2, opened_at = ?3, revision = ?5, changed_at = ?6,
                body = ?7, open_since = CASE WHEN ?4 = 0 AND status <> 0 THEN ?6 ELSE open_since END,
                status = ?4 WHERE seq = ?8",
        )
        .bind(alert.level.code())
        .bind(alert.principal.as_ref().map(|principal| &principal.id))
        .bind(alert.opened_at.unix_nanos())
        .bind(status)
        .bind(revision)
        .bind(self.now)
        .bind(&body)
        .bind(known.seq)
        .execute(&mut *self.conn)
        .await?;
        links::store(self.conn, known.seq, alert).await?;
        let told_as = Some(known.told_as()).filter(|name| *name != alert.id.0).map(str::to_owned);
        Ok(Stored { seq: known.seq, id: alert.id.0.clone(), told_as, revision, level: alert.level, body })
    }

    async fn rename(&mut self, known: &Known, id: &str) -> Result<(), sqlx::Error> {
        self.forget_alias(id).await?;
        sqlx::query("UPDATE alerts SET id = ?, told_as = coalesce(told_as, id) WHERE seq = ?")
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

    /// From now on the id is that of an alert.
    async fn forget_alias(&mut self, id: &str) -> Result<(), sqlx::Error> {
        sqlx::query("DELETE FROM alert_aliases WHERE id = ?").bind(id).execute(&mut *self.conn).await?;
        Ok(())
    }

    async fn note(&mut self, seq: i64, what: &str, detail: &str) -> Result<(), sqlx::Error> {
        self.note_by(seq, what, detail, None).await
    }

    /// An entry of the history; `who` when a person did it.
    pub(crate) async fn note_by(
        &mut self,
        seq: i64,
        what: &str,
        detail: &str,
        who: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        sqlx::query("INSERT INTO alert_history (alert, at, what, detail, who) VALUES (?, ?, ?, ?, ?)")
            .bind(seq)
            .bind(self.now)
            .bind(what)
            .bind(detail)
            .bind(who)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    /// Asks who is to be told, and writes every answer with its reason.
    pub(crate) async fn tell(
        &mut self,
        news: &News<'_>,
        kind: DeliveryKind,
        hold_secs: u32,
        note: Option<&str>,
    ) -> Result<(), sqlx::Error> {
        let subject = Subject::from_json(news.body);
        for routed in self.routing.routes(&subject, crate::commit::at(self.decided_at)) {
            let mut delivery = None;
            if routed.told {
                let wait_secs = routed.group.as_ref().map_or(0, |group| group.wait_secs).max(hold_secs);
                let told = tell::Told {
                    receiver: &routed.receiver,
                    kind,
                    created_at: self.now,
                    decided_at: self.decided_at,
                    due_at: self.now.saturating_add(i64::from(wait_secs) * 1_000_000_000),
                    group: routed.group.as_ref(),
                    note,
                };
                delivery = tell::write(self.conn, news, &told).await?;
            }
            let decided = decisions::Decided {
                alert: news.seq,
                receiver: &routed.receiver,
                at: self.decided_at,
                choice: if routed.told { Choice::Told } else { Choice::NotTold },
                reason: &routed.reason,
                delivery,
            };
            decisions::write(self.conn, &decided).await?;
        }
        Ok(())
    }
}

impl Known {
    /// What is stored, as something to tell.
    pub(crate) fn news(&self) -> Result<News<'_>, sqlx::Error> {
        let level = Level::from_code(self.level)?;
        let told_as = self.told_as.as_deref();
        let (id, revision) = (self.id.as_str(), self.revision);
        Ok(News { seq: self.seq, id, told_as, revision, level, body: &self.body })
    }

    /// The id receivers know it by.
    fn told_as(&self) -> &str {
        self.told_as.as_deref().unwrap_or(&self.id)
    }

    /// Whether somebody was done with it and `alert` has evidence nobody has seen yet.
    fn regresses_with(&self, alert: &Alert) -> bool {
        let events = i64::try_from(alert.events).unwrap_or(i64::MAX);
        self.status == AlertStatus::Resolved.code() && events > self.events
    }

    /// Whether the time at which `alert` opened lies between its first and its last event. It does
    /// when that is not known.
    fn spans(&self, alert: &Alert) -> bool {
        let time = |text: &Option<String>| text.as_ref()?.parse::<DateTime<Utc>>().ok();
        let (first, last) = (time(&self.first_event_at), time(&self.last_event_at));
        let opened = alert.opened_at.to_chrono();
        first.is_none_or(|first| first <= opened) && last.is_none_or(|last| opened <= last)
    }

    /// Who had resolved it, when and why, for those who are told that it is back.
    fn resolved_words(&self) -> Result<String, sqlx::Error> {
        let who = self.resolved_by.as_deref().unwrap_or("nobody known");
        let at = crate::commit::at(self.resolved_at.unwrap_or_default());
        let at = at.to_rfc3339_opts(SecondsFormat::Secs, true);
        let why = self.resolution.map(Resolution::from_code).transpose()?.unwrap_or(Resolution::Other);
        Ok(format!("resolved by {who} at {at} as {}; new evidence came since", why.as_str()))
    }
}

fn body_of(alert: &Alert) -> Result<String, sqlx::Error> {
    serde_json::to_string(alert).map_err(|error| sqlx::Error::Encode(error.into()))
}
