//! What could not be read, newest first.

use crate::app::Shared;
use crate::failure::Failure;
use crate::page::{self, Chrome};
use crate::params::Params;
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

struct RejectLine {
    url: String,
    kind: String,
    reason: String,
    place: String,
    size: String,
    received: When,
}

#[derive(Template)]
#[template(path = "rejects.html")]
struct RejectsPage {
    chrome: Chrome,
    total: u64,
    rows: Vec<RejectLine>,
    next: Option<String>,
    first: Option<String>,
}

/// `/rejects`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["after"])?;
    let listed = app.store.rejects(params.page()?).await?;
    let total = app.store.totals().await?.rejects;
    let now = app.now();
    let rows = listed.rows.into_iter().map(|row| RejectLine {
        url: format!("/rejects/{}", row.id),
        kind: row.kind,
        reason: row.reason,
        place: row.place.to_string(),
        size: grouped(row.bytes_len),
        received: When::clock(row.received_at, now),
    });
    page::html(&RejectsPage {
        chrome: Chrome::new(&app, who, "/rejects", "Rejects"),
        total,
        rows: rows.collect(),
        next: params.next(listed.next),
        first: params.first(),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn every_line_opens_its_reject() {
        let bench = Bench::seeded().await;
        let body = bench.get("/rejects").await.body;
        let links = body.split("class=\"row-link\" href=\"").skip(1);
        let links = links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect::<Vec<_>>();
        assert_eq!(links.len(), 2, "{body}");
        for link in links {
            assert_eq!(bench.get(&link).await.status, StatusCode::OK, "{link}");
        }
        assert!(body.contains("2 in all"), "{body}");
    }
}
