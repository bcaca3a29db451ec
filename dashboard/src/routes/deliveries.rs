//! Who was told what: every receiver and every delivery, newest first.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::alert_url;
use crate::page::{self, Chrome};
use crate::params::{Chip, Choice, Params, choices};
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, Utc};
use keywatch_store::{DeliveryFilter, DeliveryRow, DeliveryState, ReceiverRow};

struct ReceiverLine {
    name: String,
    only: String,
    paused: Option<(When, String)>,
    pending: String,
    dead: u64,
    dead_url: String,
    delivered: String,
    last: Option<When>,
}

struct DeliveryLine {
    alert: String,
    alert_url: String,
    level: &'static str,
    receiver: String,
    only: String,
    kind: &'static str,
    state: &'static str,
    attempts: u32,
    created: When,
    due: Option<When>,
    reason: String,
}

#[derive(Template)]
#[template(path = "deliveries.html")]
struct DeliveriesPage {
    chrome: Chrome,
    chips: Vec<Chip>,
    states: Vec<Choice>,
    receiver: String,
    receivers: Vec<ReceiverLine>,
    rows: Vec<DeliveryLine>,
    next: Option<String>,
    first: Option<String>,
}

/// `/deliveries`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["state", "receiver", "after"])?;
    let filter = DeliveryFilter { state: state(&params)?, receiver: params.owned("receiver") };
    let listed = app.store.deliveries(&filter, params.page()?).await?;
    let receivers = app.store.receivers().await?;
    let now = app.now();
    let names = DeliveryState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>();
    page::html(&DeliveriesPage {
        chrome: Chrome::new(&app, who, "/deliveries", "Deliveries"),
        chips: params.chips(&["state", "receiver"]),
        states: choices(&names, params.text("state")),
        receiver: params.owned("receiver").unwrap_or_default(),
        receivers: receivers.into_iter().map(|row| receiver_line(row, now)).collect(),
        rows: listed.rows.into_iter().map(|row| delivery_line(row, &params, now)).collect(),
        next: params.next(listed.next),
        first: params.first(),
    })
}

fn state(params: &Params) -> Result<Option<DeliveryState>, Failure> {
    let Some(text) = params.text("state") else { return Ok(None) };
    let known = DeliveryState::ALL.iter().copied().find(|state| state.as_str() == text);
    let names = || DeliveryState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>().join(", ");
    let problem = || format!("`{}` is not one of {}", text.chars().take(64).collect::<String>(), names());
    known.map(Some).ok_or_else(|| Failure::Parameter { name: "state".to_owned(), problem: problem() })
}

fn receiver_line(row: ReceiverRow, now: DateTime<Utc>) -> ReceiverLine {
    let list = || Params::of_path("/deliveries");
    ReceiverLine {
        only: list().with("receiver", &row.name),
        dead_url: list().and("receiver", &row.name).with("state", "dead_letter"),
        paused: row.paused.map(|(since, why)| (When::clock(since, now), why)),
        pending: grouped(row.pending),
        dead: row.dead,
        delivered: grouped(row.delivered),
        last: row.last_delivered_at.map(|at| When::clock(at, now)),
        name: row.name,
    }
}

fn delivery_line(row: DeliveryRow, list: &Params, now: DateTime<Utc>) -> DeliveryLine {
    let pending = row.state == DeliveryState::Pending;
    DeliveryLine {
        alert_url: alert_url(&row.alert_id),
        alert: row.alert_title,
        level: row.level.as_str(),
        only: list.with("receiver", &row.receiver),
        receiver: row.receiver,
        kind: row.kind.as_str(),
        state: row.state.as_str(),
        attempts: row.attempts,
        created: When::clock(row.created_at, now),
        due: pending.then(|| When::clock(row.due_at, now)),
        reason: row.reason.unwrap_or_default(),
    }
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[tokio::test]
    async fn states_and_receivers_narrow_the_list() {
        let bench = Bench::seeded().await;
        let rows = async |query: &str| {
            let body = bench.get(&format!("/deliveries?{query}")).await.body;
            body.matches("class=\"row-link\"").count()
        };
        assert_eq!(rows("state=delivered").await, 1);
        assert_eq!(rows("state=dead_letter").await, 1);
        assert_eq!(rows("state=delivered&receiver=ops").await, 1);
        assert_eq!(rows("receiver=nobody").await, 0);
        let all = rows("").await;
        assert!(all >= 8, "{all}");
    }
}
