//! Attacks on Azure Key Vault.

use super::{Attack, CRITICAL, HIGH, WARNING};
use crate::scenario::{MINUTE, Provider, TENANT, VAULT, Who, outside, set};
use serde_json::{Value, json};

const WORKSPACE: &str = "/SUBSCRIPTIONS/9C1B0C3A-5D7E-4E7A-8C55-2B6E1F0A4D11/RESOURCEGROUPS/RG-LOGS/PROVIDERS/MICROSOFT.OPERATIONALINSIGHTS/WORKSPACES/AUDIT";

/// One call to the vault without a past.
fn call(
    name: &'static str,
    (rules, level): (&'static [&'static str], u8),
    (operation, object): (&'static str, &'static str),
    properties: &'static [(&str, &str)],
) -> Attack {
    Attack::new(name, rules, level, move |log, at| {
        let who = Who::person(&format!("mallory-{}", name.replace(' ', "-"))).at(&outside(name, 0));
        log.attack(name, |log| {
            let record = log.key_vault(&who, at, (operation, 200), object);
            for (path, json) in properties {
                let value: Value = serde_json::from_str(json).expect("JSON");
                set(record, &format!("properties.{path}"), value);
            }
        });
    })
}

/// One call to Azure Resource Manager without a past.
fn managed(
    name: &'static str,
    (rules, level): (&'static [&'static str], u8),
    (operation, resource): (&'static str, &'static str),
) -> Attack {
    Attack::new(name, rules, level, move |log, at| {
        let who = Who::person(&format!("mallory-{}", name.replace(' ', "-"))).at(&outside(name, 0));
        log.attack(name, |log| {
            log.activity(&who, at, operation, resource);
        });
    })
}

pub(super) fn attacks() -> Vec<Attack> {
    let deleted = (&["KW-004"][..], CRITICAL);
    let key = (&["KW-107"][..], CRITICAL);
    let export = (&["KW-129"][..], CRITICAL);
    let mut attacks = vec![
        call("azure secret purged", deleted, ("SecretPurge", "deletedsecrets/sql-admin"), &[]),
        call("azure vault deleted", deleted, ("VaultDelete", ""), &[]),
        managed("azure vault deleted by the manager", deleted, ("MICROSOFT.KEYVAULT/VAULTS/DELETE", VAULT)),
        managed(
            "azure vault purged by the manager",
            deleted,
            ("MICROSOFT.KEYVAULT/LOCATIONS/DELETEDVAULTS/PURGE/ACTION", VAULT),
        ),
        call(
            "azure secret disabled",
            (&["KW-004"], WARNING),
            ("SecretUpdate", "secrets/sql-admin"),
            &[("secretProperties", r#"{"attributes": {"enabled": false}}"#)],
        ),
        call("azure key deleted", key, ("KeyDelete", "keys/disk"), &[]),
        call(
            "azure key disabled",
            key,
            ("KeyUpdate", "keys/disk"),
            &[("keyProperties", r#"{"attributes": {"enabled": false}}"#)],
        ),
        call("azure secret exported", export, ("SecretBackup", "secrets/sql-admin"), &[]),
        call("azure key exported", export, ("KeyBackup", "keys/disk"), &[]),
        managed(
            "azure diagnostics deleted",
            (&["KW-101"], CRITICAL),
            ("MICROSOFT.KEYVAULT/VAULTS/PROVIDERS/MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE", VAULT),
        ),
        managed(
            "azure log workspace deleted",
            (&["KW-101"], CRITICAL),
            ("MICROSOFT.OPERATIONALINSIGHTS/WORKSPACES/DELETE", WORKSPACE),
        ),
        call(
            "azure firewall opened",
            (&["KW-106"], HIGH),
            ("VaultPatch", ""),
            &[(
                "networkAcls",
                r#"{"bypass": "AzureServices", "defaultAction": "Allow", "ipRules": [], "virtualNetworkRules": []}"#,
            )],
        ),
        call(
            "azure purge protection off",
            (&["KW-128"], WARNING),
            ("VaultPatch", ""),
            &[("enableSoftDelete", "false"), ("softDeleteRetentionInDays", "7")],
        ),
    ];
    attacks.extend(stories());
    attacks
}

fn stories() -> Vec<Attack> {
    vec![
        Attack::new("azure vault opened to another tenant", &["KW-106"], CRITICAL, |log, at| {
            let name = "azure vault opened to another tenant";
            log.attack(name, |log| {
                let record = log.key_vault(&Who::person("vaultadmin"), at, ("VaultPut", 200), "");
                set(record, "properties.tenantId", json!(TENANT));
                set(record, "properties.accessPolicies", json!([{"tenantId": "00000000-aaaa-4000-8000-00000000f00d", "objectId": "00000000-bbbb-4000-8000-00000000f00d", "permissions": {"secrets": ["get", "list"]}}]));
            });
        }),
        Attack::new("azure tokens refused again and again", &["KW-003", "KW-111"], WARNING, |log, at| {
            log.attack("azure tokens refused again and again", |log| {
                for n in 0..8 {
                    log.challenge(&Who::workload("nobody").at("203.0.113.40"), at + n * 45, "sql-admin");
                }
            });
        }),
        Attack::new("azure three lists at once", &["KW-103"], WARNING, |log, at| {
            let who = Who::person("explorer");
            log.history(Provider::Azure, &who, at - 3600, &["explorer-a"]);
            log.attack("azure three lists at once", |log| {
                for (n, (operation, object)) in (0..).zip([
                    ("SecretList", "secrets"),
                    ("KeyList", "keys"),
                    ("CertificateList", "certificates"),
                ]) {
                    log.key_vault(&who, at + n * MINUTE, (operation, 200), object);
                }
            });
        }),
        Attack::new("azure denied by the firewall", &["KW-132"], WARNING, |log, at| {
            log.attack("azure denied by the firewall", |log| {
                let record = log.key_vault(&Who::workload("away").at("203.0.113.41"), at, ("SecretGet", 403), "secrets/sql-admin");
                set(record, "resultDescription", json!("Client address is not authorized and caller is not a trusted service. ForbiddenByFirewall"));
            });
        }),
        Attack::new("azure vaults in a row", &["KW-116"], HIGH, |log, at| {
            let who = Who::workload("hopper");
            log.history(Provider::Azure, &who, at - 3600, &["hopper-a"]);
            log.attack("azure vaults in a row", |log| {
                for n in 0..5 {
                    let host = format!("https://harbour-{n}.vault.azure.net");
                    let resource = VAULT.replace("HARBOUR-PROD", &format!("HARBOUR-{n}"));
                    log.key_vault_of(
                        &who,
                        at + 90 * n,
                        ("SecretGet", 200),
                        (&host, &resource, "secrets/sql-admin"),
                    );
                }
            });
        }),
    ]
}
