//! Who Keywatch is in Google Cloud.

use crate::backend::own::OwnCredentials;
use crate::failure::Failure;
use crate::settings::GcpSettings;
use google_cloud_auth::build_errors::Error as BuildError;
use google_cloud_auth::credentials::{
    Builder, Credentials, anonymous, external_account, impersonated, service_account, user_account,
};
use serde_json::Value;

/// The credentials the settings name, or what every Google program finds by itself.
///
/// # Errors
/// When there are none.
pub(super) async fn of(settings: &GcpSettings, own: &OwnCredentials) -> Result<Credentials, Failure> {
    if settings.anonymous {
        return Ok(anonymous::Builder::new().build());
    }
    let Some(reference) = &settings.credentials else {
        return Builder::default().build().map_err(|_unsaid| {
            let remedy = "give Keywatch's machine or pod a service account, set GOOGLE_APPLICATION_CREDENTIALS, \
                          or name secret_manager.gcp.credentials";
            Failure::denied("Keywatch has no Google credentials", remedy)
        });
    };
    let text = own.read(reference).await?;
    let unusable = |detail: &str| {
        let remedy = "store the JSON of a service account's key or of a workload identity federation";
        Failure::unusable(format!("`{reference}` {detail}"), remedy)
    };
    let parsed: Value = serde_json::from_str(text.expose()).or(Err(unusable("holds no JSON")))?;
    built(parsed).unwrap_or(Err(())).or(Err(unusable("holds no credentials Google's libraries know")))
}

fn built(parsed: Value) -> Option<Result<Credentials, ()>> {
    let kind = parsed.get("type").and_then(Value::as_str)?.to_owned();
    let built: Result<Credentials, BuildError> = match kind.as_str() {
        "service_account" => service_account::Builder::new(parsed).build(),
        "external_account" => external_account::Builder::new(parsed).build(),
        "impersonated_service_account" => impersonated::Builder::new(parsed).build(),
        "authorized_user" => user_account::Builder::new(parsed).build(),
        _ => return None,
    };
    // The error may quote the key.
    Some(built.map_err(drop))
}
