//! Correlations of every type.

use super::{correlation, counted, last, problems, refused};
use crate::rule::{Counted, Op, Presence};

#[test]
fn every_type_of_correlation_compiles() {
    let check = |kind: &str, condition: &str, want: fn(&Counted) -> bool| {
        let body = format!("type: {kind}, rules: [a, b], group-by: [principal.id], timespan: 31d{condition}");
        let count = counted(&correlation(&body, ""));
        assert!(want(&count.condition.of), "{kind}: {:?}", count.condition);
    };
    check("event_count", ", condition: {gte: 5}", |of| matches!(of, Counted::Events));
    check(
        "value_count",
        ", condition: {gt: 1, field: [secrets.id, operation]}",
        |of| matches!(of, Counted::Distinct(hits) if hits.len() == 2 && hits[0].len() == 2),
    );
    let measured = ", condition: {field: secrets.name, gte: 0.5}";
    check("value_sum", measured, |of| matches!(of, Counted::Sum(_)));
    check("value_avg", measured, |of| matches!(of, Counted::Average(_)));
    check("value_median", measured, |of| matches!(of, Counted::Median(_)));
    check("value_percentile", ", condition: {field: secrets.name, percentile: 95, lt: 3}", |of| {
        matches!(of, Counted::Percentile(_, 95.0))
    });
    check("temporal", "", |of| matches!(of, Counted::All(Presence::And(all)) if all.len() == 2));
    check("temporal", ", condition: {gte: 2}", |of| matches!(of, Counted::All(Presence::And(_))));
    check("temporal_ordered", "", |of| matches!(of, Counted::Ordered(steps) if steps.len() == 2));
}

#[test]
fn all_bounds_of_a_condition_hold() {
    let body = "type: event_count, rules: [a], timespan: 1h, condition: {gte: 2, lt: 9, neq: 4}";
    assert_eq!(
        counted(&correlation(body, "")).condition.bounds,
        [(Op::Gte, 2.0), (Op::Lt, 9.0), (Op::Neq, 4.0)]
    );
    refused(
        &correlation("type: event_count, rules: [a], timespan: 1h, condition: {gt: 5, lte: 5}", ""),
        &["a.yml:12:71: no number meets all these bounds; let the lower one be the smaller"],
    );
}

#[test]
fn an_expression_says_which_rules_occur() {
    let body = "type: temporal, rules: [a, b], timespan: 1h, condition: a and not b";
    let Counted::All(Presence::And(all)) = counted(&correlation(body, "")).condition.of else { panic!() };
    assert!(matches!(all.as_slice(), [Presence::Hit(0), Presence::Not(_)]), "{all:?}");
    let check = |condition: &str, want: &str| {
        refused(
            &correlation(&body.replace("a and not b", condition), ""),
            &[&format!("a.yml:12:71: {want}")],
        );
    };
    check(
        "not a and not b",
        "the condition holds when nothing happened; name a rule that must occur beside those that must not",
    );
    check("a", "the condition does not use `b`; name it there, or take it out of `rules`");
    check("a and bb", "`bb` is not among the `rules` of this correlation; did you mean `b`?");
    check("3 of them", "`3 of them` asks for more rules than there are; write at most 2");
}

#[test]
fn an_expression_may_ask_for_a_number_of_rules() {
    let body = "type: temporal, rules: [a, b], timespan: 1h, condition: ";
    let presence = |condition: &str| {
        let count = counted(&correlation(&format!("{body}{condition}"), ""));
        let Counted::All(presence) = count.condition.of else { panic!("{:?}", count.condition) };
        presence
    };
    assert!(matches!(presence("1 of them"), Presence::Or(any) if any.len() == 2));
    assert!(matches!(presence("all of them"), Presence::And(all) if all.len() == 2));
    assert!(matches!(presence("2 of them"), Presence::AtLeast(2, any) if any.len() == 2));
    assert!(matches!(presence("1 of a* and b"), Presence::And(all) if matches!(all[0], Presence::Or(_))));
}

#[test]
fn aliases_resolve_for_each_detection() {
    let body = "type: temporal_ordered, rules: [a, b], timespan: 1h, group-by: [key], \
                aliases: {key: {a: principal.access_key, b: raw.request.keyId}}";
    let count = counted(&correlation(body, ""));
    assert_ne!(count.hits[0].group_by, count.hits[1].group_by);
    assert_eq!(count.incident.keys, [[]], "fields of one detection say nothing of the other's events");
    let plain = counted(&correlation("type: temporal, rules: [a, b], timespan: 1h, group-by: [account]", ""));
    assert_eq!(plain.incident.keys, [plain.hits[0].group_by.clone()]);
}

