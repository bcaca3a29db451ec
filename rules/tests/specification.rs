//! Everything the published specification of Sigma lists loads, and does what it says.
//!
//! The lists are those of specification 2.1 (SigmaHQ/sigma-specification: modifiers appendix,
//! rules, correlation rules and filters) with what 2.2 adds. Each entry is run against a record
//! that has what is asked for and one that has not.

use keywatch_rules::{compile, examples};

/// Runs a rule whose selection `s` is tried on two records: the first must match.
#[track_caller]
fn check_detection(detection: &str, matching: &str, other: &str) {
    let text = format!(
        "title: T\nname: t\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n  {detection}\nlevel: medium\nkeywatch:\n  examples:\n    \
         - {{name: matches, expect: medium, events: [{{raw: {matching}}}]}}\n    \
         - {{name: does not, expect: silence, events: [{{raw: {other}}}]}}\n"
    );
    check_file(&text);
}

#[track_caller]
fn check_file(text: &str) {
    let compiled = compile([("a.yml", text)]);
    assert!(compiled.is_ok(), "{text}\n{:?}", compiled.err());
    let outcomes = compiled.map(|set| examples::run(&set)).unwrap_or_default();
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|outcome| Some(format!("{}: {}", outcome.example, outcome.failure.as_ref()?)))
        .collect();
    assert!(!outcomes.is_empty() && failed.is_empty(), "{text}\n{failed:?}");
}

/// Modifier, the item with it, the value of `x` that matches and one that does not.
const MODIFIERS: &[(&str, &str, &str, &str)] = &[
    ("all", "x|contains|all: [a, b]", "xbya", "xax"),
    ("startswith", "x|startswith: adm_", "ADM_1", "1adm_"),
    ("endswith", "x|endswith: .exe", "a.EXE", "a.exe1"),
    ("contains", "x|contains: mid", "aMIDb", "md"),
    ("exists", "x|exists: true", "1", "null"),
    ("exists", "x|exists: false", "null", "1"),
    ("cased", "x|cased: Abc", "Abc", "abc"),
    ("neq", "x|neq: abc", "abd", "ABC"),
    ("neq", "x|neq: 5", "6", "5"),
    ("windash", "x|windash|contains: ' -rf'", "rm ―rf", "rm rf"),
    ("windash", "x|windash|contains: ' -rf'", "rm /rf", "rm rf"),
    ("re", "x|re: '^a[0-9]{2}(b|c)+d?$'", "a12bc", "A12bc"),
    ("re i", "x|re|i: '^abc$'", "ABC", "abcd"),
    ("re m", "x|re|m: '^b$'", "\"a\\nb\\nc\"", "abc"),
    ("re s", "x|re|s: '^a.b$'", "\"a\\nb\"", "\"a\\nbc\""),
    ("base64", "x|base64: abc", "YWJj", "YWJk"),
    ("base64offset", "x|base64offset|contains: 'http://'", "YWJodHRwOi8vZXhhbXBsZS5jb20=", "YWJjZGVm"),
    ("utf16le", "x|utf16le|base64: ab", "YQBiAA==", "YWI="),
    ("utf16be", "x|utf16be|base64: ab", "AGEAYg==", "YQBiAA=="),
    ("utf16", "x|utf16|base64: ab", "//5hAGIA", "YQBiAA=="),
    ("wide", "x|wide|base64: ab", "YQBiAA==", "YWI="),
    ("lt", "x|lt: 5", "4.5", "5"),
    ("lte", "x|lte: 5", "5", "5.5"),
    ("gt", "x|gt: 5", "6", "5"),
    ("gte", "x|gte: 5", "5", "4"),
    ("minute", "x|minute: 8", "2026-05-31T09:08:07Z", "2026-05-31T09:09:07Z"),
    ("hour", "x|hour|gte: 22", "2026-05-31T22:08:07Z", "2026-05-31T21:59:59Z"),
    ("day", "x|day: 31", "2026-05-31T09:08:07Z", "2026-05-30T09:08:07Z"),
    ("week", "x|week: 22", "2026-05-31T09:08:07Z", "2026-06-01T09:08:07Z"),
    ("month", "x|month: 5", "2026-05-31T09:08:07Z", "2026-06-01T09:08:07Z"),
    ("year", "x|year: 2026", "2026-05-31T09:08:07Z", "2025-05-31T09:08:07Z"),
    ("cidr", "x|cidr: 10.0.0.0/8", "10.1.2.3", "11.1.2.3"),
    ("cidr", "x|cidr: '2001:db8::/32'", "'2001:db8::1'", "'2001:db9::1'"),
    ("fieldref", "x|fieldref: y", "same", "different"),
    ("fieldref neq", "x|fieldref|neq: y", "different", "same"),
];

