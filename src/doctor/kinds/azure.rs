//! What Azure logs about vaults: `AuditEvent`, of each vault that has a diagnostic setting, and the
//! Activity log of a subscription.
//!
//! <https://learn.microsoft.com/azure/key-vault/general/logging>

use super::{Kind, Row, expanded};
use keywatch_event::Provider;

const VAULT: &str = "AuditEvent";
const ACTIVITY: &str = "Administrative";

pub(super) fn kinds() -> Vec<Kind> {
    expanded(Provider::Azure, ROWS, |_row| Vec::new())
}

const fn row(log: &'static str, class: &'static str, operations: &'static [&'static str]) -> Row {
    Row { service: "", log, class, operations }
}

pub(super) const ROWS: &[Row] = &[
    row(VAULT, "secret.read", &["SecretGet"]),
    row(
        VAULT,
        "secret.list",
        &["SecretList", "SecretListVersions", "KeyList", "CertificateList", "SecretListDeleted"],
    ),
    row(VAULT, "secret.meta", &["KeyGet", "CertificateGet", "VaultGet"]),
    row(VAULT, "secret.write", &["SecretSet", "SecretUpdate", "SecretRestore", "SecretRecover", "KeyCreate"]),
    row(VAULT, "secret.delete", &["SecretDelete", "CertificateDelete", "VaultDelete"]),
    row(VAULT, "secret.purge", &["SecretPurge", "CertificatePurge", "VaultPurge"]),
    row(VAULT, "key.use", &["KeyDecrypt", "KeyUnwrap", "KeySign", "KeyRelease"]),
    row(VAULT, "key.destroy", &["KeyDelete", "KeyPurge"]),
    row(VAULT, "export", &["SecretBackup", "KeyBackup", "CertificateBackup"]),
    row(VAULT, "policy.change", &["VaultPut", "VaultPatch"]),
    row(VAULT, "auth.challenge", &[]),
    row(VAULT, "auth.fail", &["Authentication"]),
    row(VAULT, "other", &[]),
    row(ACTIVITY, "secret.delete", &["MICROSOFT.KEYVAULT/VAULTS/DELETE"]),
    row(ACTIVITY, "secret.purge", &["MICROSOFT.KEYVAULT/LOCATIONS/DELETEDVAULTS/PURGE/ACTION"]),
    row(
        ACTIVITY,
        "policy.change",
        &["MICROSOFT.KEYVAULT/VAULTS/WRITE", "MICROSOFT.KEYVAULT/VAULTS/ACCESSPOLICIES/WRITE"],
    ),
    row(ACTIVITY, "audit.tamper", &[]),
    row(ACTIVITY, "policy.change", &[]),
    row(ACTIVITY, "other", &[]),
];

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::class_of;

    #[test]
    fn every_operation_has_the_class_the_normaliser_gives_it() {
        for row in ROWS {
            for operation in row.operations {
                let refused = row.class == "auth.fail";
                let status = if refused { 403 } else { 200 };
                let record = format!(
                    r#"{{"time":"2026-06-01T00:00:00.0000000Z","category":"{}","operationName":"{operation}","resultType":"Success","correlationId":"c",
                    "callerIpAddress":"192.0.2.1","identity":{{"claim":{{"oid":"o","upn":"a@b.c"}}}},
                    "properties":{{"id":"https://v.vault.azure.net/secrets/s","httpStatusCode":{status}}},
                    "resourceId":"/SUBSCRIPTIONS/S/RESOURCEGROUPS/G/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/V"}}"#,
                    row.log
                );
                assert_eq!(class_of(&record), row.class, "{operation}");
            }
        }
    }
}
