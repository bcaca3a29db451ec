//! HTTP to a backend: one client, a bounded answer, and errors that quote nobody.
//!
//! No redirects are followed: they would carry a token to an address nobody configured. The proxy
//! of the environment is used, but never for this machine.

use crate::failure::Failure;
use reqwest::header::{HeaderMap, RETRY_AFTER};
use std::error::Error;
use std::net::SocketAddr;
use std::path::Path;
use std::time::Duration;
use zeroize::Zeroizing;

/// Largest answer read: 1 MiB, what Vault stores under one path at most, and sixteen times the
/// largest credential, so that one written with escapes fits. What is larger is not read to its end.
pub(super) const BODY_BYTES_MAX: usize = 1024 * 1024;

/// How long a connection may take to be made. A backend that answers at all does so within it.
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);

/// A client for one backend.
#[derive(Clone, Debug)]
pub(super) struct Http(reqwest::Client);

/// Whom a client trusts, and whom it asks directly.
#[derive(Clone, Copy, Default)]
pub(super) struct Reach<'a> {
    /// Certificates to trust besides the system's.
    pub(super) ca_file: Option<&'a Path>,
    /// Addresses of hosts no name server knows.
    pub(super) hosts: &'a [(String, SocketAddr)],
    /// Whether the backend is on this machine, where no proxy has a place.
    pub(super) here: bool,
}

/// An answer, whatever its status.
pub(super) struct Answer {
    pub(super) status: u16,
    pub(super) headers: HeaderMap,
    pub(super) body: Zeroizing<Vec<u8>>,
}

impl Http {
    /// A client.
    ///
    /// # Errors
    /// When the file with certificates cannot be used.
    pub(super) fn new(reach: Reach<'_>) -> Result<Self, Failure> {
        let mut builder = reqwest::Client::builder()
            .user_agent(concat!("keywatch/", env!("CARGO_PKG_VERSION")))
            .redirect(reqwest::redirect::Policy::none())
            .connect_timeout(CONNECT_TIMEOUT);
        if reach.here {
            builder = builder.no_proxy();
        }
        for (host, address) in reach.hosts {
            builder = builder.resolve(host, *address);
        }
        if let Some(path) = reach.ca_file {
            builder = builder.tls_certs_merge(certificates(path)?);
        }
        let client = builder.build();
        client.map(Self).map_err(|_unsaid| {
            let remedy = "see whether the system's certificates are installed (`ca-certificates`)";
            Failure::unavailable("no TLS client could be made", remedy).at_once_useless()
        })
    }

    /// A request to be completed and given to [`Self::send`].
    pub(super) fn request(&self, method: reqwest::Method, url: url::Url) -> reqwest::RequestBuilder {
        self.0.request(method, url)
    }

    /// Sends a request and reads the whole answer.
    ///
    /// # Errors
    /// When there is none, or one larger than [`BODY_BYTES_MAX`]. The time it takes is the caller's
    /// to limit.
    pub(super) async fn send(&self, request: reqwest::RequestBuilder) -> Result<Answer, Failure> {
        let mut response = request.send().await.map_err(|error| unanswered(&error))?;
        let (status, headers) = (response.status().as_u16(), response.headers().clone());
        let told = response.content_length().and_then(|length| usize::try_from(length).ok());
        if told.is_some_and(|length| length > BODY_BYTES_MAX) {
            return Err(too_large());
        }
        let mut body = Zeroizing::new(Vec::with_capacity(told.unwrap_or(4096)));
        while let Some(chunk) = response.chunk().await.map_err(|error| broken(&error))? {
            if body.len() + chunk.len() > BODY_BYTES_MAX {
                return Err(too_large());
            }
            append(&mut body, &chunk);
        }
        Ok(Answer { status, headers, body })
    }
}

impl Answer {
    /// How long the backend asked us to wait, when it said so in seconds.
    pub(super) fn retry_after(&self) -> Option<Duration> {
        let seconds = self.headers.get(RETRY_AFTER)?.to_str().ok()?.trim().parse().ok()?;
        Some(Duration::from_secs(seconds))
    }

    /// The answer as JSON; `None` when it is none.
    pub(super) fn json<'a, T: serde::Deserialize<'a>>(&'a self) -> Option<T> {
        serde_json::from_slice(&self.body).ok()
    }
}

/// Appends without leaving a copy behind where the bytes lay before.
fn append(body: &mut Zeroizing<Vec<u8>>, chunk: &[u8]) {
    let needed = body.len() + chunk.len();
    if needed > body.capacity() {
        let mut larger = Zeroizing::new(Vec::with_capacity(needed.max(body.capacity() * 2)));
        larger.extend_from_slice(body);
        *body = larger;
    }
    body.extend_from_slice(chunk);
}

fn certificates(path: &Path) -> Result<Vec<reqwest::Certificate>, Failure> {
    let shown = path.display();
    let unusable = |detail: String| {
        let remedy = "name a PEM file with the certificate of the authority that signed the backend's";
        Failure::unusable(detail, remedy)
    };
    let pem = std::fs::read(path)
        .map_err(|error| unusable(format!("the ca_file {shown} cannot be read ({})", error.kind())))?;
    match reqwest::Certificate::from_pem_bundle(&pem) {
        Ok(found) if !found.is_empty() => Ok(found),
        _ => Err(unusable(format!("the ca_file {shown} holds no certificate"))),
    }
}

fn too_large() -> Failure {
    let detail = format!("the answer is larger than {BODY_BYTES_MAX} bytes");
    Failure::unusable(detail, "see whether the address is the backend's, and the secret a credential")
}

/// Why there was no answer, told without quoting anybody.
fn unanswered(error: &reqwest::Error) -> Failure {
    if error.is_builder() {
        let remedy = "see the settings of the backend: a namespace or an address with a line end, say";
        return Failure::unusable("the question cannot be written as HTTP", remedy);
    }
    if error.is_timeout() {
        return Failure::unavailable(
            "no connection within 5s",
            "see whether its address is reachable from here",
        );
    }
    let (mut cause, mut kind): (Option<&dyn Error>, _) = (error.source(), None);
    while let Some(inner) = cause {
        if inner.to_string().contains("certificate") {
            let remedy = "name the authority that signed it as `ca_file`, or mend the certificate";
            return Failure::unavailable("its certificate is not trusted", remedy).at_once_useless();
        }
        kind = inner.downcast_ref::<std::io::Error>().map(std::io::Error::kind).or(kind);
        cause = inner.source();
    }
    let kind = kind.map(|kind| format!(" ({kind})")).unwrap_or_default();
    let what = if error.is_connect() { "no connection" } else { "the connection ended without an answer" };
    Failure::unavailable(
        format!("{what}{kind}"),
        "see whether it runs and its address is reachable from here",
    )
}

fn broken(error: &reqwest::Error) -> Failure {
    let what = if error.is_timeout() { "stopped coming" } else { "broke off" };
    Failure::unavailable(
        format!("the answer {what} before its end"),
        "see what stands between it and Keywatch",
    )
}