#[test]
fn every_published_modifier_does_what_it_says() {
    for (_, item, matching, other) in MODIFIERS {
        let record = |value: &str| format!("{{x: {value}, y: same}}");
        check_detection(&format!("s: {{{item}}}\n  condition: s"), &record(matching), &record(other));
    }
}

#[test]
fn a_placeholder_takes_the_values_of_the_operators_list() {
    let text = "\
title: T
name: t
logsource: {product: aws, service: cloudtrail}
detection:
  s: {x|expand: '%people%'}
  condition: s
level: medium
keywatch:
  examples:
    - {name: listed, expect: medium, lists: {people: [alice]}, events: [{raw: {x: Alice}}]}
    - {name: not listed, expect: silence, lists: {people: [alice]}, events: [{raw: {x: bob}}]}
    - {name: no list, expect: silence, events: [{raw: {x: alice}}]}
";
    check_file(text);
}

#[test]
fn every_published_form_of_a_selection_does_what_it_says() {
    let check = |selection: &str, matching: &str, other: &str| {
        check_detection(&format!("s: {selection}\n  condition: s"), matching, other);
    };
    check("{x: a, y: b}", "{x: a, y: b}", "{x: a, y: c}");
    check("{x: [a, b]}", "{x: b}", "{x: c}");
    check("[{x: a}, {y: b}]", "{y: b}", "{x: b}");
    check("[one, two]", "{any: {where: two}}", "{any: {where: three}}");
    check("one", "{any: one}", "{any: two}");
    check("{'|all': [one, two]}", "{a: one, b: two}", "{a: one}");
    check("{x: 'a*c'}", "{x: abbc}", "{x: abb}");
    check("{x: 'a?c'}", "{x: abc}", "{x: abbc}");
    check("{x: 'a\\*c'}", "{x: 'a*c'}", "{x: abc}");
    check("{x: 'a\\\\*'}", "{x: 'a\\b'}", "{x: 'ab'}");
    check("{x: ''}", "{x: ''}", "{x: a}");
    check("{x: null}", "{z: 1}", "{x: a}");
    check("{x: true}", "{x: true}", "{x: false}");
    check("{x: 0}", "{x: 0}", "{x: 1}");
    check("{a.b.c: d}", "{a: {b: {c: d}}}", "{a: {b: d}}");
}

/// Conditions over `a` (holds), `b` (does not), `c_1` and `c_3` (hold), `c_2` (does not) and `_d`.
const CONDITIONS: &[(&str, bool)] = &[
    ("a", true),
    ("b", false),
    ("a and b", false),
    ("a AND NOT b", true),
    ("a or b", true),
    ("not b and a", true),
    ("not (a or b)", false),
    ("a and (b or c_1)", true),
    ("a or b and b", true),
    ("1 of c_*", true),
    ("2 of c_*", true),
    ("3 of c_*", false),
    ("all of c_*", false),
    ("any of c_*", true),
    ("1 of *_2", false),
    ("1 of them", true),
    ("any of them", true),
    ("all of them", false),
    ("not 1 of *_2", true),
    ("a and not all of c_*", true),
    ("[b, a]", true),
    ("[b, not a]", false),
];

