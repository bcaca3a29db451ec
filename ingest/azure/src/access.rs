//! Who Keywatch is to a storage account, and the client that follows from it.
//!
//! Keys and signatures are references to secrets, fetched when a client is made; when they are
//! refused the next client is made with what has taken their place.

use async_trait::async_trait;
use keywatch_objects::{Failure, Shelf, Trouble};
use keywatch_secrets::{SecretManager, SecretRef, SecretValue};
use object_store::azure::{AzureConfigKey, MicrosoftAzure, MicrosoftAzureBuilder};
use object_store::{ClientOptions, ObjectStore, RetryConfig};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::Mutex;

/// How long one request may take: a chunk is 4 MiB at most.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A container, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// The storage account; that of the connection string when absent.
    pub account: Option<String>,
    /// The container.
    pub container: String,
    /// Another address of the Blob service, with the account in its path where the service has it
    /// there: another cloud, a compatible service, or a test's.
    pub endpoint: Option<String>,
    /// Who Keywatch is.
    pub identity: Identity,
}

/// Who Keywatch is to a storage account.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Identity {
    /// One of the account's keys.
    Key(SecretRef),
    /// A shared access signature with read and list.
    Sas(SecretRef),
    /// A connection string, with a key or a signature in it.
    ConnectionString(SecretRef),
    /// An application with a secret.
    Application {
        /// Its tenant.
        tenant: String,
        /// Its id.
        client: String,
        /// Its secret.
        secret: SecretRef,
    },
    /// A Kubernetes service account that Entra trusts.
    Workload {
        /// Its tenant.
        tenant: String,
        /// The application's id.
        client: String,
        /// Where the cluster puts the token.
        token_file: PathBuf,
    },
    /// The managed identity of the machine Keywatch runs on.
    Managed {
        /// Which one, when the machine has several.
        client: Option<String>,
    },
}

impl Identity {
    fn secret(&self) -> Option<&SecretRef> {
        match self {
            Self::Key(secret)
            | Self::Sas(secret)
            | Self::ConnectionString(secret)
            | Self::Application { secret, .. } => Some(secret),
            Self::Workload { .. } | Self::Managed { .. } => None,
        }
    }
}

/// A container of a storage account, and the client that reads it.
pub struct Container {
    access: Access,
    secrets: SecretManager,
    held: Mutex<Held>,
}

#[derive(Default)]
struct Held {
    store: Option<Arc<MicrosoftAzure>>,
    shown: Option<SecretValue>,
    is_refused: bool,
}

#[async_trait]
impl Shelf for Container {
    fn place(&self) -> String {
        let account = self.access.account.as_deref().unwrap_or("account");
        format!("azure://{account}/{}", self.access.container)
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        let mut held = self.held.lock().await;
        if let Some(store) = &held.store {
            return Ok(Arc::<MicrosoftAzure>::clone(store));
        }
        let before = held.shown.take().filter(|_| std::mem::take(&mut held.is_refused));
        let value = match (self.access.identity.secret(), before) {
            (None, _) => None,
            (Some(reference), Some(refused)) => Some(self.secrets.refused(reference, &refused).await),
            (Some(reference), None) => Some(self.secrets.get(reference).await),
        };
        let value =
            value.transpose().map_err(|error| Failure::new(Trouble::Credentials, &error.to_string()))?;
        let text = value.as_ref().map(|value| value.expose().trim()).unwrap_or_default();
        let store = Arc::new(self.build(text).map_err(|error| self.unbuilt(&error))?);
        (held.store, held.shown) = (Some(Arc::clone(&store)), value);
        Ok(store)
    }

    async fn refused(&self) {
        let mut held = self.held.lock().await;
        (held.store, held.is_refused) = (None, true);
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        match trouble {
            Trouble::Credentials => "give Keywatch an identity or a key that the storage account accepts",
            Trouble::Denied => {
                "give its identity the role Storage Blob Data Reader on the container, or a SAS with read and list; and let its \
                 address through the account's firewall"
            }
            Trouble::Missing => {
                "check the account and the container; Azure makes the container with the first record a diagnostic setting sends"
            }
            Trouble::Archived => "move the blob back to an online tier, or delete it",
            Trouble::TooMany => "set `late` lower, or name longer prefixes in several sources",
            Trouble::Refused => "check the container's name and the endpoint",
            Trouble::Throttled => "it is tried again, more slowly",
            Trouble::Unavailable => "it is tried again; check the network, the account and the endpoint",
        }
    }
}

impl Container {
    /// A container; nothing is asked yet.
    #[must_use]
    pub fn new(access: &Access, secrets: &SecretManager) -> Self {
        Self { access: access.clone(), secrets: secrets.clone(), held: Mutex::default() }
    }

    /// Why no client could be made. The client's own words may quote the secret.
    fn unbuilt(&self, error: &object_store::Error) -> Failure {
        if self.access.identity.secret().is_none() {
            return Failure::of(error);
        }
        let said = "what the secret holds is no key, signature or connection string of a storage account";
        Failure::new(Trouble::Credentials, said)
    }

