//! Canonical classes and outcomes: the normaliser decides, rules only see these.

use std::fmt;
use std::str::FromStr;

/// A name outside a closed vocabulary, with the vocabulary.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{name}` is not one of {}", known.join(", "))]
pub struct UnknownName {
    /// What was written.
    pub name: String,
    /// What may be written.
    pub known: &'static [&'static str],
}

macro_rules! vocabulary {
    ($(#[$meta:meta])* $type:ident { $($(#[$doc:meta])* $variant:ident = $name:literal,)+ }) => {
        $(#[$meta])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum $type { $($(#[$doc])* $variant,)+ }

        impl $type {
            /// Every value, in the order of declaration.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)+];
            /// Every name, in the order of [`Self::ALL`].
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The name used in rules, SQL, JSON and on pages.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
            }
        }

        impl fmt::Display for $type {
            fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.pad(self.as_str())
            }
        }

        impl FromStr for $type {
            type Err = UnknownName;
            fn from_str(name: &str) -> Result<Self, UnknownName> {
                let found = Self::ALL.iter().copied().find(|value| value.as_str() == name);
                found.ok_or_else(|| UnknownName { name: name.to_owned(), known: Self::NAMES })
            }
        }

        impl serde::Serialize for $type {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.serialize_str(self.as_str())
            }
        }

        impl<'de> serde::Deserialize<'de> for $type {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let name = <std::borrow::Cow<'de, str>>::deserialize(deserializer)?;
                name.parse().map_err(serde::de::Error::custom)
            }
        }
    };
}
pub(crate) use vocabulary;

vocabulary! {
    /// Where an audit record comes from.
    Provider {
        /// AWS `CloudTrail`.
        Aws = "aws",
        /// Google Cloud audit logs.
        Gcp = "gcp",
        /// Azure Key Vault logs and the Azure Activity log.
        Azure = "azure",
        /// `HashiCorp` Vault or `OpenBao` audit devices.
        Vault = "vault",
    }
}

vocabulary! {
    /// What an event does, whatever the provider calls it.
    Class {
        /// The value of one named secret was asked for.
        SecretRead = "secret.read",
        /// Values were asked for by filter or prefix: which ones is not in the record.
        SecretBatchRead = "secret.batch_read",
        /// Names of secrets, keys or versions were listed.
        SecretList = "secret.list",
        /// Attributes of a secret, never its value.
        SecretMeta = "secret.meta",
        /// A secret or a version was created, changed, restored.
        SecretWrite = "secret.write",
        /// A secret or version was deleted or disabled, recoverably.
        SecretDelete = "secret.delete",
        /// A secret or version was destroyed for good.
        SecretPurge = "secret.purge",
        /// A key was used to decrypt, sign or unwrap.
        KeyUse = "key.use",
        /// A key was destroyed, disabled or scheduled for destruction.
        KeyDestroy = "key.destroy",
        /// Who may reach a secret, key or store was changed.
        PolicyChange = "policy.change",
        /// The audit trail itself was stopped, narrowed or redirected.
        AuditTamper = "audit.tamper",
        /// A change next to the audit trail.
        AuditAdjacent = "audit.adjacent",
        /// An authentication that succeeded, or a role that was assumed.
        AuthOk = "auth.ok",
        /// An authentication that failed.
        AuthFail = "auth.fail",
        /// A request without credentials that the protocol answers with a challenge.
        AuthChallenge = "auth.challenge",
        /// Secret material left the store as a whole: backup, snapshot, key export.
        Export = "export",
        /// Seal, step-down, rekey, root generation.
        AdminSeal = "admin.seal",
        /// Engines, auth methods, plugins and namespaces were changed.
        AdminMount = "admin.mount",
        /// A credential was minted: token, access key, service account key.
        TokenCreate = "token.create",
        /// Anything else a trail carries.
        Other = "other",
    }
}

vocabulary! {
    /// How the call ended.
    Outcome {
        /// It did what was asked.
        Ok = "ok",
        /// The caller is known and may not.
        Denied = "denied",
        /// The thing does not exist, or the caller may not know.
        NotFound = "not_found",
        /// The caller did not prove who they are.
        Unauthenticated = "unauthenticated",
        /// The thing cannot do this in its present state: deleted, disabled, wrong key.
        InvalidState = "invalid_state",
        /// Refused for its rate; nothing is known about permission.
        Throttled = "throttled",
        /// The provider failed.
        ServerError = "server_error",
        /// An error of another kind.
        Other = "other",
    }
}

impl Class {
    /// Whether this asks for the value of a secret or the use of a key.
    #[must_use]
    pub const fn is_read(self) -> bool {
        matches!(self, Self::SecretRead | Self::SecretBatchRead | Self::KeyUse)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_as_its_value() {
        for class in Class::ALL {
            assert_eq!(class.as_str().parse(), Ok(*class));
        }
        assert_eq!(Class::ALL.len(), Class::NAMES.len());
    }

    #[test]
    fn an_unknown_name_lists_the_known_ones() {
        let error = "vaultt".parse::<Provider>().unwrap_err();
        assert_eq!(error.to_string(), "`vaultt` is not one of aws, gcp, azure, vault");
    }
}
