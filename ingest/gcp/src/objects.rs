//! The bucket a log sink writes to: who Keywatch is there, and what mends a trouble with it.
//!
//! How the objects are read is `keywatch-objects`' to say. It speaks Cloud Storage's XML interface,
//! with tokens of the same credentials as every other source here.

use crate::access::{Access, Wallet};
use async_trait::async_trait;
use keywatch_objects::{Failure, Shelf, Trouble};
use keywatch_secrets::SecretManager;
use object_store::gcp::{GcpCredential, GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::{ClientOptions, CredentialProvider, ObjectStore, RetryConfig};
use std::fmt;
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take: a chunk is 4 MiB at most.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A bucket of Cloud Storage.
pub struct Bucket {
    name: String,
    wallet: Wallet,
    store: Result<Arc<GoogleCloudStorage>, Failure>,
}

impl Bucket {
    /// A bucket; nothing is asked yet.
    #[must_use]
    pub fn new(name: &str, access: &Access, secrets: &SecretManager) -> Self {
        let wallet = access.open(secrets);
        let store = build(name, access, wallet.clone()).map(Arc::new);
        Self { name: name.to_owned(), wallet, store: store.map_err(|error| Failure::of(&error)) }
    }
}

fn build(name: &str, access: &Access, wallet: Wallet) -> object_store::Result<GoogleCloudStorage> {
    let mut options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT).with_connect_timeout(CONNECT_TIMEOUT);
    let mut builder = GoogleCloudStorageBuilder::new()
        .with_bucket_name(name)
        .with_credentials(Arc::new(wallet))
        .with_skip_signature(access.anonymous)
        .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
    if let Some(endpoint) = &access.endpoint {
        options = options.with_allow_http(endpoint.starts_with("http://"));
        builder = builder.with_base_url(endpoint.trim_end_matches('/'));
    }
    builder.with_client_options(options).build()
}

#[async_trait]
impl Shelf for Bucket {
    fn place(&self) -> String {
        format!("gs://{}", self.name)
    }

    async fn store(&self) -> Result<Arc<dyn ObjectStore>, Failure> {
        match &self.store {
            Ok(store) => Ok(Arc::<GoogleCloudStorage>::clone(store)),
            Err(failure) => Err(failure.clone()),
        }
    }

    async fn refused(&self) {
        self.wallet.forget().await;
    }

    fn remedy(&self, trouble: Trouble) -> &'static str {
        match trouble {
            Trouble::Credentials => {
                "give Keywatch credentials that Google accepts: check that the service account, its key and the federation still exist"
            }
            Trouble::Denied => "grant roles/storage.objectViewer on the bucket to the identity Keywatch has",
            Trouble::Missing => "check the bucket's name",
            Trouble::Archived => "move the object to a class that can be read at once",
            Trouble::TooMany => "set `late` lower, or name longer prefixes in several sources",
            Trouble::Refused => "check the bucket's name and the endpoint",
            Trouble::Throttled => "it is tried again, more slowly",
            Trouble::Unavailable => "it is tried again; check the network and the endpoint",
        }
    }
}

#[async_trait]
impl CredentialProvider for Wallet {
    type Credential = GcpCredential;

    async fn get_credential(&self) -> object_store::Result<Arc<GcpCredential>> {
        let headers = self.headers().await.map_err(|failure| object_store::Error::Unauthenticated {
            path: "credentials".to_owned(),
            source: failure.said.into(),
        })?;
        let said = headers.get(http::header::AUTHORIZATION).and_then(|value| value.to_str().ok());
        let bearer = said.and_then(|value| value.strip_prefix("Bearer ")).unwrap_or_default().to_owned();
        Ok(Arc::new(GcpCredential { bearer }))
    }
}

impl fmt::Debug for Bucket {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Bucket").field("name", &self.name).finish_non_exhaustive()
    }
}
