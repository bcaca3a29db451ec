//! The whole way of an alert: committed to a real store, leased, sent over loopback, recorded.

use super::*;
use crate::schedule::DELAYS_SECS;
use crate::testing::{
    Act, Break, Broken, DEADLINE, Endpoint, Fixed, Seen, TestClock, outbound, receiver, secret_of, status,
    verify, with_header,
};
use keywatch_event::*;
use keywatch_store::*;
use std::borrow::Cow;
use tokio::sync::Semaphore;
use tokio::time::{interval, timeout};

/// Answers every batch with one new alert.
struct Opens(Alert);

impl Judge for Opens {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let classified = Classified { level: Level::High, rules: vec!["KW-001".into()], matters_secs: 0 };
        let opened = AlertChange::Opened { alert: self.0.clone(), hold_secs: 0 };
        Evaluation {
            classified: vec![classified; fresh.len()],
            changes: vec![opened],
            learned: vec![],
            kept: vec![],
        }
    }
}

pub(super) fn alert(number: usize, place: &Place) -> Alert {
    let time = EventTime::from_secs(1_769_860_800);
    Alert {
        id: AlertId(format!("a{number}")),
        rule: "KW-001".to_owned(),
        title: "Secrets read in bulk".to_owned(),
        level: Level::High,
        action: "Immediate review".to_owned(),
        opened_at: time,
        first_event_at: time,
        last_event_at: time,
        sessions: keywatch_event::AlertSessions::default(),
        late_secs: None,
        principal: None,
        source: None,
        secrets: vec![],
        provider: Provider::Aws,
        account: Some("111122223333".to_owned()),
        store: None,
        events: 1,
        evidence: vec![Evidence { event: format!("e{number}"), time, place: place.clone() }],
        why: Why { text: "because".to_owned(), observed: 1.0, threshold: 1.0, baseline: None },
        tags: vec![],
    }
}

pub(super) fn event(number: usize) -> AuditEvent<'static> {
    let time = EventTime::from_secs(1_769_860_800);
    let id = Cow::Borrowed("arn:aws:iam::111122223333:role/app");
    let kind = PrincipalKind::Role;
    AuditEvent {
        id: format!("e{number}").into(),
        time,
        time_raw: None,
        received_at: time,
        provider: Provider::Aws,
        service: "secretsmanager.amazonaws.com".into(),
        store: None,
        account: Some("111122223333".into()),
        region: None,
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome: Outcome::Ok,
        error: None,
        principal: Principal { id, kind, name: None, session: None, access_key: None, via: None },
        source: Source::absent(),
        user_agent: None,
        secrets: vec![],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

/// A store with alerts in it, and a clock that stands still.
struct Rig {
    store: Store,
    clock: Arc<TestClock>,
    _folder: tempfile::TempDir,
}

impl Rig {
    async fn new() -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
        Self { store, clock: TestClock::at_real_time(), _folder: folder }
    }

    /// Commits alert `number`, to be told to `receivers`.
    async fn open_alert(&self, number: usize, receivers: &[&Receiver]) {
        let place = Place { name: "trail".into(), line: 1, record: 1 };
        let mut judge = Opens(alert(number, &place));
        let events = [IncomingEvent { event: event(number), place, raw: 0..2 }];
        let (bytes, received_at) = (b"{}".as_slice(), self.clock.now());
        let incoming = Incoming { events: &events, bytes, rejects: &[], advances: &[], received_at };
        let names: Vec<_> =
            receivers.iter().map(|one| keywatch_store::Subscriber::new(&one.name, Level::Info)).collect();
        self.store.commit(&incoming, &mut judge, &names).await.unwrap();
    }

    fn start(&self, receivers: &[Receiver]) -> Running {
        self.start_with(receivers, crate::SEND_TIMEOUT)
    }

    fn start_with(&self, receivers: &[Receiver], limit: Duration) -> Running {
        let random = Arc::new(Fixed(u64::MAX));
        let clock = Arc::clone(&self.clock);
        let deliverer = Deliverer::new(self.store.clone(), receivers, &outbound(), clock, random).unwrap();
        let deliverer = deliverer.with_send_timeout(limit);
        let (stop, stopping) = watch::channel(false);
        let wake = deliverer.wake();
        let mut task = JoinSet::new();
        task.spawn(deliverer.run(stopping));
        Running { wake, stop, task }
    }

    /// The first delivery to `receiver`.
    async fn delivery(&self, receiver: &str) -> Delivery {
        let filter = DeliveryFilter { receiver: Some(receiver.to_owned()), ..DeliveryFilter::default() };
        let rows = self.store.deliveries(&filter, Page::first(100)).await.unwrap().rows;
        let first = rows.iter().map(|row| row.id).min().unwrap();
        self.store.delivery(first).await.unwrap().unwrap()
    }

    /// The delivery to `receiver` once `done` holds of it.
    async fn delivery_when(&self, receiver: &str, done: impl Fn(&Delivery) -> bool) -> Delivery {
        let mut ticks = interval(Duration::from_millis(5));
        let found = timeout(DEADLINE, async {
            loop {
                let delivery = self.delivery(receiver).await;
                if done(&delivery) {
                    return delivery;
                }
                ticks.tick().await;
            }
        });
        found.await.expect("the delivery gets there in time")
    }

    async fn delivered(&self, receiver: &str) -> Delivery {
        self.delivery_when(receiver, |delivery| delivery.delivery.state == DeliveryState::Delivered).await
    }

    /// The row is read before its attempts: when it counts them, both are of the same state.
    async fn tried(&self, receiver: &str, attempts: usize) -> Delivery {
        let counted = |delivery: &Delivery| delivery.delivery.attempts as usize == attempts;
        self.delivery_when(receiver, |delivery| counted(delivery) && delivery.attempts.len() == attempts)
            .await
    }
}

