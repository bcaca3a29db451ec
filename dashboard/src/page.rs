//! From a template to a response: the frame every page shares, and the one place that renders.

use crate::app::App;
use crate::failure::Failure;
use crate::session::SignedIn;
use crate::text::{When, visible};
use askama::Template;
use axum::http::{StatusCode, header};
use axum::response::{Html, IntoResponse, Response};
use chrono::{DateTime, Utc};

/// What the frame of a page needs.
#[derive(Debug)]
pub(crate) struct Chrome {
    /// Title of the window and of the page.
    pub(crate) title: String,
    /// The entry of the navigation this page belongs to.
    pub(crate) active: &'static str,
    /// Token for every form.
    pub(crate) csrf: String,
    /// The name the person last gave.
    pub(crate) who: String,
    /// Every entry of the navigation: path and word.
    pub(crate) navigation: &'static [(&'static str, &'static str)],
    /// When the page was made.
    pub(crate) now: When,
    /// The same, for ages.
    pub(crate) at: DateTime<Utc>,
    /// What stands above every page because somebody must know.
    pub(crate) banner: Option<Banner>,
    /// Keys of the configuration that wait for the next start; empty when none does.
    pub(crate) waiting: String,
}

/// The last attempt to load another configuration failed.
#[derive(Debug)]
pub(crate) struct Banner {
    /// When it was tried.
    pub(crate) when: When,
    /// Every mistake, one per line.
    pub(crate) why: String,
}

/// Entries of the navigation: path and word.
const NAVIGATION: &[(&str, &str)] = &[
    ("/", "Alerts"),
    ("/events", "Events"),
    ("/secrets", "Secrets"),
    ("/principals", "Principals"),
    ("/silences", "Silences"),
    ("/receivers", "Receivers"),
    ("/deliveries", "Deliveries"),
    ("/rejects", "Rejects"),
    ("/sources", "Sources"),
    ("/rules", "Rules"),
];

impl Chrome {
    /// The frame of a page under `active`, one of [`NAVIGATION`]'s paths.
    pub(crate) fn new(app: &App, who: SignedIn, active: &'static str, title: impl Into<String>) -> Self {
        let at = app.now();
        let detection = app.detection();
        Self {
            title: title.into(),
            active,
            csrf: who.csrf,
            who: who.name,
            navigation: NAVIGATION,
            now: When::clock(at, at),
            at,
            waiting: detection.waiting.join(", "),
            banner: detection
                .reload_failed
                .map(|failed| Banner { when: When::clock(failed.at, at), why: failed.why }),
        }
    }
}

/// Renders a page. Whatever a record says, [`visible`] has the last word.
pub(crate) fn html(page: &impl Template) -> Result<Response, Failure> {
    let text = page.render()?;
    Ok(Html(visible(&text).into_owned()).into_response())
}

#[derive(Template)]
#[template(path = "notice.html")]
struct Notice<'a> {
    heading: &'a str,
    text: &'a str,
    again: Option<String>,
}

/// A page that only says something, outside of any session.
pub(crate) fn notice(status: StatusCode, heading: &str, text: &str, again: Option<String>) -> Response {
    let rendered = Notice { heading, text, again }.render();
    match rendered {
        Ok(page) => (status, Html(visible(&page).into_owned())).into_response(),
        Err(_) => (status, [(header::CONTENT_TYPE, "text/plain")], heading.to_owned()).into_response(),
    }
}
