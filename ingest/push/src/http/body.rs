//! Bodies: read within a time, a size and a share of memory; expanded within caps.

use super::Desk;
use super::answer::Refused;
use axum::body::Body;
use axum::extract::Request;
use axum::http::{HeaderMap, header};
use http_body_util::{BodyExt, LengthLimitError, Limited};
use keywatch_ingest::source::{Caps, Inflate, damage_of};
use std::io::Read;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::time::Duration;
use tokio::sync::OwnedSemaphorePermit;

/// Longest a body may take.
const READ_MAX: Duration = Duration::from_secs(30);
/// Most bytes of gzip for a byte: audit records come to 8 to 30.
const RATIO_MAX: u64 = 50;
/// Most bytes a body may expand to. A few of them fit into the room for all requests.
const EXPANDED_BYTES_MAX: u64 = 64 << 20;
/// What expands to no more than this may do so at any ratio.
const EXPANDED_BYTES_SMALL: u64 = 1 << 20;

/// A body, with the memory it takes.
pub(super) struct Held {
    bytes: Vec<u8>,
    _room: OwnedSemaphorePermit,
}

impl std::ops::Deref for Held {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        &self.bytes
    }
}

/// Reads the body of a request whose sender is known, or will be known by it.
pub(super) async fn read(desk: &Desk, request: Request) -> Result<Held, Refused> {
    let (head, body) = request.into_parts();
    check_type(&head.headers)?;
    let is_gzip = is_gzip(&head.headers)?;
    let length_max = desk.body_bytes_max;
    let told = head.headers.get(header::CONTENT_LENGTH).and_then(|value| value.to_str().ok()?.parse().ok());
    let length: u64 = told.unwrap_or(length_max);
    if length > length_max {
        return Err(Refused::TooLarge(length_max));
    }
    let expanded_max = if is_gzip { expanded_max(length) } else { 0 };
    let kib = u32::try_from((length + expanded_max) >> 10).unwrap_or(u32::MAX).max(1);
    let room = Arc::clone(&desk.room).try_acquire_many_owned(kib).map_err(|_full| Refused::Busy)?;
    let bytes = tokio::time::timeout(READ_MAX, whole(body, length_max)).await;
    let bytes = bytes.map_err(|_late| Refused::TooSlow)??;
    let bytes = if is_gzip { expand(&bytes, expanded_max)? } else { bytes };
    Ok(Held { bytes, _room: room })
}

fn expanded_max(length: u64) -> u64 {
    length.saturating_mul(RATIO_MAX).clamp(EXPANDED_BYTES_SMALL, EXPANDED_BYTES_MAX)
}

async fn whole(body: Body, length_max: u64) -> Result<Vec<u8>, Refused> {
    let limit = usize::try_from(length_max).unwrap_or(usize::MAX);
    match Limited::new(body, limit).collect().await {
        Ok(whole) => Ok(whole.to_bytes().into()),
        Err(error) if error.is::<LengthLimitError>() => Err(Refused::TooLarge(length_max)),
        Err(_) => Err(Refused::Damaged("it was cut off".to_owned())),
    }
}

fn expand(bytes: &[u8], bytes_max: u64) -> Result<Vec<u8>, Refused> {
    let caps = Caps { bytes_max, ratio_max: u64::MAX, ratio_from: u64::MAX };
    let mut inflate = Inflate::new(bytes, caps, Arc::new(AtomicU64::new(0)));
    let mut expanded = Vec::new();
    match inflate.read_to_end(&mut expanded) {
        Ok(_) => Ok(expanded),
        Err(error) => match damage_of(error) {
            Ok(keywatch_event::RejectReason::Bomb(_)) => Err(Refused::TooLarge(bytes_max)),
            Ok(reason) => Err(Refused::Damaged(reason.to_string())),
            Err(error) => Err(Refused::Damaged(error.to_string())),
        },
    }
}

/// What browsers send from forms is nobody's record.
fn check_type(headers: &HeaderMap) -> Result<(), Refused> {
    let Some(value) = headers.get(header::CONTENT_TYPE) else { return Ok(()) };
    let text = value.to_str().unwrap_or_default().to_ascii_lowercase();
    let kind = text.split(';').next().unwrap_or_default().trim();
    let is_read = kind.starts_with("application/json")
        || kind.ends_with("+json")
        || kind == "application/x-ndjson"
        || kind == "application/jsonl"
        || kind == "application/octet-stream"
        || kind == "application/gzip"
        // What SNS says, whatever it sends.
        || kind == "text/plain";
    if is_read { Ok(()) } else { Err(Refused::Type) }
}

fn is_gzip(headers: &HeaderMap) -> Result<bool, Refused> {
    let encoding = headers.get(header::CONTENT_ENCODING).map(|value| value.to_str().unwrap_or("?").trim());
    match encoding {
        None | Some("" | "identity") => {
            let kind = headers.get(header::CONTENT_TYPE).and_then(|value| value.to_str().ok());
            Ok(kind.is_some_and(|kind| kind.starts_with("application/gzip")))
        }
        Some("gzip" | "x-gzip") => Ok(true),
        Some(_) => Err(Refused::Encoding),
    }
}
