//! Azure Key Vault, through Microsoft's clients.
//!
//! They are given a way to the network of ours (`azure/transport.rs`), which bounds answers, and no
//! retries of their own. A token is shown to a vault only when the vault's challenge names the cloud
//! the vault's host belongs to; the client checks that.
//!
//! Facts: <https://learn.microsoft.com/rest/api/keyvault/secrets/get-secret/get-secret>,
//! <https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates>.

mod identity;
mod manager;
mod name;
mod refusal;
mod transport;

use super::Backend;
use super::http::{Http, Reach};
use super::kept::Kept;
use super::own::OwnCredentials;
use crate::document::Document;
use crate::failure::Failure;
use crate::settings::{AzureSettings, shown};
use crate::{SecretRef, Trouble};
use async_trait::async_trait;
use azure_core::credentials::TokenCredential;
use azure_core::http::{ClientOptions, RetryOptions, Transport as AnyTransport};
use azure_security_keyvault_secrets::models::SecretClientGetSecretOptions;
use azure_security_keyvault_secrets::{SecretClient, SecretClientOptions};
pub(crate) use manager::ResourceManager;
use name::Name;
use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};
use transport::{Transport, as_https};
use url::Url;

/// Most clients kept, one per vault; when there are more, they are made anew.
const CLIENTS_MAX: usize = 64;

/// Key Vault, in every vault the references name.
pub(super) struct KeyVault {
    settings: AzureSettings,
    own: OwnCredentials,
    login: Kept<Arc<Login>>,
}

/// Who Keywatch is, and the clients that know it: each learns from its vault's first challenge what
/// token to show.
struct Login {
    transport: Arc<Transport>,
    credential: Arc<dyn TokenCredential>,
    clients: Mutex<BTreeMap<Url, Arc<SecretClient>>>,
}

impl KeyVault {
    pub(super) fn new(settings: AzureSettings, own: OwnCredentials) -> Self {
        Self { settings, own, login: Kept::default() }
    }

    async fn logged_in(&self) -> Result<Login, Failure> {
        let ca_file = self.settings.ca_file.as_deref();
        let reach = Reach { ca_file, hosts: &self.settings.hosts, here: false };
        let transport = Arc::new(Transport::new(Http::new(reach)?, &self.settings));
        let credential = identity::of(&self.settings, &self.own, options(&transport)).await?;
        Ok(Login { transport, credential, clients: Mutex::default() })
    }

    async fn client(&self, name: &Name) -> Result<Arc<SecretClient>, Failure> {
        let login = self.login.get_or_make(async || self.logged_in().await.map(Arc::new)).await?;
        let mut clients = login.clients.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(client) = clients.get(&name.vault) {
            return Ok(Arc::clone(client));
        }
        login.transport.will_ask(&name.vault);
        let client_options = options(&login.transport);
        let options = SecretClientOptions { client_options, ..SecretClientOptions::default() };
        let made = SecretClient::new(&as_https(&name.vault), Arc::clone(&login.credential), Some(options));
        let client = Arc::new(made.map_err(|_unsaid| {
            let detail = format!("{} is no address of a vault", shown(&name.vault));
            Failure::unusable(detail, "write https://NAME.vault.azure.net")
        })?);
        if clients.len() >= CLIENTS_MAX {
            clients.clear();
        }
        clients.insert(name.vault.clone(), Arc::clone(&client));
        Ok(client)
    }

    async fn ask(&self, name: &Name) -> Result<Document, Failure> {
        let client = self.client(name).await?;
        let options =
            SecretClientGetSecretOptions { secret_version: name.version.clone(), ..Default::default() };
        let answer = client.get_secret(&name.secret, Some(options)).await;
        let secret = answer.map_err(|error| refusal::failure(&error, name))?.into_model();
        match secret.ok().and_then(|secret| secret.value) {
            Some(value) => Document::text(value),
            None => Err(Failure::unavailable(
                "Key Vault answered with something that is no answer of it",
                "see whether the address is a vault's",
            )),
        }
    }
}

/// Our way to the network, and nobody else's retries.
fn options(transport: &Arc<Transport>) -> ClientOptions {
    ClientOptions {
        retry: RetryOptions::none(),
        transport: Some(AnyTransport::new(Arc::<Transport>::clone(transport))),
        ..ClientOptions::default()
    }
}

#[async_trait]
impl Backend for KeyVault {
    async fn fetch(&self, reference: &SecretRef) -> Result<Document, Failure> {
        let name = Name::of(reference, self.settings.vault_url.as_ref())?;
        let outcome = self.ask(&name).await;
        if outcome.as_ref().is_err_and(|failure| failure.trouble == Trouble::Denied) {
            // The client secret may have been replaced, or a role granted after the token was issued:
            // the next question begins with a new login.
            self.login.forget();
        }
        outcome
    }

    fn forget(&self) {
        self.login.forget();
    }
}
