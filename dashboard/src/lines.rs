//! Events as lines of a table: every value a link that narrows the list to it.

use crate::params::Params;
use crate::text::{When, encoded};
use chrono::{DateTime, Utc};
use keywatch_store::{AccessSummary, EventRow};

/// Secrets a line shows; the event's own page shows all.
const SECRETS_SHOWN: usize = 3;

/// A value, the link that shows only it, and the page about it when there is one.
#[derive(Debug)]
pub(crate) struct Value {
    /// What is shown.
    pub(crate) text: String,
    /// The full value, when what is shown is a short name.
    pub(crate) full: String,
    /// Link to the list with only this value.
    pub(crate) only: String,
    /// Link to the page about it.
    pub(crate) page: Option<String>,
}

/// One event in a table.
#[derive(Debug)]
pub(crate) struct EventLine {
    pub(crate) url: String,
    pub(crate) when: When,
    pub(crate) level: &'static str,
    pub(crate) provider: Value,
    pub(crate) class: Value,
    pub(crate) operation: Value,
    pub(crate) outcome: Value,
    pub(crate) failed: bool,
    pub(crate) principal: Value,
    pub(crate) source: Option<Value>,
    pub(crate) account: Option<Value>,
    pub(crate) secrets: Vec<Value>,
    pub(crate) more_secrets: usize,
    pub(crate) echo: bool,
    pub(crate) place: String,
}

/// Link to the page of an event.
pub(crate) fn event_url(id: &str) -> String {
    format!("/events/{}", encoded(id))
}

/// Link to the page of an alert.
pub(crate) fn alert_url(id: &str) -> String {
    format!("/alerts/{}", encoded(id))
}

/// Link to the page of a principal.
pub(crate) fn principal_url(id: &str) -> String {
    format!("/principals/{}", encoded(id))
}

/// Link to the page of a secret.
pub(crate) fn secret_url(id: &str) -> String {
    format!("/secrets/{}", encoded(id))
}

/// The unfiltered history, to build links from on pages that are not the history.
pub(crate) fn history() -> Params {
    Params::of_path("/events")
}

impl Value {
    /// A value whose link sets the filter `name` of `list`.
    pub(crate) fn new(list: &Params, name: &str, value: &str) -> Self {
        let only = list.with(name, value);
        Self { text: value.to_owned(), full: value.to_owned(), only, page: None }
    }

    /// A principal, under its readable name when it has one.
    pub(crate) fn principal(list: &Params, id: &str, name: Option<&str>) -> Self {
        let text = name.filter(|name| !name.is_empty()).unwrap_or(id).to_owned();
        Self { text, page: Some(principal_url(id)), ..Self::new(list, "principal", id) }
    }

    /// A secret.
    pub(crate) fn secret(list: &Params, id: &str) -> Self {
        Self { page: Some(secret_url(id)), ..Self::new(list, "secret", id) }
    }

    /// Whether what is shown stands for something longer.
    pub(crate) fn is_short(&self) -> bool {
        self.text != self.full
    }
}

impl EventLine {
    /// A stored event as a line of `list`.
    pub(crate) fn new(row: &EventRow, list: &Params, now: DateTime<Utc>) -> Self {
        let value = |name: &str, value: &str| Value::new(list, name, value);
        let secrets = row.secrets.iter().take(SECRETS_SHOWN);
        Self {
            url: event_url(&row.id),
            when: When::event(row.time, now),
            level: row.level.as_str(),
            provider: value("provider", row.provider.as_str()),
            class: value("class", row.class.as_str()),
            operation: value("operation", &row.operation),
            outcome: value("outcome", row.outcome.as_str()),
            failed: row.outcome != keywatch_event::Outcome::Ok,
            principal: Value::principal(list, &row.principal, row.principal_name.as_deref()),
            source: row.source.as_deref().map(|source| value("source", source)),
            account: row.account.as_deref().map(|account| value("account", account)),
            secrets: secrets.map(|id| Value::secret(list, id)).collect(),
            more_secrets: row.secrets.len().saturating_sub(SECRETS_SHOWN),
            echo: row.echo,
            place: row.place.to_string(),
        }
    }

    /// Every row as a line.
    pub(crate) fn all(rows: &[EventRow], list: &Params, now: DateTime<Utc>) -> Vec<Self> {
        rows.iter().map(|row| Self::new(row, list, now)).collect()
    }
}

/// One pair of secret and principal, seen from either side.
#[derive(Debug)]
pub(crate) struct PairLine {
    /// Readable name, or the id.
    pub(crate) text: String,
    /// The id, when the name is another.
    pub(crate) id: Option<String>,
    /// The page of the other side.
    pub(crate) page: String,
    /// The history of exactly this pair.
    pub(crate) both: String,
    pub(crate) first: When,
    pub(crate) last: When,
    pub(crate) ok: u64,
    pub(crate) failed: u64,
    pub(crate) sources: u64,
}

impl PairLine {
    /// A summary row; `page` is the page of its id, `both` the history of the pair.
    pub(crate) fn new(row: AccessSummary, page: String, both: String, now: DateTime<Utc>) -> Self {
        let name = row.name.filter(|name| !name.is_empty() && *name != row.id);
        Self {
            id: name.is_some().then(|| row.id.clone()),
            text: name.unwrap_or(row.id),
            page,
            both,
            first: When::event(row.first_at, now),
            last: When::event(row.last_at, now),
            ok: row.ok,
            failed: row.failed,
            sources: row.sources,
        }
    }
}
