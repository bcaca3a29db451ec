//! Hiding behind other things: noise, errors, agents, challenges.

use super::{LATER, replay, victim};
use crate::attacks::{all, begins};
use crate::scan::scan;
use crate::scenario::{Failure, HOUR, Log, MINUTE, Provider, Who, set};
use crate::score::Score;
use serde_json::json;
use std::collections::BTreeSet;

/// Names of the attacks that were found.
fn found(log: &Log) -> BTreeSet<String> {
    let score = Score::of(log, &scan(log));
    score.attacks.into_iter().filter(|(_, found)| !found.alerts.is_empty()).map(|(name, _)| name).collect()
}

#[test]
fn no_rule_needs_the_user_agent() {
    let mut log = Log::new();
    for (n, attack) in all().iter().enumerate() {
        attack.stage(&mut log, begins(n));
    }
    let mut log = log.in_order();
    let mut named = found(&log);
    for record in &mut log.records {
        for (here, path) in [
            ("/userAgent", "userAgent"),
            (
                "/protoPayload/requestMetadata/callerSuppliedUserAgent",
                "protoPayload.requestMetadata.callerSuppliedUserAgent",
            ),
            ("/properties/clientInfo", "properties.clientInfo"),
        ] {
            let service = record
                .json
                .pointer(here)
                .is_none_or(|agent| agent.as_str().is_some_and(|text| text.ends_with(".amazonaws.com")));
            if !service {
                set(&mut record.json, path, json!("Boto3/1.34.0"));
            }
        }
    }
    // The rule about tools that give themselves away is the only one that adds something.
    assert!(named.remove("aws hostile tool"), "the hostile tool itself was not found");
    let unnamed = found(&log);
    let lost: Vec<&String> = named.difference(&unnamed).collect();
    assert!(lost.is_empty(), "found only with the attacker's own user agent: {lost:?}");
}

#[test]
fn a_noisy_client_does_not_hide_an_attack_under_its_name() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "noisy");
    for n in 0..60 {
        log.fail(Provider::Aws, &who, LATER + n * MINUTE, (&format!("old-{}", n % 3), Failure::Denied));
    }
    log.attack("under its name", |log| {
        let thief = who.at("203.0.113.7").with("python-requests/2.31");
        for n in 0..8 {
            log.fail(
                Provider::Aws,
                &thief,
                LATER + 30 * MINUTE + n * 20,
                (&format!("prod-{n}"), Failure::Denied),
            );
        }
    });
    let seen = replay(log);
    let score = Score::of(&seen.log, &seen.replay);
    assert!(
        score.missed().is_empty(),
        "the client's open incident hides the attack:\n{}",
        seen.replay.table()
    );
}

#[test]
fn denials_among_a_thousand_throttled_calls_are_counted_apart() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Azure, "busy");
    for n in 0..500 {
        log.fail(Provider::Azure, &who, LATER + n, ("own-a", Failure::Throttled));
    }
    log.attack("cover", |log| {
        for n in 0..6 {
            log.fail(Provider::Azure, &who, LATER + n * 70, (&format!("prod-{n}"), Failure::Denied));
        }
    });
    let seen = replay(log);
    let alerts = seen.found(&["KW-005"], "critical");
    assert!(alerts.iter().all(|alert| alert.events <= 6), "throttled calls count:\n{}", seen.replay.table());
}

#[test]
fn a_storm_of_throttled_calls_alone_raises_nothing() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Gcp, "busy");
    for n in 0..300 {
        log.fail(Provider::Gcp, &who, LATER + 2 * n, (&format!("own-{}", n % 12), Failure::Throttled));
    }
    replay(log).silent(&[]);
}

#[test]
fn answered_challenges_are_nothing_and_do_not_hide_denials() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Azure, "api");
    for n in 0..40 {
        log.challenge(&who, LATER + n * 30, "own-a");
        log.read(Provider::Azure, &who, LATER + n * 30 + 1, "own-a");
    }
    log.attack("behind challenges", |log| {
        let thief = who.at("203.0.113.7");
        for n in 0..7 {
            log.challenge(&thief, LATER + n * 40, &format!("prod-{n}"));
            log.fail(Provider::Azure, &thief, LATER + n * 40 + 1, (&format!("prod-{n}"), Failure::Denied));
        }
    });
    let seen = replay(log);
    seen.found(&["KW-005"], "critical");
    let alerts = seen.replay.of(&["KW-003"]);
    assert!(alerts.is_empty(), "answered challenges are taken for failures:\n{}", seen.replay.table());
}

#[test]
fn a_flood_of_warnings_does_not_bury_a_critical_alert() {
    let mut log = Log::new();
    for n in 0..1500_i64 {
        let who = Who::person(&format!("nobody{n}")).at(&format!("198.18.{}.{}", n / 250, n % 250));
        log.console_login(&who, LATER + n, (false, true));
    }
    log.attack("buried", |log| log.delete(Provider::Aws, &Who::person("mallory"), LATER + 700, "prod-db"));
    replay(log).found(&["KW-004"], "critical");
}

#[test]
fn a_permission_that_spreads_slowly_is_no_failed_authentication() {
    let mut log = Log::new();
    let who = Who::workload("provisioner");
    log.history(Provider::Aws, &who, LATER - HOUR, &["own-a"]);
    for n in 0..2 {
        log.aws_error(&who, LATER + 5 * n, "sts AssumeRole", ("AccessDenied", serde_json::Value::Null));
    }
    log.aws_with(&who, LATER + 13, "sts AssumeRole", json!({"roleArn": "arn:aws:iam::111122223333:role/r"}));
    replay(log).silent(&["KW-003"]);
}
