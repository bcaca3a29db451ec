//! References to secrets: where one lies, never what it is.

use std::fmt;
use std::str::FromStr;

/// Where a secret lies.
///
/// Written in one line as `source:path`, with `#key` for a field of a JSON secret and `@version`
/// after it: `aws-secrets-manager:shared/ai-keys/openai#token@AWSCURRENT`. A name that holds `@`
/// itself ends with one more: `aws-secrets-manager:me@example@`.
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

impl Source {
    /// Whether secrets have versions there.
    #[must_use]
    pub const fn has_versions(self) -> bool {
        !matches!(self, Self::Env | Self::File)
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
        } else if self.source.has_versions() && self.path.contains('@') {
            // Read back, the last sign begins the version: here it begins none.
            out.write_str("@")?;
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
        // Variables and files have no versions, and names of files may hold the sign.
        let (rest, version) = match rest.rsplit_once('@') {
            Some((rest, version)) if source.has_versions() => (rest, Some(version)),
            _ => (rest, None),
        };
        let (path, key) = match rest.split_once('#') {
            Some((path, key)) => (path, Some(key)),
            None => (rest, None),
        };
        if path.is_empty() || text.chars().any(char::is_control) {
            return Err(bad());
        }
        let told = |part: Option<&str>| part.filter(|part| !part.is_empty()).map(ToOwned::to_owned);
        Ok(Self { source, path: path.to_owned(), key: told(key), version: told(version) })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(text: &str, path: &str, key: Option<&str>, version: Option<&str>) {
        let reference: SecretRef = text.parse().expect("a reference");
        let told = (reference.path.as_str(), reference.key.as_deref(), reference.version.as_deref());
        assert_eq!(told, (path, key, version), "{text}");
        assert_eq!(reference.to_string().parse(), Ok(reference), "{text} does not survive being written");
    }

    #[test]
    fn references_are_read_from_one_line() {
        check("env:KEYWATCH_TOKEN", "KEYWATCH_TOKEN", None, None);
        check("file:/run/secrets/me@host#token", "/run/secrets/me@host", Some("token"), None);
        check(
            "aws-secrets-manager:shared/ai#token@AWSPREVIOUS",
            "shared/ai",
            Some("token"),
            Some("AWSPREVIOUS"),
        );
        let arn = "arn:aws:secretsmanager:eu-west-1:111122223333:secret:app-a1b2c3";
        check(&format!("aws-secrets-manager:{arn}#k"), arn, Some("k"), None);
        check("aws-secrets-manager:me@example@", "me@example", None, None);
        check("vault:secret/app#token@3", "secret/app", Some("token"), Some("3"));
        let kv = "https://kv.vault.azure.net/secrets/app";
        check(&format!("azure-key-vault:{kv}@0123"), kv, None, Some("0123"));
        check("gcp-secret-manager:projects/p/secrets/s@7", "projects/p/secrets/s", None, Some("7"));
    }

    #[test]
    fn what_names_no_secret_is_refused() {
        for text in ["", "env", "env:", "keychain:x", "vault:#key", "vault:@3", "file:a\nb"] {
            assert!(text.parse::<SecretRef>().is_err(), "{text:?}");
        }
    }
}
