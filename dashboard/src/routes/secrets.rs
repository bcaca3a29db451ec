//! Every secret some event named, latest touched first.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::secret_url;
use crate::page::{self, Chrome};
use crate::params::Params;
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

struct SecretLine {
    url: String,
    name: String,
    id: Option<String>,
    events: String,
    failed: u64,
    first: When,
    last: When,
}

#[derive(Template)]
#[template(path = "secrets.html")]
struct SecretsPage {
    chrome: Chrome,
    search: String,
    /// Over all pages.
    total: String,
    rows: Vec<SecretLine>,
    next: Option<String>,
    first: Option<String>,
}

/// `/secrets`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["search", "after"])?;
    let listed = app.store.secrets(params.text("search"), params.page()?).await?;
    let total = app.store.secrets_count(params.text("search")).await?;
    let now = app.now();
    let rows = listed.rows.into_iter().map(|row| SecretLine {
        url: secret_url(&row.id),
        id: (row.name != row.id).then(|| row.id.clone()),
        name: if row.name.is_empty() { row.id } else { row.name },
        events: grouped(row.events),
        failed: row.failed,
        first: When::event(row.first_at, now),
        last: When::event(row.last_at, now),
    });
    page::html(&SecretsPage {
        chrome: Chrome::new(&app, who, "/secrets", "Secrets"),
        search: params.owned("search").unwrap_or_default(),
        total: grouped(total),
        rows: rows.collect(),
        next: params.next(listed.next),
        first: params.first(),
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[tokio::test]
    async fn the_list_says_how_many_there_are() {
        let bench = Bench::seeded().await;
        let total = bench.store.secrets_count(None).await.unwrap();
        assert!(total > 1);
        let body = bench.get("/secrets").await.body;
        assert!(body.contains(&format!("{total} in all, the latest first")), "{body}");
        let body = bench.get("/secrets?search=nobody").await.body;
        assert!(!body.contains(" in all"), "{body}");
    }

    #[tokio::test]
    async fn the_search_narrows_the_list() {
        let bench = Bench::seeded().await;
        let body = bench.get("/secrets?search=prod%2fapi").await.body;
        assert!(body.contains("prod/api/key") && !body.contains("prod/db/password"), "{body}");
    }
}
