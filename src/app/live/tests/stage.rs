//! A pipeline over a store of its own, fed by one source, and what came of it.

use super::super::{Line, drive};
use super::chance::Chance;
use crate::app::sources::Fed;
use crate::pipeline::Pipeline;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_event::{Evaluation, EventTime, Level, Place};
use keywatch_ingest::Batch;
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_rules::rule::Kind;
use keywatch_rules::{RuleSet, Settings, builtin};
use keywatch_store::{
    AlertFilter, AlertStatus, AttemptOutcome, AttemptRecord, DeliveryKind, EventFilter, LeasedDelivery, Page,
    Store, Subscriber,
};
use std::collections::{BTreeMap, HashSet};
use std::sync::atomic::{AtomicI64, Ordering};
use std::sync::{Arc, LazyLock};
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;

/// 2026-06-01T00:00:00Z.
pub(super) const START: i64 = 1_780_272_000;
/// How long something that must happen may take.
const LIMIT: Duration = Duration::from_mins(1);
/// Who is told of every alert.
const TOLD: &str = "soc";

/// Shipped rules whose alerts depend on what happened and not on the order it was heard in, as
/// `rules/tests/exactness.rs` has them.
static RULES: LazyLock<Arc<RuleSet>> = LazyLock::new(|| {
    let mut set = keywatch_rules::compile(builtin().iter().copied()).unwrap();
    set.rules.retain(|rule| match &rule.kind {
        Kind::Count(count) => !rule.kind.is_novel() && count.lagged.is_none(),
        Kind::Classify(_) => !rule.kind.is_novel(),
        Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => false,
    });
    Arc::new(set)
});

/// A clock the test moves.
#[derive(Clone)]
pub(super) struct Hand(Arc<AtomicI64>);

impl Hand {
    pub(super) fn at(secs: i64) -> Self {
        Self(Arc::new(AtomicI64::new(secs)))
    }

    pub(super) fn set(&self, secs: i64) {
        self.0.store(secs, Ordering::Relaxed);
    }

    pub(super) fn now(&self) -> DateTime<Utc> {
        DateTime::from_timestamp(self.0.load(Ordering::Relaxed), 0).unwrap()
    }

    pub(super) fn clock(&self) -> Clock {
        let hand = self.clone();
        Arc::new(move || hand.now())
    }
}

/// A pipeline, its store, and a clock.
pub(super) struct Stage {
    pipeline: Pipeline,
    pub(super) store: Store,
    pub(super) hand: Hand,
    pub(super) health: Health,
    pub(super) batches: usize,
    /// Whether what is to be told is taken along the way, and not at the end alone.
    pub(super) hears: bool,
    /// What somebody who is told of every alert takes to stand: its rule, by the id the messages named.
    standing: BTreeMap<String, String>,
    _folder: tempfile::TempDir,
}

/// A source that runs.
pub(super) struct Running {
    feed: mpsc::Receiver<Fed>,
    stored: mpsc::UnboundedSender<()>,
    _task: JoinSet<()>,
}

impl Running {
    /// Normalises a batch and lets it go; how many events it held.
    pub(super) async fn classify(&mut self, normalizer: &Normalizer, now: EventTime) -> usize {
        let batch = tokio::time::timeout(LIMIT, self.feed.recv()).await.unwrap().unwrap().batch;
        let events = batch
            .records
            .iter()
            .filter(|record| normalizer.normalize(batch.raw(record), now).is_ok_and(|event| event.is_some()));
        let count = events.count();
        self.stored.send(()).unwrap();
        count
    }
}

/// Events and alerts, in an order that does not depend on how they came.
pub(super) type Outcome = (Vec<String>, Vec<(String, String, u64, i64, i64, String, Level)>);

