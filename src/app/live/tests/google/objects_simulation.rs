//! Histories of a sink's bucket that a seed decides: objects an hour and shard, addenda that come two
//! days late, read by a service that is ended and begun anew, under faults.

use super::super::simulation::{compare, run_all};
use super::super::stage::{START, Stage, clean};
use super::objects::{BUCKET, key, settings, start, write};
use super::simulation::{faults, lateness, records};
use super::{entries, late};
use keywatch_google_stand_in::{Chance, Entry, Google};
use std::collections::BTreeMap;
use std::time::{Duration, Instant};

const HOUR: i64 = 3600;

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn from_a_sinks_bucket_everything_comes_once_whatever_happens() {
    run_all(from_the_bucket).await;
}

async fn from_the_bucket(seed: u64) {
    let mut chance = Chance::new(seed ^ 0x0B1);
    let all = entries(&mut chance, 120, 48);
    let all: Vec<Entry> = all.into_iter().map(|entry| late(entry, lateness(&mut chance))).collect();
    let mut waiting = objects(&mut chance, &all).into_iter().peekable();
    let google = Google::new(START, seed);
    google.with(|state| {
        state.faults = faults(&mut chance);
        state.objects.entry(BUCKET.to_owned()).or_default();
    });
    let mut server = google.serve();
    let mut stage = Stage::new(START).await;
    let settings =
        keywatch_objects::Settings { chunk_bytes: 500 + chance.below(20_000), ..settings() };
    let mut running = start(&stage, &server, settings.clone()).await;
    let is_behind = chance.happens(30);
    let mut now = START;
    while waiting.peek().is_some() {
        while let Some((written, key, lines)) = waiting.next_if(|(at, _, _)| *at <= now) {
            write(&google, key, written, &lines);
        }
        stage.until_some(&mut running).await;
        now += HOUR * (1 + chance.below(6) as i64);
        google.with(|state| state.now = now);
        let days = if chance.happens(20) { chance.below(20) as i64 } else { 0 };
        stage.hand.set(now + 86_400 * if is_behind { -days } else { days });
        match chance.below(25) {
            0 => {
                server.stop();
                tokio::time::sleep(Duration::from_millis(chance.below(10))).await;
                server.restart().await;
            }
            1 => {
                drop(running);
                running = start(&stage, &server, settings.clone()).await;
            }
            2 => {
                google.with(|state| state.revoked = true);
                stage.until_some(&mut running).await;
                google.with(|state| state.revoked = false);
            }
            _ => {}
        }
    }
    let wanted = clean(&records(&all), now).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while stage.count().await < wanted.0.len() as u64 && Instant::now() < deadline {
        stage.until_some(&mut running).await;
    }
    let found = stage.outcome().await;
    if is_behind {
        assert_eq!(found.0, wanted.0, "seed {seed}");
    } else {
        compare(seed, &found, &wanted);
    }
    assert_eq!(stage.rejects().await, 0, "seed {seed}");
    assert_eq!(stage.health.read().gaps_total, 0, "seed {seed}: {:?}", stage.health.read().gaps);
}

/// When each object is written, its name and its lines: what is received within the hour goes to one of
/// two shards when the hour ends, what comes later to an addendum of its own. Some come in two.
fn objects(chance: &mut Chance, all: &[Entry]) -> Vec<(i64, String, String)> {
    let mut hourly: BTreeMap<String, (i64, String)> = BTreeMap::new();
    let mut objects = Vec::new();
    for (number, entry) in all.iter().enumerate() {
        let line = format!("{}\n", entry.record);
        let end = (entry.at.timestamp() / HOUR + 1) * HOUR;
        if entry.received >= end || chance.happens(20) {
            let addendum = format!("A0:{}_S{number}", entry.received);
            objects.push((entry.received.max(end) + 60, key(entry, &addendum), line.clone()));
        }
        if entry.received < end {
            let shard = ["S0", "S1"][chance.below(2) as usize];
            let object = hourly.entry(key(entry, shard)).or_insert((end + 600, String::new()));
            object.1.push_str(&line);
        }
    }
    objects.extend(hourly.into_iter().map(|(key, (written, lines))| (written, key, lines)));
    objects.sort();
    objects
}
