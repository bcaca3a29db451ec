//! What is refused matches nothing: held to it over every pair of these items, by every event of a pool.

use crate::Seen;
use crate::log_source::LogSource;
use crate::matcher::{Matcher, Selections};
use crate::testing::{PLACE, event, secret};
use crate::view::View;
use crate::yaml::{Problems, parse};
use keywatch_event::{AuditEvent, Class, Outcome, Source};

/// Items that ask for the same few fields in every way.
const ITEMS: &[&str] = &[
    "class: secret.read",
    "class: [secret.read, secret.list]",
    "class|neq: secret.read",
    "class|startswith: secret.",
    "class|cased: SECRET.READ",
    "outcome: [ok, denied]",
    "outcome|neq: [denied, ok]",
    "operation: GetSecretValue",
    "operation|cased: getsecretvalue",
    "operation|re: ^Get",
    "operation|startswith: Get",
    "operation|endswith: Value",
    "operation|contains: secret",
    "operation|contains|all: [Get, List]",
    "operation|startswith: List",
    "operation: ''",
    "operation: null",
    "operation|exists: true",
    "secrets.name: a",
    "secrets.name: [a, b]",
    "secrets.name|neq: a",
    "secrets.name|all: [a, b]",
    "secrets.name|startswith: a",
    "secrets.name|exists: false",
    "secrets.name: null",
    "secrets.count|gt: 1",
    "secrets.count|lte: 1",
    "secrets.count: 2",
    "secrets.count|neq: 2",
    "source.ip|cidr: 192.0.2.0/24",
    "source.ip|cidr: 198.51.100.0/24",
    "source.ip: 192.0.2.9",
    "source.ip|exists: false",
    "source.ip|cidr|expand: '%nets%'",
    "raw.x: [a, b]",
    "raw.x|neq: a",
    "raw.x|gt: 5",
    "raw.x|lt: 3",
    "raw.x|exists: false",
    "raw.x|startswith: a",
];

/// Conditions over two selections.
const CONDITIONS: &[&str] = &[
    "a and b",
    "a and not b",
    "not a and not b",
    "a or b",
    "not (a or b)",
    "not (a and b)",
    "1 of them",
    "all of them",
    "a and not a",
    "(a or b) and not (a and b)",
];

fn pool() -> Vec<(AuditEvent<'static>, &'static str)> {
    let mut pool = Vec::new();
    let classes = [Class::SecretRead, Class::SecretList, Class::Other];
    for (n, class) in classes.into_iter().enumerate() {
        for operation in ["GetSecretValue", "ListSecrets", "", "getlist"] {
            for names in [&[][..], &["a"], &["b", "a"], &["ab"]] {
                for raw in ["{}", r#"{"x":"a"}"#, r#"{"x":["a","b"]}"#, r#"{"x":[2,9]}"#] {
                    let source = ["192.0.2.9", "198.51.100.4", "somewhere.amazonaws.com"][n];
                    pool.push((
                        AuditEvent {
                            class,
                            outcome: [Outcome::Ok, Outcome::Denied, Outcome::NotFound][n],
                            operation: operation.into(),
                            secrets: names.iter().map(|name| secret(name)).collect(),
                            source: Source::from_text(source.into()),
                            ..event()
                        },
                        raw,
                    ));
                }
            }
        }
    }
    pool
}

/// The matcher of a detection, and what was said of it.
fn read(detection: &str) -> (Matcher, Vec<String>) {
    let problems = Problems::new("r");
    let documents = parse("r", detection).unwrap();
    let source = LogSource::parse(Some("keywatch"), None, None);
    let selections = Selections::compile(&documents[0], &source, &problems);
    let matcher = selections.matcher(documents[0].get("condition").unwrap(), &problems).unwrap();
    (matcher, problems.into_sorted().iter().map(ToString::to_string).collect())
}

fn is_met(matcher: &Matcher, pool: &[(AuditEvent<'static>, &'static str)]) -> bool {
    pool.iter().any(|(event, raw)| {
        let seen = Seen { event, place: &PLACE, raw: raw.as_bytes() };
        matcher.matches(&View::alone(&seen))
    })
}

