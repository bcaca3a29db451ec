//! What Google Cloud's audit logs say, by service, and whether it is Admin Activity (always written) or
//! Data Access (written when an audit configuration says so).
//!
//! <https://cloud.google.com/secret-manager/docs/audit-logging>,
//! <https://cloud.google.com/kms/docs/audit-logging>, <https://cloud.google.com/iam/docs/audit-logging>.

use super::{Kind, Row, expanded, row};
use keywatch_event::Provider;

/// The services the table names.
pub(in crate::doctor) const SERVICES: &[&str] =
    &[SECRETS, KEYS, IDENTITIES, CREDENTIALS, TOKENS, RESOURCES, LOGGING];

const SECRETS: &str = "secretmanager.googleapis.com";
const KEYS: &str = "cloudkms.googleapis.com";
const IDENTITIES: &str = "iam.googleapis.com";
const CREDENTIALS: &str = "iamcredentials.googleapis.com";
const TOKENS: &str = "sts.googleapis.com";
const RESOURCES: &str = "cloudresourcemanager.googleapis.com";
const LOGGING: &str = "logging.googleapis.com";
const DATA_READ: &str = "DATA_READ";
const ADMIN_READ: &str = "ADMIN_READ";
const WRITE: &str = "ADMIN_WRITE";

pub(super) fn kinds() -> Vec<Kind> {
    expanded(Provider::Gcp, ROWS, |_row| Vec::new())
}

pub(super) const ROWS: &[Row] = &[
    row(
        SECRETS,
        DATA_READ,
        "secret.read",
        &["google.cloud.secretmanager.v1.SecretManagerService.AccessSecretVersion"],
    ),
    row(
        SECRETS,
        ADMIN_READ,
        "secret.list",
        &[
            "google.cloud.secretmanager.v1.SecretManagerService.ListSecrets",
            "google.cloud.secretmanager.v1.SecretManagerService.ListSecretVersions",
        ],
    ),
    row(
        SECRETS,
        ADMIN_READ,
        "secret.meta",
        &[
            "google.cloud.secretmanager.v1.SecretManagerService.GetSecret",
            "google.cloud.secretmanager.v1.SecretManagerService.GetIamPolicy",
        ],
    ),
    row(
        SECRETS,
        WRITE,
        "secret.write",
        &[
            "google.cloud.secretmanager.v1.SecretManagerService.CreateSecret",
            "google.cloud.secretmanager.v1.SecretManagerService.AddSecretVersion",
            "google.cloud.secretmanager.v1.SecretManagerService.EnableSecretVersion",
        ],
    ),
    row(
        SECRETS,
        WRITE,
        "secret.delete",
        &["google.cloud.secretmanager.v1.SecretManagerService.DisableSecretVersion"],
    ),
    row(
        SECRETS,
        WRITE,
        "secret.purge",
        &[
            "google.cloud.secretmanager.v1.SecretManagerService.DeleteSecret",
            "google.cloud.secretmanager.v1.SecretManagerService.DestroySecretVersion",
        ],
    ),
    row(
        SECRETS,
        WRITE,
        "policy.change",
        &["google.cloud.secretmanager.v1.SecretManagerService.SetIamPolicy"],
    ),
    row(SECRETS, WRITE, "other", &[]),
    row(
        KEYS,
        DATA_READ,
        "key.use",
        &["Decrypt", "AsymmetricDecrypt", "RawDecrypt", "AsymmetricSign", "MacSign"],
    ),
    row(KEYS, ADMIN_READ, "secret.list", &["ListCryptoKeys", "ListKeyRings"]),
    row(KEYS, ADMIN_READ, "secret.meta", &["GetCryptoKey", "GetPublicKey"]),
    row(KEYS, WRITE, "key.destroy", &["DestroyCryptoKeyVersion"]),
    row(KEYS, WRITE, "policy.change", &["SetIamPolicy"]),
    row(KEYS, WRITE, "secret.write", &["CreateCryptoKey", "UpdateCryptoKey", "RestoreCryptoKeyVersion"]),
    row(KEYS, WRITE, "other", &[]),
    row(
        IDENTITIES,
        WRITE,
        "token.create",
        &["google.iam.admin.v1.CreateServiceAccountKey", "google.iam.admin.v1.UploadServiceAccountKey"],
    ),
    row(IDENTITIES, WRITE, "policy.change", &["google.iam.admin.v1.SetIAMPolicy"]),
    row(IDENTITIES, WRITE, "other", &[]),
    row(IDENTITIES, ADMIN_READ, "other", &["google.iam.admin.v1.ListServiceAccountKeys"]),
    row(
        CREDENTIALS,
        DATA_READ,
        "token.create",
        &["GenerateAccessToken", "GenerateIdToken", "SignBlob", "SignJwt"],
    ),
    row(
        CREDENTIALS,
        DATA_READ,
        "auth.fail",
        &["GenerateAccessToken", "GenerateIdToken", "SignBlob", "SignJwt"],
    ),
    row(TOKENS, DATA_READ, "other", &["google.identity.sts.v1.SecurityTokenService.ExchangeToken"]),
    row(RESOURCES, WRITE, "policy.change", &["SetIamPolicy"]),
    row(RESOURCES, WRITE, "audit.tamper", &["SetIamPolicy"]),
    row(RESOURCES, WRITE, "other", &[]),
    row(
        LOGGING,
        WRITE,
        "audit.tamper",
        &[
            "google.logging.v2.ConfigServiceV2.DeleteSink",
            "google.logging.v2.ConfigServiceV2.UpdateSink",
            "google.logging.v2.ConfigServiceV2.DeleteBucket",
            "google.logging.v2.ConfigServiceV2.UpdateBucket",
            "google.logging.v2.ConfigServiceV2.CreateExclusion",
        ],
    ),
    row(LOGGING, WRITE, "audit.adjacent", &["google.logging.v2.ConfigServiceV2.UpdateSettings"]),
    row(LOGGING, WRITE, "other", &[]),
    row("", WRITE, "auth.fail", &[]),
    row("", WRITE, "auth.ok", &[]),
    row("", WRITE, "other", &[]),
    row("", DATA_READ, "other", &[]),
    row("", ADMIN_READ, "other", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::class_of;

    #[test]
    fn every_operation_has_the_class_the_normaliser_gives_it() {
        for row in ROWS {
            for operation in row.operations {
                let denied = if row.class == "auth.fail" { r#","status":{"code":7}"# } else { "" };
                let deltas = if row.class == "audit.tamper" {
                    r#","serviceData":{"policyDelta":{"auditConfigDeltas":[{"action":"REMOVE","service":"allServices"}]}}"#
                } else {
                    ""
                };
                let record = format!(
                    r#"{{"logName":"projects/p/logs/cloudaudit.googleapis.com%2Factivity","insertId":"i","timestamp":"2026-06-01T00:00:00Z",
                    "protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"{}","methodName":"{operation}"{denied}{deltas},
                    "resourceName":"projects/p/secrets/s","authenticationInfo":{{"principalEmail":"a@b.c"}}}}}}"#,
                    row.service
                );
                assert_eq!(class_of(&record), row.class, "{} {operation}", row.service);
            }
        }
        let named = ROWS.iter().map(|row| row.service).filter(|service| !service.is_empty());
        assert!(named.into_iter().all(|service| SERVICES.contains(&service)));
    }
}
