//! Every principal some event named, latest active first.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::principal_url;
use crate::page::{self, Chrome};
use crate::params::Params;
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

struct PrincipalLine {
    url: String,
    name: String,
    id: Option<String>,
    kind: &'static str,
    events: String,
    failed: u64,
    first: When,
    last: When,
}

#[derive(Template)]
#[template(path = "principals.html")]
struct PrincipalsPage {
    chrome: Chrome,
    search: String,
    /// Over all pages.
    total: String,
    rows: Vec<PrincipalLine>,
    next: Option<String>,
    first: Option<String>,
}

/// `/principals`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["search", "after"])?;
    let listed = app.store.principals(params.text("search"), params.page()?).await?;
    let total = app.store.principals_count(params.text("search")).await?;
    let now = app.now();
    let rows = listed.rows.into_iter().map(|row| {
        let name = row.name.filter(|name| !name.is_empty() && *name != row.id);
        PrincipalLine {
            url: principal_url(&row.id),
            id: name.is_some().then(|| row.id.clone()),
            name: name.unwrap_or(row.id),
            kind: row.kind.as_str(),
            events: grouped(row.events),
            failed: row.failed,
            first: When::event(row.first_at, now),
            last: When::event(row.last_at, now),
        }
    });
    page::html(&PrincipalsPage {
        chrome: Chrome::new(&app, who, "/principals", "Principals"),
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
        let total = bench.store.principals_count(None).await.unwrap();
        assert!(total > 1);
        let body = bench.get("/principals").await.body;
        assert!(body.contains(&format!("{total} in all, the latest first")), "{body}");
        let body = bench.get("/principals?search=nobody").await.body;
        assert!(!body.contains(" in all"), "{body}");
    }

    #[tokio::test]
    async fn the_search_narrows_the_list() {
        let bench = Bench::seeded().await;
        let body = bench.get("/principals?search=doe").await.body;
        assert!(body.contains("j.doe") && !body.contains("billing-api"), "{body}");
    }
}
