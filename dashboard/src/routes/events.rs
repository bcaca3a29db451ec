//! The history: every event, narrowed by filters that live in the address.

use crate::app::Shared;
use crate::failure::Failure;
use crate::lines::EventLine;
use crate::page::{self, Chrome};
use crate::params::{Chip, Choice, Params, Range, choices};
use crate::session::SignedIn;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;
use keywatch_event::{Class, Level, Outcome, Provider};
use keywatch_store::{EventFilter, Span};

const KNOWN: [&str; 14] = [
    "last",
    "since",
    "until",
    "after",
    "level",
    "provider",
    "class",
    "outcome",
    "principal",
    "secret",
    "source",
    "operation",
    "account",
    "echoes",
];
const FILTERS: [&str; 10] = [
    "level",
    "provider",
    "class",
    "outcome",
    "principal",
    "secret",
    "source",
    "operation",
    "account",
    "echoes",
];

/// A free-text filter of the form.
struct Field {
    name: &'static str,
    label: &'static str,
    value: String,
}

/// A drop-down of the form.
struct Menu {
    name: &'static str,
    label: &'static str,
    choices: Vec<Choice>,
}

#[derive(Template)]
#[template(path = "events.html")]
struct EventsPage {
    chrome: Chrome,
    range: Range,
    chips: Vec<Chip>,
    menus: Vec<Menu>,
    fields: Vec<Field>,
    echoes: bool,
    rows: Vec<EventLine>,
    next: Option<String>,
    first: Option<String>,
    all_url: String,
}

/// `/events`
pub(crate) async fn list(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    let params = Params::read(&uri, &KNOWN)?;
    let now = app.now();
    let range = params.range(now, "all")?;
    let listed = app.store.events(&filter(&params, range.span)?, params.page()?).await?;
    let chrome = Chrome::new(&app, who, "/events", format!("Events, {}", range.label));
    page::html(&EventsPage {
        chrome,
        chips: params.chips(&FILTERS),
        menus: menus(&params),
        fields: fields(&params),
        echoes: params.echoes()?,
        rows: EventLine::all(&listed.rows, &params, now),
        next: params.next(listed.next),
        first: params.first(),
        all_url: "/events".to_owned(),
        range,
    })
}

fn filter(params: &Params, span: Span) -> Result<EventFilter, Failure> {
    Ok(EventFilter {
        span,
        provider: params.parsed("provider")?,
        class: params.parsed("class")?,
        outcome: params.parsed("outcome")?,
        level_min: params.parsed("level")?,
        principal: params.owned("principal"),
        secret: params.owned("secret"),
        source: params.owned("source"),
        operation: params.owned("operation"),
        account: params.owned("account"),
        echoes: params.echoes()?,
    })
}

fn menus(params: &Params) -> Vec<Menu> {
    let menu = |name, label, names: &[&'static str]| {
        let choices = choices(names, params.text(name));
        Menu { name, label, choices }
    };
    vec![
        menu("level", "Level at least", Level::NAMES),
        menu("provider", "Provider", Provider::NAMES),
        menu("class", "Class", Class::NAMES),
        menu("outcome", "Outcome", Outcome::NAMES),
    ]
}

fn fields(params: &Params) -> Vec<Field> {
    let field = |name, label| Field { name, label, value: params.owned(name).unwrap_or_default() };
    vec![
        field("principal", "Principal id"),
        field("secret", "Secret id"),
        field("source", "Source"),
        field("operation", "Operation"),
        field("account", "Account"),
    ]
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, INTRUDER, OTHER_SECRET, READER};
    use crate::text::encoded;
    use std::collections::BTreeSet;

    fn ids(body: &str) -> Vec<String> {
        let links = body.split("class=\"row-link\" href=\"/events/").skip(1);
        links.map(|rest| rest.split('"').next().unwrap().to_owned()).collect()
    }

    #[tokio::test]
    async fn pages_hold_every_event_once() {
        let bench = Bench::seeded().await;
        let first = bench.get("/events").await.body;
        assert_eq!(ids(&first).len(), 100);
        let (_, rest) = first
            .split_once("rel=\"next\"")
            .map(|(before, _)| before.rsplit_once("href=\"").unwrap())
            .unwrap();
        let url = rest.split('"').next().unwrap().replace("&#38;", "&");
        let second = bench.get(&url).await.body;
        let all = ids(&first).into_iter().chain(ids(&second)).collect::<BTreeSet<_>>();
        assert_eq!((ids(&second).len(), all.len()), (54, 154));
        assert!(second.contains("First page") && !second.contains("Next page"));
    }

    #[tokio::test]
    async fn filters_narrow_the_history() {
        let bench = Bench::seeded().await;
        for (query, want) in [
            ("class=secret.delete".to_owned(), 1),
            ("outcome=denied".to_owned(), 2),
            ("level=high".to_owned(), 2),
            ("level=warning".to_owned(), 4),
            (format!("principal={}", encoded(INTRUDER)), 3),
            (format!("principal={}&secret={}", encoded(INTRUDER), encoded(OTHER_SECRET)), 2),
            ("source=198.51.100.7".to_owned(), 1),
            ("operation=DeleteSecret".to_owned(), 1),
            ("account=999".to_owned(), 0),
            ("provider=vault".to_owned(), 0),
            ("last=1h&outcome=ok&class=secret.read&source=203.0.113.9".to_owned(), 7),
            ("since=2026-11-22T18:24:00&until=2026-11-22T18:25:00".to_owned(), 1),
            (format!("principal={}", encoded(READER)), 100),
            ("operation=Decrypt".to_owned(), 0),
            ("operation=Decrypt&echoes=show".to_owned(), 1),
        ] {
            let body = bench.get(&format!("/events?{query}")).await.body;
            assert_eq!(ids(&body).len(), want, "{query}");
        }
    }

    #[tokio::test]
    async fn every_value_narrows_the_list_it_stands_in() {
        let bench = Bench::seeded().await;
        let body = bench.get("/events?class=secret.delete").await.body.replace("&#38;", "&");
        for link in [
            format!("/events?class=secret.delete&principal={}", encoded(INTRUDER)),
            "/events?class=secret.delete&source=198.51.100.7".to_owned(),
            "/events?class=secret.delete&operation=DeleteSecret".to_owned(),
            "/events?class=secret.delete&account=111122223333".to_owned(),
        ] {
            assert!(body.contains(&format!("href=\"{link}\"")), "{link}\n{body}");
        }
        assert!(body.contains("<a href=\"/events\" aria-label=\"Remove the filter class\""), "{body}");
    }
}