/// A running loop; ends with the test.
struct Running {
    wake: Wake,
    stop: watch::Sender<bool>,
    task: JoinSet<Result<(), DeliverError>>,
}

impl Running {
    async fn stop(mut self) {
        self.stop.send_replace(true);
        let ended = timeout(DEADLINE, self.task.join_next()).await.expect("it stops in time");
        ended.unwrap().unwrap().unwrap();
    }
}

fn kind_of(seen: &Seen) -> serde_json::Value {
    serde_json::from_slice::<serde_json::Value>(&seen.body).unwrap()["type"].clone()
}

#[tokio::test]
async fn an_alert_is_sent_once_signed_and_recorded() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|_| status(200, "thanks")).await;
    let siem = receiver("siem", &endpoint.url());
    let running = rig.start(std::slice::from_ref(&siem));
    rig.open_alert(1, &[&siem]).await;
    running.wake.wake();

    let seen = endpoint.next().await;
    verify(&seen, &secret_of("siem"));
    assert_eq!(kind_of(&seen), "alert.opened");
    let sent: serde_json::Value = serde_json::from_slice(&seen.body).unwrap();
    assert_eq!(sent["data"]["id"], "a1");
    assert_eq!(seen.timestamp(), rig.clock.now().timestamp());

    let done = rig.delivered("siem").await;
    assert_eq!(seen.header("webhook-id"), done.delivery.message_id);
    assert_eq!(done.attempts.len(), 1);
    assert_eq!(done.attempts[0].status, Some(200));
    assert_eq!(done.attempts[0].response_excerpt.as_deref(), Some("thanks"));
    assert_eq!(done.attempts[0].error, None);
    running.wake.wake();
    running.stop().await;
    assert!(endpoint.is_quiet(), "it was sent again");
}

#[tokio::test]
async fn a_receiver_that_is_down_and_comes_back_loses_nothing() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|number| status(if number < 4 { 503 } else { 200 }, "")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));

    let mut seen = vec![];
    for (attempt, delay_secs) in (1..=4).zip(DELAYS_SECS.into_iter().skip(1)) {
        seen.push(endpoint.next().await);
        let failed = rig.tried("siem", attempt).await;
        let wait_secs = i64::try_from(delay_secs).unwrap() * 6 / 5;
        let wait = failed.delivery.due_at - rig.clock.now();
        assert_eq!(wait.num_milliseconds(), wait_secs * 1000, "after attempt {attempt}");
        rig.clock.advance(wait_secs);
        running.wake.wake();
    }
    seen.push(endpoint.next().await);
    rig.delivered("siem").await;

    for (earlier, later) in seen.iter().zip(seen.iter().skip(1)) {
        assert_eq!(earlier.header("webhook-id"), later.header("webhook-id"));
        assert_eq!(earlier.body, later.body);
        assert!(earlier.timestamp() < later.timestamp(), "the timestamp is fresh");
        verify(later, &secret_of("siem"));
    }
    running.stop().await;
}

