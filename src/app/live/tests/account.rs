//! A stand-in for a storage account's Blob service: listing with pages, and ranges of blobs that grow.
//!
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/list-blobs>. Requests meet faults that a
//! seed decides.

use super::chance::Chance;
use super::server::Server;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use std::collections::{BTreeMap, BTreeSet, HashMap};
use std::sync::{Arc, Mutex};

/// The only container.
pub(super) const CONTAINER: &str = "insights-logs-auditevent";
/// Entries of a page: Azure has 5000.
const PAGE: usize = 5;

pub(super) struct State {
    pub(super) blobs: BTreeMap<String, Vec<u8>>,
    /// Faults in a hundred requests.
    pub(super) faults: u64,
    pub(super) chance: Chance,
    /// What the signature must be.
    pub(super) signature: Option<&'static str>,
    /// Every request is answered with this.
    pub(super) refusing: Option<(u16, &'static str)>,
    /// How often a day was listed.
    pub(super) looks: usize,
    /// The first byte of every range that was asked for.
    pub(super) ranges: Vec<u64>,
    /// Faults a request has met: they end.
    met: HashMap<String, u32>,
}

/// The stand-in, and what it knows.
#[derive(Clone)]
pub(super) struct Account(Arc<Mutex<State>>);

impl Account {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            blobs: BTreeMap::new(),
            faults: 0,
            chance: Chance::new(seed),
            signature: None,
            refusing: None,
            looks: 0,
            ranges: Vec::new(),
            met: HashMap::new(),
        })))
    }

    pub(super) fn serve(&self) -> Server {
        let account = self.clone();
        let answer = move |headers: HeaderMap, uri: Uri| async move {
            account.with(|state| state.answer(&headers, &uri))
        };
        Server::start(Router::new().fallback(answer))
    }

    pub(super) fn with<T>(&self, look: impl FnOnce(&mut State) -> T) -> T {
        look(&mut self.0.lock().unwrap())
    }

    /// Appends to a blob, as a diagnostic setting does.
    pub(super) fn append(&self, name: &str, text: &str) {
        self.with(|state| state.blobs.entry(name.to_owned()).or_default().extend_from_slice(text.as_bytes()));
    }
}

/// The blob of an hour of a vault: `2026-06-01T14`.
pub(super) fn blob(vault: &str, hour: &str) -> String {
    let (day, hour) = hour.split_once('T').unwrap();
    let day: Vec<&str> = day.split('-').collect();
    format!("{}/y={}/m={}/d={}/h={hour}/m=00/PT1H.json", folder(vault), day[0], day[1], day[2])
}

pub(super) fn folder(vault: &str) -> String {
    format!("resourceId=/SUBSCRIPTIONS/0B0C/RESOURCEGROUPS/PROD/PROVIDERS/MICROSOFT.KEYVAULT/VAULTS/{vault}")
}

impl State {
    fn answer(&mut self, headers: &HeaderMap, uri: &Uri) -> Response {
        let query = uri.query().unwrap_or_default();
        if let Some((status, code)) = self.refusing {
            return error(status, code);
        }
        if let Some(signature) = self.signature
            && value(query, "sig").as_deref() != Some(signature)
        {
            return error(403, "AuthenticationFailed");
        }
        if let Some(fault) = self.fault(uri) {
            return fault;
        }
        let path = percent_encoding::percent_decode_str(uri.path()).decode_utf8().unwrap().into_owned();
        let Some(name) = path.trim_start_matches('/').strip_prefix(CONTAINER) else {
            return error(404, "ContainerNotFound");
        };
        if query.contains("comp=list") {
            return self.list(query);
        }
        self.get(name.trim_start_matches('/'), headers)
    }

    fn fault(&mut self, uri: &Uri) -> Option<Response> {
        let met = self.met.entry(uri.to_string()).or_default();
        if *met >= 3 || !self.chance.happens(self.faults) {
            return None;
        }
        *met += 1;
        Some(match self.chance.below(5) {
            0 => error(503, "ServerBusy"),
            1 => error(403, "AuthenticationFailed"),
            2 => error(500, "InternalError"),
            3 => error(429, "TooManyRequests"),
            _ => reset(),
        })
    }