#[test]
fn every_published_form_of_a_condition_does_what_it_says() {
    for (condition, holds) in CONDITIONS {
        let expect = if *holds { "medium" } else { "silence" };
        // What the condition leaves out is hidden, so that it is no mistake.
        let text = format!(
            "title: T\nname: t\nlogsource: {{product: aws, service: cloudtrail}}\ndetection:\n  \
             a: {{x: 1}}\n  b: {{x: 2}}\n  c_1: {{x: 1}}\n  c_2: {{x: 2}}\n  c_3: {{x: 1}}\n  _d: {{x: 2}}\n  \
             condition: {condition}\nlevel: medium\nkeywatch:\n  examples:\n    \
             - {{name: as it says, expect: {expect}, events: [{{raw: {{x: 1}}}}]}}\n"
        );
        match compile([("a.yml", text.as_str())]) {
            Ok(_) => check_file(&text),
            Err(problems) => {
                let unused = |problem: &keywatch_rules::Problem| {
                    problem.to_string().contains("no condition uses the selection")
                };
                assert!(problems.iter().all(unused), "{condition}: {problems:?}");
                check_file(&without_unused(&text, &problems));
            }
        }
    }
}

/// The text with the selections that nothing uses hidden.
fn without_unused(text: &str, problems: &[keywatch_rules::Problem]) -> String {
    let unused = problems.iter().filter_map(|problem| {
        let said = problem.to_string();
        Some(said.split('`').nth(1)?.to_owned())
    });
    unused
        .fold(text.to_owned(), |text, name| text.replace(&format!("  {name}: {{"), &format!("  _{name}: {{")))
}

/// Type, the correlation's body, events that meet it and events that do not.
const CORRELATIONS: &[(&str, &str, &str, &str)] = &[
    ("event_count gte", "type: event_count, rules: [a], condition: {gte: 3}", "a a a", "a a"),
    ("event_count gt", "type: event_count, rules: [a], condition: {gt: 2}", "a a a", "a a"),
    ("event_count lt", "type: event_count, rules: [a], condition: {gte: 1, lt: 2}", "a", "b"),
    ("event_count lte", "type: event_count, rules: [a], condition: {gt: 0, lte: 1}", "a", "b"),
    ("event_count eq", "type: event_count, rules: [a], condition: {eq: 2}", "a a", "a"),
    ("event_count neq", "type: event_count, rules: [a], condition: {gte: 1, neq: 1}", "a a", "a"),
    ("several rules", "type: event_count, rules: [a, b], condition: {gte: 3}", "a b a", "a b"),
    ("value_count", "type: value_count, rules: [a], condition: {field: v, gte: 2}", "a:1 a:2", "a:1 a:1"),
    (
        "value_count fields",
        "type: value_count, rules: [a], condition: {field: [v, k], gte: 2}",
        "a:1 a:2",
        "a:1 a:1",
    ),
    ("temporal", "type: temporal, rules: [a, b]", "b a", "a a"),
    ("temporal number", "type: temporal, rules: [a, b], condition: {gte: 2}", "b a", "a a"),
    ("temporal or", "type: temporal, rules: [a, b], condition: a or b", "a", "c"),
    ("temporal not", "type: temporal, rules: [a, b], condition: a and not b", "a", "b"),
    ("temporal 1 of", "type: temporal, rules: [a, b], condition: 1 of them", "b", "c"),
    ("temporal 2 of", "type: temporal, rules: [a, b, c], condition: 2 of them", "c a", "a a"),
    ("temporal all of", "type: temporal, rules: [a, b], condition: all of them", "b a", "b"),
    ("temporal_ordered", "type: temporal_ordered, rules: [a, b]", "a b", "b a"),
    ("temporal_ordered text", "type: temporal_ordered, rules: [a, b], condition: a and b", "a b", "b a"),
    ("value_sum", "type: value_sum, rules: [a], condition: {field: v, gte: 5}", "a:2 a:3", "a:2 a:2"),
    ("value_avg", "type: value_avg, rules: [a], condition: {field: v, gt: 2}", "a:2 a:4", "a:2 a:2"),
    (
        "value_median",
        "type: value_median, rules: [a], condition: {field: v, gte: 3}",
        "a:9 a:3 a:4",
        "a:2 a:1",
    ),
    (
        "value_percentile",
        "type: value_percentile, rules: [a], condition: {field: v, percentile: 90, gte: 8}",
        "a:9 a:1",
        "a:2 a:1",
    ),
];

