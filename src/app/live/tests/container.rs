//! A container of Azure, one promise at a time.

use super::account::{Account, CONTAINER, blob, folder};
use super::chance::Chance;
use super::server::Server;
use super::stage::{Running, START, Stage, records};
use chrono::TimeDelta;
use keywatch_azure::{Access, Container, Identity};
use keywatch_ingest::source::State;
use keywatch_objects::{Naming, Objects, Settings};
use keywatch_secrets::SecretManager;
use std::sync::Arc;
use std::time::{Duration, Instant};

/// Settings under which everything happens at once.
pub(super) fn settings() -> Settings {
    Settings {
        backfill: TimeDelta::days(1),
        poll: Duration::from_millis(4),
        discover_every: Duration::from_millis(40),
        retry_first: Duration::from_millis(2),
        chunk_bytes: 700,
        ..Settings::new(Naming::DiagnosticSetting)
    }
}

pub(super) async fn start(stage: &Stage, server: &Server, identity: Identity) -> Running {
    start_with(stage, server, identity, settings()).await
}

pub(super) async fn start_with(
    stage: &Stage,
    server: &Server,
    identity: Identity,
    settings: Settings,
) -> Running {
    let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| Some("a2V5".to_owned()))));
    let access = Access {
        account: Some("examplelogs".to_owned()),
        container: CONTAINER.to_owned(),
        endpoint: Some(server.url()),
        identity,
    };
    let told = (stage.hand.clock(), stage.health.clone());
    let positions = stage.positions().await;
    let container = Arc::new(Container::new(&access, &secrets));
    Stage::run(Objects::start("v", container, settings, &positions, told))
}

pub(super) fn key() -> Identity {
    Identity::Key("env:KEY".parse().unwrap())
}

fn some(count: usize) -> Vec<String> {
    records(&mut Chance::new(1), count, 1).into_iter().map(|(_, record)| record).collect()
}

fn lines(records: &[String]) -> String {
    records.join("\n") + "\n"
}

/// Lets the source look at everything twice: at most eight vaults and three days here.
async fn looked(stage: &mut Stage, running: &mut Running, account: &Account) {
    let before = account.with(|state| state.looks);
    stage.until(running, "it looks", |_| account.with(|state| state.looks) > before + 50).await;
    stage.until_some(running).await;
}

/// Waits until so many events are stored.
async fn stored(stage: &mut Stage, running: &mut Running, count: u64) {
    let deadline = Instant::now() + Duration::from_mins(1);
    while stage.count().await < count {
        assert!(Instant::now() < deadline, "{:?}", stage.health.read());
        stage.until_some(running).await;
    }
}

#[tokio::test]
async fn a_blob_is_read_as_it_grows_and_a_torn_line_waits_for_its_end() {
    let account = Account::new(1);
    let server = account.serve();
    let (all, name) = (some(30), blob("V", "2026-06-01T00"));
    account.append(&name, &format!("\u{feff}{}\r\n{}\r\n", all[0], all[1]));
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 2).await;
    let (torn, rest) = all[2].split_at(40);
    account.append(&name, torn);
    looked(&mut stage, &mut running, &account).await;
    assert_eq!((stage.count().await, stage.rejects().await), (2, 0));
    account.append(&name, &format!("{rest}\r\n"));
    for record in &all[3..] {
        account.append(&name, &format!("{record}\r\n"));
        stage.until_some(&mut running).await;
    }
    stored(&mut stage, &mut running, 30).await;
    assert_eq!((stage.count().await, stage.rejects().await), (30, 0));
    assert_eq!(stage.health.read().state(), State::Following);
}

#[tokio::test]
async fn after_a_restart_only_what_is_new_is_read() {
    let account = Account::new(1);
    let server = account.serve();
    let (all, name) = (some(20), blob("V", "2026-06-01T00"));
    account.append(&name, &lines(&all[..10]));
    let before = account.with(|state| state.blobs[&name].bytes.len() as u64);
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 10).await;
    drop(running);
    account.append(&name, &lines(&all[10..]));
    account.with(|state| state.ranges.clear());
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 20).await;
    let least = account.with(|state| state.ranges.iter().min().copied());
    assert_eq!(least, Some(before - 64), "and the bytes that show that it is the same blob");
}

