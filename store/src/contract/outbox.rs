//! Leases, attempts, dead letters and pauses.

use super::*;
use crate::{AttemptOutcome, AttemptRecord, DeliveryState, LeasedDelivery};

/// Records attempts begun so many seconds after noon.
pub(super) struct Attempting(pub(super) i64);

impl Attempting {
    fn record(&self, status: Option<u16>, error: Option<&str>) -> AttemptRecord {
        AttemptRecord {
            started_at: clock(self.0),
            latency_ms: 250,
            status,
            error: error.map(str::to_owned),
            response_excerpt: status.map(|status| format!("answer {status}")),
        }
    }

    pub(super) async fn delivered(&self, stage: &Stage, one: &LeasedDelivery) -> bool {
        self.end(stage, one, &self.record(Some(200), None), AttemptOutcome::Delivered).await
    }

    pub(super) async fn retry(&self, stage: &Stage, one: &LeasedDelivery, due: i64) -> bool {
        let record = self.record(Some(503), Some("status 503"));
        self.end(stage, one, &record, AttemptOutcome::RetryAt(clock(due))).await
    }

    async fn end(
        &self,
        stage: &Stage,
        one: &LeasedDelivery,
        record: &AttemptRecord,
        outcome: AttemptOutcome,
    ) -> bool {
        stage.store.record_attempt(one.id, &one.lease, record, outcome).await.unwrap()
    }
}

impl Stage {
    async fn with_alerts(count: usize) -> Self {
        let stage = Self::open().await;
        let alerts = (1..=count).map(|number| opened(alert(&format!("A{number}"), &["a"]), 0));
        stage.change("a", 0, alerts.collect()).await;
        stage
    }

    async fn due(&self, secs: i64) -> Vec<LeasedDelivery> {
        self.store.lease_due("ops", clock(secs), 30, 10).await.unwrap()
    }

    async fn next(&self) -> Option<i64> {
        let next = self.store.next_due("ops").await.unwrap();
        next.map(|next| next.timestamp() - NOON)
    }
}

#[tokio::test]
async fn what_is_leased_is_nobody_elses_until_the_lease_ends() {
    let stage = Stage::with_alerts(1).await;
    let first = stage.due(0).await;
    assert!(stage.due(29).await.is_empty());
    assert_eq!(stage.next().await, Some(30));
    let second = stage.due(30).await;
    assert_eq!((first.len(), second.len()), (1, 1));
    assert_eq!(first[0].message_id, second[0].message_id);
    assert_eq!((first[0].attempt, second[0].attempt), (1, 1), "no attempt was recorded");
    assert!(!Attempting(31).delivered(&stage, &first[0]).await, "the first lease is lost");
    assert!(stage.store.delivery(first[0].id).await.unwrap().unwrap().attempts.is_empty());
    assert!(Attempting(32).delivered(&stage, &second[0]).await);
    assert!(!Attempting(33).delivered(&stage, &second[0]).await, "a lease is good for one attempt");
    assert_eq!(stage.next().await, None);
}

#[tokio::test]
async fn a_message_id_is_the_same_at_every_attempt_and_different_per_receiver() {
    let stage = Stage::with_alerts(2).await;
    let mut ids = Vec::new();
    for receiver in ["ops", "siem"] {
        let leased = stage.store.lease_due(receiver, clock(0), 30, 10).await.unwrap();
        ids.extend(leased.into_iter().map(|one| one.message_id));
    }
    let again = stage.due(30).await;
    assert_eq!(again[0].message_id, ids[0]);
    for id in &ids {
        let hex = id.strip_prefix("msg_").unwrap();
        assert!(hex.len() == 26 && hex.bytes().all(|byte| byte.is_ascii_hexdigit()), "{id}");
    }
    ids.sort();
    ids.dedup();
    assert_eq!(ids.len(), 4);
}

#[tokio::test]
async fn a_failed_attempt_is_kept_and_made_again_when_due() {
    let stage = Stage::with_alerts(1).await;
    let first = stage.due(0).await;
    assert!(Attempting(1).retry(&stage, &first[0], 100).await);
    assert_eq!(stage.next().await, Some(100));
    assert!(stage.due(99).await.is_empty());
    let second = stage.due(100).await;
    assert_eq!(second[0].attempt, 2);
    assert!(Attempting(101).delivered(&stage, &second[0]).await);
    let found = stage.store.delivery(first[0].id).await.unwrap().unwrap();
    assert_eq!((found.delivery.state, found.delivery.attempts), (DeliveryState::Delivered, 2));
    let seen: Vec<_> =
        found.attempts.iter().map(|one| (one.number, one.status, one.error.as_deref())).collect();
    assert_eq!(seen, [(1, Some(503), Some("status 503")), (2, Some(200), None)]);
    assert_eq!(found.attempts[0].response_excerpt.as_deref(), Some("answer 503"));
    assert_eq!((found.attempts[0].started_at, found.attempts[0].latency_ms), (clock(1), 250));
}

