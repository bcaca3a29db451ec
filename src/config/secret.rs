//! Signing secrets behind the references of the configuration.
//!
//! A secret goes straight into the type that uses it, and never into a message.

use super::frame::{At, Credential, CredentialUrl, Origin, Problems};
use keywatch_alerting::SigningSecret;
use keywatch_secrets::{SecretRef, Source};

/// Fetches a signing secret.
pub(super) fn signing(
    reference: &At<SecretRef>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &Problems,
) -> Option<SigningSecret> {
    let text = fetched(&reference.value, &reference.origin, environment, problems)?;
    match SigningSecret::parse(&text) {
        Ok(secret) => Some(secret),
        Err(error) => {
            let SecretRef { source, path, .. } = &reference.value;
            let message = format!("the secret in {source} {path} cannot be used: {error}");
            problems.add(&reference.origin, message, "");
            None
        }
    }
}

/// The URL itself.
pub(super) fn plain(
    url: &At<CredentialUrl>,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &Problems,
) -> Option<String> {
    match &url.value.0 {
        Credential::Value(value) => Some(value.expose().to_owned()),
        Credential::Reference(reference) => fetched(reference, &url.origin, environment, problems),
    }
}

fn fetched(
    reference: &SecretRef,
    at: &Origin,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &Problems,
) -> Option<String> {
    let SecretRef { source, path, .. } = reference;
    let text = match source {
        Source::Env => environment(path).ok_or_else(|| format!("the variable {path} is not set")),
        Source::File => {
            std::fs::read_to_string(path).map_err(|error| format!("the file {path} cannot be read: {error}"))
        }
        Source::AwsSecretsManager | Source::GcpSecretManager | Source::AzureKeyVault | Source::Vault => {
            Err(format!("secrets of receivers are not fetched from {source}"))
        }
    };
    match text {
        Ok(text) => Some(text.trim().to_owned()),
        Err(missing) => {
            let remedy =
                "create it; a signing secret is made with `openssl rand -base64 32` and the prefix whsec_";
            problems.add(at, missing, remedy);
            None
        }
    }
}
