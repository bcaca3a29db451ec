//! Taking what is due into somebody's hands: whether it is sent now is decided here, within the
//! transaction that leases it, and kept with its reason.
//!
//! Invariant: what a message says, and which alerts it is about, never changes once it was leased,
//! because a receiver may have seen it under its id.

use crate::codes::Coded;
use crate::commit::{at, int, nanos};
use crate::outbox::lease_text;
use crate::silences::{self, Silence};
use crate::{Choice, DeliveryKind, Store, StoreError, decisions, health};
use chrono::{DateTime, Utc};
use keywatch_event::Subject;
use sqlx::SqliteConnection;

/// Most rows one look decides about; those that are held back do not keep others waiting long.
const LOOK_MAX: i64 = 64;
/// Most alerts one message is about. A message lists the first and counts the rest.
const BUNDLE_MAX: i64 = 500;
/// How far back messages about a rule are counted, for the cap.
const COUNT_NANOS: i64 = 3_600 * 1_000_000_000;
/// What the key of a summary begins with.
const SUMMARY: &str = "summary of ";

/// One delivery in the caller's hands until its lease ends.
#[derive(Clone, Debug)]
pub struct LeasedDelivery {
    /// Number of the delivery.
    pub id: i64,
    /// Stable id the receiver sees: the same at every attempt; letters, digits and `_`.
    pub message_id: String,
    /// To whom.
    pub receiver: String,
    /// What is told.
    pub kind: DeliveryKind,
    /// Number of the attempt now to be made, from 1.
    pub attempt: u32,
    /// The alert in its public JSON form.
    pub alert_json: String,
    /// Further alerts the same message is about, oldest first.
    pub others: Vec<String>,
    /// What they have in common, when they were gathered.
    pub group: Option<String>,
    /// Whether they were gathered because there were too many.
    pub summary: bool,
    /// What there is to say beside it: why it was withdrawn, who resolved it.
    pub note: Option<String>,
    /// When the batch it came of was taken in.
    pub created_at: DateTime<Utc>,
    /// Proof of the lease, for [`Store::record_attempt`].
    pub lease: String,
}

/// A message that is about to be sent for the first time.
#[derive(Clone, Debug)]
pub struct Candidate {
    /// To whom.
    pub receiver: String,
    /// What it tells.
    pub kind: DeliveryKind,
    /// The alert it is about.
    pub subject: Subject,
    /// What it is gathered by.
    pub group: Option<String>,
    /// Whether it was held back for a summary before.
    pub summary: bool,
    /// Until when its group rests, because it was told of a short while ago.
    pub group_rests_until: Option<DateTime<Utc>>,
    /// Messages about its rule that this receiver was sent in the last hour.
    pub told_of_rule: u32,
}

/// What is done with a [`Candidate`].
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It is sent now.
    Send,
    /// Not before then.
    Hold {
        /// When it is decided again.
        until: DateTime<Utc>,
        /// Why.
        reason: String,
    },
    /// A silence keeps it back.
    Mute {
        /// When it is decided again.
        until: DateTime<Utc>,
        /// Name of the silence.
        silence: String,
        /// Why.
        reason: String,
    },
    /// There are too many: it goes into a summary then.
    Summarise {
        /// When the summary is sent.
        until: DateTime<Utc>,
        /// Why.
        reason: String,
    },
}

/// Decides what is sent now. Pure; asked within a transaction.
pub trait Gate: Sync {
    /// What is done with `candidate`, with these silences in force.
    fn verdict(&self, candidate: &Candidate, silences: &[Silence], now: DateTime<Utc>) -> Verdict;

    /// Whether it wants to know [`Candidate::told_of_rule`], which costs a query.
    fn counts_rules(&self) -> bool {
        false
    }
}

/// Sends everything at once.
#[derive(Clone, Copy, Debug, Default)]
pub struct Open;

impl Gate for Open {
    fn verdict(&self, _candidate: &Candidate, _silences: &[Silence], _now: DateTime<Utc>) -> Verdict {
        Verdict::Send
    }
}

/// Who leases, how much, for how long.
#[derive(Clone, Copy, Debug)]
pub struct Leasing<'l> {
    /// The receiver.
    pub receiver: &'l str,
    /// Now.
    pub now: DateTime<Utc>,
    /// For how long, seconds.
    pub lease_secs: u32,
    /// Most deliveries.
    pub limit: u32,
}

