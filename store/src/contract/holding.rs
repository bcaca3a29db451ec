//! What is decided when a message is about to be sent: groups, silences, summaries, the breaker.

use super::outbox::Attempting;
use super::*;
use crate::{
    Candidate, Choice, DeliveryState, FAILURES_MAX, Gate, Gathering, LeasedDelivery, Leasing, NewSilence,
    PROBE_SECS, Routed, Routing, Silence, Verdict,
};
use keywatch_event::{Subject, all_match, matchers_from};

/// Tells `ops` of everything, gathered by rule.
struct Gathered;

impl Routing for Gathered {
    fn routes(&self, subject: &Subject, _at: DateTime<Utc>) -> Vec<Routed> {
        let group = Gathering { key: format!("rule={}", subject.rule), wait_secs: 10, interval_secs: 300 };
        let (receiver, reason) = ("ops".to_owned(), "everything".to_owned());
        vec![Routed { receiver, told: true, reason, group: Some(group) }]
    }

    fn knows(&self, receiver: &str) -> bool {
        receiver == "ops"
    }
}

/// Heeds silences, rests of groups, and a cap of three.
struct Heeds;

impl Gate for Heeds {
    fn verdict(&self, candidate: &Candidate, silences: &[Silence], now: DateTime<Utc>) -> Verdict {
        if let Some(one) = silences.iter().find(|one| all_match(&one.matchers, &candidate.subject)) {
            return Verdict::Mute { until: one.ends_at, silence: one.name(), reason: one.reason.clone() };
        }
        if let Some(until) = candidate.group_rests_until {
            return Verdict::Hold { until, reason: "rests".to_owned() };
        }
        if candidate.told_of_rule >= 3 && !candidate.summary {
            let until = now + chrono::TimeDelta::seconds(600);
            return Verdict::Summarise { until, reason: "too many".to_owned() };
        }
        Verdict::Send
    }

    fn counts_rules(&self) -> bool {
        true
    }
}

impl Stage {
    async fn heeding(&self, secs: i64) -> Vec<LeasedDelivery> {
        let leasing = Leasing { receiver: "ops", now: clock(secs), lease_secs: 30, limit: 10 };
        self.store.lease(&leasing, &Heeds).await.unwrap()
    }

    async fn gathered(&self, ids: &[&str], received: i64) {
        let mut batch = Batch::of([event(&format!("e-{}-{received}", ids.join("-")))]);
        batch.received_at = clock(received);
        let (bytes, events) = (batch.bytes(), batch.incoming());
        let changes: Vec<_> = ids.iter().map(|id| opened(alert(id, &["a"]), 0)).collect();
        let mut judge =
            Says(move |fresh: &[usize]| Evaluation { changes: changes.clone(), ..quiet(fresh.len()) });
        let incoming = Incoming {
            events: &events,
            bytes: &bytes,
            rejects: &[],
            advances: &[],
            received_at: clock(received),
        };
        self.store.commit(&incoming, &mut judge, &Gathered).await.unwrap();
    }

    async fn silence(&self, text: &str, from: i64, to: i64) -> i64 {
        let matchers = matchers_from(text).unwrap();
        let (starts_at, ends_at) = (clock(from), clock(to));
        let new = NewSilence { matchers: &matchers, starts_at, ends_at, author: "ada", reason: "drill" };
        self.store.silence(&new, clock(from)).await.unwrap().unwrap()
    }

    async fn decisions(&self, id: &str) -> Vec<(Choice, String)> {
        self.detail(id)
            .await
            .decisions
            .into_iter()
            .filter(|one| one.receiver == "ops")
            .map(|one| (one.choice, one.reason))
            .collect()
    }
}

#[tokio::test]
async fn a_storm_of_one_rule_is_one_message_and_the_next_comes_after_the_interval() {
    let stage = Stage::open().await;
    stage.gathered(&["A", "B"], 0).await;
    stage.gathered(&["C"], 5).await;
    assert!(stage.heeding(9).await.is_empty(), "the first waits for others");
    let first = stage.heeding(10).await;
    assert_eq!((first.len(), first[0].others.len()), (1, 2), "C came along");
    assert_eq!(first[0].group.as_deref(), Some("rule=KW-004"));
    assert!(Attempting(10).delivered(&stage, &first[0]).await);
    for id in ["A", "B", "C"] {
        let delivery = stage.detail(id).await.deliveries.remove(0);
        assert_eq!(delivery.delivery.state, DeliveryState::Delivered, "{id}");
        assert_eq!(delivery.attempts.len(), 1, "{id} shows the attempt of the message it went out in");
    }
    stage.gathered(&["D"], 20).await;
    assert!(stage.heeding(100).await.is_empty(), "the group rests");
    assert!(stage.decisions("D").await.contains(&(Choice::Held, "rests".to_owned())));
    assert_eq!(stage.heeding(310).await.len(), 1);
}

#[tokio::test]
async fn a_gathered_message_is_repeated_with_the_same_alerts_under_the_same_id() {
    let stage = Stage::open().await;
    stage.gathered(&["A", "B"], 0).await;
    let first = stage.heeding(10).await.remove(0);
    assert!(Attempting(11).retry(&stage, &first, 20).await);
    stage.gathered(&["C"], 12).await;
    let change = vec![updated(alert("B", &["a", "b"]), "B", true)];
    stage.change("b2", 13, change).await;
    let second = stage.heeding(400).await.remove(0);
    assert_eq!((&second.message_id, &second.others), (&first.message_id, &first.others));
    assert_eq!(second.attempt, 2);
    assert!(Attempting(401).delivered(&stage, &second).await);
}

