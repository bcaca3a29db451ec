//! What Keywatch shows a backend to be let in: itself read from the environment or a file, nowhere
//! else, and never kept here.

use super::Backend;
use super::environment::Variables;
use super::file::Files;
use crate::failure::Failure;
use crate::settings::Environment;
use crate::{SecretRef, SecretValue, Source};

/// Reads what a backend has to be shown.
pub(super) struct OwnCredentials(Variables);

impl OwnCredentials {
    pub(super) fn new(environment: &Environment) -> Self {
        Self(Variables::new(environment))
    }

    /// The value of a backend's own credential, read now.
    ///
    /// # Errors
    /// When it cannot be had, or lies in a backend itself: that could end in a circle.
    pub(super) async fn read(&self, reference: &SecretRef) -> Result<SecretValue, Failure> {
        let document = match reference.source {
            Source::Env => self.0.fetch(reference).await,
            Source::File => Files.fetch(reference).await,
            Source::AwsSecretsManager | Source::GcpSecretManager | Source::AzureKeyVault | Source::Vault => {
                let detail = "it lies in a backend itself, which could end in a circle";
                Err(Failure::unusable(detail, "keep it in the environment or in a file"))
            }
        };
        let value = document.and_then(|document| document.value(reference));
        value.map_err(|failure| failure.during(&format!("`{reference}`, which is needed to ask")))
    }
}
