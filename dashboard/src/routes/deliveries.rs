//! Who was told what: every receiver and every delivery, newest first.

use crate::app::{App, Shared};
use crate::failure::Failure;
use crate::lines::alert_url;
use crate::page::{self, Chrome};
use crate::params::{Chip, Choice, Params, choices};
use crate::session::SignedIn;
use crate::text::{When, counted, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_store::{AlertTimes, DeliveryFilter, DeliveryRow, DeliveryState, Percentiles, ReceiverRow};

struct ReceiverLine {
    name: String,
    only: String,
    paused: Option<(When, String)>,
    failing: Option<FailingLine>,
    heartbeat: Option<HeartbeatLine>,
    gone: bool,
    pending: String,
    dead: u64,
    dead_url: String,
    delivered: String,
    last: Option<When>,
}

/// How a receiver fails.
struct FailingLine {
    failures: u32,
    since: When,
    probe: Option<When>,
    error: String,
}

/// When a receiver last heard that Keywatch is alive.
struct HeartbeatLine {
    accepted: Option<When>,
    error: Option<String>,
}

/// One leg of the time to alert.
struct Leg {
    name: &'static str,
    p50: String,
    p90: String,
    p99: String,
}

struct DeliveryLine {
    replay: Option<i64>,
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
    legs: Vec<Leg>,
    measured: String,
    here: String,
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
    let times = app.store.alert_times(now - TimeDelta::hours(24)).await?;
    let names = DeliveryState::ALL.iter().map(|state| state.as_str()).collect::<Vec<_>>();
    page::html(&DeliveriesPage {
        chrome: Chrome::new(&app, who, "/deliveries", "Deliveries"),
        chips: params.chips(&["state", "receiver"]),
        states: choices(&names, params.text("state")),
        receiver: params.owned("receiver").unwrap_or_default(),
        receivers: receivers.into_iter().map(|row| receiver_line(&app, row, now)).collect(),
        legs: legs(&times),
        measured: counted(times.count, "message", "messages"),
        here: params.without("after"),
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

fn receiver_line(app: &App, row: ReceiverRow, now: DateTime<Utc>) -> ReceiverLine {
    let list = || Params::of_path("/deliveries");
    ReceiverLine {
        only: list().with("receiver", &row.name),
        dead_url: list().and("receiver", &row.name).with("state", "dead_letter"),
        gone: !app.options.routing.knows(&row.name),
        failing: row.failing.map(|failing| FailingLine {
            failures: failing.failures,
            since: When::clock(failing.since, now),
            probe: failing.probe_at.map(|at| When::clock(at, now)),
            error: failing.error,
        }),
        heartbeat: row.heartbeat.map(|beat| HeartbeatLine {
            accepted: beat.accepted_at.map(|at| When::clock(at, now)),
            error: beat.error,
        }),
        paused: row.paused.map(|(since, why)| (When::clock(since, now), why)),
        pending: grouped(row.pending),
        dead: row.dead,
        delivered: grouped(row.delivered),
        last: row.last_delivered_at.map(|at| When::clock(at, now)),
        name: row.name,
    }
}

fn legs(times: &AlertTimes) -> Vec<Leg> {
    if times.count == 0 {
        return Vec::new();
    }
    let leg = |name, of: Percentiles| Leg { name, p50: span(of.p50), p90: span(of.p90), p99: span(of.p99) };
    vec![
        leg("event to received", times.received),
        leg("received to decided", times.decided),
        leg("decided to accepted", times.accepted),
        leg("event to accepted", times.whole),
    ]
}

/// Milliseconds as a person reads them.
pub(super) fn span(millis: u64) -> String {
    match millis {
        0..1_000 => format!("{millis} ms"),
        1_000..120_000 => format!("{}.{} s", millis / 1_000, millis % 1_000 / 100),
        120_000..7_200_000 => format!("{} min", millis / 60_000),
        _ => format!("{} h", millis / 3_600_000),
    }
}

fn delivery_line(row: DeliveryRow, list: &Params, now: DateTime<Utc>) -> DeliveryLine {
    let pending = row.state == DeliveryState::Pending;
    let dead = row.state == DeliveryState::DeadLetter;
    DeliveryLine {
        replay: dead.then_some(row.bundle.unwrap_or(row.id)),
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
