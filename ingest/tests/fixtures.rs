//! Every fixture record of every provider becomes the event beside it, and stays an event
//! whatever one of its fields turns into.
//!
//! A fixture is a folder `tests/fixtures/<provider>/<case>` with `record.json`, the raw record,
//! and `event.json`, what `keywatch normalize` makes of it (`null` for a record that describes
//! no event). `KEYWATCH_BLESS=1 cargo test -p keywatch-ingest --test fixtures` rewrites the
//! events, `KEYWATCH_BLESS=vault/kv2` those whose path holds that text; read the difference before
//! you believe it.

use keywatch_event::{EventTime, RejectReason};
use keywatch_ingest::provider::Normalizer;
use serde_json::{Value, json};
use std::fmt::Write as _;
use std::path::{Path, PathBuf};

/// 2026-06-01T00:00:00Z, later than any time in a fixture that is to be believed.
const RECEIVED_AT: EventTime = EventTime::from_secs(1_780_272_000);

/// Longer than any field of a real record, short enough to try on every field of every fixture.
const HUGE: usize = 4_000;

/// The fields a record's provider is told by: without them it may become a reject.
const IDENTIFYING: &[&str] = &[
    "/eventName",
    "/eventSource",
    "/eventID",
    "/userIdentity",
    "/insightDetails",
    "/protoPayload",
    "/protoPayload/methodName",
    "/protoPayload/serviceName",
    "/logName",
    "/operationName",
    "/resourceId",
    "/category",
    "/caller",
    "/type",
    "/request",
    "/auth",
    "/response",
];

type Failure = Box<dyn std::error::Error>;

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../tests/fixtures")
}

