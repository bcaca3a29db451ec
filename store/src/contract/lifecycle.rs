//! What people do with alerts, and new evidence that comes after them.

use super::outbox::Attempting;
use super::*;
use crate::{
    Action, AlertDetail, AlertFilter, AlertStatus, Choice, DeliveryKind, DeliveryState, Handled, Handling,
    LeasedDelivery, Page, Resolution,
};

const TEAM: [&str; 2] = ["ops", "siem"];

impl Stage {
    async fn act(&self, ids: &[(&str, u32)], action: Action, secs: i64) -> Vec<Handled> {
        let routing = TEAM.map(|name| Subscriber::new(name, Level::Info));
        let ids: Vec<_> = ids.iter().map(|(id, revision)| ((*id).to_owned(), *revision)).collect();
        let handling = Handling { action, who: "ada", note: "looks odd", now: clock(secs), undoable: None };
        self.store.handle(&ids, &handling, &routing).await.unwrap()
    }

    pub(super) async fn detail(&self, id: &str) -> AlertDetail {
        self.store.alert(id).await.unwrap().unwrap()
    }

    async fn status(&self, id: &str) -> (AlertStatus, bool) {
        let row = self.detail(id).await.alert;
        (row.status, row.regressed)
    }

    pub(super) async fn due_for(&self, receiver: &str, secs: i64) -> Vec<LeasedDelivery> {
        self.store.lease_due(receiver, clock(secs), 30, 50).await.unwrap()
    }

    /// Leases and delivers everything due for `receiver`; yields what was told.
    pub(super) async fn hears(&self, receiver: &str, secs: i64) -> Vec<(DeliveryKind, Option<String>)> {
        let mut told = Vec::new();
        loop {
            let leased = self.due_for(receiver, secs).await;
            if leased.is_empty() {
                return told;
            }
            for one in leased {
                assert!(Attempting(secs).delivered(self, &one).await);
                told.push((one.kind, one.note));
            }
        }
    }

    async fn with_one() -> Self {
        let stage = Self::open().await;
        stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
        stage
    }
}

/// The alert with one more event.
fn grown() -> Alert {
    alert("A", &["a", "b"])
}

#[tokio::test]
async fn an_acknowledged_alert_says_who_and_those_who_know_of_it_are_told() {
    let stage = Stage::with_one().await;
    stage.hears("ops", 1).await;
    assert_eq!(stage.act(&[("A", 1)], Action::Acknowledge, 5).await, [Handled::Done]);
    let detail = stage.detail("A").await;
    assert_eq!(detail.alert.status, AlertStatus::Acknowledged);
    assert_eq!(detail.alert.acknowledged, Some(("ada".to_owned(), clock(5))));
    let last = detail.history.last().unwrap();
    assert_eq!(
        (last.what.as_str(), last.who.as_deref(), last.detail.as_str()),
        ("acknowledged", Some("ada"), "looks odd")
    );
    let said = Some("acknowledged by ada: looks odd".to_owned());
    assert_eq!(stage.hears("ops", 6).await, [(DeliveryKind::AlertAcknowledged, said)]);
    let first = stage.hears("siem", 7).await;
    assert_eq!(
        first,
        [(DeliveryKind::AlertOpened, None)],
        "who was not told yet is told of the alert itself"
    );
}

#[tokio::test]
async fn a_resolved_alert_is_told_no_more_and_its_waiting_messages_are_taken_back() {
    let stage = Stage::with_one().await;
    stage.hears("ops", 1).await;
    let resolve = Action::Resolve(Resolution::FalsePositive);
    assert_eq!(stage.act(&[("A", 1)], resolve, 5).await, [Handled::Done]);
    let told = stage.hears("ops", 6).await;
    assert_eq!(told[0].1.as_deref(), Some("resolved by ada as false_positive: looks odd"));
    assert!(stage.hears("siem", 7).await.is_empty(), "nobody needs to look any more");
    let detail = stage.detail("A").await;
    let cancelled = detail.deliveries.iter().find(|one| one.delivery.receiver == "siem").unwrap();
    assert_eq!(cancelled.delivery.state, DeliveryState::Cancelled);
    assert!(detail.decisions.iter().any(|one| one.receiver == "siem" && one.choice == Choice::TakenBack));
    assert_eq!(detail.alert.resolved.unwrap().2, Resolution::FalsePositive);
}

#[tokio::test]
async fn new_evidence_after_a_resolve_reopens_the_alert_and_names_who_had_resolved_it() {
    let stage = Stage::with_one().await;
    stage.hears("ops", 1).await;
    stage.act(&[("A", 1)], Action::Resolve(Resolution::Testing), 5).await;
    stage.hears("ops", 6).await;
    stage.change("b", 60, vec![updated(grown(), "A", false)]).await;
    assert_eq!(stage.status("A").await, (AlertStatus::Open, true));
    let told = stage.hears("ops", 61).await;
    let words = "resolved by ada at 2026-01-31T12:00:05Z as testing; new evidence came since";
    assert_eq!(told, [(DeliveryKind::AlertRegressed, Some(words.to_owned()))]);
    assert_eq!(stage.detail("A").await.history.last().unwrap().what, "regressed");
}

