//! The manager over a backend the test owns, with a clock the test owns.

use super::*;
use crate::backend::Backend;
use crate::{Clock, Trouble};
use async_trait::async_trait;
use std::collections::VecDeque;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};

/// A backend that says what it is told to, and counts how often it was asked.
#[derive(Clone, Default)]
struct Told(Arc<Script>);

#[derive(Default)]
struct Script {
    asked: AtomicUsize,
    /// What is said once each, before `value`.
    next: Mutex<VecDeque<Failure>>,
    value: Mutex<Option<String>>,
    takes: Mutex<Duration>,
    clock: OwnedClock,
}

struct OwnedClock(Clock);

impl Default for OwnedClock {
    fn default() -> Self {
        Self(Clock::owned())
    }
}

impl Told {
    fn with(value: &str) -> Self {
        let told = Self::default();
        told.now_says(Some(value));
        told
    }

    fn now_says(&self, value: Option<&str>) {
        *self.0.value.lock().unwrap() = value.map(ToOwned::to_owned);
    }

    fn takes(&self, time: Duration) {
        *self.0.takes.lock().unwrap() = time;
    }

    fn fails(&self, times: usize, failure: &Failure) {
        self.0.next.lock().unwrap().extend(std::iter::repeat_n(failure.clone(), times));
    }

    fn pass(&self, time: Duration) {
        self.0.clock.0.advance(time);
    }

    fn now(&self) -> Instant {
        self.0.clock.0.now()
    }

    fn asked(&self) -> usize {
        self.0.asked.load(Ordering::SeqCst)
    }

    fn manager(&self) -> SecretManager {
        let mut settings = Settings::new(Arc::new(|_: &str| None));
        settings.clock = self.0.clock.0.clone();
        SecretManager::with_backends(settings, Backends::all(|| Box::new(self.clone())))
    }
}

#[async_trait]
impl Backend for Told {
    async fn fetch(&self, _: &SecretRef) -> Result<Document, Failure> {
        self.0.asked.fetch_add(1, Ordering::SeqCst);
        let takes = *self.0.takes.lock().unwrap();
        self.0.clock.0.sleep(takes).await;
        if let Some(failure) = self.0.next.lock().unwrap().pop_front() {
            return Err(failure);
        }
        let value = self.0.value.lock().unwrap().clone();
        value.map_or_else(|| Err(Failure::missing("there is none", "create it")), Document::text)
    }
}

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);

fn app() -> SecretRef {
    "vault:secret/app".parse().expect("a reference")
}

fn down() -> Failure {
    Failure::unavailable("it is down", "wait")
}

async fn text(manager: &SecretManager, reference: &SecretRef) -> String {
    manager.get(reference).await.expect("a value").expose().to_owned()
}

#[tokio::test]
async fn a_value_is_fetched_once_per_ttl() {
    let told = Told::with("one");
    let manager = told.manager();
    assert_eq!(text(&manager, &app()).await, "one");
    told.now_says(Some("two"));
    told.pass(4 * MINUTE + 59 * SECOND);
    assert_eq!((text(&manager, &app()).await.as_str(), told.asked()), ("one", 1));
    told.pass(2 * SECOND);
    assert_eq!((text(&manager, &app()).await.as_str(), told.asked()), ("two", 2));
}

#[tokio::test]
async fn a_hundred_callers_cause_one_fetch() {
    let told = Told::with(r#"{"user":"u","password":"p"}"#);
    told.takes(SECOND);
    let manager = told.manager();
    let mut callers = JoinSet::new();
    for caller in 0..100 {
        let manager = manager.clone();
        let key = if caller % 2 == 0 { "user" } else { "password" };
        callers.spawn(async move { text(&manager, &SecretRef { key: Some(key.to_owned()), ..app() }).await });
    }
    let values = callers.join_all().await;
    assert_eq!(values.iter().filter(|value| *value == "u").count(), 50);
    assert_eq!(told.asked(), 1);
}

#[tokio::test]
async fn a_hundred_callers_hear_of_one_failed_fetch() {
    let told = Told::default();
    told.takes(SECOND);
    let manager = told.manager();
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let manager = manager.clone();
        callers.spawn(async move { manager.get(&app()).await.expect_err("none").trouble });
    }
    assert!(callers.join_all().await.iter().all(|trouble| *trouble == Trouble::Missing));
    assert_eq!(told.asked(), 1);
    told.pass(4 * SECOND);
    assert!(manager.get(&app()).await.is_err());
    assert_eq!(told.asked(), 1, "the backend is left alone after a failure");
    told.now_says(Some("made"));
    told.pass(2 * SECOND);
    assert_eq!(text(&manager, &app()).await, "made");
}

#[tokio::test]
async fn a_backend_that_is_down_is_asked_three_times_and_then_left_alone_for_longer_and_longer() {
    let told = Told::default();
    told.fails(1000, &down());
    let manager = told.manager();
    assert_eq!(manager.get(&app()).await.expect_err("none").trouble, Trouble::Unavailable);
    assert_eq!(told.asked(), 3);
    for _ in 0..3600 {
        told.pass(SECOND);
        assert!(manager.get(&app()).await.is_err());
    }
    let fetches = told.asked() / 3;
    assert!((55..=70).contains(&fetches), "{fetches} fetches in an hour: one a minute in the long run");
}

