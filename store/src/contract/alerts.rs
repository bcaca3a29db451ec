//! Alerts over their life, and what of it is told.

use super::outbox::Attempting;
use super::*;
use crate::{AlertDetail, AlertFilter, AlertStatus, DeliveryKind, DeliveryState, LeasedDelivery, Page};

impl Stage {
    async fn alert(&self, id: &str) -> AlertDetail {
        self.store.alert(id).await.unwrap().unwrap()
    }

    async fn lease(&self, receiver: &str, secs: i64) -> Vec<LeasedDelivery> {
        self.store.lease_due(receiver, clock(secs), 30, 10).await.unwrap()
    }

    /// What was or is to be told to `ops`: kind and state, oldest first.
    async fn told(&self, id: &str) -> Vec<(DeliveryKind, DeliveryState)> {
        let deliveries = self.alert(id).await.deliveries.into_iter().map(|one| one.delivery);
        deliveries.filter(|row| row.receiver == "ops").map(|row| (row.kind, row.state)).collect()
    }

    async fn history(&self, id: &str) -> Vec<String> {
        self.alert(id).await.history.into_iter().map(|entry| entry.what).collect()
    }
}

#[tokio::test]
async fn an_opened_alert_is_stored_and_told_to_every_receiver_after_its_hold() {
    let stage = Stage::open().await;
    let done = stage.change("a", 0, vec![opened(alert("A1", &["a"]), 60)]).await;
    assert_eq!(done.opened, 1);
    let detail = stage.alert("A1").await;
    assert_eq!((detail.alert.status, detail.alert.revision), (AlertStatus::Open, 1));
    assert_eq!(detail.alert.json, serde_json::to_string(&alert("A1", &["a"])).unwrap());
    assert_eq!(detail.alert.opened_at.to_string(), "2026-01-31T12:00:00.25Z", "as precise as it was said");
    assert_eq!(detail.evidence.iter().map(|event| event.id.as_str()).collect::<Vec<_>>(), ["a"]);
    assert_eq!(stage.store.event("a").await.unwrap().unwrap().alerts, ["A1"]);
    for receiver in ["ops", "siem"] {
        assert_eq!(stage.store.next_due(receiver).await.unwrap(), Some(clock(60)));
        assert!(stage.lease(receiver, 59).await.is_empty());
        let leased = stage.lease(receiver, 60).await;
        assert_eq!(leased.len(), 1);
        assert_eq!(leased[0].kind, DeliveryKind::AlertOpened);
        assert_eq!(leased[0].alert_json, detail.alert.json);
        assert_eq!(leased[0].created_at, clock(0));
    }
}

#[tokio::test]
async fn news_of_an_alert_nobody_was_told_of_yet_joins_the_first_message() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 60)]).await;
    stage.change("b", 5, vec![updated(alert("A1", &["a", "b"]), "A1", true)]).await;
    assert_eq!(stage.told("A1").await, [(DeliveryKind::AlertOpened, DeliveryState::Pending)]);
    let leased = stage.lease("ops", 60).await;
    assert_eq!(leased[0].alert_json, serde_json::to_string(&alert("A1", &["a", "b"])).unwrap());
    assert_eq!(stage.history("A1").await, ["opened", "updated"]);
}

#[tokio::test]
async fn news_of_a_told_alert_is_told_and_mere_evidence_is_not() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let first = stage.lease("ops", 1).await;
    stage.change("b", 5, vec![updated(alert("A1", &["a", "b"]), "A1", false)]).await;
    stage.change("c", 6, vec![updated(alert("A1", &["a", "b", "c"]), "A1", true)]).await;
    assert_eq!(
        stage.told("A1").await,
        [
            (DeliveryKind::AlertOpened, DeliveryState::Pending),
            (DeliveryKind::AlertUpdated, DeliveryState::Pending)
        ]
    );
    assert!(stage.lease("ops", 7).await.is_empty(), "never before the message about its opening");
    let done = Attempting(1).delivered(&stage, &first[0]).await;
    assert!(done);
    let second = stage.lease("ops", 8).await;
    assert_eq!(second[0].kind, DeliveryKind::AlertUpdated);
    assert_ne!(second[0].message_id, first[0].message_id);
    let detail = stage.alert("A1").await;
    assert_eq!((detail.alert.events, detail.alert.revision, detail.evidence.len()), (3, 3, 3));
    assert_eq!((detail.alert.received_at, detail.alert.changed_at), (clock(0), clock(6)));
}

#[tokio::test]
async fn a_message_somebody_may_have_seen_keeps_its_words() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let first = stage.lease("ops", 1).await;
    stage.change("b", 5, vec![updated(alert("A1", &["a", "b"]), "A1", true)]).await;
    let again = stage.lease("ops", 31).await;
    assert_eq!(again[0].message_id, first[0].message_id);
    assert_eq!(again[0].alert_json, first[0].alert_json);
}

