//! One reject: why it could not be read, and its bytes as text and as numbers.

use crate::app::Shared;
use crate::failure::Failure;
use crate::page::{self, Chrome};
use crate::session::SignedIn;
use crate::text::{When, grouped, head, hex_dump, lossless};
use askama::Template;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;

/// Bytes shown as text. A reject can be as large as a record may be.
const TEXT_BYTES_MAX: usize = 64 * 1024;
/// Bytes shown as numbers: 256 lines.
const HEX_BYTES_MAX: usize = 4096;

#[derive(Template)]
#[template(path = "reject.html")]
struct RejectPage {
    chrome: Chrome,
    kind: String,
    reason: String,
    place: String,
    received: When,
    size: String,
    text: String,
    text_cut: bool,
    hex: String,
    hex_cut: bool,
}

/// `/rejects/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let not_found = || Failure::NotFound("such reject".to_owned());
    let id = super::id_of(path)?.parse::<i64>().ok().ok_or_else(not_found)?;
    let detail = app.store.reject(id).await?.ok_or_else(not_found)?;
    let now = app.now();
    let (text, text_cut) = head(&detail.bytes, TEXT_BYTES_MAX);
    let hex = detail.bytes.get(..HEX_BYTES_MAX).unwrap_or(&detail.bytes);
    page::html(&RejectPage {
        chrome: Chrome::new(&app, who, "/rejects", format!("Reject {id}")),
        place: detail.reject.place.to_string(),
        received: When::clock(detail.reject.received_at, now),
        size: grouped(detail.reject.bytes_len),
        text: lossless(text),
        text_cut,
        hex: hex_dump(hex),
        hex_cut: hex.len() < detail.bytes.len(),
        kind: detail.reject.kind,
        reason: detail.reject.reason,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[tokio::test]
    async fn bytes_are_shown_as_text_and_as_numbers() {
        let bench = Bench::seeded().await;
        let pages = [bench.get("/rejects/1").await.body, bench.get("/rejects/2").await.body];
        let body = pages.iter().find(|body| body.contains("not UTF-8 at byte 1")).unwrap();
        assert!(body.contains("a\\xff\\xfe&#60;script&#62;"), "{body}");
        assert!(body.contains("00000000  61 ff fe 3c 73"), "{body}");
    }
}
