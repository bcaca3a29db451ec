//! Doing the harm without the call everybody watches, or where our log does not reach.

use super::{LATER, replay, victim};
use crate::scenario::{
    Answer, DAY, FOREIGN_ACCOUNT, HOUR, Log, MINUTE, PROJECT, PROVIDERS, Provider, Who, set,
};
use serde_json::json;

/// One call of a person without a past.
fn alone(write: impl FnOnce(&mut Log, &Who)) -> Log {
    let mut log = Log::new();
    log.attack("quiet harm", |log| write(log, &Who::person("mallory")));
    log
}

#[test]
fn a_secret_deleted_in_any_store_is_critical_at_once() {
    for provider in PROVIDERS {
        replay(alone(|log, who| log.delete(provider, who, LATER, "prod-db"))).found(&["KW-004"], "critical");
    }
}

#[test]
fn removing_replicas_is_seen_and_critical_once_the_secret_goes_too() {
    let mut log = alone(|log, who| {
        log.aws_with(
            who,
            LATER,
            "secretsmanager RemoveRegionsFromReplication",
            json!({"secretId": "prod-db", "removeReplicaRegions": ["us-east-1"]}),
        );
    });
    let before = log.records.len();
    log.attack("quiet harm", |log| {
        log.delete(Provider::Aws, &Who::person("mallory"), LATER + 5 * MINUTE, "prod-db");
    });
    let first = Log::of(log.records.iter().take(before).cloned().collect());
    replay(first).found(&["KW-128"], "warning");
    replay(log).found(&["KW-128", "KW-004"], "critical");
}

#[test]
fn a_value_overwritten_by_another_than_the_rotator_is_seen() {
    for call in ["PutSecretValue", "UpdateSecret", "UpdateSecretVersionStage"] {
        let mut log = Log::new();
        let rotator = Who::workload("rotator");
        for day in 0..18 {
            log.aws_with(
                &rotator,
                day * DAY + 2 * HOUR,
                "secretsmanager PutSecretValue",
                json!({"secretId": "prod-db"}),
            );
            log.aws_with(
                &rotator,
                day * DAY + 2 * HOUR + 9,
                "secretsmanager UpdateSecretVersionStage",
                json!({"secretId": "prod-db"}),
            );
        }
        let who = victim(&mut log, Provider::Aws, "reports");
        log.attack("garbage", |log| {
            log.aws_with(&who, LATER, &format!("secretsmanager {call}"), json!({"secretId": "prod-db"}));
        });
        replay(log).found(&["KW-127"], "warning");
    }
}

#[test]
fn rotation_that_is_cancelled_is_seen() {
    let log = alone(|log, who| {
        log.aws_with(who, LATER, "secretsmanager CancelRotateSecret", json!({"secretId": "prod-db"}));
    });
    replay(log).found(&["KW-127"], "warning");
}

#[test]
fn a_secret_made_to_expire_is_a_deletion() {
    for field in ["expireTime", "ttl"] {
        let log = alone(|log, who| {
            let record = log.gsm(who, LATER, "UpdateSecret", &format!("projects/{PROJECT}/secrets/prod-db"));
            let value = if field == "ttl" { json!("3600s") } else { json!("2025-03-22T00:00:00Z") };
            set(
                record,
                "protoPayload.request",
                json!({"secret": {"name": "prod-db", field: value}, "updateMask": field}),
            );
        });
        replay(log).found(&["KW-004"], "critical");
    }
}

#[test]
fn disabling_the_key_is_as_bad_as_deleting_it() {
    let log = alone(|log, who| {
        log.aws_with(who, LATER, "kms DisableKey", json!({"keyId": "6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e"}));
    });
    replay(log).found(&["KW-107"], "critical");
}

#[test]
fn unmounting_an_engine_or_revoking_its_leases_is_a_deletion() {
    for (operation, path) in [
        ("delete", "sys/mounts/secret"),
        ("update", "sys/leases/revoke-prefix/database/creds"),
        ("update", "sys/leases/revoke-force/database"),
    ] {
        replay(alone(|log, who| log.vault(who, LATER, (operation, path), Answer::Done)))
            .found(&["KW-004"], "critical");
    }
}

#[test]
fn opening_a_secret_to_a_foreign_account_is_critical_from_one_record() {
    let policy = format!(
        r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"{FOREIGN_ACCOUNT}"}},"Action":"secretsmanager:*","Resource":"*"}}]}}"#
    );
    let log = alone(|log, who| {
        log.aws_with(
            who,
            0,
            "secretsmanager PutResourcePolicy",
            json!({"secretId": "prod-db", "resourcePolicy": policy}),
        );
    });
    replay(log).found(&["KW-106"], "critical");
    let log = alone(|log, who| {
        let asked = json!({"keyId": "k", "granteePrincipal": format!("arn:aws:iam::{FOREIGN_ACCOUNT}:root"), "operations": ["Decrypt"]});
        log.aws_with(who, 0, "kms CreateGrant", asked);
    });
    replay(log).found(&["KW-106"], "critical");
    let log = alone(|log, who| {
        let record = log.gsm(who, 0, "SetIamPolicy", &format!("projects/{PROJECT}/secrets/prod-db"));
        let delta = json!({"policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/secretmanager.secretAccessor", "member": "allAuthenticatedUsers"}]}});
        set(record, "protoPayload.serviceData", delta);
    });
    replay(log).found(&["KW-106"], "critical");
}

#[test]
fn opening_a_secret_to_the_own_account_is_not_called_foreign() {
    let policy = r#"{"Statement":[{"Effect":"Allow","Principal":{"AWS":"arn:aws:iam::111122223333:role/app"},"Action":"secretsmanager:GetSecretValue","Resource":"*"}]}"#;
    let log = alone(|log, who| {
        log.aws_with(
            who,
            0,
            "secretsmanager PutResourcePolicy",
            json!({"secretId": "prod-db", "resourcePolicy": policy}),
        );
    });
    replay(log).silent(&["KW-106"]);
}

#[test]
fn a_read_by_a_foreign_account_is_seen_in_the_owners_trail() {
    let mut log = Log::new();
    victim(&mut log, Provider::Aws, "reports");
    let stranger = Who { account: FOREIGN_ACCOUNT, ..Who::workload("stranger") };
    log.attack("from outside", |log| log.read(Provider::Aws, &stranger, LATER, "shared"));
    replay(log).found(&["KW-106"], "high");
}

#[test]
fn disabling_the_only_audit_device_is_seen_in_its_last_record() {
    let log = alone(|log, who| log.vault(who, LATER, ("delete", "sys/audit/file"), Answer::Never));
    replay(log).found(&["KW-101"], "critical");
}

#[test]
fn stepping_down_is_seen_without_a_response() {
    let log = alone(|log, who| log.vault(who, LATER, ("update", "sys/step-down"), Answer::Never));
    replay(log).found(&["KW-123"], "critical");
}

#[test]
fn a_wrapping_token_somebody_opened_first_is_seen_without_a_response() {
    let log = alone(|log, who| {
        let error = "1 error occurred:\n\t* wrapping token is not valid or does not exist\n\n";
        log.vault(who, LATER, ("update", "sys/wrapping/unwrap"), Answer::RefusedOnRequest(error));
    });
    replay(log).found(&["KW-122"], "high");
}
