//! Asking Cloud Logging.

use super::super::stage::{Running, START, Stage};
use super::{PROJECT, access, entries, late};
use chrono::TimeDelta;
use keywatch_gcp::logging::{FILTER, Logging, Pace, Settings, position_name};
use keywatch_google_stand_in::{Chance, Google, Server};
use keywatch_ingest::source::State;
use std::time::{Duration, Instant};

const DAY: i64 = 86_400;

/// Settings under which everything happens at once.
pub(super) fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(5),
        retry_first: Duration::from_millis(2),
        pace: Pace::every(Duration::ZERO),
        page: 17,
        ..Settings::new(vec![PROJECT.to_owned()])
    }
}

pub(super) async fn start(stage: &Stage, server: &Server, settings: Settings) -> Running {
    let (access, secrets) = access(server);
    let told = (stage.hand.clock(), stage.health.clone());
    let positions = stage.positions().await;
    Stage::run(Logging::start("t", (&access, &secrets), settings, &positions, told))
}

pub(super) async fn brings(stage: &mut Stage, running: &mut Running, count: u64) {
    let deadline = Instant::now() + Duration::from_secs(50);
    while stage.count().await < count {
        let (found, health) = (stage.count().await, stage.health.read());
        assert!(Instant::now() < deadline, "{found} of {count}: {health:?}");
        stage.until_some(running).await;
    }
}

#[tokio::test]
async fn the_first_start_reads_the_days_there_are_and_a_restart_goes_on() {
    let now = START + 20 * DAY;
    let google = Google::new(now, 1);
    google.with(|state| state.entries = entries(&mut Chance::new(1), 600, 19 * 24));
    let server = google.serve();
    let mut stage = Stage::new(now).await;
    let mut running = start(&stage, &server, settings()).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells how far", |_| health.read().state() == State::CatchingUp).await;
    brings(&mut stage, &mut running, 600).await;
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
    drop(running);
    let name = position_name("t", PROJECT);
    assert!(stage.positions().await[&name].contains("2026-06-2"), "{:?}", stage.positions().await);
    let before = google.with(|state| state.lists);
    let mut running = start(&stage, &server, settings()).await;
    stage.until(&mut running, "it looks", |_| google.with(|state| state.lists) >= before + 4).await;
    assert_eq!(stage.count().await, 600);
    assert!(!health.read().warnings.contains_key(&format!("reads of {PROJECT}")));
}

#[tokio::test]
async fn what_comes_late_is_found_by_its_receipt() {
    let now = START + 5 * DAY;
    let google = Google::new(now, 2);
    let server = google.serve();
    let mut stage = Stage::new(now).await;
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::hours(1), ..settings() }).await;
    // What happened before: ten minutes, five hours and almost two days.
    let mut all = entries(&mut Chance::new(2), 3, 1).into_iter();
    for (count, ago) in [(1_u32, 600), (2, 5 * 3600), (3, 47 * 3600)] {
        let mut entry = all.next().unwrap();
        let later = now + i64::from(count) * 3600;
        entry.record = entry.record.replace(&super::written(entry.at), &super::written(at(later - ago)));
        entry.at = at(later - ago);
        google.with(|state| {
            state.now = later;
            state.entries.push(late(entry, ago));
        });
        stage.hand.set(later);
        brings(&mut stage, &mut running, count.into()).await;
    }
}

fn at(secs: i64) -> chrono::DateTime<chrono::Utc> {
    chrono::DateTime::from_timestamp(secs, 0).unwrap()
}

#[tokio::test]
async fn a_clock_that_is_wrong_here_hides_nothing() {
    let now = START + 5 * DAY;
    for wrong in [-6 * 3600, 6 * 3600] {
        let google = Google::new(now, 3);
        let server = google.serve();
        let mut stage = Stage::new(now + wrong).await;
        let mut running =
            start(&stage, &server, Settings { backfill: TimeDelta::days(1), ..settings() }).await;
        stage.until(&mut running, "it looks again", |_| google.with(|state| state.lists) > 12).await;
        let mut entry = entries(&mut Chance::new(3), 1, 1).remove(0);
        entry.record = entry.record.replace(&super::written(entry.at), &super::written(at(now + 1)));
        entry.at = at(now + 1);
        google.with(|state| {
            state.now = now + 3;
            state.entries.push(late(entry, 2));
        });
        // Too short for what is late to be asked for: the next sweep finds it.
        stage.hand.set(now + 3 + wrong);
        brings(&mut stage, &mut running, 1).await;
    }
}