#[derive(Clone, Debug, sqlx::FromRow)]
struct Row {
    id: i64,
    alert: i64,
    message_id: String,
    kind: i64,
    attempts: i64,
    leases: i64,
    body: String,
    note: Option<String>,
    created_at: i64,
    group_key: Option<String>,
    group_secs: i64,
    bundle: Option<i64>,
}

impl Store {
    /// Takes what is due into the caller's hands.
    ///
    /// Due is a pending delivery whose time has come and which nobody holds, or whose lease has
    /// ended, and which no earlier pending delivery of the same alert precedes. Earliest due
    /// first, then most urgent. Nothing while the receiver is paused, one at a time while it is
    /// only probed. `gate` is asked about each that was never sent.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read or written.
    pub async fn lease(
        &self,
        leasing: &Leasing<'_>,
        gate: &dyn Gate,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        let failed = |source| self.failed("lease deliveries", source);
        let mut work = self.begin().await?;
        let leased = Desk::open(&mut work.desk.conn, leasing, gate).await.map_err(failed)?;
        let leased = match leased {
            Some(mut desk) => desk.take().await.map_err(failed)?,
            None => Vec::new(),
        };
        work.commit().await.map_err(failed)?;
        Ok(leased)
    }

    /// The same without anything to hold deliveries back.
    ///
    /// # Errors
    /// As [`Self::lease`].
    pub async fn lease_due(
        &self,
        receiver: &str,
        now: DateTime<Utc>,
        lease_secs: u32,
        limit: u32,
    ) -> Result<Vec<LeasedDelivery>, StoreError> {
        self.lease(&Leasing { receiver, now, lease_secs, limit }, &Open).await
    }

    /// When [`Self::lease`] will next have something for `receiver`: its earliest due time or end
    /// of lease, not before its next probe. `None` when nothing is pending or it is paused.
    ///
    /// # Errors
    /// [`StoreError`] when the database cannot be read.
    pub async fn next_due(&self, receiver: &str) -> Result<Option<DateTime<Utc>>, StoreError> {
        let failed = |source| self.failed("find the next delivery", source);
        let (next, probe): (Option<i64>, Option<i64>) =
            sqlx::query_as(NEXT).bind(receiver).fetch_one(self.readers()).await.map_err(failed)?;
        Ok(next.map(|next| at(next.max(probe.unwrap_or(next)))))
    }
}

/// What [`DUE`] and [`NEXT`] share: pending, first of its message, not behind another one.
macro_rules! waiting {
    () => {
        "o.receiver = ?1 AND o.state = 0 AND (o.bundle IS NULL OR o.bundle = o.id)
      AND NOT EXISTS (SELECT 1 FROM outbox p
            WHERE p.alert = o.alert AND p.receiver = o.receiver AND p.id < o.id AND p.state = 0)
      AND NOT EXISTS (SELECT 1 FROM paused_receivers WHERE receiver = ?1)"
    };
}

/// `receiver`, `now`, `limit`.
const DUE: &str = concat!(
    "SELECT o.id, o.alert, o.message_id, o.kind, o.attempts, o.leases, o.body, o.note, o.created_at,
        o.group_key, o.group_secs, o.bundle
     FROM outbox o WHERE ",
    waiting!(),
    " AND o.due_at <= ?2 AND (o.leased_until IS NULL OR o.leased_until <= ?2)
     ORDER BY o.due_at, o.level DESC, o.id LIMIT ?3"
);

/// `receiver`. The same conditions as [`DUE`], without the time.
const NEXT: &str = concat!(
    "SELECT min(max(o.due_at, coalesce(o.leased_until, o.due_at))),
        (SELECT probe_at FROM failing_receivers WHERE receiver = ?1)
     FROM outbox o WHERE ",
    waiting!()
);

/// `receiver`, `key`, `leader`, `limit`: others that can go out in the same message. What still
/// waits for the answer to an earlier message about its alert stays behind it.
const OTHERS: &str = "
    SELECT o.id, o.alert, o.message_id, o.kind, o.attempts, o.leases, o.body, o.note, o.created_at,
        o.group_key, o.group_secs, o.bundle
    FROM outbox o
    WHERE o.receiver = ?1 AND o.group_key = ?2 AND o.id <> ?3 AND o.state = 0 AND o.leases = 0
      AND o.bundle IS NULL
      AND NOT EXISTS (SELECT 1 FROM outbox p WHERE p.alert = o.alert AND p.receiver = o.receiver
            AND p.id < o.id AND p.state = 0 AND p.id <> ?3 AND (p.leases > 0 OR p.group_key IS NOT ?2))
    ORDER BY o.id LIMIT ?4";

