//! What Google's errors mean. Statuses are repeated, messages are only read.

use super::name::Name;
use super::transport::Carried;
use crate::failure::Failure;
use google_cloud_secretmanager_v1::Error;
use std::error::Error as _;
use std::time::Duration;

/// What an error means for one secret.
pub(super) fn failure(error: &Error, name: &Name) -> Failure {
    if let Some(Carried(failure)) = error.source().and_then(|source| source.downcast_ref()) {
        return failure.clone();
    }
    if error.is_authentication() {
        return unknown(error);
    }
    let Some(status) = error.http_status_code() else {
        return Failure::unavailable(
            "Secret Manager answered with something that is no answer of it",
            "see whether secret_manager.gcp.endpoint is Secret Manager's",
        );
    };
    let message = error.status().map(|status| status.message.as_str()).unwrap_or_default();
    let said = format!("Secret Manager answered status {status}");
    let Name { project, secret, version, .. } = name;
    match status {
        401 => Failure::denied(said, "see which credentials Keywatch runs with: `gcloud auth list`"),
        403 if message.contains("has not been used") || message.contains("disabled") => Failure::denied(
            format!("{said}: its API is off in the project {project}"),
            format!("`gcloud services enable secretmanager.googleapis.com --project={project}`"),
        ),
        403 => Failure::denied(
            said,
            format!(
                "`gcloud secrets add-iam-policy-binding {secret} --project={project} \
                 --member=serviceAccount:KEYWATCH --role=roles/secretmanager.secretAccessor`"
            ),
        ),
        404 => Failure::missing(
            format!("there is no version `{version}` of it"),
            format!(
                "`gcloud secrets versions add {secret} --project={project} --data-file=-`, after `gcloud secrets create` when it is new"
            ),
        ),
        400 if message.contains("DISABLED") || message.contains("DESTROYED") || message.contains("state") => {
            let remedy = format!(
                "`gcloud secrets versions enable {version} --secret={secret} --project={project}`, or add a version"
            );
            Failure::missing(format!("its version `{version}` is disabled or destroyed"), remedy)
        }
        429 | 500..=599 => {
            Failure::unavailable(said, "see https://status.cloud.google.com, and the quota when it lasts")
                .wait(retry_after(error))
        }
        _ => Failure::unusable(said, "see whether the name is one Secret Manager can have"),
    }
}

/// Google does not know Keywatch, or could not be asked who it is.
fn unknown(error: &Error) -> Failure {
    let auth =
        error.source().and_then(|source| source.downcast_ref::<google_cloud_gax::error::CredentialsError>());
    if auth.is_some_and(google_cloud_gax::error::CredentialsError::is_transient) {
        return Failure::unavailable(
            "Google issues no token now",
            "see whether its token service is reachable from here",
        );
    }
    let remedy =
        "see whether the service account, its key and the federation still exist: `gcloud auth list`";
    Failure::denied("Google issues no token for Keywatch's credentials", remedy)
}

fn retry_after(error: &Error) -> Option<Duration> {
    let seconds = error.http_headers()?.get("retry-after")?.to_str().ok()?.trim().parse().ok()?;
    Some(Duration::from_secs(seconds))
}
