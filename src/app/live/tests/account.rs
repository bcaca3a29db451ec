//! A stand-in for a storage account's Blob service: listing with pages, and ranges of blobs that grow.
//!
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/list-blobs>. Requests meet faults that a
//! seed decides.

use super::chance::Chance;
use super::server::Server;
use super::stage::START;
use axum::Router;
use axum::body::{Body, Bytes};
use axum::http::{HeaderMap, Uri};
use axum::response::Response;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, Mutex};

/// The only container.
pub(super) const CONTAINER: &str = "insights-logs-auditevent";
/// Entries of a page: Azure has 5000.
const PAGE: usize = 5;

/// A blob: when it was last written, and its bytes.
#[derive(Clone, Debug, Default)]
pub(super) struct Blob {
    pub(super) written: i64,
    pub(super) bytes: Vec<u8>,
}

pub(super) struct State {
    /// Its clock: seconds since 1970.
    pub(super) now: i64,
    pub(super) blobs: BTreeMap<String, Blob>,
    /// Faults in a hundred requests.
    pub(super) faults: u64,
    pub(super) chance: Chance,
    /// What the signature must be.
    pub(super) signature: Option<&'static str>,
    /// Every request is answered with this.
    pub(super) refusing: Option<(u16, &'static str)>,
    /// Blobs with this in their name are listed and are not there when they are asked for.
    pub(super) unreadable: Option<&'static str>,
    /// Whether it speaks a version without `startFrom`.
    pub(super) is_old: bool,
    /// How often a folder was listed.
    pub(super) looks: usize,
    /// The first byte of every range that was asked for.
    pub(super) ranges: Vec<u64>,
}

/// The stand-in, and what it knows.
#[derive(Clone)]
pub(super) struct Account(Arc<Mutex<State>>);

impl Account {
    pub(super) fn new(seed: u64) -> Self {
        Self(Arc::new(Mutex::new(State {
            now: START,
            blobs: BTreeMap::new(),
            faults: 0,
            chance: Chance::new(seed),
            signature: None,
            refusing: None,
            unreadable: None,
            is_old: false,
            looks: 0,
            ranges: Vec::new(),
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
        self.with(|state| {
            let blob = state.blobs.entry(name.to_owned()).or_default();
            blob.bytes.extend_from_slice(text.as_bytes());
            blob.written = state.now;
        });
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
        if let Some(fault) = self.fault(query.contains("comp=list")) {
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

    fn fault(&mut self, is_list: bool) -> Option<Response> {
        if !self.chance.happens(self.faults) {
            return None;
        }
        Some(match self.chance.below(6) {
            // Listed, and not there when it is asked for.
            4 if !is_list => error(404, "BlobNotFound"),
            0 => error(503, "ServerBusy"),
            1 => error(403, "AuthenticationFailed"),
            2 => error(500, "InternalError"),
            3 => error(429, "TooManyRequests"),
            _ => reset(),
        })
    }

    fn list(&mut self, query: &str) -> Response {
        let prefix = value(query, "prefix").unwrap_or_default();
        let first = value(query, "startFrom").unwrap_or_default();
        if self.is_old && !first.is_empty() {
            return error(400, "InvalidQueryParameterValue");
        }
        self.looks += usize::from(value(query, "delimiter").is_none());
        let (delimiter, marker) = (value(query, "delimiter"), value(query, "marker").unwrap_or_default());
        let mut entries = BTreeSet::new();
        for name in self.blobs.keys().filter(|name| name.starts_with(&prefix) && **name >= first) {
            let rest = name.strip_prefix(&prefix).unwrap();
            let folder = delimiter.as_ref().and_then(|delimiter| rest.split_once(delimiter.as_str()));
            entries.insert(folder.map_or_else(|| name.clone(), |(folder, _)| format!("{prefix}{folder}/")));
        }
        let page: Vec<String> = entries.into_iter().filter(|entry| *entry > marker).take(PAGE + 1).collect();
        let next = if page.len() > PAGE { page[PAGE - 1].clone() } else { String::new() };
        let (mut blobs, mut folders) = (String::new(), String::new());
        for entry in page.iter().take(PAGE) {
            let (text, into) = match self.blobs.get(entry) {
                Some(blob) => (listed(entry, blob), &mut blobs),
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
        if self.unreadable.is_some_and(|part| name.contains(part)) {
            return error(404, "BlobNotFound");
        }
        let Some(Blob { bytes, written }) = self.blobs.get(name).cloned() else {
            return error(404, "BlobNotFound");
        };
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
            .header("last-modified", http_time(written))
            .body(Body::from(bytes[from..end].to_vec()))
            .unwrap()
    }
}

fn http_time(secs: i64) -> String {
    let time = chrono::DateTime::from_timestamp(secs, 0).unwrap();
    time.format("%a, %d %b %Y %H:%M:%S GMT").to_string()
}

fn listed(name: &str, Blob { written, bytes }: &Blob) -> String {
    format!(
        "<Blob><Name>{name}</Name><Properties><Last-Modified>{}</Last-Modified><Etag>0x{:x}</Etag>\
         <Content-Length>{}</Content-Length><Content-Type>application/octet-stream</Content-Type><BlobType>AppendBlob</BlobType></Properties></Blob>",
        http_time(*written),
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