#[test]
fn aliases_are_checked() {
    let body =
        "type: temporal, rules: [a, b], timespan: 1h, group-by: [k], aliases: {k: {a: account, d: region}}";
    refused(
        &correlation(body, ""),
        &[
            "a.yml:12:88: the alias `k` names no field of `b`; add `b: <field>` to it",
            "a.yml:12:104: `d` is not among the `rules` of this correlation; add it there, or take it out of the alias",
        ],
    );
    let unused = "type: temporal, rules: [a, b], timespan: 1h, aliases: {k: {a: account, b: acount}}";
    refused(
        &correlation(unused, ""),
        &["a.yml:12:73: nothing uses the alias `k`; name it in `group-by` or in the condition's `field`"],
    );
}

#[test]
fn steps_say_what_a_sequence_needs() {
    let body = "type: temporal_ordered, rules: [a, b], timespan: 1h";
    let rest = "keywatch: {steps: {b: {distinct: secrets.id, gte: 3}}}";
    let Counted::Ordered(steps) = counted(&correlation(body, rest)).condition.of else { panic!() };
    assert_eq!((steps[0].at_least, steps[1].at_least, steps[1].of.is_some()), (1, 3, true));
    refused(
        &correlation(body, "keywatch: {steps: {bee: {gte: 3}, b: {distinct: secret.id}}}"),
        &[
            "a.yml:13:20: the step `bee` is not among the `rules` of this correlation; did you mean `b`?",
            "a.yml:13:38: `gte` is missing; write `steps: {rule: {distinct: secrets.id, gte: 3}}`",
        ],
    );
    refused(
        &correlation("type: temporal, rules: [a, b], timespan: 1h", rest),
        &[
            "a.yml:13:19: `steps` has no effect here: only temporal_ordered has steps; write `type: temporal_ordered`",
        ],
    );
}

#[test]
fn the_steps_of_a_sequence_count_the_values_of_one_field() {
    let body = "type: temporal_ordered, rules: [a, b], timespan: 1h";
    let steps = |of: &str| {
        format!("keywatch: {{steps: {{a: {{distinct: secrets.id, gte: 2}}, b: {{distinct: {of}, gte: 3}}}}}}")
    };
    counted(&correlation(body, &steps("secrets.id")));
    refused(
        &correlation(body, &steps("source.ip")),
        &[
            "a.yml:13:58: the steps of a sequence count the values of one field; let a `value_count` correlation of the other field be the step",
        ],
    );
}

#[test]
fn a_condition_that_nothing_can_meet_is_a_mistake() {
    let said = |kind: &str, condition: &str| {
        let body = format!("type: {kind}, rules: [a], timespan: 1h, condition: {{{condition}}}");
        problems(&[&correlation(&body, "")]).concat()
    };
    let never = "a window ends with an event that counts, so there is never none";
    for condition in ["eq: 0", "lt: 1", "lte: 0", "lt: 0.5", "gte: 0, lte: 0.9"] {
        assert!(said("event_count", condition).contains(never), "{condition}");
        assert_eq!(said("value_count", &format!("field: region, {condition}")), "", "{condition}");
    }
    for condition in ["eq: 2.5", "gt: 4, lt: 5", "gte: 3, lt: 4, neq: 3"] {
        assert!(said("event_count", condition).contains("no whole number meets"), "{condition}");
        assert_eq!(said("value_avg", &format!("field: region, {condition}")), "", "{condition}");
    }
    for condition in ["eq: 5, gt: 7", "eq: 5, neq: 5", "gte: 3, lt: 3", "gt: 5, lte: 5"] {
        assert!(
            said("value_sum", &format!("field: region, {condition}")).contains("no number meets"),
            "{condition}"
        );
        assert!(said("event_count", condition).contains("no number meets"), "{condition}");
    }
    for condition in ["gte: 3, lt: 5, neq: 3", "eq: 3, gte: 2", "neq: 1", "lt: 2", "gt: 0"] {
        assert_eq!(said("event_count", condition), "", "{condition}");
    }
    let any = |bound: &str| {
        let body = "type: event_count, rules: [a], timespan: 1h, condition: {gte: 2}";
        let rest = format!("keywatch: {{any: [{{matching: _denied, {bound}}}]}}");
        problems(&[&correlation(body, &rest)]).concat()
    };
    assert_eq!(any("lt: 1"), "");
    assert!(any("gt: 1, lt: 2").contains("no whole number"));
}

