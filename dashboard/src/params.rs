//! The query string of a page: its filters, its place in a list, and links that change one of them.
//!
//! A parameter nobody reads, one given twice or one that says nothing sensible is refused by name:
//! a filter that is silently ignored shows too much and looks like an answer.

use crate::failure::Failure;
use crate::text::{encoded, stamp};
use axum::extract::Query;
use axum::http::Uri;
use chrono::{DateTime, NaiveDate, NaiveDateTime, TimeDelta, Utc};
use keywatch_event::EventTime;
use keywatch_store::{Cursor, Page, Span};
use std::fmt::Display;
use std::str::FromStr;

/// Rows on one page of a list.
pub(crate) const ROWS: u32 = 100;
/// Longest value of a parameter, bytes; ids of secrets and principals stay far below.
const VALUE_BYTES_MAX: usize = 2048;

/// The parameters of one request.
#[derive(Clone, Debug)]
pub(crate) struct Params {
    path: String,
    pairs: Vec<(String, String)>,
}

/// One active filter as a page shows it.
#[derive(Debug)]
pub(crate) struct Chip {
    /// What is filtered.
    pub(crate) name: String,
    /// To which value.
    pub(crate) value: String,
    /// The page without it.
    pub(crate) remove: String,
    /// The page about the value, when there is one.
    pub(crate) open: Option<String>,
}

/// One entry of a drop-down.
#[derive(Debug)]
pub(crate) struct Choice {
    /// What the link says.
    pub(crate) value: &'static str,
    /// What a person reads.
    pub(crate) label: &'static str,
    /// Whether it is chosen now.
    pub(crate) selected: bool,
}

/// The stretch of time a page shows.
#[derive(Debug)]
pub(crate) struct Range {
    /// For the store.
    pub(crate) span: Span,
    /// In words: `last 24 hours`.
    pub(crate) label: String,
    /// The drop-down.
    pub(crate) choices: Vec<Choice>,
    /// For the `since` field, as `datetime-local` writes it.
    pub(crate) since: String,
    /// For the `until` field.
    pub(crate) until: String,
    /// Whether everything is shown.
    pub(crate) is_all: bool,
}

/// Names, words and seconds of the stretches one can choose.
const STRETCHES: [(&str, &str, i64); 5] = [
    ("1h", "last hour", 3600),
    ("24h", "last 24 hours", 86_400),
    ("7d", "last 7 days", 604_800),
    ("30d", "last 30 days", 2_592_000),
    ("all", "all time", 0),
];

impl Params {
    /// Reads the query string of `uri`, which may hold the parameters `known`.
    pub(crate) fn read(uri: &Uri, known: &[&str]) -> Result<Self, Failure> {
        let read = Query::<Vec<(String, String)>>::try_from_uri(uri);
        let Query(pairs) = read.map_err(|error| bad("query", &error))?;
        let mut params = Self { path: uri.path().to_owned(), pairs: Vec::with_capacity(pairs.len()) };
        for (name, value) in pairs {
            if !known.contains(&name.as_str()) {
                let list = if known.is_empty() { "none".to_owned() } else { known.join(", ") };
                return Err(bad(&name, &format!("this page has no such parameter; it has: {list}")));
            }
            if params.pairs.iter().any(|(other, _)| *other == name) {
                return Err(bad(&name, &"it stands twice; give it once"));
            }
            if value.len() > VALUE_BYTES_MAX {
                return Err(bad(&name, &format!("longer than {VALUE_BYTES_MAX} bytes")));
            }
            if !value.is_empty() {
                params.pairs.push((name, value));
            }
        }
        Ok(params)
    }

    /// The unfiltered list at `path`, to build links from.
    pub(crate) fn of_path(path: &str) -> Self {
        Self { path: path.to_owned(), pairs: Vec::new() }
    }

    /// The same list, narrowed further.
    pub(crate) fn and(mut self, name: &str, value: &str) -> Self {
        self.pairs.push((name.to_owned(), value.to_owned()));
        self
    }

