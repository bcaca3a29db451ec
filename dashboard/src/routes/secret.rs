//! Who accessed one secret, and when: first per principal, then event by event.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::{EventLine, PairLine, history, principal_url};
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
#[template(path = "secret.html")]
struct SecretPage {
    chrome: Chrome,
    id: String,
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

/// `/secrets/{id}`
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
    let secret = app.store.secret(&id).await?.ok_or_else(|| Failure::NotFound("such secret".to_owned()))?;
    let pairs = app.store.secret_principals(&id, range.span).await?;
    let echoes = params.echoes()?;
    let listed = app.store.secret_access(&id, range.span, echoes, params.page()?).await?;
    let pair = |row: AccessSummary| {
        let both = history().and("secret", &id).with("principal", &row.id);
        let page = principal_url(&row.id);
        PairLine::new(row, page, both, now)
    };
    let title = if secret.name.is_empty() { id.clone() } else { secret.name.clone() };
    page::html(&SecretPage {
        chrome: Chrome::new(&app, who, "/secrets", format!("Who accessed {title}")),
        all_url: params.with("last", "all"),
        events: grouped(secret.events),
        failed: secret.failed,
        first_seen: When::event(secret.first_at, now),
        last_seen: When::event(secret.last_at, now),
        alerts_url: Params::of_path("/").and("last", "all").and("status", "all").with("secret", &id),
        history_url: history().with("secret", &id),
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
    use crate::testing::{Bench, INTRUDER, OTHER_SECRET, SECRET};
    use crate::text::encoded;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn the_page_sums_up_who_accessed_it_before_the_events() {
        let bench = Bench::seeded().await;
        let body = bench.get(&format!("/secrets/{}", encoded(OTHER_SECRET))).await.body;
        let (summary, events) = body.split_once("Event by event").unwrap();
        let intruder = summary.split_once(">j.doe<").unwrap().1.split_once("</tr>").unwrap().0;
        assert!(intruder.contains("<td data-label=\"Ok\" class=\"num\">0</td>"), "{intruder}");
        assert!(intruder.contains("<td data-label=\"Failed\" class=\"num failed\">2</td>"), "{intruder}");
        assert!(intruder.contains("18:54:05") || intruder.contains("17:44:05"), "{intruder}");
        let pair = format!("secret={}&#38;principal={}", encoded(OTHER_SECRET), encoded(INTRUDER));
        assert!(intruder.contains(&pair), "{intruder}");
        assert!(summary.contains(">billing-api<"));
        assert_eq!(events.matches("class=\"row-link\"").count(), 52);
    }

    #[tokio::test]
    async fn an_echo_shows_only_when_asked_for_and_is_never_counted() {
        let bench = Bench::seeded().await;
        let page = format!("/secrets/{}", encoded(SECRET));
        let without = bench.get(&page).await.body;
        let with = bench.get(&format!("{page}?echoes=show")).await.body;
        let badge = ">echo</span>";
        assert_eq!((without.matches(badge).count(), with.matches(badge).count()), (0, 1));
        assert!(without.contains("value=\"show\">") && with.contains("value=\"show\" checked>"), "{with}");
        let rows = |body: &str| body.matches("class=\"row-link\"").count();
        assert_eq!((rows(&without), rows(&with)), (100, 100), "a page each, of 101 and 102");
        let summary = |body: &str| {
            body.split_once("summed up").unwrap().1.split("Event by event").next().map(str::to_owned)
        };
        assert_eq!(summary(&without), summary(&with));
        let next = with.rsplit_once("\" rel=\"next\"").unwrap().0.rsplit_once('"').unwrap().1;
        let rest = bench.get(&next.replace("&#38;", "&")).await.body;
        assert_eq!((rows(&rest), next.contains("echoes=show")), (2, true), "{next}");
    }

    #[tokio::test]
    async fn the_time_narrows_summary_and_events() {
        let bench = Bench::seeded().await;
        let body = bench.get(&format!("/secrets/{}?last=1h", encoded(SECRET))).await.body;
        assert_eq!(body.matches("class=\"row-link\"").count(), 5, "{body}");
        assert!(body.contains(">last hour"));
    }

    #[tokio::test]
    async fn an_id_with_bare_slashes_finds_its_page_too() {
        let bench = Bench::seeded().await;
        let answer = bench.get(&format!("/secrets/{SECRET}")).await;
        assert_eq!(answer.status, StatusCode::OK);
    }
}
