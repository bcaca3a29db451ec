//! Reminders, escalations, Keywatch's own alerts, and times to alert.

use super::outbox::Attempting;
use super::*;
use crate::{
    Action, AlertFilter, AttemptOutcome, AttemptRecord, DeliveryKind, Handling, Page, RULE_ORPHANED,
    RULE_UNDELIVERED, StandingFilter, Urging,
};

impl Stage {
    async fn standing(&self, before: i64, acknowledged: bool) -> Vec<(String, String)> {
        let filter = StandingFilter {
            level: Level::High,
            receiver: None,
            acknowledged,
            told_before: clock(before),
            opened_since: clock(-86_400),
        };
        let found = self.store.standing(&filter).await.unwrap();
        found.into_iter().map(|one| (one.alert, one.receiver)).collect()
    }

    async fn urge(&self, kind: DeliveryKind, secs: i64) -> usize {
        let urging = Urging { alert: "A", receiver: "ops", kind, reason: "still open" };
        let routing = [Subscriber::new("ops", Level::Info)];
        self.store.urge(&[urging], clock(secs), &routing).await.unwrap()
    }

    async fn acknowledge(&self, secs: i64) {
        let handling =
            Handling { action: Action::Acknowledge, who: "ada", note: "", now: clock(secs), undoable: None };
        let routing = [Subscriber::new("ops", Level::Info)];
        self.store.handle(&[("A".to_owned(), 1)], &handling, &routing).await.unwrap();
    }

    async fn give_up(&self, receiver: &str, secs: i64) {
        for one in self.due_for(receiver, secs).await {
            let record = AttemptRecord {
                started_at: clock(secs),
                latency_ms: 1,
                status: Some(500),
                error: Some("status 500".to_owned()),
                response_excerpt: None,
            };
            let outcome = AttemptOutcome::DeadLetter("given up after 14 attempts".to_owned());
            assert!(self.store.record_attempt(one.id, &one.lease, &record, outcome).await.unwrap());
        }
    }

    async fn own(&self, rule: &str) -> Vec<String> {
        let filter = AlertFilter { rule: Some(rule.to_owned()), ..AlertFilter::default() };
        let rows = self.store.alerts(&filter, Page::first(9)).await.unwrap().rows;
        rows.into_iter().map(|row| row.id).collect()
    }
}

fn team() -> [Subscriber; 2] {
    ["ops", "siem"].map(|name| Subscriber::new(name, Level::Info))
}

#[tokio::test]
async fn what_still_stands_is_found_for_each_receiver_that_knows_of_it() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    assert!(stage.standing(9999, false).await.is_empty(), "nobody has accepted it yet");
    stage.hears("ops", 10).await;
    assert!(stage.standing(5, false).await.is_empty(), "told a moment ago");
    assert_eq!(stage.standing(20, false).await, [("A".to_owned(), "ops".to_owned())]);
    assert_eq!(stage.urge(DeliveryKind::AlertReminder, 30).await, 1);
    assert!(stage.standing(40, false).await.is_empty(), "one is waiting already");
    assert_eq!(stage.hears("ops", 31).await[0].0, DeliveryKind::AlertReminder);
    stage.acknowledge(40).await;
    stage.hears("ops", 41).await;
    assert!(stage.standing(9999, false).await.is_empty(), "somebody looks after it");
    assert_eq!(stage.standing(9999, true).await.len(), 1, "but it still stands");
}

#[tokio::test]
async fn an_acknowledgement_takes_back_a_reminder_that_was_not_sent_yet() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    stage.hears("ops", 1).await;
    stage.urge(DeliveryKind::AlertReminder, 30).await;
    stage.acknowledge(31).await;
    assert_eq!(stage.urge(DeliveryKind::AlertReminder, 32).await, 0, "and no other is written");
    let kinds: Vec<_> = stage.hears("ops", 33).await.into_iter().map(|(kind, _)| kind).collect();
    assert_eq!(kinds, [DeliveryKind::AlertAcknowledged]);
}

#[tokio::test]
async fn refreshing_a_receiver_leaves_one_message_behind_and_not_thousands() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    stage.hears("ops", 1).await;
    for minute in 1..=5 {
        assert_eq!(stage.urge(DeliveryKind::AlertRefreshed, minute * 60).await, 1);
        assert_eq!(stage.hears("ops", minute * 60 + 1).await.len(), 1);
    }
    let kept = stage.detail("A").await.deliveries;
    let refreshed = kept.iter().filter(|one| one.delivery.kind == DeliveryKind::AlertRefreshed);
    assert_eq!(refreshed.count(), 1);
}

