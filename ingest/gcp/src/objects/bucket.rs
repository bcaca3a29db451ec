//! The bucket: its folders with years, the objects of a day, and their bytes.

use super::Settings;
use crate::access::{Access, Wallet};
use crate::failure::{Failure, Trouble};
use chrono::{DateTime, Utc};
use futures_util::TryStreamExt;
use object_store::gcp::{GoogleCloudStorage, GoogleCloudStorageBuilder};
use object_store::path::Path;
use object_store::{ClientOptions, ObjectStore, ObjectStoreExt, RetryConfig};
use std::sync::Arc;
use std::time::Duration;

/// How long one request may take.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(2);

/// An object of the bucket.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Listed {
    pub(super) written: DateTime<Utc>,
    pub(super) key: String,
    pub(super) size: u64,
}

/// A bucket and the way to it.
#[derive(Debug)]
pub(super) struct Bucket {
    store: GoogleCloudStorage,
    wallet: Wallet,
    name: String,
}

impl Bucket {
    pub(super) fn open(settings: &Settings, access: &Access, wallet: Wallet) -> Result<Self, Failure> {
        let mut options = ClientOptions::new().with_timeout(REQUEST_TIMEOUT);
        let mut builder = GoogleCloudStorageBuilder::new()
            .with_bucket_name(&settings.bucket)
            .with_credentials(Arc::new(wallet.clone()))
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &access.endpoint {
            options = options.with_allow_http(endpoint.starts_with("http://"));
            builder = builder.with_base_url(endpoint.trim_end_matches('/'));
        }
        let built = builder.with_client_options(options).build();
        let store = built.map_err(|error| Failure::of_object(&error))?;
        Ok(Self { store, wallet, name: settings.bucket.clone() })
    }

    /// Names of the folders in a folder.
    pub(super) async fn folders(&self, folder: &str) -> Result<Vec<String>, Failure> {
        let path = (!folder.is_empty()).then(|| parse(folder)).transpose()?;
        let listing = self.store.list_with_delimiter(path.as_ref()).await;
        let listing = listing.map_err(|error| Failure::of_object(&error))?;
        Ok(listing.common_prefixes.iter().filter_map(|path| path.filename().map(str::to_owned)).collect())
    }

    /// The objects of a folder: a day's are 24 per log and shard.
    pub(super) async fn objects(&self, folder: &str) -> Result<Vec<Listed>, Failure> {
        let all = self.store.list(Some(&parse(folder)?)).map_ok(|meta| Listed {
            key: meta.location.to_string(),
            written: meta.last_modified,
            size: meta.size,
        });
        all.try_collect().await.map_err(|error| Failure::of_object(&error))
    }

    /// Some of an object's bytes.
    pub(super) async fn part(&self, key: &str, range: std::ops::Range<u64>) -> Result<Vec<u8>, Failure> {
        let wanted = range.end - range.start;
        let bytes = self.store.get_range(&parse(key)?, range).await;
        let bytes = bytes.map_err(|error| Failure::of_object(&error))?;
        if bytes.len() as u64 != wanted {
            let said = format!("{} of {wanted} bytes came", bytes.len());
            return Err(Failure::new(Trouble::Unavailable, &said));
        }
        Ok(bytes.into())
    }

    /// What places call an object.
    pub(super) fn place(&self, key: &str) -> String {
        format!("gs://{}/{key}", self.name)
    }

    /// Throws away credentials that were refused.
    pub(super) async fn refused(&self) {
        self.wallet.forget().await;
    }

    /// What failed and how to mend it.
    pub(super) fn explain(what: &str, failure: &Failure) -> String {
        let remedy = match failure.trouble {
            Trouble::Denied => "grant roles/storage.objectViewer on the bucket to the identity Keywatch has",
            Trouble::Missing => "check the bucket's name",
            Trouble::Credentials | Trouble::Throttled | Trouble::Invalid | Trouble::Unavailable => {
                failure.remedy()
            }
        };
        format!("{what} failed: {}; {remedy}", failure.said)
    }
}

fn parse(key: &str) -> Result<Path, Failure> {
    Path::parse(key).map_err(|error| Failure::new(Trouble::Missing, &error.to_string()))
}