#[tokio::test]
async fn an_alert_withdrawn_within_its_hold_is_told_to_nobody() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 60)]).await;
    stage.change("b", 10, vec![withdrawn("A1")]).await;
    let detail = stage.alert("A1").await;
    assert_eq!(detail.alert.status, AlertStatus::Withdrawn);
    assert_eq!(detail.deliveries.len(), 2);
    for one in detail.deliveries {
        assert_eq!(one.delivery.state, DeliveryState::Cancelled);
        assert_eq!(one.delivery.reason.as_deref(), Some("a success followed"));
    }
    assert!(stage.lease("ops", 1000).await.is_empty());
    assert_eq!(stage.store.next_due("ops").await.unwrap(), None);
}

#[tokio::test]
async fn those_who_were_told_hear_of_the_withdrawal_and_only_those() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let leased = stage.lease("ops", 1).await;
    Attempting(1).delivered(&stage, &leased[0]).await;
    stage.change("b", 10, vec![withdrawn("A1")]).await;
    let taken_back = stage.lease("ops", 10).await;
    assert_eq!(taken_back[0].kind, DeliveryKind::AlertWithdrawn);
    assert_eq!(taken_back[0].note.as_deref(), Some("a success followed"));
    assert!(stage.lease("siem", 10).await.is_empty());
    assert_eq!(stage.history("A1").await, ["opened", "withdrawn"]);
    stage.change("c", 11, vec![withdrawn("A1")]).await;
    assert_eq!(stage.history("A1").await, ["opened", "withdrawn"], "once is enough");
}

#[tokio::test]
async fn a_withdrawal_during_an_attempt_is_told_after_it() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let leased = stage.lease("ops", 1).await;
    stage.change("b", 10, vec![withdrawn("A1")]).await;
    assert!(stage.lease("ops", 30).await.is_empty(), "the attempt may still be under way");
    assert!(Attempting(1).delivered(&stage, &leased[0]).await);
    assert_eq!(stage.lease("ops", 31).await[0].kind, DeliveryKind::AlertWithdrawn);
    assert_eq!(stage.told("A1").await[0].1, DeliveryState::Delivered, "the receiver did say yes");
}

#[tokio::test]
async fn a_failed_attempt_is_not_repeated_after_a_withdrawal() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let leased = stage.lease("ops", 1).await;
    stage.change("b", 10, vec![withdrawn("A1")]).await;
    assert!(Attempting(1).retry(&stage, &leased[0], 12).await);
    assert_eq!(stage.told("A1").await[0].1, DeliveryState::Cancelled);
    let kinds: Vec<_> = stage.lease("ops", 100).await.into_iter().map(|one| one.kind).collect();
    assert_eq!(kinds, [DeliveryKind::AlertWithdrawn], "the lost attempt may have been heard");
}

#[tokio::test]
async fn a_renamed_alert_is_found_by_both_ids() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A2", &["a"]), 60)]).await;
    stage.change("b", 1, vec![updated(alert("A1", &["b", "a"]), "A2", false)]).await;
    for id in ["A1", "A2"] {
        let detail = stage.alert(id).await;
        assert_eq!((detail.alert.id.as_str(), detail.alert.events), ("A1", 2));
        assert_eq!(detail.former_ids, ["A2"]);
    }
    assert_eq!(stage.store.totals().await.unwrap().alerts, 1);
    assert_eq!(stage.history("A1").await, ["opened", "renamed"]);
    assert_eq!(told_ids(&stage, 60).await, ["A2"], "in messages it keeps the id it was first told under");
    assert_eq!(stage.alert("A1").await.told_as.as_deref(), Some("A2"));
    stage.change("c", 2, vec![updated(alert("A2", &["a"]), "A1", false)]).await;
    let back = stage.alert("A1").await;
    assert_eq!((back.alert.id.as_str(), back.former_ids), ("A2", vec!["A1".to_owned()]));
}

/// The ids of alerts in the messages that are due.
async fn told_ids(stage: &Stage, secs: i64) -> Vec<String> {
    let leased = stage.lease("ops", secs).await;
    for one in &leased {
        assert!(Attempting(secs).delivered(stage, one).await);
    }
    let id = |json: &str| serde_json::from_str::<serde_json::Value>(json).unwrap()["id"].clone();
    leased.iter().map(|one| id(&one.alert_json).as_str().unwrap().to_owned()).collect()
}