#[test]
fn every_published_correlation_does_what_it_says() {
    for (name, body, meeting, other) in CORRELATIONS {
        let events = |text: &str| {
            let each = text.split(' ').enumerate().map(|(at, event)| {
                let (kind, value) = event.split_once(':').unwrap_or((event, "1"));
                format!("{{at: {at}m, raw: {{kind: {kind}, v: {value}, k: 1}}}}")
            });
            each.collect::<Vec<_>>().join(", ")
        };
        let detection = |kind: &str| {
            format!(
                "---\ntitle: {kind}\nname: {kind}\nlevel: low\nlogsource: {{product: aws, service: cloudtrail}}\n\
                 detection: {{s: {{kind: {kind}}}, condition: s}}\n"
            )
        };
        let used: String = ["a", "b", "c"].iter().map(|kind| detection(kind)).collect();
        check_file(&format!(
            "title: {name}\nname: t\nlevel: high\ncorrelation: {{{body}, group-by: [principal.id], timespan: 1h}}\n\
             keywatch:\n  examples:\n    \
             - {{name: met, expect: high, events: [{}]}}\n    \
             - {{name: not met, expect: silence, events: [{}]}}\n{used}",
            events(meeting),
            events(other)
        ));
    }
}

/// As the specification has it under "Failed Logins Followed by Successful Login", outermost first, with
/// the log source of a provider and examples.
const CHAIN: &str = "\
title: Correlation - Multiple Failed Logins Followed by Successful Login
id: b180ead8-d58f-40b2-ae54-c8940995b9b6
status: experimental
description: Detects multiple failed logins by a single user followed by a successful login of that user
references:
    - https://reference.com
author: Florian Roth (Nextron Systems)
date: 2023-06-16
correlation:
    type: temporal_ordered
    rules:
        - multiple_failed_login
        - successful_login
    group-by:
        - User
    timespan: 10m
falsepositives:
    - Unlikely
level: high
keywatch:
  examples:
    - name: ten failures and a success
      expect: high
      alerts: 1
      events:
        - {repeat: 10, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 12m, raw: {EventID: 4624, User: eve}}
    - name: failures that go on for an hour and a success
      expect: high
      alerts: 1
      events:
        - {repeat: 120, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 65m, raw: {EventID: 4624, User: eve}}
    - name: nine failures
      expect: silence
      events:
        - {repeat: 9, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 8m, raw: {EventID: 4624, User: eve}}
    - name: the success comes first
      expect: silence
      events:
        - {raw: {EventID: 4624, User: eve}}
        - {at: 1m, repeat: 10, every: 30s, raw: {EventID: 4625, User: eve}}
    - name: the success comes first and is read last
      expect: silence
      events:
        - {at: 1m, repeat: 10, every: 30s, raw: {EventID: 4625, User: eve}}
        - {raw: {EventID: 4624, User: eve}}
    - name: a failure that comes last makes it ten
      expect: high
      alerts: 1
      events:
        - {repeat: 9, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 8m, raw: {EventID: 4624, User: eve}}
        - {at: 15s, raw: {EventID: 4625, User: eve}}
    - name: somebody else succeeds
      expect: silence
      events:
        - {repeat: 10, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 8m, raw: {EventID: 4624, User: ada}}
    - name: the success comes too late
      expect: silence
      events:
        - {repeat: 10, every: 30s, raw: {EventID: 4625, User: eve}}
        - {at: 20m, raw: {EventID: 4624, User: eve}}
---
title: Multiple failed logons
id: a8418a5a-5fc4-46b5-b23b-6c73beb19d41
description: Detects multiple failed logins within a certain amount of time
name: multiple_failed_login
correlation:
    type: event_count
    rules:
        - failed_login
    group-by:
        - User
    timespan: 10m
    condition:
        gte: 10
