//! What a Google Cloud method does and how it ended.
//!
//! Methods are told by their last dotted part, which Secret Manager kept through `v1beta1`,
//! `v1beta2` and `v1`, and which is all that Cloud KMS writes.

use super::super::paths as p;
use keywatch_event::json::{self, Fields};
use keywatch_event::{Class, Outcome};

/// The service whose reads this product is about.
pub(super) const SECRET_MANAGER: &str = "secretmanager.googleapis.com";

/// The services whose methods mean something here.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Service {
    SecretManager,
    Kms,
    Iam,
    Credentials,
    Logging,
    Login,
    Elsewhere,
}

/// One call, as far as its class depends on it.
#[derive(Debug)]
pub(super) struct Call<'c> {
    /// Whose method it is.
    pub(super) service: Service,
    /// The method as written, short or long.
    pub(super) method: &'c str,
    /// The outcome its status tells.
    pub(super) said: Outcome,
}

impl Service {
    /// By the service's name or, in trimmed entries, by the method's package.
    pub(super) fn of(name: &str, method: &str) -> Self {
        let package = |package: &str| name.is_empty() && method.starts_with(package);
        match name {
            SECRET_MANAGER => Self::SecretManager,
            "cloudkms.googleapis.com" => Self::Kms,
            "iam.googleapis.com" | "cloudresourcemanager.googleapis.com" => Self::Iam,
            "iamcredentials.googleapis.com" => Self::Credentials,
            "logging.googleapis.com" => Self::Logging,
            "login.googleapis.com" => Self::Login,
            _ if package("google.cloud.secretmanager.") || package("google.cloud.secrets.") => {
                Self::SecretManager
            }
            _ if package("google.cloud.kms.") => Self::Kms,
            _ if package("google.iam.admin.") => Self::Iam,
            _ if package("google.logging.") => Self::Logging,
            _ => Self::Elsewhere,
        }
    }

    /// The store its secrets live in.
    pub(super) const fn store(self) -> Option<&'static str> {
        match self {
            Self::SecretManager => Some("gsm"),
            Self::Kms => Some("gkms"),
            Self::Iam | Self::Credentials | Self::Logging | Self::Login | Self::Elsewhere => None,
        }
    }
}

/// The outcome a status code stands for (`google.rpc.Code`). No code, and 0, is success; what
/// `authorizationInfo[].granted` says of single permissions does not change that.
pub(super) const fn outcome(code: Option<i64>) -> Outcome {
    match code {
        None | Some(0) => Outcome::Ok,
        Some(5) => Outcome::NotFound,
        Some(7) => Outcome::Denied,
        Some(8) => Outcome::Throttled,
        Some(9) => Outcome::InvalidState,
        Some(13..=15) => Outcome::ServerError,
        Some(16) => Outcome::Unauthenticated,
        Some(_) => Outcome::Other,
    }
}

/// Class and outcome of a call.
pub(super) fn of(fields: &Fields<'_>, call: &Call<'_>) -> (Class, Outcome) {
    let verb = call.method.rsplit('.').next().unwrap_or_default();
    let class = match call.service {
        Service::SecretManager => secret_manager(verb, fields),
        Service::Kms => kms(verb, fields),
        Service::Iam => iam(verb, fields),
        Service::Credentials => credentials(verb, call.said),
        Service::Logging => logging(verb),
        Service::Login => login(verb),
        Service::Elsewhere => Class::Other,
    };
    // A refused sign-in carries no status; its method is the only word on how it ended.
    let refused = class == Class::AuthFail && call.said == Outcome::Ok;
    (class, if refused { Outcome::Unauthenticated } else { call.said })
}

/// Methods of `SecretManagerService`. Google has no recovery window: a deleted secret and a
/// destroyed version are gone, a disabled version is not.
fn secret_manager(verb: &str, fields: &Fields<'_>) -> Class {
    match verb {
        "AccessSecretVersion" => Class::SecretRead,
        "ListSecrets" | "ListSecretVersions" => Class::SecretList,
        "UpdateSecret" if sets_expiry(fields) => Class::SecretDelete,
        "AddSecretVersion" | "CreateSecret" | "UpdateSecret" | "EnableSecretVersion" => Class::SecretWrite,
        "DisableSecretVersion" => Class::SecretDelete,
        "DeleteSecret" | "DestroySecretVersion" => Class::SecretPurge,
        "SetIamPolicy" => Class::PolicyChange,
        _ if verb.starts_with("Get") => Class::SecretMeta,
        _ => Class::Other,
    }
}

