//! What shows only against a longer past: silence, dormant secrets, unusual volume, joined findings.

use super::{LATER, replay, victim};
use crate::scenario::{Answer, DAY, Failure, HOUR, Log, MINUTE, Provider, Who};

/// A workload that reads one of its two secrets every `pace` seconds from `from` until `until`.
fn steady(log: &mut Log, (provider, name): (Provider, &str), (from, until): (i64, i64), pace: i64) {
    let who = Who::workload(name);
    let mut at = from;
    while at < until {
        let jitter = log.random.secs(pace / 4);
        log.read(provider, &who, at + jitter, if at / pace % 2 == 0 { "own-a" } else { "own-b" });
        at += pace;
    }
}

#[test]
fn a_steady_source_that_goes_quiet_is_told_of() {
    let mut log = Log::new();
    let end = 10 * DAY;
    steady(&mut log, (Provider::Gcp, "cut-off"), (0, end), 15 * MINUTE);
    steady(&mut log, (Provider::Aws, "goes-on"), (0, end + 9 * HOUR), 15 * MINUTE);
    let seen = replay(log);
    let alerts = seen.replay.of(&["KW-133"]);
    assert!(
        alerts.iter().any(|alert| alert.rank() >= 3),
        "nine hours of silence say nothing:\n{}",
        seen.replay.table()
    );
}

#[test]
fn nights_and_weekends_of_an_office_source_are_no_silence() {
    let mut log = Log::new();
    for day in (0..26).filter(|day| day % 7 < 5) {
        steady(
            &mut log,
            (Provider::Azure, "office"),
            (day * DAY + 8 * HOUR, day * DAY + 18 * HOUR),
            12 * MINUTE,
        );
    }
    steady(&mut log, (Provider::Aws, "goes-on"), (0, 26 * DAY), 40 * MINUTE);
    replay(log).silent(&["KW-133"]);
}

#[test]
fn vault_requests_that_are_never_answered_are_told_of() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("blocked", |log| {
        for n in 0..30 {
            log.vault(&who, LATER + 5 * n, ("read", &format!("secret/data/own-{n}")), Answer::Never);
        }
    });
    log.read(Provider::Vault, &who, LATER + HOUR, "own-a");
    replay(log).found(&["KW-133"], "warning");
}

#[test]
fn a_secret_nobody_read_for_ninety_days_is_told_of_when_a_person_reads_it() {
    let mut log = Log::new();
    let app = Who::workload("retired-app");
    log.history(Provider::Aws, &app, 5 * DAY, &["old-master"]);
    let person = Who::person("ada");
    log.history(Provider::Aws, &person, 110 * DAY, &["own-a"]);
    log.attack("dormant", |log| log.read(Provider::Aws, &person, 110 * DAY, "old-master"));
    replay(log).found(&["KW-118"], "warning");
}

#[test]
fn a_volume_far_above_the_usual_is_found_though_no_secret_is_new() {
    let mut log = Log::new();
    let who = Who::workload("indexer");
    for hour in 0..18 * 24 {
        for n in 0..2 {
            let secret = format!("shard-{}", (hour * 2 + n) % 40);
            log.read(Provider::Aws, &who, hour * HOUR + n * 20 * MINUTE, &secret);
        }
    }
    log.attack("volume", |log| {
        for n in 0..30 {
            log.read(Provider::Aws, &who, LATER + n * 118, &format!("shard-{n}"));
        }
    });
    replay(log).found(&["KW-119"], "warning");
}

#[test]
fn two_rules_on_one_principal_become_one_critical_incident() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("joined", |log| {
        let thief = who.at("203.0.113.7");
        log.read(Provider::Aws, &thief, LATER, "own-a");
        for n in 0..7 {
            log.fail(Provider::Aws, &thief, LATER + 60 + 30 * n, (&format!("prod-{n}"), Failure::Denied));
        }
    });
    let seen = replay(log);
    seen.found(&["KW-002"], "warning");
    seen.found(&["KW-005"], "critical");
    seen.found(&["KW-140"], "critical");
}

#[test]
fn a_region_the_store_never_used_is_told_of() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    for name in ["invoices", "orders", "billing"] {
        victim(&mut log, Provider::Aws, name);
    }
    log.attack("far away", |log| log.read(Provider::Aws, &who.region("af-south-1"), LATER, "own-a"));
    replay(log).found(&["KW-116"], "high");
}
