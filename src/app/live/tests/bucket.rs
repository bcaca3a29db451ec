//! A stand-in for SQS and S3 on one port: SQS's JSON protocol, and S3's `GET` and listing.
//!
//! Messages become invisible when received, come again, are counted, and go to the dead-letter
//! queue. Requests meet faults that a seed decides.

use super::chance::Chance;
use super::server::Server;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use axum::routing::post;
use base64::Engine as _;
use serde_json::{Value, json};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::time::sleep;

/// Faults in a hundred requests.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Faults {
    pub(super) queue: u64,
    pub(super) object: u64,
    pub(super) missing: u64,
    pub(super) truncated: u64,
}

#[derive(Clone, Debug)]
struct Message {
    body: String,
    received: u32,
    visible_at: Instant,
    handle: String,
}

pub(super) struct State {
    pub(super) objects: BTreeMap<String, Vec<u8>>,
    /// Signatures beside objects, as metadata.
    pub(super) signatures: HashMap<String, String>,
    /// The public key CloudTrail lists, DER.
    pub(super) public_key: Vec<u8>,
    messages: HashMap<u64, Message>,
    pub(super) dead: Vec<String>,
    pub(super) faults: Faults,
    pub(super) chance: Chance,
    pub(super) tries_max: Option<u32>,
    /// Every request is refused with this code.
    pub(super) refusing: Option<&'static str>,
    pub(super) deleted: usize,
    pub(super) gets: usize,
    pub(super) lists: usize,
    /// Faults an object has met: they end, so that no message is poison by bad luck alone.
    met: HashMap<String, u32>,
    next: u64,
}

/// The stand-in, and what it knows.
#[derive(Clone)]
pub(super) struct Store(pub(super) Arc<Mutex<State>>);

/// The fingerprint of the key digests are signed with.
pub(super) const FINGERPRINT: &str = "31e8b5433410dfb61a9dc45cc65b22ff";
/// The name of its only bucket.
pub(super) const BUCKET: &str = "trail";

impl Store {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            objects: BTreeMap::new(),
            signatures: HashMap::new(),
            public_key: Vec::new(),
            messages: HashMap::new(),
            dead: Vec::new(),
            faults: Faults::default(),
            chance: Chance::new(seed),
            tries_max: Some(5),
            refusing: None,
            deleted: 0,
            gets: 0,
            lists: 0,
            met: HashMap::new(),
            next: 0,
        })))
    }

    pub(super) fn serve(&self) -> Server {
        let (queue, bucket) = (self.clone(), self.clone());
        let asked = move |headers: HeaderMap, body: Bytes| async move { queue.queue(&headers, &body).await };
        let fetched = move |uri: Uri| async move { bucket.with(|state| state.bucket(&uri)) };
        Server::start(Router::new().route("/", post(asked)).fallback(fetched))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    async fn queue(&self, headers: &HeaderMap, body: &[u8]) -> Response {
        let action = headers["x-amz-target"].to_str().unwrap().trim_start_matches("AmazonSQS.").to_owned();
        let asked: Value = serde_json::from_slice(body).unwrap();
        if let Some(refusal) = self.with(State::refuse) {
            return refusal;
        }
        if action == "ReceiveMessage" {
            // A long poll, shorter than AWS's.
            for _ in 0..5 {
                if self.with(|state| state.has_visible()) {
                    break;
                }
                sleep(Duration::from_millis(4)).await;
            }
        }
        self.with(|state| state.act(&action, &asked))
    }
}

fn answer(value: &Value) -> Response {
    Response::builder()
        .header("content-type", "application/x-amz-json-1.0")
        .body(Body::from(value.to_string()))
        .unwrap()
}

fn error(status: u16, code: &str) -> Response {
    let body =
        json!({"__type": format!("com.amazonaws.sqs#{code}"), "message": "by the stand-in"}).to_string();
    let response = Response::builder().status(status).header("content-type", "application/x-amz-json-1.0");
    response.body(Body::from(body)).unwrap()
}

fn s3_error(status: u16, code: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the stand-in</Message></Error>"
    );
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .unwrap()
}

impl State {
    /// Sends a message to the queue.
    pub(super) fn send(&mut self, body: &str) {
        self.next += 1;
        let message =
            Message { body: body.to_owned(), received: 0, visible_at: Instant::now(), handle: String::new() };
        self.messages.insert(self.next, message);
    }

