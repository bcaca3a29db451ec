//! The one pass finds what a plain walk over a tree finds.

use super::*;
use proptest::prelude::*;
use serde_json::{Value, json};

fn values(paths: &[&str], path: &str, record: &[u8]) -> Vec<String> {
    let scope = Scope::of(paths.iter().copied());
    let mut all = Vec::new();
    scope.read(record).any(scope.slot(path).unwrap(), &mut |value| {
        all.push(value.to_owned());
        false
    });
    all
}

#[track_caller]
fn check(record: &str, path: &str, want: &[&str]) {
    assert_eq!(values(&[path], path, record.as_bytes()), want, "{path} in {record}");
}

#[test]
fn arrays_on_a_path_stand_for_their_elements() {
    check(r#"{"a":[{"b":1},{"b":[2,"x"]},3]}"#, "a.b", &["1", "2", "x"]);
    check(r#"{"a":["x",["y",null],true]}"#, "a", &["x", "y", "true"]);
    check(r#"[{"a":1}]"#, "a", &[]);
}

#[test]
fn a_key_spelled_as_asked_goes_before_one_in_other_case() {
    check(r#"{"EventName":"x"}"#, "eventName", &["x"]);
    check(r#"{"EventName":"x","eventName":"y"}"#, "eventName", &["y"]);
    check(r#"{"eventName":"y","EventName":"x"}"#, "eventName", &["y"]);
    check(r#"{"A":{"b":1},"a":{"B":2},"x":{"a":3}}"#, "a.b", &["2"]);
    check(r#"[{"A":1}]"#, "A", &[]);
    check(r#"{"l":[{"K":1},{"k":2}]}"#, "l.k", &["1", "2"]);
}

#[test]
fn an_object_is_its_own_text_and_its_members_are_found_too() {
    let record = r#"{"p":{"q":"Allow","r":null}}"#;
    assert_eq!(values(&["p", "p.q"], "p", record.as_bytes()), [r#"{"q":"Allow","r":null}"#]);
    assert_eq!(values(&["p", "p.q"], "p.q", record.as_bytes()), ["Allow"]);
    check(record, "p.r", &[]);
}

#[test]
fn two_spellings_of_one_path_are_both_answered() {
    let record = br#"{"eventName":"x"}"#;
    let paths = ["eventName", "EVENTNAME", "eventName.y"];
    assert_eq!(values(&paths, "eventName", record), ["x"]);
    assert_eq!(values(&paths, "EVENTNAME", record), ["x"]);
}

#[test]
fn bytes_that_are_no_object_hold_nothing() {
    for record in ["", "7", "{\"a\":1", "{\"a\":1} x", "\u{0}"] {
        check(record, "a", &[]);
        assert!(strings(record.as_bytes()).is_empty());
    }
    assert!(values(&["a"], "a", b"{\"a\":\"\xff\"}").is_empty());
}

#[test]
fn strings_are_values_at_any_depth_and_never_keys() {
    let record = br#"{"k":"a","l":[{"m":"b\n"},2,["c"]],"n":null}"#;
    assert_eq!(strings(record), ["a", "b\n", "c"]);
}

/// What the contract says, over a tree.
fn tree(value: &Value, path: &[&str], into: &mut Vec<String>) {
    match (value, path.split_first()) {
        (Value::Array(items), _) => items.iter().for_each(|item| tree(item, path, into)),
        (Value::Object(map), Some((key, rest))) => {
            let folded = || map.iter().filter(|(known, _)| known.eq_ignore_ascii_case(key));
            match map.get(*key) {
                Some(next) => tree(next, rest, into),
                None => folded().for_each(|(_, next)| tree(next, rest, into)),
            }
        }
        (Value::Null, None) | (_, Some(_)) => {}
        (Value::String(text), None) => into.push(text.clone()),
        (other, None) => into.push(other.to_string()),
    }
}

fn record() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_i64..9).prop_map(Value::from),
        "[a-c\"\\\\]{0,3}".prop_map(Value::from),
    ];
    let inner = leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[abAB]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    });
    proptest::collection::btree_map("[abAB]", inner, 0..4)
        .prop_map(|map| Value::Object(map.into_iter().collect()))
}

proptest! {
    #[test]
    fn one_pass_finds_what_a_tree_holds(record in record(), paths in proptest::collection::vec("[abA](\\.[abB]){0,2}", 1..5)) {
        let bytes = record.to_string().into_bytes();
        let names: Vec<&str> = paths.iter().map(String::as_str).collect();
        for path in &names {
            let mut want = Vec::new();
            tree(&record, &path.split('.').collect::<Vec<_>>(), &mut want);
            let mut got = values(&names, path, &bytes);
            want.sort();
            got.sort();
            prop_assert_eq!(got, want, "{} in {}", path, record);
        }
    }

    #[test]
    fn reading_never_panics(record in proptest::collection::vec(any::<u8>(), 0..200)) {
        values(&["a.b", "a"], "a", &record);
        strings(&record);
    }
}

#[test]
fn a_number_keeps_the_form_it_was_written_in() {
    check(&json!({"a": 7}).to_string(), "a", &["7"]);
    check(r#"{"a":7.0}"#, "a", &["7.0"]);
}

#[test]
fn a_record_is_read_swiftly_and_walked_to_the_same_end() {
    let paths = ["a", "a.b", "a.c.d", "Id", "long.nameOfAKey"];
    let scope = Scope::of(paths);
    let records = [
        r#"{"a":{"b":"x","c":{"d":7}},"Id":"1","long":{"nameOfAKey":[1,"z"]}}"#,
        r#"{"a":null,"Id":{"x":[]},"other":[{"a":1}],"long":{"nameofakey":1,"nameOfAKey":2}}"#,
        r#"{"A":{"b":1},"ID":2,"long":{"NAMEOFAKEY":true}}"#,
        r#"{"a":[{"b":1},{"b":2}],"Id":"\u00e9"}"#,
        r#"{"a":1e999,"Id":1}"#,
        r#"{"Id":1,"Id":2}"#,
        r#"{"Id":"cut"#,
    ];
    for record in records {
        let (read, walked) = (scope.read(record.as_bytes()), scope.walk(record.as_bytes()));
        for path in paths {
            let slot = scope.slot(path).unwrap();
            let values = |found: &Found<'_>| {
                let mut all = Vec::new();
                found.any(slot, &mut |value| {
                    all.push(value.to_owned());
                    false
                });
                all
            };
            assert_eq!(values(&read), values(&walked), "{path} in {record}");
        }
    }
    assert!(matches!(scope.read(records[0].as_bytes()), Found::Literal(_)));
}
