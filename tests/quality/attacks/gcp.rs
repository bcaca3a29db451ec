//! Attacks on Google Secret Manager and Cloud KMS.

use super::{Attack, CRITICAL, HIGH, WARNING};
use crate::scenario::{HOUR, MINUTE, PROJECT, Provider, Who, outside, set};
use serde_json::{Value, json};

/// One entry of somebody without a past.
fn change(&(name, (rules, level), (call, resource), payload): &Change) -> Attack {
    Attack::new(name, rules, level, move |log, at| {
        let who = Who::person(&format!("mallory-{}", name.replace([' ', ','], "-"))).at(&outside(name, 0));
        log.attack(name, |log| {
            let own = format!("{GSM}.{call}");
            let record = log.gcp(&who, at, if call.contains(' ') { call } else { &own }, resource);
            for (path, json) in payload {
                let value: Value = serde_json::from_str(json).expect("JSON");
                set(record, &format!("protoPayload.{path}"), value);
            }
        });
    })
}

const SINK: &str = "projects/harbour-prod/sinks/audit-to-keywatch";
const SECRET: &str = "projects/harbour-prod/secrets/prod-db";
const VERSION: &str = "projects/harbour-prod/secrets/prod-db/versions/4";
const KEY: &str = "projects/harbour-prod/locations/global/keyRings/r/cryptoKeys/k/cryptoKeyVersions/1";
const GSM: &str = "secretmanager.googleapis.com google.cloud.secretmanager.v1.SecretManagerService";

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = CHANGES.iter().map(change).collect();
    attacks.extend(stories());
    attacks
}

/// Rules and level.
type Expected = (&'static [&'static str], u8);
/// Name, what is expected, method (of Secret Manager unless it names a service) and resource, and
/// fields of the payload.
type Change = (&'static str, Expected, (&'static str, &'static str), &'static [(&'static str, &'static str)]);

const AUDIT: Expected = (&["KW-101"], CRITICAL);
const OPENED: Expected = (&["KW-106"], CRITICAL);
const DELETED: Expected = (&["KW-004"], CRITICAL);

