//! What the normaliser tells of a record is what reading it finds, and where it tells nothing, nobody would
//! have been certain.

use super::*;
use crate::{Plan, builtin, compile};
use keywatch_event::{EventTime, Provider};
use keywatch_ingest::provider::Normalizer;
use proptest::prelude::*;
use serde_json::{Value, json};
use std::path::{Path, PathBuf};

/// After every record.
const RECEIVED_AT: EventTime = EventTime::from_secs(1_900_000_000);

/// What is asked for, of each provider's records.
struct Asking {
    scopes: Vec<Scope>,
    normalizer: Normalizer,
    plain: Normalizer,
}

impl Asking {
    fn new(paths: &[&str]) -> Self {
        let asked = Asked::of(paths.iter().copied());
        Self::of(vec![Scope::of(paths.iter().copied()).told_with(&asked)], &asked)
    }

    /// All that the shipped rules ask for.
    fn shipped() -> Self {
        let set = compile(builtin().iter().copied()).unwrap();
        let plan = Plan::reading(&set.matchers, set.fields().iter());
        Self::of(Provider::ALL.iter().map(|provider| plan.scope(*provider).clone()).collect(), plan.asked())
    }

    fn of(scopes: Vec<Scope>, asked: &Asked) -> Self {
        Self { scopes, normalizer: Normalizer::asking(asked), plain: Normalizer::new() }
    }

    /// Whether anything was told of a record; whatever it was, it is what a walk over the record finds.
    #[track_caller]
    fn check(&self, record: &[u8]) -> bool {
        let shown = String::from_utf8_lossy(record);
        let got = self.normalizer.normalize(record, RECEIVED_AT);
        let want = self.plain.normalize(record, RECEIVED_AT);
        let event = match (got, want) {
            (Ok(Some(mut got)), Ok(Some(want))) => {
                let told = got.told.take();
                assert_eq!(got, want, "asking changed the event of {shown}");
                got.told = told;
                got
            }
            (got, want) => {
                assert_eq!(format!("{got:?}"), format!("{want:?}"), "{shown}");
                return false;
            }
        };
        for scope in &self.scopes {
            let Some(told) = scope.told(&event) else { return false };
            let walked = scope.walk(record);
            for (path, slot) in &scope.slots {
                let Ok(got) = told.at(slot.told) else { continue };
                let want: Vec<&str> = walked.at(*slot).filter(|value| *value != "null").collect();
                assert_eq!(Vec::from_iter(got), want, "{path} in {shown}");
            }
        }
        true
    }
}

/// A record of CloudTrail with `more` in it, as it stands.
fn record(more: &str) -> String {
    format!(
        r#"{{"eventName":"GetSecretValue","eventSource":"secretsmanager.amazonaws.com","eventID":"e-1"{more}}}"#
    )
}

#[test]
fn of_what_can_be_read_in_one_way_everything_is_told() {
    let asking = Asking::new(&["a", "a.b", "a.c.d", "userIdentity.arn", "eventName", "z.y", "é.x"]);
    let told = [
        "",
        r#","a":{"b":"x","c":{"d":7}}"#,
        r#","a":{"b":[1,{"q":null}],"c":{}}"#,
        r#","a":null,"z":null"#,
        r#","a":true,"z":"text"#,
        r#","a":"text where a path goes on","z":false"#,
        r#","a":{"b":"q\"u\u00e9\ud800","c":{"d":null}}"#,
        r#","userIdentity":{"arn":"x","type":"IAMUser"}"#,
        r#","é":{"x":"é"},"É":1"#,
        r#","other":[{"a":1}],"b":{"a":{"b":1}}"#,
    ];
    for more in told {
        let more = if more.ends_with("text") { format!("{more}\"") } else { more.to_owned() };
        assert!(asking.check(record(&more).as_bytes()), "{more}");
    }
}

#[test]
fn of_what_could_be_read_otherwise_nothing_is_told() {
    let asking = Asking::new(&["a", "a.b", "a.c.d", "userIdentity.arn", "odd", "ODD", "eventname"]);
    let untold = [
        r#","A":1"#,
        r#","a":{"B":1}"#,
        r#","a":{"b":1,"B":2}"#,
        r#","a":1,"a":2"#,
        r#","a":{"b":1,"b":2}"#,
        r#","\u0061":{"b":1}"#,
        r#","useridentity":{"arn":1}"#,
        r#","odd":1"#,
        r#","ODD":1"#,
    ];
    for more in untold {
        assert!(!asking.check(record(more).as_bytes()), "{more}");
    }
    // The record's own key is another spelling of what is asked.
    assert!(!asking.check(record("").as_bytes()));
}

