//! One signed POST to one webhook, and what its answer means.
//!
//! The request is one buffer, sent once: no redirects, no proxies, no retries of the HTTP
//! client's own. It goes to addresses the egress policy has checked and nowhere else.

use super::{Fault, Problem, WebhookReceiver};
use crate::egress::{Egress, EgressPolicy, Refusal};
use crate::sign::{self, SigningSecret};
use reqwest::{Client, Response, StatusCode, header, redirect, retry};
use std::error::Error;
use std::time::Duration;
use tokio::time::{Instant, timeout_at};
use url::Url;

/// How long one attempt may take, from resolving the name to the end of the answer.
pub const SEND_TIMEOUT: Duration = Duration::from_secs(15);
/// How much of an answer is read.
const EXCERPT_BYTES_MAX: usize = 4096;
/// How long the body of an answer is waited for: the status has decided already.
const EXCERPT_WAIT: Duration = Duration::from_secs(2);
/// How long a connection is kept for the next message of a burst.
const POOL_IDLE: Duration = Duration::from_secs(10);
const USER_AGENT: &str = concat!("keywatch/", env!("CARGO_PKG_VERSION"));

/// What is to be sent.
pub(crate) struct Message {
    /// The same at every attempt.
    pub(crate) id: String,
    /// Seconds since 1970, fresh for every attempt.
    pub(crate) timestamp: i64,
    /// JSON.
    pub(crate) body: Vec<u8>,
}

/// What an answer means.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Taken.
    Delivered,
    /// The endpoint wants nothing more.
    Gone,
    /// Try again later.
    Failed,
}

/// What came back, or why nothing did.
#[derive(Clone, Debug)]
pub(crate) struct Reply {
    pub(crate) verdict: Verdict,
    pub(crate) status: Option<u16>,
    pub(crate) latency: Duration,
    /// Beginning of the answer's body, without control characters.
    pub(crate) excerpt: Option<String>,
    /// What went wrong, unless delivered.
    pub(crate) error: Option<String>,
    /// The header as sent.
    pub(crate) retry_after: Option<String>,
}

impl Reply {
    /// No answer, for the reason given.
    pub(crate) fn failed(error: String) -> Self {
        Self {
            verdict: Verdict::Failed,
            status: None,
            latency: Duration::ZERO,
            excerpt: None,
            error: Some(error),
            retry_after: None,
        }
    }
}

/// The sending side of one receiver.
pub(crate) struct Sender {
    url: Url,
    secrets: Vec<SigningSecret>,
    client: Client,
    policy: EgressPolicy,
    timeout: Duration,
}

impl Sender {
    /// Sets up the HTTP client of one receiver.
    pub(crate) fn new(receiver: &WebhookReceiver, egress: &Egress) -> Result<Self, Problem> {
        let problem = |fault| Problem { receiver: receiver.name.clone(), fault };
        let url = Url::parse(&receiver.url).map_err(|error| problem(Fault::Url(error)))?;
        let client = Client::builder()
            .dns_resolver(egress.resolver_for(&url))
            .redirect(redirect::Policy::none())
            .no_proxy()
            .retry(retry::never())
            .referer(false)
            .pool_max_idle_per_host(receiver.concurrency)
            .pool_idle_timeout(POOL_IDLE)
            .build()
            .map_err(|error| problem(Fault::Client(root_of(&error))))?;
        let policy = egress.policy().clone();
        Ok(Self { url, secrets: receiver.secrets.clone(), client, policy, timeout: SEND_TIMEOUT })
    }

    /// The same with another time limit.
    pub(crate) fn with_timeout(self, timeout: Duration) -> Self {
        Self { timeout, ..self }
    }