#[tokio::test]
async fn a_blob_that_was_written_anew_is_a_gap_and_read_from_its_beginning() {
    for shorter in [true, false] {
        let account = Account::new(1);
        let server = account.serve();
        let (all, name) = (some(12), blob("V", "2026-06-01T00"));
        account.append(&name, &lines(&all[..6]));
        let mut stage = Stage::new(START).await;
        let mut running = start(&stage, &server, key()).await;
        stored(&mut stage, &mut running, 6).await;
        let kept = if shorter { &all[8..10] } else { &all[4..] };
        account.with(|state| state.blobs.get_mut(&name).unwrap().bytes = lines(kept).into_bytes());
        looked(&mut stage, &mut running, &account).await;
        let condition = stage.health.read();
        assert_eq!(condition.gaps_total, 1, "{:?}", condition.gaps);
        assert!(condition.gaps[0].contains("not what it was"), "{:?}", condition.gaps);
        assert_eq!(stage.count().await, if shorter { 8 } else { 12 });
    }
}

#[tokio::test]
async fn a_line_that_never_ends_is_a_reject_once_the_containers_own_time_has_passed_its_day() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(3);
    account.append(&blob("V", "2026-06-01T00"), &format!("{}\n{}", all[0], all[1].split_at(50).0));
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 1).await;
    // A clock of ours that is wrong by a year closes nothing.
    stage.hand.set(START + 365 * 86_400);
    looked(&mut stage, &mut running, &account).await;
    assert_eq!((stage.count().await, stage.rejects().await), (1, 0));
    account.with(|state| state.now = START + 4 * 86_400);
    account.append(&blob("V", "2026-06-05T00"), &format!("{}\n", all[2]));
    stored(&mut stage, &mut running, 2).await;
    looked(&mut stage, &mut running, &account).await;
    assert_eq!((stage.count().await, stage.rejects().await), (2, 1));
    let position = &stage.positions().await[&format!("objects:v:{}", folder("V"))];
    assert!(position.starts_with(r#"{"begin":"2026-05-31","day":"2026-06-02""#), "{position}");
    assert!(!position.contains("d=01"), "and the day is not looked at again: {position}");
}

#[tokio::test]
async fn a_blob_that_comes_two_days_late_is_read_while_its_day_is_open() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(3);
    account.append(&blob("V", "2026-06-01T23"), &format!("{}\n", all[0]));
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 1).await;
    account.with(|state| state.now = START + 3 * 86_400 + 7200);
    account.append(&blob("V", "2026-06-04T02"), &format!("{}\n", all[1]));
    stored(&mut stage, &mut running, 2).await;
    account.append(&blob("V", "2026-06-01T00"), &format!("{}\n", all[2]));
    stored(&mut stage, &mut running, 3).await;
}

#[tokio::test]
async fn a_blob_that_is_deleted_before_it_was_read_is_a_gap_and_holds_nothing_up() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(2);
    account.with(|state| state.unreadable = Some("h=03"));
    account.append(&blob("V", "2026-06-01T03"), &format!("{}\n", all[0]));
    account.append(&blob("V", "2026-06-01T04"), &format!("{}\n", all[1]));
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 1).await;
    looked(&mut stage, &mut running, &account).await;
    assert_eq!(stage.health.read().gaps_total, 0, "it is listed, so it may come back");
    account.with(|state| state.blobs.remove(&blob("V", "2026-06-01T03")));
    stage.until(&mut running, "the gap", |stage| stage.health.read().gaps_total > 0).await;
    let condition = stage.health.read();
    assert!(condition.gaps[0].contains("was deleted before"), "{:?}", condition.gaps);
    assert_eq!((condition.gaps_total, stage.count().await), (1, 1));
}

#[tokio::test]
async fn a_clock_that_is_a_year_ahead_at_the_first_start_passes_over_nothing() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(3);
    let mut stage = Stage::new(START + 365 * 86_400).await;
    let mut running = start(&stage, &server, key()).await;
    stage
        .until(&mut running, "it is empty", |stage| stage.health.read().warnings.contains_key("folders"))
        .await;
    account.append(&blob("V", "2026-06-01T01"), &format!("{}\n", all[0]));
    stored(&mut stage, &mut running, 1).await;
    account.append(&blob("W", "2026-05-31T22"), &format!("{}\n", all[1]));
    stored(&mut stage, &mut running, 2).await;
}

