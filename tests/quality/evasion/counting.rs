//! Making one read look like many, or many like one or none.

use super::{LATER, replay, victim};
use crate::scenario::{ACCOUNT, DAY, Failure, Log, MINUTE, Provider, Who, secret_arn, set};
use serde_json::json;

#[test]
fn a_batch_counts_every_name_in_it() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("batch", |log| {
        for call in 0..2 {
            let names: Vec<String> = (0..10).map(|n| format!("prod-{call}-{n}")).collect();
            log.aws_with(
                &who,
                LATER + call,
                "secretsmanager BatchGetSecretValue",
                json!({"secretIdList": names}),
            );
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn a_batch_by_filter_is_taken_for_all_it_may_return() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("filter", |log| {
        let asked = json!({"filters": [{"key": "name", "values": ["!zzz"]}], "maxResults": 20});
        log.aws_with(&who, LATER, "secretsmanager BatchGetSecretValue", asked);
    });
    replay(log).found(&["KW-104"], "high");
}

#[test]
fn a_narrow_batch_is_told_of_in_a_store_nobody_watched_before() {
    let mut log = Log::new();
    log.attack("narrow", |log| {
        let asked = json!({"filters": [{"key": "name", "values": ["prod/payments"]}]});
        log.aws_with(&Who::workload("reports"), MINUTE, "secretsmanager BatchGetSecretValue", asked);
    });
    replay(log).found(&["KW-104w"], "warning");
}

#[test]
fn all_parameters_below_the_root_are_taken_for_a_catch_all() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("path", |log| {
        let asked = json!({"path": "/", "recursive": true, "withDecryption": true});
        log.aws_with(&who, LATER, "ssm GetParametersByPath", asked);
    });
    replay(log).found(&["KW-104"], "high");
}

#[test]
fn parameters_below_another_path_than_every_day_are_told_of() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    let below = |path: &str| json!({"path": path, "recursive": true, "withDecryption": true});
    for day in 0..18 {
        log.aws_with(&who, day * DAY, "ssm GetParametersByPath", below("/app/"));
    }
    log.attack("path", |log| log.aws_with(&who, LATER, "ssm GetParametersByPath", below("/prod/")));
    replay(log).found(&["KW-104p"], "warning");
}

#[test]
fn a_batch_by_another_filter_than_every_day_is_told_of() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    let named = |prefix: &str| json!({"filters": [{"key": "name", "values": [prefix]}]});
    for day in 0..18 {
        log.aws_with(&who, day * DAY, "secretsmanager BatchGetSecretValue", named("app/"));
    }
    log.attack("filter", |log| {
        log.aws_with(&who, LATER, "secretsmanager BatchGetSecretValue", named("prod/"));
    });
    replay(log).found(&["KW-104f"], "warning");
}

#[test]
fn two_calls_of_ten_parameters_are_twenty_reads() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("parameters", |log| {
        for call in 0..2 {
            let names: Vec<String> = (0..10).map(|n| format!("/prod/{call}/{n}")).collect();
            log.aws_with(
                &who,
                LATER + call,
                "ssm GetParameters",
                json!({"names": names, "withDecryption": true}),
            );
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

/// A secret by name, by ARN and by ARN without the suffix.
fn spellings(who: &Who, secret: &str) -> [String; 3] {
    let arn = secret_arn(who, secret);
    let partial = format!("arn:aws:secretsmanager:eu-west-1:{ACCOUNT}:secret:{secret}");
    [secret.to_owned(), arn, partial]
}

#[test]
fn spelling_a_name_three_ways_makes_no_more_secrets_of_it() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    for n in 0..6 {
        for (m, id) in (0..).zip(spellings(&who, "own-a")) {
            log.aws_with(&who, LATER + n * 20 + m, "secretsmanager GetSecretValue", json!({"secretId": id}));
        }
    }
    replay(log).silent(&[]);
}

#[test]
fn spelling_a_missing_name_three_ways_is_one_misconfigured_client() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    for n in 0..2 {
        for (m, id) in (0..).zip(spellings(&who, "gone")) {
            log.fail(Provider::Aws, &who, LATER + n * 20 + m, (&id, Failure::Missing));
        }
    }
    replay(log).silent(&["KW-005"]);
}

#[test]
fn alternating_name_and_arn_does_not_halve_the_count() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("spelled", |log| {
        for n in 0..14 {
            let [name, arn, _] = spellings(&who, &format!("prod-{n}"));
            let id = if n % 2 == 0 { name } else { arn };
            log.aws_with(&who, LATER + n * 5, "secretsmanager GetSecretValue", json!({"secretId": id}));
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn reads_spread_over_regions_count_together() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("hop", |log| {
        let regions = ["us-east-1", "us-west-2", "ap-south-1", "sa-east-1", "ca-central-1"];
        for n in 0..15_i32 {
            let region = regions.into_iter().cycle().nth(n.unsigned_abs() as usize).unwrap_or("us-east-1");
            log.read(Provider::Aws, &who.region(region), LATER + i64::from(n) * 30, &format!("prod-{n}"));
        }
    });
    let seen = replay(log);
    seen.found(&["KW-102"], "critical");
    seen.found(&["KW-116"], "high");
}

#[test]
fn reads_in_replicas_of_one_secret_are_reads_in_many_regions() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("replicas", |log| {
        for (n, region) in (0..).zip(["us-east-1", "us-west-2", "ap-south-1", "sa-east-1"]) {
            log.read(Provider::Aws, &who.region(region), LATER + n * 2 * MINUTE, "own-a");
        }
    });
    replay(log).found(&["KW-116"], "high");
}

#[test]
fn guessing_paths_in_vault_without_a_list_counts_as_failing() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("paths", |log| {
        for n in 0..8 {
            log.fail(Provider::Vault, &who, LATER + n * 45, (&format!("team/{n}/db"), Failure::Missing));
        }
    });
    replay(log).found(&["KW-005"], "critical");
}

#[test]
fn a_list_without_names_in_vault_is_a_list_all_the_same() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("elided", |log| {
        log.list(Provider::Vault, &who, LATER);
        if let Some(last) = log.records.last_mut() {
            set(&mut last.json, "response.data.keys", json!(412));
        }
        for n in 0..4 {
            log.read(Provider::Vault, &who, LATER + 60 + 30 * n, &format!("prod-{n}"));
        }
    });
    replay(log).found(&["KW-103"], "high");
}
