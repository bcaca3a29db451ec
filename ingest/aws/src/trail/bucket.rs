//! Objects of the buckets a source reads from, and whether a bucket works at all.

use crate::access::Way;
use crate::failure::{Failure, Trouble};
use crate::trail::notice::ObjectName;
use futures_util::StreamExt;
use object_store::aws::{AmazonS3, AmazonS3Builder};
use object_store::path::Path;
use object_store::{Attribute, ClientOptions, ObjectStoreExt, RetryConfig};
use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// Largest object that is fetched, as it lies in the bucket. CloudTrail ends a file at 50 MB of text, a
/// tenth of that compressed; eight fetched at once are at most 256 MiB.
pub(super) const OBJECT_BYTES_MAX: u64 = 32 << 20;
/// How long a request for an object may take.
const FETCH_TIMEOUT: Duration = Duration::from_mins(2);
/// Buckets whose clients are kept: one source reads from one or a few.
const BUCKETS_MAX: usize = 64;

/// Where buckets are, and which are read from.
#[derive(Clone, Debug, Default)]
pub(super) struct Place {
    /// Another address for the service.
    pub(super) endpoint: Option<String>,
    /// Their region, when it is not the queue's.
    pub(super) region: Option<String>,
    /// The only ones that are read from; all that are announced when empty.
    pub(super) allowed: Vec<String>,
}

/// Clients, one per bucket.
pub(super) struct Buckets {
    way: Way,
    place: Place,
    open: Mutex<HashMap<String, Bucket>>,
}

#[derive(Clone)]
struct Bucket {
    store: Arc<AmazonS3>,
    /// When something last came from it.
    worked: Option<Instant>,
}

/// An object as it lies in its bucket.
#[derive(Debug)]
pub(super) struct Fetched {
    pub(super) bytes: Vec<u8>,
    /// What CloudTrail puts beside a digest: the metadata `signature`.
    pub(super) signature: Option<String>,
}

/// Why an object was not fetched.
#[derive(Debug)]
pub(super) enum Unfetched {
    /// It will not be there another time either, or is not to be fetched.
    Lost(String),
    /// Asking failed; another time it may not.
    Failed(Failure),
}

impl Buckets {
    pub(super) fn new(way: Way, place: Place) -> Self {
        Self { way, place, open: Mutex::default() }
    }

    /// Fetches a whole object.
    pub(super) async fn fetch(&self, object: &ObjectName) -> Result<Fetched, Unfetched> {
        if !self.place.allowed.is_empty() && !self.place.allowed.contains(&object.bucket) {
            let why =
                "its bucket is not among the `buckets` of the source; list it there if it belongs to you";
            return Err(Unfetched::Lost(why.to_owned()));
        }
        let path = Path::parse(&object.key)
            .map_err(|error| Unfetched::Lost(format!("its key cannot be asked for: {error}")))?;
        let store = self.store(&object.bucket).map_err(Unfetched::Failed)?;
        let failed = |error: object_store::Error| Unfetched::Failed(Failure::of_object(&error));
        let answer = store.get(&path).await.map_err(failed)?;
        let size = answer.meta.size;
        let signature = answer.attributes.get(&Attribute::Metadata("signature".into()));
        let signature = signature.map(|value| value.as_ref().to_owned());
        if size > OBJECT_BYTES_MAX {
            return Err(Unfetched::Lost(format!("it has {size} bytes, more than {OBJECT_BYTES_MAX}")));
        }
        let mut bytes = Vec::with_capacity(usize::try_from(size).unwrap_or(0));
        let mut parts = answer.into_stream();
        while let Some(part) = parts.next().await {
            bytes.extend_from_slice(&part.map_err(failed)?);
        }
        if bytes.len() as u64 != size {
            let said = format!("{} of {size} bytes came", bytes.len());
            return Err(Unfetched::Failed(Failure::new(Trouble::Unavailable, said)));
        }
        self.worked(&object.bucket);
        Ok(Fetched { bytes, signature })
    }

    /// Whether something has come from this bucket after `since`.
    pub(super) fn has_worked_since(&self, bucket: &str, since: Instant) -> bool {
        let open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        open.get(bucket).and_then(|bucket| bucket.worked).is_some_and(|at| at > since)
    }

    /// The client of a bucket.
    pub(super) fn store(&self, bucket: &str) -> Result<Arc<AmazonS3>, Failure> {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get(bucket) {
            return Ok(Arc::clone(&bucket.store));
        }
        let unbuilt = |error: object_store::Error| Failure::of_object(&error);
        let store = Arc::new(self.build(bucket).map_err(unbuilt)?);
        if open.len() >= BUCKETS_MAX {
            open.clear();
        }
        open.insert(bucket.to_owned(), Bucket { store: Arc::clone(&store), worked: None });
        Ok(store)
    }

    fn build(&self, bucket: &str) -> object_store::Result<AmazonS3> {
        let own = self.way.config.region().map_or("us-east-1", |region| region.as_ref());
        let region = self.place.region.as_deref().unwrap_or(own);
        let mut builder = AmazonS3Builder::new()
            .with_bucket_name(bucket)
            .with_region(region)
            .with_credentials(Arc::new(self.way.wallet.clone()))
            .with_client_options(ClientOptions::new().with_timeout(FETCH_TIMEOUT))
            .with_retry(RetryConfig { max_retries: 0, ..RetryConfig::default() });
        if let Some(endpoint) = &self.place.endpoint {
            builder = builder.with_endpoint(endpoint).with_allow_http(endpoint.starts_with("http://"));
        }
        builder.build()
    }

    fn worked(&self, bucket: &str) {
        let mut open = self.open.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(bucket) = open.get_mut(bucket) {
            bucket.worked = Some(Instant::now());
        }
    }

    /// Throws away credentials that were refused.
    pub(super) async fn refused(&self) {
        self.way.wallet.forget().await;
    }
}

impl std::fmt::Debug for Buckets {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Buckets").field("place", &self.place).finish_non_exhaustive()
    }
}

/// What failed and how to mend it.
pub(super) fn explain(object: &str, failure: &Failure) -> String {
    let remedy = match failure.trouble {
        Trouble::Credentials => "give Keywatch credentials that AWS accepts (role, profile or keys)",
        Trouble::Denied => {
            "grant s3:GetObject on it, kms:Decrypt when it is encrypted with a key of your own, and s3:ListBucket so that \
             a missing object can be told from a forbidden one"
        }
        Trouble::Missing => "the object is not there; it may have been deleted by a lifecycle rule",
        Trouble::Throttled => "it is tried again, more slowly",
        Trouble::Unavailable => "it is tried again; check the network, the region and the endpoint",
    };
    format!("s3:GetObject failed on {object}: {}; {}", failure.said, failure.remedy_or(remedy))
}