#[tokio::test]
async fn the_same_evidence_again_does_not_undo_a_resolve() {
    let stage = Stage::with_one().await;
    stage.act(&[("A", 1)], Action::Resolve(Resolution::Benign), 5).await;
    let again = vec![opened(alert("A", &["a"]), 0), updated(alert("A", &["a"]), "A", true)];
    stage.change("b", 60, again).await;
    assert_eq!(stage.status("A").await, (AlertStatus::Resolved, false));
    assert!(stage.hears("ops", 61).await.is_empty());
}

#[tokio::test]
async fn an_acknowledged_alert_stays_acknowledged_when_evidence_is_added() {
    let stage = Stage::with_one().await;
    stage.act(&[("A", 1)], Action::Acknowledge, 5).await;
    stage.change("b", 60, vec![updated(grown(), "A", true)]).await;
    assert_eq!(stage.status("A").await, (AlertStatus::Acknowledged, false));
}

#[tokio::test]
async fn nobody_resolves_evidence_they_have_not_seen() {
    let stage = Stage::with_one().await;
    stage.change("b", 1, vec![updated(grown(), "A", false)]).await;
    let resolve = Action::Resolve(Resolution::Benign);
    assert_eq!(stage.act(&[("A", 1)], resolve, 5).await, [Handled::Changed]);
    assert_eq!(stage.status("A").await, (AlertStatus::Open, false));
    let revision = stage.detail("A").await.alert.revision;
    assert_eq!(stage.act(&[("A", revision)], resolve, 6).await, [Handled::Done]);
}

#[tokio::test]
async fn several_are_handled_at_once_and_each_gets_its_answer() {
    let stage = Stage::open().await;
    let changes = ["A", "B", "C"].map(|id| opened(alert(id, &["a"]), 0)).into();
    stage.change("a", 0, changes).await;
    stage.change("c", 1, vec![withdrawn("C")]).await;
    stage.act(&[("B", 1)], Action::Acknowledge, 2).await;
    let all = [("A", 1), ("B", 2), ("C", 2), ("nobody", 1)];
    let answers = stage.act(&all, Action::Acknowledge, 3).await;
    let want =
        [Handled::Done, Handled::Already, Handled::Impossible(AlertStatus::Withdrawn), Handled::Unknown];
    assert_eq!(answers, want);
    let filter = AlertFilter { statuses: vec![AlertStatus::Acknowledged], ..AlertFilter::default() };
    assert_eq!(stage.store.alerts(&filter, Page::first(9)).await.unwrap().rows.len(), 2);
}

#[tokio::test]
async fn a_reopened_alert_is_told_anew() {
    let stage = Stage::with_one().await;
    stage.hears("ops", 1).await;
    stage.act(&[("A", 1)], Action::Resolve(Resolution::Duplicate), 5).await;
    stage.hears("ops", 6).await;
    assert_eq!(stage.act(&[("A", 2)], Action::Reopen, 7).await, [Handled::Done]);
    let said = Some("reopened by ada: looks odd".to_owned());
    assert_eq!(stage.hears("ops", 8).await, [(DeliveryKind::AlertOpened, said)]);
    assert_eq!(stage.status("A").await, (AlertStatus::Open, false));
}

#[tokio::test]
async fn people_and_the_pipeline_racing_for_an_alert_lose_nothing() {
    let stage = std::sync::Arc::new(Stage::with_one().await);
    let mut racers = tokio::task::JoinSet::new();
    for number in 0..10_u32 {
        let grower = std::sync::Arc::clone(&stage);
        racers.spawn(async move {
            let evidence: Vec<String> = (0..=number).map(|n| format!("e{n}")).collect();
            let evidence: Vec<&str> = evidence.iter().map(String::as_str).collect();
            grower.change(&format!("e{number}"), 1, vec![updated(alert("A", &evidence), "A", false)]).await;
        });
        let resolver = std::sync::Arc::clone(&stage);
        racers.spawn(async move {
            let seen = resolver.detail("A").await.alert.revision;
            resolver.act(&[("A", seen)], Action::Resolve(Resolution::Benign), 2).await;
        });
    }
    racers.join_all().await;
    // Whatever the order was: each step of it is in the history, and an alert that somebody was
    // done with and that grew afterwards is open again.
    let detail = stage.detail("A").await;
    let mut resolved = false;
    for entry in &detail.history {
        match entry.what.as_str() {
            "resolved" => {
                assert!(!std::mem::replace(&mut resolved, true), "resolved twice without regressing");
            }
            "regressed" => assert!(std::mem::replace(&mut resolved, false), "regressed without a resolve"),
            _ => {}
        }
    }
    assert_eq!(detail.alert.status == AlertStatus::Resolved, resolved);
}
