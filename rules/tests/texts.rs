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
    says("KW-003", "Failed authentication as user/ada (ConsoleLogin)", "1 event; operation: ConsoleLogin");
}

#[test]
fn a_tampered_trail_is_named() {
    says(
        "KW-101",
        "Audit trail tampered with by role/payments (StopLogging, org-trail)",
        "1 event; operation and object: StopLogging, org-trail",
    );
}

#[test]
fn a_trail_somebody_tried_to_stop_is_named_by_the_end_of_its_arn() {
    says(
        "KW-101d",
        "Attempt on the audit trail that failed by role/payments (StopLogging, org-trail)",
        "1 event; operation and object: StopLogging, org-trail",
    );
}

#[test]
fn keys_and_stores_are_told_as_what_they_are() {
    let alerts = alerts();
    let texts = |rule: &str| -> Vec<String> {
        let of = alerts.iter().filter(|alert| alert.rule == rule);
        of.map(|alert| format!("{} | {}", alert.title, alert.why.text)).collect()
    };
    let keys = texts("KW-107");
    assert!(keys.iter().any(|text| text.contains("naming 1 key")), "{keys:?}");
    assert!(!keys.iter().any(|text| text.contains("secret")), "{keys:?}");
    assert!(texts("KW-004").iter().any(|text| text.contains("naming 1 store")));
}

#[test]
fn an_azure_resource_is_named() {
    let alerts = alerts();
    let mut of_azure = alerts.iter().filter(|alert| alert.title.contains("DIAGNOSTICSETTINGS"));
    assert!(of_azure.any(|alert| alert.rule.starts_with("KW-101") && alert.title.ends_with(", SHOP)")));
}

#[test]
fn who_and_from_where_are_told_once() {
    for alert in alerts() {
        let Some((said, noted)) = alert.title.rsplit_once(" (") else { continue };
        let noted = noted.trim_end_matches(')');
        assert!(!said.split(' ').any(|word| word == noted), "{}: {}", alert.rule, alert.title);
        assert!(
            !alert.title.contains("principals: ") || !alert.title.contains("several principals by"),
            "{}",
            alert.title
        );
    }
    says(
        "KW-136",
        "New access key used for a read: prod/db by role/admin, then user/svc",
        &alerts().iter().find(|alert| alert.rule == "KW-136").expect("an alert").why.text.clone(),
    );
}

#[test]
fn a_field_of_the_record_is_told_in_plain_words() {
    let alerts = alerts();
    let mut texts = alerts.iter().map(|alert| &*alert.why.text);
    let text = texts.find(|text| text.contains("never seen before (account and secret)"));
    assert!(text.is_some() && !texts.any(|text| text.contains("accountId")));
}

#[test]
fn of_several_secrets_the_canary_is_named() {
    let alerts = alerts();
    let several = alerts.iter().find(|alert| alert.rule == "KW-117" && alert.secrets.len() > 1);
    let alert = several.expect("an alert that names several secrets");
    assert_eq!(alert.title, "Canary touched: 3 secrets by role/eve (prod/admin-root)");
    assert!(alert.why.text.ends_with("; on the list `canaries`: prod/admin-root"), "{}", alert.why.text);
    says(
        "KW-117",
        "Canary touched: aws:111122223333:eu-west-1:secret:prod/admin-root by role/payments",
        "1 event naming 1 secret; on the list `canaries`: aws:111122223333:eu-west-1:secret:prod/admin-root",
    );
}

#[test]
fn what_is_opened_to_everybody_is_said_so() {
    let everybody =
        alerts().into_iter().find(|alert| alert.rule == "KW-106" && alert.title.contains("everybody"));
    let alert = everybody.expect("an alert about everybody");
    assert!(alert.title.ends_with("(PutResourcePolicy, everybody)"), "{}", alert.title);
}

