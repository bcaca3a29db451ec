//! What a request is answered.

use crate::intake::Packed;
use crate::spool::Refusal;
use axum::body::Body;
use axum::http::{HeaderValue, StatusCode, header};
use axum::response::{IntoResponse, Response};

/// What was done.
#[derive(Debug)]
pub(super) enum Answer {
    /// The records are on disk.
    Taken(Packed),
    /// There was no room, and the sender must not be told so.
    Dropped,
    /// Something to say, as JSON.
    Said(String),
    /// Consent to be sent to, for the origin that asked.
    Consent(HeaderValue),
}

/// Why a request was not taken.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum Refused {
    NoSuchPath,
    NoSuchMethod,
    /// No credential, or a wrong one.
    Unknown(&'static str),
    /// Known, and not allowed to send this.
    Forbidden(&'static str),
    /// The credential to compare with cannot be had.
    NoKeys,
    TooLarge(u64),
    TooSlow,
    Type,
    Encoding,
    Damaged(String),
    Bad(&'static str),
    /// Too many requests at once.
    Busy,
    /// The spool takes nothing.
    NoRoom(Refusal),
}

impl Refused {
    const fn status(&self) -> StatusCode {
        match self {
            Self::NoSuchPath => StatusCode::NOT_FOUND,
            Self::NoSuchMethod => StatusCode::METHOD_NOT_ALLOWED,
            Self::Unknown(_) => StatusCode::UNAUTHORIZED,
            Self::Forbidden(_) => StatusCode::FORBIDDEN,
            Self::TooLarge(_) => StatusCode::PAYLOAD_TOO_LARGE,
            Self::TooSlow => StatusCode::REQUEST_TIMEOUT,
            Self::Type | Self::Encoding => StatusCode::UNSUPPORTED_MEDIA_TYPE,
            Self::Damaged(_) | Self::Bad(_) => StatusCode::BAD_REQUEST,
            Self::NoKeys | Self::Busy | Self::NoRoom(_) => StatusCode::SERVICE_UNAVAILABLE,
        }
    }

    /// For counting: few, and nothing of the request in them.
    pub(super) const fn reason(&self) -> &'static str {
        match self {
            Self::NoSuchPath | Self::NoSuchMethod => {
                "requests to no path or method of ours were refused (404, 405)"
            }
            Self::Unknown(_) => "requests without a valid credential were refused (401)",
            Self::Forbidden(_) => "requests that were not allowed were refused (403)",
            Self::TooLarge(_) => "bodies that were too large were refused (413)",
            Self::TooSlow => "bodies that came too slowly were refused (408)",
            Self::Type | Self::Encoding => "bodies of another type or encoding were refused (415)",
            Self::Damaged(_) | Self::Bad(_) => "damaged requests were refused (400)",
            Self::NoKeys => "requests were put off because a credential could not be fetched (503)",
            Self::Busy => "requests were put off because too many came at once (503)",
            Self::NoRoom(_) => "requests were put off because the spool takes nothing (503)",
        }
    }

    fn text(&self) -> String {
        match self {
            Self::NoSuchPath => {
                "no such path; POST to /v1/events, /v1/vault, /v1/pubsub, /v1/sns or /v1/event-grid"
                    .to_owned()
            }
            Self::NoSuchMethod => "only POST is taken here".to_owned(),
            Self::Unknown(text) | Self::Forbidden(text) | Self::Bad(text) => (*text).to_owned(),
            Self::NoKeys => "the credential to compare with cannot be fetched now; come again".to_owned(),
            Self::TooLarge(bytes) => format!(
                "the body is larger than {} KiB, as it comes or expanded; send less at once, or raise `body_size`",
                bytes >> 10
            ),
            Self::TooSlow => "the body did not come within 30 seconds".to_owned(),
            Self::Type => {
                "this type is not read; say Content-Type: application/json or application/x-ndjson".to_owned()
            }
            Self::Encoding => "this encoding is not read; send the body plain or as gzip".to_owned(),
            Self::Damaged(detail) => format!("the body cannot be read: {detail}"),
            Self::Busy => "too many requests at once; come again".to_owned(),
            Self::NoRoom(why) => format!("{why}; come again"),
        }
    }
}

impl IntoResponse for Refused {
    fn into_response(self) -> Response {
        let mut text = self.text();
        text.push('\n');
        let mut response = (self.status(), text).into_response();
        let headers = response.headers_mut();
        match self.status() {
            StatusCode::UNAUTHORIZED => {
                headers.insert(header::WWW_AUTHENTICATE, HeaderValue::from_static("Bearer"));
            }
            StatusCode::SERVICE_UNAVAILABLE => {
                headers.insert(header::RETRY_AFTER, HeaderValue::from_static("2"));
            }
            // The rest of the body is not read.
            StatusCode::PAYLOAD_TOO_LARGE | StatusCode::REQUEST_TIMEOUT => {
                headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
            }
            _ => {}
        }
        response
    }
}

impl IntoResponse for Answer {
    fn into_response(self) -> Response {
        let json = |text: String| ([(header::CONTENT_TYPE, "application/json")], text).into_response();
        match self {
            Self::Taken(Packed { records, rejects }) => {
                json(format!("{{\"records\":{records},\"rejects\":{rejects}}}\n"))
            }
            Self::Dropped => StatusCode::NO_CONTENT.into_response(),
            Self::Said(text) => json(text),
            Self::Consent(origin) => {
                let headers = [
                    ("webhook-allowed-origin", origin),
                    ("webhook-allowed-rate", HeaderValue::from_static("*")),
                ];
                (StatusCode::OK, headers, Body::empty()).into_response()
            }
        }
    }
}
