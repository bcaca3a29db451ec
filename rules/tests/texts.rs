//! What alerts say, read as whoever is woken by them does: one alert of every shipped rule, made from
//! its own examples.

use keywatch_event::{Alert, Level};
use keywatch_rules::rule::Kind;
use keywatch_rules::{builtin, compile, examples};

/// Longest title of the examples: one that names a secret and a principal of forty characters each.
const TITLE_CHARS_MAX: usize = 180;

/// Every alert of every example of the shipped rules.
fn alerts() -> Vec<Alert> {
    let set = compile(builtin().iter().copied()).expect("the shipped rules");
    examples::run(&set).into_iter().flat_map(|outcome| outcome.alerts).collect()
}

#[track_caller]
fn says(rule: &str, title: &str, why: &str) {
    let alerts = alerts();
    let alert = alerts.iter().find(|alert| alert.rule == rule).expect("an alert of the rule");
    assert_eq!((&*alert.title, &*alert.why.text), (title, why));
}

#[test]
fn no_text_reads_like_a_form() {
    for alert in alerts() {
        for text in [&alert.title, &alert.why.text] {
            for part in
                ["(s)", " 1 events", " 1 secrets", "1 different", "(addr)", "  ", "\u{1f}", "NaN", " ,"]
            {
                assert!(!text.contains(part), "{}: {text:?} has {part:?}", alert.rule);
            }
        }
        assert!(alert.title.chars().count() <= TITLE_CHARS_MAX, "{}: {}", alert.rule, alert.title);
        assert!(alert.title.matches(" by ").count() <= 2, "{}: {}", alert.rule, alert.title);
    }
}

#[test]
fn every_rule_that_raises_says_what_to_do() {
    let set = compile(builtin().iter().copied()).unwrap();
    let raising =
        set.rules.iter().filter(|rule| !matches!(rule.kind, Kind::Classify(_)) && rule.level > Level::Info);
    for rule in raising.filter(|rule| rule.id.starts_with("KW-")) {
        assert!(!rule.runbook.is_empty() && !rule.action.is_empty(), "{}", rule.id);
    }
}

#[test]
fn who_was_tried_is_not_told_of_as_if_they_had_acted() {
    says("KW-111", "Many failed logins as user/ada", "10 events within 10 min (from 10 on this is an alert)");
    says("KW-003", "Failed authentication as user/ada", "Failed authentication: 1 event");
}

#[test]
fn an_alert_names_what_was_done_and_to_whom() {
    says(
        "KW-106",
        "Secret, key or vault opened to outsiders: prod/db by role/payments (PutResourcePolicy and 999988887777)",
        "Secret, key or vault opened to outsiders: 1 event naming 1 secret; operation and grantee: PutResourcePolicy, 999988887777",
    );
    says(
        "KW-138",
        "Secret value in an audit log by role/payments and e-2 (vault-token and vault-value)",
        "Secret value in an audit log: 2 events; kind of value: vault-token, vault-value",
    );
    says(
        "KW-112o",
        "Machine credential used outside its cloud: projects/shop/secrets/db by app@shop.iam.gserviceaccount.com (203.0.113.9)",
        "Machine credential used outside its cloud: 1 event naming 1 secret; address: 203.0.113.9",
    );
}

#[test]
fn an_alert_says_what_was_new_and_what_came_after_what() {
    says(
        "KW-002",
        "Read from unusual IP: prod/db by role/payments (new network 203.0.113.0/24)",
        "Read from unusual IP: 1 event naming 1 secret; never seen before (network): 203.0.113.0/24",
    );
    says(
        "KW-110",
        "Denied, then allowed: crown/jewel by role/payments",
        "“Read denied for want of permission”, then “Read allowed outside any plan” within 1 h; 2 events naming 1 secret in all",
    );
    says(
        "KW-112w",
        "Instance credential used outside AWS by role/web, session i-0123456789abcdef0 (203.0.113.9)",
        "Instance credential used outside AWS: 2 events; address: 203.0.113.9",
    );
}
