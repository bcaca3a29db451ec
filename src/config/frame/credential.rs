//! Credentials: references to secrets, and values that stand in the configuration itself.
//!
//! Nothing is fetched here, and no text repeats what could be a secret.

use super::declare::{Key, Kind, Setting, need, section};
use super::network;
use super::node::{Data, Node, Problems};
use super::{Origin, choice};
use keywatch_secrets::{SecretRef, SecretValue, Source};

choice! {
    /// Where a secret lies.
    pub(crate) enum SecretSource {
        /// A variable of the environment.
        Env = "env",
        /// A file.
        File = "file",
        /// AWS Secrets Manager.
        AwsSecretsManager = "aws-secrets-manager",
        /// Google Secret Manager.
        GcpSecretManager = "gcp-secret-manager",
        /// Azure Key Vault.
        AzureKeyVault = "azure-key-vault",
        /// HashiCorp Vault or OpenBao.
        Vault = "vault",
    }
}

section! {
    /// Where a secret lies. It may be written in one line as `source:path`, with `#key` and
    /// `@version` behind it: `vault:secret/keywatch#token`.
    pub(crate) struct Reference {
        /// Which backend has it.
        source: SecretSource = need("write env, file, aws-secrets-manager, gcp-secret-manager, azure-key-vault or vault"),
        /// Its name there: a variable, a file, a secret's name or ARN, a path with its mount.
        path: String = need("name the variable, the file or the secret"),
        /// Which field of it, when the secret is a JSON object.
        key: Option<String>,
        /// Which version or version stage; the current one unless told.
        version: Option<String>,
    }
}

impl From<Reference> for SecretRef {
    fn from(reference: Reference) -> Self {
        let source = match reference.source {
            SecretSource::Env => Source::Env,
            SecretSource::File => Source::File,
            SecretSource::AwsSecretsManager => Source::AwsSecretsManager,
            SecretSource::GcpSecretManager => Source::GcpSecretManager,
            SecretSource::AzureKeyVault => Source::AzureKeyVault,
            SecretSource::Vault => Source::Vault,
        };
        Self { source, path: reference.path, key: reference.key, version: reference.version }
    }
}

/// The reference a node is, in either way of writing; `None` for any other text.
pub(crate) fn reference(node: &Node, key: &Key, problems: &Problems) -> Option<SecretRef> {
    match &node.data {
        Data::Map(_) => Reference::read(node, key, problems).map(Into::into),
        Data::Text(text) => text.parse().ok(),
        Data::Null | Data::Bool(_) | Data::Whole(_) | Data::Number(_) | Data::List(_) => None,
    }
}

impl Setting for SecretRef {
    const KIND: Kind = Kind::Secret;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let told = problems.count();
        let found = reference(node, key, problems);
        if found.is_none() && problems.count() == told {
            in_clear(&node.origin, key, problems);
        }
        found
    }
}

fn in_clear(at: &Origin, key: &Key, problems: &Problems) {
    let message =
        format!("`{}` is no reference to a secret; a secret stands in the configuration itself", key.name);
    let remedy =
        "put it into a file or a variable and write `{source: file, path: …}` or `{source: env, path: NAME}`";
    problems.add(at, message, remedy);
}

/// A credential that may stand in the configuration itself.
#[derive(Clone, Debug)]
pub(crate) enum Credential {
    /// Where it lies.
    Reference(SecretRef),
    /// What it is.
    Value(SecretValue),
}

impl PartialEq for Credential {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::Reference(one), Self::Reference(two)) => one == two,
            (Self::Value(one), Self::Value(two)) => one.same_as(two),
            (Self::Reference(_), Self::Value(_)) | (Self::Value(_), Self::Reference(_)) => false,
        }
    }
}

impl Setting for Credential {
    const KIND: Kind = Kind::Credential;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let told = problems.count();
        if let Some(reference) = reference(node, key, problems) {
            return Some(Self::Reference(reference));
        }
        let text = node.text().filter(|text| !text.trim().is_empty());
        if text.is_none() && problems.count() == told {
            let message =
                format!("`{}` must be text or a reference to a secret, not {}", key.name, node.kind());
            problems.add(&node.origin, message, "write `{source: …, path: …}`");
        }
        text.map(|text| Self::Value(SecretValue::new(text)))
    }
}

/// The same for a URL that is or holds a credential.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct CredentialUrl(pub(crate) Credential);

impl Setting for CredentialUrl {
    const KIND: Kind = Kind::CredentialUrl;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let credential = Credential::read(node, key, problems)?;
        if let Credential::Value(value) = &credential {
            network::parse(value.expose(), node, key, problems)?;
        }
        Some(Self(credential))
    }
}
