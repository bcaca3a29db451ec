//! How Google Secret Manager is reached.

use crate::config::frame::{default, section};
use keywatch_secrets::{GcpSettings, SecretRef};
use url::Url;

section! {
    /// How Google Secret Manager is reached.
    pub(crate) struct Gcp {
        /// Project of secrets that are named without one.
        project: Option<String>,
        /// The JSON of a service account's key or of a workload identity federation, in a variable
        /// or a file.
        credentials: Option<SecretRef>,
        /// Another address of Secret Manager.
        endpoint: Option<Url>,
        /// Whether to ask without credentials, for an emulator.
        anonymous: bool = default("false"),
    }
}

impl Gcp {
    pub(super) fn settings(&self) -> GcpSettings {
        GcpSettings {
            project: self.project.clone(),
            endpoint: self.endpoint.clone(),
            credentials: self.credentials.clone(),
            anonymous: self.anonymous,
        }
    }
}
