//! A company without machines of its own: functions that come from everywhere, and start in storms.

use super::{DAYS, check, workdays};
use crate::scenario::{DAY, HOUR, Log, MINUTE, Provider, Who, secret_arn};
use serde_json::json;

const RUNTIMES: [&str; 3] = [
    "aws-sdk-nodejs/3.600 os/linux lang/js exec-env/AWS_Lambda_nodejs20.x",
    "Boto3/1.34.1 md/Botocore exec-env/AWS_Lambda_python3.12",
    "aws-sdk-java/2.25 exec-env/AWS_Lambda_java21",
];

/// A function's start, from any address of the provider's.
fn start(log: &mut Log, n: i64, at: i64) {
    let name = format!("fn-{n}-role");
    let ip = format!("198.18.{}.{}", log.random.below(256), 1 + log.random.below(250));
    let agent = RUNTIMES.get(usize::try_from(n % 3).unwrap_or(0)).copied().unwrap_or("");
    let region = if n % 4 == 0 { "us-east-1" } else { "eu-west-1" };
    let who = Who::workload(&name).session(&format!("fn-{n}")).at(&ip).with(agent).region(region);
    let names = [format!("svc-{n}-db"), format!("svc-{n}-api")];
    match n % 3 {
        0 => names.iter().for_each(|name| log.read(Provider::Aws, &who, at, name)),
        1 => {
            let path = json!({"path": format!("/svc/{n}/"), "recursive": true, "withDecryption": true});
            log.aws_with(&who, at, "ssm GetParametersByPath", path);
        }
        _ => {
            let ids: Vec<String> = names.iter().map(|name| secret_arn(&who, name)).collect();
            log.aws_with(&who, at, "secretsmanager BatchGetSecretValue", json!({"secretIdList": ids}));
        }
    }
}

/// Fifteen functions; one more on days 10, 16 and 22.
fn functions(log: &mut Log) {
    for day in 0..DAYS {
        let made: i64 = [10, 16, 22].map(|made| i64::from(day >= made)).iter().sum();
        for n in 0..15 + made {
            for round in 0..8 {
                let at = day * DAY + round * 3 * HOUR + log.random.secs(2 * HOUR);
                start(log, n, at);
            }
        }
    }
}

/// Traffic comes at once: one function starts sixty times within two minutes.
fn storms(log: &mut Log) {
    for day in (2..DAYS).step_by(3) {
        for n in 0..60 {
            start(log, day % 15, day * DAY + 19 * HOUR + 2 * n);
        }
    }
}

/// Cloud Run reads from Google's own network, and each revision needs one secret more.
fn cloud_run(log: &mut Log) {
    for n in 0..6 {
        let who = Who::workload(&format!("run-{n}")).at("private");
        for day in 0..DAYS {
            for round in 0..6 {
                let at = day * DAY + round * 4 * HOUR + log.random.secs(3 * HOUR);
                log.read(Provider::Gcp, &who, at, &format!("run-{n}-db"));
                log.read(Provider::Gcp, &who, at + 1, &format!("run-{n}-rev-{}", (day + n) / 7));
            }
        }
    }
}

/// Developers look at settings in the console, and at one value when something is broken.
fn developers(log: &mut Log) {
    for (n, name) in (0..).zip(["dora", "emil", "frida", "gustav"]) {
        let who = Who::person(name).with("Mozilla/5.0 (X11; Linux x86_64) Firefox/128.0");
        for day in workdays() {
            let at = day * DAY + 9 * HOUR + log.random.secs(7 * HOUR);
            log.console_login(&who, at, (true, true));
            log.aws(&who, at + MINUTE, "secretsmanager ListSecrets");
            let secret = format!("svc-{}-db", (day * 5 + n) % 15);
            let arn = secret_arn(&who, &secret);
            log.aws_with(&who, at + 2 * MINUTE, "secretsmanager DescribeSecret", json!({"secretId": arn}));
            if day % 4 == n {
                log.read(Provider::Aws, &who, at + 3 * MINUTE, &secret);
            }
        }
    }
}

#[test]
fn functions_that_come_from_everywhere_are_silent() {
    let play = |log: &mut Log| {
        functions(log);
        storms(log);
        cloud_run(log);
        developers(log);
    };
    // Each new function once, and its first read below a path.
    check("serverless company", play, &[("KW-114p", 3), ("KW-104v", 1)]);
}
