//! The way of Microsoft's clients to the network: bounded answers, no redirects.
//!
//! The clients insist on https, and on Azure's own address of the metadata service. What the
//! settings say to be elsewhere, or in clear on this machine, is sent there from here.

use crate::backend::http::{Answer, Http};
use crate::settings::{AzureSettings, is_private};
use async_trait::async_trait;
use azure_core::Bytes;
use azure_core::error::{Error, ErrorKind};
use azure_core::http::headers::Headers;
use azure_core::http::{AsyncRawResponse, Body, HttpClient, Request, StatusCode};
use std::collections::BTreeSet;
use std::fmt;
use std::sync::{Mutex, MutexGuard, PoisonError};
use url::Url;

/// Where Azure puts the metadata service of every machine.
const METADATA: &str = "169.254.169.254";

/// Sends what the clients ask for, one answer per question.
#[derive(Debug)]
pub(super) struct Transport {
    http: Http,
    metadata: Option<Url>,
    /// Hosts and ports of this machine that are spoken to in clear; as many as references name.
    clear: Mutex<BTreeSet<Place>>,
}

/// Our own trouble, carried through Microsoft's error.
#[derive(Debug)]
pub(super) struct Carried(pub(super) crate::failure::Failure);

impl fmt::Display for Carried {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(&self.0.detail)
    }
}

impl std::error::Error for Carried {}

impl Transport {
    pub(super) fn new(http: Http, settings: &AzureSettings) -> Self {
        let transport = Self { http, metadata: settings.metadata.clone(), clear: Mutex::default() };
        settings.authority.iter().for_each(|url| transport.will_ask(url));
        transport
    }

    /// Notes how an address is spoken to. Addresses in clear that are not this machine's are refused
    /// before they come here.
    pub(super) fn will_ask(&self, url: &Url) {
        if url.scheme() == "http" && is_private(url) {
            self.clear().extend(place(url));
        }
    }

    fn clear(&self) -> MutexGuard<'_, BTreeSet<Place>> {
        self.clear.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Where a request goes in truth.
    fn destination(&self, url: &Url) -> Url {
        let mut url = url.clone();
        if let Some(metadata) = self.metadata.as_ref().filter(|_| url.host_str() == Some(METADATA)) {
            let mut there = metadata.clone();
            there.set_path(url.path());
            there.set_query(url.query());
            return there;
        }
        if place(&url).is_some_and(|place| self.clear().contains(&place)) {
            // The scheme of a web address can always be changed to another of them.
            url.set_scheme("http").unwrap_or(());
        }
        url
    }
}

/// A host and its port.
type Place = (String, Option<u16>);

fn place(url: &Url) -> Option<Place> {
    Some((url.host_str()?.to_owned(), url.port()))
}

/// The same address as the clients will have it.
pub(super) fn as_https(url: &Url) -> String {
    url.as_str().replacen("http://", "https://", 1)
}

#[async_trait]
impl HttpClient for Transport {
    async fn execute_request(&self, request: &Request) -> azure_core::Result<AsyncRawResponse> {
        let unknown = || Error::with_message(ErrorKind::Other, "no method of HTTP");
        let method = reqwest::Method::from_bytes(request.method().as_ref().as_bytes()).or(Err(unknown()))?;
        let mut sent = self.http.request(method, self.destination(request.url()));
        for (name, value) in request.headers().iter() {
            sent = sent.header(name.as_str(), value.as_str());
        }
        sent = match request.body() {
            Body::Bytes(bytes) => sent.body(bytes.clone()),
            Body::SeekableStream(_) => {
                return Err(Error::with_message(ErrorKind::Other, "bodies are bytes here"));
            }
        };
        let answer = self.http.send(sent).await;
        let answer = answer.map_err(|failure| Error::new(ErrorKind::Io, Carried(failure)))?;
        Ok(raw(&answer))
    }
}

fn raw(answer: &Answer) -> AsyncRawResponse {
    let mut headers = Headers::new();
    for (name, value) in &answer.headers {
        if let Ok(value) = value.to_str() {
            headers.insert(name.as_str().to_owned(), value.to_owned());
        }
    }
    let body = Bytes::copy_from_slice(&answer.body);
    AsyncRawResponse::from_bytes(StatusCode::from(answer.status), headers, body)
}
