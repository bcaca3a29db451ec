//! Filters: what they take away, from which rules, and what is said of those that cannot work.

use super::{compiled, problems};
use crate::examples;

const RULES: &str = "\
title: Read
name: read
id: 0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0011
logsource: {product: aws, service: cloudtrail}
detection:
  selection_main: {eventName: GetSecretValue}
  selection_other: {eventSource: secretsmanager.amazonaws.com}
  condition: all of selection_* and 1 of *
level: medium
keywatch:
  examples:
";
/// A read by an administrator, and one by somebody else, with what each comes to.
fn examples(admin: &str, other: &str) -> String {
    let example = |user: &str, expect: &str| {
        format!(
            "    - {{name: {user}, expect: {expect}, events: [{{raw: {{eventName: GetSecretValue, \
             eventSource: secretsmanager.amazonaws.com, user: {user}}}}}]}}\n"
        )
    };
    example("adm_1", admin) + &example("bob", other)
}

fn filter(rules: &str, rest: &str) -> String {
    format!(
        "---\ntitle: Administrators\nlogsource: {{product: aws, service: cloudtrail}}\nfilter:\n  \
         rules: {rules}\n  {rest}\n"
    )
}

const ADMINS: &str = "selection: {user|startswith: adm_}\n  condition: not selection";

#[track_caller]
fn check(filters: &str, admin: &str, other: &str) {
    let text = format!("{RULES}{}{filters}", examples(admin, other));
    let failed: Vec<String> =
        examples::run(&compiled(&text)).into_iter().filter_map(|outcome| outcome.failure).collect();
    assert!(failed.is_empty(), "{filters}: {failed:?}");
}

#[test]
fn a_filter_takes_events_away_from_the_rules_it_names() {
    check("", "medium", "medium");
    check(&filter("[read]", ADMINS), "silence", "medium");
    check(&filter("[0b6c1a52-5f0e-4a8f-9a35-0d6b5a1c0011]", ADMINS), "silence", "medium");
    check(&filter("any", ADMINS), "silence", "medium");
    check(&filter("[read]", &ADMINS.replace("not selection", "selection")), "medium", "silence");
}

#[test]
fn selections_of_a_filter_and_of_its_rule_do_not_mix() {
    let main = "selection_main: {user|startswith: adm_}\n  condition: not 1 of selection_*";
    check(&filter("[read]", main), "silence", "medium");
    let them = "a: {user: nobody}\n  _b: {user: bob}\n  condition: not 1 of them and not _b";
    check(&filter("[read]", them), "medium", "silence");
    let both = filter("[read]", ADMINS) + &filter("[read]", &ADMINS.replace("adm_", "bob"));
    check(&both, "silence", "silence");
}

#[test]
fn a_filter_for_all_rules_is_for_those_of_its_log_source() {
    let elsewhere = filter("any", ADMINS).replace("service: cloudtrail", "service: other");
    check(&elsewhere, "medium", "medium");
    let whole = filter("any", ADMINS).replace(", service: cloudtrail", "");
    check(&whole, "silence", "medium");
}

#[test]
fn a_filtered_event_does_not_count() {
    let text = format!(
        "{RULES}---\n{}{}",
        "title: Many\nname: many\nlevel: high\ncorrelation: {type: event_count, rules: [read], timespan: 1h, condition: {gte: 2}}\nkeywatch:\n  examples:\n    \
         - {name: one is left, expect: silence, events: [{raw: {eventName: GetSecretValue, eventSource: secretsmanager.amazonaws.com, user: adm_1}}, {raw: {eventName: GetSecretValue, eventSource: secretsmanager.amazonaws.com, user: bob}}]}\n",
        filter("[read]", ADMINS)
    )
    .replace("keywatch:\n  examples:\n---", "---");
    let failed: Vec<String> =
        examples::run(&compiled(&text)).into_iter().filter_map(|outcome| outcome.failure).collect();
    assert!(failed.is_empty(), "{failed:?}");
}

#[track_caller]
fn refused(filters: &str, want: &[&str]) {
    let rules = RULES.replace("keywatch:\n  examples:\n", "");
    assert_eq!(problems(&[&rules, filters.trim_start_matches("---\n")]), want, "{filters}");
}

#[test]
fn a_filter_that_cannot_work_says_why() {
    refused(&filter("[raed]", ADMINS), &["b.yml:4:11: no rule is called `raed`; did you mean `read`?"]);
    let elsewhere = filter("[read]", ADMINS).replace("service: cloudtrail", "service: other");
    refused(
        &elsewhere,
        &[
            "b.yml:4:11: `read` is about aws/cloudtrail, not aws/other; let the filter have the rule's log source",
        ],
    );
    refused(
        &filter("[]", ADMINS),
        &[
            "b.yml:4:10: the filter names no rule; name the rules it is for by name or id, or write `rules: any`",
        ],
    );
    refused(
        &filter("any", "condition: selection"),
        &[
            "b.yml:4:3: the filter has no selection; add `selection:` with the fields and values it is about",
            "b.yml:5:14: the condition names `selection`, which is no selection of this rule; known here: ",
        ],
    );
    refused(
        &filter("any", "selection: {a: b}\n  spare: {a: c}\n  condition: not selection"),
        &["b.yml:6:10: no condition uses the selection `spare`; name it in the condition, or remove it"],
    );
    let bare = filter("any", ADMINS).replace("logsource: {product: aws, service: cloudtrail}\n", "");
    refused(
        &bare,
        &[
            "b.yml:1:1: `logsource` is missing; say whose records it filters, as `logsource: {product: aws, service: cloudtrail}`",
        ],
    );
}

#[test]
fn a_rule_without_a_detection_is_not_filtered_itself() {
    let many = "title: Many\nname: many\nlevel: high\ncorrelation: {type: event_count, rules: [read], timespan: 1h, condition: {gte: 2}}\n";
    let rules = format!("{}---\n{many}", RULES.replace("keywatch:\n  examples:\n", ""));
    assert_eq!(
        problems(&[&rules, filter("[many]", ADMINS).trim_start_matches("---\n")]),
        ["b.yml:4:11: `many` has no detection to filter; name the detections it uses"]
    );
}
