//! Reading the objects of a log sink.

use super::super::stage::{Running, START, Stage};
use super::logging::brings;
use super::{access, entries};
use keywatch_gcp::objects::Bucket;
use keywatch_google_stand_in::{Chance, Entry, Google, Server};
use keywatch_ingest::source::State;
use keywatch_objects::{Naming, Objects, Settings};
use std::sync::Arc;
use std::time::Duration;

pub(super) const BUCKET: &str = "sink";
pub(super) const LOG: &str = "cloudaudit.googleapis.com/data_access";

/// Settings under which everything happens at once.
pub(super) fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(4),
        discover_every: Duration::from_millis(40),
        retry_first: Duration::from_millis(2),
        from: "2026-06-01".parse().ok(),
        ..Settings::new(Naming::LogSink)
    }
}

pub(super) async fn start(stage: &Stage, server: &Server, settings: Settings) -> Running {
    let (access, secrets) = access(server);
    let told = (stage.hand.clock(), stage.health.clone());
    let positions = stage.positions().await;
    let bucket = Arc::new(Bucket::new(BUCKET, &access, &secrets));
    Stage::run(Objects::start("t", bucket, settings, &positions, told))
}

/// The name of the object an entry goes to.
pub(super) fn key(entry: &Entry, shard: &str) -> String {
    format!("{LOG}/{}", entry.at.format(&format!("%Y/%m/%d/%H:00:00_%H:59:59_{shard}.json")))
}

/// Writes an object, or adds to it.
pub(super) fn write(google: &Google, key: String, written: i64, lines: &str) {
    google.with(|state| {
        let bucket = state.objects.entry(BUCKET.to_owned()).or_default();
        let object = bucket.entry(key).or_insert((written, Vec::new()));
        object.0 = written;
        object.1.extend_from_slice(lines.as_bytes());
    });
}

fn write_all(google: &Google, all: &[Entry]) {
    for entry in all {
        write(google, key(entry, "S0"), entry.at.timestamp() + 3600, &format!("{}\n", entry.record));
    }
}

/// Lets the source look at everything again.
async fn looked(stage: &mut Stage, running: &mut Running, google: &Google) {
    let before = google.with(|state| state.fetches);
    stage.until(running, "it looks", |_| google.with(|state| state.fetches) > before + 40).await;
    stage.until_some(running).await;
}

#[tokio::test]
async fn history_is_read_then_what_is_new_and_a_restart_reads_nothing_twice() {
    let now = START + 3 * 86_400;
    let google = Google::new(now, 1);
    let mut all = entries(&mut Chance::new(1), 300, 48);
    let new = all.split_off(290);
    write_all(&google, &all);
    let server = google.serve();
    let mut stage = Stage::new(now).await;
    let mut running = start(&stage, &server, settings()).await;
    brings(&mut stage, &mut running, 290).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
    // An addendum to an hour of the day before, written only now.
    for entry in &new {
        write(&google, key(entry, "A0:1780531200_S0"), now + 60, &format!("{}\n", entry.record));
    }
    brings(&mut stage, &mut running, 300).await;
    looked(&mut stage, &mut running, &google).await;
    drop(running);
    google.with(|state| state.parts = 0);
    let mut running = start(&stage, &server, settings()).await;
    looked(&mut stage, &mut running, &google).await;
    assert_eq!((stage.count().await, google.with(|state| state.parts)), (300, 0));
}

#[tokio::test]
async fn an_object_larger_than_a_chunk_keeps_its_lines() {
    let google = Google::new(START + 86_400, 2);
    let entry = entries(&mut Chance::new(2), 1, 1).remove(0);
    let padding = "x".repeat(400_000);
    let lines: Vec<String> = (0..25)
        .map(|number| {
            let own = entry.record.replace("\"insertId\":\"i0\"", &format!("\"insertId\":\"n{number}\""));
            own.replacen('{', &format!("{{\"textPayload\":\"{padding}\","), 1) + "\n"
        })
        .collect();
    write(&google, key(&entry, "S0"), START + 3600, &(lines.concat() + "no entry\n"));
    let server = google.serve();
    let mut stage = Stage::new(START + 86_400).await;
    let mut running = start(&stage, &server, settings()).await;
    brings(&mut stage, &mut running, 25).await;
    while stage.rejects().await == 0 {
        stage.until_some(&mut running).await;
    }
    let rejects = stage.store.rejects(keywatch_store::Page::first(10)).await.unwrap();
    assert_eq!(rejects.rows[0].place.line, 26, "{rejects:?}");
}

#[tokio::test]
async fn a_bucket_that_is_not_there_or_not_open_is_told_of_with_its_remedy() {
    let google = Google::new(START, 3);
    let server = google.serve();
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, settings()).await;
    let health = stage.health.clone();
    for (is_revoked, remedy) in [(false, "check the bucket's name"), (true, "credentials that Google accepts")] {
        google.with(|state| state.revoked = is_revoked);
        let is_told = |told: &str| told.contains("gs://sink") && told.contains(remedy);
        let told = || health.read().errors.get("folders").is_some_and(|error| is_told(&error.text));
        stage.until(&mut running, remedy, |_| told()).await;
    }
}
