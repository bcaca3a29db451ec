//! Histories that a seed decides: what is stored and alerted is that of clean delivery, whatever
//! happens on the way. A failing seed is run alone with `KEYWATCH_SEED=17`; `KEYWATCH_SEEDS=1000`
//! runs more of them.

use super::bucket::{self, Store};
use super::chance::Chance;
use super::cloudtrail::{self, CloudTrail};
use super::stage::{Outcome, Stage, clean, records};
use super::{lookup, trail};
use chrono::TimeDelta;
use keywatch_aws::trail::Carries;
use std::time::Duration;

/// Seeds of an ordinary run.
const SEEDS: u64 = 100;
/// Records of one history.
const RECORDS: usize = 60;

#[expect(clippy::disallowed_methods, reason = "how many seeds, for runs on demand")]
pub(super) fn seeds() -> std::ops::Range<u64> {
    let number = |name| std::env::var(name).ok().and_then(|text| text.parse().ok());
    match number("KEYWATCH_SEED") {
        Some(seed) => seed..seed + 1,
        None => 0..number("KEYWATCH_SEEDS").unwrap_or(SEEDS),
    }
}

pub(super) fn compare(seed: u64, found: &Outcome, wanted: &Outcome) {
    assert_eq!(found.0.len(), wanted.0.len(), "seed {seed}: events");
    assert_eq!(found.0, wanted.0, "seed {seed}: events");
    assert_eq!(found.1, wanted.1, "seed {seed}: alerts");
}

