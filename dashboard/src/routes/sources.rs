//! How fresh each source is, what is stored, and what Keywatch cannot see at all.

use crate::app::{Shared, SourceInfo};
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
use chrono::{DateTime, Utc};
use keywatch_store::{PositionRow, Totals};
use std::collections::BTreeMap;

/// How long a position may stand still before the page says so. Providers deliver within 15
/// minutes (CloudTrail) or 10 (Azure); an hour without anything is worth a look.
const QUIET_SECS: i64 = 3600;

/// What no audit log tells, whatever Keywatch does. Each with what can be done about it.
const BLIND_SPOTS: [(&str, &str); 7] = [
    (
        "Logs that are off",
        "Google Cloud writes data access logs for Secret Manager, and Azure diagnostic logs for a Key Vault, \
         only once somebody turns them on, per project or vault. A store without them looks quiet. Turn them \
         on for every project, vault and subscription that holds secrets.",
    ),
    (
        "EventBridge rules in their default state",
        "A rule in state ENABLED passes no read-only management events, so no GetSecretValue. Set it to \
         ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS, or read the trail from S3.",
    ),
    (
        "Delay",
        "Providers deliver audit records minutes after the fact: CloudTrail typically within 5 and up to 15, \
         Azure up to 10. Times on these pages are the provider's event times; an alert cannot be earlier than \
         its record.",
    ),
    (
        "Copies",
        "Once a value is read, nobody sees where it goes: environment variables, memory, a cache in front of \
         the store, a backup. One read by a cache or an agent may stand for many consumers behind it.",
    ),
    (
        "Which secrets a batch read returned",
        "Reads by filter or prefix may name no secret. They are shown as secret.batch_read without secrets.",
    ),
    (
        "Who stands behind a shared identity",
        "A role, a service account or a root token used by several people is one principal. The session name \
         in the record helps when people set one.",
    ),
    (
        "Requests Vault did not log, and values it hashed",
        "Vault and OpenBao write to the audit devices that are enabled, and replace most values with an HMAC. A \
         request made while no device was enabled leaves no record.",
    ),
];

struct SourceLine {
    name: String,
    kind: String,
    configured: bool,
    position: Option<String>,
    moved: Option<When>,
    last: Option<When>,
    quiet: bool,
    records: String,
    rejects: u64,
    notices: Vec<String>,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    chrome: Chrome,
    rows: Vec<SourceLine>,
    latest_event: Option<When>,
    latest_received: Option<When>,
    lag: Option<String>,
    totals: Vec<(&'static str, String, Option<&'static str>)>,
    blind_spots: [(&'static str, &'static str); 7],
}

/// `/sources`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    Params::read(&uri, &[])?;
    let now = app.now();
    let overview = app.store.overview(now).await?;
    let latest = overview.latest_received_at.zip(overview.latest_event_at);
    let lag = latest.map(|(received, event)| received.timestamp() - event.secs());
    page::html(&SourcesPage {
        chrome: Chrome::new(&app, who, "/sources", "Sources"),
        rows: lines((app.options.sources)(), overview.positions, now),
        latest_event: overview.latest_event_at.map(|at| When::event(at, now)),
        latest_received: overview.latest_received_at.map(|at| When::clock(at, now)),
        lag: lag.filter(|secs| *secs >= 0).map(|secs| grouped(secs.unsigned_abs())),
        totals: totals(&overview.totals),
        blind_spots: BLIND_SPOTS,
    })
}

/// Configured sources and stored positions under one name each: a source that is configured but
/// never moved shows, and so does a position whose source is no longer configured.
fn lines(infos: Vec<SourceInfo>, positions: Vec<PositionRow>, now: DateTime<Utc>) -> Vec<SourceLine> {
    let mut merged: BTreeMap<String, (Option<SourceInfo>, Option<PositionRow>)> = BTreeMap::new();
    for info in infos {
        let name = info.name.clone();
        merged.entry(name).or_default().0 = Some(info);
    }
    for position in positions {
        let name = position.source.clone();
        merged.entry(name).or_default().1 = Some(position);
    }
    merged.into_iter().map(|(name, (info, position))| line(name, info, position, now)).collect()
}

fn line(
    name: String,
    info: Option<SourceInfo>,
    position: Option<PositionRow>,
    now: DateTime<Utc>,
) -> SourceLine {
    let configured = info.is_some();
    let info = info.unwrap_or_default();
    let moved = position.as_ref().map(|position| position.updated_at);
    let fresh = moved.max(info.last_at);
    SourceLine {
        name,
        kind: info.kind,
        configured,
        quiet: configured && fresh.is_none_or(|at| now.timestamp() - at.timestamp() > QUIET_SECS),
        position: position.map(|position| position.position),
        moved: moved.map(|at| When::clock(at, now)),
        last: info.last_at.map(|at| When::clock(at, now)),
        records: grouped(info.records),
        rejects: info.rejects,
        notices: info.notices,
    }
}

fn totals(totals: &Totals) -> Vec<(&'static str, String, Option<&'static str>)> {
    vec![
        ("Events", grouped(totals.events), Some("/events")),
        ("Duplicates not stored again", grouped(totals.duplicates), None),
        ("Rejects", grouped(totals.rejects), Some("/rejects")),
        ("Alerts", grouped(totals.alerts), Some("/?last=all&status=all")),
        ("Deliveries waiting", grouped(totals.pending), Some("/deliveries?state=pending")),
        ("Delivered", grouped(totals.delivered), Some("/deliveries?state=delivered")),
        ("Given up", grouped(totals.dead), Some("/deliveries?state=dead_letter")),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_source_that_never_moved_and_one_no_longer_configured_both_show() {
        let now = DateTime::UNIX_EPOCH;
        let info = SourceInfo { name: "new".to_owned(), ..SourceInfo::default() };
        let old = PositionRow { source: "old".to_owned(), position: "17".to_owned(), updated_at: now };
        let lines = lines(vec![info], vec![old], now);
        let seen = lines.iter().map(|line| (line.name.as_str(), line.configured, line.quiet));
        assert_eq!(seen.collect::<Vec<_>>(), [("new", true, true), ("old", false, false)]);
    }
}