const CHANGES: &[Change] = &[
    (
        "gcp sink deleted",
        AUDIT,
        ("logging.googleapis.com google.logging.v2.ConfigServiceV2.DeleteSink", SINK),
        &[],
    ),
    (
        "gcp sink disabled",
        AUDIT,
        ("logging.googleapis.com google.logging.v2.ConfigServiceV2.UpdateSink", SINK),
        &[(
            "request",
            r#"{"sinkName": "projects/harbour-prod/sinks/audit-to-keywatch", "sink": {"name": "audit-to-keywatch", "disabled": true}, "updateMask": "disabled"}"#,
        )],
    ),
    (
        "gcp audit configuration removed",
        AUDIT,
        ("cloudresourcemanager.googleapis.com SetIamPolicy", "projects/harbour-prod"),
        &[(
            "serviceData",
            r#"{"@type": "type.googleapis.com/google.iam.v1.logging.AuditData", "policyDelta": {"auditConfigDeltas": [{"action": "REMOVE", "service": "secretmanager.googleapis.com", "logType": "DATA_READ"}]}}"#,
        )],
    ),
    (
        "gcp secret opened to everybody",
        OPENED,
        ("SetIamPolicy", SECRET),
        &[
            (
                "request",
                r#"{"resource": "projects/harbour-prod/secrets/prod-db", "policy": {"bindings": [{"role": "roles/secretmanager.secretAccessor", "members": ["allUsers"]}]}}"#,
            ),
            (
                "serviceData",
                r#"{"@type": "type.googleapis.com/google.iam.v1.logging.AuditData", "policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/secretmanager.secretAccessor", "member": "allUsers"}]}}"#,
            ),
        ],
    ),
    (
        "gcp secret opened to another domain",
        OPENED,
        ("SetIamPolicy", SECRET),
        &[(
            "serviceData",
            r#"{"@type": "type.googleapis.com/google.iam.v1.logging.AuditData", "policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/secretmanager.secretAccessor", "member": "user:eve@rival.example"}]}}"#,
        )],
    ),
    ("gcp version destroyed", DELETED, ("DestroySecretVersion", VERSION), &[]),
    (
        "gcp secret made to expire",
        DELETED,
        ("UpdateSecret", SECRET),
        &[(
            "request",
            r#"{"secret": {"name": "projects/harbour-prod/secrets/prod-db", "expireTime": "2025-03-20T00:00:00Z"}, "updateMask": "expireTime"}"#,
        )],
    ),
    ("gcp version disabled", (&["KW-004"], WARNING), ("DisableSecretVersion", VERSION), &[]),
    (
        "gcp key version destroyed",
        (&["KW-107"], CRITICAL),
        ("cloudkms.googleapis.com DestroyCryptoKeyVersion", KEY),
        &[],
    ),
    (
        "gcp key version disabled",
        (&["KW-107"], CRITICAL),
        ("cloudkms.googleapis.com UpdateCryptoKeyVersion", KEY),
        &[("request", r#"{"cryptoKeyVersion": {"name": "k", "state": "DISABLED"}, "updateMask": "state"}"#)],
    ),
    (
        "gcp denied at the perimeter",
        (&["KW-132"], WARNING),
        ("AccessSecretVersion", VERSION),
        &[
            (
                "status",
                r#"{"code": 7, "message": "Request is prohibited by organization's policy. vpcServiceControlsUniqueIdentifier: abc"}"#,
            ),
            (
                "metadata",
                r#"{"@type": "type.googleapis.com/google.cloud.audit.VpcServiceControlAuditMetadata", "violationReason": "NO_MATCHING_ACCESS_LEVEL"}"#,
            ),
        ],
    ),
];

fn stories() -> Vec<Attack> {
    vec![
        Attack::new("gcp key minted, then used", &["KW-136"], HIGH, |log, at| {
            let admin = Who::person("gadmin");
            log.history(Provider::Gcp, &admin, at - HOUR, &["gadmin-a"]);
            log.attack("gcp key minted, then used", |log| {
                let account = format!("svc-minted@{PROJECT}.iam.gserviceaccount.com");
                let resource = format!("projects/-/serviceAccounts/{account}");
                let record = log.gcp(&admin, at, "iam.googleapis.com google.iam.admin.v1.CreateServiceAccountKey", &resource);
                set(record, "resource", json!({"type": "service_account", "labels": {"email_id": account, "project_id": PROJECT, "unique_id": "104882"}}));
set(record, "protoPayload.response", json!({"@type": "type.googleapis.com/google.iam.admin.v1.ServiceAccountKey", "name": format!("projects/{PROJECT}/serviceAccounts/{account}/keys/abc123")}));
                let minted = Who::workload("svc-minted")
                    .key(&format!("//iam.googleapis.com/projects/{PROJECT}/serviceAccounts/{account}/keys/abc123"))
                    .at("203.0.113.8");
                log.read(Provider::Gcp, &minted, at + 12 * MINUTE, "prod-db");
            });
        }),
        Attack::new("gcp outsider denied with the caller withheld", &["KW-005"], CRITICAL, |log, at| {
            log.attack("gcp outsider denied with the caller withheld", |log| {
                for n in 0..7 {
                    let who = Who::workload("unnamed").at("203.0.113.71");
                    log.fail(
                        Provider::Gcp,
                        &who,
                        at + n * 40,
                        (&format!("withheld-{n}"), crate::scenario::Failure::Denied),
                    );
                    if let Some(last) = log.records.last_mut() {
                        set(&mut last.json, "protoPayload.authenticationInfo", json!({}));
                    }
                }
            });
        }),
        Attack::new("gcp granted itself, then read", &["KW-109"], HIGH, |log, at| {
            let who = Who::person("gclimber");
            log.history(Provider::Gcp, &who, at - HOUR, &["gclimb-a"]);
            log.attack("gcp granted itself, then read", |log| {
                let record = log.gsm(&who, at, "SetIamPolicy", &format!("projects/{PROJECT}/secrets/gclimb-target"));
                set(record, "protoPayload.serviceData", json!({"policyDelta": {"bindingDeltas": [{"action": "ADD", "role": "roles/secretmanager.secretAccessor", "member": format!("user:{}", who.email())}]}}));
                log.read(Provider::Gcp, &who, at + 6 * MINUTE, "gclimb-target");
            });
        }),
    ]
}
