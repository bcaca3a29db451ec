//! The rules that are loaded: what each finds, how urgent it is, what to do.

use super::alert::{Tag, tag_of};
use crate::app::{RuleInfo, Shared};
use crate::failure::Failure;
use crate::page::{self, Chrome};
use crate::params::Params;
use crate::session::SignedIn;
use crate::text::encoded;
use askama::Template;
use axum::Extension;
use axum::extract::State;
use axum::http::Uri;
use axum::response::Response;

struct RuleLine {
    anchor: String,
    level: &'static str,
    alerts_url: String,
    tags: Vec<Tag>,
    rule: RuleInfo,
}

/// A rule that can never find anything here.
struct BlindLine {
    anchor: String,
    id: String,
    title: String,
    why: String,
}

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    chrome: Chrome,
    rows: Vec<RuleLine>,
    blind: Vec<BlindLine>,
}

/// `/rules`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    Params::read(&uri, &[])?;
    let detection = app.detection();
    let working = |rule: &RuleInfo| RuleLine {
        anchor: encoded(&rule.id),
        level: rule.level.as_str(),
        alerts_url: Params::of_path("/").and("last", "all").with("rule", &rule.id),
        tags: rule.tags.iter().map(|tag| tag_of(tag)).collect(),
        rule: rule.clone(),
    };
    let blind = |rule: &RuleInfo| {
        let (id, title) = (rule.id.clone(), rule.title.clone());
        Some(BlindLine { anchor: encoded(&id), id, title, why: rule.blind.clone()? })
    };
    let rows = detection.rules.iter().filter(|rule| rule.blind.is_none()).map(working).collect();
    let blind = detection.rules.iter().filter_map(blind).collect();
    page::html(&RulesPage { chrome: Chrome::new(&app, who, "/rules", "Rules"), rows, blind })
}

#[cfg(test)]
mod tests {
    use crate::testing::{Bench, HOSTILE, start};
    use crate::{Detection, ReloadFailed};

    #[tokio::test]
    async fn a_rule_shows_what_it_finds_and_what_to_do() {
        let bench = Bench::seeded().await;
        let body = bench.get("/rules").await.body;
        for part in ["id=\"KW-004\"", "Secret deletion", "level-critical", "2. Restore the secret.", "T1485"]
        {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }

    #[tokio::test]
    async fn a_rule_that_cannot_find_anything_stands_apart_and_says_why() {
        let bench = Bench::seeded().await;
        let body = bench.get("/rules").await.body;
        let (working, blind) = body.split_once("Rules that find nothing here: 1").unwrap();
        assert!(!working.contains("Sign-in at risk"), "{working}");
        assert!(blind.contains("Sign-in at risk") && blind.contains("does not ingest"), "{blind}");
    }

    #[tokio::test]
    async fn the_page_follows_a_reload_and_every_page_says_when_one_failed() {
        let bench = Bench::seeded().await;
        let failed = ReloadFailed { at: start(), why: format!("my.yml:3:1: {HOSTILE}") };
        bench.detection.lock().unwrap().reload_failed = Some(failed);
        for url in ["/", "/rules", "/sources", "/alerts/alert-1"] {
            let body = bench.get(url).await.body;
            assert!(body.contains("The configuration was not reloaded"), "{url}\n{body}");
            assert!(body.contains("my.yml:3:1: ") && !body.contains("<script>"), "{url}\n{body}");
        }
        *bench.detection.lock().unwrap() = Detection::default();
        let body = bench.get("/rules").await.body;
        assert!(body.contains("No rules are loaded") && !body.contains("not reloaded"), "{body}");
    }
}
