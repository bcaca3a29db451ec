//! References to secrets: where one lies, never what it is.

use std::fmt;
use std::str::FromStr;

/// Where a secret lies.
///
/// Written in one line as `source:path`, with `#key` for a field of a JSON secret and `@version`
/// after it: `aws-secrets-manager:shared/ai-keys/openai#token@AWSCURRENT`.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct SecretRef {
    /// Which backend has it.
    pub source: Source,
    /// Its name there: a variable, a file, a secret's name or ARN, a path with its mount.
    pub path: String,
    /// Which field of it, when the secret is a JSON object.
    pub key: Option<String>,
    /// Which version or version stage; the current one unless told.
    pub version: Option<String>,
}

/// The backends a secret can lie in.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Source {
    /// A variable of the environment.
    Env,
    /// A file.
    File,
    /// AWS Secrets Manager.
    AwsSecretsManager,
    /// Google Secret Manager.
    GcpSecretManager,
    /// Azure Key Vault.
    AzureKeyVault,
    /// HashiCorp Vault or OpenBao, key-value engine version 1 or 2.
    Vault,
}

impl Source {
    /// Every backend.
    pub const ALL: &'static [Self] = &[
        Self::Env,
        Self::File,
        Self::AwsSecretsManager,
        Self::GcpSecretManager,
        Self::AzureKeyVault,
        Self::Vault,
    ];

    /// Its name in a configuration.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Env => "env",
            Self::File => "file",
            Self::AwsSecretsManager => "aws-secrets-manager",
            Self::GcpSecretManager => "gcp-secret-manager",
            Self::AzureKeyVault => "azure-key-vault",
            Self::Vault => "vault",
        }
    }
}

impl fmt::Display for Source {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{}:{}", self.source, self.path)?;
        if let Some(key) = &self.key {
            write!(out, "#{key}")?;
        }
        if let Some(version) = &self.version {
            write!(out, "@{version}")?;
        }
        Ok(())
    }
}

/// A text that names no secret.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is no reference to a secret; write source:path, such as env:NAME or vault:secret/app#token")]
pub struct BadReference(String);

impl FromStr for SecretRef {
    type Err = BadReference;

    fn from_str(text: &str) -> Result<Self, BadReference> {
        let bad = || BadReference(text.to_owned());
        let (source, rest) = text.split_once(':').ok_or_else(bad)?;
        let source = Source::ALL.iter().copied().find(|known| known.as_str() == source).ok_or_else(bad)?;
        let (rest, version) = match rest.rsplit_once('@') {
            Some((rest, version)) => (rest, Some(version.to_owned())),
            None => (rest, None),
        };
        let (path, key) = match rest.split_once('#') {
            Some((path, key)) => (path, Some(key.to_owned())),
            None => (rest, None),
        };
        if path.is_empty() {
            return Err(bad());
        }
        Ok(Self { source, path: path.to_owned(), key, version })
    }
}
