//! What `keywatch doctor` asks besides what the sources name themselves.

use super::secret_manager::Vault;
use crate::config::frame::{At, need, section};
use keywatch_secrets::VaultSettings;

section! {
    /// Whom `keywatch doctor` asks about a source that names nobody itself. See docs/doctor.md.
    pub(crate) struct Doctor {
        /// The Vaults and OpenBaos whose audit devices feed sources.
        vaults: Vec<DoctorVault>,
    }
}

section! {
    /// A Vault or OpenBao whose audit devices feed a source.
    pub(crate) struct DoctorVault {
        /// The source's name.
        source: At<String> = need("name the source its audit devices feed"),
        /// How it is reached, and how Keywatch logs in to it.
        vault: Vault = need("write `{address: https://host:8200, token: …}`"),
    }
}

impl Doctor {
    /// Nobody is named.
    pub(crate) const fn nobody() -> Self {
        Self { vaults: Vec::new() }
    }

    /// The Vault whose audit devices feed a source.
    pub(crate) fn vault_of(&self, source: &str) -> Option<&DoctorVault> {
        self.vaults.iter().find(|vault| vault.source.value == source)
    }

    /// The names of the sources that are asked about.
    pub(super) fn sources(&self) -> impl Iterator<Item = &At<String>> {
        self.vaults.iter().map(|vault| &vault.source)
    }
}

impl DoctorVault {
    /// How it is reached.
    pub(crate) fn settings(&self) -> VaultSettings {
        self.vault.settings()
    }
}
