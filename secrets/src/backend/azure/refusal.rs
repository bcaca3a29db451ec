//! What Azure's errors mean. Codes are repeated, messages are not even read.

use super::name::Name;
use super::transport::Carried;
use crate::failure::{Failure, code};
use azure_core::error::{Error, ErrorKind};
use azure_core::http::RawResponse;
use serde::Deserialize;
use std::error::Error as AnyError;
use std::time::Duration;

/// What an error means for the login alone.
pub(super) fn of_token(error: &Error) -> Failure {
    of_ourselves(error).unwrap_or_else(|| of_login(None))
}

/// What went wrong before anything was asked: on the way, or with the login.
fn of_ourselves(error: &Error) -> Option<Failure> {
    let causes =
        || std::iter::successors(Some(error as &(dyn AnyError + 'static)), |cause| (*cause).source());
    if let Some(Carried(failure)) = causes().find_map(|cause| cause.downcast_ref()) {
        return Some(failure.clone());
    }
    matches!(error.kind(), ErrorKind::Credential).then(|| {
        let answered = causes().filter_map(|cause| cause.downcast_ref::<Error>());
        of_login(answered.map(Error::kind).find(|kind| matches!(kind, ErrorKind::HttpResponse { .. })))
    })
}

/// What an error means for one secret.
pub(super) fn failure(error: &Error, name: &Name) -> Failure {
    if let Some(failure) = of_ourselves(error) {
        return failure;
    }
    match error.kind() {
        ErrorKind::HttpResponse { status, error_code, raw_response } => {
            let said = error_code.as_deref().unwrap_or_default();
            of_vault(u16::from(*status), said, raw_response.as_deref(), name)
        }
        ErrorKind::Other | ErrorKind::DataConversion => Failure::denied(
            "its challenge is not one of a vault at this address; no token was shown to it",
            "see whether the address is a vault's: https://NAME.vault.azure.net",
        ),
        ErrorKind::Connection | ErrorKind::Io | ErrorKind::Credential => {
            Failure::unavailable("no answer from Key Vault", "see whether the vault is reachable from here")
        }
    }
}

#[derive(Default, Deserialize)]
struct Body {
    #[serde(default)]
    error: Detail,
}

#[derive(Default, Deserialize)]
struct Detail {
    innererror: Option<Inner>,
}

#[derive(Deserialize)]
struct Inner {
    code: Option<String>,
}

fn inner_code(response: Option<&RawResponse>) -> Option<String> {
    let body: Body = serde_json::from_slice(response?.body().as_ref()).ok()?;
    body.error.innererror?.code
}

fn of_vault(status: u16, answered: &str, response: Option<&RawResponse>, name: &Name) -> Failure {
    let inner = inner_code(response);
    let told = code(inner.as_deref().unwrap_or(answered));
    let said = format!("Key Vault answered {told} (status {status})");
    let (vault, secret) = (name.vault_name(), &name.secret);
    match (status, told) {
        (404, _) if name.version.is_some() => Failure::missing(
            format!("{said}: there is no such version, or no such secret"),
            format!(
                "see which there are: `az keyvault secret list-versions --vault-name {vault} --name {secret}`"
            ),
        ),
        (404, _) => Failure::missing(
            format!("{said}: there is no such secret in the vault"),
            format!(
                "`az keyvault secret set --vault-name {vault} --name {secret} --file FILE`, or `az keyvault secret recover` when it was deleted"
            ),
        ),
        (403, "SecretDisabled") => Failure::missing(
            format!("{said}: it is disabled"),
            format!(
                "`az keyvault secret set-attributes --vault-name {vault} --name {secret} --enabled true`"
            ),
        ),
        (403, "ForbiddenByFirewall" | "ForbiddenByConnection") => Failure::denied(
            format!("{said}: the vault's firewall keeps this machine out"),
            format!(
                "`az keyvault network-rule add --name {vault} --ip-address ADDRESS`, or use a private endpoint"
            ),
        ),
        (403, "ForbiddenByPolicy") => Failure::denied(
            said,
            format!("`az keyvault set-policy --name {vault} --object-id KEYWATCH --secret-permissions get`"),
        ),
        (401 | 403, _) => Failure::denied(
            said,
            format!(
                "`az role assignment create --role \"Key Vault Secrets User\" --assignee KEYWATCH --scope` \
                 the id of the vault {vault}, or of its secret {secret}"
            ),
        ),
        (429 | 500..=599, _) => Failure::unavailable(
            said,
            "see https://azure.status.microsoft, and the vault's limits when it lasts",
        )
        .wait(response.and_then(retry_after)),
        _ => Failure::unusable(said, "see whether the name and the version are ones Key Vault can have"),
    }
}

fn retry_after(response: &RawResponse) -> Option<Duration> {
    let header = azure_core::http::headers::HeaderName::from_static("retry-after");
    let seconds = response.headers().get_optional_str(&header)?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}

/// Entra, or the machine's metadata service, issued no token.
fn of_login(answered: Option<&ErrorKind>) -> Failure {
    let Some(ErrorKind::HttpResponse { status, error_code, .. }) = answered else {
        return Failure::denied(
            "Azure issued no token",
            "see secret_manager.azure: the identity, and whether this machine or pod has it",
        );
    };
    let status = u16::from(*status);
    // Entra's codes are numbers, several with commas between.
    let numbers =
        error_code.as_deref().filter(|code| code.bytes().all(|byte| byte.is_ascii_digit() || byte == b','));
    let numbers = numbers.filter(|code| code.len() <= 48);
    let said = numbers.map_or_else(
        || format!("Azure issued no token (status {status})"),
        |code| format!("Entra issued no token: AADSTS{code} (status {status})"),
    );
    if status == 429 || status >= 500 {
        return Failure::unavailable(said, "see https://azure.status.microsoft");
    }
    let remedy = match numbers.and_then(|codes| codes.split(',').next()) {
        Some("7000215") => {
            "the client secret is not the application's: store its value, not its id, under the reference of azure.client_secret"
        }
        Some("7000222") => {
            "the client secret has run out: `az ad app credential reset --id APP`, and store the new one"
        }
        Some("700016") => {
            "there is no application with this client_id in the tenant: see client_id and tenant_id"
        }
        Some("90002") => "there is no such tenant: see tenant_id",
        Some("70021" | "700211" | "700213") => {
            "the application has no federated credential for this service account: `az ad app federated-credential create`"
        }
        _ => "see secret_manager.azure: the identity, and whether this machine or pod has it",
    };
    Failure::denied(said, remedy)
}
