//! One request to `entries.list`, and its answer's bytes.
//!
//! The question is the one of Google's own client; it is sent by ourselves because that client asks
//! for numbers in place of the names of enums. `"action":"REMOVE"`, by which a removed audit
//! configuration is told, would come as `2`, and a record would be another than through a sink. So
//! the answer is kept as Google writes it.

use crate::access::{Access, Wallet};
use crate::failure::{Failure, Trouble};
use chrono::{DateTime, Utc};
use google_cloud_logging_v2::model::ListLogEntriesRequest;
use reqwest::header::DATE;
use std::time::Duration;

/// Largest answer that is read. A page of a thousand ordinary entries has 2 MiB; an entry has at most
/// 512 KiB, and a page that is larger than this is asked for in halves.
pub(super) const BODY_BYTES_MAX: usize = 32 << 20;
/// A request's time; a search over much history takes its time.
const REQUEST_TIMEOUT: Duration = Duration::from_mins(1);
const CONNECT_TIMEOUT: Duration = Duration::from_secs(5);
/// Where Cloud Logging is.
const ENDPOINT: &str = "https://logging.googleapis.com";

/// What came.
#[derive(Debug)]
pub(super) struct Answer {
    pub(super) body: Vec<u8>,
    /// What time it was at Google.
    pub(super) date: Option<DateTime<Utc>>,
}

/// Why there is no answer.
#[derive(Debug)]
pub(super) enum Unanswered {
    /// It is larger than what is read.
    TooLarge,
    Failed(Failure),
}

/// Asks for all lanes of a source.
#[derive(Debug)]
pub(super) struct Client {
    http: reqwest::Client,
    url: String,
    wallet: Wallet,
}

impl Client {
    pub(super) fn new(access: &Access, wallet: Wallet) -> Result<Self, Failure> {
        let http = reqwest::Client::builder()
            .timeout(REQUEST_TIMEOUT)
            .connect_timeout(CONNECT_TIMEOUT)
            .redirect(reqwest::redirect::Policy::none())
            .user_agent(concat!("keywatch/", env!("CARGO_PKG_VERSION")))
            .build()
            .map_err(|error| Failure::new(Trouble::Unavailable, &error.to_string()))?;
        let endpoint = access.endpoint.as_deref().unwrap_or(ENDPOINT).trim_end_matches('/');
        Ok(Self { http, url: format!("{endpoint}/v2/entries:list?prettyPrint=false"), wallet })
    }

    pub(super) async fn ask(&self, question: &ListLogEntriesRequest) -> Result<Answer, Unanswered> {
        let failed = |error: reqwest::Error| Unanswered::Failed(unreached(error));
        let body = serde_json::to_vec(question)
            .map_err(|error| Unanswered::Failed(Failure::new(Trouble::Invalid, &error.to_string())))?;
        let headers = self.wallet.headers().await.map_err(Unanswered::Failed)?;
        let request = self.http.post(&self.url).headers(headers).header("content-type", "application/json");
        let mut answer = request.body(body).send().await.map_err(failed)?;
        let date = answer.headers().get(DATE).and_then(|date| date.to_str().ok());
        let date = date.and_then(|date| DateTime::parse_from_rfc2822(date).ok()).map(|date| date.to_utc());
        let mut bytes = Vec::new();
        while let Some(part) = answer.chunk().await.map_err(failed)? {
            if bytes.len() + part.len() > BODY_BYTES_MAX {
                return Err(Unanswered::TooLarge);
            }
            bytes.extend_from_slice(&part);
        }
        if answer.status().as_u16() != 200 {
            return Err(Unanswered::Failed(Failure::of_answer(answer.status().as_u16(), &bytes)));
        }
        Ok(Answer { body: bytes, date })
    }

    /// Throws away credentials that were refused.
    pub(super) async fn refused(&self) {
        self.wallet.forget().await;
    }
}

fn unreached(error: reqwest::Error) -> Failure {
    use std::error::Error as _;
    let error = error.without_url();
    let why = error.source().map(ToString::to_string).unwrap_or_default();
    Failure::new(Trouble::Unavailable, &format!("{error}: {why}"))
}

/// What failed and how to mend it.
pub(super) fn explain(resource: &str, failure: &Failure) -> String {
    let remedy = match failure.trouble {
        Trouble::Denied => {
            "grant roles/logging.privateLogViewer there (data access logs need it; roles/logging.viewer shows the rest), \
             and see that logging.googleapis.com is enabled"
        }
        Trouble::Invalid => {
            "check `filter` and the resource's name; `gcloud logging read FILTER` says what is wrong with a filter"
        }
        Trouble::Missing => "check the resource's name",
        Trouble::Credentials | Trouble::Throttled | Trouble::Unavailable => failure.remedy(),
    };
    format!("entries.list failed for {resource}: {}; {remedy}", failure.said)
}
