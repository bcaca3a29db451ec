//! All alerts that match: what is done with them is confirmed first, and can be undone.
//!
//! The alerts are looked up again, and what has changed since the page was made is left alone:
//! nobody buries what nobody has seen.

use super::alerts::{self, KNOWN};
use crate::app::{App, Shared};
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::page::{self, Chrome};
use crate::params::{Chip, Params};
use crate::session::SignedIn;
use crate::text::{When, grouped};
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::{StatusCode, Uri};
use axum::response::{IntoResponse, Redirect, Response};
use chrono::{DateTime, Utc};
use keywatch_event::Level;
use keywatch_store::{ActionTaken, AlertRow, Cursor, Page};

/// Alerts that are looked up together: with all they say at most 4 MB.
const ROWS: u32 = 200;
/// Most alerts that are acted on at once. Their ids take half a megabyte.
pub(super) const MATCHING_MAX: usize = 5_000;

/// The alerts that match, as a list showed them.
pub(super) struct Matching {
    /// Ids and revisions.
    pub(super) alerts: Vec<(String, u32)>,
    /// How many of each level.
    counts: Vec<(&'static str, usize)>,
    /// How many have changed since the list was made.
    changed: usize,
    chips: Vec<Chip>,
}

/// What stands above the list after something was done to several alerts.
pub(super) struct DoneLine {
    pub(super) id: i64,
    pub(super) what: String,
    pub(super) alerts: String,
    pub(super) when: When,
    pub(super) undone: Option<String>,
}

#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    chrome: Chrome,
    verb: &'static str,
    total: String,
    counts: Vec<(&'static str, usize)>,
    changed: usize,
    chips: Vec<Chip>,
    kept: Vec<(&'static str, String)>,
    back: String,
}

/// Every alert of the list the form was on.
pub(super) async fn matching(app: &App, sent: &Sent) -> Result<Matching, Failure> {
    let bad = |name, problem: &str| Failure::Field { name, problem: problem.to_owned() };
    let seen: DateTime<Utc> =
        sent.text("seen").parse().map_err(|_unreadable| bad("seen", "open the list again"))?;
    let uri: Uri = sent.back().parse().map_err(|_unreadable| bad("back", "open the list again"))?;
    let mut params = Params::read(&uri, &KNOWN)?;
    params.take("done");
    let filter = alerts::filter(&params, params.range(seen, "24h")?.span)?;
    let (mut rows, mut after): (Vec<(String, u32, Level)>, Option<Cursor>) = (Vec::new(), None);
    let mut changed = 0;
    loop {
        let listed = app.store.alerts(&filter, Page { after, limit: ROWS }).await?;
        let (same, others): (Vec<AlertRow>, Vec<AlertRow>) =
            listed.rows.into_iter().partition(|row| row.changed_at <= seen);
        changed += others.len();
        rows.extend(same.into_iter().map(|row| (row.id, row.revision, row.level)));
        if rows.len() > MATCHING_MAX {
            let problem = format!("more than {MATCHING_MAX} alerts match; narrow the list, by time or rule");
            return Err(Failure::Field { name: "scope", problem });
        }
        after = listed.next;
        if after.is_none() {
            break;
        }
    }
    let count = |level: &Level| (level.as_str(), rows.iter().filter(|(.., known)| known == level).count());
    Ok(Matching {
        counts: Level::ALL.iter().rev().map(count).filter(|(_, count)| *count > 0).collect(),
        changed,
        chips: params.chips(&alerts::FILTERS),
        alerts: rows.into_iter().map(|(id, revision, _)| (id, revision)).collect(),
    })
}

/// Asks whether it is meant.
pub(super) async fn confirm(app: &App, who: SignedIn, sent: &Sent) -> Result<Response, Failure> {
    let found = matching(app, sent).await?;
    if found.alerts.is_empty() {
        return Err(Failure::Field { name: "scope", problem: "no alert matches any more".to_owned() });
    }
    let verb = match sent.text("action") {
        "acknowledge" => "Acknowledge",
        "resolve" => "Resolve",
        _ => "Reopen",
    };
    let kept = ["action", "resolution", "note", "who", "seen", "back"];
    page::html(&ConfirmPage {
        chrome: Chrome::new(app, who, "/", format!("{verb} {} alerts?", grouped(found.alerts.len() as u64))),
        verb,
        total: grouped(found.alerts.len() as u64),
        counts: found.counts,
        changed: found.changed,
        chips: found.chips,
        kept: kept.map(|name| (name, sent.text(name).to_owned())).into(),
        back: sent.back(),
    })
}

/// The list, with what was done above it.
pub(super) fn back_with(back: &str, action: i64) -> String {
    let and = if back.contains('?') { '&' } else { '?' };
    format!("{back}{and}done={action}")
}

/// What was done, for the list.
pub(super) fn done_line(taken: ActionTaken, now: DateTime<Utc>) -> DoneLine {
    DoneLine {
        id: taken.id,
        what: taken.what,
        alerts: grouped(taken.alerts),
        when: When::clock(taken.at, now),
        undone: taken.undone.map(|(who, _)| who),
    }
}

/// `POST /alerts/undo`
pub(crate) async fn undo(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Response, Failure> {
    let sent = Sent::read(fields, &who)?;
    let problem = || "open the list again; it is the number of what was done".to_owned();
    let id = sent.text("id").parse().ok();
    let id: i64 = id.ok_or_else(|| Failure::Field { name: "id", problem: problem() })?;
    let name = sent.who(&app, &who)?;
    let undone = app.store.undo(id, &name, app.now(), &*app.options.routing).await?;
    let Some(undone) = undone else {
        let text = "It was undone already, or was too long ago: only the latest hundred are kept.";
        return Ok(page::notice(StatusCode::CONFLICT, "Nothing to undo", text, None));
    };
    tracing::info!(
        who = name,
        action = id,
        alerts = undone.restored,
        left = undone.left,
        "an action was undone"
    );
    (app.options.changed)();
    if undone.left == 0 {
        return Ok(Redirect::to(&back_with(&sent.back(), id)).into_response());
    }
    let text = format!(
        "{} alerts are as they were before. {} have changed since and were left as they are.",
        undone.restored, undone.left
    );
    Ok(page::notice(StatusCode::CONFLICT, "Undone in part", &text, None))
}

#[cfg(test)]
mod tests {
    use crate::testing::{Answer, Bench};
    use axum::http::{StatusCode, header};

    const DELETED: &str = "j.doe deleted prod/db/password";
    const OLD: &str = "An alert of last week";
    const LIST: &str = "back=/%3flast%3dall%26rule%3dKW-004&scope=matching&who=Ada";

    /// The form on the list of KW-004, sent with `more`.
    async fn send(bench: &Bench, more: &str) -> Answer {
        let seen = crate::testing::start().to_rfc3339().replace('+', "%2b");
        bench.send("/alerts", &format!("{LIST}&seen={seen}&{more}")).await
    }

    async fn open(bench: &Bench) -> usize {
        let body = bench.get("/?last=all&rule=KW-004&status=open").await.body;
        [DELETED, OLD].into_iter().filter(|title| body.contains(title)).count()
    }

    #[tokio::test]
    async fn all_that_match_are_acknowledged_once_it_is_confirmed_and_undone_with_one_click() {
        let bench = Bench::seeded().await;
        let asked = send(&bench, "action=acknowledge").await;
        assert_eq!(asked.status, StatusCode::OK, "{}", asked.body);
        assert!(asked.body.contains("<h1>Acknowledge 2 alerts?</h1>"), "{}", asked.body);
        assert_eq!(open(&bench).await, 2, "nothing was done yet");

        let done = send(&bench, "action=acknowledge&confirmed=yes").await;
        assert_eq!(done.status, StatusCode::SEE_OTHER, "{}", done.body);
        let list = done.headers.get(header::LOCATION).unwrap().to_str().unwrap().to_owned();
        assert_eq!(list, "/?last=all&rule=KW-004&done=1");
        assert_eq!(open(&bench).await, 0);
        let body = bench.get(&list).await.body;
        assert!(body.contains("acknowledged by Ada: 2 alerts"), "{body}");
        assert!(body.contains("action=\"/alerts/undo\""), "{body}");

        let undone = bench.send("/alerts/undo", "id=1&who=Bob&back=/?last=all").await;
        assert_eq!(undone.status, StatusCode::SEE_OTHER, "{}", undone.body);
        assert_eq!(open(&bench).await, 2);
        assert!(bench.get(&list).await.body.contains("undone by Bob"));
        let history = bench.store.alert("alert-1").await.unwrap().unwrap().history;
        let undoing = history.last().map(|entry| (entry.what.as_str(), entry.who.as_deref()));
        assert_eq!(undoing, Some(("undone", Some("Bob"))));
        let again = bench.send("/alerts/undo", "id=1&who=Bob").await;
        assert_eq!(again.status, StatusCode::CONFLICT, "{}", again.body);
    }

    #[tokio::test]
    async fn what_changed_since_the_list_was_made_is_left_alone() {
        let bench = Bench::seeded().await;
        let seen = (crate::testing::start() - chrono::TimeDelta::days(300)).to_rfc3339().replace('+', "%2b");
        let form = format!("{LIST}&seen={seen}&action=resolve&resolution=benign&confirmed=yes");
        let answer = bench.send("/alerts", &form).await;
        assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{}", answer.body);
        assert_eq!(open(&bench).await, 2);
        let unsaid = bench.send("/alerts", &format!("{LIST}&action=acknowledge")).await;
        assert!(unsaid.body.contains("open the list again"), "{}", unsaid.body);
        assert_eq!(bench.send("/alerts/undo", "id=x&who=Ada").await.status, StatusCode::BAD_REQUEST);
    }
}