#[test]
fn an_alert_names_what_was_done_and_to_whom() {
    says(
        "KW-106",
        "Secret, key or vault opened to outsiders: prod/db by role/payments (PutResourcePolicy, 999988887777)",
        "1 event naming 1 secret; operation and grantee: PutResourcePolicy, 999988887777",
    );
    says(
        "KW-138",
        "Secret value in an audit log by role/payments and e-2 (vault-token and vault-value)",
        "2 events; kind of value: vault-token, vault-value",
    );
    says(
        "KW-112o",
        "Machine credential used from a public address: projects/shop/secrets/db by app@shop.iam.gserviceaccount.com (203.0.113.9)",
        "1 event naming 1 secret; address: 203.0.113.9",
    );
}

#[test]
fn what_was_read_after_a_guessed_login_stands_in_its_alert() {
    let alerts = alerts();
    for rule in ["KW-111g", "KW-111v", "KW-111i"] {
        let mut of = alerts.iter().filter(|alert| alert.rule == rule);
        assert!(of.any(|alert| alert.secrets.iter().any(|secret| secret.name.ends_with("db"))), "{rule}");
    }
}

#[test]
fn an_alert_says_what_was_new_and_what_came_after_what() {
    says(
        "KW-002",
        "Read from unusual IP: prod/db by role/payments (new network 203.0.113.0/24)",
        "1 event naming 1 secret; never seen before (network): 203.0.113.0/24",
    );
    says(
        "KW-110",
        "Denied, then allowed: crown/jewel by role/payments",
        "“Read denied for want of permission”, then “Read allowed outside any plan” within 1 h; 2 events naming 1 secret in all",
    );
    says(
        "KW-112w",
        "Instance credential used outside AWS by role/web, session i-0123456789abcdef0 (203.0.113.9)",
        "2 events; address: 203.0.113.9",
    );
}

/// The alerts of a rule about deletions, after these events.
fn deletions(events: &str) -> Vec<Alert> {
    let text = format!(
        "title: Deleted\nname: deleted\nlevel: high\ndetection:\n  deleted: {{class: secret.delete}}\n  \
         condition: deleted\nkeywatch:\n  examples:\n    - name: deletions\n      expect: high\n      events:\n{events}"
    );
    let set = compile([("a.yml", text.as_str())]).expect("the rule compiles");
    let outcome = examples::run(&set).pop().expect("one example");
    assert_eq!(outcome.failure, None);
    outcome.alerts
}

#[test]
fn an_alert_names_the_sessions_behind_a_role_in_the_order_of_their_first_event() {
    let many = "        - {at: 30m, class: secret.delete, principal: role/admin, session: late@example.com, access_key: ASIALATE, secret: prod/z}\n        \
         - {repeat: 7, every: 60s, class: secret.delete, principal: role/admin, session: \"p{n}@example.com\", access_key: \"ASIA{n}\", secret: prod/a}\n        \
         - {at: 2m, class: secret.delete, principal: role/admin, session: p1@example.com, access_key: ASIA1, secret: prod/a}\n";
    let alert = deletions(many).pop().expect("an alert");
    let first: Vec<&str> =
        alert.sessions.first.iter().filter_map(|session| session.name.as_deref()).collect();
    assert_eq!(alert.sessions.count, 8);
    assert_eq!(
        first,
        ["p0@example.com", "p1@example.com", "p2@example.com", "p3@example.com", "p4@example.com"]
    );
    assert_eq!(alert.sessions.first[1].access_key.as_deref(), Some("ASIA1"));
    assert_eq!(alert.title, "Deleted: 2 secrets by role/admin");
}

