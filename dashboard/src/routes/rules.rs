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

#[derive(Template)]
#[template(path = "rules.html")]
struct RulesPage {
    chrome: Chrome,
    rows: Vec<RuleLine>,
}

/// `/rules`
pub(crate) async fn page(
    State(app): State<Shared>,
    Extension(who): Extension<SignedIn>,
    uri: Uri,
) -> Result<Response, Failure> {
    Params::read(&uri, &[])?;
    let line = |rule: &RuleInfo| RuleLine {
        anchor: encoded(&rule.id),
        level: rule.level.as_str(),
        alerts_url: Params::of_path("/").and("last", "all").with("rule", &rule.id),
        tags: rule.tags.iter().map(|tag| tag_of(tag)).collect(),
        rule: rule.clone(),
    };
    let rows = app.rules.iter().map(line).collect();
    page::html(&RulesPage { chrome: Chrome::new(&app, who, "/rules", "Rules"), rows })
}

#[cfg(test)]
mod tests {
    use crate::testing::Bench;

    #[tokio::test]
    async fn a_rule_shows_what_it_finds_and_what_to_do() {
        let bench = Bench::seeded().await;
        let body = bench.get("/rules").await.body;
        for part in ["id=\"KW-004\"", "Secret deletion", "level-critical", "2. Restore the secret.", "T1485"]
        {
            assert!(body.contains(part), "{part}\n{body}");
        }
    }
}