#[tokio::test]
async fn an_alert_is_not_tried_again_before_its_time() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|_| status(500, "")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    let first = endpoint.next().await;
    rig.tried("siem", 1).await;
    rig.clock.advance(5);
    // Another alert shows that the loop has looked.
    rig.open_alert(2, &[&siem]).await;
    running.wake.wake();
    assert_ne!(endpoint.next().await.header("webhook-id"), first.header("webhook-id"));
    running.stop().await;
    assert!(endpoint.is_quiet());
}

#[tokio::test]
async fn a_lost_reply_is_sent_again_under_the_same_id_with_a_fresh_timestamp() {
    let rig = Rig::new().await;
    let broken = Broken::start(Break::Lose).await;
    let (url, address) = (broken.url(), broken.address);
    let siem = receiver("siem", &url);
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    let lost = rig.tried("siem", 1).await;
    assert_eq!(lost.delivery.state, DeliveryState::Pending);
    assert!(!lost.attempts[0].error.as_deref().unwrap().contains("T0KEN"), "{:?}", lost.attempts);

    drop(broken);
    let mut endpoint = Endpoint::start_on(free_again(address).await, |_| status(200, ""));
    rig.clock.advance(6);
    running.wake.wake();
    let seen = endpoint.next().await;
    assert_eq!(seen.header("webhook-id"), lost.delivery.message_id);
    assert_eq!(seen.timestamp(), rig.clock.now().timestamp());
    assert_eq!(rig.delivered("siem").await.attempts.len(), 2);
    running.stop().await;
}

/// The address once whoever listened there is gone.
async fn free_again(address: std::net::SocketAddr) -> tokio::net::TcpListener {
    let mut ticks = interval(Duration::from_millis(5));
    let bound = timeout(DEADLINE, async {
        loop {
            if let Ok(listener) = tokio::net::TcpListener::bind(address).await {
                return listener;
            }
            ticks.tick().await;
        }
    });
    bound.await.expect("the address is free in time")
}

#[tokio::test]
async fn retry_after_moves_the_next_attempt() {
    let rig = Rig::new().await;
    let endpoint = Endpoint::start(|_| with_header(429, "retry-after", "600")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    let failed = rig.tried("siem", 1).await;
    assert_eq!((failed.delivery.due_at - rig.clock.now()).num_seconds(), 600);
    assert!(failed.attempts[0].error.as_deref().unwrap().contains("429"));
    running.stop().await;
}

#[tokio::test]
async fn a_receiver_that_is_gone_is_paused_until_resumed() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|number| status(if number == 0 { 410 } else { 200 }, "")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    let first = endpoint.next().await;
    rig.tried("siem", 1).await;
    let row = rig.store.receivers().await.unwrap().remove(0);
    assert!(row.paused.unwrap().1.contains("410 Gone"));

    rig.open_alert(2, &[&siem]).await;
    rig.clock.advance(86_400);
    running.wake.wake();
    let due = rig.store.lease_due("siem", rig.clock.now(), 60, 9).await.unwrap();
    assert!(due.is_empty() && endpoint.is_quiet(), "a paused receiver is left alone");

    assert!(rig.store.resume_receiver("siem").await.unwrap());
    running.wake.wake();
    let rest = [endpoint.next().await, endpoint.next().await];
    assert!(rest.iter().any(|seen| seen.header("webhook-id") == first.header("webhook-id")));
    running.stop().await;
}

