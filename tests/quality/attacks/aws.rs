//! Attacks on AWS Secrets Manager, Parameter Store and KMS.

use super::{Attack, CRITICAL, HIGH, WARNING};
use crate::scenario::aws::via;
use crate::scenario::{ACCOUNT, DAY, FOREIGN_ACCOUNT, HOUR, MINUTE, Provider, Who, outside, secret_arn, set};
use serde_json::{Value, json};

/// The calls of somebody without a past.
fn change(&(name, rules, level, calls): &Change) -> Attack {
    Attack::new(name, rules, level, move |log, at| {
        let who = Who::person(&format!("mallory-{}", calls.first().map_or("", |(call, _)| call)))
            .at(&outside(name, 0));
        log.attack(name, |log| {
            for (n, (call, parameters)) in (0..).zip(calls) {
                let parameters: Value = serde_json::from_str(parameters).expect("JSON");
                log.aws_with(&who, at + 20 * n, call, parameters);
            }
        });
    })
}

pub(super) fn attacks() -> Vec<Attack> {
    let mut attacks: Vec<Attack> = CHANGES.iter().map(change).collect();
    attacks.extend(thefts());
    attacks.extend(strangers());
    attacks.extend(identities());
    attacks
}

const KEY: &str =
    r#"{"keyId": "arn:aws:kms:eu-west-1:111122223333:key/6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e"}"#;

const TRAIL: &str = r#"{"name": "arn:aws:cloudtrail:eu-west-1:111122223333:trail/main"}"#;
const OPENED: &str = r#"{"secretId": "prod/db", "resourcePolicy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":{\"AWS\":\"arn:aws:iam::999988887777:root\"},\"Action\":\"secretsmanager:GetSecretValue\",\"Resource\":\"*\"}]}"}"#;
const PUBLIC: &str = r#"{"keyId": "6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e", "policyName": "default", "policy": "{\"Version\":\"2012-10-17\",\"Statement\":[{\"Effect\":\"Allow\",\"Principal\":\"*\",\"Action\":\"kms:*\",\"Resource\":\"*\"}]}"}"#;
const GRANT: &str = r#"{"keyId": "6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e", "granteePrincipal": "arn:aws:iam::999988887777:role/reader", "operations": ["Decrypt"]}"#;
const REPLICA: &str = r#"{"secretId": "prod/db", "addReplicaRegions": [{"region": "us-east-1", "kmsKeyId": "arn:aws:kms:us-east-1:999988887777:key/0a0a0a0a-0000-4000-8000-000000000001"}]}"#;

