//! What contradicts itself or changes nothing is told where it stands.

use super::{compiled, correlation, detection, problems, refused};

/// The one thing said of an extension of a detection of level medium.
#[track_caller]
fn check(extension: &str, want: &str) {
    assert_eq!(problems(&[&detection(extension)]), [want], "{extension}");
}

/// The one thing said of a correlation of level high over `a` (reads) and `b` (lists).
#[track_caller]
fn check_correlation(body: &str, rest: &str, want: &str) {
    assert_eq!(problems(&[&correlation(body, rest)]), [want], "{body} {rest}");
}

const COUNT: &str = "type: event_count, rules: [a], group-by: [account], timespan: 1h, condition: {gte: 5}";

#[test]
fn a_section_says_something() {
    let nothing = |place: &str, key: &str| {
        format!(
            "a.yml:{place}: `{key}` says nothing; write one of its keys, even with its usual value, so that a reader sees what is meant"
        )
    };
    check("silence: {}", &nothing("10:12", "silence"));
    check("incident: {}", &nothing("10:13", "incident"));
    check("first_seen: {of: [secrets.id], mature: {}}", &nothing("10:42", "mature"));
    let risk = "title: R\nlevel: high\nkeywatch: {risk: {}}\n";
    refused(risk, &[&nothing("3:18", "risk")]);
}

#[test]
fn levels_are_raised_above_and_lowered_below_the_rules_own() {
    check(
        "escalate: {to: medium, gte: 3}",
        "a.yml:10:13: `escalate` raises to a level the incident has anyway; write a `to` above the rule's `level`",
    );
    check(
        "attach: {when: _other, on: [secrets.id], to: medium}",
        "a.yml:10:11: `attach` raises to a level the incident has anyway; write a `to` above the rule's `level`, or leave it out",
    );
    check(
        "lower: {to: high, created_by: _other, read_by: sel}",
        "a.yml:10:10: `lower` does not lower: the rule has that level, or a lower one, anyway; write a `to` below the rule's `level`",
    );
    // What was lowered may be raised to the level the rule has.
    let both =
        detection("lower: {to: medium, created_by: _other, read_by: sel}\n  escalate: {to: high, gte: 3}");
    compiled(&both.replace("level: medium\nkeywatch", "level: high\nkeywatch"));
}

#[test]
fn an_escalation_needs_more_than_the_rule_and_than_those_below_it() {
    check(
        "escalate: {to: high, gte: 1}",
        "a.yml:10:13: every incident has so many events when it opens, and so the higher level at once; write `gte: 2` or more, or give the rule that level",
    );
    check_correlation(
        COUNT,
        "keywatch: {escalate: {to: critical, gte: 5}}",
        "a.yml:13:22: every incident has so many events when it opens, and so the higher level at once; write `gte: 6` or more, or give the rule that level",
    );
    check(
        "escalate: [{to: high, gte: 9}, {to: critical, gte: 3}]",
        "a.yml:10:14: another `escalate` that needs no more raises to as high a level or a higher one; let the higher level need more than the lower one",
    );
    check(
        "escalate: [{to: high, gte: 3}, {to: high, gte: 3}]",
        "a.yml:10:34: this `escalate` stands twice; keep one of them",
    );
    check(
        "escalate: {to: high, gte: 3, within: 48h}",
        "a.yml:10:13: `within` is longer than an incident lasts; write a longer `max_duration`, or leave `within` out",
    );
    check(
        "escalate: {to: high, gte: 3, within: 0s}",
        "a.yml:10:13: `within` is no time at all; write a length of time, or leave it out to count all events",
    );
    compiled(&correlation(COUNT, "keywatch: {escalate: {to: critical, gte: 5, within: 10m}}"));
    compiled(&detection("escalate: [{to: high, gte: 3}, {to: critical, gte: 3, distinct: secrets.id}]"));
}

#[test]
fn what_explains_or_joins_an_event_is_another() {
    check(
        "hold: {when: sel, cleared_by: sel, on: [principal.id]}",
        "a.yml:10:9: `hold` lets every event explain itself; name as `cleared_by` the events that explain those of `when`",
    );
    check(
        "hold: {when: sel, cleared_by: _other, on: [principal.id], for: 0s}",
        "a.yml:10:9: `hold` waits for no time at all; write `for: 60s` or longer",
    );
    check(
        "attach: sel",
        "a.yml:10:11: `attach` names events that the rule counts anyway; name a selection that the condition leaves out",
    );
    check(
        "silence: {followed_by: sel, per: [principal.id]}",
        "a.yml:10:26: `followed_by` names the events themselves, and each follows itself; name the selection of the events that must come after",
    );
}

#[test]
fn times_are_long_enough_for_what_they_are_for() {
    check(
        "incident: {max_duration: 0s, keep_alive: 0s}",
        "a.yml:10:13: an incident of no length takes no event; write `max_duration: 24h`",
    );
    check(
        "silence: {for_at_least: 0s}",
        "a.yml:10:27: a silence of no length is always there; write `for_at_least: 30m` or longer",
    );
    check(
        "first_seen: {of: [secrets.id], learn: 30d, decay: 7d}",
        "a.yml:10:53: a value is forgotten while it is still learned; write `decay` longer than `learn`",
    );
    check(
        "first_seen: {of: [secrets.id], learn: 1d, decay: 1d, accept_days: 4}",
        "a.yml:10:69: a value is forgotten before it can be accepted; write `decay` longer than that many days",
    );
    check(
        "first_seen: {of: source.network, values_max: 5}",
        "a.yml:10:48: fewer networks are kept than make a principal climb; write `values_max` no smaller than `mobile.networks`",
    );
    check(
        "first_seen: {of: [secrets.id], unless: sel}",
        "a.yml:10:42: `unless` names all the events the rule is about, so nothing is ever new; name a selection that fits some of them",
    );
    refused(
        "title: R\nlevel: high\nkeywatch: {risk: {within: 0s}}\n",
        &["a.yml:3:27: `within` is no time at all; write a length of time such as 1h"],
    );
    let repeats = "type: value_count, rules: [a], timespan: 1h, condition: {field: secrets.id, gte: 5}";
    check_correlation(
        repeats,
        "keywatch: {incident: {repeats: 30m}}",
        "a.yml:13:22: `repeats` is no longer than `keep_alive`, and an incident that is open takes more anyway; write a `repeats` longer than `keep_alive`, or leave it out",
    );
}