    /// Messages neither deleted nor given up.
    pub(super) fn waiting(&self) -> usize {
        self.messages.len()
    }

    /// Makes every message visible, as time would.
    pub(super) fn show_all(&mut self) {
        for message in self.messages.values_mut() {
            message.visible_at = Instant::now();
        }
    }

    fn has_visible(&self) -> bool {
        self.messages.values().any(|message| message.visible_at <= Instant::now())
    }

    fn refuse(&mut self) -> Option<Response> {
        if let Some(code) = self.refusing {
            return Some(error(403, code));
        }
        if !self.chance.happens(self.faults.queue) {
            return None;
        }
        Some(match self.chance.below(4) {
            0 => error(400, "ThrottlingException"),
            1 => error(403, "ExpiredToken"),
            2 => error(500, "InternalError"),
            _ => reset(),
        })
    }

    fn act(&mut self, action: &str, asked: &Value) -> Response {
        match action {
            _ if action.ends_with(".ListPublicKeys") => {
                let key = base64::engine::general_purpose::STANDARD.encode(&self.public_key);
                let listed = json!({"Value": key, "Fingerprint": FINGERPRINT, "ValidityStartTime": 0, "ValidityEndTime": 4e9});
                answer(&json!({"PublicKeyList": [listed]}))
            }
            "ReceiveMessage" => self.receive(asked),
            "DeleteMessageBatch" => self.each(asked, |state, entry| {
                let number = state.by_handle(&entry["ReceiptHandle"]);
                if let Some(number) = number {
                    state.messages.remove(&number);
                    state.deleted += 1;
                }
            }),
            "ChangeMessageVisibilityBatch" => self.each(asked, |state, entry| {
                let secs = entry["VisibilityTimeout"].as_u64().unwrap();
                if let Some(message) = state
                    .by_handle(&entry["ReceiptHandle"])
                    .and_then(|number| state.messages.get_mut(&number))
                {
                    message.visible_at = Instant::now() + Duration::from_secs(secs);
                }
            }),
            "GetQueueAttributes" => {
                let waiting = self.messages.len().to_string();
                let mut attributes = json!({"ApproximateNumberOfMessages": waiting});
                if let Some(tries) = self.tries_max {
                    let policy = json!({"deadLetterTargetArn": "arn:aws:sqs:eu-central-1:1:dead", "maxReceiveCount": tries});
                    attributes["RedrivePolicy"] = json!(policy.to_string());
                }
                answer(&json!({"Attributes": attributes}))
            }
            _ => error(400, "UnsupportedOperation"),
        }
    }

    fn by_handle(&self, handle: &Value) -> Option<u64> {
        let handle = handle.as_str()?;
        let number: u64 = handle.split('-').next()?.parse().ok()?;
        self.messages.get(&number).is_some_and(|message| message.handle == handle).then_some(number)
    }

    fn each(&mut self, asked: &Value, act: impl Fn(&mut Self, &Value)) -> Response {
        let entries = asked["Entries"].as_array().unwrap();
        assert!(entries.len() <= 10, "a batch of {}", entries.len());
        for entry in entries {
            act(self, entry);
        }
        let done: Vec<Value> = entries.iter().map(|entry| json!({"Id": entry["Id"]})).collect();
        answer(&json!({"Successful": done, "Failed": []}))
    }

    fn receive(&mut self, asked: &Value) -> Response {
        let (now, most) = (Instant::now(), asked["MaxNumberOfMessages"].as_u64().unwrap());
        let visibility = Duration::from_secs(asked["VisibilityTimeout"].as_u64().unwrap());
        let mut visible: Vec<u64> = self
            .messages
            .iter()
            .filter(|(_, message)| message.visible_at <= now)
            .map(|(number, _)| *number)
            .collect();
        visible.sort_unstable();
        self.chance.shuffle(&mut visible);
        let mut given = Vec::new();
        for number in visible {
            let Some(message) = self.messages.get_mut(&number) else { continue };
            if self.tries_max.is_some_and(|tries| message.received >= tries) {
                let dead = self.messages.remove(&number).unwrap();
                self.dead.push(dead.body);
                continue;
            }
            if given.len() as u64 >= most {
                break;
            }
            message.received += 1;
            message.visible_at = now + visibility;
            message.handle = format!("{number}-{}", message.received);
            given.push(
                json!({"MessageId": number.to_string(), "ReceiptHandle": message.handle, "Body": message.body,
                "Attributes": {"ApproximateReceiveCount": message.received.to_string()}}),
            );
        }
        answer(&if given.is_empty() { json!({}) } else { json!({"Messages": given}) })
    }

