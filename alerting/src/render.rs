//! From a delivery to the body that is sent: `{"type", "timestamp", "data"}`, as Standard
//! Webhooks 1.0 has it, where `data` is the alert in its public form. Pure.
//!
//! The body of one delivery is the same at every attempt, and small enough for any receiver.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::Serialize;
use serde_json::Value;
use serde_json::value::RawValue;

/// Bodies stay below this many bytes: Standard Webhooks 1.0 asks for less than 20 kB.
pub const BODY_BYTES_MAX: usize = 20_000;

/// Lists that are cut when an alert is too large, and how many entries each cut leaves. The
/// alert's own `events` still counts everything; the dashboard shows everything.
const CUTS: [(&str, usize); 4] = [("evidence", 5), ("secrets", 10), ("evidence", 1), ("secrets", 1)];

/// When that is not enough: characters left of each text, and entries of each list.
const SHORTENINGS: [usize; 3] = [1000, 200, 40];

/// An alert that is no JSON object.
#[derive(Debug, thiserror::Error)]
#[error("the stored alert cannot be rendered; this is a defect or a damaged database, please report it")]
pub struct RenderError(#[from] serde_json::Error);

#[derive(Serialize)]
struct Payload<'a, D> {
    r#type: &'a str,
    timestamp: String,
    data: D,
}

