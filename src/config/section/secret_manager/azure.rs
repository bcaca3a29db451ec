//! How Azure Key Vault is reached.

use crate::config::frame::{Origin, Problems, choice, default, section};
use keywatch_secrets::{AzureIdentity, AzureSettings, SecretRef};
use std::path::PathBuf;
use url::Url;

choice! {
    /// Who Keywatch is in Azure.
    pub(crate) enum Identity {
        /// The identity of the machine or the app service; `client_id` chooses among several.
        Machine = "machine",
        /// The identity of a Kubernetes service account.
        Workload = "workload",
        /// An application with a client secret.
        Client = "client",
    }
}

section! {
    /// How Azure Key Vault is reached.
    pub(crate) struct Azure {
        /// Vault of secrets that are named without one, such as `https://keywatch.vault.azure.net`.
        vault_url: Option<Url>,
        /// Who Keywatch is: machine (a managed identity), workload (a Kubernetes service account) or
        /// client (an application with a client secret).
        identity: Identity = default("machine"),
        /// The tenant, for workload and client.
        tenant_id: Option<String>,
        /// The application, or which of the machine's identities.
        client_id: Option<String>,
        /// The application's secret, in a variable or a file, for client.
        client_secret: Option<SecretRef>,
        /// The file with the service account's token, for workload.
        token_file: Option<PathBuf>,
        /// Where tokens are issued, for a sovereign cloud.
        authority: Option<Url>,
        /// Where the machine's metadata service is, when it is not where Azure puts it.
        metadata: Option<Url>,
        /// Certificates to trust besides the system's, such as those of a proxy.
        ca_file: Option<PathBuf>,
    }
    check: check;
}

fn check(azure: &Azure, at: &Origin, problems: &Problems) {
    let is_complete = azure.tenant_id.is_some() && azure.client_id.is_some() && azure.client_secret.is_some();
    match azure.identity {
        Identity::Client if !is_complete => {
            let remedy = "write `tenant_id`, `client_id` and `client_secret`";
            problems.add(at, "the identity `client` needs an application and its secret", remedy);
        }
        Identity::Machine | Identity::Workload if azure.client_secret.is_some() => {
            let remedy = "write `identity: client`, or remove it";
            problems.add(at, "`client_secret` stands without `identity: client`", remedy);
        }
        Identity::Client | Identity::Machine | Identity::Workload => {}
    }
}

impl Azure {
    pub(in crate::config::section) fn settings(&self) -> AzureSettings {
        AzureSettings {
            vault_url: self.vault_url.clone(),
            identity: self.identity(),
            authority: self.authority.clone(),
            metadata: self.metadata.clone(),
            ca_file: self.ca_file.clone(),
            hosts: Vec::new(),
        }
    }

    fn identity(&self) -> AzureIdentity {
        let (tenant_id, client_id) = (self.tenant_id.clone(), self.client_id.clone());
        match (self.identity, &self.client_secret, client_id) {
            (Identity::Client, Some(secret), Some(client_id)) => AzureIdentity::Client {
                tenant_id: tenant_id.unwrap_or_default(),
                client_id,
                secret: secret.clone(),
            },
            (Identity::Workload, _, client_id) => {
                AzureIdentity::Workload { tenant_id, client_id, token_file: self.token_file.clone() }
            }
            (Identity::Machine, _, Some(client_id)) => AzureIdentity::MachineNamed { client_id },
            (Identity::Machine | Identity::Client, ..) => AzureIdentity::Machine,
        }
    }
}