impl Stage {
    pub(super) async fn new(now: i64) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
        let settings = Settings { late_from_secs: None, ..Settings::default() };
        let told = Arc::new(vec![Subscriber::new(TOLD, Level::Info)]);
        let pipeline = Pipeline::start(store.clone(), Arc::clone(&RULES), settings, told).await.unwrap();
        let (hand, health) = (Hand::at(now), Health::default());
        let standing = BTreeMap::new();
        Self { pipeline, store, hand, health, batches: 0, hears: true, standing, _folder: folder }
    }

    /// Lets a source run.
    pub(super) fn run<S: Live>(source: S) -> Running {
        let (into, feed) = mpsc::channel(2);
        let (stored, heard) = mpsc::unbounded_channel();
        let mut task = JoinSet::new();
        task.spawn(drive(source, Line { number: 0, feed: into, stored: heard }));
        Running { feed, stored, _task: task }
    }

    /// Stores what the source brings until `done`.
    pub(super) async fn until(&mut self, fed: &mut Running, what: &str, mut done: impl FnMut(&Self) -> bool) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while !done(self) {
            let waited = tokio::time::timeout(Duration::from_millis(3), fed.feed.recv()).await;
            assert!(tokio::time::Instant::now() < deadline, "{what}: {:?}", self.health.read());
            if let Ok(batch) = waited {
                self.take(&batch.unwrap().batch).await;
                fed.stored.send(()).unwrap();
            }
        }
    }

    /// Stores what comes within a moment.
    pub(super) async fn until_some(&mut self, running: &mut Running) {
        if let Ok(batch) = tokio::time::timeout(Duration::from_millis(5), running.feed.recv()).await {
            self.take(&batch.unwrap().batch).await;
            running.stored.send(()).unwrap();
        }
    }

    /// Stores what comes within a moment; the places it came from.
    pub(super) async fn until_places(&mut self, running: &mut Running) -> HashSet<String> {
        let waited = tokio::time::timeout(LIMIT, running.feed.recv()).await;
        let batch = waited.unwrap().unwrap().batch;
        self.take(&batch).await;
        running.stored.send(()).unwrap();
        batch.records.iter().map(|record| record.place.name.to_string()).collect()
    }

    /// Stores the next batch; how many records it held.
    pub(super) async fn take_counted(&mut self, running: &mut Running) -> usize {
        let batch = tokio::time::timeout(LIMIT, running.feed.recv()).await.unwrap().unwrap().batch;
        self.take(&batch).await;
        running.stored.send(()).unwrap();
        batch.records.len()
    }

    /// Takes one batch and does not say that it is stored.
    pub(super) async fn take_unheard(&mut self, fed: &mut Running) {
        let batch = tokio::time::timeout(LIMIT, fed.feed.recv()).await.unwrap().unwrap().batch;
        self.take(&batch).await;
    }

    pub(super) async fn take(&mut self, batch: &Batch) {
        self.batches += 1;
        self.pipeline.step(batch, Evaluation::default(), &mut |_| Vec::new(), self.hand.now()).await.unwrap();
        if self.hears && self.batches.is_multiple_of(3) {
            self.hear(self.hand.now()).await;
        }
    }

    /// Takes the messages that are due.
    async fn hear(&mut self, now: DateTime<Utc>) {
        loop {
            let due = self.store.lease_due(TOLD, now, 60, 500).await.unwrap();
            if due.is_empty() {
                return;
            }
            for message in due {
                let attempt = AttemptRecord {
                    started_at: now,
                    latency_ms: 1,
                    status: Some(200),
                    error: None,
                    response_excerpt: None,
                };
                let (id, lease) = (message.id, &message.lease);
                let delivered = AttemptOutcome::Delivered;
                assert!(self.store.record_attempt(id, lease, &attempt, delivered).await.unwrap());
                self.believe(&message);
            }
        }
    }

    fn believe(&mut self, message: &LeasedDelivery) {
        let alert: serde_json::Value = serde_json::from_str(&message.alert_json).unwrap();
        let text = |name: &str| alert[name].as_str().unwrap().to_owned();
        let (id, rule) = (text("id"), text("rule"));
        let known = self.standing.contains_key(&id);
        assert_eq!(known, message.kind != DeliveryKind::AlertOpened, "{} of {id}", message.kind.as_str());
        if message.kind == DeliveryKind::AlertWithdrawn {
            self.standing.remove(&id);
        } else {
            self.standing.insert(id, rule);
        }
    }

    /// Positions the store holds.
    pub(super) async fn positions(&self) -> std::collections::HashMap<String, String> {
        self.store.positions().await.unwrap()
    }

    pub(super) async fn count(&self) -> u64 {
        self.store.overview(self.hand.now()).await.unwrap().totals.events
    }

    pub(super) async fn rejects(&self) -> u64 {
        self.store.overview(self.hand.now()).await.unwrap().totals.rejects
    }

    /// What is stored. Whoever was told of it all takes the same to stand.
    pub(super) async fn outcome(&mut self) -> Outcome {
        let found = self.stored().await;
        // Later than any clock of any history.
        self.hear(self.hand.now() + TimeDelta::days(999)).await;
        let mut standing: Vec<String> = self.standing.values().cloned().collect();
        standing.sort();
        let stored: Vec<_> = found.1.iter().map(|(rule, ..)| rule.clone()).collect();
        assert_eq!(standing, stored, "what the receiver was told stands, and what does");
        found
    }

    async fn stored(&self) -> Outcome {
        let mut events = Vec::new();
        let mut page = Page::first(500);
        loop {
            let found = self.store.events(&EventFilter::default(), page).await.unwrap();
            events.extend(found.rows.iter().map(|row| row.id.clone()));
            match found.next {
                Some(next) => page = Page { after: Some(next), limit: 500 },
                None => break,
            }
        }
        events.sort();
        let mut alerts = Vec::new();
        let mut page = Page::first(500);
        loop {
            let found = self.store.alerts(&AlertFilter::default(), page).await.unwrap();
            let standing = found.rows.iter().filter(|row| row.status != AlertStatus::Withdrawn);
            alerts.extend(standing.map(|row| {
                let (first, last) = (row.first_event_at.secs(), row.last_event_at.secs());
                let who = row.principal.clone().unwrap_or_default();
                (row.rule.clone(), who, row.events, first, last, row.id.clone(), row.level)
            }));
            match found.next {
                Some(next) => page = Page { after: Some(next), limit: 500 },
                None => break,
            }
        }
        alerts.sort();
        (events, alerts)
    }
}

