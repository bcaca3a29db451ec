//! What machines ask without a session: is the process there, can it work, what are its figures.
//!
//! They answer to any host name, because probes use addresses, and tell no names but those of rules,
//! sources and receivers. Nothing here changes anything.

use crate::app::Shared;
use axum::extract::State;
use axum::http::{StatusCode, header};
use axum::response::{IntoResponse, Response};

/// The paths of this file.
pub(crate) const PATHS: [&str; 3] = ["/healthz", "/readyz", "/metrics"];

/// Says that the process answers; nothing about what it knows.
pub(crate) async fn health() -> &'static str {
    "ok"
}

/// 200 when Keywatch can do its work, 503 with one line per reason when it cannot.
pub(crate) async fn ready(State(app): State<Shared>) -> Response {
    let mut reasons = Vec::new();
    if app.store.seen().await.is_err() {
        reasons.push("the database cannot be read");
    }
    let detection = app.detection();
    if detection.rules.is_empty() {
        reasons.push("no rules are loaded");
    }
    if detection.reload_failed.is_some() {
        reasons.push("the last reload of the configuration failed; the old one is in force");
    }
    if reasons.is_empty() {
        return (StatusCode::OK, "ready").into_response();
    }
    (StatusCode::SERVICE_UNAVAILABLE, format!("not ready: {}", reasons.join("; "))).into_response()
}

/// The figures, in the text format of Prometheus.
pub(crate) async fn metrics(State(app): State<Shared>) -> Response {
    let text = (app.options.metrics)().await;
    ([(header::CONTENT_TYPE, "text/plain; version=0.0.4; charset=utf-8")], text).into_response()
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use axum::http::StatusCode;

    #[tokio::test]
    async fn probes_answer_to_any_name_and_without_a_session() {
        let bench = Bench::seeded().await;
        for path in super::PATHS {
            let answer = bench.ask(Bench::request("GET", path, "", &[("host", "10.0.0.1:8420")])).await;
            assert_eq!(answer.status, StatusCode::OK, "{path}: {}", answer.body);
        }
        let idle = Bench::empty().await.ask(Bench::request("GET", "/readyz", "", &[])).await;
        assert_eq!(idle.status, StatusCode::SERVICE_UNAVAILABLE);
        assert_eq!(idle.body, "not ready: no rules are loaded");
        let posted = bench.ask(Bench::request("POST", "/metrics", "", &[("host", "10.0.0.1:8420")])).await;
        assert_eq!(posted.status, StatusCode::METHOD_NOT_ALLOWED);
    }
}