#[test]
fn of_what_lies_behind_an_array_nothing_is_told_but_of_all_the_rest() {
    let paths = ["a", "a-b", "a.b", "a.c", "a.c.d", "userIdentity.arn"];
    let asking = Asking::new(&paths);
    let behind_a: &[&str] = &["a.b", "a.c", "a.c.d"];
    for (value, unsure) in [
        (r#"[{"b":1},{"b":2}]"#, behind_a),
        ("[]", behind_a),
        ("7", behind_a),
        (r#"{"c":1e999}"#, &["a.c.d"]),
        (r#"{"c":"\ud800"}"#, &["a.c.d"]),
        (r#"{"c":[[{"d":1}]],"b":[1]}"#, &["a.c.d"]),
        (r#"{"c":{"d":[1]}}"#, &[]),
    ] {
        let record = record(&format!(r#","a":{value},"a-b":1,"userIdentity":{{"arn":"x"}}"#));
        assert!(asking.check(record.as_bytes()), "{record}");
        let event = asking.normalizer.normalize(record.as_bytes(), RECEIVED_AT).unwrap().unwrap();
        let told = asking.scopes[0].told(&event).unwrap();
        let place = |path: &str| asking.scopes[0].slot(path).unwrap().told;
        let got: Vec<&str> = paths.into_iter().filter(|path| told.at(place(path)).is_err()).collect();
        assert_eq!(got, unsure, "{record}");
        // Whoever asks is answered all the same.
        let seen = crate::Seen { event: &event, place: &crate::testing::PLACE, raw: record.as_bytes() };
        let around = crate::Surroundings::default();
        let (view, alone) = (crate::View::new(&seen, &around, &asking.scopes[0]), crate::View::alone(&seen));
        for path in paths {
            let values = |view: &crate::View<'_>| {
                let mut all = Vec::new();
                view.raw_any(path, &mut |value| {
                    all.push(value.to_owned());
                    false
                });
                all
            };
            assert_eq!(values(&view), values(&alone), "{path} in {record}");
        }
    }
}

#[test]
fn a_key_that_a_rule_asks_for_twice_refuses_no_record() {
    let asking = Asking::new(&["mine", "requestParameters.mine"]);
    for more in [r#","mine":1,"mine":2"#, r#","requestParameters":{"mine":1,"secretId":"x","mine":2}"#] {
        let record = record(more);
        assert!(asking.normalizer.normalize(record.as_bytes(), RECEIVED_AT).unwrap().is_some());
        assert!(!asking.check(record.as_bytes()));
    }
    let again = record(r#","requestParameters":{"secretId":"x","mine":1,"secretId":"y"}"#);
    assert!(asking.normalizer.normalize(again.as_bytes(), RECEIVED_AT).is_err());
}

#[test]
fn what_others_were_asked_for_is_told_to_nobody_else() {
    let (one, other) = (Asking::new(&["a"]), Asking::new(&["a"]));
    let record = record(r#","a":1"#);
    let event = one.normalizer.normalize(record.as_bytes(), RECEIVED_AT).unwrap().unwrap();
    assert!(one.scopes[0].told(&event).is_some());
    assert!(other.scopes[0].told(&event).is_none());
    assert!(Scope::of(["a"]).told(&event).is_none());
    assert!(one.scopes[0].told(&event.into_owned()).is_none());
    let more = Scope::of(["a", "b"]).told_with(&Asked::of(["a"]));
    assert_eq!(more.asked, 0, "not all of its paths were asked for");
}

/// Every record below a folder: the lines of recordings, and files of one record.
fn records(folder: &Path) -> Vec<Vec<u8>> {
    let (mut folders, mut all) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        let entries = std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path());
        let mut entries: Vec<PathBuf> = entries.collect();
        entries.sort();
        for entry in entries {
            match entry.extension().and_then(|ending| ending.to_str()) {
                _ if entry.is_dir() => folders.push(entry),
                Some("json") => all.push(std::fs::read(&entry).unwrap()),
                Some("jsonl") => {
                    let text = std::fs::read(&entry).unwrap();
                    all.extend(text.split(|byte| *byte == b'\n').map(<[u8]>::to_vec));
                }
                _ => {}
            }
        }
    }
    all
}

#[test]
fn recorded_logs_are_told_as_they_are_read() {
    let asking = Asking::shipped();
    let fixtures = Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures");
    let mut all = records(&fixtures);
    if let Some(corpus) = std::env::var_os("KEYWATCH_CORPUS") {
        all.extend(records(Path::new(&corpus)));
    }
    let events = |record: &&Vec<u8>| matches!(asking.plain.normalize(record, RECEIVED_AT), Ok(Some(_)));
    let events: Vec<&Vec<u8>> = all.iter().filter(events).collect();
    let told = events.iter().filter(|record| asking.check(record)).count();
    // Lists in requests, and answers with an ARN, which comes in three spellings, are read.
    assert!(told * 4 > events.len() * 3, "of {} records {told} are told", events.len());
}

/// Values and keys in which readers could differ.
fn tree() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (-9_i64..9).prop_map(Value::from),
        "[a-c\"\\\\é]{0,3}".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 24, 4, |inner| {
        prop_oneof![
            proptest::collection::vec(inner.clone(), 0..3).prop_map(Value::from),
            proptest::collection::btree_map("[abAB]", inner, 0..4)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

proptest! {
    #[test]
    fn whatever_is_told_is_what_a_walk_finds(
        a in tree(), b in tree(), upper in tree(), parameters in tree(),
        paths in proptest::collection::vec("[abA](\\.[abB]){0,2}", 1..5),
    ) {
        let mut names: Vec<&str> = paths.iter().map(String::as_str).collect();
        names.extend(["requestParameters.a", "eventName", "userIdentity.arn"]);
        let asking = Asking::new(&names);
        let mut whole = json!({
            "eventName": "GetSecretValue", "eventID": "e", "a": a, "b": b, "requestParameters": parameters,
            "userIdentity": {"arn": "x"},
        });
        asking.check(whole.to_string().as_bytes());
        whole["A"] = upper;
        asking.check(whole.to_string().as_bytes());
    }
}
