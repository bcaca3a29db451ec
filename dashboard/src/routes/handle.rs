//! Acknowledging, resolving and reopening alerts: one from its page, those chosen in the list, or all
//! that match it.
//!
//! Each comes with the revision the person saw, so that nobody resolves what has grown meanwhile.

use super::bulk;
use crate::app::Shared;
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::page;
use crate::session::SignedIn;
use axum::Extension;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Redirect, Response};
use keywatch_store::{Action, HANDLED_MAX, Handled, Handling, Resolution};

/// Alerts that are named one by one when they could not be handled.
const LISTED: usize = 20;

/// `POST /alerts`
pub(crate) async fn handle(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Response, Failure> {
    let sent = Sent::read(fields, &who)?;
    let action = action(&sent)?;
    let name = sent.who(&app, &who)?;
    let alerts = match (sent.text("scope"), sent.text("confirmed")) {
        ("matching", "yes") => bulk::matching(&app, &sent).await?.alerts,
        ("matching", _) => return bulk::confirm(&app, who, &sent).await,
        _ => chosen(&sent)?,
    };
    if alerts.is_empty() {
        return Err(Failure::Field { name: "alert", problem: "choose at least one alert".to_owned() });
    }
    let undoable = match alerts.len() {
        1 => None,
        _ => Some(app.store.begin_action(&words(action, &name), &name, app.now()).await?),
    };
    let handling = Handling { action, who: &name, note: sent.text("note"), now: app.now(), undoable };
    let mut answers = Vec::with_capacity(alerts.len());
    for some in alerts.chunks(HANDLED_MAX) {
        answers.extend(app.store.handle(some, &handling, &*app.options.routing).await?);
    }
    (app.options.changed)();
    let done = answers.iter().filter(|answer| matches!(answer, Handled::Done | Handled::Already)).count();
    tracing::info!(who = name, action = ?action, alerts = answers.len(), done, "alerts were handled");
    if done == answers.len() {
        let back = undoable.map_or_else(|| sent.back(), |action| bulk::back_with(&sent.back(), action));
        return Ok(Redirect::to(&back).into_response());
    }
    let text = told(&alerts, &answers, done);
    Ok(page::notice(StatusCode::CONFLICT, "Look again", &text, None))
}

fn action(sent: &Sent) -> Result<Action, Failure> {
    match sent.text("action") {
        "acknowledge" => Ok(Action::Acknowledge),
        "reopen" => Ok(Action::Reopen),
        "resolve" => {
            let wanted = sent.text("resolution");
            let known = Resolution::ALL.iter().copied().find(|known| known.as_str() == wanted);
            let problem = || {
                let names: Vec<_> = Resolution::ALL.iter().map(|known| known.as_str()).collect();
                format!("say why it is resolved: {}", names.join(", "))
            };
            let why = known.ok_or_else(|| Failure::Field { name: "resolution", problem: problem() })?;
            if why == Resolution::Other {
                sent.need("note", "a reason of `other` needs a note that says which")?;
            }
            Ok(Action::Resolve(why))
        }
        _ => {
            let problem = "it is one of acknowledge, resolve, reopen".to_owned();
            Err(Failure::Field { name: "action", problem })
        }
    }
}

/// The alerts with the revisions that were shown: `id~revision`.
fn chosen(sent: &Sent) -> Result<Vec<(String, u32)>, Failure> {
    let bad = |problem: String| Failure::Field { name: "alert", problem };
    let mut alerts = Vec::new();
    for text in sent.all("alert") {
        let read = text.rsplit_once('~').and_then(|(id, seen)| Some((id.to_owned(), seen.parse().ok()?)));
        alerts.push(read.ok_or_else(|| bad("open the page again and choose from it".to_owned()))?);
    }
    if alerts.len() > HANDLED_MAX {
        return Err(bad(format!("choose at most {HANDLED_MAX} alerts at a time")));
    }
    Ok(alerts)
}

/// What was done, for whoever may undo it.
fn words(action: Action, who: &str) -> String {
    match action {
        Action::Acknowledge => format!("acknowledged by {who}"),
        Action::Resolve(why) => format!("resolved by {who} as {}", why.as_str()),
        Action::Reopen => format!("reopened by {who}"),
    }
}

fn told(alerts: &[(String, u32)], answers: &[Handled], done: usize) -> String {
    let mut sentences = vec![format!("{done} of {} done.", answers.len())];
    for ((id, _), answer) in alerts.iter().zip(answers) {
        let why = match answer {
            Handled::Done | Handled::Already => continue,
            Handled::Changed => {
                "has changed since the page was made: look at what is new, then decide".to_owned()
            }
            Handled::Impossible(status) => format!("is {} and cannot be handled so", status.as_str()),
            Handled::Unknown => "does not exist".to_owned(),
        };
        if sentences.len() > LISTED {
            sentences.push("And more.".to_owned());
            break;
        }
        sentences.push(format!("Alert {id} {why}."));
    }
    sentences.join(" ")
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;
    use axum::http::{StatusCode, header};

    impl Bench {
        /// A form of a page of this session.
        pub(crate) async fn send(&self, url: &str, form: &str) -> crate::testing::Answer {
            let form = format!("csrf={}&{form}", self.csrf().await);
            self.post(url, &form, &[("cookie", &self.cookie)]).await
        }
    }

    #[tokio::test]
    async fn an_alert_is_acknowledged_from_its_page_and_the_history_says_who() {
        let bench = Bench::seeded().await;
        let form = "action=acknowledge&alert=alert-1~1&who=Ada+L.&note=on+it&back=/alerts/alert-1";
        let answer = bench.send("/alerts", form).await;
        assert_eq!(answer.status, StatusCode::SEE_OTHER, "{}", answer.body);
        assert_eq!(answer.headers.get(header::LOCATION).unwrap(), "/alerts/alert-1");
        let body = bench.get("/alerts/alert-1").await.body;
        for part in ["acknowledged", "Ada L.", "on it", "value=\"Ada L.\""] {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }

    #[tokio::test]
    async fn chosen_alerts_are_resolved_together_and_what_has_changed_is_named() {
        let bench = Bench::seeded().await;
        let form = "action=resolve&resolution=benign&alert=alert-1~1&alert=alert-old~7&alert=x~1&who=ada";
        let answer = bench.send("/alerts", form).await;
        assert_eq!(answer.status, StatusCode::CONFLICT);
        for part in ["1 of 3 done", "alert-old has changed since", "Alert x does not exist"] {
            assert!(answer.body.contains(part), "{part}\n{}", answer.body);
        }
        let body = bench.get("/?last=all&status=resolved").await.body;
        assert!(body.contains("j.doe deleted prod/db/password"), "{body}");
        assert!(!body.contains("An alert of last week"), "{body}");
    }

    #[tokio::test]
    async fn a_form_without_the_pages_token_or_with_nonsense_changes_nothing() {
        let bench = Bench::seeded().await;
        let cookie = [("cookie", bench.cookie.as_str())];
        let bare = "action=acknowledge&alert=alert-1~1&who=ada";
        assert_eq!(bench.post("/alerts", bare, &cookie).await.status, StatusCode::FORBIDDEN);
        for (form, part) in [
            ("action=acknowledge&alert=alert-1~1", "say who you are"),
            ("action=acknowledge&who=ada", "choose at least one alert"),
            ("action=acknowledge&alert=alert-1&who=ada", "open the page again"),
            ("action=delete&alert=alert-1~1&who=ada", "one of acknowledge, resolve, reopen"),
            ("action=resolve&alert=alert-1~1&who=ada", "say why it is resolved"),
            ("action=resolve&resolution=other&alert=alert-1~1&who=ada", "needs a note"),
        ] {
            let answer = bench.send("/alerts", form).await;
            assert_eq!(answer.status, StatusCode::BAD_REQUEST, "{form}");
            assert!(answer.body.contains(part), "{form}\n{}", answer.body);
        }
        let body = bench.get("/alerts/alert-1").await.body;
        assert!(!body.contains("<td data-label=\"What\">acknowledged"), "{body}");
    }

    #[tokio::test]
    async fn a_form_leads_back_to_this_dashboard_only() {
        let bench = Bench::seeded().await;
        for back in ["https://evil.example/", "//evil.example", "/%5cevil.example", ""] {
            let form = format!("action=acknowledge&alert=alert-1~1&who=ada&back={back}");
            let answer = bench.send("/alerts", &form).await;
            assert_eq!(answer.headers.get(header::LOCATION).unwrap(), "/", "{back}");
        }
    }
}
