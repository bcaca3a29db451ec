//! Questions to a Vault about itself and to Azure about what a subscription holds, asked with a login of
//! the kinds secrets are fetched with.
//!
//! They change nothing (`GET` and `HEAD` alone), are asked once, and take no longer than the settings allow.

use crate::backend::{ResourceManager, Vault, head, resource_manager, vault};
use crate::failure::Failure;
use crate::{Settings, Trouble};
use std::fmt;
use std::path::Path;
use std::time::Duration;
use url::Url;

/// How long the time may be waited for: a clock that was asked longer ago says little.
const DATE_TIMEOUT: Duration = Duration::from_secs(10);

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

/// What time it is for whoever answers at `url`: the date of an answer (RFC 9110, 6.6.1), whatever it says
/// besides. Nothing is shown: no login is needed. Certificates of `ca_file` are trusted besides the
/// system's.
///
/// # Errors
/// When there is no answer, or one without a date.
pub async fn date_of(url: &Url, ca_file: Option<&Path>) -> Result<String, Unanswered> {
    let asked = tokio::time::timeout(DATE_TIMEOUT, head(url, ca_file)).await;
    let headers = asked.unwrap_or_else(|_late| {
        let remedy = "see whether its address is right and reachable from here";
        Err(Failure::unavailable(format!("no answer within {DATE_TIMEOUT:?}"), remedy))
    })?;
    let date = headers.get(reqwest::header::DATE).and_then(|date| date.to_str().ok());
    let dateless = || Failure::unusable("the answer says no date", "see what stands between it and Keywatch");
    Ok(date.ok_or_else(dateless)?.to_owned())
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