#[tokio::test]
async fn an_old_value_outlives_an_outage_within_the_limit_and_no_longer() {
    let told = Told::with("old");
    let manager = told.manager();
    assert_eq!(text(&manager, &app()).await, "old");
    told.fails(100_000, &down());
    told.pass(5 * MINUTE + SECOND);
    assert_eq!(text(&manager, &app()).await, "old");
    let health = manager.health();
    let [one] = health.as_slice() else { panic!("{health:?}") };
    assert!(one.stale && one.error.as_ref().is_some_and(|error| error.detail == "it is down"), "{one:?}");
    told.pass(59 * MINUTE);
    assert_eq!(text(&manager, &app()).await, "old");
    told.pass(MINUTE);
    assert_eq!(manager.get(&app()).await.expect_err("too old").trouble, Trouble::Unavailable);
    assert_eq!(manager.health().first().map(|one| (one.fetched_ago, one.stale)), Some((None, false)));
}

#[tokio::test]
async fn an_old_value_serves_at_once_while_the_backend_is_left_alone() {
    let told = Told::with("old");
    let manager = told.manager();
    text(&manager, &app()).await;
    told.takes(9 * SECOND);
    told.fails(100, &down());
    told.pass(6 * MINUTE);
    text(&manager, &app()).await;
    let began = told.now();
    text(&manager, &app()).await;
    assert_eq!(told.now().duration_since(began), Duration::ZERO);
}

#[tokio::test]
async fn a_backend_that_says_no_ends_the_use_of_the_old_value_at_once() {
    let told = Told::with("old");
    let manager = told.manager();
    text(&manager, &app()).await;
    told.fails(1, &Failure::denied("not yours", "grant it"));
    told.pass(6 * MINUTE);
    assert_eq!(manager.get(&app()).await.expect_err("denied").trouble, Trouble::Denied);
}

#[tokio::test]
async fn a_backend_that_hangs_is_given_up() {
    let told = Told::with("late");
    told.takes(MINUTE);
    let manager = told.manager();
    let error = manager.get(&app()).await.expect_err("too late");
    assert_eq!((error.trouble, error.detail.as_str()), (Trouble::Unavailable, "no answer within 10s"));
    assert_eq!(told.asked(), 3);
}

#[tokio::test]
async fn a_hiccup_is_nobodys_concern() {
    let told = Told::with("fine");
    told.fails(2, &down());
    let manager = told.manager();
    assert_eq!((text(&manager, &app()).await.as_str(), told.asked()), ("fine", 3));
}

#[tokio::test]
async fn a_backend_that_names_its_wait_is_given_it_up_to_five_seconds() {
    for (asked, waited) in [(2, 2), (900, 5)] {
        let told = Told::with("fine");
        told.fails(1, &down().wait(Some(asked * SECOND)));
        let began = told.now();
        text(&told.manager(), &app()).await;
        assert_eq!(told.now().duration_since(began).as_secs(), waited);
    }
}

#[tokio::test]
async fn a_refused_value_is_fetched_anew_once_for_everybody() {
    let told = Told::with("old");
    let manager = told.manager();
    let old = manager.get(&app()).await.expect("a value");
    told.now_says(Some("new"));
    told.takes(SECOND);
    let mut callers = JoinSet::new();
    for _ in 0..100 {
        let (manager, old) = (manager.clone(), old.clone());
        callers
            .spawn(async move { manager.refused(&app(), &old).await.expect("another").expose().to_owned() });
    }
    assert!(callers.join_all().await.iter().all(|value| value == "new"));
    assert_eq!(told.asked(), 2);
}

#[tokio::test]
async fn a_receiver_that_refuses_everything_cannot_storm_the_backend() {
    let told = Told::with("same");
    let manager = told.manager();
    let mut value = manager.get(&app()).await.expect("a value");
    for _ in 0..36_000 {
        told.pass(Duration::from_millis(100));
        value = manager.refused(&app(), &value).await.expect("the same");
        assert_eq!(value.expose(), "same");
    }
    // An hour holds 12 fetches because of the TTL; refusals add 1, 2, 4 … 256 s, then one per TTL.
    assert!(told.asked() <= 12 + 9 + 11, "{} fetches", told.asked());
}

#[tokio::test]
async fn a_rotation_is_noticed_soon_after_a_refusal_that_brought_nothing() {
    let told = Told::with("old");
    let manager = told.manager();
    let old = manager.get(&app()).await.expect("a value");
    // Refused just before the backend shows the new value.
    assert!(manager.refused(&app(), &old).await.expect("a value").same_as(&old));
    told.now_says(Some("new"));
    assert!(manager.refused(&app(), &old).await.expect("a value").same_as(&old), "too soon to ask again");
    told.pass(SECOND);
    assert_eq!(manager.refused(&app(), &old).await.expect("a value").expose(), "new");
}