/// Name, rules, level, and the calls with their parameters.
type Change = (&'static str, &'static [&'static str], u8, &'static [(&'static str, &'static str)]);

const CHANGES: &[Change] = &[
    ("aws trail stopped", &["KW-101"], CRITICAL, &[("cloudtrail StopLogging", TRAIL)]),
    ("aws trail deleted", &["KW-101"], CRITICAL, &[("cloudtrail DeleteTrail", TRAIL)]),
    (
        "aws trail no longer sees management events",
        &["KW-101"],
        CRITICAL,
        &[(
            "cloudtrail PutEventSelectors",
            r#"{"trailName": "main", "eventSelectors": [{"readWriteType": "WriteOnly", "includeManagementEvents": false, "dataResources": []}]}"#,
        )],
    ),
    (
        "aws secret opened to a foreign account",
        &["KW-106"],
        CRITICAL,
        &[("secretsmanager PutResourcePolicy", OPENED)],
    ),
    ("aws key opened to everybody", &["KW-106"], CRITICAL, &[("kms PutKeyPolicy", PUBLIC)]),
    ("aws key granted to a foreign account", &["KW-106"], CRITICAL, &[("kms CreateGrant", GRANT)]),
    (
        "aws secret replicated under a foreign key",
        &["KW-106"],
        CRITICAL,
        &[("secretsmanager ReplicateSecretToRegions", REPLICA)],
    ),
    (
        "aws key scheduled for deletion",
        &["KW-107"],
        CRITICAL,
        &[(
            "kms ScheduleKeyDeletion",
            r#"{"keyId": "6f1d7c1e-90b5-4f0c-8a55-3f1f7d0c2b9e", "pendingWindowInDays": 7}"#,
        )],
    ),
    ("aws key disabled", &["KW-107"], CRITICAL, &[("kms DisableKey", KEY)]),
    ("aws key material deleted", &["KW-107"], CRITICAL, &[("kms DeleteImportedKeyMaterial", KEY)]),
    (
        "aws replica removed, then deleted",
        &["KW-128"],
        WARNING,
        &[
            (
                "secretsmanager RemoveRegionsFromReplication",
                r#"{"secretId": "prod/gone", "removeReplicaRegions": ["us-east-1"]}"#,
            ),
            (
                "secretsmanager DeleteSecret",
                r#"{"secretId": "prod/gone", "forceDeleteWithoutRecovery": true}"#,
            ),
        ],
    ),
    (
        "aws parameters deleted",
        &["KW-004"],
        CRITICAL,
        &[("ssm DeleteParameters", r#"{"names": ["/prod/a", "/prod/b"]}"#)],
    ),
    (
        "aws account leaves the organisation",
        &["KW-101b", "KW-101"],
        HIGH,
        &[("organizations LeaveOrganization", "{}")],
    ),
    (
        "aws threat detector deleted",
        &["KW-101b", "KW-101"],
        HIGH,
        &[("guardduty DeleteDetector", r#"{"detectorId": "12abc34d567e8fa901bc2d34e56789f0"}"#)],
    ),
    (
        "aws quarantine attached",
        &["KW-139"],
        CRITICAL,
        &[(
            "iam AttachUserPolicy",
            r#"{"userName": "leaky", "policyArn": "arn:aws:iam::aws:policy/AWSCompromisedKeyQuarantineV3"}"#,
        )],
    ),
    (
        "aws everything by filter",
        &["KW-104"],
        HIGH,
        &[(
            "secretsmanager BatchGetSecretValue",
            r#"{"filters": [{"key": "name", "values": ["!nothing"]}]}"#,
        )],
    ),
    (
        "aws all parameters from the root",
        &["KW-104"],
        HIGH,
        &[("ssm GetParametersByPath", r#"{"path": "/", "recursive": true, "withDecryption": true}"#)],
    ),
    (
        "aws parameters guessed in one call each",
        &["KW-102", "KW-114"],
        WARNING,
        &[
            (
                "ssm GetParameters",
                r#"{"names": ["/p/a", "/p/b", "/p/c", "/p/d", "/p/e", "/p/f"], "withDecryption": true}"#,
            ),
            (
                "ssm GetParameters",
                r#"{"names": ["/p/g", "/p/h", "/p/i", "/p/j", "/p/k", "/p/l"], "withDecryption": true}"#,
            ),
        ],
    ),
];

fn thefts() -> Vec<Attack> {
    vec![
        Attack::new("aws instance credential used elsewhere", &["KW-112"], HIGH, |log, at| {
            let who = Who::workload("web-instances").session("i-0a1b2c3d4e5f60718");
            log.history(Provider::Aws, &who, at - HOUR, &["web/session"]);
            log.attack("aws instance credential used elsewhere", |log| {
                log.read(Provider::Aws, &who, at, "web/session");
                log.read(Provider::Aws, &who.at("203.0.113.66"), at + 9 * MINUTE, "web/session");
            });
        }),
        Attack::new("aws regions in a row", &["KW-116"], HIGH, |log, at| {
            let who = Who::workload("multi-region");
            log.history(Provider::Aws, &who, at - HOUR, &["mr/a"]);
            log.attack("aws regions in a row", |log| {
                for (n, region) in
                    (0..).zip(["us-east-1", "us-west-2", "ap-south-1", "sa-east-1", "ca-central-1"])
                {
                    log.read(Provider::Aws, &who.region(region), at + n * 100, "mr/a");
                }
            });
        }),
        Attack::new("aws ciphertext decrypted by a stranger", &["KW-121"], WARNING, |log, at| {
            let app = Who::workload("db-backup");
            for day in 0..15 {
                log.aws_decrypt(&app, day * DAY + 3 * HOUR, &json!({"aws:rds:db-id": "db-1"}));
            }
            let who = Who::workload("ci-runner-old");
            log.attack("aws ciphertext decrypted by a stranger", |log| log.aws_decrypt(&who, at, &json!({})));
        }),
    ]
}

fn strangers() -> Vec<Attack> {
    vec![
        Attack::new("aws read through a service new to the secret", &["KW-137"], WARNING, |log, at| {
            let who = Who::workload("deployer");
            log.history(Provider::Aws, &who, at - HOUR, &["deploy/db"]);
            log.attack("aws read through a service new to the secret", |log| {
                let arn = secret_arn(&who, "deploy/db");
                let record = log.aws(&who, at, "secretsmanager GetSecretValue");
                set(record, "requestParameters", json!({"secretId": arn}));
                via(record, "cloudformation.amazonaws.com");
            });
        }),
        Attack::new("aws secret read from a foreign account", &["KW-106"], HIGH, |log, at| {
            let who = Who { account: FOREIGN_ACCOUNT, ..Who::workload("stranger") };
            log.attack("aws secret read from a foreign account", |log| {
                log.read(Provider::Aws, &who, at, "shared/partner");
            });
        }),
        Attack::new("aws value overwritten by another than the rotator", &["KW-127"], WARNING, |log, at| {
            let rotator = Who::workload("rotator");
            for day in 0..16 {
                log.aws_with(
                    &rotator,
                    day * DAY + 2 * HOUR,
                    "secretsmanager PutSecretValue",
                    json!({"secretId": "prod/rotated"}),
                );
            }
            let who = Who::workload("saboteur");
            log.history(Provider::Aws, &who, at - HOUR, &["prod/rotated"]);
            log.attack("aws value overwritten by another than the rotator", |log| {
                log.aws_with(&who, at, "secretsmanager PutSecretValue", json!({"secretId": "prod/rotated"}));
                log.aws_with(&who, at + 40, "secretsmanager UpdateSecretVersionStage", json!({"secretId": "prod/rotated", "versionStage": "AWSCURRENT", "moveToVersionId": "old"}));
            });
        }),
        Attack::new("aws hostile tool", &["KW-115"], HIGH, |log, at| {
            let who = Who::workload("scanned");
            log.history(Provider::Aws, &who, at - HOUR, &["scan/a"]);
            log.attack("aws hostile tool", |log| {
                log.read(Provider::Aws, &who.with("TruffleHog"), at, "scan/a");
            });
        }),
        Attack::new("aws denied at the endpoint", &["KW-132"], WARNING, |log, at| {
            let who = Who::workload("outsider");
            log.attack("aws denied at the endpoint", |log| {
                log.aws_error(
                    &who,
                    at,
                    "secretsmanager GetSecretValue",
                    ("VpceAccessDenied", json!({"secretId": "prod/db"})),
                );
            });
        }),
    ]
}

fn identities() -> Vec<Attack> {
    vec![
        Attack::new("aws root reads a secret", &["KW-126"], CRITICAL, |log, at| {
            log.attack("aws root reads a secret", |log| {
                log.read(Provider::Aws, &Who::person("root"), at, "prod/db");
            });
        }),
        Attack::new(
            "aws console sign-in without second factor",
            &["KW-141", "KW-126"],
            WARNING,
            |log, at| {
                log.attack("aws console sign-in without second factor", |log| {
                    log.console_login(&Who::person("nomfa").at("203.0.113.90"), at, (true, false));
                });
            },
        ),
        Attack::new("aws brute force, login, read", &["KW-111"], CRITICAL, |log, at| {
            let who = Who::person("grace").at("203.0.113.5");
            log.attack("aws brute force, login, read", |log| {
                for n in 0..12 {
                    log.console_login(&who, at + 20 * n, (false, false));
                }
                log.console_login(&who, at + 300, (true, true));
                log.read(Provider::Aws, &who, at + 500, "prod/db");
            });
        }),
        Attack::new("aws names sprayed from one address", &["KW-111"], CRITICAL, |log, at| {
            log.attack("aws names sprayed from one address", |log| {
                for n in 0..6 {
                    log.console_login(
                        &Who::person(&format!("guess{n}")).at("203.0.113.6"),
                        at + 60 * n,
                        (false, false),
                    );
                }
            });
        }),
        Attack::new("aws key minted, then used", &["KW-136"], HIGH, |log, at| {
            let admin = Who::person("helpdesk");
            log.history(Provider::Aws, &admin, at - HOUR, &["help/a"]);
            let minted = Who::workload("svc-minted").key("AKIAMINTEDEXAMPLE001").at("203.0.113.7");
            log.attack("aws key minted, then used", |log| {
                let record = log.aws(&admin, at, "iam CreateAccessKey");
                set(record, "requestParameters", json!({"userName": "svc-minted"}));
                set(record, "responseElements", json!({"accessKey": {"accessKeyId": "AKIAMINTEDEXAMPLE001", "status": "Active", "userName": "svc-minted"}}));
                log.read(Provider::Aws, &minted, at + 10 * MINUTE, "prod/db");
            });
        }),
        Attack::new("aws access changed, then used by the changer", &["KW-109"], HIGH, |log, at| {
            let who = Who::workload("climber");
            log.history(Provider::Aws, &who, at - HOUR, &["climb/a"]);
            log.attack("aws access changed, then used by the changer", |log| {
                let policy = format!(r#"{{"Statement":[{{"Effect":"Allow","Principal":{{"AWS":"arn:aws:iam::{ACCOUNT}:role/climber"}},"Action":"*","Resource":"*"}}]}}"#);
                log.aws_with(&who, at, "secretsmanager PutResourcePolicy", json!({"secretId": "climb/target", "resourcePolicy": policy}));
                log.read(Provider::Aws, &who, at + 5 * MINUTE, "climb/target");
            });
        }),
    ]
}