#[test]
fn a_sequence_needs_two_rules_and_no_condition_but_all_of_them() {
    last(&correlation("type: temporal_ordered, rules: [a, b], timespan: 1h, condition: a AND b", ""));
    refused(
        &correlation("type: temporal, rules: [a], timespan: 1h", ""),
        &[
            "a.yml:12:38: a temporal correlation needs two rules; name a second rule, or use `type: event_count`",
        ],
    );
    refused(
        &correlation("type: temporal_ordered, rules: [a, b], timespan: 1h, condition: a or b", ""),
        &[
            "a.yml:12:79: temporal_ordered needs every rule once, in the order of `rules`; remove the condition",
        ],
    );
    refused(
        &correlation("type: temporal, rules: [a, b], timespan: 1h, condition: {gte: 1}", ""),
        &[
            "a.yml:12:71: a temporal correlation needs all its rules; write `gte: 2`, or a condition over rule names such as `a and not b`",
        ],
    );
}

#[test]
fn a_correlation_is_no_rule_about_sources() {
    refused(
        &correlation(
            "type: event_count, rules: [a], timespan: 1h, condition: {gte: 2}",
            "keywatch: {observed: gap}",
        ),
        &[
            "a.yml:13:22: `observed` has no effect here: a rule about sources has no correlation; give it a document of its own",
        ],
    );
}

#[test]
fn the_keys_of_a_correlation_are_checked() {
    refused(
        &correlation("type: event_cont, rules: [a], timespan: 0s, condition: {gte: 2}", ""),
        &[
            "a.yml:12:21: `event_cont` is no type of correlation; did you mean `event_count`?",
            "a.yml:12:55: `timespan` is `0s`; write a length of time such as 10m, 24h or 7d; at most 31d",
        ],
    );
    refused(
        &correlation("type: event_count, rules: [], timespan: 1h, condition: {gte: 2}, group_by: [x]", ""),
        &[
            "a.yml:1:1: `level` is missing; there is no usual one: write informational or low to classify events and raise nothing, medium (a warning), high or critical to raise alerts",
            "a.yml:12:41: `rules` names no detection; name what is counted, as `rules: [failed_read]`",
            "a.yml:12:80: unknown key `group_by`; did you mean `group-by`?",
        ],
    );
    refused(
        &correlation("type: event_count, rules: [a, a], timespan: 1h", ""),
        &[
            "a.yml:12:14: `condition` is missing; for example `condition: {gte: 5}`",
            "a.yml:12:45: `a` stands twice; name each detection once",
        ],
    );
    refused(
        &correlation(
            "type: event_count, rules: [a, b], group-by: [acount], timespan: 1h, condition: {gte: 2}",
            "",
        ),
        &[
            "a.yml:12:60: unknown field `acount`; did you mean `account`? (a field of the provider's own record is written `raw.acount`)",
        ],
    );
}

#[test]
fn what_is_counted_is_checked() {
    let check = |body: &str, want: &str| {
        refused(&correlation(&format!("{body}, rules: [a], timespan: 1h, group-by: [account]"), ""), &[want]);
    };
    check(
        "type: event_count, condition: {gte: 2, field: region}",
        "a.yml:12:61: event_count counts events, whatever their fields; write `type: value_count` to count distinct values",
    );
    check(
        "type: value_count, condition: {gte: 2}",
        "a.yml:12:45: `field` is missing; for example `condition: {field: secrets.id, gte: 5}`",
    );
    check(
        "type: value_count, condition: {gte: 2, field: account}",
        "a.yml:12:61: `account` is also in `group-by`, so there is never more than one value; take it out of `group-by`, or count another field",
    );
    check(
        "type: value_sum, condition: {gte: 2, field: [account, region]}",
        "a.yml:12:59: only value_count takes several fields; name one field",
    );
    check(
        "type: value_percentile, condition: {gte: 2, field: region}",
        "a.yml:12:50: `percentile` is missing; say which, as `percentile: 95`",
    );
    check(
        "type: value_avg, condition: {gte: 2, field: region, percentile: 9}",
        "a.yml:12:79: `percentile` belongs to value_percentile; write `type: value_percentile`, or remove it",
    );
}

#[test]
fn only_detections_with_events_can_be_counted() {
    let more = "---\ntitle: E\nname: e\nlevel: high\nkeywatch: {silence: {per: account}}\ndetection: {sel: {class: other}, condition: sel}\n\
                ---\ntitle: F\nname: f\nlevel: high\ncorrelation: {type: event_count, rules: [e], timespan: 1h, condition: {gte: 2}}\n";
    refused(
        &correlation("type: event_count, rules: [a, b], timespan: 1h, condition: {gte: 2}", more),
        &[
            "a.yml:23:42: a rule about silence has no events to count; name a detection without `keywatch.silence`",
        ],
    );
}