    fn list(&mut self, query: &str) -> Response {
        let prefix = value(query, "prefix").unwrap_or_default();
        self.looks += usize::from(prefix.contains("/d="));
        let (delimiter, marker) = (value(query, "delimiter"), value(query, "marker").unwrap_or_default());
        let mut entries = BTreeSet::new();
        for name in self.blobs.keys().filter(|name| name.starts_with(&prefix)) {
            let rest = name.strip_prefix(&prefix).unwrap();
            let folder = delimiter.as_ref().and_then(|delimiter| rest.split_once(delimiter.as_str()));
            entries.insert(folder.map_or_else(|| name.clone(), |(folder, _)| format!("{prefix}{folder}/")));
        }
        let page: Vec<String> = entries.into_iter().filter(|entry| *entry > marker).take(PAGE + 1).collect();
        let next = if page.len() > PAGE { page[PAGE - 1].clone() } else { String::new() };
        let (mut blobs, mut folders) = (String::new(), String::new());
        for entry in page.iter().take(PAGE) {
            let (text, into) = match self.blobs.get(entry) {
                Some(bytes) => (listed(entry, bytes), &mut blobs),
                None => (format!("<BlobPrefix><Name>{entry}</Name></BlobPrefix>"), &mut folders),
            };
            into.push_str(&text);
        }
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"utf-8\"?><EnumerationResults><Blobs>{blobs}{folders}</Blobs><NextMarker>{next}</NextMarker></EnumerationResults>"
        );
        Response::builder().header("content-type", "application/xml").body(Body::from(body)).unwrap()
    }

    fn get(&mut self, name: &str, headers: &HeaderMap) -> Response {
        let Some(bytes) = self.blobs.get(name).cloned() else { return error(404, "BlobNotFound") };
        let range = headers["range"].to_str().unwrap().trim_start_matches("bytes=").to_owned();
        let (from, to) = range.split_once('-').unwrap();
        let (from, to): (usize, usize) = (from.parse().unwrap(), to.parse().unwrap());
        self.ranges.push(from as u64);
        let end = (to + 1).min(bytes.len());
        if from >= end {
            return error(416, "InvalidRange");
        }
        // Sometimes fewer bytes than were asked for, as if nothing were wrong.
        let end = if self.faults > 0 && self.chance.happens(self.faults / 3) {
            from + (end - from).div_ceil(2)
        } else {
            end
        };
        Response::builder()
            .status(206)
            .header("content-range", format!("bytes {from}-{}/{}", end - 1, bytes.len()))
            .header("content-length", end - from)
            .header("etag", format!("0x{:x}", tag(&bytes)))
            .header("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT")
            .body(Body::from(bytes[from..end].to_vec()))
            .unwrap()
    }
}

fn listed(name: &str, bytes: &[u8]) -> String {
    format!(
        "<Blob><Name>{name}</Name><Properties><Last-Modified>Mon, 01 Jun 2026 00:00:00 GMT</Last-Modified><Etag>0x{:x}</Etag>\
         <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>AppendBlob</BlobType></Properties></Blob>",
        tag(bytes),
        bytes.len()
    )
}

fn tag(bytes: &[u8]) -> u64 {
    bytes.iter().fold(bytes.len() as u64, |hash, byte| hash.wrapping_mul(31).wrapping_add(u64::from(*byte)))
}

fn value(query: &str, name: &str) -> Option<String> {
    let found = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
    let text = found.replace('+', " ");
    Some(percent_encoding::percent_decode_str(&text).decode_utf8().unwrap().into_owned())
}

fn error(status: u16, code: &str) -> Response {
    let body = format!(
        "<?xml version=\"1.0\"?><Error><Code>{code}</Code><Message>by the stand-in</Message></Error>"
    );
    Response::builder()
        .status(status)
        .header("content-type", "application/xml")
        .body(Body::from(body))
        .unwrap()
}

/// An answer that breaks off in its body.
fn reset() -> Response {
    let parts: Vec<Result<Bytes, std::io::Error>> =
        vec![Ok(Bytes::from_static(b"{\"time")), Err(std::io::Error::other("reset"))];
    Response::builder()
        .status(206)
        .header("content-range", "bytes 0-99/100")
        .header("content-length", 100)
        .header("etag", "0x0")
        .header("last-modified", "Mon, 01 Jun 2026 00:00:00 GMT")
        .body(Body::from_stream(futures_util::stream::iter(parts)))
        .unwrap()
}
