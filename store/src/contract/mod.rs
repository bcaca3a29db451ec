//! What every store must do, whatever database is behind it.
//!
//! Only [`Stage`] knows which store is tested; another implementation runs the same tests by
//! giving it another [`Stage::open`]. What is particular to files on disk is in `durability`.

mod alerts;
mod commit;
mod durability;
mod history;
mod holding;
mod lifecycle;
mod outbox;
mod queries;
mod undo;
mod urging;

use crate::{Committed, Incoming, IncomingEvent, Judge, PositionChange, Store, StoreError, Subscriber};
use chrono::{DateTime, Utc};
use keywatch_event::{
    Alert, AlertChange, AlertId, AlertPrincipal, AuditEvent, Class, Classified, Evaluation, EventTime,
    Evidence, Learned, Level, Outcome, Place, Principal, PrincipalKind, Provider, Reject, RejectReason,
    SecretRef, Source, Why,
};
use std::path::PathBuf;
use tempfile::TempDir;

/// 2026-01-31T12:00:00Z.
const NOON: i64 = 1_769_860_800;

/// An open store in a directory of its own.
struct Stage {
    store: Store,
    dir: TempDir,
}

impl Stage {
    async fn open() -> Self {
        let dir = tempfile::tempdir().unwrap();
        let store = Store::open(&dir.path().join("keywatch.db")).await.unwrap();
        Self { store, dir }
    }

    fn path(&self) -> PathBuf {
        self.dir.path().join("keywatch.db")
    }

    /// Commits with a judge that finds nothing.
    async fn commit(&self, batch: &Batch) -> Result<Committed, StoreError> {
        self.judged(batch, |fresh| quiet(fresh.len())).await
    }

    /// Commits with a judge that answers so; two receivers are told: `ops` and `siem`.
    async fn judged(
        &self,
        batch: &Batch,
        judge: impl FnMut(&[usize]) -> Evaluation + Send,
    ) -> Result<Committed, StoreError> {
        let mut judge = Says(judge);
        let bytes = batch.bytes();
        let events = batch.incoming();
        let advances: Vec<PositionChange<'_>> = batch.advances.iter().map(Advance::as_change).collect();
        let incoming = Incoming {
            events: &events,
            bytes: &bytes,
            rejects: &batch.rejects,
            advances: &advances,
            received_at: batch.received_at,
        };
        self.store
            .commit(
                &incoming,
                &mut judge,
                &[Subscriber::new("ops", Level::Info), Subscriber::new("siem", Level::Info)],
            )
            .await
    }

    /// Commits one event named `id` whose judgement is `changes`.
    async fn change(&self, id: &str, received: i64, changes: Vec<AlertChange>) -> Committed {
        let mut batch = Batch::of([event(id)]);
        batch.received_at = clock(received);
        let verdict = |fresh: &[usize]| Evaluation { changes: changes.clone(), ..quiet(fresh.len()) };
        self.judged(&batch, verdict).await.unwrap()
    }
}

struct Says<F>(F);

impl<F: FnMut(&[usize]) -> Evaluation> Judge for Says<F> {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        (self.0)(fresh)
    }
}

/// A batch as a pipeline would hand it over.
struct Batch {
    events: Vec<AuditEvent<'static>>,
    rejects: Vec<Reject>,
    advances: Vec<Advance>,
    received_at: DateTime<Utc>,
}

struct Advance {
    source: &'static str,
    from: Option<&'static str>,
    to: &'static str,
}

impl Advance {
    const fn as_change(&self) -> PositionChange<'_> {
        PositionChange { source: self.source, from: self.from, to: self.to }
    }
}

impl Batch {
    fn of(events: impl IntoIterator<Item = AuditEvent<'static>>) -> Self {
        Self {
            events: events.into_iter().collect(),
            rejects: Vec::new(),
            advances: Vec::new(),
            received_at: clock(0),
        }
    }

    fn numbered(ids: std::ops::Range<u32>) -> Self {
        Self::of(ids.map(|id| event(&format!("event-{id}"))))
    }

    fn at(mut self, source: &'static str, from: Option<&'static str>, to: &'static str) -> Self {
        self.advances.push(Advance { source, from, to });
        self
    }

    fn reject(mut self, line: u64, bytes: &[u8]) -> Self {
        let reason = RejectReason::Syntax("cut off".to_owned());
        self.rejects.push(Reject { place: place(line), reason, bytes: bytes.to_vec() });
        self
    }

    fn bytes(&self) -> Vec<u8> {
        self.events.iter().flat_map(raw).collect()
    }