#[tokio::test]
async fn an_alert_withdrawn_from_a_gathered_message_loses_nobody_elses() {
    let stage = Stage::open().await;
    stage.gathered(&["A", "B"], 0).await;
    let first = stage.heeding(10).await.remove(0);
    stage.change("w", 11, vec![withdrawn("A")]).await;
    assert!(Attempting(12).retry(&stage, &first, 20).await);
    let again = stage.heeding(60).await.remove(0);
    assert_eq!(again.others.len(), 1);
    assert!(Attempting(61).delivered(&stage, &again).await);
    let follows = stage.heeding(62).await;
    assert_eq!(follows[0].kind, crate::DeliveryKind::AlertWithdrawn);
}

#[tokio::test]
async fn a_silence_keeps_back_what_it_means_and_what_is_still_open_is_told_when_it_ends() {
    let stage = Stage::open().await;
    stage.silence("rule=KW-004", 0, 600).await;
    stage.change("a", 1, vec![opened(alert("A", &["a"]), 0), opened(alert("B", &["a"]), 0)]).await;
    assert!(stage.heeding(2).await.is_empty());
    let row = stage.detail("A").await.alert;
    assert_eq!(row.muted.as_deref(), Some("silence 1"), "stored, and shown as muted");
    assert!(stage.decisions("A").await.contains(&(Choice::Muted, "drill".to_owned())));
    stage.change("w", 3, vec![withdrawn("B")]).await;
    assert!(stage.heeding(599).await.is_empty());
    let told = stage.heeding(600).await;
    assert_eq!(told.len(), 1, "only what still needs somebody");
    assert_eq!(stage.detail("A").await.alert.muted, None);
}

#[tokio::test]
async fn a_silence_that_is_ended_early_lets_go_at_once() {
    let stage = Stage::open().await;
    let id = stage.silence("account!=x", 0, 86_400).await;
    stage.change("a", 1, vec![opened(alert("A", &["a"]), 0)]).await;
    assert!(stage.heeding(2).await.is_empty());
    assert!(stage.store.expire_silence(id, "bob", clock(3)).await.unwrap());
    assert!(!stage.store.expire_silence(id, "bob", clock(4)).await.unwrap());
    assert_eq!(stage.heeding(5).await.len(), 1);
    let silences = stage.store.silences(clock(6)).await.unwrap();
    assert_eq!((silences[0].expired_by.as_deref(), silences[0].ends_at), (Some("bob"), clock(3)));
}

#[tokio::test]
async fn a_silence_that_has_not_begun_keeps_nothing_back() {
    let stage = Stage::open().await;
    let matchers = matchers_from("rule=*").unwrap();
    let (starts_at, ends_at) = (clock(100), clock(200));
    let new = NewSilence { matchers: &matchers, starts_at, ends_at, author: "ada", reason: "later" };
    stage.store.silence(&new, clock(0)).await.unwrap();
    stage.change("a", 1, vec![opened(alert("A", &["a"]), 0)]).await;
    assert_eq!(stage.heeding(2).await.len(), 1);
}

#[tokio::test]
async fn what_is_too_much_goes_out_as_one_summary() {
    let stage = Stage::open().await;
    for number in 0..8 {
        stage
            .change(&format!("e{number}"), number, vec![opened(alert(&format!("A{number}"), &["a"]), 0)])
            .await;
        for one in stage.heeding(number).await {
            assert!(Attempting(number).delivered(&stage, &one).await);
        }
    }
    assert!(stage.heeding(600).await.is_empty());
    let summary = stage.heeding(604).await;
    assert_eq!(summary.len(), 1);
    assert!(summary[0].summary);
    assert_eq!(summary[0].others.len(), 4, "three went out, five are told together");
}

#[tokio::test]
async fn a_receiver_that_fails_is_probed_while_the_rest_waits_and_hears_all_when_it_answers() {
    let stage = Stage::open().await;
    let changes = (0..20).map(|n| opened(alert(&format!("A{n}"), &["a"]), 0)).collect();
    stage.change("a", 0, changes).await;
    let failures = i64::from(FAILURES_MAX);
    for (at, one) in (1..).zip(stage.due_for("ops", 0).await.iter().take(5)) {
        assert!(Attempting(at).retry(&stage, one, 5000).await);
    }
    let row = &stage.store.receivers().await.unwrap()[0];
    let failing = row.failing.clone().unwrap();
    assert_eq!(
        (failing.failures, failing.probe_at),
        (FAILURES_MAX, Some(clock(failures + PROBE_SECS) + chrono::TimeDelta::milliseconds(250)))
    );
    assert!(stage.due_for("ops", 30).await.is_empty(), "not before the probe");
    let probe = stage.due_for("ops", 60).await;
    assert_eq!(probe.len(), 1, "one at a time");
    assert!(stage.due_for("ops", 61).await.is_empty(), "a probe is under way");
    assert!(Attempting(62).delivered(&stage, &probe[0]).await);
    let rest: Vec<_> =
        stage.due_for("ops", 64).await.into_iter().chain(stage.due_for("ops", 64).await).collect();
    assert_eq!(rest.len(), 19, "those that had been tried did not wait for their long pause");
    assert!(stage.store.receivers().await.unwrap()[0].failing.is_none());
}
