//! Four weeks of everyday work that looks like attacks to a naive rule.

use crate::scenario::aws::via;
use crate::scenario::{DAY, Failure, HOUR, Log, MINUTE, PROVIDERS, Provider, Who, secret_arn, set};
use serde_json::{Value, json};

/// Days of everyday work.
pub(crate) const DAYS: i64 = 28;
/// Secrets the nightly backup and Terraform go through.
const SECRETS: i64 = 24;

/// A kind of everyday work, by name.
pub(crate) type Habit = (&'static str, fn(&mut Log));

/// All kinds.
pub(crate) const HABITS: &[Habit] = &[
    ("known roles", known_roles),
    ("nightly backup", nightly_backup),
    ("terraform", terraform),
    ("ci bursts", ci_bursts),
    ("traveller", traveller),
    ("functions without an address of their own", functions),
    ("retry storms", retry_storms),
    ("permissions that spread slowly", propagation),
    ("azure challenges", challenges),
    ("key use by services", service_echoes),
    ("rotation", rotation),
    ("logins", logins),
    ("people at work", people),
];

/// Everything above, and deletions that were planned.
pub(crate) fn company(log: &mut Log) {
    for (_, habit) in HABITS {
        habit(log);
    }
    planned_deletions(log);
}

fn name(n: i64) -> String {
    format!("app-{n}-key")
}

fn known_roles(log: &mut Log) {
    for provider in PROVIDERS {
        for n in 0..4 {
            let who = Who::workload(&format!("app-{n}"));
            for day in 0..DAYS {
                for round in 0..3 {
                    let jitter = log.random.secs(40 * MINUTE);
                    let at = day * DAY + (6 + 5 * round) * HOUR + n * 7 * MINUTE + jitter;
                    log.read(provider, &who, at, &name(n));
                    log.read(provider, &who, at + 2, &name(n + 4));
                }
            }
        }
    }
}

fn nightly_backup(log: &mut Log) {
    let who = Who::workload("nightly-backup");
    for day in 0..DAYS {
        let start = day * DAY + 2 * HOUR + log.random.secs(5 * MINUTE);
        for provider in [Provider::Aws, Provider::Vault] {
            log.list(provider, &who, start);
            for n in 0..SECRETS {
                log.read(provider, &who, start + 10 + 6 * n, &name(n));
            }
        }
    }
}

fn terraform(log: &mut Log) {
    let who = Who::workload("terraform").with("APN/1.0 HashiCorp/1.0 Terraform/1.9.5");
    for day in (0..DAYS).filter(|day| day % 7 < 5) {
        let start = day * DAY + 10 * HOUR + log.random.secs(HOUR);
        log.list(Provider::Aws, &who, start);
        for n in 0..SECRETS {
            let arn = secret_arn(&who, &name(n));
            log.aws_with(&who, start + n, "secretsmanager DescribeSecret", json!({"secretId": arn}));
            log.aws_with(&who, start + n, "secretsmanager GetResourcePolicy", json!({"secretId": arn}));
            log.read(Provider::Aws, &who, start + n + 1, &name(n));
            log.read(Provider::Gcp, &who, start + n + 1, &name(n));
        }
    }
}

fn ci_bursts(log: &mut Log) {
    for day in (0..DAYS).filter(|day| day % 7 < 5) {
        for build in 0..6 {
            let at = day * DAY + 8 * HOUR + build * 95 * MINUTE + log.random.secs(20 * MINUTE);
            let ip = format!("198.18.{}.{}", log.random.below(200), 1 + log.random.below(250));
            let who = Who::workload("ci").session(&format!("build-{day}-{build}")).at(&ip);
            for n in 0..5 {
                log.read(Provider::Aws, &who, at + 3 * n, &format!("ci-{n}"));
            }
        }
    }
}

/// A person whose address changes on two trips.
fn traveller(log: &mut Log) {
    let home = Who::person("ingrid").at("198.51.100.20");
    for day in 0..DAYS {
        let who = match day {
            15..=17 => home.at("203.0.113.120"),
            22..=23 => home.at("192.0.2.201"),
            _ => home.clone(),
        };
        let at = day * DAY + 9 * HOUR + log.random.secs(6 * HOUR);
        log.read(Provider::Azure, &who, at, "ingrid-db");
        log.read(Provider::Azure, &who, at + 30 * MINUTE, "ingrid-mail");
    }
}

fn functions(log: &mut Log) {
    for day in 0..DAYS {
        for hour in 0..8 {
            let ip = format!("198.18.{}.{}", log.random.below(256), 1 + log.random.below(250));
            let who = Who::workload("thumbnailer").session(&format!("fn-{hour}")).at(&ip);
            let at = day * DAY + hour * 3 * HOUR + log.random.secs(HOUR);
            log.read(Provider::Aws, &who, at, "thumb-key");
            log.read(Provider::Gcp, &Who::workload("cloud-fn").at(&ip), at + 9 * MINUTE, "fn-key");
        }
    }
}

/// Throttled reads that are repeated, and a client that asks for one missing name for weeks.
fn retry_storms(log: &mut Log) {
    let busy = Who::workload("busy");
    log.history(Provider::Aws, &busy, DAYS * DAY, &["busy-a"]);
    for day in [8, 18, 25] {
        for n in 0..60 {
            log.fail(Provider::Aws, &busy, day * DAY + 13 * HOUR + 2 * n, ("busy-a", Failure::Throttled));
            log.fail(Provider::Azure, &busy, day * DAY + 14 * HOUR + 2 * n, ("busy-a", Failure::Throttled));
        }
    }
    let lost = Who::workload("misconfigured");
    for day in 0..DAYS {
        for hour in 0..12 {
            log.fail(
                Provider::Gcp,
                &lost,
                day * DAY + hour * 2 * HOUR,
                ("removed-last-year", Failure::Missing),
            );
        }
    }
}

/// A role assumption is refused twice and works seconds later.
fn propagation(log: &mut Log) {
    let who = Who::workload("provisioner");
    log.history(Provider::Aws, &who, DAYS * DAY, &["prov-a"]);
    for day in [6, 12, 19, 26] {
        let at = day * DAY + 11 * HOUR;
        for n in 0..2 {
            log.aws_error(&who, at + 5 * n, "sts AssumeRole", ("AccessDenied", Value::Null));
        }
        let role = json!({"roleArn": "arn:aws:iam::111122223333:role/fresh", "roleSessionName": "setup"});
        log.aws_with(&who, at + 12, "sts AssumeRole", role);
    }
}

fn challenges(log: &mut Log) {
    for n in 0..3 {
        let who = Who::workload(&format!("azure-app-{n}"));
        for day in 0..DAYS {
            for round in 0..4 {
                let at = day * DAY + round * 5 * HOUR + n * 11 * MINUTE + log.random.secs(10 * MINUTE);
                log.challenge(&who, at, &name(n));
                log.read(Provider::Azure, &who, at, &name(n));
            }
        }
    }
}

/// Storage and database services decrypt for an application all day.
fn service_echoes(log: &mut Log) {
    let who = Who::workload("app-0");
    for day in 0..DAYS {
        for n in 0..6 {
            let at = day * DAY + (7 + 2 * n) * HOUR + log.random.secs(HOUR);
            let record = log.aws(&who, at, "kms Decrypt");
            set(
                record,
                "requestParameters",
                json!({"encryptionContext": {"aws:s3:arn": "arn:aws:s3:::orders"}}),
            );
            via(record, "s3.amazonaws.com");
        }
    }
}

fn rotation(log: &mut Log) {
    let who = Who::workload("rotation-lambda").session("SecretsManagerRotation");
    for day in 0..DAYS {
        let (secret, at) = (name(day % 4), day * DAY + 4 * HOUR + log.random.secs(HOUR));
        log.read(Provider::Aws, &who, at, &secret);
        log.aws_with(
            &who,
            at + 5,
            "secretsmanager PutSecretValue",
            json!({"secretId": secret, "versionStages": ["AWSPENDING"]}),
        );
        log.read(Provider::Aws, &who, at + 20, &secret);
        log.aws_with(
            &who,
            at + 30,
            "secretsmanager UpdateSecretVersionStage",
            json!({"secretId": secret, "versionStage": "AWSCURRENT"}),
        );
    }
}

fn logins(log: &mut Log) {
    for day in 0..DAYS {
        let at = day * DAY + 8 * HOUR + log.random.secs(HOUR);
        log.console_login(&Who::person("ada"), at, (true, true));
        log.vault_login(&Who::person("judy"), at + 60, "auth/userpass/login/judy");
        let role = json!({"roleArn": "arn:aws:iam::111122223333:role/app-0", "roleSessionName": "ada"});
        log.aws_with(&Who::person("ada"), at + 120, "sts AssumeRole", role);
    }
}

/// People look up what they need, in office hours, now and then something new.
fn people(log: &mut Log) {
    for (n, person) in (0..).zip(["ada", "bob", "carol"]) {
        for day in (0..DAYS).filter(|day| day % 7 < 5) {
            let who = Who::person(person);
            let at = day * DAY + 9 * HOUR + log.random.secs(7 * HOUR);
            for provider in PROVIDERS {
                log.read(provider, &who, at + 60 * n, &name(n));
            }
            if day % 10 == 4 + n {
                log.read(Provider::Aws, &who, at + 5 * MINUTE, &format!("looked-up-{day}"));
            }
        }
    }
}

fn planned_deletions(log: &mut Log) {
    let who = Who::person("ada");
    for (n, provider) in (0..).zip(PROVIDERS) {
        log.approved(|log| log.delete(provider, &who, (17 + 2 * n) * DAY + 15 * HOUR, "retired-key"));
    }
}