/// Renders the body of a delivery of `kind` (`alert.opened`) that was written at `at`. `note`
/// says why an alert was withdrawn; it is sent as `withdrawn_because` beside the alert's fields.
///
/// An alert that fits is passed on byte for byte. From a larger one the last evidence and the
/// last secrets are left out, counted in `evidence_omitted` and `secrets_omitted`; if its texts
/// alone are too long they are cut and end in `…`.
///
/// # Errors
/// [`RenderError`] when `alert_json` is not JSON.
pub fn body(
    kind: &str,
    at: DateTime<Utc>,
    alert_json: &str,
    note: Option<&str>,
) -> Result<Vec<u8>, RenderError> {
    let timestamp = at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let data: &RawValue = serde_json::from_str(alert_json)?;
    let whole = Payload { r#type: kind, timestamp: timestamp.clone(), data };
    let bytes = serde_json::to_vec(&whole)?;
    if bytes.len() < BODY_BYTES_MAX && note.is_none() {
        return Ok(bytes);
    }
    let mut payload = Payload { r#type: kind, timestamp, data: serde_json::from_str::<Value>(alert_json)? };
    if let (Some(note), Some(alert)) = (note, payload.data.as_object_mut()) {
        alert.insert("withdrawn_because".to_owned(), Value::from(note));
    }
    trim(&mut payload);
    Ok(serde_json::to_vec(&payload)?)
}

fn fits(payload: &Payload<'_, Value>) -> bool {
    serde_json::to_vec(payload).is_ok_and(|bytes| bytes.len() < BODY_BYTES_MAX)
}

fn trim(payload: &mut Payload<'_, Value>) {
    for (list, keep) in CUTS {
        while !fits(payload) {
            if !omit_last(&mut payload.data, list, keep) {
                break;
            }
        }
    }
    for limit in SHORTENINGS {
        if fits(payload) {
            return;
        }
        shorten(&mut payload.data, limit);
    }
}

/// Drops the last entry of a list that has more than `keep`, and counts it.
fn omit_last(data: &mut Value, list: &str, keep: usize) -> bool {
    let Some(entries) = data.get_mut(list).and_then(Value::as_array_mut) else { return false };
    if entries.len() <= keep {
        return false;
    }
    entries.pop();
    let counter = format!("{list}_omitted");
    let before = data.get(&counter).and_then(Value::as_u64).unwrap_or(0);
    if let Some(object) = data.as_object_mut() {
        object.insert(counter, Value::from(before + 1));
    }
    true
}

fn shorten(value: &mut Value, limit: usize) {
    match value {
        Value::String(text) => {
            if let Some((end, _)) = text.char_indices().nth(limit) {
                text.truncate(end);
                text.push('…');
            }
        }
        Value::Array(entries) => {
            entries.truncate(limit);
            for entry in entries {
                shorten(entry, limit);
            }
        }
        Value::Object(object) => object.values_mut().for_each(|entry| shorten(entry, limit)),
        Value::Null | Value::Bool(_) | Value::Number(_) => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn at() -> DateTime<Utc> {
        DateTime::from_timestamp(1_769_860_800, 0).unwrap()
    }

    fn render(alert: &Value) -> (usize, Value) {
        let bytes = body("alert.opened", at(), &alert.to_string(), None).unwrap();
        (bytes.len(), serde_json::from_slice(&bytes).unwrap())
    }

    fn alert(evidence: usize, secrets: usize, width: usize) -> Value {
        let text = "s".repeat(width);
        let evidence: Vec<_> = (0..evidence).map(|n| json!({"event": format!("{n}-{text}")})).collect();
        let secrets: Vec<_> = (0..secrets).map(|n| json!({"id": format!("{n}-{text}")})).collect();
        json!({"id": "a1", "events": 900, "evidence": evidence, "secrets": secrets})
    }

    #[test]
    fn a_body_is_type_timestamp_and_the_alert_byte_for_byte() {
        let bytes = body("alert.opened", at(), r#"{"z":1,"a":"ü\u0000"}"#, None).unwrap();
        let want =
            r#"{"type":"alert.opened","timestamp":"2026-01-31T12:00:00.000Z","data":{"z":1,"a":"ü\u0000"}}"#;
        assert_eq!(String::from_utf8(bytes).unwrap(), want);
    }

    #[test]
    fn a_large_alert_loses_its_last_evidence_and_secrets_and_says_how_many() {
        let (size, sent) = render(&alert(20, 100, 300));
        assert!(size < BODY_BYTES_MAX, "{size}");
        let data = &sent["data"];
        for (list, all) in [("evidence", 20), ("secrets", 100)] {
            let kept = data[list].as_array().unwrap();
            let omitted = data[format!("{list}_omitted")].as_u64().unwrap();
            assert_eq!(kept.len() as u64 + omitted, all, "{list}");
            assert!(!kept.is_empty());
        }
        assert_eq!(data["evidence"][0]["event"].as_str().unwrap().split('-').next(), Some("0"));
        assert_eq!(data["events"], 900);
    }

    #[test]
    fn only_as_much_is_left_out_as_must_be() {
        let (size, sent) = render(&alert(20, 3, 1000));
        assert!(size > BODY_BYTES_MAX - 1100, "{size} bytes: another entry would have fitted");
        assert!(sent["data"].get("secrets_omitted").is_none());
    }

    #[test]
    fn an_alert_of_long_texts_is_cut_to_size() {
        let mut long = alert(3, 3, 20_000);
        long["title"] = json!("ü\u{1b}".repeat(30_000));
        long["tags"] = json!(vec!["t".repeat(500); 500]);
        let (size, sent) = render(&long);
        assert!(size < BODY_BYTES_MAX, "{size}");
        assert!(sent["data"]["title"].as_str().unwrap().ends_with('…'));
        assert_eq!(sent["data"]["id"], "a1");
    }

    #[test]
    fn a_withdrawal_says_why_beside_the_alert() {
        let bytes = body("alert.withdrawn", at(), r#"{"id":"a1"}"#, Some("a deployment did it")).unwrap();
        let sent: Value = serde_json::from_slice(&bytes).unwrap();
        assert_eq!(sent["type"], "alert.withdrawn");
        assert_eq!(sent["data"], json!({"id": "a1", "withdrawn_because": "a deployment did it"}));
    }

    #[test]
    fn what_is_no_json_is_no_body() {
        assert!(body("alert.opened", at(), "{", None).is_err());
        assert!(body("alert.opened", at(), "", None).is_err());
    }
}
