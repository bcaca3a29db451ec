//! The first page: open alerts, what the last day looked like, and the core table.

use super::bulk::{DoneLine, done_line};
use crate::app::{App, Shared};
use crate::chart::Chart;
use crate::failure::Failure;
use crate::lines::{Value, alert_url};
use crate::page::{self, Chrome};
use crate::params::{Chip, Choice, Params, Range, choices};
use crate::session::SignedIn;
use crate::text::{When, counted, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use chrono::{DateTime, Utc};
use keywatch_event::{EventTime, Level, Provider, lateness};
use keywatch_store::{AlertFilter, AlertRow, AlertStatus, Overview, Page, Resolution, Span};

/// `done` names what was just done to several alerts.
pub(super) const KNOWN: [&str; 11] =
    ["level", "rule", "provider", "principal", "secret", "status", "last", "since", "until", "after", "done"];
pub(super) const FILTERS: [&str; 6] = ["level", "rule", "provider", "principal", "secret", "status"];
/// `active` is what needs somebody: open and acknowledged.
const STATUSES: [&str; 6] = ["active", "open", "acknowledged", "resolved", "withdrawn", "all"];
/// Alerts the core table counts one by one; beyond that it says so.
const COUNTED_MAX: u32 = 200;

/// The five core rows: what happened, how urgent, what to do, which rule.
const CORE: [(&str, Level, &str, &str); 5] = [
    ("Normal read by known role", Level::Info, "Log only", "KW-001"),
    ("Read from unusual IP", Level::Warning, "Investigate", "KW-002"),
    ("Failed authentication", Level::Warning, "Review access", "KW-003"),
    ("Secret deletion", Level::Critical, "Immediate review", "KW-004"),
    ("Multiple failed reads", Level::Critical, "Possible attack", "KW-005"),
];

/// One alert in the list.
struct AlertLine {
    url: String,
    level: &'static str,
    title: String,
    action: Option<String>,
    rule: Value,
    provider: Value,
    principal: Option<Value>,
    events: String,
    opened: When,
    last: When,
    status: Option<&'static str>,
    regressed: bool,
    muted: Option<String>,
    chosen: String,
    late: Option<String>,
}

/// One row of the core table.
struct CoreLine {
    event: &'static str,
    level: &'static str,
    action: &'static str,
    rule: &'static str,
    count: String,
    url: String,
}

#[derive(Template)]
#[template(path = "alerts.html")]
struct AlertsPage {
    chrome: Chrome,
    range: Range,
    all_url: String,
    chips: Vec<Chip>,
    levels: Vec<Choice>,
    statuses: Vec<Choice>,
    providers: Vec<Choice>,
    rule: String,
    principal: String,
    secret: String,
    resolutions: Vec<Choice>,
    here: String,
    seen: String,
    done: Option<DoneLine>,
    rows: Vec<AlertLine>,
    next: Option<String>,
    first: Option<String>,
    chart: Chart,
    core: Vec<CoreLine>,
    open_ever: u64,
    events_ever: u64,
}

/// `/`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let mut params = Params::read(&uri, &KNOWN)?;
    let done = params.take("done");
    let now = app.now();
    let range = params.range(now, "24h")?;
    let filter = filter(&params, range.span)?;
    let listed = app.store.alerts(&filter, params.page()?).await?;
    let overview = app.store.overview(now).await?;
    let title = format!("{}, {}", status_words(&filter.statuses), range.label);
    page::html(&AlertsPage {
        chrome: Chrome::new(&app, who, "/", title),
        all_url: params.with("last", "all"),
        chips: params.chips(&FILTERS),
        levels: choices(Level::NAMES, params.text("level")),
        statuses: choices(&STATUSES, params.text("status").or(Some("active"))),
        providers: choices(Provider::NAMES, params.text("provider")),
        rule: params.owned("rule").unwrap_or_default(),
        principal: params.owned("principal").unwrap_or_default(),
        secret: params.owned("secret").unwrap_or_default(),
        resolutions: resolutions(),
        here: params.without("after"),
        seen: now.to_rfc3339(),
        done: done_of(&app, done.as_deref(), now).await?,
        rows: listed.rows.iter().map(|row| line(row, &params, now)).collect(),
        next: params.next(listed.next),
        first: params.first(),
        chart: Chart::new(&overview.hours),
        core: core(&app, &overview, now).await?,
        open_ever: overview.open_alerts.sum(),
        events_ever: overview.totals.events,
        range,
    })
}

