//! Google Secret Manager, through Google's client and Google's credentials.
//!
//! The client's own way to the network reads answers of any size, so it is given another
//! (`gcp/transport.rs`).
//!
//! Facts: <https://cloud.google.com/secret-manager/docs/reference/rest/v1/projects.secrets.versions/access>,
//! <https://cloud.google.com/secret-manager/docs/data-integrity>.

mod credentials;
mod name;
mod refusal;
mod transport;

use super::Backend;
use super::http::{Http, Reach};
use super::kept::Kept;
use super::own::OwnCredentials;
use crate::SecretRef;
use crate::document::Document;
use crate::failure::Failure;
use crate::settings::{GcpSettings, is_private, shown};
use async_trait::async_trait;
use crc::{CRC_32_ISCSI, Crc};
use google_cloud_auth::credentials::Credentials;
use google_cloud_secretmanager_v1::client::SecretManagerService;
use google_cloud_secretmanager_v1::model::SecretPayload;
use name::Name;
use transport::Transport;
use url::Url;
use zeroize::Zeroize;

/// Google calls it CRC32C, the catalogue of checksums ISCSI.
const CRC32C: Crc<u32> = Crc::<u32>::new(&CRC_32_ISCSI);

/// Secret Manager, in every project and location the references name.
pub(super) struct SecretManager {
    settings: GcpSettings,
    own: OwnCredentials,
    way: Kept<(Http, Credentials)>,
}

impl SecretManager {
    pub(super) fn new(settings: GcpSettings, own: OwnCredentials) -> Self {
        Self { settings, own, way: Kept::default() }
    }

    async fn client(&self, name: &Name) -> Result<SecretManagerService, Failure> {
        let endpoint = self.endpoint(name)?;
        let here = endpoint.scheme() == "http";
        let (http, credentials) = self
            .way
            .get_or_make(async || {
                let http = Http::new(Reach { here, ..Reach::default() })?;
                Ok((http, credentials::of(&self.settings, &self.own).await?))
            })
            .await?;
        Ok(SecretManagerService::from_stub(Transport::new(http, credentials, endpoint)))
    }

    /// Secrets of a location are had from that location alone.
    fn endpoint(&self, name: &Name) -> Result<Url, Failure> {
        let regional = |location: &String| format!("https://secretmanager.{location}.rep.googleapis.com/");
        let usual = name
            .location
            .as_ref()
            .map_or_else(|| "https://secretmanager.googleapis.com/".to_owned(), regional);
        let url = self.settings.endpoint.clone().or_else(|| Url::parse(&usual).ok());
        let Some(url) = url else {
            return Err(Failure::unusable("its location is none", "write projects/P/locations/L/secrets/S"));
        };
        if is_private(&url) {
            return Ok(url);
        }
        let detail = format!("{} would send secrets in clear", shown(&url));
        Err(Failure::unusable(detail, "write https in secret_manager.gcp.endpoint"))
    }
}

#[async_trait]
impl Backend for SecretManager {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        let name = Name::of(reference, self.settings.project.as_deref())?;
        let call = self.client(&name).await?.access_secret_version().set_name(name.to_string());
        match call.send().await {
            Ok(answer) => document(answer.payload),
            Err(error) => {
                let failure = refusal::failure(&error, &name);
                if error.http_status_code() == Some(401) {
                    self.way.forget();
                }
                Err(failure)
            }
        }
    }

    fn forget(&self) {
        self.way.forget();
    }
}

fn document(payload: Option<SecretPayload>) -> Result<Document, Failure> {
    let Some(payload) = payload else {
        return Err(Failure::unavailable("Secret Manager answered without a value", "ask again"));
    };
    let told = payload.data_crc32c.and_then(|sum| u32::try_from(sum).ok());
    if told.is_some_and(|sum| sum != CRC32C.checksum(&payload.data)) {
        return Err(Failure::unavailable(
            "the value was damaged on its way (its CRC32C is another)",
            "ask again",
        ));
    }
    let text = std::str::from_utf8(&payload.data).map(ToOwned::to_owned);
    // Nobody else holds these bytes, so they can be overwritten.
    if let Ok(mut bytes) = payload.data.try_into_mut() {
        bytes.as_mut().zeroize();
    }
    match text {
        Ok(text) => Document::text(text),
        Err(_) => Err(Failure::unusable("it is no UTF-8 text", "store it as a text")),
    }
}
