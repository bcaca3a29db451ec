//! Calls to Vault and what their answers mean.

use crate::SecretValue;
use crate::backend::http::{Answer, Http, Reach};
use crate::failure::Failure;
use crate::settings::{VaultSettings, is_private, shown};
use reqwest::Method;
use reqwest::header::HeaderValue;
use serde::Deserialize;
use std::sync::OnceLock;
use url::Url;
use zeroize::Zeroizing;

/// The way to one Vault.
pub(super) struct Wire {
    settings: VaultSettings,
    http: OnceLock<Http>,
}

/// What is asked: a method, a path below `/v1/`, and a body.
pub(super) struct Call {
    method: Method,
    segments: Vec<String>,
    query: Option<(&'static str, String)>,
    body: Option<Zeroizing<String>>,
}

impl Call {
    /// A call of a path, given in pieces.
    ///
    /// # Errors
    /// When a piece would lead elsewhere than it says.
    pub(super) fn new(method: Method, pieces: &[&str]) -> Result<Self, Failure> {
        let segments = pieces.iter().flat_map(|piece| piece.split('/'));
        let segments: Vec<_> = segments.map(ToOwned::to_owned).collect();
        if segments.iter().any(|segment| matches!(segment.as_str(), "" | "." | "..")) {
            let detail = format!("`{}` is no path in Vault", pieces.join("/"));
            return Err(Failure::unusable(detail, "write mount and path, such as `secret/app`"));
        }
        Ok(Self { method, segments, query: None, body: None })
    }

    pub(super) fn with_query(self, key: &'static str, value: &str) -> Self {
        Self { query: Some((key, value.to_owned())), ..self }
    }

    pub(super) fn with_body(self, body: Zeroizing<String>) -> Self {
        Self { body: Some(body), ..self }
    }
}

impl Wire {
    pub(super) fn new(settings: VaultSettings) -> Self {
        Self { settings, http: OnceLock::new() }
    }

    /// Asks, and yields the answer whatever its status.
    ///
    /// # Errors
    /// When there is no answer, or nothing was told about where Vault is.
    pub(super) async fn send(&self, call: &Call, token: Option<&SecretValue>) -> Result<Answer, Failure> {
        let address = self.address()?;
        let http = self.http(address)?;
        let mut request = http.request(call.method.clone(), url(address, call)?);
        // Agents and proxies of Vault may insist on it, against requests a browser was tricked into.
        request = request.header("X-Vault-Request", "true");
        if let Some(token) = token {
            request = request.header("X-Vault-Token", header(token)?);
        }
        if let Some(namespace) = &self.settings.namespace {
            request = request.header("X-Vault-Namespace", namespace);
        }
        if let Some(body) = &call.body {
            request = request.header("Content-Type", "application/json").body(body.as_bytes().to_vec());
        }
        http.send(request).await.map_err(|failure| failure.during(&format!("asking {}", shown(address))))
    }

    fn address(&self) -> Result<&Url, Failure> {
        let Some(address) = &self.settings.address else {
            let remedy = "set secret_manager.vault.address in the configuration";
            return Err(Failure::unusable("it is not said where Vault is", remedy));
        };
        if !self.settings.allow_http && !is_private(address) {
            let detail = format!("{} would send secrets in clear", shown(address));
            return Err(Failure::unusable(
                detail,
                "write https, or allow it with secret_manager.vault.allow_http",
            ));
        }
        Ok(address)
    }

    fn http(&self, address: &Url) -> Result<&Http, Failure> {
        if let Some(http) = self.http.get() {
            return Ok(http);
        }
        let here = address.scheme() == "http" && is_private(address);
        let http = Http::new(Reach { ca_file: self.settings.ca_file.as_deref(), hosts: &[], here })?;
        Ok(self.http.get_or_init(|| http))
    }
}

fn url(address: &Url, call: &Call) -> Result<Url, Failure> {
    let mut url = address.clone();
    let bad =
        || Failure::unusable(format!("{} is no address of Vault", shown(address)), "write https://host:8200");
    let mut path = url.path_segments_mut().map_err(|()| bad())?;
    path.pop_if_empty().push("v1").extend(&call.segments);
    drop(path);
    if let Some((key, value)) = &call.query {
        url.query_pairs_mut().append_pair(key, value);
    }
    Ok(url)
}

fn header(token: &SecretValue) -> Result<HeaderValue, Failure> {
    let header = HeaderValue::from_str(token.expose()).map_err(|_unsaid| {
        Failure::unusable("the token holds characters no token has", "see what the token's reference names")
    });
    header.map(|mut header| {
        header.set_sensitive(true);
        header
    })
}

#[derive(Deserialize)]
struct Errors {
    #[serde(default)]
    errors: Vec<String>,
}

/// Whether Vault gave a reason that holds these words. Its words are read, never repeated.
pub(super) fn says(answer: &Answer, words: &str) -> bool {
    let errors = answer.json::<Errors>().map(|body| body.errors).unwrap_or_default();
    errors.iter().any(|error| error.contains(words))
}

/// What an answer that is neither a success, a refusal nor an absence means.
pub(super) fn trouble(answer: &Answer) -> Failure {
    let status = answer.status;
    match status {
        503 if says(answer, "sealed") => {
            Failure::unavailable("Vault is sealed", "unseal it: `vault operator unseal`")
        }
        301 | 302 | 307 | 308 => Failure::unavailable(
            format!("Vault sends us to another address (status {status})"),
            "name the active node or a load balancer that finds it",
        )
        .at_once_useless(),
        412 | 429 | 472 | 473 | 500..=599 => {
            Failure::unavailable(format!("Vault answered status {status}"), "see its log and `vault status`")
                .wait(answer.retry_after())
        }
        _ => Failure::unusable(
            format!("Vault answered status {status}"),
            "see whether the path is one of a key-value engine, and Vault's log",
        ),
    }
}

/// What a refusal means; `what` is the right that is lacking.
pub(super) fn forbidden(what: &str) -> Failure {
    let remedy = format!("let a policy of Keywatch's login say: `{what}`");
    Failure::denied("Vault answered status 403, permission denied", remedy)
}

/// An answer that should hold something and does not.
pub(super) fn unread(answer: &Answer) -> Failure {
    let detail = format!("Vault answered status {} with something that is no answer of Vault", answer.status);
    Failure::unavailable(detail, "see whether the address is Vault's")
}