#[test]
fn what_is_refused_matches_none_of_all_these_events() {
    let pool = pool();
    let mut refused = 0;
    for (n, one) in ITEMS.iter().enumerate() {
        for other in ITEMS.iter().skip(n + 1) {
            let two = |condition: &&str| format!("a: {{{one}}}\nb: {{{other}}}\ncondition: {condition}\n");
            let key = |item: &str| item.split(':').next().map(str::to_owned);
            let both = (key(one) != key(other)).then(|| format!("a: {{{one}, {other}}}\ncondition: a\n"));
            for text in
                CONDITIONS.iter().map(two).chain(both).chain([format!("a: {{{one}}}\ncondition: a\n")])
            {
                let (matcher, said) = read(&text);
                // What is said of one of two selections, or of alternatives, is not about all there is.
                let is_whole = |said: &String| said.contains("this condition") || !text.contains("b:");
                if said.iter().any(is_whole) {
                    refused += 1;
                    assert!(!is_met(&matcher, &pool), "{text}{said:?}");
                }
            }
        }
    }
    assert!(refused > 500, "only {refused} were refused");
}

/// What is said of a mapping, or of conditions over selections; empty when an event may meet it.
#[track_caller]
fn check(detection: &str, want: &[&str]) {
    assert_eq!(read(detection).1, want, "{detection}");
}

#[test]
fn a_mapping_that_excludes_itself_is_told_where_it_does() {
    let remedy =
        "remove one of them, or make them alternatives: values in a list, or selections joined with `or`";
    let both = |place: &str, with: &str, name: &str| {
        format!("r:{place}: no event has both `{with}` and `{name}` as written here; {remedy}")
    };
    check(
        "s: {class: secret.read, class|neq: secret.read}\ncondition: s\n",
        &[&both("1:25", "class", "class|neq")],
    );
    check(
        "s:\n  secrets.count|gte: 5\n  outcome: ok\n  secrets.count|lt: 5\ncondition: s\n",
        &[&both("4:3", "secrets.count|gte", "secrets.count|lt")],
    );
    check(
        "s: {raw.x|exists: false, raw.x|contains: a}\ncondition: s\n",
        &[&both("1:26", "raw.x|exists", "raw.x|contains")],
    );
    check(
        "s: {operation: Get*, operation|endswith: Value, operation|startswith: List}\ncondition: s\n",
        &[&both("1:49", "operation", "operation|startswith")],
    );
    check(
        "s: {class|gt: 5}\ncondition: s\n",
        &["r:1:5: no event has this: `class|gt`; remove it: such an event cannot be"],
    );
    // Several values of one field may be asked for where an event may have several.
    check("s: {secrets.name: a, secrets.name|startswith: b}\ncondition: s\n", &[]);
    check("s: {raw.x: a, raw.x|startswith: b}\ncondition: s\n", &[]);
    check("s: {operation|re: ^List, operation|contains: get}\ncondition: s\n", &[]);
}

#[test]
fn a_condition_that_excludes_itself_names_the_fields() {
    let remedy =
        "look for what is asked for and excluded at once, and for two values of one field joined with `and`";
    let told = |place: &str, what: &str, fields: &str| {
        format!("r:{place}: no event can meet {what}: it contradicts itself about {fields}; {remedy}")
    };
    let two = |condition: &str| {
        format!("a: {{class: secret.read}}\nb: {{class: export}}\ncondition: {condition}\n")
    };
    check(&two("a and b"), &[&told("3:12", "this condition", "`class`")]);
    check(&two("a and not a"), &[&told("3:12", "this condition", "`class`")]);
    check(&two("a or (b and not b)"), &[&told("3:12", "one of the alternatives here", "`class`")]);
    check(&two("[a, b and not b]"), &[&told("3:16", "this condition", "`class`")]);
    check(&two("all of them"), &[&told("3:12", "this condition", "`class`")]);
    check(&two("1 of them"), &[]);
    let always = "every: {operation|exists: true}\ns: {outcome: denied}\ncondition: s and not every\n";
    check(always, &[&told("3:12", "this condition", "`operation`")]);
    check("a: {outcome: ok}\nb: {outcome: [ok, denied], class: export}\ncondition: a and b\n", &[]);
}

#[test]
fn a_condition_with_more_ways_than_can_be_tried_may_be_met() {
    let selections: Vec<String> =
        (0..300).map(|n| format!("s{n}: [{{raw.x|contains: a{n}}}, {{raw.y|contains: b{n}}}]")).collect();
    let text = format!("{}\ncondition: all of s* and not s7\n", selections.join("\n"));
    let begun = read(&text);
    assert!(begun.1.len() <= 1, "{:?}", begun.1);
}
