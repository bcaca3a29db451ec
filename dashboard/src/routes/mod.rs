//! The table of pages: one line per address, one file per page.

mod alert;
mod alerts;
mod assets;
mod bulk;
mod deliveries;
mod event;
mod events;
mod handle;
mod login;
mod principal;
mod principals;
pub(crate) mod probes;
mod receivers;
mod reject;
mod rejects;
mod reload;
mod resend;
mod rules;
mod secret;
mod secrets;
mod silences;
mod sources;
#[cfg(test)]
mod tests;

use crate::app::Shared;
use crate::failure::Failure;
use crate::guard;
use axum::Router;
use axum::extract::rejection::PathRejection;
use axum::extract::{DefaultBodyLimit, Path};
use axum::middleware::{from_fn, from_fn_with_state};
use axum::routing::{get, post};

/// Largest form: a page of chosen alerts, 100 of 50 bytes, or a silence with its reason. More is no
/// form of ours.
const FORM_BYTES_MAX: usize = 16 * 1024;

/// Every page that needs a session, for the tests that walk all of them.
#[cfg(test)]
pub(crate) const PAGES: [&str; 23] = [
    "/",
    "/alerts",
    "/alerts/undo",
    "/deliveries/replay",
    "/deliveries/resume",
    "/silences",
    "/silences/expire",
    "/alerts/{id}",
    "/events",
    "/events/{id}",
    "/secrets",
    "/secrets/{id}",
    "/principals",
    "/principals/{id}",
    "/deliveries",
    "/receivers",
    "/rejects",
    "/rejects/{id}",
    "/sources",
    "/rules",
    "/reload",
    "/logout",
    "/no-such-page",
];

/// Every page, behind the guard. Ids stand percent-encoded in one segment; the wildcards also
/// take them with bare slashes, as some proxies pass them on.
pub(crate) fn router(app: Shared) -> Router {
    Router::new()
        .route("/", get(alerts::list))
        .route("/alerts", post(handle::handle))
        .route("/alerts/undo", post(bulk::undo))
        .route("/alerts/{*id}", get(alert::page))
        .route("/events", get(events::list))
        .route("/events/{*id}", get(event::page))
        .route("/secrets", get(secrets::list))
        .route("/secrets/{*id}", get(secret::page))
        .route("/principals", get(principals::list))
        .route("/principals/{*id}", get(principal::page))
        .route("/deliveries", get(deliveries::list))
        .route("/deliveries/replay", post(resend::replay))
        .route("/deliveries/resume", post(resend::resume))
        .route("/silences", get(silences::list).post(silences::make))
        .route("/silences/expire", post(silences::expire))
        .route("/receivers", get(receivers::list).post(receivers::try_out))
        .route("/rejects", get(rejects::list))
        .route("/rejects/{*id}", get(reject::page))
        .route("/sources", get(sources::page))
        .route("/rules", get(rules::page))
        .route("/reload", post(reload::reload))
        .route("/login", get(login::form).post(login::log_in))
        .route("/logout", post(login::log_out))
        .route("/static/keywatch.css", get(assets::style))
        .route("/static/favicon.svg", get(assets::icon))
        .merge(probes())
        .fallback(async || Failure::NotFound("page at this address".to_owned()))
        .method_not_allowed_fallback(async || Failure::Method)
        .layer(DefaultBodyLimit::max(FORM_BYTES_MAX))
        .layer(from_fn_with_state(app.clone(), guard::guard))
        .layer(from_fn(guard::headers))
        .with_state(app)
}

/// What machines ask, alone: for a listener of their own, or among the pages.
pub(crate) fn probes() -> Router<Shared> {
    Router::new()
        .route("/healthz", get(probes::health))
        .route("/readyz", get(probes::ready))
        .route("/metrics", get(probes::metrics))
}

/// The id in the path, decoded.
fn id_of(path: Result<Path<String>, PathRejection>) -> Result<String, Failure> {
    let bad = |_| Failure::Parameter { name: "id".to_owned(), problem: "it is not UTF-8".to_owned() };
    path.map(|Path(id)| id).map_err(bad)
}
