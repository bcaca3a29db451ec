//! A stand-in for CloudTrail's `LookupEvents` that speaks AWS's JSON protocol.
//!
//! As the API reference has it: newest first, 50 per page, two requests a second per account and
//! region, 90 days, one lookup attribute, tokens that hold for one query and expire. Events can be
//! late, pages shift while they are read, and requests meet faults that a seed decides.

use super::chance::Chance;
use super::server::Server;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use axum::routing::post;
use serde_json::{Value, json};
use std::collections::HashMap;
use std::sync::{Arc, Mutex};
use std::time::Instant;

const PAGE: usize = 50;
const DAYS: i64 = 90;

/// An event of the trail.
#[derive(Clone, Debug)]
pub(super) struct Past {
    pub(super) id: String,
    pub(super) secs: i64,
    /// From when on it can be looked up.
    pub(super) visible: i64,
    pub(super) region: String,
    pub(super) source: String,
    pub(super) record: String,
}

/// Faults in a hundred requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) throttled: u64,
    pub(super) failed: u64,
    pub(super) reset: u64,
    pub(super) token: u64,
    pub(super) expired: u64,
}

pub(super) struct State {
    pub(super) events: Vec<Past>,
    pub(super) now: i64,
    pub(super) faults: Faults,
    pub(super) chance: Chance,
    /// Requests a second per key and region; no limit when absent.
    pub(super) per_second: Option<u32>,
    pub(super) revoked: bool,
    pub(super) requests: usize,
    pub(super) throttled: usize,
    pub(super) refused: usize,
    buckets: HashMap<String, (Instant, f64)>,
    tokens: HashMap<String, (String, usize)>,
}

/// The stand-in, and what it knows.
#[derive(Clone)]
pub(super) struct CloudTrail(pub(super) Arc<Mutex<State>>);

impl CloudTrail {
    pub(super) fn new(now: i64, seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            events: Vec::new(),
            now,
            faults: Faults::default(),
            chance: Chance::new(seed),
            per_second: None,
            revoked: false,
            requests: 0,
            throttled: 0,
            refused: 0,
            buckets: HashMap::new(),
            tokens: HashMap::new(),
        })))
    }

    pub(super) fn serve(&self) -> Server {
        let trail = self.clone();
        let answer = move |headers: HeaderMap, body: Bytes| async move { trail.answer(&headers, &body) };
        Server::start(Router::new().route("/", post(answer)))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    pub(super) fn answer(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        self.with(|state| {
            state.requests += 1;
            let target =
                headers.get("x-amz-target").and_then(|value| value.to_str().ok()).unwrap_or_default();
            assert!(target.ends_with("CloudTrail_20131101.LookupEvents"), "{target}");
            let signed =
                headers.get("authorization").and_then(|value| value.to_str().ok()).unwrap_or_default();
            let scope = signed
                .split("Credential=")
                .nth(1)
                .and_then(|rest| rest.split(',').next())
                .unwrap_or_default();
            let mut scope = scope.split('/');
            let (key, region) = (scope.next().unwrap_or_default(), scope.nth(1).unwrap_or_default());
            match state.refuse(key, region) {
                Some(refusal) => refusal,
                None => state.look_up(region, &serde_json::from_slice(body).unwrap()),
            }
        })
    }
}

pub(super) fn error(status: u16, code: &str) -> Response {
    let body = json!({"__type": code, "message": format!("{code} by the stand-in")}).to_string();
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.1");
    response.header("x-amzn-errortype", code).body(Body::from(body)).unwrap()
}

impl State {
    fn refuse(&mut self, key: &str, region: &str) -> Option<Response> {
        if self.revoked {
            self.refused += 1;
            return Some(error(400, "UnrecognizedClientException"));
        }
        if let Some(limit) = self.per_second {
            let bucket =
                self.buckets.entry(format!("{key}/{region}")).or_insert((Instant::now(), f64::from(limit)));
            bucket.1 = (bucket.1 + bucket.0.elapsed().as_secs_f64() * f64::from(limit)).min(f64::from(limit));
            bucket.0 = Instant::now();
            if bucket.1 < 1.0 {
                self.throttled += 1;
                return Some(error(400, "ThrottlingException"));
            }
            bucket.1 -= 1.0;
        }
        let faults = self.faults;
        if self.chance.happens(faults.throttled) {
            return Some(error(400, "ThrottlingException"));
        }
        if self.chance.happens(faults.expired) {
            return Some(error(400, "ExpiredTokenException"));
        }
        if self.chance.happens(faults.failed) {
            return Some(error(500, "InternalFailure"));
        }
        if self.chance.happens(faults.reset) {
            let parts: Vec<Result<Bytes, std::io::Error>> =
                vec![Ok(Bytes::from_static(b"{\"Events\":[{\"Ev")), Err(std::io::Error::other("reset"))];
            let body = Body::from_stream(futures_util::stream::iter(parts));
            return Some(Response::builder().header("content-length", "5000").body(body).unwrap());
        }
        None
    }

    fn look_up(&mut self, region: &str, asked: &Value) -> Response {
        let time = |key: &str| asked[key].as_f64().map(|secs| secs as i64);
        let (from, to) = (time("StartTime").unwrap_or(0), time("EndTime").unwrap_or(self.now));
        let page = asked["MaxResults"].as_u64().unwrap_or(PAGE as u64) as usize;
        if page > PAGE {
            return error(400, "InvalidMaxResultsException");
        }
        if from > to || from < self.now - DAYS * 86_400 - 60 {
            return error(400, "InvalidTimeRangeException");
        }
        let source = asked["LookupAttributes"][0]["AttributeValue"].as_str();
        let query = format!("{region} {from} {to} {source:?}");
        let offset = match asked["NextToken"].as_str() {
            None => 0,
            Some(token) => match self.tokens.remove(token) {
                Some((of, offset)) if of == query && !self.chance.happens(self.faults.token) => offset,
                _ => return error(400, "InvalidNextTokenException"),
            },
        };
        let oldest = self.now - DAYS * 86_400;
        let mut found: Vec<&Past> = self
            .events
            .iter()
            .filter(|event| {
                (from..=to).contains(&event.secs) && event.secs >= oldest && event.visible <= self.now
            })
            .filter(|event| event.region == region && source.is_none_or(|source| event.source == source))
            .collect();
        found.sort_by_key(|event| std::cmp::Reverse(event.secs));
        let events: Vec<Value> = found.iter().skip(offset).take(page).map(|event| shown(event)).collect();
        let mut answer = json!({"Events": events});
        if offset + page < found.len() {
            let token = format!("token-{}", self.chance.next());
            self.tokens.insert(token.clone(), (query, offset + page));
            answer["NextToken"] = json!(token);
        }
        let response =
            Response::builder().status(StatusCode::OK).header("content-type", "application/x-amz-json-1.1");
        response.body(Body::from(answer.to_string())).unwrap()
    }
}

fn shown(event: &Past) -> Value {
    json!({"EventId": event.id, "EventName": "GetSecretValue", "ReadOnly": "true", "EventTime": event.secs,
        "EventSource": event.source, "Username": "ada", "Resources": [], "CloudTrailEvent": event.record})
}
