//! Questions to a Vault about itself and to Azure about what a subscription holds, asked with a login of
//! the kinds secrets are fetched with.
//!
//! They change nothing (`GET` alone), are asked once, and take no longer than the settings allow.

use crate::backend::{ResourceManager, Vault, resource_manager, vault};
use crate::failure::Failure;
use crate::{Settings, Trouble};
use std::fmt;
use url::Url;

/// One Vault or OpenBao that is asked about itself.
pub struct VaultInquiry {
    vault: Vault,
    settings: Settings,
}

/// Why a question has no answer. Quotes no backend.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{detail}; {remedy}")]
pub struct Unanswered {
    /// What kind of trouble it is.
    pub trouble: Trouble,
    /// What was answered instead.
    pub detail: String,
    /// What an operator can do about it.
    pub remedy: String,
}

impl VaultInquiry {
    /// The Vault the settings name. Nothing is asked yet.
    #[must_use]
    pub fn new(settings: &Settings) -> Self {
        Self { vault: vault(settings), settings: settings.clone() }
    }

    /// What stands at a path, such as `sys/audit`, as Vault answers it.
    ///
    /// # Errors
    /// When Vault refuses, or cannot be asked.
    pub async fn read(&self, path: &str) -> Result<serde_json::Value, Unanswered> {
        answered(&self.settings, self.vault.look(path)).await
    }
}

/// Azure Resource Manager, asked what a subscription holds and how it is set up.
pub struct AzureInquiry {
    manager: ResourceManager,
    settings: Settings,
}

impl AzureInquiry {
    /// The address of Azure's public cloud.
    pub const PUBLIC: &str = "https://management.azure.com";

    /// The manager at `base`, with the identity the settings name. Nothing is asked yet.
    #[must_use]
    pub fn new(settings: &Settings, base: Url) -> Self {
        Self { manager: resource_manager(settings, base), settings: settings.clone() }
    }

    /// Everything in the list at `path`, page by page. `needs` names the action it takes, for who
    /// may not.
    ///
    /// # Errors
    /// When Azure refuses, or cannot be asked.
    pub async fn list(
        &self,
        path: &str,
        api_version: &str,
        needs: &str,
    ) -> Result<Vec<serde_json::Value>, Unanswered> {
        answered(&self.settings, self.manager.list(path, api_version, needs)).await
    }
}

/// The answer, within the time a question may take.
async fn answered<T>(
    settings: &Settings,
    asked: impl Future<Output = Result<T, Failure>>,
) -> Result<T, Unanswered> {
    let limit = settings.timeout;
    let answer = settings.clock.within(limit, asked).await.unwrap_or_else(|| {
        let remedy = "see whether its address is right and reachable from here";
        Err(Failure::unavailable(format!("no answer within {limit:?}"), remedy))
    });
    answer.map_err(Unanswered::from)
}

impl fmt::Debug for AzureInquiry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("AzureInquiry")
    }
}

impl From<Failure> for Unanswered {
    fn from(failure: Failure) -> Self {
        Self { trouble: failure.trouble, detail: failure.detail, remedy: failure.remedy }
    }
}

impl fmt::Debug for VaultInquiry {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("VaultInquiry")
    }
}
