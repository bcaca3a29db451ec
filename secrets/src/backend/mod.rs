//! The places secrets lie in, one file each.

mod aws;
mod azure;
mod environment;
mod file;
mod gcp;
mod http;
mod kept;
mod own;
mod vault;

use crate::document::Document;
use crate::failure::Failure;
use crate::settings::is_private;
use crate::{SecretRef, Settings, Source};
use async_trait::async_trait;
pub(crate) use azure::ResourceManager;
use http::{Http, Reach};
use own::OwnCredentials;
use reqwest::header::HeaderMap;
use std::path::Path;
use std::time::Duration;
use url::Url;
pub(crate) use vault::Vault;

/// A place secrets lie in.
#[async_trait]
pub(crate) trait Backend: Send + Sync {
    /// Asks once for the secret a reference means, whatever field of it is wanted.
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure>;

    /// Keeps the login alive, when there is one. How long until that is due again.
    async fn tend(&self) -> Option<Duration> {
        None
    }

    /// Forgets every login.
    fn forget(&self) {}
}

/// The Vault the settings name, for questions about itself.
pub(crate) fn vault(settings: &Settings) -> Vault {
    Vault::new(settings.vault.clone(), OwnCredentials::new(&settings.environment), settings.clock.clone())
}

/// The manager of the cloud the settings name, at this address.
pub(crate) fn resource_manager(settings: &Settings, base: Url) -> ResourceManager {
    ResourceManager::new(settings.azure.clone(), OwnCredentials::new(&settings.environment), base)
}

/// The head of an answer, to a question that shows nothing.
pub(crate) async fn head(url: &Url, ca_file: Option<&Path>) -> Result<HeaderMap, Failure> {
    let here = url.scheme() == "http" && is_private(url);
    let http = Http::new(Reach { ca_file, hosts: &[], here })?;
    Ok(http.send(http.request(reqwest::Method::HEAD, url.clone())).await?.headers)
}

/// Every place, built once.
pub(crate) struct Backends {
    environment: Box<dyn Backend>,
    file: Box<dyn Backend>,
    aws: Box<dyn Backend>,
    gcp: Box<dyn Backend>,
    azure: Box<dyn Backend>,
    vault: Box<dyn Backend>,
}

impl Backends {
    /// The places as the settings say. None of them is asked anything yet.
    pub(crate) fn new(settings: &Settings) -> Self {
        let own = || OwnCredentials::new(&settings.environment);
        Self {
            environment: Box::new(environment::Variables::new(&settings.environment)),
            file: Box::new(file::Files),
            aws: Box::new(aws::SecretsManager::new(settings.aws.clone(), own())),
            gcp: Box::new(gcp::SecretManager::new(settings.gcp.clone(), own())),
            azure: Box::new(azure::KeyVault::new(settings.azure.clone(), own())),
            vault: Box::new(vault::Vault::new(settings.vault.clone(), own(), settings.clock.clone())),
        }
    }

    /// The same place for every source.
    #[cfg(test)]
    pub(crate) fn all(make: impl Fn() -> Box<dyn Backend>) -> Self {
        Self { environment: make(), file: make(), aws: make(), gcp: make(), azure: make(), vault: make() }
    }

    /// The place a source names.
    pub(crate) fn of(&self, source: Source) -> &dyn Backend {
        let backend = match source {
            Source::Env => &self.environment,
            Source::File => &self.file,
            Source::AwsSecretsManager => &self.aws,
            Source::GcpSecretManager => &self.gcp,
            Source::AzureKeyVault => &self.azure,
            Source::Vault => &self.vault,
        };
        backend.as_ref()
    }

    /// Forgets every login.
    pub(crate) fn forget(&self) {
        for source in Source::ALL {
            self.of(*source).forget();
        }
    }
}
