//! How fresh each source is, what is stored, and what Keywatch cannot see at all.

use crate::app::{CredentialInfo, Memory, Shared, SourceInfo};
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

/// Files listed, those that moved last.
const FILES_MAX: usize = 200;

struct SourceLine {
    name: String,
    kind: String,
    configured: bool,
    moved: Option<When>,
    last: Option<When>,
    quiet: bool,
    records: String,
    rejects: u64,
    per_minute: Option<String>,
    lag: Option<String>,
    state: &'static str,
    notices: Vec<String>,
}

/// A file some source follows, or followed.
struct FileLine {
    path: String,
    moved: When,
}

/// One of Keywatch's own secrets.
struct CredentialLine {
    reference: String,
    state: &'static str,
    fetched: Option<When>,
    error: String,
}

#[derive(Template)]
#[template(path = "sources.html")]
struct SourcesPage {
    chrome: Chrome,
    rows: Vec<SourceLine>,
    files: Vec<FileLine>,
    files_count: String,
    files_max: bool,
    latest_event: Option<When>,
    latest_received: Option<When>,
    lag: Option<String>,
    totals: Vec<(&'static str, String, Option<&'static str>)>,
    memory: Vec<(&'static str, String)>,
    memory_short: bool,
    credentials: Vec<CredentialLine>,
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
    let held = app.detection().memory;
    let (followed, positions): (Vec<_>, Vec<_>) =
        overview.positions.into_iter().partition(|row| path_of(row).is_some());
    page::html(&SourcesPage {
        chrome: Chrome::new(&app, who, "/sources", "Sources"),
        rows: lines((app.options.sources)(), positions, now),
        files_count: grouped(followed.len() as u64),
        files_max: followed.len() > FILES_MAX,
        files: files(followed, now),
        latest_event: overview.latest_event_at.map(|at| When::event(at, now)),
        latest_received: overview.latest_received_at.map(|at| When::clock(at, now)),
        lag: lag.filter(|secs| *secs >= 0).map(|secs| grouped(secs.unsigned_abs())),
        totals: totals(&overview.totals),
        memory: memory(&held),
        memory_short: held.entries_evicted + held.principals_evicted > 0,
        credentials: (app.options.credentials)().into_iter().map(|info| credential(info, now)).collect(),
        blind_spots: BLIND_SPOTS,
    })
}

/// The file a position belongs to: sources of files keep one position per file.
fn path_of(position: &PositionRow) -> Option<&str> {
    position.source.strip_prefix("file:")
}

/// Followed files, the one that moved last first, at most [`FILES_MAX`].
fn files(mut followed: Vec<PositionRow>, now: DateTime<Utc>) -> Vec<FileLine> {
    followed.sort_by(|a, b| b.updated_at.cmp(&a.updated_at).then_with(|| a.source.cmp(&b.source)));
    followed.truncate(FILES_MAX);
    let line = |row: &PositionRow| {
        let path = path_of(row).unwrap_or_default().to_owned();
        FileLine { path, moved: When::clock(row.updated_at, now) }
    };
    followed.iter().map(line).collect()
}

/// Configured sources first, then positions whose source is no longer configured; each by name.
/// A source that is configured but never moved shows too.
fn lines(infos: Vec<SourceInfo>, positions: Vec<PositionRow>, now: DateTime<Utc>) -> Vec<SourceLine> {
    let mut merged: BTreeMap<String, (Option<SourceInfo>, Option<DateTime<Utc>>)> = BTreeMap::new();
    for info in infos {
        let name = info.name.clone();
        merged.entry(name).or_default().0 = Some(info);
    }
    for position in positions {
        let moved = &mut merged.entry(source_of(position.source)).or_default().1;
        *moved = (*moved).max(Some(position.updated_at));
    }
    let merged = merged.into_iter().map(|(name, (info, moved))| line(name, info, moved, now));
    let mut lines = merged.collect::<Vec<_>>();
    lines.sort_by_key(|line| !line.configured);
    lines
}

/// The source a position belongs to: those of AWS keep one for each account and region.
fn source_of(position: String) -> String {
    let named = position.strip_prefix("aws:").and_then(|rest| rest.split(':').next()).map(str::to_owned);
    named.unwrap_or(position)
}

/// How late what comes from a source is, as people say it.
fn lag_of(info: &SourceInfo) -> Option<String> {
    info.lag_secs.map(|secs| match secs {
        0..=119 => format!("{secs} s"),
        120..=7199 => format!("{} min", secs / 60),
        7200..=172_799 => format!("{} h", secs / 3600),
        _ => format!("{} days", grouped(secs / 86_400)),
    })
}

fn line(
    name: String,
    info: Option<SourceInfo>,
    moved: Option<DateTime<Utc>>,
    now: DateTime<Utc>,
) -> SourceLine {
    let configured = info.is_some();
    let info = info.unwrap_or_default();
    let (fresh, lag) = (moved.max(info.last_at), lag_of(&info));
    SourceLine {
        name,
        kind: info.kind,
        configured,
        quiet: configured && fresh.is_some_and(|at| now.timestamp() - at.timestamp() > QUIET_SECS),
        moved: moved.map(|at| When::clock(at, now)),
        last: info.last_at.map(|at| When::clock(at, now)),
        records: grouped(info.records),
        rejects: info.rejects,
        per_minute: (info.per_minute > 0).then(|| grouped(info.per_minute)),
        lag,
        state: info.state,
        notices: info.notices,
    }
}

fn credential(info: CredentialInfo, now: DateTime<Utc>) -> CredentialLine {
    let state = match (&info.fetched_secs, info.stale, info.error.is_empty()) {
        (None, _, _) => "missing",
        (Some(_), true, _) => "stale",
        (Some(_), false, false) => "failing",
        (Some(_), false, true) => "in use",
    };
    // Longer than the process runs it cannot be.
    let ago = |secs: u64| now - chrono::TimeDelta::seconds(i64::try_from(secs).unwrap_or_default());
    CredentialLine {
        reference: info.reference,
        state,
        fetched: info.fetched_secs.map(|secs| When::clock(ago(secs), now)),
        error: info.error,
    }
}

fn totals(totals: &Totals) -> Vec<(&'static str, String, Option<&'static str>)> {
    vec![
        ("Events", grouped(totals.events), Some("/events")),
        ("Duplicates not stored again", grouped(totals.duplicates), None),
        ("Rejects", grouped(totals.rejects), Some("/rejects")),
        (
            "Records with a secret value, scrubbed",
            grouped(totals.scrubbed.iter().map(|one| one.records).sum()),
            Some("/rules#KW-138"),
        ),
        ("Alerts", grouped(totals.alerts), Some("/?last=all&status=all")),
        ("Deliveries waiting", grouped(totals.pending), Some("/deliveries?state=pending")),
        ("Delivered", grouped(totals.delivered), Some("/deliveries?state=delivered")),
        ("Given up", grouped(totals.dead), Some("/deliveries?state=dead_letter")),
    ]
}

fn memory(held: &Memory) -> Vec<(&'static str, String)> {
    let of = |(held, most): (u64, u64)| format!("{} of at most {}", grouped(held), grouped(most));
    let mebibytes = |(held, most): (u64, u64)| {
        format!("{} of at most {} MiB", grouped(held.div_ceil(1 << 20)), grouped(most >> 20))
    };
    vec![
        ("Entries in windows", of(held.entries)),
        ("Principals and secrets that are known", grouped(held.principals)),
        ("Memory of what is usual", mebibytes(held.learned_bytes)),
        ("Entries let go", grouped(held.entries_evicted)),
        ("Principals forgotten", grouped(held.principals_evicted)),
        ("Rules that forgot most", most_forgetful(&held.forgotten)),
        ("Late events judged from the history", grouped(held.late)),
    ]
}

/// The three rules that forgot most, with how many.
fn most_forgetful(forgotten: &[(String, u64)]) -> String {
    let mut most: Vec<&(String, u64)> = forgotten.iter().collect();
    most.sort_by(|one, other| other.1.cmp(&one.1).then_with(|| one.0.cmp(&other.0)));
    let told: Vec<String> =
        most.iter().take(3).map(|(rule, count)| format!("{rule} {}", grouped(*count))).collect();
    if told.is_empty() { "none".to_owned() } else { told.join(", ") }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Bench;

    #[tokio::test]
    async fn secrets_are_shown_with_their_state_and_never_their_value() {
        let info = |reference: &str, fetched_secs, stale, error: &str| CredentialInfo {
            reference: reference.to_owned(),
            fetched_secs,
            stale,
            error: error.to_owned(),
        };
        let all = vec![
            info("env:FINE", Some(5), false, ""),
            info("vault:old#x", Some(900), true, "Vault cannot be reached"),
            info("file:/gone", None, false, "there is no such file; create it"),
        ];
        let options = crate::Options {
            credentials: std::sync::Arc::new(move || all.clone()),
            ..crate::Options::default()
        };
        let bench = Bench::with(options, Vec::new()).await;
        let page = bench.get("/sources").await.body;
        for part in ["env:FINE", "in use", "vault:old#x", "stale", "file:/gone", "missing", "create it"] {
            assert!(page.contains(part), "{part} in {page}");
        }
    }

    #[test]
    fn a_source_that_never_moved_and_one_no_longer_configured_both_show() {
        let now = DateTime::UNIX_EPOCH;
        let info = SourceInfo { name: "new".to_owned(), ..SourceInfo::default() };
        let old = PositionRow { source: "old".to_owned(), position: "17".to_owned(), updated_at: now };
        let lines = lines(vec![info], vec![old], now);
        let seen = lines.iter().map(|line| (line.name.as_str(), line.configured, line.quiet));
        assert_eq!(seen.collect::<Vec<_>>(), [("new", true, false), ("old", false, false)]);
    }

    #[test]
    fn the_accounts_and_regions_of_a_source_are_one_line() {
        let row = |source: &str, secs| PositionRow {
            source: source.to_owned(),
            position: "{}".to_owned(),
            updated_at: DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(secs),
        };
        let info = SourceInfo { name: "cloud".to_owned(), ..SourceInfo::default() };
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::seconds(70);
        let positions = vec![row("aws:cloud:1:eu-west-1", 9), row("aws:cloud:2:eu-west-1", 5)];
        let lines = lines(vec![info], positions, now);
        assert_eq!(lines.len(), 1);
        assert_eq!(lines[0].moved.as_ref().unwrap().age, "1 min ago");
    }

    #[tokio::test]
    async fn the_page_shows_how_a_source_fares() {
        let body = Bench::seeded().await.get("/sources").await.body;
        for part in [">failing<", "1,500 in the last minute", "3 min after the event"] {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }

    #[test]
    fn configured_sources_come_first_and_say_when_they_are_quiet() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let info = |name: &str, secs: i64| SourceInfo {
            name: name.to_owned(),
            last_at: Some(now - chrono::TimeDelta::seconds(secs)),
            ..SourceInfo::default()
        };
        let old = PositionRow { source: "a".to_owned(), position: "17".to_owned(), updated_at: now };
        let lines = lines(vec![info("c", QUIET_SECS), info("b", QUIET_SECS + 1)], vec![old], now);
        let seen = lines.iter().map(|line| (line.name.as_str(), line.quiet));
        assert_eq!(seen.collect::<Vec<_>>(), [("b", true), ("c", false), ("a", false)]);
    }

    #[test]
    fn followed_files_are_listed_newest_first_up_to_a_limit() {
        let now = DateTime::UNIX_EPOCH + chrono::TimeDelta::days(1);
        let row = |number: usize, secs: i64| PositionRow {
            source: format!("file:/var/log/{number:03}.json"),
            position: "{\"files\":[]}".to_owned(),
            updated_at: now - chrono::TimeDelta::seconds(secs),
        };
        let mut followed = (0..FILES_MAX).map(|number| row(number, 60)).collect::<Vec<_>>();
        followed.push(row(999, 5));
        let lines = files(followed, now);
        assert_eq!(lines.len(), FILES_MAX);
        let seen = |at: usize| (lines[at].path.as_str(), lines[at].moved.age.as_str());
        assert_eq!(
            [seen(0), seen(1)],
            [("/var/log/999.json", "5 s ago"), ("/var/log/000.json", "1 min ago")]
        );
        assert_eq!(seen(FILES_MAX - 1), ("/var/log/198.json", "1 min ago"));
    }

    #[tokio::test]
    async fn the_page_shows_paths_and_no_raw_position() {
        let bench = Bench::seeded().await;
        let body = bench.get("/sources").await.body;
        let (sources, files) = body.split_once("<details>").unwrap();
        assert!(sources.contains("CloudTrail through SQS") && !sources.contains("audit.log"), "{sources}");
        assert!(files.contains("Files followed: 1</summary>"), "{files}");
        assert!(files.contains(">/var/log/vault/audit.log<"), "{files}");
        assert!(!body.contains("file:/") && !body.contains("offset"), "{body}");
    }

    #[tokio::test]
    async fn the_page_shows_what_the_rules_hold_and_warns_when_it_was_too_much() {
        let bench = Bench::seeded().await;
        assert!(!bench.get("/sources").await.body.contains("memory was short"));
        bench.detection.lock().unwrap().memory = Memory {
            entries: (75_000, 100_000),
            entries_evicted: 1234,
            learned_bytes: (90 << 20, 160 << 20),
            forgotten: vec![("KW-114".to_owned(), 7), ("KW-002".to_owned(), 4321)],
            ..Memory::default()
        };
        let body = bench.get("/sources").await.body;
        for part in [
            "75,000 of at most 100,000",
            "1,234",
            "memory was short",
            "90 of at most 160 MiB",
            "KW-002 4,321, KW-114 7",
        ] {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }
}
