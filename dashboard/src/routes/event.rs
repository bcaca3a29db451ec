//! One event: its fields, and the raw record it was read from, byte for byte.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::{Value, alert_url, history};
use crate::page::{self, Chrome};
use crate::params::Params;
use crate::session::SignedIn;
use crate::text::{When, grouped, head, lossless, pretty};
use askama::Template;
use axum::Extension;
use axum::extract::rejection::PathRejection;
use axum::extract::{Path, State};
use axum::response::Response;
use keywatch_event::{EventTime, Outcome};
use keywatch_store::EventRow;

/// Bytes of a raw record on its page. Records of providers stay below 300 KiB.
const RAW_BYTES_MAX: usize = 1024 * 1024;

/// One field of the event, with a link where the history can be narrowed to it.
struct Row {
    label: &'static str,
    value: Value,
    note: String,
}

struct AlertLink {
    id: String,
    url: String,
}

#[derive(Template)]
#[template(path = "event.html")]
struct EventPage {
    chrome: Chrome,
    id: String,
    level: &'static str,
    failed: bool,
    outcome: &'static str,
    when: When,
    received: When,
    rows: Vec<Row>,
    secrets: Vec<Value>,
    rules: Vec<Value>,
    alerts: Vec<AlertLink>,
    echo: bool,
    place: String,
    normalized: Option<String>,
    pretty: Option<String>,
    exact: String,
    size: String,
    cut: bool,
}

/// `/events/{id}`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    path: Result<Path<String>, PathRejection>,
) -> Result<Response, Failure> {
    let id = super::id_of(path)?;
    let detail = app.store.event(&id).await?.ok_or_else(|| Failure::NotFound("such event".to_owned()))?;
    let (event, list, now) = (detail.event, history(), app.now());
    let normalized = (app.options.normalize)(&detail.raw, EventTime::from(event.received_at));
    let (shown, cut) = head(&detail.raw, RAW_BYTES_MAX);
    page::html(&EventPage {
        chrome: Chrome::new(&app, who, "/events", event.operation.clone()),
        level: event.level.as_str(),
        failed: event.outcome != Outcome::Ok,
        outcome: event.outcome.as_str(),
        when: When::event(event.time, now),
        received: When::clock(event.received_at, now),
        rows: rows(&event, &list),
        secrets: event.secrets.iter().map(|id| Value::secret(&list, id)).collect(),
        rules: event.rules.iter().map(|rule| Value::new(&Params::of_path("/"), "rule", rule)).collect(),
        alerts: detail.alerts.into_iter().map(|id| AlertLink { url: alert_url(&id), id }).collect(),
        echo: event.echo,
        place: event.place.to_string(),
        normalized,
        pretty: if cut { None } else { pretty(&detail.raw) },
        exact: lossless(shown),
        size: grouped(detail.raw.len() as u64),
        cut,
        id: event.id,
    })
}

fn rows(event: &EventRow, list: &Params) -> Vec<Row> {
    let row = |label, value, note: &str| Row { label, value, note: note.to_owned() };
    let only = |name: &str, value: &str| Value::new(list, name, value);
    let who = Value::principal(list, &event.principal, event.principal_name.as_deref());
    let mut rows = vec![
        row("Principal", who, event.principal_kind.as_str()),
        row("Operation", only("operation", &event.operation), &event.service),
        row("Class", only("class", event.class.as_str()), ""),
        row("Outcome", only("outcome", event.outcome.as_str()), ""),
        row("Provider", only("provider", event.provider.as_str()), ""),
    ];
    if let Some(source) = &event.source {
        rows.insert(1, row("Source", only("source", source), event.source_kind.as_str()));
    }
    if let Some(account) = &event.account {
        rows.push(row("Account", only("account", account), event.region.as_deref().unwrap_or_default()));
    }
    rows
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[tokio::test]
    async fn the_raw_record_is_shown_laid_out_and_exact() {
        let bench = Bench::seeded().await;
        let body = bench.get("/events/aws%3adelete-1").await.body;
        let laid_out = "{\n  &#34;big&#34;: 12345678901234567890123,\n";
        assert!(body.contains(laid_out), "{body}");
        assert!(body.contains("{&#34;big&#34;:12345678901234567890123,"), "{body}");
        assert!(body.contains("bytes, kept as they came."));
        assert!(body.contains("&#34;bytes&#34;: "), "normalised again");
    }

    #[tokio::test]
    async fn an_event_links_to_the_alerts_it_is_evidence_for() {
        let bench = Bench::seeded().await;
        let body = bench.get("/events/aws%3adelete-1").await.body;
        assert!(body.contains("href=\"/alerts/alert-1\""), "{body}");
        let body = bench.get("/events/aws%3aread-1").await.body;
        assert!(body.contains("evidence for none"), "{body}");
    }
}
