//! Credentials that change with every call, and values that leave by another door.

use super::{LATER, replay, victim};
use crate::scenario::aws::via;
use crate::scenario::vault::hashed;
use crate::scenario::{Answer, DAY, HOUR, Log, MINUTE, Provider, Who, secret_arn, set};
use serde_json::{Value, json};

#[test]
fn a_wrapped_read_counts_as_a_read() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("wrapped", |log| {
        for n in 0..15 {
            let path = format!("secret/data/prod-{n}");
            let wrap = json!({"wrap_info": {"ttl": 120, "token": hashed("w"), "accessor": hashed("a"), "creation_path": path}, "mount_type": "kv"});
            log.vault(&who, LATER + 10 * n, ("read", &path), Answer::Whole(wrap));
            if let Some(last) = log.records.last_mut() {
                set(&mut last.json, "request.wrap_ttl", json!(120));
            }
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn a_token_for_every_read_is_one_identity_all_the_same() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Vault, "reports");
    log.attack("tokens", |log| {
        for n in 0..15 {
            let fresh = who.session(&format!("token-{n}"));
            let mut auth = fresh.auth(true);
            set(&mut auth, "token_type", json!("batch"));
            if let Some(fields) = auth.as_object_mut() {
                fields.remove("accessor");
            }
            let path = format!("secret/data/prod-{n}");
            log.vault_entry(&fresh, LATER + 12 * n, ("read", &path, Value::Null, auth), Answer::secret());
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn a_role_without_entity_is_grouped_by_its_role_name() {
    let mut log = Log::new();
    let who = Who::workload("legacy-role");
    log.attack("no entity", |log| {
        for n in 0..15 {
            let fresh = who.session(&format!("secret-id-{n}"));
            let mut auth = fresh.auth(true);
            if let Some(fields) = auth.as_object_mut() {
                fields.remove("entity_id");
            }
            let path = format!("secret/data/prod-{n}");
            log.vault_entry(&fresh, LATER + 12 * n, ("read", &path, Value::Null, auth), Answer::secret());
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn a_session_for_every_read_is_one_role_all_the_same() {
    let mut log = Log::new();
    let who = victim(&mut log, Provider::Aws, "reports");
    log.attack("sessions", |log| {
        for n in 0..15 {
            log.read(Provider::Aws, &who.session(&format!("s-{n}")), LATER + 12 * n, &format!("prod-{n}"));
        }
    });
    replay(log).found(&["KW-102"], "critical");
}

#[test]
fn a_stolen_ciphertext_decrypted_by_a_stranger_is_seen_at_the_key() {
    let mut log = Log::new();
    let app = Who::workload("db-backup");
    for day in 0..18 {
        log.aws_decrypt(&app, day * DAY + 3 * HOUR, &json!({"aws:rds:db-id": "db-1"}));
    }
    log.attack("ciphertext", |log| log.aws_decrypt(&Who::workload("stranger"), LATER, &json!({})));
    replay(log).found(&["KW-121"], "warning");
}

#[test]
fn a_service_that_reads_for_the_thief_is_new_to_the_secret() {
    for service in [
        "cloudformation.amazonaws.com",
        "ecs-tasks.amazonaws.com",
        "glue.amazonaws.com",
        "codebuild.amazonaws.com",
    ] {
        let mut log = Log::new();
        let who = victim(&mut log, Provider::Aws, "deployer");
        log.attack("service", |log| {
            let arn = secret_arn(&who, "own-a");
            let record = log.aws(&who, LATER, "secretsmanager GetSecretValue");
            set(record, "requestParameters", json!({"secretId": arn}));
            via(record, service);
        });
        replay(log).found(&["KW-137"], "warning");
    }
}

#[test]
fn a_machines_credential_used_elsewhere_is_found() {
    let mut log = Log::new();
    let who = Who::workload("web").session("i-0a1b2c3d4e5f60718");
    log.history(Provider::Aws, &who, LATER - HOUR, &["web/session"]);
    log.read(Provider::Aws, &who, LATER + MINUTE, "web/session");
    log.attack("credential", |log| {
        log.read(Provider::Aws, &who.at("203.0.113.7"), LATER + 10 * MINUTE, "web/session");
    });
    replay(log).found(&["KW-112"], "high");
}