#[test]
fn a_count_has_a_number_that_meets_it() {
    let counting =
        |condition: &str| format!("type: event_count, rules: [a], timespan: 1h, condition: {condition}");
    let none = "a window ends with an event that counts, so there is never none; for what does not happen write `type: temporal` with `a and not b`, or `keywatch.silence`";
    let whole = "no whole number meets all these bounds; let the lower one be the smaller";
    let no = "no number meets all these bounds; let the lower one be the smaller";
    for (condition, want) in [
        ("{lt: 1}", none),
        ("{eq: 0}", none),
        ("{eq: 2.5}", whole),
        ("{gt: 4, lt: 5}", whole),
        ("{eq: 3, neq: 3}", no),
        ("{gte: 10, lte: 5}", no),
    ] {
        check_correlation(&counting(condition), "", &format!("a.yml:12:71: {want}"));
    }
    for condition in ["{lt: 2}", "{neq: 1}", "{gte: 0}", "{gt: 4, lt: 6}", "{gte: 1, lte: 1}"] {
        compiled(&correlation(&counting(condition), ""));
    }
    let sum = "type: value_sum, rules: [a], timespan: 1h, condition: {field: secrets.count, gt: 4, lt: 5}";
    compiled(&correlation(sum, ""));
    // Of further conditions there may be none.
    compiled(&correlation(COUNT, "keywatch: {any: [{matching: _denied, lt: 1}]}"));
}

#[test]
fn a_group_is_made_of_what_its_events_can_have() {
    let text = correlation(COUNT, "").replace(
        "detection: {sel: {class: secret.read}, _denied: {outcome: denied}, condition: sel}",
        "detection: {sel: {class: secret.read, account|exists: false}, condition: sel}",
    );
    assert_eq!(
        problems(&[&text]),
        [
            "a.yml:12:57: no event of `a` has a value of `account`, so none of them counts; group by another field, or count other events"
        ]
    );
    check_correlation(
        "type: event_count, rules: [a], group-by: [account, account], timespan: 1h, condition: {gte: 5}",
        "",
        "a.yml:12:66: `account` stands twice; name each field once",
    );
    let aws = "title: A\nname: a\nlogsource: {product: aws, service: cloudtrail}\ndetection: {s: {eventName: X}, condition: s}\n---\n\
               title: C\nlevel: high\ncorrelation: {type: event_count, rules: [a], group-by: [FIELD], timespan: 1h, condition: {gte: 5}}\n";
    assert_eq!(
        problems(&[&aws.replace("FIELD", "principal.idd")]),
        [
            "a.yml:8:57: unknown field `principal.idd`; did you mean `principal.id`? (a field of the record itself is written `raw.principal.idd`)"
        ]
    );
    compiled(&aws.replace("FIELD", "userIdentity.arn"));
}

#[test]
fn a_condition_over_rules_may_come_true() {
    check_correlation(
        "type: temporal, rules: [a, b], timespan: 1h, condition: a and b and not a",
        "",
        "a.yml:12:71: the condition contradicts itself, whatever happens; look for a rule that must occur and must not",
    );
}

#[test]
fn an_alert_is_part_of_one_that_weighs_as_much() {
    let part = "title: P\nname: p\nlevel: high\ndetection: {s: {class: export}, condition: s}\nkeywatch: {part_of: [w]}\n---\n";
    let whole = "title: W\nname: w\nlevel: medium\ndetection: {s: {class: export}, condition: s}\n";
    refused(
        &format!("{part}{whole}"),
        &[
            "a.yml:5:22: no alert of `w` is of as high a level as those of this rule; take it out, or raise the level of that rule",
        ],
    );
    compiled(&format!("{part}{whole}keywatch: {{escalate: {{to: high, gte: 2}}}}\n"));
}

#[test]
fn an_example_expects_what_it_counts() {
    let example = |expect: &str, alerts: u8| {
        detection(&format!("examples: [{{name: n, expect: {expect}, alerts: {alerts}, events: [{{}}]}}]"))
    };
    refused(
        &example("silence", 1),
        &[
            "a.yml:10:49: `alerts` and `expect` contradict each other; levels from medium on are those of alerts, the others raise none",
        ],
    );
    assert_eq!(problems(&[&example("medium", 0)]).len(), 1);
    compiled(&example("silence", 0));
}

#[test]
fn a_threshold_that_is_learned_may_rise() {
    check_correlation(
        COUNT,
        "keywatch: {lagged: {highest: 0}}",
        "a.yml:13:20: the learned threshold is never above the fixed one; write a factor above 0",
    );
}

#[test]
fn everything_that_contradicts_itself_is_told_at_once() {
    let text = detection("escalate: {to: medium, gte: 3}\n  incident: {}")
        .replace("sel: {class: secret.read}", "sel: {class: secret.read, class|neq: secret.read}");
    assert_eq!(problems(&[&text]).len(), 3);
}