pub(super) fn filter(params: &Params, span: Span) -> Result<AlertFilter, Failure> {
    Ok(AlertFilter {
        level_min: params.parsed("level")?,
        rule: params.owned("rule"),
        provider: params.parsed("provider")?,
        principal: params.owned("principal"),
        secret: params.owned("secret"),
        statuses: statuses(params)?,
        span,
    })
}

/// What was just done to several alerts, while it is known.
async fn done_of(app: &App, id: Option<&str>, now: DateTime<Utc>) -> Result<Option<DoneLine>, Failure> {
    let Some(id) = id.and_then(|id| id.parse().ok()) else { return Ok(None) };
    Ok(app.store.action(id).await?.map(|taken| done_line(taken, now)))
}

/// The reasons for which an alert can be resolved.
pub(super) fn resolutions() -> Vec<Choice> {
    let names: Vec<&'static str> = Resolution::ALL.iter().map(|why| why.as_str()).collect();
    choices(&names, None)
}

fn statuses(params: &Params) -> Result<Vec<AlertStatus>, Failure> {
    match params.text("status").unwrap_or("active") {
        "active" => Ok(vec![AlertStatus::Open, AlertStatus::Acknowledged]),
        "all" => Ok(Vec::new()),
        other => {
            let known = AlertStatus::ALL.iter().copied().find(|status| status.as_str() == other);
            if let Some(status) = known {
                return Ok(vec![status]);
            }
            let shown = other.chars().take(64).collect::<String>();
            let problem = format!("`{shown}` is not one of {}", STATUSES.join(", "));
            Err(Failure::Parameter { name: "status".to_owned(), problem })
        }
    }
}

const fn status_words(statuses: &[AlertStatus]) -> &'static str {
    match statuses {
        [AlertStatus::Open] => "Open alerts",
        [AlertStatus::Acknowledged] => "Acknowledged alerts",
        [AlertStatus::Resolved] => "Resolved alerts",
        [AlertStatus::Withdrawn] => "Withdrawn alerts",
        [_, ..] => "Open and acknowledged alerts",
        [] => "Alerts",
    }
}

fn line(row: &AlertRow, list: &Params, now: DateTime<Utc>) -> AlertLine {
    let view = super::alert::AlertJson::read(&row.json);
    let name = view.principal.and_then(|principal| principal.name);
    AlertLine {
        url: alert_url(&row.id),
        level: row.level.as_str(),
        title: row.title.clone(),
        action: view.action,
        rule: Value::new(list, "rule", &row.rule),
        provider: Value::new(list, "provider", row.provider.as_str()),
        principal: row.principal.as_deref().map(|id| Value::principal(list, id, name.as_deref())),
        events: counted(row.events, "event", "events"),
        opened: When::event(row.opened_at, now),
        last: When::event(row.last_event_at, now),
        status: (row.status != AlertStatus::Open).then(|| row.status.as_str()),
        regressed: row.regressed,
        muted: row.muted.clone(),
        chosen: format!("{}~{}", row.id, row.revision),
        late: view.late_secs.map(lateness),
    }
}

/// The core table with the counts of the last 24 hours.
async fn core(app: &App, overview: &Overview, now: DateTime<Utc>) -> Result<Vec<CoreLine>, Failure> {
    let since = EventTime::from_secs(now.timestamp() - 86_400);
    let mut lines = Vec::with_capacity(CORE.len());
    for (event, level, action, rule) in CORE {
        let (count, url) = if level == Level::Info {
            (grouped(overview.events_day.of(Level::Info)), "/events?last=24h".to_owned())
        } else {
            (alerts_of(app, rule, since).await?, format!("/?rule={rule}&last=24h"))
        };
        lines.push(CoreLine { event, level: level.as_str(), action, rule, count, url });
    }
    Ok(lines)
}

