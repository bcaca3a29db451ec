use super::*;
use proptest::prelude::*;
use serde::de::IgnoredAny;
use serde_json::Value;

fn read<'a>(paths: &[&str], record: &'a str) -> Result<Fields<'a>, RejectReason> {
    let mut fields = Fields::default();
    Extractor::new(paths.iter().copied()).read(record.as_bytes(), &mut fields)?;
    Ok(fields)
}

#[test]
fn wanted_values_are_found_at_any_depth_and_the_rest_is_skipped() {
    let record = r#"{"x":[1,{"a":2}],"a":{"b":"one","z":{},"c":{"d":7}},"e":"q\"u\u00e9"}"#;
    let fields = read(&["a.b", "a.c.d", "e", "a.c", "nope"], record).unwrap();
    assert_eq!(fields.text(0).as_deref(), Some("one"));
    assert_eq!(fields.int(1), Some(7));
    assert_eq!(fields.text(2).as_deref(), Some("q\"ué"));
    assert_eq!(fields.raw(3), Some(r#"{"d":7}"#));
    assert_eq!(fields.raw(4), None);
}

#[test]
fn a_field_of_an_odd_type_reads_as_absent() {
    for odd in ["5", "true", "null", "[]", "{}", "1e99", "-3"] {
        let record = format!(r#"{{"a":{odd},"b":{{"c":{odd}}}}}"#);
        let fields = read(&["a.b.c", "b.c", "b.c.d"], &record).unwrap();
        assert_eq!(fields.text(0), None, "{odd}");
        assert_eq!(fields.text(1), None, "{odd}");
    }
}

#[test]
fn keys_that_were_lower_cased_on_the_way_are_found_when_asked_for() {
    let record = br#"{"useridentity":{"ARN":"x"}}"#;
    let mut fields = Fields::default();
    Extractor::ignoring_case(["userIdentity.arn"]).read(record, &mut fields).unwrap();
    assert_eq!(fields.text(0).as_deref(), Some("x"));
    Extractor::new(["userIdentity.arn"]).read(record, &mut fields).unwrap();
    assert_eq!(fields.text(0), None);
}

#[track_caller]
fn check_reject(record: &[u8], want: &str) {
    let mut fields = Fields::default();
    let got = Extractor::new(["a", "b.c"]).read(record, &mut fields).map_err(|e| e.kind());
    assert_eq!(got, Err(want), "{}", String::from_utf8_lossy(record));
}

#[test]
fn what_cannot_be_read_in_one_way_is_refused() {
    check_reject(br#"{"a":1"#, "syntax");
    check_reject(br#"{"a":1} x"#, "syntax");
    check_reject(b"", "syntax");
    check_reject(b"7", "unknown_shape");
    check_reject(b"[]", "unknown_shape");
    check_reject(b"{\"a\":\"\xff\"}", "encoding");
    check_reject(br#"{"a":1,"a":2}"#, "duplicate_key");
    check_reject(br#"{"a":1,"\u0061":2}"#, "duplicate_key");
    check_reject(br#"{"b":{"c":1,"c":2}}"#, "duplicate_key");
    check_reject(br#"{"b":{},"b":{"c":2}}"#, "duplicate_key");
    check_reject(format!("{{\"z\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).as_bytes(), "depth");
}

#[test]
fn brackets_inside_strings_are_not_depth() {
    let record = format!(r#"{{"a":"{}"}}"#, "[".repeat(1000));
    assert!(read(&["a"], &record).is_ok());
}

proptest! {
    #[test]
    fn reading_never_panics(record in proptest::collection::vec(any::<u8>(), 0..200)) {
        let mut fields = Fields::default();
        let _outcome = Extractor::new(["a.b", "a"]).read(&record, &mut fields);
    }
}

/// What `serde_json` says of a record and of the values that are read out of it.
fn oracle(record: &[u8]) -> Option<Value> {
    serde_json::from_slice::<IgnoredAny>(record).ok()?;
    let text = std::str::from_utf8(record).ok()?;
    // A tree keeps the last of two equal keys; such records are not compared by value.
    Some(serde_json::from_str(text).unwrap_or(Value::Null))
}

fn pointer(path: &str) -> String {
    format!("/{}", path.replace('.', "/"))
}

const PATHS: [&str; 9] = ["a", "a.b", "a.b.c", "long key of more than 16 bytes", "k", "k.x", "é", "s.t", "n"];

fn value() -> impl Strategy<Value = Value> {
    let text = prop::sample::select(vec![
        "",
        "x",
        "plain text of some length that crosses a block of sixty-four bytes without a quote",
        "q\"",
        "b\\",
        "\\\\\"",
        "é",
        "\u{1}",
        "{[",
        "\u{1f600}",
        "tab\t",
    ]);
    let leaf = prop_oneof![
        text.prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<f64>().prop_map(Value::from),
        any::<bool>().prop_map(Value::from),
        Just(Value::Null),
    ];
    let key = prop::sample::select(vec![
        "a",
        "b",
        "c",
        "k",
        "x",
        "é",
        "s",
        "t",
        "n",
        "long key of more than 16 bytes",
        "long key of more than 17 bytes",
        "q\"",
        "",
        "unknown",
        "aa",
    ]);
    leaf.prop_recursive(5, 60, 6, move |inner| {
        let member = (key.clone().prop_map(str::to_owned), inner.clone());
        prop_oneof![
            prop::collection::vec(inner, 0..5).prop_map(Value::from),
            prop::collection::vec(member.clone(), 0..8)
                .prop_map(|all| Value::Object(all.into_iter().collect())),
            prop::collection::vec(member, 0..8).prop_map(|all| Value::Object(all.into_iter().collect())),
        ]
    })
}

/// Reads `record` in every way there is: all must agree, and with `serde_json`.
fn check_against_oracle(record: &[u8]) {
    let extractor = Extractor::new(PATHS);
    let (mut swift, mut exact) = (Fields::default(), Fields::default());
    let said = oracle(record);
    let shown = String::from_utf8_lossy(record);
    let Ok(text) = std::str::from_utf8(record) else {
        assert_eq!(extractor.read(record, &mut swift).unwrap_err().kind(), "encoding", "{shown}");
        return;
    };
    check_asking(&extractor, record);
    let head = extractor.read_head(text, &mut swift);
    exact.clear(&extractor);
    let outcome = check_depth(record).and_then(|()| exact::read(&extractor, text, &mut exact));
    if let Some(len) = head {
        exact.clear(&extractor);
        let outcome = exact::read(&extractor, text.get(..len).unwrap(), &mut exact);
        assert_eq!(outcome, Ok(()), "accepted too readily: {shown}");
        for (slot, path) in PATHS.iter().enumerate() {
            assert_eq!(swift.raw(slot), exact.raw(slot), "{path}: {shown}");
            assert_eq!(swift.text(slot), exact.text(slot), "{path}: {shown}");
        }
    }
    match outcome {
        Ok(()) => {
            let tree = said.unwrap_or_else(|| panic!("accepted, and is no JSON: {shown}"));
            for (slot, path) in PATHS.iter().enumerate() {
                let got = exact.raw(slot).and_then(|raw| serde_json::from_str::<Value>(raw).ok());
                let want = tree.pointer(&pointer(path)).filter(|value| !value.is_null());
                if !tree.is_null() && got.is_some() {
                    assert_eq!(got.as_ref(), want, "{path}: {shown}");
                }
            }
        }
        // Syntax is refused by both; a key that no text can hold, by this reader alone.
        Err(RejectReason::Syntax(_)) => assert!(said.is_none() || shown.contains("\\u"), "refused: {shown}"),
        Err(_) => {}
    }
}

/// What others ask for beside changes nothing of what is read, and nothing of what is refused; what is told of it
/// is what an extractor for it alone finds.
fn check_asking(extractor: &Extractor, record: &[u8]) {
    let paths = ["a.b.x", "b.c", "k", "s", "t.n", "x.x", "long key of more than 17 bytes"];
    let asked = Asked::of(paths);
    let (asking, alone) = (Extractor::asking(PATHS, &asked), Extractor::new(paths));
    let [mut plain, mut beside, mut other] = [(); 3].map(|()| Fields::default());
    let shown = String::from_utf8_lossy(record);
    let (want, got) = (extractor.read(record, &mut plain), asking.read(record, &mut beside));
    assert_eq!(got, want, "{shown}");
    if got.is_err() {
        return;
    }
    for (slot, path) in PATHS.iter().enumerate() {
        assert_eq!(beside.raw(slot), plain.raw(slot), "{path}: {shown}");
    }
    if let Some(told) = beside.told(&asking) {
        assert_eq!(alone.read(record, &mut other), Ok(()), "{shown}");
        for (slot, path) in paths.iter().enumerate() {
            if let Ok(value) = told.at(asked.place(path).unwrap()) {
                assert_eq!(value, other.raw(slot), "{path}: {shown}");
            }
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2000))]

    #[test]
    fn every_record_is_read_as_serde_json_reads_it(value in value(), pretty in any::<bool>()) {
        let text = if pretty { serde_json::to_string_pretty(&value) } else { serde_json::to_string(&value) };
        check_against_oracle(text.unwrap().as_bytes());
    }

    #[test]
    fn what_was_damaged_is_refused_where_serde_json_refuses_it(
        value in value(),
        damage in prop::collection::vec((any::<prop::sample::Index>(), 0..4_u8, any::<u8>()), 1..4),
    ) {
        const BYTES: &[u8] = b"\"\\{}[]:,.0-+eE1tfnull u \n\x00\x1f\x7f\x80\xc3\xa9x/";
        let mut record = serde_json::to_vec(&value).unwrap();
        for (at, what, byte) in damage {
            let at = at.index(record.len());
            let byte = BYTES[usize::from(byte) % BYTES.len()];
            match what {
                0 => record[at] = byte,
                1 => record.insert(at, byte),
                2 if record.len() > 1 => drop(record.remove(at)),
                _ => record.truncate(at.max(1)),
            }
        }
        check_against_oracle(&record);
    }
}

#[test]
fn an_ordinary_record_needs_no_second_look() {
    for record in [
        "{}",
        r#" { "a" : { "b" : [ 1 , -2.5e+3 , { } , [ ] , [ [ ] ] ] } , "n" : null } "#,
        r#"{"a":{"b":"x"},"k":true,"z":false,"long key of more than 16 bytes":"q\"\u00e9\\","y":0}"#,
    ] {
        let read = Extractor::new(PATHS).read_head(record, &mut Fields::default());
        assert_eq!(read, Some(record.len()), "{record}");
    }
}

#[test]
fn only_the_first_of_two_records_is_read() {
    let mut fields = Fields::default();
    let text = r#"{"a":"one"},{"a":"two"}"#;
    assert_eq!(Extractor::new(PATHS).read_head(text, &mut fields), Some(11));
    assert_eq!(fields.text(0).as_deref(), Some("one"));
    assert!(Extractor::new(PATHS).read(text.as_bytes(), &mut fields).is_err());
}

#[test]
fn fields_keep_nothing_of_the_record_before() {
    let extractor = Extractor::new(PATHS);
    let mut fields = Fields::default();
    extractor.read(br#"{"a":"one","k":"\n"}"#, &mut fields).unwrap();
    assert_eq!(fields.text(4).as_deref(), Some("\n"));
    extractor.read(br#"{"n":"two"}"#, &mut fields).unwrap();
    assert_eq!((fields.text(0), fields.text(4), fields.text(8).as_deref()), (None, None, Some("two")));
}

#[test]
fn what_is_no_json_is_refused_wherever_it_stands() {
    for bad in [
        "[1,]",
        "{\"x\":}",
        "{,}",
        "{\"x\":1,}",
        "01",
        "1.",
        ".5",
        "-",
        "+1",
        "1e",
        "tru",
        "nul",
        "falsy",
        "\"\\x\"",
        "\"\\u12g4\"",
        "\"a\tb\"",
        "[1 2]",
        "{\"x\" 1}",
        "{\"x\":1 \"y\":2}",
        "[}",
        "{]",
        "\"open",
        "\u{b}1",
        "[1}",
        "'x'",
    ] {
        for record in [
            format!(r#"{{"a":{bad}}}"#),
            format!(r#"{{"z":{{"y":[{bad}]}}}}"#),
            format!(r#"{{"a":{{"b":{bad}}}}}"#),
        ] {
            check_reject(record.as_bytes(), "syntax");
            check_against_oracle(record.as_bytes());
        }
    }
}