#[tokio::test]
async fn rotations_in_a_row_are_noticed_at_once() {
    let told = Told::with("0");
    let manager = told.manager();
    let mut value = manager.get(&app()).await.expect("a value");
    for rotation in 1..50 {
        told.now_says(Some(&rotation.to_string()));
        value = manager.refused(&app(), &value).await.expect("another");
        assert_eq!(value.expose(), rotation.to_string());
    }
}

#[tokio::test]
async fn a_refused_value_stays_in_use_when_the_backend_is_down() {
    let told = Told::with("same");
    let manager = told.manager();
    let value = manager.get(&app()).await.expect("a value");
    told.fails(100, &down());
    assert!(manager.refused(&app(), &value).await.expect("the same").same_as(&value));
    assert_eq!(text(&manager, &app()).await, "same");
    let asked = told.asked();
    told.pass(SECOND);
    manager.refused(&app(), &value).await.expect("the same");
    assert_eq!(told.asked(), asked, "after a failure the backend is left alone whoever asks");
}

#[tokio::test]
async fn clearing_forgets_everything_even_what_is_under_way() {
    let told = Told::with("one");
    let manager = told.manager();
    let value = manager.get(&app()).await.expect("a value");
    manager.clear();
    assert!(manager.health().is_empty());
    told.now_says(Some("two"));
    told.takes(SECOND);
    let mut caller = JoinSet::new();
    let other = manager.clone();
    caller.spawn(async move { text(&other, &app()).await });
    tokio::task::yield_now().await;
    manager.clear();
    assert_eq!(caller.join_all().await, ["two"]);
    assert!(manager.health().is_empty(), "what was fetched before the clearing is not kept");
    assert_eq!(value.expose(), "one", "whoever holds a value keeps it");
}

#[tokio::test]
async fn a_manager_that_takes_over_another_goes_on_as_that_one_in_every_clone() {
    let (old, new) = (Told::with("old"), Told::with("new"));
    let (manager, other) = (old.manager(), new.manager());
    let clone = manager.clone();
    assert_eq!(text(&clone, &app()).await, "old");
    manager.take_over(&other);
    assert!(clone.health().is_empty(), "nothing of before is left");
    assert_eq!(text(&clone, &app()).await, "new");
    drop(other);
    manager.clear();
    assert_eq!((text(&clone, &app()).await.as_str(), old.asked(), new.asked()), ("new", 1, 2));
}

#[tokio::test]
async fn a_caller_that_gives_up_holds_nobody_up() {
    let told = Told::with("fine");
    let manager = told.manager();
    let reference = app();
    told.takes(SECOND);
    let given_up = tokio::select! {
        biased;
        _ = manager.get(&reference) => false,
        () = std::future::ready(()) => true,
    };
    assert!(given_up, "the fetch was under way");
    assert_eq!(text(&manager, &reference).await, "fine");
    assert_eq!(told.asked(), 2);
}

#[tokio::test]
async fn the_number_of_secrets_kept_is_bounded() {
    let told = Told::with("x");
    let manager = told.manager();
    for number in 0..1000 {
        told.pass(Duration::from_millis(1));
        text(&manager, &SecretRef { path: format!("secret/{number}"), ..app() }).await;
    }
    assert_eq!(manager.health().len(), 256);
    assert!(manager.health().iter().any(|one| one.reference.path == "secret/999"), "the latest stay");
}

#[tokio::test]
async fn every_missing_secret_is_told_of_at_once_and_in_order() {
    let told = Told::with(r#"{"a":"1"}"#);
    let manager = told.manager();
    let references: Vec<SecretRef> = (0..20)
        .map(|number| {
            format!("vault:secret/{number}#{}", if number % 2 == 0 { "a" } else { "b" })
                .parse()
                .expect("a reference")
        })
        .collect();
    let errors = manager.require_all(&references).await.expect_err("ten lack b");
    let missing: Vec<_> = errors.0.iter().map(|error| error.reference.clone()).collect();
    let expected: Vec<_> = references.iter().filter(|one| one.key.as_deref() == Some("b")).cloned().collect();
    assert_eq!(missing, expected);
    assert!(errors.to_string().starts_with("10 of the secrets named in the configuration"), "{errors}");
    assert!(manager.require_all(&[]).await.is_ok());
}

#[tokio::test]
async fn health_tells_of_each_field() {
    let told = Told::with(r#"{"a":"1"}"#);
    let manager = told.manager();
    let field = |key: &str| SecretRef { key: Some(key.to_owned()), ..app() };
    text(&manager, &field("a")).await;
    manager.get(&field("b")).await.expect_err("no such field");
    told.pass(7 * SECOND);
    let health = manager.health();
    let [good, bad] = health.as_slice() else { panic!("{health:?}") };
    assert_eq!((good.fetched_ago, good.error.is_none()), (Some(7 * SECOND), true));
    assert_eq!(bad.error.as_ref().map(|error| error.trouble), Some(Trouble::Missing));
}