#[tokio::test]
async fn a_blob_that_is_packed_is_read_whole() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(20);
    let name = blob("V", "2026-06-01T03");
    account.append(&name, "");
    account.with(|state| {
        state.blobs.get_mut(&name).unwrap().bytes = super::digest::gzip(lines(&all).as_bytes());
    });
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 20).await;
    looked(&mut stage, &mut running, &account).await;
    assert_eq!((stage.count().await, stage.rejects().await), (20, 0));
}

#[tokio::test]
async fn a_range_of_days_is_read_and_an_earlier_first_day_reads_on_from_there() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(4);
    for (number, hour) in
        ["2026-03-01T05", "2026-03-09T05", "2026-03-10T05", "2026-04-01T05"].iter().enumerate()
    {
        account.append(&blob("V", hour), &format!("{}\n", all[number]));
    }
    let mut stage = Stage::new(START).await;
    let day = |text: &str| text.parse().ok();
    let range = Settings { from: day("2026-03-09"), to: day("2026-03-10"), ..settings() };
    let mut running = start_with(&stage, &server, key(), range.clone()).await;
    stored(&mut stage, &mut running, 2).await;
    drop(running);
    let mut running = start_with(&stage, &server, key(), Settings { from: day("2026-02-01"), ..range }).await;
    stored(&mut stage, &mut running, 3).await;
    assert_eq!(stage.count().await, 3);
}

#[tokio::test]
async fn vaults_that_are_new_are_found_and_history_is_read_first() {
    let account = Account::new(1);
    let server = account.serve();
    let all = some(9);
    for (number, vault) in ["A", "B", "C", "D", "E", "F", "G"].iter().enumerate() {
        account.append(&blob(vault, "2026-05-31T07"), &format!("{}\n", all[number]));
    }
    account.append(&blob("A", "2026-05-29T23"), &format!("{}\n", all[8]));
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stored(&mut stage, &mut running, 7).await;
    looked(&mut stage, &mut running, &account).await;
    assert_eq!(stage.count().await, 7, "a day of history, and nothing older");
    account.append(&blob("NEW", "2026-06-01T00"), &format!("{}\n", all[7]));
    stored(&mut stage, &mut running, 8).await;
}

#[tokio::test]
async fn a_signature_that_ran_out_is_fetched_anew() {
    let account = Account::new(1);
    let server = account.serve();
    let folder = tempfile::tempdir().unwrap();
    let file = folder.path().join("sas");
    std::fs::write(&file, "?sv=2024-11-04&sp=rl&sig=old").unwrap();
    account.with(|state| state.signature = Some("new"));
    account.append(&blob("V", "2026-06-01T00"), &format!("{}\n", some(1)[0]));
    let mut stage = Stage::new(START).await;
    let identity = Identity::Sas(format!("file:{}", file.display()).parse().unwrap());
    let mut running = start(&stage, &server, identity).await;
    stage
        .until(&mut running, "the refusal is told", |stage| stage.health.read().state() == State::Failing)
        .await;
    let said = stage.health.read().errors["folders"].text.clone();
    assert!(said.contains("AuthenticationFailed") && said.contains("identity or a key"), "{said}");
    std::fs::write(&file, "?sv=2024-11-04&sp=rl&sig=new").unwrap();
    stored(&mut stage, &mut running, 1).await;
}

#[tokio::test]
async fn what_is_not_there_or_not_allowed_is_said_with_its_remedy() {
    let account = Account::new(1);
    let server = account.serve();
    let mut stage = Stage::new(START).await;
    let mut running = start(&stage, &server, key()).await;
    stage
        .until(&mut running, "emptiness is told", |stage| {
            stage.health.read().warnings.contains_key("folders")
        })
        .await;
    for (status, code, part) in [
        (404, "ContainerNotFound", "diagnostic setting"),
        (403, "AuthorizationPermissionMismatch", "Storage Blob Data Reader"),
    ] {
        account.with(|state| state.refusing = Some((status, code)));
        stage
            .until(&mut running, code, |stage| {
                stage.health.read().errors.get("folders").is_some_and(|error| error.text.contains(part))
            })
            .await;
    }
}