#[tokio::test]
async fn a_dead_receiver_delays_nobody() {
    let rig = Rig::new().await;
    let mut dead = Endpoint::start(|_| Act::Hang).await;
    let mut alive = Endpoint::start(|_| status(200, "")).await;
    let receivers = [receiver("dead", &dead.url()), receiver("alive", &alive.url())];
    let running = rig.start_with(&receivers, DEADLINE * 2);
    for number in 0..20 {
        rig.open_alert(number, &[&receivers[0], &receivers[1]]).await;
    }
    running.wake.wake();
    dead.next().await;
    for _ in 0..20 {
        alive.next().await;
    }
    let held = rig.store.receivers().await.unwrap().into_iter().find(|row| row.name == "dead").unwrap();
    assert_eq!((held.pending, held.delivered), (20, 0));
}

#[tokio::test]
async fn no_more_requests_are_under_way_than_the_receiver_bears() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|_| Act::Hang).await;
    let mut siem = receiver("siem", &endpoint.url());
    siem.concurrency = 2;
    for number in 0..5 {
        rig.open_alert(number, &[&siem]).await;
    }
    let running = rig.start_with(std::slice::from_ref(&siem), DEADLINE * 2);
    for _ in 0..2 {
        endpoint.next().await;
    }
    running.wake.wake();
    // What the loop has not leased can be leased here: the other three.
    let rest = rig.store.lease_due("siem", rig.clock.now(), 3600, 9).await.unwrap();
    assert_eq!(rest.len(), 3);
}

#[tokio::test]
async fn after_the_last_attempt_an_alert_is_a_dead_letter_that_can_be_replayed() {
    let rig = Rig::new().await;
    let last = DELAYS_SECS.len();
    let mut endpoint = Endpoint::start(move |number| status(if number < last { 500 } else { 200 }, "")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    for attempt in 1..=last {
        endpoint.next().await;
        rig.tried("siem", attempt).await;
        rig.clock.advance(2 * 86_400);
        running.wake.wake();
    }
    let dead = rig.delivery("siem").await.delivery;
    assert_eq!(dead.state, DeliveryState::DeadLetter);
    let reason = dead.reason.unwrap();
    assert!(reason.starts_with("given up after 14 attempts; last: answered 500"), "{reason}");

    assert!(rig.store.replay(dead.id, "ada", rig.clock.now()).await.unwrap());
    running.wake.wake();
    assert_eq!(endpoint.next().await.header("webhook-id"), dead.message_id);
    rig.delivered("siem").await;
    running.stop().await;
}

#[tokio::test]
async fn an_attempt_that_was_killed_is_made_again_when_its_lease_ends() {
    let rig = Rig::new().await;
    let mut endpoint = Endpoint::start(|_| status(200, "")).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let killed = rig.store.lease_due("siem", rig.clock.now(), 60, 9).await.unwrap().remove(0);
    let running = rig.start(std::slice::from_ref(&siem));
    rig.clock.advance(59);
    // Another alert shows that the loop has looked.
    rig.open_alert(2, &[&siem]).await;
    running.wake.wake();
    assert_ne!(endpoint.next().await.header("webhook-id"), killed.message_id);
    assert!(endpoint.is_quiet());
    rig.clock.advance(1);
    running.wake.wake();
    assert_eq!(endpoint.next().await.header("webhook-id"), killed.message_id);
    rig.delivered("siem").await;
    running.stop().await;
}

#[tokio::test]
async fn stopping_lets_sends_under_way_finish_and_starts_no_more() {
    let rig = Rig::new().await;
    let gate = Arc::new(Semaphore::new(0));
    let held = Arc::clone(&gate);
    let mut endpoint = Endpoint::start(move |_| Act::Wait(Arc::clone(&held))).await;
    let siem = receiver("siem", &endpoint.url());
    rig.open_alert(1, &[&siem]).await;
    let running = rig.start(std::slice::from_ref(&siem));
    endpoint.next().await;
    running.stop.send_replace(true);
    rig.open_alert(2, &[&siem]).await;
    running.wake.wake();
    gate.add_permits(9);
    running.stop().await;
    assert!(endpoint.is_quiet(), "the second alert waits for the next start");
    let totals = rig.store.totals().await.unwrap();
    assert_eq!((totals.delivered, totals.pending), (1, 1));
}