#[tokio::test]
async fn the_quota_is_kept_by_all_sources_together() {
    let google = Google::new(START + DAY, 4);
    let server = google.serve();
    let mut stage = Stage::new(START + DAY).await;
    let pace = Pace::every(Duration::from_millis(100));
    let settings = || Settings { pace: pace.clone(), backfill: TimeDelta::hours(1), ..settings() };
    let began = Instant::now();
    let mut one = start(&stage, &server, settings()).await;
    let _other = start(&stage, &server, settings()).await;
    stage.until(&mut one, "six requests", |_| google.with(|state| state.lists) >= 6).await;
    assert!(began.elapsed() >= Duration::from_millis(500), "{:?}", began.elapsed());
}

#[tokio::test]
async fn a_quota_that_others_use_up_is_told_of_and_waited_for() {
    let google = Google::new(START + DAY, 5);
    google.with(|state| {
        state.entries = entries(&mut Chance::new(5), 100, 20);
        state.per_minute = Some(2);
    });
    let server = google.serve();
    let mut stage = Stage::new(START + DAY).await;
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::days(2), ..settings() }).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    let told = health.read().errors.values().next().cloned().unwrap();
    assert!(told.text.contains("RESOURCE_EXHAUSTED") && told.text.contains("somebody else asks"), "{told:?}");
    google.with(|state| state.per_minute = None);
    brings(&mut stage, &mut running, 100).await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}

#[tokio::test]
async fn revoked_credentials_are_told_of_and_restored_ones_lose_nothing() {
    let google = Google::new(START + DAY, 6);
    google.with(|state| {
        state.entries = entries(&mut Chance::new(6), 100, 20);
        state.revoked = true;
    });
    let server = google.serve();
    let mut stage = Stage::new(START + DAY).await;
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::days(2), ..settings() }).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    let told = health.read().errors.values().next().cloned().unwrap();
    assert!(
        told.text.contains("UNAUTHENTICATED") && told.text.contains("give Keywatch credentials"),
        "{told:?}"
    );
    google.with(|state| state.revoked = false);
    brings(&mut stage, &mut running, 100).await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}

#[tokio::test]
async fn a_filter_that_google_refuses_is_told_of() {
    let google = Google::new(START, 7);
    let server = google.serve();
    let mut stage = Stage::new(START).await;
    // More entries than a page may hold: the request is refused as a wrong filter is.
    let mut running = start(&stage, &server, Settings { page: 2000, ..settings() }).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    let told = health.read().errors.values().next().cloned().unwrap();
    assert!(told.text.contains("INVALID_ARGUMENT") && told.text.contains("gcloud logging read"), "{told:?}");
}

#[tokio::test]
async fn only_the_services_of_the_filter_are_read_and_missing_reads_are_warned_of() {
    assert!(FILTER.contains("secretmanager.googleapis.com") && FILTER.contains("data_access"));
    let google = Google::new(START + DAY, 8);
    google.with(|state| {
        state.entries = entries(&mut Chance::new(8), 40, 20);
        for (number, entry) in state.entries.iter_mut().enumerate() {
            entry.service = ["secretmanager.googleapis.com", "compute.googleapis.com"][number % 2].to_owned();
            entry.record = entry.record.replace("data_access", "activity");
        }
    });
    let server = google.serve();
    let mut stage = Stage::new(START + DAY).await;
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::days(2), ..settings() }).await;
    brings(&mut stage, &mut running, 20).await;
    let health = stage.health.clone();
    let warned =
        |_: &Stage| health.read().warnings.values().any(|text| text.contains("data access logs are off"));
    stage.until(&mut running, "it warns", warned).await;
    assert_eq!(stage.count().await, 20);
}
