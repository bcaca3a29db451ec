//! What an Azure operation does.
//!
//! Key Vault's own operations are named object and verb in one word (`SecretGet`); the Activity
//! log's are paths (`MICROSOFT.KEYVAULT/VAULTS/DELETE`) in whatever case. Names are compared in
//! lower case.

use super::super::paths as p;
use keywatch_event::json::Fields;
use keywatch_event::{Class, Outcome};
use std::borrow::Cow;

/// Which log a record is from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Log {
    /// `AuditEvent` of a vault or managed HSM.
    KeyVault,
    /// The subscription's Activity log.
    Activity,
    /// The resource log of something else.
    Elsewhere,
}

/// One operation, as far as its class depends on it.
#[derive(Debug)]
pub(super) struct Call {
    pub(super) log: Log,
    /// The operation's name in lower case.
    pub(super) operation: String,
    pub(super) outcome: Outcome,
    /// Whether the record says who called.
    pub(super) proven: bool,
}

impl Log {
    /// Activity log operations are paths; `AuditEvent` is Key Vault's category unless the
    /// resource says otherwise.
    pub(super) fn of(fields: &Fields<'_>, operation: &str) -> Self {
        if operation.contains('/') {
            return Self::Activity;
        }
        let audit = fields.text(p::CATEGORY).is_some_and(|said| said.eq_ignore_ascii_case("AuditEvent"));
        let vault =
            fields.text(p::RESOURCE_ID).map(|id| id.to_ascii_lowercase().contains("/microsoft.keyvault/"));
        if vault.unwrap_or(audit) { Self::KeyVault } else { Self::Elsewhere }
    }
}

impl Call {
    /// Whether this asks for or changes something of a vault.
    pub(super) fn is_key_vault(&self) -> bool {
        self.log == Log::KeyVault || self.operation.starts_with("microsoft.keyvault/")
    }
}

/// The class of an operation.
pub(super) fn of(fields: &Fields<'_>, call: &Call) -> Class {
    match call.log {
        Log::KeyVault => key_vault(fields, call),
        Log::Activity => activity(fields, &call.operation),
        Log::Elsewhere => Class::Other,
    }
}

/// Every SDK first calls without a token to learn where to get one; the 401 it provokes is the
/// protocol's challenge and no failed authentication.
fn key_vault(fields: &Fields<'_>, call: &Call) -> Class {
    let operation = call.operation.as_str();
    if call.outcome == Outcome::Unauthenticated && !call.proven {
        return Class::AuthChallenge;
    }
    if operation.ends_with("eventgridnotification") {
        return Class::Other;
    }
    if operation == "authentication" {
        return if call.outcome == Outcome::Ok { Class::AuthOk } else { Class::AuthFail };
    }
    let disabled = |slot: usize| fields.truth(slot) == Some(false);
    if let Some(verb) = operation.strip_prefix("secret") {
        return secret(verb, disabled(p::SECRET_ENABLED));
    }
    if let Some(verb) = operation.strip_prefix("key") {
        return key(verb, disabled(p::KEY_ENABLED));
    }
    if let Some(verb) = operation.strip_prefix("certificate") {
        return certificate(verb, disabled(p::CERTIFICATE_ENABLED));
    }
    operation.strip_prefix("vault").map_or(Class::Other, vault)
}

fn secret(verb: &str, disabled: bool) -> Class {
    match verb {
        "get" => Class::SecretRead,
        "update" if disabled => Class::SecretDelete,
        "set" | "update" | "restore" | "recover" => Class::SecretWrite,
        "delete" => Class::SecretDelete,
        "purge" => Class::SecretPurge,
        "backup" => Class::Export,
        "getdeleted" => Class::SecretMeta,
        _ if verb.starts_with("list") => Class::SecretList,
        _ => Class::Other,
    }
}

fn key(verb: &str, disabled: bool) -> Class {
    match verb {
        "decrypt" | "unwrap" | "sign" | "release" => Class::KeyUse,
        "update" if disabled => Class::KeyDestroy,
        "delete" | "purge" => Class::KeyDestroy,
        "backup" => Class::Export,
        "get" | "getdeleted" | "encrypt" | "wrap" | "verify" | "rotationpolicyget" => Class::SecretMeta,
        "create" | "import" | "update" | "restore" | "recover" | "rotate" | "rotateifdue"
        | "rotationpolicyset" => Class::SecretWrite,
        _ if verb.starts_with("list") => Class::SecretList,
        _ => Class::Other,
    }
}

