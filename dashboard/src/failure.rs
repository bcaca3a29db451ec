//! What a request can end in other than a page, and the page that says so.
//!
//! Says what was wrong with the request and what to do. What went wrong inside is logged here,
//! once, and never shown.

use crate::page;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use keywatch_store::StoreError;

/// Why there is no page.
#[derive(Debug)]
pub(crate) enum Failure {
    /// A query parameter makes no sense.
    Parameter { name: String, problem: String },
    /// A field of a form makes no sense.
    Field { name: &'static str, problem: String },
    /// There is no such page, or no such row.
    NotFound(String),
    /// Nobody is signed in. `again` is the page asked for, when another site linked to it: the
    /// cookie does not come along with such a link.
    SignedOut { again: Option<String> },
    /// The login link was wrong, used or expired.
    WrongLogin,
    /// Too many wrong login links.
    TooManyLogins,
    /// A changing request that another site may have caused.
    CrossSite,
    /// The request names no host, or two.
    NoHost,
    /// The request names a host this dashboard does not answer to.
    Host(String),
    /// The page exists, but not for this method.
    Method,
    /// The form cannot be read; the status says why.
    Form(StatusCode),
    /// It took too long.
    Slow,
    /// The history could not be read.
    Store(StoreError),
    /// Something else inside; already described for the log.
    Internal(String),
}

impl From<StoreError> for Failure {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl From<askama::Error> for Failure {
    fn from(error: askama::Error) -> Self {
        Self::Internal(format!("cannot render a page: {error}"))
    }
}

impl Failure {
    fn status(&self) -> StatusCode {
        match self {
            Self::Parameter { .. } | Self::Field { .. } | Self::NoHost => StatusCode::BAD_REQUEST,
            Self::NotFound(_) => StatusCode::NOT_FOUND,
            Self::SignedOut { .. } | Self::WrongLogin => StatusCode::UNAUTHORIZED,
            Self::TooManyLogins => StatusCode::TOO_MANY_REQUESTS,
            Self::CrossSite => StatusCode::FORBIDDEN,
            Self::Host(_) => StatusCode::MISDIRECTED_REQUEST,
            Self::Method => StatusCode::METHOD_NOT_ALLOWED,
            Self::Form(status) => *status,
            Self::Slow => StatusCode::SERVICE_UNAVAILABLE,
            Self::Store(_) | Self::Internal(_) => StatusCode::INTERNAL_SERVER_ERROR,
        }
    }

    /// Heading and text of the page.
    fn words(&self) -> (&'static str, String) {
        match self {
            Self::Parameter { name, problem } => {
                ("This address makes no sense", format!("Parameter {name}: {problem}."))
            }
            Self::Field { name, problem } => {
                ("This form lacks something", format!("Field {name}: {problem}. Nothing was changed."))
            }
            Self::NotFound(what) => ("Not found", format!("There is no {what}.")),
            Self::SignedOut { .. } => (
                "Sign in",
                "Open the login link Keywatch printed when it started. It works once; restart Keywatch to \
                 get a new one. A session ends after 30 idle minutes, after 12 hours, and when Keywatch stops."
                    .to_owned(),
            ),
            Self::WrongLogin => (
                "This login link does not work",
                "A link works once, for 15 minutes. Restart Keywatch to get a new one.".to_owned(),
            ),
            Self::TooManyLogins => (
                "Too many wrong login links",
                "Wait a minute. The link Keywatch printed still works if it is fresh.".to_owned(),
            ),
            Self::CrossSite => (
                "Refused",
                "This request did not come from a page of this dashboard, so nothing was changed. Open the \
                 dashboard and try from there."
                    .to_owned(),
            ),
            Self::NoHost => {
                ("Bad request", "The request must name one host in its Host header.".to_owned())
            }
            Self::Host(host) => (
                "Wrong address",
                format!(
                    "This dashboard does not answer to the name {host}. Open it under 127.0.0.1 or localhost, \
                     or add the name to the dashboard's host names in the configuration."
                ),
            ),
            Self::Method => ("Not possible here", "This page does not take that method.".to_owned()),
            Self::Form(_) => (
                "This form cannot be read",
                "Forms are sent as application/x-www-form-urlencoded, at most 16 KiB.".to_owned(),
            ),
            Self::Slow => {
                ("That took too long", "Narrow the time range or the filters and try again.".to_owned())
            }
            Self::Store(_) | Self::Internal(_) => (
                "Keywatch could not show this page",
                "The history could not be read; the reason is in Keywatch's log. Nothing was changed."
                    .to_owned(),
            ),
        }
    }

    fn log(&self) {
        match self {
            Self::Store(error) => tracing::error!(error = chain(error), "cannot read the history for a page"),
            Self::Internal(detail) => tracing::error!(detail, "cannot show a page"),
            Self::Slow => tracing::warn!("a page took too long and was given up"),
            Self::TooManyLogins => tracing::warn!("wrong login links are being tried"),
            Self::Parameter { .. }
            | Self::Field { .. }
            | Self::NotFound(_)
            | Self::SignedOut { .. }
            | Self::WrongLogin
            | Self::CrossSite
            | Self::NoHost
            | Self::Host(_)
            | Self::Method
            | Self::Form(_) => {}
        }
    }
}

fn chain(error: &dyn std::error::Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        text.push_str(": ");
        text.push_str(&error.to_string());
        cause = error.source();
    }
    text
}

impl IntoResponse for Failure {
    fn into_response(self) -> Response {
        self.log();
        let status = self.status();
        let (heading, text) = self.words();
        let again = if let Self::SignedOut { again } = &self { again.clone() } else { None };
        page::notice(status, heading, &text, again)
    }
}