async fn alerts_of(app: &App, rule: &str, since: EventTime) -> Result<String, Failure> {
    let span = Span { since: Some(since), until: None };
    let statuses = vec![AlertStatus::Open, AlertStatus::Acknowledged];
    let filter = AlertFilter { rule: Some(rule.to_owned()), statuses, span, ..AlertFilter::default() };
    let listed = app.store.alerts(&filter, Page::first(COUNTED_MAX)).await?;
    let more = if listed.next.is_some() { "+" } else { "" };
    Ok(format!("{}{more}", listed.rows.len()))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, INTRUDER, READER, SECRET};
    use crate::text::encoded;

    const DELETED: &str = "j.doe deleted prod/db/password";
    const OLD: &str = "An alert of last week";
    const GONE: &str = "Explained since";

    async fn titles(bench: &Bench, url: &str) -> Vec<&'static str> {
        let body = bench.get(url).await.body;
        [DELETED, OLD, GONE].into_iter().filter(|title| body.contains(title)).collect()
    }

    #[tokio::test]
    async fn the_last_day_is_the_default_and_the_title_says_so() {
        let bench = Bench::seeded().await;
        let body = bench.get("/").await.body;
        assert!(body.contains("<h1>Open and acknowledged alerts, last 24 hours</h1>"), "{body}");
        assert!(body.contains("href=\"/?last=all\""), "{body}");
        assert_eq!(titles(&bench, "/").await, [DELETED]);
        assert_eq!(titles(&bench, "/?last=all").await, [DELETED, OLD]);
    }

    #[tokio::test]
    async fn filters_narrow_the_list() {
        let bench = Bench::seeded().await;
        for (query, want) in [
            ("level=critical", vec![DELETED]),
            ("level=warning", vec![DELETED, OLD]),
            ("rule=KW-004", vec![DELETED, OLD]),
            ("rule=KW-005", vec![]),
            ("provider=aws", vec![DELETED, OLD]),
            ("provider=gcp", vec![]),
            ("status=withdrawn", vec![GONE]),
            ("status=all", vec![DELETED, OLD, GONE]),
            ("until=2026-11-20", vec![OLD]),
            ("since=2026-11-20", vec![DELETED]),
        ] {
            assert_eq!(titles(&bench, &format!("/?last=all&{query}")).await, want, "{query}");
        }
        for (name, value, want) in [
            ("principal", INTRUDER, vec![DELETED, OLD]),
            ("principal", READER, vec![]),
            ("secret", SECRET, vec![DELETED, OLD]),
        ] {
            let url = format!("/?last=all&{name}={}", encoded(value));
            assert_eq!(titles(&bench, &url).await, want, "{name}={value}");
        }
    }

    #[tokio::test]
    async fn the_core_table_counts_the_last_day() {
        let bench = Bench::seeded().await;
        let body = bench.get("/").await.body;
        let core = body.split_once("<table class=\"core\">").unwrap().1.split_once("</table>").unwrap().0;
        let counts = core.split("<td class=\"num\">").skip(1).map(|cell| {
            let text = cell.split_once('>').unwrap().1;
            text.split('<').next().unwrap().to_owned()
        });
        assert_eq!(counts.skip(1).collect::<Vec<_>>(), ["0", "0", "1", "0"]);
        let rows = ["Normal read by known role", "Log only", "Possible attack", "Immediate review"];
        assert!(rows.iter().all(|row| core.contains(row)), "{core}");
        assert!(core.contains("<a href=\"/events?last=24h\">1"), "{core}");
    }

    #[tokio::test]
    async fn the_chart_says_in_words_what_it_draws() {
        let bench = Bench::seeded().await;
        let body = bench.get("/").await.body;
        assert!(
            body.contains("Events of the last 24 hours by level: 1 critical, 1 high, 2 warning, 1"),
            "{body}"
        );
        assert!(body.contains("class=\"bar bar-critical\""));
        assert_eq!(body.matches("class=\"hour\"").count(), 24);
    }
}
