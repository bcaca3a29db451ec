//! Names of secrets in Azure: a secret's identifier, or a name in the default vault.

use crate::SecretRef;
use crate::failure::Failure;
use crate::settings::{is_private, shown};
use url::Url;

/// A version of a secret in a vault.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Name {
    pub(super) vault: Url,
    pub(super) secret: String,
    pub(super) version: Option<String>,
}

impl Name {
    /// Reads a reference: `NAME`, or `https://VAULT/secrets/NAME`, with `/VERSION` at the end of it.
    ///
    /// # Errors
    /// When it is neither, lacks a vault, or names two versions.
    pub(super) fn of(reference: &SecretRef, vault: Option<&Url>) -> Result<Self, Failure> {
        let path = &reference.path;
        let (vault, secret, version) = match path.parse::<Url>() {
            Ok(url) => identifier(&url).ok_or_else(|| unnamed(path))?,
            Err(_) => (vault.cloned().ok_or_else(homeless)?, path.clone(), None),
        };
        let version = match (version, reference.version.clone()) {
            (Some(one), Some(other)) if one != other => {
                let detail = format!("it names two versions, `{one}` and `{other}`");
                return Err(Failure::unusable(detail, "leave one of them out"));
            }
            (one, other) => one.or(other),
        };
        if !is_private(&vault) {
            let detail = format!("{} would send secrets in clear", shown(&vault));
            return Err(Failure::unusable(detail, "write https"));
        }
        if !is_plain(&secret) || !version.as_deref().is_none_or(is_plain) {
            return Err(unnamed(path));
        }
        Ok(Self { vault, secret, version })
    }

    /// The vault's own name, for a command.
    pub(super) fn vault_name(&self) -> &str {
        let host = self.vault.host_str().unwrap_or_default();
        host.split('.').next().unwrap_or(host)
    }
}

fn identifier(url: &Url) -> Option<(Url, String, Option<String>)> {
    let parts: Vec<_> = url.path_segments()?.filter(|part| !part.is_empty()).collect();
    let (secret, version) = match parts.as_slice() {
        ["secrets", secret] => (*secret, None),
        ["secrets", secret, version] => (*secret, Some((*version).to_owned())),
        _ => return None,
    };
    let mut vault = url.clone();
    vault.set_path("/");
    vault.set_query(None);
    vault.set_fragment(None);
    vault.host_str().is_some().then(|| (vault, secret.to_owned(), version))
}

/// What Key Vault allows in names: letters, digits and hyphens, 127 at most.
fn is_plain(part: &str) -> bool {
    let plain = |byte: u8| byte.is_ascii_alphanumeric() || byte == b'-';
    (1..=127).contains(&part.len()) && part.bytes().all(plain)
}

fn unnamed(path: &str) -> Failure {
    Failure::unusable(
        format!("`{path}` is no name of a secret in Key Vault"),
        "write NAME (letters, digits, hyphens) or https://VAULT.vault.azure.net/secrets/NAME",
    )
}

fn homeless() -> Failure {
    let remedy = "write https://VAULT.vault.azure.net/secrets/NAME, or set secret_manager.azure.vault_url";
    Failure::unusable("it is not said in which vault it is", remedy)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(reference: &str, vault: Option<&str>, expected: Result<(&str, &str, Option<&str>), &str>) {
        let reference: SecretRef = format!("azure-key-vault:{reference}").parse().expect("a reference");
        let vault = vault.map(|url| Url::parse(url).expect("a URL"));
        match (Name::of(&reference, vault.as_ref()), expected) {
            (Ok(name), Ok(told)) => {
                assert_eq!((name.vault.as_str(), name.secret.as_str(), name.version.as_deref()), told);
            }
            (Err(failure), Err(words)) => assert!(failure.detail.contains(words), "{}", failure.detail),
            (found, expected) => panic!("{reference}: {found:?} instead of {expected:?}"),
        }
    }

    #[test]
    fn names_are_identifiers_or_lie_in_the_default_vault() {
        let home = Some("https://home.vault.azure.net");
        check("app", home, Ok(("https://home.vault.azure.net/", "app", None)));
        check("app@0a1b", home, Ok(("https://home.vault.azure.net/", "app", Some("0a1b"))));
        let other = "https://other.vault.azure.net/";
        check("https://other.vault.azure.net/secrets/app", home, Ok((other, "app", None)));
        check("https://other.vault.azure.net/secrets/app/0a1b", None, Ok((other, "app", Some("0a1b"))));
        check("app", None, Err("in which vault"));
        check("https://other.vault.azure.net/secrets/app/0a1b@ff", None, Err("two versions"));
        check("https://other.vault.azure.net/keys/app", None, Err("is no name"));
        check("http://other.vault.azure.net/secrets/app", None, Err("in clear"));
        check("app_1", home, Err("is no name"));
        check("../app", home, Err("is no name"));
    }
}