#[tokio::test]
async fn an_alert_nobody_acknowledges_is_escalated_once_for_each_time_it_opens() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    let unseen = async |secs| stage.store.unacknowledged(Level::High, clock(secs), "ops").await.unwrap();
    assert!(unseen(-1).await.is_empty(), "not long enough");
    assert_eq!(unseen(0).await, ["A"]);
    assert!(stage.store.unacknowledged(Level::Critical, clock(0), "ops").await.unwrap().is_empty());
    assert_eq!(stage.urge(DeliveryKind::AlertEscalated, 900).await, 1);
    assert!(unseen(900).await.is_empty());
    stage.change("w", 1000, vec![withdrawn("A")]).await;
    stage.change("b", 2000, vec![opened(alert("A", &["a", "b"]), 0)]).await;
    assert_eq!(unseen(2000).await, ["A"]);
}

#[tokio::test]
async fn messages_that_are_given_up_are_alerted_to_the_other_receiver_once() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0), opened(alert("B", &["a"]), 0)]).await;
    stage.hears("siem", 1).await;
    stage.give_up("ops", 1).await;
    assert_eq!(stage.store.report_undelivered(clock(2), &team()).await.unwrap(), 1);
    assert_eq!(stage.store.report_undelivered(clock(3), &team()).await.unwrap(), 0);
    let own = stage.own(RULE_UNDELIVERED).await;
    assert_eq!(own.len(), 1);
    let told = stage.due_for("siem", 4).await;
    assert_eq!(told.len(), 1);
    assert!(told[0].alert_json.contains("2 messages to ops were given up"), "{}", told[0].alert_json);
    assert!(stage.due_for("ops", 4).await.is_empty(), "not to the one that fails");
}

#[tokio::test]
async fn an_alert_about_delivery_that_is_itself_given_up_goes_no_further() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    stage.hears("siem", 1).await;
    stage.give_up("ops", 1).await;
    stage.store.report_undelivered(clock(2), &team()).await.unwrap();
    stage.give_up("siem", 3).await;
    assert_eq!(stage.store.report_undelivered(clock(4), &team()).await.unwrap(), 0);
    assert_eq!(stage.own(RULE_UNDELIVERED).await.len(), 1);
}

#[tokio::test]
async fn a_receiver_that_was_paused_is_alerted_once_per_pause() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    let one = stage.due_for("ops", 1).await.remove(0);
    let gone = AttemptOutcome::Paused("410 Gone".to_owned());
    let record = AttemptRecord {
        started_at: clock(1),
        latency_ms: 1,
        status: Some(410),
        error: None,
        response_excerpt: None,
    };
    stage.store.record_attempt(one.id, &one.lease, &record, gone).await.unwrap();
    assert_eq!(stage.store.report_undelivered(clock(2), &team()).await.unwrap(), 1);
    assert_eq!(stage.store.report_undelivered(clock(60), &team()).await.unwrap(), 0);
    assert!(
        stage
            .due_for("siem", 3)
            .await
            .iter()
            .any(|one| one.alert_json.contains("wants no more messages (410 Gone)"))
    );
}

#[tokio::test]
async fn messages_for_a_receiver_that_is_gone_wait_and_are_alerted() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
    let left = [Subscriber::new("siem", Level::Info)];
    assert_eq!(stage.store.report_orphaned(clock(2), &team()).await.unwrap(), 0);
    assert_eq!(stage.store.report_orphaned(clock(2), &left).await.unwrap(), 1);
    assert_eq!(stage.store.report_orphaned(clock(3), &left).await.unwrap(), 0, "said once");
    assert_eq!(stage.own(RULE_ORPHANED).await.len(), 1);
    assert_eq!(stage.due_for("ops", 9).await.len(), 1, "when it comes back it hears of it");
}

#[tokio::test]
async fn the_last_heartbeat_of_a_receiver_is_shown_with_its_error() {
    let stage = Stage::open().await;
    stage.store.record_heartbeat("ops", clock(1), None).await.unwrap();
    stage.store.record_heartbeat("ops", clock(61), Some("no route")).await.unwrap();
    let beat = stage.store.receivers().await.unwrap()[0].heartbeat.clone().unwrap();
    assert_eq!(
        (beat.tried_at, beat.accepted_at, beat.error.as_deref()),
        (clock(61), Some(clock(1)), Some("no route"))
    );
}

#[tokio::test]
async fn times_to_alert_are_measured_leg_by_leg() {
    let stage = Stage::open().await;
    stage.change("a", 10, vec![opened(alert("A", &["a"]), 0)]).await;
    let one = stage.due_for("ops", 12).await.remove(0);
    assert!(Attempting(12).delivered(&stage, &one).await);
    let times = stage.store.alert_times(clock(0)).await.unwrap();
    assert_eq!(times.count, 1);
    assert_eq!((times.received.p50, times.decided.p99, times.accepted.p99), (9_750, 0, 2_250));
    assert_eq!(times.whole.p90, 12_000);
}
