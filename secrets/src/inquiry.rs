//! Questions to a Vault about itself, asked with a login of the kinds secrets are fetched with.
//!
//! They change nothing (`GET` alone), are asked once, and take no longer than the settings allow.

use crate::backend::{Vault, vault};
use crate::failure::Failure;
use crate::{Settings, Trouble};
use std::fmt;

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
        let limit = self.settings.timeout;
        let asked = self.settings.clock.within(limit, self.vault.look(path)).await;
        let answer = asked.unwrap_or_else(|| {
            let remedy = "see whether its address is right and reachable from here";
            Err(Failure::unavailable(format!("no answer within {limit:?}"), remedy))
        });
        answer.map_err(Unanswered::from)
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
