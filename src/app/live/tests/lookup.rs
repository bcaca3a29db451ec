//! `LookupEvents`, one promise at a time.

use super::chance::Chance;
use super::cloudtrail::{CloudTrail, Past};
use super::server::Server;
use super::stage::{Running, START, Stage, id_of, records};
use super::trail::access;
use chrono::TimeDelta;
use keywatch_aws::lookup::{Lookup, Pace, Settings, position_name};
use keywatch_ingest::source::State;
use std::time::Duration;

pub(super) const REGION: &str = "eu-central-1";
const DAY: i64 = 86_400;

/// Settings under which everything happens at once.
pub(super) fn settings() -> Settings {
    Settings {
        poll: Duration::from_millis(5),
        retry_first: Duration::from_millis(2),
        pace: Pace::every(Duration::ZERO),
        ..Settings::new(vec![REGION.to_owned()])
    }
}

pub(super) async fn start(stage: &Stage, server: &Server, settings: Settings) -> Running {
    let (access, secrets) = access(server);
    let told = (stage.hand.clock(), stage.health.clone());
    let positions = stage.positions().await;
    Stage::run(Lookup::start("t", (&access, &secrets), settings, &positions, told).await)
}

/// An event that can be looked up `late` seconds after it happened.
pub(super) fn past(secs: i64, record: &str, late: i64) -> Past {
    Past {
        id: id_of(record),
        secs,
        visible: secs + late,
        region: REGION.to_owned(),
        source: "secretsmanager.amazonaws.com".to_owned(),
        record: record.to_owned(),
    }
}

/// Puts `count` events of the last hours into the trail; how many.
pub(super) fn fill(trail: &CloudTrail, seed: u64, count: usize, hours: u64) -> u64 {
    let all = records(&mut Chance::new(seed), count, hours);
    trail.with(|state| state.events.extend(all.iter().map(|(secs, record)| past(*secs, record, 0))));
    all.len() as u64
}

pub(super) async fn brings(stage: &mut Stage, running: &mut Running, count: u64) {
    let deadline = std::time::Instant::now() + Duration::from_mins(1);
    while stage.count().await < count {
        assert!(
            std::time::Instant::now() < deadline,
            "{} of {count}: {:?}",
            stage.count().await,
            stage.health.read()
        );
        stage.until_some(running).await;
    }
}

#[tokio::test]
async fn the_first_start_reads_the_days_there_are_and_tells_how_far_it_is() {
    let now = START + 80 * DAY;
    let trail = CloudTrail::new(now, 1);
    let server = trail.serve();
    let count = fill(&trail, 1, 3000, 24) + fill(&trail, 2, 0, 1);
    let mut stage = Stage::new(now).await;
    let mut running = start(&stage, &server, settings()).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells how far", |_| health.read().state() == State::CatchingUp).await;
    brings(&mut stage, &mut running, count).await;
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
    assert_eq!(stage.count().await, count);
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    let name = position_name("t", "own", REGION);
    while !stage.positions().await.get(&name).is_some_and(|position| position.contains("2026-08-20")) {
        assert!(std::time::Instant::now() < deadline, "{:?}", stage.positions().await);
        stage.until_some(&mut running).await;
    }
}

#[tokio::test]
async fn what_comes_late_is_found_by_going_over_time_again() {
    let now = START + 2 * DAY;
    let trail = CloudTrail::new(now, 2);
    let server = trail.serve();
    let mut stage = Stage::new(now).await;
    let settings = Settings { backfill: TimeDelta::hours(1), ..settings() };
    let mut running = start(&stage, &server, settings).await;
    let all = records(&mut Chance::new(5), 3, 1);
    let at = |secs: i64, number: usize, late: i64| past(secs, &all[number].1, late);
    // One is ten minutes late, one eighty minutes, one twenty hours.
    trail.with(|state| {
        state.events.extend([at(now + 60, 0, 600), at(now + 60, 1, 80 * 60), at(now + 60, 2, 20 * 3600)]);
    });
    for (step, count) in
        [(60, 0), (700, 1), (3000, 1), (81 * 60 + 60, 2), (10 * 3600, 2), (21 * 3600, 2), (25 * 3600, 3)]
    {
        trail.with(|state| state.now = now + step);
        stage.hand.set(now + step);
        brings(&mut stage, &mut running, count).await;
        let before = trail.with(|state| state.requests);
        stage.until(&mut running, "it looked", |_| trail.with(|state| state.requests) > before + 3).await;
        assert_eq!(stage.count().await, count, "after {step} seconds");
    }
}

#[tokio::test]
async fn a_restart_goes_on_from_the_committed_time_and_misses_nothing() {
    let now = START + DAY;
    let trail = CloudTrail::new(now, 3);
    let server = trail.serve();
    let count = fill(&trail, 3, 400, 24);
    let mut stage = Stage::new(now).await;
    let settings = Settings { backfill: TimeDelta::days(2), ..settings() };
    for _ in 0..3 {
        let mut running = start(&stage, &server, settings.clone()).await;
        stage.take_unheard(&mut running).await;
    }
    let mut running = start(&stage, &server, settings).await;
    brings(&mut stage, &mut running, count).await;
}

