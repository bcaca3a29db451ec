//! Pulling the subscription of a log sink.

use super::super::stage::{Running, START, Stage};
use super::{access, entries, wait};
use keywatch_gcp::pubsub::{Settings, Subscription};
use keywatch_google_stand_in::{Chance, Google, Message, Server};
use keywatch_ingest::source::State;
use std::time::Duration;

pub(super) const NAME: &str = "projects/watch/subscriptions/keywatch";

pub(super) fn settings() -> Settings {
    Settings {
        lease: Duration::from_secs(10),
        retry_first: Duration::from_millis(2),
        look: Duration::from_millis(50),
        ..Settings::new(NAME)
    }
}

pub(super) fn start(stage: &Stage, server: &Server, settings: Settings) -> Running {
    let (access, secrets) = access(server);
    let told = (stage.hand.clock(), stage.health.clone());
    Stage::run(Subscription::start((&access, &secrets), settings, told))
}

/// A subscription with the messages of so many entries.
fn filled(seed: u64, count: usize) -> Google {
    let google = Google::new(START, seed);
    let all = entries(&mut Chance::new(seed), count, 24);
    google.with(|state| {
        state.subscription = Some(NAME.to_owned());
        state.messages = all.iter().map(|entry| Message::new(&entry.record)).collect();
    });
    google
}

#[tokio::test]
async fn a_message_is_acknowledged_when_it_is_stored_and_not_before() {
    let google = filled(1, 50);
    let server = google.serve();
    let mut stage = Stage::new(START + 90_000).await;
    let mut running = start(&stage, &server, settings());
    stage.take_unheard(&mut running).await;
    assert!(stage.count().await > 0);
    wait("leases are extended meanwhile", || google.with(|state| state.extended > 0)).await;
    assert_eq!(google.with(|state| state.acks), 0);
    drop(running);
    let mut running = start(&stage, &server, settings());
    stage
        .until(&mut running, "all are acknowledged", |_| google.with(|state| state.messages.is_empty()))
        .await;
    assert_eq!(stage.count().await, 50);
}

#[tokio::test]
async fn what_nobody_commits_stays_out_is_extended_and_no_more_than_was_agreed_comes() {
    let google = filled(2, 300);
    let server = google.serve();
    let mut stage = Stage::new(START + 90_000).await;
    let mut running = start(&stage, &server, Settings { outstanding: 25, ..settings() });
    stage.take_unheard(&mut running).await;
    let health = stage.health.clone();
    wait("leases are extended", || google.with(|state| state.extended > 0)).await;
    assert_eq!(google.with(|state| (state.acks, state.messages.len())), (0, 300));
    assert!(google.with(|state| state.out_max) <= 25, "{}", google.with(|state| state.out_max));
    // The source ends: what it had is handed back at once.
    drop(running);
    wait("they are handed back", || google.with(|state| state.nacks > 0)).await;
    assert_eq!(health.read().state(), State::Following);
}

#[tokio::test]
async fn a_message_that_is_no_entry_is_kept_as_a_reject_and_does_not_come_again() {
    let google = filled(3, 1);
    google.with(|state| state.messages.push(Message::new("no entry at all")));
    let server = google.serve();
    let mut stage = Stage::new(START + 90_000).await;
    let mut running = start(&stage, &server, settings());
    stage.until(&mut running, "both are done", |_| google.with(|state| state.messages.is_empty())).await;
    assert_eq!((stage.count().await, stage.rejects().await), (1, 1));
}

#[tokio::test]
async fn a_subscription_that_is_not_there_or_has_no_dead_letter_topic_is_told_of() {
    let google = filled(4, 5);
    google.with(|state| {
        state.subscription = None;
        state.has_dead_letters = false;
    });
    let server = google.serve();
    let mut stage = Stage::new(START + 90_000).await;
    let mut running = start(&stage, &server, settings());
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().errors.len() == 2).await;
    let told = health.read().errors["pull"].text.clone();
    assert!(told.contains(NAME) && told.contains("gcloud pubsub subscriptions create"), "{told}");
    google.with(|state| state.subscription = Some(NAME.to_owned()));
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
    stage.until(&mut running, "it warns", |_| health.read().warnings.contains_key("dead-letter topic")).await;
    stage.until(&mut running, "all came", |_| google.with(|state| state.messages.is_empty())).await;
}

#[tokio::test]
async fn a_server_that_is_away_is_told_of_and_messages_set_aside_are_named() {
    let google = filled(5, 3);
    google.with(|state| {
        let by = ("CloudPubSubDeadLetterSourceSubscription".to_owned(), "other".to_owned());
        state.messages[0].attributes.extend([by]);
    });
    let mut server = google.serve();
    let mut stage = Stage::new(START + 90_000).await;
    let mut running = start(&stage, &server, settings());
    stage.until(&mut running, "all came", |_| google.with(|state| state.messages.is_empty())).await;
    let health = stage.health.clone();
    assert!(health.read().warnings["dead letters"].contains("for the subscription other"));
    server.stop();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    server.restart().await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}
