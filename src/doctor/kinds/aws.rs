//! What CloudTrail logs as management events, by service, and whether it calls them reads.
//!
//! `readOnly` is CloudTrail's own word: taking on a role and decrypting are reads, signing in is not.
//! <https://docs.aws.amazon.com/awscloudtrail/latest/userguide/logging-management-events-with-cloudtrail.html>

use super::{Kind, Row, expanded, row};
use keywatch_event::Provider;
use keywatch_rules::Known;

/// The services the table names.
pub(in crate::doctor) const SERVICES: &[&str] =
    &[SECRETS, PARAMETERS, KEYS, TOKENS, SIGN_IN, IDENTITIES, TRAILS];

const SECRETS: &str = "secretsmanager.amazonaws.com";
const PARAMETERS: &str = "ssm.amazonaws.com";
const KEYS: &str = "kms.amazonaws.com";
const TOKENS: &str = "sts.amazonaws.com";
const SIGN_IN: &str = "signin.amazonaws.com";
const IDENTITIES: &str = "iam.amazonaws.com";
const TRAILS: &str = "cloudtrail.amazonaws.com";
const READ: &str = "read";
const WRITE: &str = "write";

pub(super) fn kinds() -> Vec<Kind> {
    expanded(Provider::Aws, ROWS, |row| {
        vec![("readOnly", Known::Is(if row.log == READ { "true" } else { "false" }))]
    })
}