    /// A parameter's value, when it is given and not empty.
    pub(crate) fn text(&self, name: &str) -> Option<&str> {
        self.pairs.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str())
    }

    /// The same, owned.
    pub(crate) fn owned(&self, name: &str) -> Option<String> {
        self.text(name).map(str::to_owned)
    }

    /// Takes a parameter out, so that no link of the page carries it on.
    pub(crate) fn take(&mut self, name: &str) -> Option<String> {
        let at = self.pairs.iter().position(|(known, _)| known == name)?;
        Some(self.pairs.remove(at).1)
    }

    /// A parameter's value as a `T`.
    pub(crate) fn parsed<T>(&self, name: &str) -> Result<Option<T>, Failure>
    where
        T: FromStr,
        T::Err: Display,
    {
        self.text(name).map(|text| text.parse().map_err(|error| bad(name, &error))).transpose()
    }

    /// Whether events that repeat another record's access are asked for: `echoes=show`.
    pub(crate) fn echoes(&self) -> Result<bool, Failure> {
        match self.text("echoes") {
            None => Ok(false),
            Some("show") => Ok(true),
            Some(_) => Err(bad("echoes", &"write `echoes=show`, or leave it away")),
        }
    }

    /// Which page of the list is asked for.
    pub(crate) fn page(&self) -> Result<Page, Failure> {
        Ok(Page { after: self.parsed::<Cursor>("after")?, limit: ROWS })
    }

    /// The stretch of time: `since` and `until`, else `last`, else `default`.
    pub(crate) fn range(&self, now: DateTime<Utc>, default: &str) -> Result<Range, Failure> {
        let (since, until) = (self.moment("since")?, self.moment("until")?);
        if since.zip(until).is_some_and(|(since, until)| since >= until) {
            return Err(bad("until", &"it must lie after `since`"));
        }
        let fixed = since.is_some() || until.is_some();
        let last = self.text("last").unwrap_or(default);
        let known = STRETCHES.iter().find(|(name, ..)| *name == last);
        let &(chosen, words, secs) = known.ok_or_else(|| {
            let names = STRETCHES.map(|(name, ..)| name).join(", ");
            bad("last", &format!("`{last}` is not one of {names}"))
        })?;
        let span = if fixed {
            Span { since, until }
        } else {
            let begin = EventTime::from_secs((now - TimeDelta::seconds(secs)).timestamp());
            Span { since: (secs > 0).then_some(begin), until: None }
        };
        let choice = |(value, label, _)| Choice { value, label, selected: !fixed && value == chosen };
        Ok(Range {
            span,
            label: if fixed { fixed_label(since, until) } else { words.to_owned() },
            choices: STRETCHES.map(choice).into(),
            since: since.map(field).unwrap_or_default(),
            until: until.map(field).unwrap_or_default(),
            is_all: span.since.is_none() && span.until.is_none(),
        })
    }

    fn moment(&self, name: &str) -> Result<Option<EventTime>, Failure> {
        self.text(name).map(|text| moment(text).ok_or_else(|| bad(name, &no_moment(text)))).transpose()
    }

    /// This page with one parameter set, from its first row on.
    pub(crate) fn with(&self, name: &str, value: &str) -> String {
        self.link(name, Some(value))
    }

    /// This page without one parameter, from its first row on.
    pub(crate) fn without(&self, name: &str) -> String {
        self.link(name, None)
    }

    /// The next page of this list.
    pub(crate) fn next(&self, after: Option<Cursor>) -> Option<String> {
        after.map(|cursor| self.with("after", &cursor.to_string()))
    }

    /// The first page of this list, when this is not it.
    pub(crate) fn first(&self) -> Option<String> {
        self.text("after").map(|_| self.without("after"))
    }

    fn link(&self, name: &str, value: Option<&str>) -> String {
        let kept = self.pairs.iter().filter(|(known, _)| known != name && known != "after");
        let kept = kept.map(|(known, value)| (known.as_str(), value.as_str()));
        let mut url = self.path.clone();
        for (at, (name, value)) in kept.chain(value.map(|value| (name, value))).enumerate() {
            url.push(if at == 0 { '?' } else { '&' });
            url.push_str(name);
            url.push('=');
            url.push_str(&encoded(value));
        }
        url
    }

    /// The active filters among `names`, with links that take each away.
    pub(crate) fn chips(&self, names: &[&str]) -> Vec<Chip> {
        let active = self.pairs.iter().filter(|(name, _)| names.contains(&name.as_str()));
        active
            .map(|(name, value)| Chip {
                name: name.replace('_', " "),
                value: value.clone(),
                remove: self.without(name),
                open: match name.as_str() {
                    "principal" => Some(format!("/principals/{}", encoded(value))),
                    "secret" => Some(format!("/secrets/{}", encoded(value))),
                    "rule" => Some(format!("/rules#{}", encoded(value))),
                    _ => None,
                },
            })
            .collect()
    }
}