#[test]
fn a_detection_that_feeds_a_correlation_raises_nothing_itself() {
    let feeds = "title: A\nname: a\nlevel: high\nkeywatch: {incident: {keep_alive: 1h}}\ndetection: {sel: {class: other}, condition: sel}\n\
                 ---\ntitle: C\nname: c\nlevel: high\ncorrelation: {type: event_count, rules: [a], timespan: 1h, condition: {gte: 2}}\n";
    refused(
        feeds,
        &[
            "a.yml:4:22: `incident` has no effect here: `c` uses this rule, which then raises nothing by itself; move it to the correlation, or write `generate: true` there",
        ],
    );
}

#[test]
fn a_correlation_is_blind_when_what_it_needs_is() {
    let blind = "title: B\nname: b\nlevel: low\nlogsource: {product: m365, service: audit}\ndetection: {sel: {Operation: x}, condition: sel}\n---\n";
    let seen = "title: A\nname: a\nlevel: low\ndetection: {sel: {class: other}, condition: sel}\n---\n";
    let check = |body: &str, want: Option<&str>| {
        let text =
            format!("{blind}{seen}title: C\nname: c\nlevel: high\ncorrelation: {{{body}, timespan: 1h}}\n");
        assert_eq!(last(&text).blind.as_deref(), want, "{body}");
    };
    let reason = Some("Keywatch does not ingest m365/audit");
    check("type: event_count, rules: [a, b], condition: {gte: 2}", None);
    check("type: event_count, rules: [b], condition: {gte: 2}", reason);
    check("type: temporal, rules: [a, b]", reason);
    check("type: temporal, rules: [a, b], condition: a or b", None);
    check("type: temporal, rules: [a, b], condition: a and not b", None);
    check("type: temporal, rules: [a, b], condition: b and not a", reason);
    let chained = |body: &str, want: Option<&str>| {
        let inner = "title: I\nname: i\ncorrelation: {type: temporal, rules: [a, b], timespan: 1h}\n---\n\
                     title: J\nname: j\ncorrelation: {type: event_count, rules: [i], timespan: 1h, condition: {gte: 2}}\n---\n";
        let text = format!(
            "{inner}{blind}{seen}title: C\nname: c\nlevel: high\ncorrelation: {{{body}, timespan: 1h}}\n"
        );
        assert_eq!(last(&text).blind.as_deref(), want, "{body}");
    };
    chained("type: event_count, rules: [j], condition: {gte: 2}", reason);
    chained("type: event_count, rules: [j, a], condition: {gte: 2}", None);
    chained("type: temporal_ordered, rules: [j, a]", reason);
}

#[test]
fn shipped_alerts_are_ended_by_those_alone_who_say_so() {
    let shipped = "title: Read\nname: KW-1\nlevel: high\ndetection: {s: {class: secret.read}, condition: s}\n\
                   keywatch: {action: Look, incident: {keep_alive: 1h}}\n";
    let own = |generate: &str| {
        format!(
            "title: Mine\nname: mine\nlevel: critical\ncorrelation: {{type: event_count, rules: [KW-1], timespan: 1h, \
             condition: {{gte: 3}}{generate}}}\n"
        )
    };
    let told = |file: &str, own: &str| -> Vec<String> {
        let problems = crate::compile([(file, shipped), ("mine.yml", own)]).err().unwrap_or_default();
        problems.iter().map(ToString::to_string).collect()
    };
    let refusal = "mine.yml:4:42: `KW-1` is shipped and raises alerts of its own, which this would end; write \
                   `generate: true` beside `rules` to keep them, or `generate: false` to do without";
    assert_eq!(told("builtin/kw-1.yml", &own("")), [refusal]);
    assert!(told("builtin/kw-1.yml", &own(", generate: true")).is_empty());
    let refused = told("builtin/kw-1.yml", &own(", generate: false"));
    assert!(refused.iter().all(|one| one.starts_with("builtin/kw-1.yml")), "{refused:?}");
    assert!(!told("theirs.yml", &own("")).concat().contains("is shipped"));
}

#[test]
fn a_count_has_no_negative_bound() {
    let counting = |kind: &str, field: &str| {
        let body = format!("type: {kind}, rules: [a], timespan: 1h, condition: {{{field}gte: -5}}");
        problems(&[&correlation(&body, "")])
    };
    for (kind, field) in [("event_count", ""), ("value_count", "field: secrets.id, ")] {
        let found = counting(kind, field);
        assert!(found.iter().any(|text| text.contains("`gte` is `-5`; write a number from 0")), "{found:?}");
    }
    let found = counting("value_sum", "field: secrets.count, ");
    assert!(!found.iter().any(|text| text.contains("`-5`")), "a sum may be negative: {found:?}");
}
