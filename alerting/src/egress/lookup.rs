//! Names into addresses, with the egress policy inside the HTTP client's resolver.

use super::Egress;
use reqwest::dns::{Addrs, Name, Resolve, Resolving};
use std::future::Future;
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use url::Url;

/// The addresses of a name, or why there are none, some time later.
pub type Resolved = Pin<Box<dyn Future<Output = io::Result<Vec<IpAddr>>> + Send>>;

/// A way to resolve names.
pub trait Lookup: Send + Sync {
    /// All addresses of `host`.
    fn lookup(&self, host: String) -> Resolved;
}

/// The machine's own resolver.
#[derive(Clone, Copy, Debug, Default)]
pub struct SystemLookup;

impl Lookup for SystemLookup {
    fn lookup(&self, host: String) -> Resolved {
        Box::pin(async move {
            let found = tokio::net::lookup_host((host.as_str(), 0)).await?;
            Ok(found.map(|address| address.ip()).collect())
        })
    }
}

/// Resolver of one receiver's HTTP client: gives out checked addresses only, so what was checked
/// is what is dialled.
pub(crate) struct CheckedResolver {
    egress: Egress,
    url: Url,
}

impl CheckedResolver {
    pub(super) const fn new(egress: Egress, url: Url) -> Self {
        Self { egress, url }
    }
}

impl Resolve for CheckedResolver {
    /// The client follows no redirect and uses no proxy, so the name asked for is always the
    /// host of the receiver's address; another one is refused.
    fn resolve(&self, name: Name) -> Resolving {
        let (egress, url) = (self.egress.clone(), self.url.clone());
        Box::pin(async move {
            if url.host_str() != Some(name.as_str()) {
                return Err(format!("`{}` is not the receiver's host", name.as_str()).into());
            }
            let addresses = egress.check(&url).await?;
            // Port 0 means the port of the URL.
            let dialled = addresses.into_iter().map(|address| SocketAddr::new(address, 0));
            Ok(Box::new(dialled) as Addrs)
        })
    }
}