/// Runs every seed, a few at a time: most of their time is spent waiting.
pub(super) async fn run_all<F: Future<Output = ()> + 'static>(run: impl Fn(u64) -> F) {
    let here = tokio::task::LocalSet::new();
    let all = async {
        let mut running = tokio::task::JoinSet::new();
        for seed in seeds() {
            while running.len() >= 4 {
                running.join_next().await.unwrap().unwrap();
            }
            running.spawn_local(run(seed));
        }
        while let Some(ended) = running.join_next().await {
            ended.unwrap();
        }
    };
    here.run_until(all).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_queue_and_a_bucket_everything_comes_once_whatever_happens() {
    run_all(|seed| through_the_queue(Carries::Objects, seed)).await;
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_eventbridge_through_a_queue_everything_comes_once_whatever_happens() {
    run_all(|seed| through_the_queue(Carries::Events, seed)).await;
}

/// What is to be sent for these records, a few at a time.
fn sent(carries: Carries, chance: &mut Chance, store: &Store, mut rest: &[String]) -> Vec<String> {
    if carries == Carries::Events {
        return rest.iter().map(|record| trail::bridged(record)).collect();
    }
    let mut messages = Vec::new();
    while !rest.is_empty() {
        let (part, more) = rest.split_at((1 + chance.below(9) as usize).min(rest.len()));
        let key = format!("AWSLogs/{}.json.gz", messages.len());
        messages.push(trail::put(store, &key, part));
        rest = more;
    }
    messages
}

async fn through_the_queue(carries: Carries, seed: u64) {
    let mut chance = Chance::new(seed);
    let all = records(&mut chance, RECORDS, 48);
    let ordered: Vec<String> = all.into_iter().map(|(_, record)| record).collect();
    let mut shuffled = ordered.clone();
    chance.shuffle(&mut shuffled);
    let store = Store::new(seed);
    let mut server = store.serve();
    let mut messages = sent(carries, &mut chance, &store, &shuffled);
    let twice: Vec<String> = messages.iter().filter(|_| chance.happens(20)).cloned().collect();
    messages.extend(twice);
    chance.shuffle(&mut messages);
    let percent = |chance: &mut Chance| if chance.happens(70) { chance.below(20) } else { 0 };
    let faults = bucket::Faults {
        queue: percent(&mut chance),
        object: percent(&mut chance),
        missing: percent(&mut chance),
        truncated: percent(&mut chance),
    };
    store.with(|state| {
        // An unlucky object meets three faults and a duplicate of its message as many.
        state.tries_max = Some(50);
        state.faults = faults;
    });
    let mut stage = Stage::new(trail::NOW).await;
    let settings = keywatch_aws::trail::Settings {
        carries,
        tries_max: 50,
        visibility: Duration::from_secs(2),
        ..trail::settings(&server)
    };
    let half = messages.len() / 2;
    let mut later = messages.split_off(half);
    store.with(|state| messages.iter().for_each(|body| state.send(body)));
    let mut running = trail::start(&stage, &server, settings.clone()).await;
    if chance.happens(50) {
        stage.until(&mut running, "some", |stage| stage.batches > 0).await;
        server.stop();
        tokio::time::sleep(Duration::from_millis(chance.below(20))).await;
        server.restart().await;
        // An answer that was on its way is lost, and its messages are visible later.
        store.with(bucket::State::show_all);
    }
    store.with(|state| later.drain(..).for_each(|body| state.send(&body)));
    if chance.happens(50) {
        // The process ends in the middle; what it had in hand is visible later.
        stage.take_unheard(&mut running).await;
        drop(running);
        store.with(bucket::State::show_all);
        running = trail::start(&stage, &server, settings).await;
    }
    let what = format!("seed {seed}: the queue is empty");
    stage.until(&mut running, &what, |_| store.with(|state| state.waiting() == 0)).await;
    assert_eq!(store.with(|state| state.dead.len()), 0, "seed {seed}");
    compare(seed, &stage.outcome().await, &clean(&ordered, trail::NOW).await);
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_looking_up_everything_comes_once_whatever_happens() {
    run_all(by_looking_up).await;
}

async fn by_looking_up(seed: u64) {
    let mut chance = Chance::new(seed ^ 0xA5A5);
    let all = records(&mut chance, RECORDS * 4, 48);
    let ordered: Vec<String> = all.iter().map(|(_, record)| record.clone()).collect();
    let begin = trail::NOW - 24 * 3600;
    let trail = CloudTrail::new(begin, seed);
    let mut server = trail.serve();
    let percent = |chance: &mut Chance| if chance.happens(70) { chance.below(15) } else { 0 };
    let faults = cloudtrail::Faults {
        throttled: percent(&mut chance),
        failed: percent(&mut chance),
        reset: percent(&mut chance),
        token: percent(&mut chance),
        expired: percent(&mut chance),
    };
    // Most come within minutes, some within the hour, some within two days.
    let late = |chance: &mut Chance| match chance.below(10) {
        0 => chance.below(47 * 3600),
        1 | 2 => chance.below(3600),
        _ => chance.below(900),
    };
    trail.with(|state| {
        state.faults = faults;
        for (secs, record) in &all {
            let late = late(&mut chance);
            state.events.push(lookup::past(*secs, record, late as i64));
            if chance.happens(20) {
                state.events.push(lookup::past(*secs, record, late as i64));
            }
        }
    });
    let mut stage = Stage::new(begin).await;
    let settings = keywatch_aws::lookup::Settings { backfill: TimeDelta::days(3), ..lookup::settings() };
    let mut running = lookup::start(&stage, &server, settings.clone()).await;
    // Time goes on in steps of some minutes, and jumps; the source must have looked in between.
    let mut now = begin;
    while now < trail::NOW + 75 * 3600 {
        let before = trail.with(|state| state.requests);
        let what = format!("seed {seed}: it looks");
        stage.until(&mut running, &what, |_| trail.with(|state| state.requests) > before + 1).await;
        now += if chance.happens(30) { 60 * chance.below(60) as i64 } else { 3 * 3600 };
        trail.with(|state| state.now = now);
        stage.hand.set(now);
        match chance.below(30) {
            0 => {
                server.stop();
                tokio::time::sleep(Duration::from_millis(chance.below(10))).await;
                server.restart().await;
            }
            1 => {
                drop(running);
                running = lookup::start(&stage, &server, settings.clone()).await;
            }
            _ => {}
        }
    }
    let wanted = clean(&ordered, now).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while stage.count().await < wanted.0.len() as u64 && tokio::time::Instant::now() < deadline {
        stage.until_some(&mut running).await;
    }
    compare(seed, &stage.outcome().await, &wanted);
}
