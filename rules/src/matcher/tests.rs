//! What rules mean, one sentence of Sigma each.

use super::*;
use crate::surroundings::{Lists, Surroundings};
use crate::testing::{PLACE, event};
use crate::yaml::parse;
use crate::{Scope, Seen};
use std::collections::BTreeMap;

fn compile(detection: &str, source: &LogSource) -> (Option<Matcher>, Vec<String>) {
    let problems = Problems::new("r");
    let documents = parse("r", detection).unwrap();
    let selections = Selections::compile(&documents[0], source, &problems);
    let matcher = selections.matcher(documents[0].get("condition").unwrap(), &problems);
    (matcher, problems.into_sorted().iter().map(ToString::to_string).collect())
}

/// Whether one item holds of a record whose field `x` has the JSON value `value`.
#[track_caller]
fn check(item: &str, value: &str, want: bool) {
    let around = Surroundings {
        lists: Lists::new(BTreeMap::from([
            ("people".to_owned(), vec!["Alice".to_owned(), "ci-*".to_owned()]),
            ("nets".to_owned(), vec!["192.0.2.0/24".to_owned()]),
        ])),
        ..Surroundings::default()
    };
    let (matcher, problems) =
        compile(&format!("s: {{\"x{item}}}\ncondition: s\n"), &LogSource::parse(Some("aws"), None, None));
    assert!(problems.is_empty(), "{item}: {problems:?}");
    let raw = format!(r#"{{"x":{value},"y":"AWS-cli","z":{{"n":"Suspended"}}}}"#);
    let (event, scope) = (event(), Scope::default());
    let seen = Seen { event: &event, place: &PLACE, raw: raw.as_bytes() };
    let got = matcher.unwrap().matches(&View::new(&seen, &around, &scope));
    assert_eq!(got, want, "{item} on {value}");
}

#[test]
fn texts_compare_without_case_unless_cased() {
    check(r#"": aws-CLI"#, r#""AWS-cli""#, true);
    check(r#"|cased": aws-CLI"#, r#""AWS-cli""#, false);
    check(r#"": aws*"#, r#""aws-cli/2""#, true);
    check(r#"": 'a?s*3'"#, r#""aws-cli/2""#, false);
    check(r#"|contains": 'a\*b'"#, r#""xa*by""#, true);
    check(r#"|contains": 'a\*b'"#, r#""xazby""#, false);
    check(r#"|startswith": É"#, r#""éa""#, true);
    check(r#"|endswith": .com"#, r#""x.COM""#, true);
    check(r#"|endswith|cased": .com"#, r#""x.COM""#, false);
    check(r#"": [a, b]"#, r#""B""#, true);
    check(r#"|contains|all": [a, b]"#, r#""xbya""#, true);
    check(r#"|contains|all": [a, c]"#, r#""xbya""#, false);
    check(r#"": ''"#, r#""""#, true);
    check(r#"": ''"#, r#""x""#, false);
}

#[test]
fn numbers_and_truths_compare_as_what_they_are() {
    check(r#"": 7"#, "7", true);
    check(r#"": 7"#, "7.0", true);
    check(r#"": 7"#, r#""7""#, true);
    check(r#"": 012345678901"#, r#""012345678901""#, true);
    check(r#"": 7"#, "70", false);
    check(r#"|contains": 7"#, "170", true);
    check(r#"": true"#, "true", true);
    check(r#"": true"#, r#""True""#, true);
    check(r#"|gte": 3"#, "3.5", true);
    check(r#"|lt": 3"#, r#""x""#, false);
    check(r#"|lte": 3"#, "3", true);
    check(r#"|gt": 3"#, "3", false);
}

#[test]
fn absent_and_present_are_told_apart() {
    check(r#"": null"#, "null", true);
    check(r#"": null"#, r#""""#, true);
    check(r#"": null"#, r#""a""#, false);
    check(r#"": [null, a]"#, r#""a""#, true);
    check(r#"|exists": true"#, r#""""#, true);
    check(r#"|exists": true"#, "null", false);
    check(r#"|exists": false"#, "null", true);
    check(r#"|exists": true"#, "{}", true);
}

#[test]
fn unequal_is_every_value_but_these_and_none() {
    check(r#"|neq": a"#, r#""b""#, true);
    check(r#"|neq": a"#, r#""A""#, false);
    check(r#"|neq": [a, b]"#, r#""b""#, false);
    check(r#"|neq": a"#, "null", true);
    check(r#"|contains|neq": a"#, r#""xay""#, false);
}

#[test]
fn expressions_networks_and_parts_of_time() {
    check(r#"|re": '^a.+2$'"#, r#""aws-cli/2""#, true);
    check(r#"|re": '^AWS'"#, r#""aws-cli/2""#, false);
    check(r#"|re|i": '^AWS'"#, r#""aws-cli/2""#, true);
    check(r#"|re|m|s": '^b.c$'"#, r#""a\nb\nc""#, true);
    check(r#"|re": '^b$'"#, r#""a\nb\nc""#, false);
    check(r#"|cidr": [10.0.0.0/8, "2001:db8::/32"]"#, r#""2001:db8::1""#, true);
    check(r#"|cidr": 10.0.0.0/8"#, r#""11.1.2.3""#, false);
    check(r#"|hour": 9"#, r#""2026-05-31T09:08:07Z""#, true);
    check(r#"|hour|gte": 22"#, r#""2026-05-31T09:08:07Z""#, false);
    check(r#"|year": 2026"#, r#""x""#, false);
}

#[test]
fn encodings_are_found_where_they_stand() {
    check(r#"|base64offset|contains": 'http://'"#, r#""YWJodHRwOi8vZXhhbXBsZS5jb20=""#, true);
    check(r#"|base64offset|contains": 'http://'"#, r#""ftp""#, false);
    check(r#"|wide|base64": ab"#, r#""YQBiAA==""#, true);
    check(r#"|utf16le|base64": ab"#, r#""YQBiAA==""#, true);
    check(r#"|windash|contains": ' -rf'"#, r#""rm –rf""#, true);
    check(r#"|windash|contains": ' -rf'"#, r#""rm rf""#, false);
}

#[test]
fn one_field_may_be_compared_with_another() {
    check(r#"|fieldref": y"#, r#""aws-CLI""#, true);
    check(r#"|fieldref|cased": y"#, r#""aws-CLI""#, false);
    check(r#"|fieldref": y"#, r#""aws-cli/2""#, false);
    check(r#"|fieldref|startswith": y"#, r#""aws-cli/2""#, true);
    check(r#"|fieldref|endswith": y"#, r#""new-aws-cli""#, true);
    check(r#"|fieldref|contains": y"#, r#""an aws-cli*""#, true);
    check(r#"|fieldref": nowhere"#, r#""x""#, false);
}

#[test]
fn listed_values_are_the_operators() {
    check(r#"|expand": '%people%'"#, r#""ALICE""#, true);
    check(r#"|expand": '%people%'"#, r#""ci-7""#, true);
    check(r#"|expand|cased": '%people%'"#, r#""ALICE""#, false);
    check(r#"|expand": 'user/%people%@x'"#, r#""user/alice@X""#, true);
    check(r#"|contains|expand": '%people%'"#, r#""the alice""#, true);
    check(r#"|expand": '%nobody%'"#, r#""x""#, false);
    check(r#"|cidr|expand": '%nets%'"#, r#""192.0.2.77""#, true);
    check(r#"|cidr|expand": '%nets%'"#, r#""192.0.3.77""#, false);
    check(r#"|neq|expand": '%people%'"#, r#""bob""#, true);
    check(r#"|neq|expand": '%nobody%'"#, r#""bob""#, false);
    check(r#"|cidr|neq|expand": '%nets%'"#, r#""192.0.3.77""#, true);
    check(r#"|cidr|neq|expand": '%nowhere%'"#, r#""192.0.3.77""#, false);
    let (matcher, _) = compile(
        "s: {x|expand: ['%b%', '%a%'], y|expand: '%b%'}\nt: {x|expand: '%c%'}\ncondition: s\n",
        &aws(),
    );
    assert_eq!(matcher.unwrap().lists(), ["a", "b"]);
}

fn aws() -> LogSource {
    LogSource::parse(Some("aws"), Some("cloudtrail"), None)
}

#[track_caller]
fn check_detection(detection: &str, source: &LogSource, want: bool) {
    let (matcher, problems) = compile(detection, source);
    assert!(problems.is_empty(), "{problems:?}");
    let event = event();
    let raw = br#"{"a":"one","b":["two","break-glass"],"eventName":"other"}"#;
    let seen = Seen { event: &event, place: &PLACE, raw };
    assert_eq!(matcher.unwrap().matches(&View::alone(&seen)), want, "{detection}");
}

#[test]
fn keywords_are_searched_in_every_string_of_the_record() {
    check_detection("k: [break-, nothing]\ncondition: k\n", &aws(), true);
    check_detection("k: BREAK-GLASS\ncondition: k\n", &aws(), true);
    check_detection("k: eventName\ncondition: k\n", &aws(), false);
    check_detection("k: {'|all': [one, two]}\ncondition: k\n", &aws(), true);
    check_detection("k: {'|all': [one, three]}\ncondition: k\n", &aws(), false);
    check_detection("k: {'|re': ['^tw.$']}\ncondition: k\n", &aws(), true);
    check_detection("k: [{a: one, b: x}, two]\ncondition: k\n", &aws(), true);
}

#[test]
fn conditions_combine_selections() {
    let all = "a: {a: one}\nb: {a: two}\nc_1: {a: one}\nc_2: {a: two}\nc_3: {a: one}\n_d: {a: two}\n";
    for (condition, want) in [
        ("a and b", false),
        ("a or b", true),
        ("not b and a", true),
        ("not (a or b)", false),
        ("1 of c_*", true),
        ("2 of c_*", true),
        ("3 of c_*", false),
        ("all of c_*", false),
        ("any of c*", true),
        ("1 of them", true),
        ("all of them", false),
        ("not all of them", true),
        ("[b, a]", true),
        ("[b, not a]", false),
    ] {
        check_detection(&format!("{all}condition: {condition}\n"), &aws(), want);
    }
}

#[test]
fn a_rule_sees_the_records_of_its_log_source() {
    let rule = "s: {a: one}\ncondition: s\n";
    check_detection(rule, &LogSource::parse(Some("gcp"), None, None), false);
    check_detection(rule, &LogSource::parse(Some("azure"), Some("signinlogs"), None), false);
    check_detection("s: {raw.a: one}\ncondition: s\n", &LogSource::default(), true);
    check_detection("s: {eventName: GetSecretValue, class: secret.read}\ncondition: s\n", &aws(), true);
}

#[test]
fn an_echo_matches_no_rule_that_does_not_ask_for_echoes() {
    let mut event = event();
    event.echo_of = Some("ssm.amazonaws.com".into());
    let seen = Seen { event: &event, place: &PLACE, raw: b"{}" };
    let matches = |detection: &str, source: &LogSource| {
        compile(detection, source).0.unwrap().matches(&View::alone(&seen))
    };
    let keywatch = LogSource::parse(Some("keywatch"), None, Some("audit"));
    assert!(!matches("s: {class: secret.read}\ncondition: s\n", &keywatch));
    assert!(!matches("s: {class: secret.read}\nt: {echo_of|exists: true}\ncondition: s\n", &keywatch));
    assert!(matches("s: {class: secret.read, echo_of|exists: true}\ncondition: s\n", &keywatch));
    assert!(matches("s: {eventName: GetSecretValue}\ncondition: s\n", &aws()));
}

#[track_caller]
fn check_problem(detection: &str, want: &str) {
    let (matcher, problems) = compile(detection, &LogSource::default());
    assert!(problems.iter().any(|problem| problem.contains(want)), "{detection}: {problems:?}");
    let _either = matcher;
}

#[test]
fn a_slip_is_named_with_its_place_and_remedy() {
    check_problem("s: {clas: x}\ncondition: s\n", "r:1:5: unknown field `clas`; did you mean `class`?");
    check_problem(
        "s: {class: secret.raed}\ncondition: s\n",
        "`secret.raed` can never match here; did you mean `secret.read`?",
    );
    check_problem("s: {planned: yes!}\ncondition: s\n", "`yes!` can never match here");
    check_problem(
        "s: {class|contians: x}\ncondition: s\n",
        "`contians` in `class|contians` is no modifier; did you mean `contains`?",
    );
    check_problem("s: {class|re: '('}\ncondition: s\n", "the regular expression cannot be used");
    check_problem("s: {source.ip|cidr: nowhere}\ncondition: s\n", "write it as 192.0.2.0/24");
    check_problem("s: {class|gt: many}\ncondition: s\n", "comparisons take a number");
    check_problem("s: {class|re|cidr: x}\ncondition: s\n", "different comparisons");
    check_problem("s: {class|re|contains: x}\ncondition: s\n", "`contains` and `re` cannot stand together");
    check_problem("s: {class|i: x}\ncondition: s\n", "flags of `re`");
    check_problem("s: {class|expand: canaries}\ncondition: s\n", "as `%name%`");
    check_problem("s: {class|exists: maybe}\ncondition: s\n", "true or false");
    check_problem("s: {class: []}\ncondition: s\n", "an empty list never matches");
    check_problem("s: []\ncondition: s\n", "an empty selection never matches");
    check_problem("s: {class: {a: b}}\ncondition: s\n", "not a mapping");
    check_problem("s: {class: auth.ok}\ncondition: t\n", "did you mean `s`?");
    check_problem("s: {class: auth.ok}\ncondition: 1 of x_*\n", "no selection matches `x_*`");
    check_problem("s: {class: auth.ok}\ncondition: s | count() > 3\n", "a condition does not count");
    check_problem("s: {class: auth.ok}\ncondition: {a: b}\n", "`condition` must be text");
}