    fn build(&self, secret: &str) -> object_store::Result<MicrosoftAzure> {
        let options =
            ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
        let mut builder = MicrosoftAzureBuilder::new()
            .with_container_name(&self.access.container)
            .with_client_options(options)
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(account) = &self.access.account {
            builder = builder.with_account(account);
        }
        builder = match &self.access.identity {
            Identity::Key(_) => builder.with_access_key(secret),
            Identity::Sas(_) => builder.with_config(AzureConfigKey::SasKey, secret),
            Identity::ConnectionString(_) => connected(builder, secret),
            Identity::Application { tenant, client, .. } => {
                builder.with_client_secret_authorization(client, secret, tenant)
            }
            Identity::Workload { tenant, client, token_file } => builder
                .with_tenant_id(tenant)
                .with_client_id(client)
                .with_federated_token_file(token_file.to_string_lossy()),
            Identity::Managed { client: Some(client) } => builder.with_client_id(client),
            Identity::Managed { client: None } => builder,
        };
        if let Some(endpoint) = &self.access.endpoint {
            let is_plain = endpoint.starts_with("http://");
            builder = builder.with_endpoint(endpoint.clone()).with_allow_http(is_plain);
        }
        builder.build()
    }
}

impl std::fmt::Debug for Container {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Container").field("access", &self.access).finish_non_exhaustive()
    }
}

/// The parts of a connection string.
/// <https://learn.microsoft.com/en-us/azure/storage/common/storage-configure-connection-string>
fn connected(builder: MicrosoftAzureBuilder, text: &str) -> MicrosoftAzureBuilder {
    let part = |name: &str| {
        let pairs = text.split(';').filter_map(|pair| pair.split_once('='));
        pairs.filter(|(key, _)| key.trim().eq_ignore_ascii_case(name)).map(|(_, value)| value.trim()).next()
    };
    let mut builder = builder;
    if let Some(account) = part("AccountName") {
        builder = builder.with_account(account);
    }
    if let Some(key) = part("AccountKey") {
        builder = builder.with_access_key(key);
    }
    if let Some(sas) = part("SharedAccessSignature") {
        builder = builder.with_config(AzureConfigKey::SasKey, sas);
    }
    let named = part("BlobEndpoint").map(str::to_owned);
    let composed = part("EndpointSuffix").zip(part("AccountName")).map(|(suffix, account)| {
        let scheme = part("DefaultEndpointsProtocol").unwrap_or("https");
        format!("{scheme}://{account}.blob.{suffix}")
    });
    match named.or(composed) {
        Some(endpoint) => {
            let is_plain = endpoint.starts_with("http://");
            builder.with_endpoint(endpoint.trim_end_matches('/').to_owned()).with_allow_http(is_plain)
        }
        None => builder,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_connection_string_says_account_key_and_address() {
        let text = "DefaultEndpointsProtocol=https;AccountName=logs;AccountKey=a2V5PT0=;EndpointSuffix=core.chinacloudapi.cn";
        let builder = connected(MicrosoftAzureBuilder::new().with_container_name("c"), text);
        let value = |key| builder.get_config_value(&key);
        assert_eq!(value(AzureConfigKey::AccountName).as_deref(), Some("logs"));
        assert_eq!(value(AzureConfigKey::AccessKey).as_deref(), Some("a2V5PT0="));
        assert_eq!(
            value(AzureConfigKey::Endpoint).as_deref(),
            Some("https://logs.blob.core.chinacloudapi.cn")
        );
        assert!(builder.build().is_ok());
        let emulator = "AccountName=devstoreaccount1;BlobEndpoint=http://127.0.0.1:10000/devstoreaccount1/;SharedAccessSignature=sv=1&sig=x";
        let builder = connected(MicrosoftAzureBuilder::new().with_container_name("c"), emulator);
        assert_eq!(
            builder.get_config_value(&AzureConfigKey::Endpoint).as_deref(),
            Some("http://127.0.0.1:10000/devstoreaccount1")
        );
        assert!(builder.build().is_ok());
    }

    #[tokio::test]
    async fn what_was_refused_is_asked_for_anew() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("key");
        std::fs::write(&file, "b2xk").unwrap();
        let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None)));
        let access = Access {
            account: Some("logs".to_owned()),
            container: "c".to_owned(),
            endpoint: None,
            identity: Identity::Key(format!("file:{}", file.display()).parse().unwrap()),
        };
        let door = Container::new(&access, &secrets);
        door.store().await.unwrap();
        std::fs::write(&file, "bmV3").unwrap();
        door.store().await.unwrap();
        let shown = async || door.held.lock().await.shown.as_ref().map(|value| value.expose().to_owned());
        assert_eq!(shown().await.as_deref(), Some("b2xk"));
        door.refused().await;
        door.store().await.unwrap();
        assert_eq!(shown().await.as_deref(), Some("bmV3"));
    }
}
