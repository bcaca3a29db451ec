//! A flood of invented principals around one real attack.
//!
//! `KEYWATCH_FLOOD_EVENTS` sets how many; 5,000,000 is for a release build. Baselines are let go from
//! 200,000 principals on, so the default of an optimised build is above that. An unoptimised one
//! would need minutes for as many and stays below.

use crate::scan::{Replay, scan_files, write};
use crate::scenario::{DAY, Failure, HOUR, Log, Provider, Who, set};
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

const EVENTS: u64 = if cfg!(debug_assertions) { 10_000 } else { 300_000 };
const LATER: i64 = 16 * DAY;

fn events() -> u64 {
    let given = std::env::var_os("KEYWATCH_FLOOD_EVENTS").and_then(|text| text.to_str()?.parse().ok());
    given.unwrap_or(EVENTS)
}

/// Line `n` of the flood: a principal and an address nobody saw before read one secret, within an
/// hour in all.
fn fake(n: u64, count: u64) -> String {
    let nanos = n * 3_600_000_000_000 / count.max(1);
    let (secs, nanos) = (nanos / 1_000_000_000, nanos % 1_000_000_000);
    let (b, c, d) = (n >> 16 & 255, n >> 8 & 255, n & 255);
    format!(
        "{{\"time\":\"2025-03-19T00:{:02}:{:02}.{nanos:09}Z\",\"type\":\"response\",\"auth\":{{\"display_name\":\"x{n}\",\"entity_id\":\"fake-{n}\",\"policy_results\":{{\"allowed\":true}}}},\
         \"request\":{{\"id\":\"flood-{n}\",\"operation\":\"read\",\"mount_type\":\"kv\",\"mount_point\":\"secret/\",\"path\":\"secret/data/s{}\",\"remote_address\":\"{}.{b}.{c}.{d}\"}},\
         \"response\":{{\"mount_type\":\"kv\",\"data\":{{\"data\":{{\"k\":\"hmac-sha256:00\"}}}}}}}}",
        secs / 60 % 60,
        secs % 60,
        n % 5000,
        20 + (n >> 24 & 127)
    )
}

/// The past of a victim, the first half of an attack, the flood, the second half.
fn files(folder: &Path, count: u64) -> Vec<PathBuf> {
    let lines = |log: Log| log.in_order().records.into_iter().map(|record| record.json.to_string());
    let victim = Who::workload("reports");
    let mut past = Log::new();
    past.history(Provider::Vault, &victim, LATER - HOUR, &["own-a", "own-b"]);
    for n in 0..3 {
        past.fail(Provider::Vault, &victim, LATER - 120 + 30 * n, (&format!("prod-{n}"), Failure::Denied));
    }
    let mut rest = Log::new();
    for n in 3..7 {
        rest.fail(Provider::Vault, &victim, LATER + 30 * n, (&format!("prod-{n}"), Failure::Denied));
    }
    rest.read(Provider::Vault, &victim.at("203.0.113.7"), LATER + HOUR, "own-a");
    for record in &mut rest.records {
        let id = record.json.pointer("/request/id").and_then(Value::as_str).unwrap_or_default();
        let id = json!(format!("rest-{id}"));
        set(&mut record.json, "request.id", id);
    }
    vec![
        write(folder, "1-past.jsonl", lines(past)),
        write(folder, "2-flood.jsonl", (0..count).map(|n| fake(n, count))),
        write(folder, "3-rest.jsonl", lines(rest)),
    ]
}

fn on_victim<'r>(replay: &'r Replay, rule: &str) -> Option<&'r crate::scan::Alert> {
    let names = |alert: &&&crate::scan::Alert| {
        alert.why != Value::Null && !alert.evidence.iter().any(|cited| cited.event.contains("flood"))
    };
    replay.of(&[rule]).iter().find(names).copied()
}

#[test]
fn a_flood_of_invented_principals_hides_no_attack_and_is_said_to_have_filled_the_memory() {
    let folder = tempfile::tempdir().expect("a folder");
    let count = events();
    let replay = scan_files(&files(folder.path(), count), &[]);
    let guessing = on_victim(&replay, "KW-005");
    assert!(
        guessing.is_some_and(|alert| alert.events >= 7),
        "the attack on both sides of the flood:\n{}",
        replay.summary
    );
    assert!(
        on_victim(&replay, "KW-002").is_some(),
        "the victim's baseline was washed away:\n{}",
        replay.summary
    );
    let full = replay.summary.contains("memory limits were reached");
    assert!(full || count < 250_000, "what was let go is not told:\n{}", replay.summary);
}