    fn bucket(&mut self, uri: &Uri) -> Response {
        if let Some(code) = self.refusing {
            return s3_error(403, code);
        }
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().unwrap().into_owned();
        let Some(key) = path.trim_start_matches('/').strip_prefix(BUCKET) else {
            return s3_error(404, "NoSuchBucket");
        };
        match uri.query() {
            Some(query) if query.contains("list-type=2") => self.list(query),
            _ => self.get(key.trim_start_matches('/')),
        }
    }

    fn get(&mut self, key: &str) -> Response {
        self.gets += 1;
        let faults = self.faults;
        let met = self.met.entry(key.to_owned()).or_default();
        let may_fail = *met < 3;
        *met += 1;
        if may_fail && self.chance.happens(faults.missing) {
            return s3_error(404, "NoSuchKey");
        }
        if may_fail && self.chance.happens(faults.object) {
            return match self.chance.below(4) {
                0 => s3_error(503, "SlowDown"),
                1 => s3_error(400, "ExpiredToken"),
                2 => s3_error(500, "InternalError"),
                _ => reset(),
            };
        }
        let Some(bytes) = self.objects.get(key).cloned() else { return s3_error(404, "NoSuchKey") };
        let cut = may_fail && self.chance.happens(faults.truncated);
        let bytes = if cut { bytes[..bytes.len() * 2 / 3].to_vec() } else { bytes };
        let mut response = Response::builder();
        if let Some(signature) = self.signatures.get(key) {
            response = response.header("x-amz-meta-signature", signature);
        }
        response
            .header("content-length", bytes.len())
            .header("etag", "\"x\"")
            .header("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT")
            .body(Body::from(bytes))
            .unwrap()
    }

    fn list(&mut self, query: &str) -> Response {
        self.lists += 1;
        if self.chance.happens(self.faults.object) {
            return s3_error(500, "InternalError");
        }
        let value = |name: &str| {
            let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='));
            found.map(|text| percent_encoding::percent_decode_str(text).decode_utf8().unwrap().into_owned())
        };
        let (prefix, delimiter) = (value("prefix").unwrap_or_default(), value("delimiter"));
        let mut folders = std::collections::BTreeSet::new();
        let mut contents = Vec::new();
        for (key, bytes) in self.objects.iter().filter(|(key, _)| key.starts_with(&prefix)) {
            let rest = key.strip_prefix(&prefix).unwrap();
            match delimiter.as_ref().and_then(|delimiter| rest.split_once(delimiter.as_str())) {
                Some((folder, _)) => {
                    folders.insert(format!("<CommonPrefixes><Prefix>{prefix}{folder}/</Prefix></CommonPrefixes>"));
                }
                None => contents.push(format!(
                    "<Contents><Key>{key}</Key><Size>{}</Size><LastModified>2026-06-01T00:00:00.000Z</LastModified><ETag>\"x\"</ETag></Contents>",
                    bytes.len()
                )),
            }
        }
        let (contents, folders) = (contents.concat(), folders.into_iter().collect::<Vec<String>>().concat());
        let body = format!(
            "<?xml version=\"1.0\"?><ListBucketResult><Name>{BUCKET}</Name><IsTruncated>false</IsTruncated>{contents}{folders}</ListBucketResult>"
        );
        Response::builder().header("content-type", "application/xml").body(Body::from(body)).unwrap()
    }
}

/// An answer that breaks off in its body.
fn reset() -> Response {
    let parts: Vec<Result<Bytes, std::io::Error>> =
        vec![Ok(Bytes::from_static(b"{")), Err(std::io::Error::other("reset"))];
    let body = Body::from_stream(futures_util::stream::iter(parts));
    Response::builder()
        .header("content-length", "5000")
        .header("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT")
        .body(body)
        .unwrap()
}
