//! How secrets are fetched: for how long they are kept, and how each backend is reached.

mod aws;
mod azure;
mod gcp;
mod vault;

use crate::config::frame::{Origin, Problems, default, hours, secs, section};
use aws::Aws;
pub(super) use azure::Azure;
use gcp::Gcp;
use keywatch_secrets::{Environment, Settings};
use std::sync::Arc;
use std::time::Duration;
pub(super) use vault::Vault;

section! {
    /// How secrets are fetched that a reference names: for how long they are kept, and how each
    /// backend is reached.
    pub(crate) struct SecretManager {
        /// How long a secret is used before it is fetched anew; 5 to 15 minutes are sensible. When
        /// a receiver or a database refuses it, it is fetched anew at once.
        ttl: Duration [secs(10)..=hours(1)] = default("5m"),
        /// How much longer it is used while its backend cannot be asked. A backend that answers
        /// "no" ends it at once.
        stale_for: Duration [0..=hours(24)] = default("1h"),
        /// How long one question to a backend may take, login included. Three are asked before it
        /// counts as unavailable.
        timeout: Duration [secs(1)..=secs(60)] = default("10s"),
        /// AWS Secrets Manager. Without it, credentials and region are found as every AWS program
        /// finds them.
        aws: Aws,
        /// Google Secret Manager. Without it, the application default credentials are used.
        gcp: Gcp,
        /// Azure Key Vault.
        azure: Azure,
        /// HashiCorp Vault or OpenBao.
        vault: Vault,
    }
    check: check;
}

impl SecretManager {
    /// What the section means; `environment` looks variables up.
    pub(crate) fn settings(&self, environment: Environment) -> Settings {
        let mut settings = Settings::new(environment);
        settings.ttl = self.ttl;
        settings.stale_for = self.stale_for;
        settings.timeout = self.timeout;
        settings.aws = self.aws.settings();
        settings.gcp = self.gcp.settings();
        settings.azure = self.azure.settings();
        settings.vault = self.vault.settings();
        settings
    }
}

/// What the manager itself finds wrong: addresses in clear, credentials that could end in a circle.
fn check(manager: &SecretManager, at: &Origin, problems: &Problems) {
    for bad in manager.settings(Arc::new(|_: &str| None)).problems() {
        problems.add(at, format!("`secret_manager.{}` cannot be used: {}", bad.key, bad.problem), "");
    }
}