/// One look at what is due for one receiver.
struct Desk<'d> {
    conn: &'d mut SqliteConnection,
    leasing: &'d Leasing<'d>,
    gate: &'d dyn Gate,
    silences: Vec<Silence>,
    now: i64,
    until: i64,
    limit: usize,
    probes: bool,
}

impl<'d> Desk<'d> {
    /// Nothing when the receiver is probed, and not yet.
    async fn open(
        conn: &'d mut SqliteConnection,
        leasing: &'d Leasing<'d>,
        gate: &'d dyn Gate,
    ) -> Result<Option<Self>, sqlx::Error> {
        let now = nanos(leasing.now);
        let probe_at = health::probe_at(conn, leasing.receiver).await?;
        if probe_at.is_some_and(|probe_at| now < probe_at) {
            return Ok(None);
        }
        let probes = probe_at.is_some();
        let limit = if probes { 1 } else { usize::try_from(leasing.limit).unwrap_or(usize::MAX) };
        let silences = silences::active(conn, now).await?;
        let until = now.saturating_add(i64::from(leasing.lease_secs) * 1_000_000_000);
        Ok(Some(Self { conn, leasing, gate, silences, now, until, limit, probes }))
    }

    async fn take(&mut self) -> Result<Vec<LeasedDelivery>, sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(DUE)
            .bind(self.leasing.receiver)
            .bind(self.now)
            .bind(LOOK_MAX.max(int(self.limit)))
            .fetch_all(&mut *self.conn)
            .await?;
        let mut leased = Vec::new();
        let mut bundled = Vec::new();
        for row in rows {
            if leased.len() >= self.limit {
                break;
            }
            if bundled.contains(&row.id) || !self.passes(&row).await? {
                continue;
            }
            leased.push(self.lease(row, &mut bundled).await?);
        }
        if self.probes && !leased.is_empty() {
            health::probing(self.conn, self.leasing.receiver, self.until).await?;
        }
        Ok(leased)
    }

    /// Asks the gate; what it holds back is put off.
    async fn passes(&mut self, row: &Row) -> Result<bool, sqlx::Error> {
        let kind = DeliveryKind::from_code(row.kind)?;
        if row.leases > 0 || !kind.asks_attention() {
            return Ok(true);
        }
        let candidate = self.candidate(row, kind).await?;
        let verdict = self.gate.verdict(&candidate, &self.silences, self.leasing.now);
        let (choice, until, reason, held_by, key) = match verdict {
            Verdict::Send => return Ok(true),
            Verdict::Hold { until, reason } => (Choice::Held, until, reason, None, None),
            Verdict::Mute { until, silence, reason } => (Choice::Muted, until, reason, Some(silence), None),
            Verdict::Summarise { until, reason } => {
                let key = format!("{SUMMARY}{}", candidate.subject.rule);
                (Choice::Held, until, reason, None, Some(key))
            }
        };
        // Deciding again at once would never end.
        let until = nanos(until).max(self.now.saturating_add(1_000_000));
        sqlx::query(
            "UPDATE outbox SET due_at = ?, held_by = ?, group_key = coalesce(?, group_key) WHERE id = ?",
        )
        .bind(until)
        .bind(held_by)
        .bind(key)
        .bind(row.id)
        .execute(&mut *self.conn)
        .await?;
        self.decide(row, choice, &reason).await?;
        Ok(false)
    }

    async fn decide(&mut self, row: &Row, choice: Choice, reason: &str) -> Result<(), sqlx::Error> {
        let decided = decisions::Decided {
            alert: row.alert,
            receiver: self.leasing.receiver,
            at: self.now,
            choice,
            reason,
            delivery: Some(row.id),
        };
        decisions::write(self.conn, &decided).await
    }

    async fn candidate(&mut self, row: &Row, kind: DeliveryKind) -> Result<Candidate, sqlx::Error> {
        let subject = Subject::from_json(&row.body);
        let told_of_rule = if self.gate.counts_rules() { self.told_of(&subject.rule).await? } else { 0 };
        Ok(Candidate {
            receiver: self.leasing.receiver.to_owned(),
            kind,
            summary: row.group_key.as_deref().is_some_and(|key| key.starts_with(SUMMARY)),
            group_rests_until: self.rests_until(row).await?,
            group: row.group_key.clone(),
            told_of_rule,
            subject,
        })
    }

    async fn rests_until(&mut self, row: &Row) -> Result<Option<DateTime<Utc>>, sqlx::Error> {
        let Some(key) = row.group_key.as_deref().filter(|_| row.group_secs > 0) else { return Ok(None) };
        let last: Option<i64> = sqlx::query_scalar(
            "SELECT max(told_at) FROM outbox WHERE receiver = ? AND group_key = ? AND told_at IS NOT NULL",
        )
        .bind(self.leasing.receiver)
        .bind(key)
        .fetch_one(&mut *self.conn)
        .await?;
        let until = last.map(|last| last.saturating_add(row.group_secs.saturating_mul(1_000_000_000)));
        Ok(until.filter(|until| *until > self.now).map(at))
    }

    async fn told_of(&mut self, rule: &str) -> Result<u32, sqlx::Error> {
        sqlx::query_scalar(
            "SELECT count(*) FROM outbox o JOIN alerts a ON a.seq = o.alert
             WHERE o.receiver = ? AND o.told_at > ? AND a.rule = ? AND (o.bundle IS NULL OR o.bundle = o.id)",
        )
        .bind(self.leasing.receiver)
        .bind(self.now.saturating_sub(COUNT_NANOS))
        .bind(rule)
        .fetch_one(&mut *self.conn)
        .await
    }

    async fn lease(&mut self, row: Row, bundled: &mut Vec<i64>) -> Result<LeasedDelivery, sqlx::Error> {
        let others = match (&row.group_key, row.bundle, row.leases) {
            (Some(key), None, 0) => self.gather(&row, key, bundled).await?,
            (_, Some(leader), _) => self.gathered(leader).await?,
            _ => Vec::new(),
        };
        sqlx::query(
            "UPDATE outbox SET leases = leases + 1, leased_until = ?1, told_at = coalesce(told_at, ?2),
                held_by = NULL WHERE id = ?3 OR bundle = ?3",
        )
        .bind(self.until)
        .bind(self.now)
        .bind(row.id)
        .execute(&mut *self.conn)
        .await?;
        Ok(LeasedDelivery {
            id: row.id,
            message_id: row.message_id,
            receiver: self.leasing.receiver.to_owned(),
            kind: DeliveryKind::from_code(row.kind)?,
            attempt: u32::try_from(row.attempts + 1).unwrap_or(u32::MAX),
            alert_json: row.body,
            others,
            summary: row.group_key.as_deref().is_some_and(|key| key.starts_with(SUMMARY)),
            group: row.group_key,
            note: row.note,
            created_at: at(row.created_at),
            lease: lease_text(row.id, row.leases + 1),
        })
    }

    /// Makes one message of everything of the group that may go out.
    async fn gather(
        &mut self,
        leader: &Row,
        key: &str,
        bundled: &mut Vec<i64>,
    ) -> Result<Vec<String>, sqlx::Error> {
        let rows: Vec<Row> = sqlx::query_as(OTHERS)
            .bind(self.leasing.receiver)
            .bind(key)
            .bind(leader.id)
            .bind(BUNDLE_MAX)
            .fetch_all(&mut *self.conn)
            .await?;
        let mut bodies = Vec::with_capacity(rows.len());
        for row in rows {
            if !self.passes(&row).await? {
                continue;
            }
            self.bundle(row.id, leader.id).await?;
            let reason = format!("told together with others: {key}");
            self.decide(&row, Choice::Told, &reason).await?;
            bundled.push(row.id);
            bodies.push(row.body);
        }
        if !bodies.is_empty() {
            self.bundle(leader.id, leader.id).await?;
        }
        Ok(bodies)
    }

    async fn bundle(&mut self, id: i64, leader: i64) -> Result<(), sqlx::Error> {
        sqlx::query("UPDATE outbox SET bundle = ? WHERE id = ?")
            .bind(leader)
            .bind(id)
            .execute(&mut *self.conn)
            .await?;
        Ok(())
    }

    async fn gathered(&mut self, leader: i64) -> Result<Vec<String>, sqlx::Error> {
        sqlx::query_scalar("SELECT body FROM outbox WHERE bundle = ?1 AND id <> ?1 ORDER BY id")
            .bind(leader)
            .fetch_all(&mut *self.conn)
            .await
    }
}