    /// How long one attempt may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// The headers of `message`, its signature among them.
    pub(crate) fn headers(&self, message: &Message) -> Result<[(&'static str, String); 5], sign::SignError> {
        let signature = sign::signature(&self.secrets, &message.id, message.timestamp, &message.body)?;
        Ok([
            (header::CONTENT_TYPE.as_str(), "application/json".to_owned()),
            (header::USER_AGENT.as_str(), USER_AGENT.to_owned()),
            ("webhook-id", message.id.clone()),
            ("webhook-timestamp", message.timestamp.to_string()),
            ("webhook-signature", signature),
        ])
    }

    /// Sends `message` once and waits for the answer, at most the time limit.
    pub(crate) async fn send(&self, message: &Message) -> Reply {
        let started = Instant::now();
        let deadline = started + self.timeout;
        let mut reply = match timeout_at(deadline, self.post(message)).await {
            Ok(Ok(response)) => read_answer(response, deadline).await,
            Ok(Err(error)) => Reply::failed(error),
            Err(_elapsed) => {
                Reply::failed(format!("{} gave no answer within {:?}", self.host(), self.timeout))
            }
        };
        reply.latency = started.elapsed();
        reply
    }

    async fn post(&self, message: &Message) -> Result<Response, String> {
        // The client's resolver never sees a host that is written as an address.
        if let Some(refusal) = self.policy.check_url(&self.url).first() {
            return Err(refusal.to_string());
        }
        let headers = self.headers(message).map_err(|error| error.to_string())?;
        let request = self.client.post(self.url.clone()).body(message.body.clone());
        let request = headers.into_iter().fold(request, |request, (name, value)| request.header(name, value));
        request.send().await.map_err(|error| self.told(&error))
    }

    /// What a transport error was, in words that name the host and never the whole address.
    fn told(&self, error: &reqwest::Error) -> String {
        let mut cause: Option<&(dyn Error + 'static)> = Some(error);
        while let Some(error) = cause {
            if let Some(refusal) = error.downcast_ref::<Refusal>() {
                return refusal.to_string();
            }
            cause = error.source();
        }
        let root = root_of(error);
        if error.is_connect() {
            return format!("could not connect to {}: {root}", self.host());
        }
        format!("{} broke off without an answer: {root}", self.host())
    }

    fn host(&self) -> &str {
        self.url.host_str().unwrap_or_default()
    }
}

/// The innermost text of an error; the outer ones of the HTTP client repeat the address.
fn root_of(error: &dyn Error) -> String {
    let mut root = error;
    while let Some(source) = root.source() {
        root = source;
    }
    root.to_string()
}

async fn read_answer(mut response: Response, deadline: Instant) -> Reply {
    let status = response.status();
    let retry_after = response.headers().get(header::RETRY_AFTER);
    let retry_after = retry_after.and_then(|value| value.to_str().ok()).map(str::to_owned);
    let mut bytes = Vec::new();
    let until = deadline.min(Instant::now() + EXCERPT_WAIT);
    // However the reading ends, what has come is the excerpt.
    let _ended = timeout_at(until, read_beginning(&mut response, &mut bytes)).await;
    let (verdict, error) = judge(status);
    Reply {
        verdict,
        status: Some(status.as_u16()),
        latency: Duration::ZERO,
        excerpt: readable(&bytes),
        error,
        retry_after,
    }
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

/// Text that is harmless on a terminal and in a log: control characters and those that turn the
/// direction of writing become spaces. `None` when nothing is left.
fn readable(bytes: &[u8]) -> Option<String> {
    let turning =
        |c: char| matches!(c, '\u{200e}' | '\u{200f}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    let text: String = String::from_utf8_lossy(bytes)
        .chars()
        .map(|c| if c.is_control() || turning(c) { ' ' } else { c })
        .collect();
    let text = text.trim();
    (!text.is_empty()).then(|| text.to_owned())
}

/// What a status means, and what to tell people unless it is success. Standard Webhooks 1.0:
/// 2xx is success, 410 disables the endpoint, everything else is tried again.
fn judge(status: StatusCode) -> (Verdict, Option<String>) {
    let remedy = match status.as_u16() {
        200..=299 => return (Verdict::Delivered, None),
        410 => return (Verdict::Gone, Some(format!("answered {status}: it wants no more messages"))),
        300..=399 => "; redirects are not followed, so configure the final address",
        401 | 403 => "; check that the receiver has the same signing secret",
        404 => "; check the path of its url",
        _ => "",
    };
    (Verdict::Failed, Some(format!("answered {status}{remedy}")))
}

#[cfg(test)]
mod tests;