keywatch:
  examples:
    - name: ten
      expect: informational
      events: [{repeat: 10, every: 30s, raw: {EventID: 529, User: eve}}]
    - name: nine
      expect: silence
      events: [{repeat: 9, every: 30s, raw: {EventID: 529, User: eve}}]
---
title: Single failed login
id: 53ba33fd-3a50-4468-a5ef-c583635cfa92
name: failed_login
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        EventID:
            - 529
            - 4625
    condition: selection
---
title: Successful login
id: 4d0a2c83-c62c-4ed4-b475-c7e23a9269b8
description: Detects a successful login
name: successful_login
logsource:
    product: aws
    service: cloudtrail
detection:
    selection:
        EventID:
            - 528
            - 4624
    condition: selection
";

#[test]
fn the_published_chain_of_correlations_does_what_it_says() {
    check_file(CHAIN);
    let published =
        CHAIN.replace("product: aws", "product: windows").replace("service: cloudtrail", "service: security");
    let set = compile([("a.yml", published.as_str())]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let blind = |rule: &keywatch_rules::rule::Rule| {
        rule.blind.as_deref() == Some("Keywatch does not ingest windows/security")
    };
    assert!(set.rules.iter().all(blind));
}

/// `CloudTrail` has whole seconds: what happened within one has no order but that of its ids.
#[test]
fn what_happens_at_one_instant_is_counted_at_once_in_whatever_order_it_is_listed() {
    const EVENTS: [&str; 3] = [
        "{at: 10m, class: secret.delete, principal: user/a, secret: x}",
        "{at: 10m, class: policy.change, principal: user/a}",
        "{at: 10m, class: auth.fail, outcome: denied, principal: user/a}",
    ];
    let orders = [[0, 1, 2], [0, 2, 1], [1, 0, 2], [1, 2, 0], [2, 0, 1], [2, 1, 0]];
    let examples: String = orders
        .map(|order| {
            let events = order.map(|at| EVENTS[at]).join(", ");
            format!("    - {{name: 'in order {order:?}', expect: silence, events: [{events}]}}\n")
        })
        .concat();
    let parts: String =
        [("deleted", "secret.delete"), ("approved", "policy.change"), ("failed", "auth.fail")]
            .map(|(name, class)| {
                format!(
                    "---\ntitle: {name}\nname: {name}\ndetection: {{s: {{class: {class}}}, condition: s}}\n"
                )
            })
            .concat();
    for (kind, condition) in [
        ("temporal", "deleted and failed and not approved"),
        ("event_count", "{eq: 2}"),
        ("event_count", "{lt: 2, gt: 0}"),
    ] {
        check_file(&format!(
            "title: Together\nname: together\nlevel: high\ncorrelation:\n  type: {kind}\n  \
             rules: [deleted, failed, approved]\n  group-by: [principal.id]\n  timespan: 1h\n  condition: {condition}\n\
             keywatch:\n  examples:\n{examples}{parts}"
        ));
    }
}

#[test]
fn the_published_example_of_a_filter_loads_with_every_way_to_name_rules() {
    for rules in ["[6f3e2987-db24-4c78-a860-b4f4095a7095]", "6f3e2987-db24-4c78-a860-b4f4095a7095", "any"] {
        check_file(&format!(
            "\
title: Data Compressed
id: 6f3e2987-db24-4c78-a860-b4f4095a7095
logsource: {{product: aws, service: cloudtrail}}
detection: {{selection: {{x: rar}}, condition: selection}}
level: medium
keywatch:
  examples:
    - {{name: somebody, expect: medium, events: [{{raw: {{x: rar, User: bob}}}}]}}
    - {{name: an administrator, expect: silence, events: [{{raw: {{x: rar, User: adm_7}}}}]}}
---
title: Filter Administrator account
description: The valid administrator account start with adm_
date: 2026-01-01
logsource: {{product: aws, service: cloudtrail}}
filter:
  rules: {rules}
  selection: {{User|startswith: adm_}}
  condition: not selection
"
        ));
    }
}
