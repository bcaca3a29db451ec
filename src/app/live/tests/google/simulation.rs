//! Histories that a seed decides, as for AWS: what is stored and alerted is that of clean delivery,
//! whatever happens on the way.

use super::super::simulation::{compare, run_all};
use super::super::stage::{START, Stage, clean};
use super::{entries, late, logging, pubsub, wait};
use chrono::TimeDelta;
use keywatch_google_stand_in::{Chance, Entry, Faults, Google, Message};
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;

pub(super) fn faults(chance: &mut Chance) -> Faults {
    let mut percent = |most: u64| if chance.happens(70) { chance.below(most) } else { 0 };
    Faults {
        throttled: percent(15),
        failed: percent(15),
        reset: percent(15),
        expired: percent(15),
        ack_lost: percent(15),
        missing: percent(15),
        doubled: percent(20),
    }
}

/// Most are received at once, some within the hour, some within two days.
pub(super) fn lateness(chance: &mut Chance) -> i64 {
    let within = [900, 900, 900, 900, 900, 900, 900, 3600, 3600, 47 * 3600];
    let within = within[chance.below(10) as usize];
    chance.below(within) as i64
}

pub(super) fn records(all: &[Entry]) -> Vec<String> {
    all.iter().map(|entry| entry.record.clone()).collect()
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_asking_cloud_logging_everything_comes_once_whatever_happens() {
    run_all(by_asking).await;
}

async fn by_asking(seed: u64) {
    let mut chance = Chance::new(seed ^ 0x6C0);
    let all = entries(&mut chance, 200, 48);
    let all: Vec<Entry> = all.into_iter().map(|entry| late(entry, lateness(&mut chance))).collect();
    let begin = START;
    let google = Google::new(begin, seed);
    google.with(|state| {
        state.faults = faults(&mut chance);
        for entry in &all {
            state.entries.push(entry.clone());
            if chance.happens(20) {
                state.entries.push(entry.clone());
            }
        }
    });
    let mut server = google.serve();
    let mut stage = Stage::new(begin).await;
    let settings = keywatch_gcp::logging::Settings { backfill: TimeDelta::days(3), ..logging::settings() };
    let mut running = logging::start(&stage, &server, settings.clone()).await;
    let (mut now, end) = (begin, START + 4 * DAY);
    while now < end {
        let before = google.with(|state| state.lists);
        let what = format!("seed {seed}: it looks");
        stage.until(&mut running, &what, |_| google.with(|state| state.lists) > before + 1).await;
        now += if chance.happens(30) { 60 * chance.below(60) as i64 } else { 3 * 3600 };
        google.with(|state| state.now = now);
        stage.hand.set(now);
        match chance.below(30) {
            0 => {
                server.stop();
                tokio::time::sleep(Duration::from_millis(chance.below(10))).await;
                server.restart().await;
            }
            1 => {
                drop(running);
                running = logging::start(&stage, &server, settings.clone()).await;
            }
            2 => {
                let before = google.with(|state| {
                    state.revoked = true;
                    state.refused
                });
                stage.until(&mut running, "refused", |_| google.with(|state| state.refused) > before).await;
                google.with(|state| state.revoked = false);
            }
            _ => {}
        }
    }
    stage.hand.set(end);
    let wanted = clean(&records(&all), end).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while stage.count().await < wanted.0.len() as u64 && Instant::now() < deadline {
        stage.until_some(&mut running).await;
    }
    compare(seed, &stage.outcome().await, &wanted);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_subscription_everything_comes_once_whatever_happens() {
    run_all(through_the_subscription).await;
}

async fn through_the_subscription(seed: u64) {
    let mut chance = Chance::new(seed ^ 0x9B5);
    let all = entries(&mut chance, 60, 48);
    let mut published = records(&all);
    published.extend(records(&all).into_iter().filter(|_| chance.happens(20)).collect::<Vec<_>>());
    chance.shuffle(&mut published);
    let google = Google::new(START, seed);
    let mut later = published.split_off(published.len() / 2);
    google.with(|state| {
        state.subscription = Some(pubsub::NAME.to_owned());
        state.faults = faults(&mut chance);
        state.messages = published.iter().map(|record| Message::new(record)).collect();
    });
    let mut server = google.serve();
    let now = START + 3 * DAY;
    let mut stage = Stage::new(now).await;
    let mut running = pubsub::start(&stage, &server, pubsub::settings());
    if chance.happens(40) {
        stage.until(&mut running, "some", |stage| stage.batches > 0).await;
        server.stop();
        tokio::time::sleep(Duration::from_millis(chance.below(20))).await;
        server.restart().await;
    }
    google.with(|state| state.messages.extend(later.drain(..).map(|record| Message::new(&record))));
    if chance.happens(50) {
        // The process ends in the middle; what it had in hand comes again.
        stage.take_unheard(&mut running).await;
        drop(running);
        running = pubsub::start(&stage, &server, pubsub::settings());
    }
    if chance.happens(30) {
        google.with(|state| state.revoked = true);
        let before = google.with(|state| state.refused);
        wait("refused", || google.with(|state| state.refused) > before).await;
        google.with(|state| state.revoked = false);
    }
    let what = format!("seed {seed}: nothing is left");
    stage.until(&mut running, &what, |_| google.with(|state| state.messages.is_empty())).await;
    compare(seed, &stage.outcome().await, &clean(&records(&all), now).await);
}