#[tokio::test]
async fn receivers_know_an_alert_by_one_id_for_ever_and_no_two_by_the_same() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A2", &["a"]), 0)]).await;
    assert_eq!(told_ids(&stage, 1).await, ["A2"]);
    // It is renamed, and the event it was first named after opens another alert.
    stage.change("b", 2, vec![updated(alert("A1", &["b"]), "A2", true)]).await;
    let mut another = alert("A2", &["a"]);
    another.opened_at = EventTime::from_secs(NOON + 90_000);
    stage.change("c", 3, vec![opened(another, 0)]).await;
    assert_eq!(told_ids(&stage, 4).await, ["A2", "A2.2"]);
    let second = stage.alert("A2").await;
    assert_eq!((second.alert.id.as_str(), second.told_as.as_deref()), ("A2", Some("A2.2")));
    assert_eq!(stage.alert("A2.2").await.alert.id, "A2");
    assert_eq!(stage.alert("A1").await.told_as.as_deref(), Some("A2"));
    stage.change("d", 5, vec![withdrawn("A2"), withdrawn("A1")]).await;
    let mut both = told_ids(&stage, 6).await;
    both.sort();
    assert_eq!(both, ["A2", "A2.2"]);
    // Back under its first id it is known by what it was always known by.
    stage.change("e", 7, vec![updated(alert("A0", &["b"]), "A1", true)]).await;
    assert_eq!(told_ids(&stage, 8).await, ["A2"]);
}

#[tokio::test]
async fn two_alerts_that_turn_out_to_be_one_become_one() {
    let stage = Stage::open().await;
    let both = vec![opened(alert("A1", &["a"]), 60), opened(alert("A2", &["a"]), 60)];
    stage.change("a", 0, both).await;
    stage.change("b", 1, vec![updated(alert("A1", &["a", "b"]), "A2", false)]).await;
    assert_eq!(stage.alert("A1").await.alert.events, 2);
    assert_eq!(stage.alert("A2").await.alert.status, AlertStatus::Withdrawn);
    assert_eq!(stage.alert("A2").await.history[1].detail, "part of A1");
}

#[tokio::test]
async fn an_alert_opened_twice_is_one_alert_and_one_message() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let done = stage.change("b", 1, vec![opened(alert("A1", &["a", "b"]), 0)]).await;
    assert_eq!(done.opened, 0);
    assert_eq!(stage.told("A1").await.len(), 1);
    assert_eq!(stage.alert("A1").await.alert.events, 2);
}

#[tokio::test]
async fn an_update_of_an_unknown_alert_opens_it_rather_than_losing_it() {
    let stage = Stage::open().await;
    let done = stage.change("a", 0, vec![updated(alert("A1", &["a"]), "A0", false), withdrawn("A9")]).await;
    assert_eq!(done.opened, 1);
    assert_eq!(stage.told("A1").await, [(DeliveryKind::AlertOpened, DeliveryState::Pending)]);
}

#[tokio::test]
async fn a_withdrawn_alert_can_open_again_and_is_told_again() {
    let stage = Stage::open().await;
    let changes = vec![opened(alert("A1", &["a"]), 60), withdrawn("A1"), opened(alert("A1", &["a"]), 60)];
    stage.change("a", 0, changes).await;
    assert_eq!(
        stage.told("A1").await,
        [
            (DeliveryKind::AlertOpened, DeliveryState::Cancelled),
            (DeliveryKind::AlertOpened, DeliveryState::Pending)
        ]
    );
    let detail = stage.alert("A1").await;
    assert_eq!((detail.alert.status, detail.alert.revision), (AlertStatus::Open, 3));
    assert_eq!(stage.history("A1").await, ["opened", "withdrawn", "reopened"]);
}

#[tokio::test]
async fn evidence_is_found_wherever_in_time_its_event_stands() {
    let stage = Stage::open().await;
    let told = |id: &str, said: &'static str| AuditEvent { time_raw: Some(said.into()), ..event(id) };
    let early = AuditEvent { time: EventTime::from_secs(NOON - 86_400), ..event("early") };
    let batch = Batch::of([told("ahead", "2026-02-05T00:00:00Z"), told("odd", "?"), early]);
    stage.commit(&batch).await.unwrap();
    stage.change("a", 1, vec![opened(alert("A1", &["a", "ahead", "odd", "early", "unknown"]), 0)]).await;
    let mut found: Vec<String> = stage.alert("A1").await.evidence.into_iter().map(|row| row.id).collect();
    found.sort();
    assert_eq!(found, ["a", "ahead", "early", "odd"]);
    stage.change("b", 2, vec![updated(alert("A1", &["ahead", "b"]), "A1", false)]).await;
    let rows = stage.alert("A1").await.evidence;
    assert_eq!(rows.len(), 2, "as the alert says now");
    assert!(stage.store.event("odd").await.unwrap().unwrap().alerts.is_empty());
}

#[tokio::test]
async fn an_alert_is_found_by_the_secrets_it_names_now() {
    let stage = Stage::open().await;
    stage.change("a", 0, vec![opened(alert("A1", &["a"]), 0)]).await;
    let mut other = alert("A1", &["a"]);
    other.secrets = vec![secret("other")];
    stage.change("b", 1, vec![updated(other, "A1", false)]).await;
    for (id, alerts) in [("db", 0), ("other", 1)] {
        let filter = AlertFilter { secret: Some(id.to_owned()), ..AlertFilter::default() };
        assert_eq!(stage.store.alerts(&filter, Page::first(10)).await.unwrap().rows.len(), alerts, "{id}");
    }
}
