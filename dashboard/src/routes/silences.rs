//! Silences: who asked not to be told of what, why and until when; making one and ending one.
//!
//! Before one is made the page says what it would have hidden in the last 30 days.

use crate::app::{App, ConfiguredSilence, Shared};
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::lines::alert_url;
use crate::page::{self, Chrome};
use crate::params::{Params, moment};
use crate::session::SignedIn;
use crate::text::When;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_event::{
    EventTime, Level, MATCHERS_MAX, Matcher, Subject, all_match, matchers_from, matchers_text,
};
use keywatch_store::{AlertFilter, AlertRow, Cursor, NewSilence, Page, SILENCES_MAX, Silence, Span};

/// How far back a preview looks.
const PREVIEW_DAYS: i64 = 30;
/// Most stored alerts a preview looks at, the latest; it says when there were more.
const PREVIEW_ALERTS_MAX: usize = 20_000;
/// Alerts a preview lists.
const LISTED: usize = 10;
/// Longest time a silence may last: what lasts longer belongs into the rule or the configuration.
const DAYS_MAX: i64 = 366;
/// Longest reason, in characters.
const REASON_CHARS_MAX: usize = 500;

struct SilenceLine {
    id: Option<i64>,
    name: String,
    matchers: Vec<String>,
    starts: Option<When>,
    ends: Option<When>,
    when: String,
    author: String,
    reason: String,
    state: &'static str,
}

struct PreviewLine {
    url: String,
    title: String,
    level: &'static str,
    opened: When,
}

struct Preview {
    counts: Vec<(&'static str, usize)>,
    hidden: usize,
    looked_at: usize,
    more: bool,
    lines: Vec<PreviewLine>,
}

/// What stands in the form.
#[derive(Default)]
struct Draft {
    matchers: String,
    starts: String,
    ends: String,
    who: String,
    reason: String,
}

#[derive(Template)]
#[template(path = "silences.html")]
struct SilencesPage {
    chrome: Chrome,
    draft: Draft,
    problem: Option<String>,
    preview: Option<Preview>,
    lines: Vec<SilenceLine>,
}

/// `GET /silences`; `matchers` may come from a link on an alert's page.
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &["matchers"])?;
    let now = app.now();
    let draft = Draft {
        matchers: params.owned("matchers").unwrap_or_default(),
        starts: field(now),
        ends: field(now + TimeDelta::hours(2)),
        who: who.name.clone(),
        reason: String::new(),
    };
    show(&app, who, draft, None, None).await
}

