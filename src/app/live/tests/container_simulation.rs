//! Histories of a container that a seed decides: vaults whose blobs grow, come late by two days, and are
//! torn in the middle of a line, read by a service that is ended and begun anew, under faults.

use super::account::{self, Account};
use super::chance::Chance;
use super::container;
use super::server::Server;
use super::simulation::{compare, run_all};
use super::stage::{START, Stage, clean};
use super::vaults;
use chrono::DateTime;
use keywatch_objects::Settings;
use std::time::Duration;

const HOUR: i64 = 3600;
/// Accesses of one history.
const RECORDS: usize = 40;

/// What is appended to a blob, and when.
type Written = (i64, String, String);

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn through_a_container_everything_comes_once_whatever_happens() {
    run_all(through_a_container).await;
}

async fn through_a_container(seed: u64) {
    let mut chance = Chance::new(seed ^ 0x5A5A);
    let all = vaults::records(&mut chance, RECORDS, 48);
    let ordered: Vec<String> = all.iter().map(|(_, record)| record.clone()).collect();
    let mut waiting = written(&mut chance, &all).into_iter().peekable();
    let account = Account::new(seed);
    account.with(|state| state.faults = if state.chance.happens(70) { state.chance.below(25) } else { 0 });
    account.with(|state| state.is_old = state.chance.happens(20));
    let mut server = account.serve();
    let mut stage = Stage::new(START).await;
    let settings = Settings {
        prefix: "resourceId=/SUBSCRIPTIONS/0B0C/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.KEYVAULT".to_owned(),
        chunk_bytes: 200 + chance.below(5000),
        ..container::settings()
    };
    let start = async |stage: &Stage, server: &Server| {
        container::start_with(stage, server, container::key(), settings.clone()).await
    };
    let mut running = start(&stage, &server).await;
    // A clock that is behind clamps the times of events, so that alerts say other times.
    let is_behind = chance.happens(30);
    let mut now = START;
    while waiting.peek().is_some() {
        while let Some((_, name, line)) = waiting.next_if(|(at, _, _)| *at <= now) {
            let (head, tail) = line.split_at(chance.below(line.len() as u64) as usize);
            account.append(&name, head);
            if chance.happens(50) {
                stage.until_some(&mut running).await;
            }
            account.append(&name, tail);
        }
        stage.until_some(&mut running).await;
        now += HOUR * (1 + chance.below(6) as i64);
        account.with(|state| state.now = now);
        // The clock here is wrong by days now and then.
        let days = if chance.happens(20) { chance.below(20) as i64 } else { 0 };
        stage.hand.set(now + 86_400 * if is_behind { -days } else { days });
        match chance.below(25) {
            0 => stop_and_start(&mut chance, &mut server).await,
            1 => {
                drop(running);
                running = start(&stage, &server).await;
            }
            2 => {
                account.with(|state| state.refusing = Some((403, "AuthenticationFailed")));
                stage.until_some(&mut running).await;
                account.with(|state| state.refusing = None);
            }
            _ => {}
        }
    }
    let wanted = clean(&ordered, now).await;
    let deadline = tokio::time::Instant::now() + Duration::from_secs(30);
    while stage.count().await < wanted.0.len() as u64 && tokio::time::Instant::now() < deadline {
        stage.until_some(&mut running).await;
    }
    let (stored, health) = (stage.count().await, stage.health.read());
    assert_eq!(stored, wanted.0.len() as u64, "seed {seed}: {health:?}");
    let found = stage.outcome().await;
    if is_behind {
        assert_eq!(found.0, wanted.0, "seed {seed}");
    } else {
        compare(seed, &found, &wanted);
    }
    assert_eq!(stage.rejects().await, 0, "seed {seed}");
    assert_eq!(stage.health.read().gaps_total, 0, "seed {seed}: {:?}", stage.health.read().gaps);
}

/// Most are written within minutes, a fifth within two days, and as many twice.
fn written(chance: &mut Chance, all: &[(i64, String)]) -> Vec<Written> {
    let mut written = Vec::new();
    for (secs, record) in all {
        let hour = DateTime::from_timestamp(*secs, 0).unwrap().format("%Y-%m-%dT%H").to_string();
        let name = account::blob(["KV-A", "KV-B", "KV-C"][chance.below(3) as usize], &hour);
        for _ in 0..=u64::from(chance.happens(20)) {
            let late = if chance.happens(20) { chance.below(47 * 3600) } else { chance.below(600) };
            written.push((secs + late as i64, name.clone(), format!("{record}\n")));
        }
    }
    written.sort();
    written
}

async fn stop_and_start(chance: &mut Chance, server: &mut Server) {
    server.stop();
    tokio::time::sleep(Duration::from_millis(chance.below(10))).await;
    server.restart().await;
}