#[tokio::test]
async fn a_dead_letter_is_visible_and_replayed_with_a_fresh_schedule() {
    let stage = Stage::with_alerts(1).await;
    let first = stage.due(0).await;
    let (record, end) = (Attempting(1).record(None, Some("no route")), "gave up after 15 attempts");
    assert!(Attempting(1).end(&stage, &first[0], &record, AttemptOutcome::DeadLetter(end.into())).await);
    assert!(stage.due(1_000_000).await.is_empty());
    let dead = stage.store.delivery(first[0].id).await.unwrap().unwrap().delivery;
    assert_eq!((dead.state, dead.reason.as_deref()), (DeliveryState::DeadLetter, Some(end)));
    assert_eq!(stage.store.totals().await.unwrap().dead, 1);
    assert!(stage.store.replay(dead.id, "ada", clock(500)).await.unwrap());
    assert!(!stage.store.replay(dead.id, "ada", clock(500)).await.unwrap(), "it is pending already");
    assert!(!stage.store.replay(999, "ada", clock(500)).await.unwrap());
    let again = stage.due(500).await;
    assert_eq!((again[0].attempt, &again[0].message_id), (1, &first[0].message_id));
    assert!(!Attempting(2).delivered(&stage, &first[0]).await, "the old lease is gone");
}

#[tokio::test]
async fn a_paused_receiver_gets_nothing_until_it_is_resumed() {
    let stage = Stage::with_alerts(2).await;
    let first = stage.store.lease_due("ops", clock(0), 30, 1).await.unwrap();
    let record = Attempting(1).record(Some(410), Some("gone"));
    let gone = AttemptOutcome::Paused("410 Gone".to_owned());
    assert!(Attempting(1).end(&stage, &first[0], &record, gone).await);
    assert!(stage.due(1000).await.is_empty());
    assert_eq!(stage.next().await, None);
    let receivers = stage.store.receivers().await.unwrap();
    let states: Vec<_> = receivers.iter().map(|row| (row.name.as_str(), row.pending)).collect();
    assert_eq!(states, [("ops", 2), ("siem", 2)]);
    assert_eq!(receivers[0].paused.as_ref().map(|(_, reason)| reason.as_str()), Some("410 Gone"));
    assert_eq!(receivers[1].paused, None, "others go on");
    assert_eq!(stage.store.lease_due("siem", clock(0), 30, 10).await.unwrap().len(), 2);
    assert!(stage.store.resume_receiver("ops").await.unwrap());
    assert!(!stage.store.resume_receiver("ops").await.unwrap());
    let attempts: Vec<u32> = stage.due(1000).await.iter().map(|one| one.attempt).collect();
    assert_eq!(attempts, [2, 1], "what waited goes out");
}

#[tokio::test]
async fn the_earliest_goes_first_and_then_the_most_urgent() {
    let stage = Stage::open().await;
    let level = |id: &str, level: Level| Alert { level, ..alert(id, &["a"]) };
    let changes = vec![
        opened(level("held", Level::Critical), 20),
        opened(level("warning", Level::Warning), 10),
        opened(level("critical", Level::Critical), 10),
    ];
    stage.change("a", 0, changes).await;
    let order = |leased: Vec<LeasedDelivery>| {
        let id = |one: LeasedDelivery| one.alert_json.split('"').nth(3).unwrap().to_owned();
        leased.into_iter().map(id).collect::<Vec<_>>()
    };
    let two = stage.store.lease_due("ops", clock(25), 30, 2).await.unwrap();
    assert_eq!(order(two), ["critical", "warning"]);
    assert_eq!(order(stage.due(25).await), ["held"]);
}

#[tokio::test]
async fn concurrent_senders_never_lease_the_same_delivery() {
    let stage = Stage::with_alerts(40).await;
    let mut senders = tokio::task::JoinSet::new();
    for _ in 0..8 {
        let store = stage.store.clone();
        senders.spawn(async move { store.lease_due("ops", clock(0), 30, 7).await.unwrap() });
    }
    let mut ids: Vec<i64> = senders.join_all().await.into_iter().flatten().map(|one| one.id).collect();
    assert_eq!(ids.len(), 40);
    ids.sort_unstable();
    ids.dedup();
    assert_eq!(ids.len(), 40);
}
