//! What was done with several alerts is taken back.

use super::outbox::Attempting;
use super::*;
use crate::{Action, AlertStatus, DeliveryKind, Handled, Handling, Resolution, UNDO_SECS, Undone};

const TEAM: [&str; 2] = ["ops", "siem"];

impl Stage {
    /// Somebody acts on alert A as it is, in a way that can be undone; the number of the action.
    async fn act_undoably(&self, action: Action, secs: i64) -> i64 {
        let revision = self.detail("A").await.alert.revision;
        let id = self.store.begin_action("handled by ada", "ada", clock(secs)).await.unwrap();
        let handling = Handling { action, who: "ada", note: "", now: clock(secs), undoable: Some(id) };
        let routing = TEAM.map(|name| Subscriber::new(name, Level::Info));
        let alerts = [("A".to_owned(), revision)];
        assert_eq!(self.store.handle(&alerts, &handling, &routing).await.unwrap(), [Handled::Done]);
        id
    }

    async fn undo(&self, id: i64, secs: i64) -> Option<Undone> {
        let routing = TEAM.map(|name| Subscriber::new(name, Level::Info));
        self.store.undo(id, "bob", clock(secs), &routing).await.unwrap()
    }

    async fn with_alert() -> Self {
        let stage = Self::open().await;
        stage.change("a", 0, vec![opened(alert("A", &["a"]), 0)]).await;
        stage
    }
}

const WHOLE: Option<Undone> = Some(Undone { restored: 1, left: 0 });

#[tokio::test]
async fn what_is_undone_within_half_a_minute_nobody_hears_of() {
    let stage = Stage::with_alert().await;
    stage.hears("ops", 1).await;
    let id = stage.act_undoably(Action::Resolve(Resolution::Benign), 10).await;
    assert!(stage.hears("ops", 39).await.is_empty(), "it waits {UNDO_SECS} s");
    assert_eq!(stage.undo(id, 39).await, WHOLE);
    let row = stage.detail("A").await;
    assert_eq!((row.alert.status, row.alert.resolved), (AlertStatus::Open, None));
    let last = row.history.last().unwrap();
    assert_eq!((last.what.as_str(), last.who.as_deref()), ("undone", Some("bob")));
    assert!(stage.hears("ops", 100).await.is_empty());
    // Who had not been told yet when it was resolved is told after all.
    assert_eq!(stage.hears("siem", 100).await, [(DeliveryKind::AlertOpened, None)]);
    assert_eq!(stage.undo(id, 101).await, None, "once");
    let taken = stage.store.action(id).await.unwrap().unwrap();
    assert_eq!((taken.alerts, taken.undone), (1, Some(("bob".to_owned(), clock(39)))));
}

#[tokio::test]
async fn what_is_undone_later_is_told_again_as_it_was_before() {
    let stage = Stage::with_alert().await;
    stage.hears("ops", 1).await;
    stage.act_undoably(Action::Acknowledge, 10).await;
    assert_eq!(stage.hears("ops", 40).await[0].0, DeliveryKind::AlertAcknowledged);
    let resolved = stage.act_undoably(Action::Resolve(Resolution::Benign), 50).await;
    assert_eq!(stage.hears("ops", 80).await[0].0, DeliveryKind::AlertResolved);
    assert_eq!(stage.undo(resolved, 90).await, WHOLE);
    let row = stage.detail("A").await.alert;
    assert_eq!(
        (row.status, row.acknowledged),
        (AlertStatus::Acknowledged, Some(("ada".to_owned(), clock(10))))
    );
    let words = Some("handled by ada; undone by bob".to_owned());
    assert_eq!(stage.hears("ops", 91).await, [(DeliveryKind::AlertAcknowledged, words)]);
}

#[tokio::test]
async fn a_reopening_is_undone_too() {
    let stage = Stage::with_alert().await;
    stage.hears("ops", 1).await;
    stage.act_undoably(Action::Resolve(Resolution::Testing), 10).await;
    stage.hears("ops", 40).await;
    let reopened = stage.act_undoably(Action::Reopen, 50).await;
    assert_eq!(stage.undo(reopened, 60).await, WHOLE);
    assert_eq!(stage.detail("A").await.alert.status, AlertStatus::Resolved);
    assert!(stage.hears("ops", 200).await.is_empty());
    assert!(stage.hears("siem", 200).await.is_empty(), "it was never told, and it is over");
}

#[tokio::test]
async fn an_alert_that_has_changed_since_is_left_as_it_is() {
    let stage = Stage::with_alert().await;
    let id = stage.act_undoably(Action::Resolve(Resolution::Benign), 10).await;
    stage.change("b", 20, vec![updated(alert("A", &["a", "b"]), "A", false)]).await;
    assert_eq!(stage.undo(id, 30).await, Some(Undone { restored: 0, left: 1 }));
    assert!(stage.detail("A").await.alert.regressed);
}

#[tokio::test]
async fn what_follows_waits_for_the_end_of_an_attempt_and_no_longer() {
    let stage = Stage::with_alert().await;
    let under_way = stage.due_for("ops", 1).await.remove(0);
    let routing = TEAM.map(|name| Subscriber::new(name, Level::Info));
    let action = Action::Acknowledge;
    let handling = Handling { action, who: "ada", note: "", now: clock(2), undoable: None };
    stage.store.handle(&[("A".to_owned(), 1)], &handling, &routing).await.unwrap();
    assert!(stage.hears("ops", 3).await.is_empty(), "the attempt is still under way");
    assert!(Attempting(4).delivered(&stage, &under_way).await);
    assert_eq!(stage.hears("ops", 5).await[0].0, DeliveryKind::AlertAcknowledged);
}

#[tokio::test]
async fn only_the_latest_hundred_actions_are_kept() {
    let stage = Stage::with_alert().await;
    let first = stage.act_undoably(Action::Acknowledge, 10).await;
    for _ in 0..100 {
        stage.store.begin_action("handled by ada", "ada", clock(11)).await.unwrap();
    }
    assert_eq!(stage.store.action(first).await.unwrap(), None);
    assert_eq!(stage.undo(first, 12).await, None);
}