/// A certificate's private part is read by `SecretGet` of the same name, so its own reads are
/// of public matter. Verbs may be longer: `policyget`, `issuerslist`, `contactsdelete`.
fn certificate(verb: &str, disabled: bool) -> Class {
    match verb {
        "update" if disabled => Class::SecretDelete,
        "delete" => Class::SecretDelete,
        "purge" => Class::SecretPurge,
        "backup" => Class::Export,
        _ if verb.starts_with("list") || verb.ends_with("list") => Class::SecretList,
        _ if verb.starts_with("get") || verb.ends_with("get") => Class::SecretMeta,
        _ => Class::SecretWrite,
    }
}

/// Putting and patching a vault is how its access policies, firewall and protections change.
fn vault(verb: &str) -> Class {
    match verb {
        "put" | "patch" => Class::PolicyChange,
        "delete" => Class::SecretDelete,
        "purge" => Class::SecretPurge,
        "recover" => Class::SecretWrite,
        _ if verb.starts_with("get") => Class::SecretMeta,
        _ if verb.starts_with("list") => Class::SecretList,
        _ => Class::Other,
    }
}

/// Operations of Azure Resource Manager. One on a resource may be written as an extension of
/// another: `MICROSOFT.KEYVAULT/VAULTS/PROVIDERS/MICROSOFT.INSIGHTS/DIAGNOSTICSETTINGS/DELETE`.
fn activity(fields: &Fields<'_>, operation: &str) -> Class {
    let operation = operation.rsplit_once("/providers/").map_or(operation, |(_, own)| own);
    match operation {
        "microsoft.keyvault/vaults/delete" => Class::SecretDelete,
        "microsoft.keyvault/locations/deletedvaults/purge/action" => Class::SecretPurge,
        "microsoft.keyvault/managedhsms/delete"
        | "microsoft.keyvault/locations/deletedmanagedhsms/purge/action" => Class::KeyDestroy,
        "microsoft.keyvault/vaults/write"
        | "microsoft.keyvault/managedhsms/write"
        | "microsoft.keyvault/vaults/accesspolicies/write"
        | "microsoft.keyvault/vaults/accesspolicies/delete"
        | "microsoft.authorization/elevateaccess/action" => Class::PolicyChange,
        "microsoft.keyvault/vaults/secrets/write" | "microsoft.keyvault/vaults/keys/write" => {
            Class::SecretWrite
        }
        "microsoft.keyvault/vaults/read" => Class::SecretMeta,
        "microsoft.authorization/roleassignments/write"
        | "microsoft.authorization/roleassignments/delete"
            if reaches_vaults(fields) =>
        {
            Class::PolicyChange
        }
        "microsoft.insights/diagnosticsettings/write"
        | "microsoft.insights/diagnosticsettings/delete"
        | "microsoft.insights/logprofiles/write"
        | "microsoft.insights/logprofiles/delete"
        | "microsoft.operationalinsights/workspaces/delete"
        | "microsoft.eventhub/namespaces/delete"
        | "microsoft.eventhub/namespaces/eventhubs/delete" => Class::AuditTamper,
        "microsoft.network/networkwatchers/flowlogs/delete" => Class::AuditAdjacent,
        _ => Class::Other,
    }
}

/// Whether a role assignment is on a vault, or on a group or subscription that may hold one.
fn reaches_vaults(fields: &Fields<'_>) -> bool {
    let id = fields.text(p::RESOURCE_ID).or_else(|| fields.text(p::ACTIVITY_SCOPE)).unwrap_or_default();
    let id = id.to_ascii_lowercase();
    let scope = id.split("/providers/microsoft.authorization/").next().unwrap_or_default();
    !scope.contains("/providers/") || scope.contains("/providers/microsoft.keyvault/")
}

/// What this record repeats, if it repeats something.
///
/// Within the Activity log, entries that only say an operation was started or accepted repeat its
/// terminal entry. Deleting a vault stands in the vault's own log and in the Activity log; many
/// customers collect only one of them, so both count, and incidents join them by the vault.
pub(super) fn echo_of<'a>(fields: &Fields<'a>, call: &Call) -> Option<Cow<'a, str>> {
    match (call.log, call.operation.as_str()) {
        (Log::Activity, _) if !is_terminal(fields) => {
            Some(fields.text(p::CORRELATION_ID).unwrap_or(Cow::Borrowed("operation")))
        }
        _ => None,
    }
}

fn is_terminal(fields: &Fields<'_>) -> bool {
    let status =
        [p::ACTIVITY_STATUS, p::STATUS, p::RESULT_TYPE].into_iter().find_map(|slot| fields.text(slot));
    let under_way = ["start", "started", "accept", "accepted", "inprogress", "in progress", "running"];
    status.is_none_or(|status| !under_way.iter().any(|word| status.eq_ignore_ascii_case(word)))
}