fn folders(of: &Path) -> Result<Vec<PathBuf>, Failure> {
    let mut found = Vec::new();
    for entry in std::fs::read_dir(of).map_err(|error| format!("{}: {error}", of.display()))? {
        let path = entry?.path();
        if path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// Every fixture folder, by provider and case.
fn cases() -> Result<Vec<PathBuf>, Failure> {
    let mut all = Vec::new();
    for provider in folders(&root())? {
        all.extend(folders(&provider)?);
    }
    Ok(all)
}

fn record_of(case: &Path) -> Result<Vec<u8>, Failure> {
    let path = case.join("record.json");
    Ok(std::fs::read(&path).map_err(|error| format!("{}: {error}", path.display()))?)
}

/// The event of a record as pretty JSON, with a line feed at its end.
fn event_of(record: &[u8]) -> Result<String, Failure> {
    let event = Normalizer::new().normalize(record, RECEIVED_AT)?;
    Ok(serde_json::to_string_pretty(&event)? + "\n")
}

/// The lines two texts differ in.
fn difference(want: &str, got: &str) -> String {
    let (want, got): (Vec<&str>, Vec<&str>) = (want.lines().collect(), got.lines().collect());
    let mut text = String::new();
    for line in want.iter().filter(|line| !got.contains(line)) {
        let _written = writeln!(text, "    - {line}");
    }
    for line in got.iter().filter(|line| !want.contains(line)) {
        let _written = writeln!(text, "    + {line}");
    }
    if text.is_empty() { "    the same lines in another order or number\n".to_owned() } else { text }
}

/// What is wrong with one case; nothing when its event is the one expected.
fn mismatch(case: &Path, bless: Option<&str>) -> Option<String> {
    let got = match record_of(case).and_then(|record| event_of(&record)) {
        Ok(got) => got,
        Err(error) => return Some(format!("    {error}\n")),
    };
    let path = case.join("event.json");
    if bless.is_some_and(|only| only == "1" || path.to_string_lossy().contains(only)) {
        return std::fs::write(&path, got).err().map(|error| format!("    {error}\n"));
    }
    match std::fs::read_to_string(&path) {
        Ok(want) if want == got => None,
        Ok(want) => Some(difference(&want, &got)),
        Err(error) => Some(format!("    event.json: {error}; it would be\n{got}")),
    }
}

#[test]
fn every_fixture_record_becomes_the_event_beside_it() {
    let bless = std::env::var_os("KEYWATCH_BLESS").map(|only| only.to_string_lossy().into_owned());
    let cases = cases().unwrap();
    assert!(!cases.is_empty(), "no fixtures under {}", root().display());
    let mut wrong = String::new();
    for case in &cases {
        if let Some(mismatch) = mismatch(case, bless.as_deref()) {
            let _written = writeln!(wrong, "  {}\n{mismatch}", case.display());
        }
    }
    assert!(wrong.is_empty(), "events differ from their fixtures (- expected, + got):\n{wrong}");
}

/// JSON pointers of every value inside `value`, outermost first.
fn pointers(value: &Value, at: &str, into: &mut Vec<String>) {
    let members: Vec<(String, &Value)> = match value {
        Value::Object(members) => {
            let key = |key: &str| key.replace('~', "~0").replace('/', "~1");
            members.iter().map(|(name, inner)| (key(name), inner)).collect()
        }
        Value::Array(elements) => {
            elements.iter().enumerate().map(|(index, inner)| (index.to_string(), inner)).collect()
        }
        Value::Null | Value::Bool(_) | Value::Number(_) | Value::String(_) => return,
    };
    for (key, inner) in members {
        let pointer = format!("{at}/{key}");
        into.push(pointer.clone());
        pointers(inner, &pointer, into);
    }
}

/// Values of every type, none of which a field expects.
fn odd_values() -> Vec<Value> {
    vec![
        json!(-1.5e300),
        json!(true),
        Value::Null,
        json!([{"a": [1]}, "x", null]),
        json!({"a": {"b": "c"}}),
        json!(""),
        json!("\u{202e}\u{0}\n</script>"),
        json!("é/".repeat(HUGE / 3)),
    ]
}

/// Whether a changed record is still what it was: an event, or for an identifying field at
/// least a reject of the right kind.
fn survives(normalizer: &Normalizer, changed: &Value, pointer: &str, was_event: bool) -> Result<(), String> {
    let bytes = changed.to_string();
    match normalizer.normalize(bytes.as_bytes(), RECEIVED_AT) {
        Ok(Some(event)) => serde_json::to_string(&event).map(|_text| ()).map_err(|error| error.to_string()),
        Ok(None) if was_event && !IDENTIFYING.contains(&pointer) => Err("is no event any more".to_owned()),
        Ok(None) => Ok(()),
        Err(RejectReason::UnknownShape(_)) if IDENTIFYING.contains(&pointer) => Ok(()),
        Err(reason) => Err(reason.to_string()),
    }
}

/// What is lost when each field of a case's record turns into each odd value.
fn losses(case: &Path) -> Result<String, Failure> {
    let normalizer = Normalizer::new();
    let bytes = record_of(case)?;
    let record: Value = serde_json::from_slice(&bytes)?;
    let was_event = normalizer.normalize(&bytes, RECEIVED_AT)?.is_some();
    let (mut all, mut lost) = (Vec::new(), String::new());
    pointers(&record, "", &mut all);
    for pointer in all {
        for odd in odd_values() {
            let mut changed = record.clone();
            let shown: String = odd.to_string().chars().take(40).collect();
            *changed.pointer_mut(&pointer).ok_or("a pointer leads nowhere")? = odd;
            if let Err(problem) = survives(&normalizer, &changed, &pointer, was_event) {
                writeln!(lost, "  {}: {pointer} = {shown}: {problem}", case.display())?;
            }
        }
    }
    Ok(lost)
}

#[track_caller]
fn check_odd_fields(provider: &str) {
    let cases = folders(&root().join(provider)).unwrap_or_default();
    assert!(!cases.is_empty(), "no fixtures of {provider}");
    let lost: Result<String, Failure> = cases.iter().map(|case| losses(case)).collect();
    let lost = lost.unwrap_or_else(|error| format!("  a fixture of {provider} cannot be read: {error}"));
    assert!(lost.is_empty(), "records lost for one odd field:\n{lost}");
}

#[test]
fn a_field_of_a_wrong_type_never_costs_an_aws_record() {
    check_odd_fields("aws");
}

#[test]
fn a_field_of_a_wrong_type_never_costs_a_google_record() {
    check_odd_fields("gcp");
}

#[test]
fn a_field_of_a_wrong_type_never_costs_an_azure_record() {
    check_odd_fields("azure");
}

#[test]
fn a_field_of_a_wrong_type_never_costs_a_vault_record() {
    check_odd_fields("vault");
}

#[test]
fn a_record_cut_anywhere_is_a_reject_and_not_a_panic() {
    let normalizer = Normalizer::new();
    for case in cases().unwrap() {
        let bytes = record_of(&case).unwrap();
        let end = bytes.iter().rposition(|byte| *byte == b'}').unwrap();
        for cut in (0..end).step_by(7) {
            let cut = bytes.get(..cut).unwrap();
            assert!(normalizer.normalize(cut, RECEIVED_AT).is_err(), "{} at {}", case.display(), cut.len());
        }
    }
}
