//! POSTs to one receiver, and what came back.
//!
//! A request is one buffer, sent once: no redirects, no proxies, no retries of the HTTP client's
//! own. It goes to addresses the egress policy has checked and nowhere else. What is posted and
//! what an answer means is up to the [`Format`].

use super::{Carried, Held, Parcel, Shown, Unsendable};
use crate::egress::{Egress, Refusal};
use crate::notification::Notification;
use crate::receiver::{Fault, Receiver};
use crate::reply::{Reply, Verdict};
use crate::text::readable;
use chrono::{DateTime, Utc};
use reqwest::{Certificate, Client, Response, StatusCode, header, redirect, retry};
use std::error::Error;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;
use zeroize::Zeroizing;

/// How much of an answer is read.
pub(super) const EXCERPT_BYTES_MAX: usize = 4096;
/// How long the body of an answer is waited for: the status has decided already.
const EXCERPT_WAIT: Duration = Duration::from_secs(2);
/// How long a connection is kept for the next message of a burst.
const POOL_IDLE: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("keywatch/", env!("CARGO_PKG_VERSION"));

/// What one kind of receiver is told, in its own words. Pure.
pub(crate) trait Format: Send + Sync {
    /// The requests that tell `notification`, one after the other. All of them may be repeated
    /// when one fails.
    fn requests(
        &self,
        notification: &Notification,
        at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable>;

    /// What an answer means.
    fn judge(&self, answer: &Answer) -> Judgement;
}

/// One POST.
pub(crate) struct Request {
    pub(crate) url: Url,
    pub(crate) content_type: &'static str,
    pub(crate) headers: Vec<Header>,
    pub(crate) body: Vec<u8>,
}

/// A header of a request.
pub(crate) struct Header {
    name: &'static str,
    value: Zeroizing<String>,
    secret: bool,
}

impl Header {
    /// One that anybody may see.
    pub(crate) fn open(name: &'static str, value: String) -> Self {
        Self { name, value: Zeroizing::new(value), secret: false }
    }

    /// One that only the receiver may see.
    pub(crate) const fn secret(name: &'static str, value: Zeroizing<String>) -> Self {
        Self { name, value, secret: true }
    }
}

/// An answer as far as it was read.
pub(crate) struct Answer {
    pub(crate) status: StatusCode,
    /// Its beginning, without control characters; empty when there was none.
    pub(crate) text: String,
}

impl Answer {
    /// The status in words, and what to do about it.
    pub(crate) fn told(&self, remedy: &str) -> String {
        format!("answered {}{remedy}", self.status)
    }
}

/// What an answer means.
pub(crate) struct Judgement {
    pub(crate) verdict: Verdict,
    pub(crate) error: Option<String>,
    pub(crate) credentials_refused: bool,
}

impl Judgement {
    pub(crate) const fn delivered() -> Self {
        Self { verdict: Verdict::Delivered, error: None, credentials_refused: false }
    }

    pub(crate) const fn new(verdict: Verdict, error: String) -> Self {
        Self { verdict, error: Some(error), credentials_refused: false }
    }

    pub(crate) fn credentials_refused(self) -> Self {
        Self { credentials_refused: true, ..self }
    }
}

/// A receiver that is reached over HTTP.
pub(crate) struct Http {
    format: Arc<dyn Format>,
    egress: Egress,
    roots: Vec<Certificate>,
    connections: usize,
    /// The client and whom it was made for. Its resolver knows that one host, so another one, as
    /// after a rotation of the address, gets another client.
    client: Mutex<Option<(Url, Client)>>,
}

impl Http {
    pub(super) fn new(receiver: &Receiver, egress: &Egress, format: Arc<dyn Format>) -> Result<Self, Fault> {
        let http = Self {
            format,
            egress: egress.clone(),
            roots: super::trust::certificates(receiver)?,
            connections: receiver.concurrency,
            client: Mutex::new(None),
        };
        // Whether a client can be made at all does not depend on whom it is for.
        if let Ok(nobody) = Url::parse("https://invalid.invalid/") {
            http.build(&nobody).map_err(Fault::Client)?;
        }
        Ok(http)
    }

    /// Sends every request of a notification; the first that is not taken ends it.
    pub(super) async fn carry(&self, parcel: &Parcel<'_>) -> Carried {
        let requests = match self.format.requests(parcel.notification, parcel.at, parcel.held) {
            Ok(requests) => requests,
            Err(error) => return Reply::unsendable(error.to_string()).into(),
        };
        let mut shown = Vec::new();
        let mut last = Reply::delivered(None);
        for request in requests {
            if parcel.rehearsal {
                shown.push(request.shown(parcel.held));
            }
            last = self.exchange(request, parcel).await;
            if last.verdict != Verdict::Delivered {
                break;
            }
        }
        Carried { reply: last, shown }
    }