pub(super) const ROWS: &[Row] = &[
    row(SECRETS, READ, "secret.read", &["GetSecretValue", "BatchGetSecretValue"]),
    row(SECRETS, READ, "secret.batch_read", &["BatchGetSecretValue"]),
    row(SECRETS, READ, "secret.list", &["ListSecrets", "ListSecretVersionIds"]),
    row(SECRETS, READ, "secret.meta", &["DescribeSecret", "GetResourcePolicy", "ValidateResourcePolicy"]),
    row(SECRETS, WRITE, "secret.delete", &["DeleteSecret"]),
    row(SECRETS, WRITE, "secret.purge", &["DeleteSecret", "EndSecretVersionDelete"]),
    row(
        SECRETS,
        WRITE,
        "policy.change",
        &["PutResourcePolicy", "DeleteResourcePolicy", "ReplicateSecretToRegions"],
    ),
    row(
        SECRETS,
        WRITE,
        "secret.write",
        &[
            "CreateSecret",
            "UpdateSecret",
            "PutSecretValue",
            "UpdateSecretVersionStage",
            "RestoreSecret",
            "RotateSecret",
            "CancelRotateSecret",
            "StopReplicationToReplica",
            "RemoveRegionsFromReplication",
        ],
    ),
    row(SECRETS, WRITE, "other", &[]),
    row(SECRETS, READ, "other", &[]),
    row(
        PARAMETERS,
        READ,
        "secret.read",
        &["GetParameter", "GetParameters", "GetParameterHistory", "GetParametersByPath"],
    ),
    row(PARAMETERS, READ, "secret.batch_read", &["GetParametersByPath"]),
    row(PARAMETERS, READ, "secret.list", &["DescribeParameters"]),
    row(PARAMETERS, WRITE, "secret.purge", &["DeleteParameter", "DeleteParameters"]),
    row(PARAMETERS, WRITE, "secret.write", &["PutParameter", "LabelParameterVersion"]),
    row(PARAMETERS, WRITE, "policy.change", &["PutResourcePolicy", "DeleteResourcePolicy"]),
    row(PARAMETERS, WRITE, "other", &[]),
    row(PARAMETERS, READ, "other", &[]),
    row(
        KEYS,
        READ,
        "key.use",
        &["Decrypt", "ReEncrypt", "GenerateDataKeyPair", "Sign", "GenerateMac", "DeriveSharedSecret"],
    ),
    row(KEYS, READ, "secret.list", &["ListKeys", "ListAliases"]),
    row(KEYS, READ, "secret.meta", &["DescribeKey", "GetKeyPolicy"]),
    row(
        KEYS,
        WRITE,
        "key.destroy",
        &["ScheduleKeyDeletion", "DisableKey", "DeleteImportedKeyMaterial", "DisconnectCustomKeyStore"],
    ),
    row(
        KEYS,
        WRITE,
        "policy.change",
        &["PutKeyPolicy", "CreateGrant", "RevokeGrant", "RetireGrant", "ReplicateKey"],
    ),
    row(KEYS, WRITE, "secret.write", &["CreateKey", "EnableKey", "CancelKeyDeletion", "DisableKeyRotation"]),
    row(KEYS, WRITE, "other", &[]),
    row(KEYS, READ, "other", &[]),
    row(
        TOKENS,
        READ,
        "auth.ok",
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "GetSessionToken",
            "GetFederationToken",
        ],
    ),
    row(
        TOKENS,
        READ,
        "auth.fail",
        &[
            "AssumeRole",
            "AssumeRoleWithSAML",
            "AssumeRoleWithWebIdentity",
            "GetSessionToken",
            "GetFederationToken",
        ],
    ),
    row(TOKENS, READ, "other", &[]),
    row(SIGN_IN, WRITE, "auth.ok", &["ConsoleLogin", "CheckMfa", "SwitchRole"]),
    row(SIGN_IN, WRITE, "auth.fail", &["ConsoleLogin", "CheckMfa", "SwitchRole"]),
    row(SIGN_IN, WRITE, "other", &[]),
    row(
        IDENTITIES,
        WRITE,
        "token.create",
        &["CreateAccessKey", "CreateLoginProfile", "UpdateLoginProfile", "CreateServiceSpecificCredential"],
    ),
    row(
        IDENTITIES,
        WRITE,
        "policy.change",
        &[
            "AttachRolePolicy",
            "AttachUserPolicy",
            "AttachGroupPolicy",
            "PutRolePolicy",
            "PutUserPolicy",
            "PutGroupPolicy",
            "UpdateAssumeRolePolicy",
            "CreatePolicyVersion",
            "SetDefaultPolicyVersion",
            "AddUserToGroup",
        ],
    ),
    row(IDENTITIES, WRITE, "policy.change", &[]),
    row(IDENTITIES, WRITE, "other", &[]),
    row(IDENTITIES, READ, "other", &[]),
    row(
        TRAILS,
        WRITE,
        "audit.tamper",
        &["StopLogging", "DeleteTrail", "DeleteEventDataStore", "PutEventSelectors", "UpdateTrail"],
    ),
    row(TRAILS, WRITE, "audit.adjacent", &["PutEventSelectors", "UpdateTrail", "PutInsightSelectors"]),
    row(TRAILS, WRITE, "other", &[]),
    row(TRAILS, READ, "other", &[]),
    row("", WRITE, "audit.tamper", &[]),
    row("", WRITE, "audit.adjacent", &[]),
    row("", WRITE, "policy.change", &[]),
    row("", WRITE, "auth.ok", &[]),
    row("", WRITE, "auth.fail", &[]),
    row("", WRITE, "other", &[]),
    row("", READ, "other", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::class_of;

    /// What the request must say for the class to be this one.
    fn asked(class: &str, operation: &str) -> &'static str {
        match (class, operation) {
            ("secret.read", "BatchGetSecretValue") => r#"{"secretIdList":["a"]}"#,
            ("secret.batch_read", "BatchGetSecretValue") => r#"{"filters":[{"key":"all"}]}"#,
            ("secret.purge", "DeleteSecret") => r#"{"secretId":"a","forceDeleteWithoutRecovery":true}"#,
            ("secret.batch_read", "GetParametersByPath") => r#"{"path":"/","withDecryption":true}"#,
            ("secret.read", "GetParametersByPath") => {
                r#"{"path":"/","name":"/a","names":["/a"],"withDecryption":true}"#
            }
            ("secret.read", "GetParameters") => r#"{"names":["a"],"withDecryption":true}"#,
            ("secret.read", "GetParameter" | "GetParameterHistory") => {
                r#"{"name":"a","withDecryption":true}"#
            }
            ("audit.tamper", "UpdateTrail") => r#"{"isMultiRegionTrail":false}"#,
            ("audit.tamper", "PutEventSelectors") => r#"{"eventSelectors":[{"readWriteType":"WriteOnly"}]}"#,
            ("policy.change", "PutResourcePolicy" | "DeleteResourcePolicy") => {
                r#"{"secretId":"a","resourceArn":"arn:aws:ssm:eu-west-1:111122223333:parameter/a"}"#
            }
            _ => r#"{"name":"a","secretId":"a","keyId":"k"}"#,
        }
    }

    #[test]
    fn every_operation_has_the_class_the_normaliser_gives_it() {
        for row in ROWS {
            for operation in row.operations {
                let error = if row.class == "auth.fail" { r#","errorCode":"AccessDenied""# } else { "" };
                let record = format!(
                    r#"{{"eventVersion":"1.08","eventSource":"{}","eventName":"{operation}","eventID":"e","eventTime":"2026-06-01T00:00:00Z",
                    "awsRegion":"eu-west-1","recipientAccountId":"111122223333","eventType":"AwsApiCall","userIdentity":{{"type":"IAMUser","arn":"arn:aws:iam::111122223333:user/a"}},
                    "requestParameters":{}{error}}}"#,
                    row.service,
                    asked(row.class, operation),
                );
                assert_eq!(class_of(&record), row.class, "{} {operation}", row.service);
            }
        }
        let named = ROWS.iter().map(|row| row.service).filter(|service| !service.is_empty());
        assert!(named.into_iter().all(|service| SERVICES.contains(&service)));
    }
}