#[tokio::test]
async fn two_requests_a_second_are_not_passed_whoever_asks() {
    let now = START + DAY;
    let trail = CloudTrail::new(now, 4);
    trail.with(|state| state.per_second = Some(2));
    let server = trail.serve();
    let mut stage = Stage::new(now).await;
    let pace = Pace::default();
    let settings = || Settings { pace: pace.clone(), backfill: TimeDelta::hours(1), ..settings() };
    let began = std::time::Instant::now();
    let mut one = start(&stage, &server, settings()).await;
    let _other = start(&stage, &server, settings()).await;
    stage.until(&mut one, "six requests", |_| trail.with(|state| state.requests) >= 6).await;
    assert!(began.elapsed() >= Duration::from_millis(5 * 500), "{:?}", began.elapsed());
    assert_eq!(trail.with(|state| state.throttled), 0);
}

#[tokio::test]
async fn revoked_credentials_are_told_of_and_restored_ones_lose_nothing() {
    let now = START + DAY;
    let trail = CloudTrail::new(now, 5);
    let server = trail.serve();
    let count = fill(&trail, 5, 120, 24);
    trail.with(|state| state.revoked = true);
    let mut stage = Stage::new(now).await;
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::days(2), ..settings() }).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it tells", |_| health.read().state() == State::Failing).await;
    let told = health.read().errors.values().next().cloned().unwrap();
    assert!(
        told.text.contains("UnrecognizedClientException") && told.text.contains("give Keywatch credentials"),
        "{told:?}"
    );
    trail.with(|state| state.revoked = false);
    brings(&mut stage, &mut running, count).await;
    stage.until(&mut running, "it is well", |_| health.read().errors.is_empty()).await;
}

#[tokio::test]
async fn too_many_events_for_the_quota_are_told_of() {
    let now = START + 3600;
    let trail = CloudTrail::new(now, 6);
    let server = trail.serve();
    let all = records(&mut Chance::new(6), 4000, 1);
    // All within half a minute: more than a window holds, and some seconds hold many.
    trail.with(|state| {
        state
            .events
            .extend(all.iter().enumerate().map(|(n, (_, record))| past(now - 40 + n as i64 % 30, record, 0)));
    });
    let mut stage = Stage::new(now).await;
    let mut running = start(
        &stage,
        &server,
        Settings { backfill: TimeDelta::seconds(60), poll: Duration::from_secs(30), ..settings() },
    )
    .await;
    brings(&mut stage, &mut running, 4000).await;
    let health = stage.health.clone();
    let warned = |_: &Stage| health.read().warnings.values().any(|text| text.contains("from S3 instead"));
    stage.until(&mut running, "it warns", warned).await;
}

#[tokio::test]
async fn only_the_event_sources_asked_for_are_looked_up() {
    let now = START + 3600;
    let trail = CloudTrail::new(now, 7);
    let server = trail.serve();
    fill(&trail, 7, 100, 1);
    trail.with(|state| {
        for (number, event) in state.events.iter_mut().enumerate() {
            event.source = ["secretsmanager", "kms", "ec2", "s3"][number % 4].to_owned() + ".amazonaws.com";
        }
    });
    let sources = ["secretsmanager.amazonaws.com".to_owned(), "kms.amazonaws.com".to_owned()];
    let mut stage = Stage::new(now).await;
    let settings = Settings { event_sources: sources.to_vec(), backfill: TimeDelta::hours(2), ..settings() };
    let mut running = start(&stage, &server, settings).await;
    brings(&mut stage, &mut running, 50).await;
    let before = trail.with(|state| state.requests);
    stage.until(&mut running, "it looked again", |_| trail.with(|state| state.requests) > before + 4).await;
    assert_eq!(stage.count().await, 50);
}

#[tokio::test]
async fn an_absence_longer_than_ninety_days_is_a_gap() {
    let now = START + DAY;
    let trail = CloudTrail::new(now, 8);
    let server = trail.serve();
    let mut stage = Stage::new(now).await;
    let name = position_name("t", "own", REGION);
    let mut running = start(&stage, &server, Settings { backfill: TimeDelta::hours(1), ..settings() }).await;
    while !stage.positions().await.contains_key(&name) {
        stage.until_some(&mut running).await;
    }
    drop(running);
    let later = now + 100 * DAY;
    trail.with(|state| state.now = later);
    stage.hand.set(later);
    let mut running = start(&stage, &server, settings()).await;
    let health = stage.health.clone();
    stage.until(&mut running, "the gap is told", |_| health.read().gaps_total == 1).await;
    assert!(health.read().gaps[0].contains("backfill"), "{:?}", health.read().gaps);
    stage.until(&mut running, "it follows", |_| health.read().state() == State::Following).await;
}