#[test]
fn a_title_names_the_one_session_where_its_name_may_say_who_it_is() {
    let title = |rest: &str| {
        let event = format!("        - {{class: secret.delete, secret: prod/db, {rest}}}\n");
        deletions(&event).pop().expect("an alert").title
    };
    assert_eq!(
        title("principal: AWSReservedSSO_Admin, session: greta@example.com"),
        "Deleted: prod/db by AWSReservedSSO_Admin, session greta@example.com"
    );
    assert_eq!(
        title("provider: gcp, principal: deploy@p.iam.gserviceaccount.com, session: greta@example.com"),
        "Deleted: prod/db by deploy@p.iam.gserviceaccount.com, on behalf of greta@example.com"
    );
    assert_eq!(
        title("provider: vault, principal: entity-greta, session: \"hmac-sha256:0a1b\""),
        "Deleted: prod/db by entity-greta"
    );
    assert_eq!(
        title("provider: azure, principal: oid-greta, access_key: 04b07795"),
        "Deleted: prod/db by oid-greta"
    );
}

#[test]
fn of_a_batch_with_known_secrets_only_the_new_ones_are_counted_and_named() {
    let set = compile(builtin().iter().copied()).expect("the shipped rules");
    let outcomes = examples::run(&set);
    let of = |example: &str| outcomes.iter().find(|one| one.example == example).expect("the example");
    let alert = of("three new ones in batches of known ones").alerts.first().expect("an alert");
    let secrets: Vec<&str> = alert.secrets.iter().map(|secret| &*secret.id).collect();
    assert_eq!(secrets, ["p/new1", "p/new2", "/p/new"]);
    assert_eq!(
        (&*alert.title, &*alert.why.text),
        (
            "Principal reads secrets it never read: 3 secrets by role/payments",
            "3 different secrets within 24 h (from 3 on this is an alert); 2 events naming 3 secrets in all; \
             never seen before (secret): p/new1, p/new2, /p/new"
        )
    );
}

/// The alerts of the examples of one rule, by example.
fn alerts_of(rule: &str) -> Vec<(String, Alert)> {
    let set = compile([("own.yml", rule)]).expect("a rule");
    let alerts = examples::run(&set).into_iter();
    alerts.filter_map(|outcome| Some((outcome.example, outcome.alerts.into_iter().next()?))).collect()
}

#[test]
fn who_is_outside_is_named_and_not_hidden_behind_the_owner() {
    let alerts = alerts_of(include_str!("texts/grantees.yml"));
    let told: Vec<(&str, &str)> = alerts.iter().map(|(name, alert)| (&**name, &*alert.title)).collect();
    assert_eq!(
        told,
        [
            ("aws", "Opened by role/payments (999988887777)"),
            ("gcp", "Opened by ada@example.com (mallory@example.org)"),
            ("azure", "Opened by role/payments (o-2)"),
            ("only own ones", "Opened by ada@example.com (bob@example.com)"),
        ]
    );
}

#[test]
fn more_secrets_than_the_list_holds_are_all_counted() {
    let rule = "
title: Many
name: many
level: high
detection: {read: {class: secret.read}, condition: read}
keywatch:
  incident: {key: [principal.id]}
  examples:
    - {name: many, expect: high, events: [{repeat: 120, every: 1s, secret: 's/{n}'}]}
";
    let (_, alert) = alerts_of(rule).pop().expect("an alert");
    assert_eq!((&*alert.title, alert.secrets.len()), ("Many: 120 secrets by role/payments", 100));
    assert_eq!(alert.why.text, "120 events naming 120 secrets");
}

#[test]
fn a_runbook_sends_nobody_to_a_list_that_its_rule_does_not_ask() {
    let set = compile(builtin().iter().copied()).unwrap();
    let asked = set.lists();
    for rule in set.rules.iter().filter(|rule| rule.id.starts_with("KW-")) {
        for list in ["automation", "rotators", "known_networks", "machine_networks", "break_glass"] {
            let is_named = rule.runbook.contains(&format!("`{list}`"));
            let asks = asked.get(list).is_some_and(|rules| rules.contains(&*rule.id));
            assert!(!is_named || asks, "{} names {list}", rule.id);
        }
    }
}
