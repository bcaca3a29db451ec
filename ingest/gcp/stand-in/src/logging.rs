//! Cloud Logging's `entries.list`, as its reference has it: ordered by time, a filter in the query
//! language as far as Keywatch writes it, a thousand entries a page, pages that may be empty, tokens
//! that hold for one query and expire, sixty requests a minute.

use crate::{Google, State};
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::header::DATE;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use chrono::{DateTime, Utc};
use futures_util::stream;
use serde_json::{Value, json};
use std::time::{Duration, Instant};

/// An entry of a log.
#[derive(Clone, Debug)]
pub struct Entry {
    /// Whose it is: `projects/P`.
    pub resource: String,
    /// When it happened.
    pub at: DateTime<Utc>,
    /// When it was received, in seconds since 1970; from then on it can be read.
    pub received: i64,
    /// Whose call it is: `secretmanager.googleapis.com`.
    pub service: String,
    /// The entry, as it is answered.
    pub record: String,
}

pub(crate) fn routes(google: Google) -> Router {
    let list = async move |headers: HeaderMap, body: Bytes| answer(&google, &headers, &body);
    Router::new().route("/v2/entries:list", post(list))
}

fn answer(google: &Google, headers: &HeaderMap, body: &[u8]) -> Response {
    let mut state = google.lock();
    let mut response = unstamped(&mut state, headers, body);
    let now = DateTime::from_timestamp(state.now, 0).unwrap();
    let date = now.format("%a, %d %b %Y %H:%M:%S GMT").to_string();
    response.headers_mut().insert(DATE, date.parse().unwrap());
    response
}

fn unstamped(state: &mut State, headers: &HeaderMap, body: &[u8]) -> Response {
    if !state.lets_in(headers) {
        return refuse(401, "UNAUTHENTICATED", "Request had invalid authentication credentials.");
    }
    state.lists += 1;
    let is_over = state.is_over_quota();
    if is_over || state.happens(|state| state.faults.throttled) {
        state.throttled += 1;
        return refuse(
            429,
            "RESOURCE_EXHAUSTED",
            "Quota exceeded for quota metric 'Read requests' per minute",
        );
    }
    if state.happens(|state| state.faults.failed) {
        return refuse(503, "UNAVAILABLE", "The service is currently unavailable.");
    }
    match list(state, body) {
        Ok(text) if state.happens(|state| state.faults.reset) => broken(&text),
        Ok(text) => Response::new(Body::from(text)),
        Err(message) => refuse(400, "INVALID_ARGUMENT", &message),
    }
}

fn list(state: &mut State, body: &[u8]) -> Result<String, String> {
    let asked: Value = serde_json::from_slice(body).map_err(|error| error.to_string())?;
    let text = |name: &str| asked.get(name).and_then(Value::as_str).unwrap_or_default().to_owned();
    let names = asked.get("resourceNames").and_then(Value::as_array).cloned().unwrap_or_default();
    let size = asked.get("pageSize").and_then(Value::as_u64).unwrap_or(50);
    if names.is_empty() || text("orderBy") != "timestamp asc" || !(1..=1000).contains(&size) {
        return Err("the request is not well formed".to_owned());
    }
    let query = format!("{names:?} {} {size}", text("filter"));
    let found = state.matching(&names, &Filter::read(&text("filter"))?);
    let token = text("pageToken");
    let begin = if token.is_empty() {
        0
    } else {
        if state.happens(|state| state.faults.expired) {
            state.tokens.remove(&token);
        }
        let known = state.tokens.get(&token).filter(|(of, _)| *of == query);
        known.ok_or("page_token is expired or belongs to another query")?.1
    };
    // Google may answer with nothing and a token while it is still searching.
    let size = if state.faults.failed > 0 && state.chance.happens(10) {
        0
    } else {
        usize::try_from(size).unwrap_or(1)
    };
    let page: Vec<&str> = found.iter().skip(begin).take(size).map(String::as_str).collect();
    let mut text = format!("{{\"entries\":[{}]", page.join(","));
    if begin + page.len() < found.len() {
        let token = format!("t{}", state.number());
        text.push_str(&format_token(&token));
        state.tokens.insert(token, (query, begin + page.len()));
    }
    text.push('}');
    Ok(text)
}

fn format_token(token: &str) -> String {
    format!(",\"nextPageToken\":\"{token}\"")
}

/// What a filter says of times, and of services.
struct Filter {
    from: Option<DateTime<Utc>>,
    until: Option<DateTime<Utc>>,
    received: Option<DateTime<Utc>>,
    services: Vec<String>,
}

impl Filter {
    fn read(filter: &str) -> Result<Self, String> {
        let time = |name: &str| {
            let Some((_, rest)) = filter.split_once(&format!(" AND {name}\"")) else { return Ok(None) };
            let text = rest.split('"').next().unwrap_or_default();
            DateTime::parse_from_rfc3339(text)
                .map(|time| Some(time.to_utc()))
                .map_err(|error| format!("{name}: {error}"))
        };
        let services = filter.split_once("serviceName=(").and_then(|(_, rest)| rest.split(')').next());
        let services =
            services.unwrap_or_default().split(" OR ").map(|name| name.trim_matches('"').to_owned());
        Ok(Self {
            from: time("timestamp>=")?,
            until: time("timestamp<")?,
            received: time("receiveTimestamp>=")?,
            services: services.filter(|name| !name.is_empty()).collect(),
        })
    }

    fn takes(&self, entry: &Entry) -> bool {
        self.from.is_none_or(|from| entry.at >= from)
            && self.until.is_none_or(|until| entry.at < until)
            && self.received.is_none_or(|since| entry.received >= since.timestamp())
            && (self.services.is_empty() || self.services.contains(&entry.service))
    }
}

impl State {
    fn happens(&mut self, percent: impl Fn(&Self) -> u64) -> bool {
        let percent = percent(self);
        self.chance.happens(percent)
    }

    fn matching(&self, names: &[Value], filter: &Filter) -> Vec<String> {
        let is_asked = |entry: &&Entry| names.contains(&json!(entry.resource));
        let mut found: Vec<&Entry> = self
            .entries
            .iter()
            .filter(is_asked)
            .filter(|entry| entry.received <= self.now && filter.takes(entry))
            .collect();
        found.sort_by_key(|entry| entry.at);
        found.into_iter().map(|entry| entry.record.clone()).collect()
    }

    fn is_over_quota(&mut self) -> bool {
        let Some(limit) = self.per_minute else { return false };
        let (since, count) = self.window.unwrap_or((Instant::now(), 0));
        let (since, count) =
            if since.elapsed() >= Duration::from_mins(1) { (Instant::now(), 0) } else { (since, count) };
        self.window = Some((since, count + 1));
        count >= limit
    }
}

fn refuse(code: u16, status: &str, message: &str) -> Response {
    let body = json!({"error": {"code": code, "message": message, "status": status}}).to_string();
    let mut response = Response::new(Body::from(body));
    *response.status_mut() = StatusCode::from_u16(code).unwrap();
    response
}

/// Half an answer, and then the connection breaks.
pub(crate) fn broken(text: &str) -> Response {
    let half = Bytes::copy_from_slice(text.as_bytes().get(..text.len() / 2).unwrap_or_default());
    let parts = [Ok(half), Err(std::io::Error::other("broken off"))];
    Response::new(Body::from_stream(stream::iter(parts)))
}
