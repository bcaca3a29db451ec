//! A platform team that does everything with Terraform, from runners that are never the same.

use super::{check, workdays};
use crate::scenario::{Answer, DAY, HOUR, Log, MINUTE, PROJECT, Provider, Who, secret_arn};
use serde_json::json;

const AGENT: &str = "APN/1.0 HashiCorp/1.0 Terraform/1.9.5 (+https://www.terraform.io) aws-sdk-go-v2/1.30";

fn runner(log: &mut Log, name: &str, run: i64) -> Who {
    let ip = format!("198.18.{}.{}", log.random.below(256), 1 + log.random.below(250));
    Who::workload(name).session(&format!("run-{run}")).at(&ip).with(AGENT)
}

/// The secrets of a workspace on a day: one more each four days.
fn secrets(workspace: i64, day: i64) -> impl Iterator<Item = String> {
    (0..20 + day / 4).map(move |n| format!("ws{workspace}-{n}"))
}

/// A plan reads the state of everything.
fn plan(log: &mut Log, who: &Who, (workspace, at): (i64, i64)) {
    let day = at / DAY;
    for (n, name) in (0..).zip(secrets(workspace, day)) {
        let arn = secret_arn(who, &name);
        log.aws_with(who, at + n / 4, "secretsmanager DescribeSecret", json!({"secretId": arn}));
        log.aws_with(who, at + n / 4, "secretsmanager GetResourcePolicy", json!({"secretId": arn}));
        log.read(Provider::Aws, who, at + n / 4, &name);
    }
    log.aws_with(who, at + 9, "iam GetRole", json!({"roleName": format!("ws{workspace}-app")}));
    log.aws_with(who, at + 9, "kms GetKeyPolicy", json!({"keyId": "alias/app", "policyName": "default"}));
    for n in 0..8 {
        log.read(Provider::Azure, who, at + 12 + n, &format!("ws{workspace}-az-{n}"));
        log.read(Provider::Gcp, who, at + 12 + n, &format!("ws{workspace}-gcp-{n}"));
    }
}

/// Five workspaces, each planned three times a day, each with a role of its own; one of them is made
/// on day 12.
fn plans(log: &mut Log) {
    for day in workdays() {
        for workspace in (0..5).filter(|workspace| *workspace < 4 || day >= 12) {
            for round in 0..3 {
                let at = day * DAY
                    + (8 + 3 * round) * HOUR
                    + workspace * 20 * MINUTE
                    + log.random.secs(10 * MINUTE);
                let who = runner(log, &format!("tf-ws{workspace}"), day * 10 + round);
                plan(log, &who, (workspace, at));
            }
        }
    }
}

/// An apply makes a secret, protects it, and gives its workload a policy.
fn applies(log: &mut Log) {
    for day in workdays().filter(|day| day % 4 == 0 && *day > 0) {
        for workspace in 0..4 {
            let at = day * DAY + 7 * HOUR + workspace * 10 * MINUTE;
            let who = runner(log, &format!("tf-ws{workspace}"), day);
            let name = format!("ws{workspace}-{}", 19 + day / 4);
            log.aws_with(&who, at, "secretsmanager CreateSecret", json!({"name": name}));
            log.aws_with(&who, at + 1, "secretsmanager PutSecretValue", json!({"secretId": name}));
            let policy = json!({"Version": "2012-10-17", "Statement": [{"Effect": "Allow", "Principal": {"AWS": format!("arn:aws:iam::111122223333:role/ws{workspace}-app")}, "Action": "secretsmanager:GetSecretValue", "Resource": "*"}]}).to_string();
            log.aws_with(
                &who,
                at + 2,
                "secretsmanager PutResourcePolicy",
                json!({"secretId": name, "resourcePolicy": policy}),
            );
            let inline = json!({"roleName": format!("ws{workspace}-app"), "policyName": "secrets", "policyDocument": "{\"Statement\":[{\"Effect\":\"Allow\",\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"*\"}]}"});
            log.aws_with(&who, at + 3, "iam PutRolePolicy", inline);
            let grant = json!({"keyId": "alias/app", "granteePrincipal": "arn:aws:iam::111122223333:role/ws-app", "operations": ["Decrypt"]});
            log.aws_with(&who, at + 4, "kms CreateGrant", grant);
            let resource = format!("projects/{PROJECT}/secrets/ws{workspace}-gcp-0");
            let delta = json!({"policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/secretmanager.secretAccessor", "member": format!("serviceAccount:ws-app@{PROJECT}.iam.gserviceaccount.com")}]}});
            let record = log.gsm(&who, at + 5, "SetIamPolicy", &resource);
            crate::scenario::set(record, "protoPayload.serviceData", delta);
        }
    }
}

/// The Vault provider makes a short token for each run and reads with it.
fn vault_runs(log: &mut Log) {
    for day in workdays() {
        for round in 0..4 {
            let at = day * DAY + (9 + 2 * round) * HOUR + log.random.secs(30 * MINUTE);
            let who = runner(log, "tf-vault", day * 10 + round);
            log.vault_login(&who, at, "auth/approle/login");
            let child = json!({"accessor": format!("hmac-sha256:{at:064x}"), "client_token": format!("hmac-sha256:{:064x}", at + 1), "display_name": "approle-terraform", "policies": ["default", "tf-vault"], "token_policies": ["default", "tf-vault"], "token_ttl": 1200, "token_type": "service"});
            log.vault(
                &who,
                at + 1,
                ("update", "auth/token/create"),
                Answer::Whole(json!({"auth": child, "mount_type": "token"})),
            );
            for n in 0..15 {
                log.read(Provider::Vault, &who, at + 3 + n / 3, &format!("ws-{n}"));
            }
            log.vault(&who, at + 60, ("update", "auth/token/revoke-self"), Answer::Done);
        }
    }
}

#[test]
fn a_platform_team_that_applies_all_day_is_told_little() {
    let play = |log: &mut Log| {
        plans(log);
        applies(log);
        vault_runs(log);
    };
    // The workspace made on day 12: its role on each of three clouds, and each of its nine runs in
    // the three days until reading so much is its habit.
    let told = &[("KW-114p", 3), ("KW-102", 9), ("KW-140", 1)];
    check("platform team", play, told);
}
