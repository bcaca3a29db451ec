//! What one principal accessed, and when: first per secret, then event by event.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::{EventLine, PairLine, history, secret_url};
use crate::page::{self, Chrome};
use crate::params::{Params, Range};
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::http::Uri;
use axum::response::Response;
use keywatch_store::{AccessSummary, SUMMARY_MAX};

#[derive(Template)]
#[template(path = "principal.html")]
struct PrincipalPage {
    chrome: Chrome,
    id: String,
    kind: &'static str,
    range: Range,
    echoes: bool,
    all_url: String,
    events: String,
    failed: u64,
    first_seen: When,
    last_seen: When,
    alerts_url: String,
    history_url: String,
    pairs: Vec<PairLine>,
    pairs_max: bool,
    rows: Vec<EventLine>,
    next: Option<String>,
    first: Option<String>,
}

/// `/principals/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    path: Result<Path<String>, PathRejection>,
    uri: Uri,
) -> Result<Response, Failure> {
    let id = super::id_of(path)?;
    let params = Params::read(&uri, &["last", "since", "until", "after", "echoes"])?;
    let now = app.now();
    let range = params.range(now, "all")?;
    let found = app.store.principal(&id).await?;
    let principal = found.ok_or_else(|| Failure::NotFound("such principal".to_owned()))?;
    let pairs = app.store.principal_secrets(&id, range.span).await?;
    let echoes = params.echoes()?;
    let listed = app.store.principal_access(&id, range.span, echoes, params.page()?).await?;
    let pair = |row: AccessSummary| {
        let both = history().and("principal", &id).with("secret", &row.id);
        let page = secret_url(&row.id);
        PairLine::new(row, page, both, now)
    };
    let title = principal.name.filter(|name| !name.is_empty()).unwrap_or_else(|| id.clone());
    page::html(&PrincipalPage {
        chrome: Chrome::new(&app, who, "/principals", format!("What {title} accessed")),
        kind: principal.kind.as_str(),
        all_url: params.with("last", "all"),
        events: grouped(principal.events),
        failed: principal.failed,
        first_seen: When::event(principal.first_at, now),
        last_seen: When::event(principal.last_at, now),
        alerts_url: Params::of_path("/").and("last", "all").and("status", "all").with("principal", &id),
        history_url: history().with("principal", &id),
        pairs_max: pairs.len() >= SUMMARY_MAX as usize,
        pairs: pairs.into_iter().map(pair).collect(),
        rows: EventLine::all(&listed.rows, &history(), now),
        next: params.next(listed.next),
        first: params.first(),
        echoes,
        range,
        id,
    })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, INTRUDER, READER};
    use crate::text::encoded;

    #[tokio::test]
    async fn the_page_sums_up_what_was_accessed_before_the_events() {
        let bench = Bench::seeded().await;
        let body = bench.get(&format!("/principals/{}", encoded(INTRUDER))).await.body;
        let (summary, events) = body.split_once("Event by event").unwrap();
        assert!(summary.contains(">prod/db/password<") && summary.contains(">prod/api/key<"), "{summary}");
        assert!(summary.contains("What j.doe accessed"));
        assert_eq!(events.matches("class=\"row-link\"").count(), 3);
    }

    #[tokio::test]
    async fn an_echo_shows_only_when_asked_for() {
        let bench = Bench::seeded().await;
        let page = format!("/principals/{}", encoded(READER));
        for (url, echoes) in [(format!("{page}?last=1h"), 0), (format!("{page}?last=1h&echoes=show"), 1)] {
            let body = bench.get(&url).await.body;
            assert_eq!(body.matches(">echo</span>").count(), echoes, "{url}");
            assert_eq!(body.matches("class=\"row-link\"").count(), 7 + echoes, "{url}");
        }
    }
}