/// A drop-down of a closed vocabulary, the chosen name selected.
pub(crate) fn choices(names: &[&'static str], chosen: Option<&str>) -> Vec<Choice> {
    let choice = |&name| Choice { value: name, label: name, selected: chosen == Some(name) };
    names.iter().map(choice).collect()
}

fn bad(name: &str, problem: &dyn Display) -> Failure {
    Failure::Parameter { name: name.chars().take(64).collect(), problem: problem.to_string() }
}

/// A moment in UTC: RFC 3339, or a date, or a date and a time without zone.
pub(crate) fn moment(text: &str) -> Option<EventTime> {
    if let Ok(time) = EventTime::parse(text) {
        return Some(time);
    }
    let plain = text.trim_end_matches(" UTC").replacen(' ', "T", 1);
    let day = || NaiveDate::parse_from_str(&plain, "%Y-%m-%d").ok()?.and_hms_opt(0, 0, 0);
    let minute = || NaiveDateTime::parse_from_str(&plain, "%Y-%m-%dT%H:%M").ok();
    let second = || NaiveDateTime::parse_from_str(&plain, "%Y-%m-%dT%H:%M:%S").ok();
    let found = day().or_else(minute).or_else(second)?.and_utc();
    // Through the one reader of times, so that its bounds hold here too.
    EventTime::parse(&found.to_rfc3339_opts(chrono::SecondsFormat::Secs, true)).ok()
}

fn no_moment(text: &str) -> String {
    let shown = text.chars().take(64).collect::<String>();
    format!("`{shown}` is no time; write 2026-01-31, 2026-01-31T12:00 or 2026-01-31T12:00:00Z (UTC)")
}

fn field(at: EventTime) -> String {
    at.to_chrono().format("%Y-%m-%dT%H:%M:%S").to_string()
}

fn fixed_label(since: Option<EventTime>, until: Option<EventTime>) -> String {
    let shown = |at: EventTime| stamp(at.to_chrono());
    match (since, until) {
        (Some(since), Some(until)) => format!("{} until {}", shown(since), shown(until)),
        (Some(since), None) => format!("since {}", shown(since)),
        (None, Some(until)) => format!("until {}", shown(until)),
        (None, None) => "all time".to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(query: &str) -> Result<Params, Failure> {
        let uri = format!("/events?{query}").parse().unwrap();
        Params::read(&uri, &["since", "until", "last", "after", "principal", "secret", "echoes"])
    }

    fn now() -> DateTime<Utc> {
        EventTime::parse("2026-11-22T18:54:05Z").unwrap().to_chrono()
    }

    #[track_caller]
    fn check_range(query: &str, want: (&str, Option<&str>, Option<&str>)) {
        let range = read(query).unwrap().range(now(), "24h").unwrap();
        let shown = |at: Option<EventTime>| at.map(|at| at.to_string());
        let got = (range.label, shown(range.span.since), shown(range.span.until));
        let want = (want.0.to_owned(), want.1.map(str::to_owned), want.2.map(str::to_owned));
        assert_eq!(got, want, "{query}");
    }

    #[test]
    fn a_stretch_of_time_is_read_in_every_spelling() {
        check_range("", ("last 24 hours", Some("2026-11-21T18:54:05Z"), None));
        check_range("last=7d", ("last 7 days", Some("2026-11-15T18:54:05Z"), None));
        check_range("last=all", ("all time", None, None));
        check_range("since=&until=&last=1h", ("last hour", Some("2026-11-22T17:54:05Z"), None));
        let day = "since 2026-11-01 00:00:00 UTC";
        check_range("since=2026-11-01&last=1h", (day, Some("2026-11-01T00:00:00Z"), None));
        let both = "2026-11-01 10:00:00 UTC until 2026-11-01 10:30:05 UTC";
        let (since, until) = ("2026-11-01T10:00:00Z", "2026-11-01T10:30:05Z");
        check_range(
            "since=2026-11-01T10:00&until=2026-11-01T11:30:05%2B01:00",
            (both, Some(since), Some(until)),
        );
    }

    #[track_caller]
    fn check_bad(query: &str, want: &str) {
        let outcome = read(query).and_then(|params| {
            params.range(now(), "24h")?;
            params.echoes()?;
            params.page().map(|_| ())
        });
        match outcome {
            Err(Failure::Parameter { name, .. }) => assert_eq!(name, want, "{query}"),
            other => panic!("{query}: {other:?}"),
        }
    }

    #[test]
    fn a_parameter_that_says_nothing_sensible_is_refused_by_name() {
        check_bad("last=2w", "last");
        check_bad("since=yesterday", "since");
        check_bad("since=9999-01-01", "since");
        check_bad("since=2026-11-02&until=2026-11-01", "until");
        check_bad("after=x", "after");
        check_bad("echoes=yes", "echoes");
        check_bad("levle=high", "levle");
        check_bad("secret=a&secret=b", "secret");
        check_bad(&format!("secret={}", "a".repeat(VALUE_BYTES_MAX + 1)), "secret");
    }

    #[test]
    fn links_change_one_parameter_and_go_back_to_the_first_page() {
        let params = read("secret=a%26b&after=1_2&last=all").unwrap();
        assert_eq!(params.with("principal", "x/y"), "/events?secret=a%26b&last=all&principal=x%2fy");
        assert_eq!(params.without("secret"), "/events?last=all");
        assert_eq!(params.first().as_deref(), Some("/events?secret=a%26b&last=all"));
        let chip = params.chips(&["secret"]).remove(0);
        assert_eq!((chip.name.as_str(), chip.value.as_str()), ("secret", "a&b"));
        assert_eq!(chip.open.as_deref(), Some("/secrets/a%26b"));
    }
}