/// `POST /silences`: previews it, or makes it.
pub(crate) async fn make(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Response, Failure> {
    let sent = Sent::read(fields, &who)?;
    let draft = Draft {
        matchers: sent.text("matchers").to_owned(),
        starts: sent.text("starts").to_owned(),
        ends: sent.text("ends").to_owned(),
        who: sent.text("who").to_owned(),
        reason: sent.text("reason").to_owned(),
    };
    let matchers = match matchers_of(&draft) {
        Ok(matchers) => matchers,
        Err(problem) => return show(&app, who, draft, Some(problem), None).await,
    };
    if sent.text("step") != "make" {
        let preview = preview(&app, &matchers).await?;
        return show(&app, who, draft, None, Some(preview)).await;
    }
    let (starts_at, ends_at) = match times_of(&draft, app.now()) {
        Ok(times) => times,
        Err(problem) => return show(&app, who, draft, Some(problem), None).await,
    };
    sent.who(&app, &who)?;
    let new =
        NewSilence { matchers: &matchers, starts_at, ends_at, author: &draft.who, reason: &draft.reason };
    let Some(id) = app.store.silence(&new, app.now()).await? else {
        let problem = format!("there are {SILENCES_MAX} silences already; end some first");
        return show(&app, who, draft, Some(problem), None).await;
    };
    tracing::info!(id, who = draft.who, reason = draft.reason, until = %ends_at, "a silence was made");
    Ok(Redirect::to("/silences").into_response())
}

/// `POST /silences/expire`
pub(crate) async fn expire(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Redirect, Failure> {
    let sent = Sent::read(fields, &who)?;
    let problem = || Failure::Field { name: "id", problem: "it is the number of a silence".to_owned() };
    let id = sent.text("id").parse().ok().ok_or_else(problem)?;
    let name = sent.who(&app, &who)?;
    app.store.expire_silence(id, &name, app.now()).await?;
    tracing::info!(id, who = name, "a silence was ended");
    (app.options.changed)();
    Ok(Redirect::to("/silences"))
}

async fn show(
    app: &App,
    who: SignedIn,
    draft: Draft,
    problem: Option<String>,
    preview: Option<Preview>,
) -> Result<Response, Failure> {
    let now = app.now();
    let stored = app.store.silences(now).await?;
    let configured = (app.options.silences)();
    let lines = configured.iter().map(|one| configured_line(one, now));
    page::html(&SilencesPage {
        chrome: Chrome::new(app, who, "/silences", "Silences"),
        lines: lines.chain(stored.iter().map(|one| stored_line(one, now))).collect(),
        draft,
        problem,
        preview,
    })
}

fn matchers_of(draft: &Draft) -> Result<Vec<Matcher>, String> {
    let matchers = matchers_from(&draft.matchers).map_err(|error| error.to_string())?;
    match matchers.len() {
        0 => Err("say which alerts: one matcher per line, such as rule=KW-002".to_owned()),
        1..=MATCHERS_MAX => Ok(matchers),
        _ => Err(format!("at most {MATCHERS_MAX} matchers")),
    }
}

fn times_of(draft: &Draft, now: DateTime<Utc>) -> Result<(DateTime<Utc>, DateTime<Utc>), String> {
    let read = |text: &str, what: &str| {
        let time = moment(text).map(EventTime::to_chrono);
        time.ok_or_else(|| format!("{what}: write a time as 2026-01-31T12:00 (UTC)"))
    };
    let (starts, ends) = (read(&draft.starts, "from")?, read(&draft.ends, "until")?);
    if ends <= starts || ends <= now {
        return Err("it must end after it starts, and later than now".to_owned());
    }
    if ends - starts.max(now) > TimeDelta::days(DAYS_MAX) {
        return Err(format!("it may last at most {DAYS_MAX} days; change the rule if it should be for good"));
    }
    if draft.who.is_empty() || draft.reason.is_empty() {
        return Err("say who asks for it and why".to_owned());
    }
    if draft.reason.chars().count() > REASON_CHARS_MAX {
        return Err(format!("the reason may have {REASON_CHARS_MAX} characters"));
    }
    Ok((starts, ends))
}

/// What these matchers would have hidden.
async fn preview(app: &App, matchers: &[Matcher]) -> Result<Preview, Failure> {
    let now = app.now();
    let since = EventTime::from_secs((now - TimeDelta::days(PREVIEW_DAYS)).timestamp());
    let filter = AlertFilter { span: Span { since: Some(since), until: None }, ..AlertFilter::default() };
    let mut preview = Preview { counts: Vec::new(), hidden: 0, looked_at: 0, more: false, lines: Vec::new() };
    let mut levels: Vec<Level> = Vec::new();
    let mut after: Option<Cursor> = None;
    loop {
        let listed = app.store.alerts(&filter, Page { after, limit: keywatch_store::PAGE_MAX }).await?;
        preview.looked_at += listed.rows.len();
        for row in &listed.rows {
            if all_match(matchers, &Subject::from_json(&row.json)) {
                levels.push(row.level);
                if preview.lines.len() < LISTED {
                    preview.lines.push(preview_line(row, now));
                }
            }
        }
        after = listed.next;
        preview.more = after.is_some();
        if after.is_none() || preview.looked_at >= PREVIEW_ALERTS_MAX {
            break;
        }
    }
    preview.hidden = levels.len();
    let count = |level: &Level| (level.as_str(), levels.iter().filter(|known| *known == level).count());
    preview.counts = Level::ALL.iter().rev().map(count).filter(|(_, count)| *count > 0).collect();
    Ok(preview)
}

fn preview_line(row: &AlertRow, now: DateTime<Utc>) -> PreviewLine {
    PreviewLine {
        url: alert_url(&row.id),
        title: row.title.clone(),
        level: row.level.as_str(),
        opened: When::event(row.opened_at, now),
    }
}

fn stored_line(one: &Silence, now: DateTime<Utc>) -> SilenceLine {
    let state = match (&one.expired_by, one.is_active(now)) {
        (_, true) => "in force",
        (Some(_), false) => "ended early",
        (None, false) if now < one.starts_at => "to come",
        (None, false) => "over",
    };
    let ended = one.expired_by.as_ref().map(|who| format!("ended by {who}"));
    SilenceLine {
        id: (one.ends_at > now).then_some(one.id),
        name: one.name(),
        matchers: one.matchers.iter().map(ToString::to_string).collect(),
        starts: Some(When::clock(one.starts_at, now)),
        ends: Some(When::clock(one.ends_at, now)),
        when: ended.unwrap_or_default(),
        author: one.author.clone(),
        reason: one.reason.clone(),
        state,
    }
}

fn configured_line(one: &ConfiguredSilence, now: DateTime<Utc>) -> SilenceLine {
    SilenceLine {
        id: None,
        name: one.name.clone(),
        matchers: matchers_text(&one.matchers).lines().map(str::to_owned).collect(),
        starts: one.starts_at.map(|at| When::clock(at, now)),
        ends: one.ends_at.map(|at| When::clock(at, now)),
        when: one.window.clone(),
        author: one.author.clone(),
        reason: one.reason.clone(),
        state: if one.active { "in force" } else { "not now" },
    }
}

/// As `datetime-local` writes it.
fn field(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%dT%H:%M").to_string()
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use axum::http::StatusCode;

    const TIMES: &str = "starts=2026-11-22T18:00&ends=2026-11-22T22:00";

    #[tokio::test]
    async fn a_preview_counts_by_level_what_would_have_been_hidden() {
        let bench = Bench::seeded().await;
        let body = bench.send("/silences", "step=preview&matchers=rule%3DKW-004").await.body;
        for part in ["3 of 4 alerts", "j.doe deleted prod/db/password", "An alert of last week"] {
            assert!(body.contains(part), "{part}\n{body}");
        }
        let body = bench.send("/silences", "step=preview&matchers=level%3Dhigh").await.body;
        assert!(body.contains("1 of 4 alerts"), "{body}");
        assert!(bench.store.silences(crate::testing::start()).await.unwrap().is_empty());
    }

    #[tokio::test]
    async fn a_silence_is_made_shown_and_ended() {
        let bench = Bench::seeded().await;
        let form = format!("step=make&matchers=rule%3DKW-002&{TIMES}&who=ada&reason=fire+drill");
        assert_eq!(bench.send("/silences", &form).await.status, StatusCode::SEE_OTHER);
        let body = bench.get("/silences").await.body;
        for part in ["rule=KW-002", "fire drill", "in force", "silence 1"] {
            assert!(body.contains(part), "{part}\n{body}");
        }
        assert_eq!(bench.send("/silences/expire", "id=1&who=bob").await.status, StatusCode::SEE_OTHER);
        let body = bench.get("/silences").await.body;
        assert!(body.contains("ended by bob"), "{body}");
    }

    #[tokio::test]
    async fn a_silence_without_matchers_end_name_or_reason_is_refused_and_the_form_keeps_what_was_typed() {
        let bench = Bench::seeded().await;
        for (form, part) in [
            (format!("{TIMES}&who=ada&reason=drill"), "say which alerts"),
            (format!("matchers=rul%3Dx&{TIMES}&who=ada&reason=drill"), "is not one of rule"),
            (format!("matchers=rule%3Dx&{TIMES}&who=ada"), "say who asks for it and why"),
            ("matchers=rule%3Dx&who=ada&reason=drill".to_owned(), "write a time as"),
            (
                "matchers=rule%3Dx&starts=2026-11-22T18:00&ends=2026-11-22T17:00&who=a&reason=b".to_owned(),
                "must end after",
            ),
            (
                "matchers=rule%3Dx&starts=2026-11-22T18:00&ends=2029-11-22T17:00&who=a&reason=b".to_owned(),
                "at most 366 days",
            ),
        ] {
            let body = bench.send("/silences", &format!("step=make&{form}")).await.body;
            assert!(body.contains(part), "{form}\n{body}");
        }
        assert!(bench.store.silences(crate::testing::start()).await.unwrap().is_empty());
        let cookie = [("cookie", bench.cookie.as_str())];
        for url in ["/silences", "/silences/expire"] {
            assert_eq!(bench.post(url, "id=1", &cookie).await.status, StatusCode::FORBIDDEN);
        }
    }
}
