//! Who is told: every receiver of the configuration, and a form to try one out with other
//! settings. What is tried is what stands in the form; nothing is saved.

use crate::app::{App, Shared};
use crate::failure::Failure;
use crate::form::{Fields, Sent};
use crate::page::{self, Chrome};
use crate::receivers::{ReceiverInfo, TrialInfo};
use crate::session::SignedIn;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::response::Response;

/// Longest settings: a receiver with 50 recipients has 4,000 bytes.
const SETTINGS_BYTES_MAX: usize = 12_000;

struct Card {
    info: ReceiverInfo,
    trial: Option<TrialInfo>,
}

#[derive(Template)]
#[template(path = "receivers.html")]
struct ReceiversPage {
    chrome: Chrome,
    cards: Vec<Card>,
}

/// `GET /receivers`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
) -> Result<Response, Failure> {
    show(&app, who, None)
}

/// `POST /receivers`: sends one test message with the settings of the form, and shows all of it.
pub(crate) async fn try_out(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    fields: Fields,
) -> Result<Response, Failure> {
    let sent = Sent::read(fields, &who)?;
    let name = sent.need("name", "it is the name of a receiver")?.to_owned();
    let settings = sent.need("settings", "write the receiver's settings")?.to_owned();
    if settings.len() > SETTINGS_BYTES_MAX {
        let problem = format!("at most {SETTINGS_BYTES_MAX} bytes of settings can be tried");
        return Err(Failure::Field { name: "settings", problem });
    }
    if !app.options.receivers.list().iter().any(|receiver| receiver.name == name) {
        return Err(Failure::NotFound("receiver of this name".to_owned()));
    }
    let trial = app.options.receivers.try_out(name.clone(), settings.clone()).await;
    tracing::info!(receiver = name, delivered = trial.delivered, "a receiver was tried out");
    show(&app, who, Some((name, settings, trial)))
}

fn show(app: &App, who: SignedIn, tried: Option<(String, String, TrialInfo)>) -> Result<Response, Failure> {
    let mut cards: Vec<Card> =
        app.options.receivers.list().into_iter().map(|info| Card { info, trial: None }).collect();
    if let Some((name, settings, trial)) = tried
        && let Some(card) = cards.iter_mut().find(|card| card.info.name == name)
    {
        card.info.settings = settings;
        card.trial = Some(trial);
    }
    let chrome = Chrome::new(app, who, "/receivers", "Receivers");
    page::html(&ReceiversPage { chrome, cards })
}

#[cfg(test)]
mod tests {
    use crate::Options;
    use crate::receivers::{ReceiverInfo, Receivers, SentInfo, Trial, TrialInfo};
    use crate::testing::{Bench, HOSTILE};
    use axum::http::StatusCode;
    use std::sync::{Arc, Mutex};

    /// One receiver that records what it is tried with.
    struct Recorder(Arc<Mutex<Vec<(String, String)>>>);

    impl Receivers for Recorder {
        fn list(&self) -> Vec<ReceiverInfo> {
            let credentials = vec!["env:SLACK_URL".to_owned()];
            let settings = "name: soc\nslack:\n  url: {source: env, path: SLACK_URL}".to_owned();
            let (name, kind, level) = ("soc".to_owned(), "slack".to_owned(), "high".to_owned());
            vec![ReceiverInfo { name, kind, level, target: HOSTILE.to_owned(), credentials, settings }]
        }

        fn try_out(&self, name: String, settings: String) -> Trial {
            self.0.lock().unwrap().push((name, settings));
            let headers = vec![("webhook-id".to_owned(), HOSTILE.to_owned())];
            let sent =
                vec![SentInfo { target: "POST https://h/…".to_owned(), headers, body: HOSTILE.to_owned() }];
            Box::pin(async move {
                TrialInfo {
                    sent,
                    status: Some(403),
                    latency_ms: 17,
                    answer: HOSTILE.to_owned(),
                    error: "answered 403".to_owned(),
                    ..TrialInfo::default()
                }
            })
        }
    }

    async fn bench() -> (Bench, Arc<Mutex<Vec<(String, String)>>>) {
        let tried = Arc::default();
        let receivers = Arc::new(Recorder(Arc::clone(&tried)));
        (Bench::with(Options { receivers, ..Options::default() }, vec![]).await, tried)
    }

    #[tokio::test]
    async fn every_receiver_is_shown_with_its_settings_and_a_form() {
        let (bench, tried) = bench().await;
        let body = bench.get("/receivers").await.body;
        for part in ["soc", "slack", "env:SLACK_URL", "name=\"settings\"", "path: SLACK_URL"] {
            assert!(body.contains(part), "{part}\n{body}");
        }
        assert!(!body.contains("<script") && tried.lock().unwrap().is_empty(), "{body}");
        let none = Bench::empty().await.get("/receivers").await.body;
        assert!(none.contains("keywatch config check"), "{none}");
    }

    #[tokio::test]
    async fn what_is_tried_is_what_stands_in_the_form_and_all_of_it_is_shown() {
        let (bench, tried) = bench().await;
        let body = bench.send("/receivers", "name=soc&settings=name%3A+edited").await.body;
        assert_eq!(*tried.lock().unwrap(), [("soc".to_owned(), "name: edited".to_owned())]);
        for part in
            ["Not delivered", "answered 403", "after 17 ms", "POST https://h/…", "webhook-id", "name: edited"]
        {
            assert!(body.contains(part), "{part}\n{body}");
        }
        assert!(!body.contains("<script"), "{body}");
        let body = bench.get("/receivers").await.body;
        assert!(!body.contains("name: edited"), "it was saved: {body}");
    }

    #[tokio::test]
    async fn the_lines_of_a_browser_are_tried_and_shown_as_they_were() {
        let (bench, tried) = bench().await;
        let body = bench.send("/receivers", "name=soc&settings=name%3A+a%0D%0Alevel%3A+high").await.body;
        assert_eq!(*tried.lock().unwrap(), [("soc".to_owned(), "name: a\nlevel: high".to_owned())]);
        assert!(body.contains("name: a\nlevel: high</textarea>"), "{body}");
    }

    #[tokio::test]
    async fn nothing_is_sent_without_the_forms_token_or_for_a_stranger() {
        let (bench, tried) = bench().await;
        let cookie = [("cookie", bench.cookie.as_str())];
        let forged = bench.post("/receivers", "name=soc&settings=x", &cookie).await;
        assert_eq!(forged.status, StatusCode::FORBIDDEN);
        assert_eq!(bench.send("/receivers", "name=nobody&settings=x").await.status, StatusCode::NOT_FOUND);
        let long = format!("name=soc&settings={}", "x".repeat(12_001));
        assert!(bench.send("/receivers", &long).await.status.is_client_error());
        assert!(bench.send("/receivers", "name=soc&settings=").await.status.is_client_error());
        assert!(tried.lock().unwrap().is_empty());
    }
}