/// Whether an `UpdateSecret` gives the secret an end: a deletion that happens later. Clearing an
/// expiry names it in the mask only; a mask that does not name it leaves it as it was.
fn sets_expiry(fields: &Fields<'_>) -> bool {
    let given = fields.text(p::PROTO_ASKED_EXPIRY).is_some() || fields.raw(p::PROTO_ASKED_TTL).is_some();
    let masked = fields.raw(p::PROTO_ASKED_MASK).is_none_or(|mask| {
        let mut names = mask.split(|c: char| !c.is_ascii_alphanumeric() && c != '_');
        names.any(|name| matches!(name, "expireTime" | "expire_time" | "ttl" | "expiration"))
    });
    given && masked
}

/// Methods of `KeyManagementService`. Encrypting and verifying give nothing away.
fn kms(verb: &str, fields: &Fields<'_>) -> Class {
    match verb {
        "Decrypt" | "AsymmetricDecrypt" | "RawDecrypt" | "AsymmetricSign" | "MacSign" | "Decapsulate" => {
            Class::KeyUse
        }
        "UpdateCryptoKeyVersion" if disables(fields) => Class::KeyDestroy,
        "DestroyCryptoKeyVersion" | "DeleteCryptoKeyVersion" | "DeleteCryptoKey" => Class::KeyDestroy,
        "SetIamPolicy" => Class::PolicyChange,
        "Encrypt" | "RawEncrypt" | "MacVerify" => Class::SecretMeta,
        _ if verb.starts_with("List") => Class::SecretList,
        _ if verb.starts_with("Get") => Class::SecretMeta,
        _ if ["Create", "Import", "Restore", "Update"].iter().any(|start| verb.starts_with(start)) => {
            Class::SecretWrite
        }
        _ => Class::Other,
    }
}

fn disables(fields: &Fields<'_>) -> bool {
    matches!(
        fields.text(p::PROTO_ASKED_KEY_STATE).as_deref(),
        Some("DISABLED" | "DESTROY_SCHEDULED" | "DESTROYED")
    )
}

/// Policies of accounts and projects decide who reaches their secrets; IAM's own methods write
/// `SetIAMPolicy`. Taking away an audit configuration blinds the trail.
fn iam(verb: &str, fields: &Fields<'_>) -> Class {
    match verb {
        _ if verb.eq_ignore_ascii_case("SetIamPolicy") && drops_auditing(fields) => Class::AuditTamper,
        _ if verb.eq_ignore_ascii_case("SetIamPolicy") => Class::PolicyChange,
        "CreateServiceAccountKey" | "UploadServiceAccountKey" => Class::TokenCreate,
        _ => Class::Other,
    }
}

fn drops_auditing(fields: &Fields<'_>) -> bool {
    let actions = fields.list(p::PROTO_AUDIT_DELTAS).into_iter().flat_map(json::members);
    actions
        .filter(|(key, _)| key == "action")
        .any(|(_, action)| json::as_text(action).is_some_and(|action| action == "REMOVE"))
}

/// Methods of `IAMCredentials`: taking on a service account. A refusal is a failed
/// authentication as that account.
fn credentials(verb: &str, said: Outcome) -> Class {
    match verb {
        "GenerateAccessToken" | "GenerateIdToken" | "SignJwt" | "SignBlob" => match said {
            Outcome::Denied | Outcome::Unauthenticated => Class::AuthFail,
            Outcome::Ok
            | Outcome::NotFound
            | Outcome::InvalidState
            | Outcome::Throttled
            | Outcome::ServerError
            | Outcome::Other => Class::TokenCreate,
        },
        _ => Class::Other,
    }
}

/// Methods of `ConfigServiceV2` and `LoggingServiceV2` that stop, redirect, thin out or erase
/// what is logged. Buckets also have methods that finish later, named `…Async`.
fn logging(verb: &str) -> Class {
    match verb.strip_suffix("Async").unwrap_or(verb) {
        "DeleteSink" | "UpdateSink" | "DeleteBucket" | "UpdateBucket" | "CreateExclusion"
        | "UpdateExclusion" | "DeleteLog" => Class::AuditTamper,
        "UpdateSettings" | "UpdateCmekSettings" | "DeleteView" | "UpdateView" | "DeleteLink" => {
            Class::AuditAdjacent
        }
        _ => Class::Other,
    }
}

/// Sign-ins of people, as Google Workspace reports them at the organisation.
fn login(verb: &str) -> Class {
    match verb {
        "loginFailure" => Class::AuthFail,
        "loginSuccess" => Class::AuthOk,
        _ => Class::Other,
    }
}