    async fn exchange(&self, request: Request, parcel: &Parcel<'_>) -> Reply {
        let host = request.url.host_str().unwrap_or_default().to_owned();
        match timeout_at(parcel.deadline, self.post(request)).await {
            Ok(Ok(response)) => self.understood(response, parcel.deadline).await,
            Ok(Err(error)) => Reply::failed(error),
            Err(_elapsed) => Reply::failed(format!("{host} gave no answer within {:?}", parcel.limit)),
        }
    }

    async fn post(&self, request: Request) -> Result<Response, String> {
        // The client's resolver never sees a host that is written as an address.
        if let Some(refusal) = self.egress.policy().check_url(&request.url).first() {
            return Err(refusal.to_string());
        }
        let host = request.url.host_str().unwrap_or_default().to_owned();
        let client = self.client_for(&request.url)?;
        let mut post = client
            .post(request.url)
            .header(header::CONTENT_TYPE, request.content_type)
            .header(header::USER_AGENT, USER_AGENT)
            .body(request.body);
        for header in request.headers {
            let mut value = header::HeaderValue::from_str(&header.value).map_err(|_holds_the_value| {
                format!("the value of the header {} holds a character that no header can", header.name)
            })?;
            value.set_sensitive(header.secret);
            post = post.header(header.name, value);
        }
        post.send().await.map_err(|error| told(&host, &error))
    }

    fn client_for(&self, url: &Url) -> Result<Client, String> {
        let mut kept = self.client.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((known, client)) = &*kept
            && known.origin() == url.origin()
        {
            return Ok(client.clone());
        }
        let client = self.build(url).map_err(|error| Fault::Client(error).to_string())?;
        *kept = Some((url.clone(), client.clone()));
        Ok(client)
    }

    fn build(&self, url: &Url) -> Result<Client, String> {
        Client::builder()
            .dns_resolver(self.egress.resolver_for(url))
            .tls_certs_merge(self.roots.iter().cloned())
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(self.connections)
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(|error| root_of(&error))
    }

    async fn understood(&self, mut response: Response, deadline: Instant) -> Reply {
        let status = response.status();
        let retry_after = response.headers().get(header::RETRY_AFTER);
        let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
        let mut bytes = Vec::new();
        let until = deadline.min(Instant::now() + EXCERPT_WAIT);
        // However the reading ends, what has come is the excerpt.
        let _ended = timeout_at(until, read_beginning(&mut response, &mut bytes)).await;
        let excerpt = readable(&bytes);
        let answer = Answer { status, text: excerpt.clone().unwrap_or_default() };
        let Judgement { verdict, error, credentials_refused } = self.format.judge(&answer);
        Reply {
            verdict,
            status: Some(status.as_u16()),
            latency: Duration::ZERO,
            excerpt,
            error,
            retry_after,
            credentials_refused,
        }
    }
}

impl Request {
    /// A POST of JSON.
    pub(crate) fn json(url: Url, body: &serde_json::Value) -> Self {
        let body = body.to_string().into_bytes();
        Self { url, content_type: "application/json", headers: Vec::new(), body }
    }

    /// As people may see it.
    pub(crate) fn shown(&self, held: &Held) -> Shown {
        let mut headers = vec![
            ("content-type".to_owned(), self.content_type.to_owned()),
            ("user-agent".to_owned(), USER_AGENT.to_owned()),
        ];
        for header in &self.headers {
            let value = if header.secret { "[redacted]".to_owned() } else { held.redacted(&header.value) };
            headers.push((header.name.to_owned(), value));
        }
        Shown {
            // The path of an address is a credential with many receivers.
            target: held.redacted(&format!("POST {}/…", self.url.origin().ascii_serialization())),
            headers,
            body: held.redacted(&String::from_utf8_lossy(&self.body)),
        }
    }
}

/// What a transport error was, in words that name the host and never the whole address.
fn told(host: &str, error: &reqwest::Error) -> String {
    let mut cause: Option<&(dyn Error + 'static)> = Some(error);
    while let Some(error) = cause {
        if let Some(refusal) = error.downcast_ref::<Refusal>() {
            return refusal.to_string();
        }
        cause = error.source();
    }
    let root = root_of(error);
    if error.is_connect() {
        return format!("could not connect to {host}: {root}");
    }
    format!("{host} broke off without an answer: {root}")
}

/// The innermost text of an error; the outer ones of the HTTP client repeat the address.
fn root_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

async fn read_beginning(response: &mut Response, bytes: &mut Vec<u8>) {
    while let Ok(Some(chunk)) = response.chunk().await {
        let room = EXCERPT_BYTES_MAX - bytes.len();
        bytes.extend_from_slice(chunk.get(..room).unwrap_or(&chunk));
        if bytes.len() == EXCERPT_BYTES_MAX {
            return;
        }
    }
}