/// What the same records come to when they are heard once and in order.
pub(super) async fn clean(records: &[String], now: i64) -> Outcome {
    let mut stage = Stage::new(now).await;
    let mut batch = Batch::default();
    for (at, record) in records.iter().enumerate() {
        batch.push(record.as_bytes(), Place { name: "clean".into(), line: at as u64 + 1, record: 0 });
    }
    stage.take(&batch).await;
    stage.outcome().await
}

/// The records of `count` accesses within `hours`, of which some are refused and some destroy.
pub(super) fn records(chance: &mut Chance, count: usize, hours: u64) -> Vec<(i64, String)> {
    spread(chance, count, hours, |number, secs, chance| {
        let who = ["ada", "bob", "eve"][chance.below(3) as usize];
        let (event, error) = match chance.below(10) {
            0 => ("DeleteSecret", ""),
            1..=4 if who == "eve" => ("GetSecretValue", REFUSED),
            _ => ("GetSecretValue", ""),
        };
        record(number, secs, (who, event, error, chance.below(20)))
    })
}

/// The same of 2,000 services that each read what is theirs, a few hundred of them most of the time; one
/// access in 500 is refused, one in 20,000 destroys.
pub(super) fn company(chance: &mut Chance, count: usize, hours: u64) -> Vec<(i64, String)> {
    spread(chance, count, hours, |number, secs, chance| {
        let who = if chance.happens(80) { chance.below(300) } else { chance.below(2_000) };
        let (event, error) = match chance.below(20_000) {
            0 => ("DeleteSecret", ""),
            1..=40 => ("GetSecretValue", REFUSED),
            _ => ("GetSecretValue", ""),
        };
        record(number, secs, (&format!("svc{who}"), event, error, who * 3 + chance.below(3)))
    })
}

const REFUSED: &str = "\"errorCode\":\"AccessDenied\",\"errorMessage\":\"no\",";

/// Accesses at any time within `hours`, in order. A record is made of its number and time.
pub(super) fn spread(
    chance: &mut Chance,
    count: usize,
    hours: u64,
    mut record: impl FnMut(usize, i64, &mut Chance) -> String,
) -> Vec<(i64, String)> {
    let mut all: Vec<(i64, String)> = (0..count)
        .map(|number| {
            let secs = START + chance.below(hours * 3600) as i64;
            (secs, record(number, secs, chance))
        })
        .collect();
    all.sort();
    all
}

/// What CloudTrail writes of who did what, with what error, and to which secret.
fn record(number: usize, secs: i64, (who, event, error, secret): (&str, &str, &str, u64)) -> String {
    let time = DateTime::from_timestamp(secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    format!(
        "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\"principalId\":\"AIDA{who}\",\"arn\":\"arn:aws:iam::111122223333:user/{who}\",\"accountId\":\"111122223333\",\"userName\":\"{who}\"}},\
         \"eventTime\":\"{time}\",\"eventSource\":\"secretsmanager.amazonaws.com\",\"eventName\":\"{event}\",\"awsRegion\":\"eu-central-1\",\"sourceIPAddress\":\"203.0.113.9\",{error}\
         \"userAgent\":\"aws-cli/2.15\",\"requestParameters\":{{\"secretId\":\"prod/s{secret}\"}},\"responseElements\":null,\"eventID\":\"{number:08x}-0000-4000-8000-{:012x}\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111122223333\"}}",
        number * 7919
    )
}

/// The id inside a record.
pub(super) fn id_of(record: &str) -> String {
    record.split("\"eventID\":\"").nth(1).unwrap().split('"').next().unwrap().to_owned()
}
