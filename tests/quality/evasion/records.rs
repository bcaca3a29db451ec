//! Records that are hostile themselves: misdated, poisoned, cut, doubled.

use super::{LATER, replay, victim};
use crate::scan::{scan, write};
use crate::scenario::{Failure, Log, Provider, Who, set};
use serde_json::json;
use std::process::Command;

/// Seven denied reads, one a minute.
fn guessing(log: &mut Log, who: &Who) {
    log.attack("guessing", |log| {
        for n in 0..7 {
            log.fail(Provider::Aws, who, LATER + n * 60, (&format!("prod-{n}"), Failure::Denied));
        }
    });
}

#[test]
fn a_record_from_the_future_moves_no_window() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    guessing(&mut log, &who);
    let alone = scan(&log.in_order());
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    guessing(&mut log, &who);
    let mut log = log.in_order();
    let mut forged = Log::new();
    log.records.iter().rev().take(3).rev().for_each(|record| forged.records.push(record.clone()));
    log.records.truncate(log.records.len() - 3);
    log.read(Provider::Aws, &who, LATER + 200, "own-a");
    for record in log.records.iter_mut().rev().take(2) {
        set(&mut record.json, "eventTime", json!("2099-01-01T00:00:00Z"));
    }
    log.records.extend(forged.records);
    let disturbed = scan(&log);
    let alerts = |replay: &crate::scan::Replay| -> Vec<(String, String, u64)> {
        replay
            .of(&["KW-005"])
            .iter()
            .map(|alert| (alert.id.clone(), alert.level.clone(), alert.events))
            .collect()
    };
    assert!(!alerts(&alone).is_empty(), "{}", alone.table());
    assert_eq!(alerts(&alone).len(), alerts(&disturbed).len(), "{}", disturbed.table());
    assert!(disturbed.of(&["KW-005"]).iter().any(|alert| alert.events == 7), "{}", disturbed.table());
}

/// Text that breaks terminals, pages and logs.
const POISON: &str =
    "\u{1b}[2J\u{1b}]0;owned\u{7}</script><img src=x>\r\nAug 1 forged line\u{202e}gnp.exe\u{0}{\"json\":1}";

#[test]
fn poisoned_names_are_found_and_cannot_break_the_output() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports").with(POISON);
    let huge = who.with(&format!("{POISON}{}", "A".repeat(1_000_000)));
    log.attack("poison", |log| {
        for n in 0..7 {
            let who = if n == 6 { &huge } else { &who };
            log.fail(Provider::Aws, who, LATER + n * 60, (&format!("{POISON}{n}"), Failure::Denied));
        }
    });
    let seen = replay(log);
    seen.found(&["KW-005"], "critical");
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "a.jsonl", seen.log.records.iter().map(|record| record.json.to_string()));
    for format in ["table", "ndjson", "json"] {
        let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
        let output = command.args(["scan", "--format", format]).arg(&file).output().expect("it starts");
        let text = String::from_utf8(output.stdout).expect("text");
        // JSON is data: what shows it has to isolate directions; the table is what people see.
        let turned = format == "table" && text.contains('\u{202e}');
        let broken = turned || text.chars().any(|c| c.is_control() && c != '\n');
        assert!(!broken, "{format}: a control character came through");
        assert!(text.len() < 2_000_000, "{format}: a megabyte of user agent came through");
    }
}

#[test]
fn a_call_whose_parameters_were_left_out_is_not_taken_for_harmless() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("omitted", |log| {
        let record = log.aws(&who, LATER, "secretsmanager PutResourcePolicy");
        set(
            record,
            "requestParameters",
            json!({"omitted": true, "originalSize": 183_392, "reason": "size limit exceeded"}),
        );
    });
    let seen = replay(log);
    seen.found(&["KW-"], "warning");
}

#[test]
fn every_record_twice_changes_no_alert() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("guessing", |log| {
        for n in 0..7 {
            log.fail(Provider::Vault, &who, LATER + n * 60, (&format!("prod-{n}"), Failure::Denied));
        }
    });
    let once = log.in_order();
    let mut twice = Log::new();
    for record in &once.records {
        // A second device hashes with its own salt: same request, other bytes.
        let mut copy = record.clone();
        if let Some(text) = copy.json.pointer("/request/client_token").cloned() {
            let other = text.as_str().unwrap_or_default().replace('0', "f");
            set(&mut copy.json, "request.client_token", json!(other));
        }
        twice.records.push(record.clone());
        twice.records.push(copy);
    }
    let ids = |log: &Log| -> Vec<(String, u64)> {
        scan(log).alerts.iter().map(|alert| (alert.id.clone(), alert.events)).collect()
    };
    let first = ids(&once);
    assert!(!first.is_empty());
    assert_eq!(first, ids(&twice));
}