    fn incoming(&self) -> Vec<IncomingEvent<'_>> {
        let mut start = 0;
        let mut events = Vec::new();
        for (line, event) in (1..).zip(&self.events) {
            let end = start + raw(event).len();
            events.push(IncomingEvent { event: event.clone(), place: place(line), raw: start..end });
            start = end;
        }
        events
    }
}

/// The raw record of an event: not UTF-8, so that only bytes can come back right.
fn raw(event: &AuditEvent<'_>) -> Vec<u8> {
    let mut bytes = format!("{{\"id\":\"{}\",\"odd\":\"", event.id).into_bytes();
    bytes.extend([0xff, 0x00, 0xfe, b'\n']);
    bytes.extend(event.operation.bytes().rev());
    bytes
}

fn place(line: u64) -> Place {
    Place { name: "audit.log".into(), line, record: 0 }
}

/// `secs` after noon.
fn clock(secs: i64) -> DateTime<Utc> {
    EventTime::from_secs(NOON + secs).to_chrono()
}

/// An everyday read at noon by `role/app` of the secret `db`, from `203.0.113.9`.
fn event(id: &str) -> AuditEvent<'static> {
    AuditEvent {
        id: id.to_owned().into(),
        time: EventTime::parse("2026-01-31T12:00:00.250Z").unwrap(),
        time_raw: None,
        received_at: EventTime::from_secs(NOON),
        provider: Provider::Aws,
        service: "secretsmanager.amazonaws.com".into(),
        store: Some("sm".into()),
        account: Some("111122223333".into()),
        region: Some("eu-central-1".into()),
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome: Outcome::Ok,
        error: None,
        principal: principal("role/app"),
        source: Source::from_text("203.0.113.9".into()),
        user_agent: None,
        secrets: vec![secret("db")],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

fn principal(id: &str) -> Principal<'static> {
    Principal {
        id: id.to_owned().into(),
        kind: PrincipalKind::Role,
        name: Some(format!("{id} (name)").into()),
        session: None,
        access_key: None,
        via: None,
    }
}

fn secret(id: &str) -> SecretRef<'static> {
    SecretRef { id: id.to_owned().into(), name: format!("{id} (name)").into(), version: None }
}

/// An answer that finds nothing in `events` events.
fn quiet(events: usize) -> Evaluation {
    levels(&vec![Level::Info; events])
}

/// An answer that gives the events these levels, by the rule `KW-001` from `warning` on.
fn levels(levels: &[Level]) -> Evaluation {
    let classified = |&level: &Level| Classified {
        level,
        rules: if level > Level::Info { vec!["KW-001".into(), "KW-002".into()] } else { Vec::new() },
        matters_secs: 0,
    };
    Evaluation { classified: levels.iter().map(classified).collect(), ..Evaluation::default() }
}

fn learned(key: &str, state: &[u8]) -> Learned {
    Learned { key: key.to_owned(), state: state.to_vec() }
}

/// An alert of rule `KW-004` about `role/app` and the secret `db`, with these events as evidence.
fn alert(id: &str, evidence: &[&str]) -> Alert {
    let time = EventTime::parse("2026-01-31T12:00:00.25Z").unwrap();
    Alert {
        id: AlertId(id.to_owned()),
        rule: "KW-004".to_owned(),
        title: format!("Alert {id}"),
        level: Level::High,
        action: "Immediate review".to_owned(),
        opened_at: time,
        first_event_at: time,
        last_event_at: time.plus_secs(60),
        sessions: keywatch_event::AlertSessions::default(),
        late_secs: None,
        principal: Some(AlertPrincipal { id: "role/app".to_owned(), kind: PrincipalKind::Role, name: None }),
        source: None,
        secrets: vec![secret("db")],
        provider: Provider::Aws,
        account: None,
        store: None,
        events: u64::try_from(evidence.len()).unwrap(),
        evidence: evidence.iter().map(|id| proof(id)).collect(),
        why: Why { text: "6 reads, 5 are usual".to_owned(), observed: 6.0, threshold: 5.0, baseline: None },
        tags: Vec::new(),
    }
}

fn proof(id: &str) -> Evidence {
    Evidence { event: id.to_owned(), time: EventTime::from_secs(NOON), place: place(1) }
}

fn opened(alert: Alert, hold_secs: u32) -> AlertChange {
    AlertChange::Opened { alert, hold_secs }
}

fn updated(alert: Alert, was: &str, news: bool) -> AlertChange {
    AlertChange::Updated { alert, was: AlertId(was.to_owned()), news }
}

fn withdrawn(id: &str) -> AlertChange {
    AlertChange::Withdrawn { id: AlertId(id.to_owned()), reason: "a success followed".to_owned() }
}
