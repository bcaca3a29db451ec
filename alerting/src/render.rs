//! From a notification to the body of a webhook: `{"type", "timestamp", "data"}`, as Standard
//! Webhooks 1.0 has it, where `data` is the alert in its public form. Pure.
//!
//! The body of one notification is the same at every attempt, and small enough for any receiver.

use crate::notification::{Notification, NotificationKind};
use chrono::SecondsFormat;
use serde::Serialize;
use serde_json::value::RawValue;
use serde_json::{Map, Value};

/// Bodies stay below this many bytes: Standard Webhooks 1.0 asks for less than 20 kB.
pub const BODY_BYTES_MAX: usize = 20_000;

/// Lists that are cut when an alert is too large, and how many entries each cut leaves. The
/// alert's own `events` still counts everything; the dashboard shows everything.
const CUTS: [(&str, usize); 4] = [("evidence", 5), ("secrets", 10), ("evidence", 1), ("secrets", 1)];

/// Above this, texts are shortened before anything is left out: every look at whether it fits now
/// costs its size, and there are up to 120 of them.
const HUGE_BYTES: usize = 16 * BODY_BYTES_MAX;

/// Left for what stands around the alerts of a group: labels, a note, a link.
const GROUP_SPARE_BYTES: usize = 2000;

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

/// Renders the body of a notification.
///
/// About one alert, `data` is that alert, with `note` (`withdrawn_because` when it was withdrawn)
/// and `link` beside its fields. About several it is `{"alerts": […], "group": {…}}`, about none
/// `{"message": …}`. An alert that fits is passed on byte for byte. From larger ones the last
/// evidence and the last secrets are left out, counted in `evidence_omitted` and
/// `secrets_omitted`, then the last alerts, counted in `alerts_omitted`; if the texts alone are
/// too long they are cut and end in `…`.
///
/// # Errors
/// [`RenderError`] when an alert is not JSON.
pub fn body(notification: &Notification) -> Result<Vec<u8>, RenderError> {
    let timestamp = notification.created_at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let r#type = notification.kind.as_str();
    let extras = extras(notification);
    if let ([alert], true) = (notification.alerts.as_slice(), extras.is_empty()) {
        let data: &RawValue = serde_json::from_str(alert)?;
        let bytes = serde_json::to_vec(&Payload { r#type, timestamp: timestamp.clone(), data })?;
        if bytes.len() < BODY_BYTES_MAX {
            return Ok(bytes);
        }
    }
    let mut payload = Payload { r#type, timestamp, data: data(notification, extras)? };
    trim(&mut payload);
    Ok(serde_json::to_vec(&payload)?)
}

/// What is said beside the alerts.
fn extras(notification: &Notification) -> Map<String, Value> {
    let mut extras = Map::new();
    if let Some(note) = &notification.note {
        let key = match (notification.alerts.is_empty(), notification.kind) {
            (true, _) => "message",
            (false, NotificationKind::Withdrawn) => "withdrawn_because",
            (false, _) => "note",
        };
        extras.insert(key.to_owned(), Value::from(note.as_str()));
    }
    if let Some(link) = &notification.link {
        extras.insert("link".to_owned(), Value::from(link.as_str()));
    }
    extras
}

fn data(notification: &Notification, extras: Map<String, Value>) -> Result<Value, RenderError> {
    let mut data = match notification.alerts.as_slice() {
        [] => Map::new(),
        [alert] => serde_json::from_str(alert)?,
        alerts => {
            let alerts: Vec<Value> =
                alerts.iter().map(|alert| serde_json::from_str(alert)).collect::<Result<_, _>>()?;
            let group: Map<String, Value> = notification
                .group
                .iter()
                .map(|(name, value)| (name.clone(), Value::from(value.as_str())))
                .collect();
            [("group".to_owned(), Value::from(group)), ("alerts".to_owned(), Value::from(alerts))]
                .into_iter()
                .collect()
        }
    };
    data.extend(extras);
    Ok(Value::from(data))
}

fn fits(payload: &Payload<'_, Value>) -> bool {
    serde_json::to_vec(payload).is_ok_and(|bytes| bytes.len() < BODY_BYTES_MAX)
}

fn trim(payload: &mut Payload<'_, Value>) {
    let bytes = serde_json::to_vec(payload).map_or(0, |bytes| bytes.len());
    if bytes > HUGE_BYTES {
        shorten(&mut payload.data, SHORTENINGS[0]);
    }
    if bytes >= BODY_BYTES_MAX {
        trim_group(&mut payload.data);
    }
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

/// Shortens every alert of a group as far as one alone is ever shortened, and keeps as many of
/// the first as there is room for. Looks at each alert once, however many there are.
fn trim_group(data: &mut Value) {
    let Some(alerts) = data.get_mut("alerts").and_then(Value::as_array_mut) else { return };
    let (all, mut room, mut kept) = (alerts.len(), BODY_BYTES_MAX - GROUP_SPARE_BYTES, 0);
    for alert in alerts.iter_mut() {
        for (list, keep) in CUTS {
            while omit_last(alert, list, keep) {}
        }
        let size = serde_json::to_vec(alert).map_or(usize::MAX, |bytes| bytes.len() + 1);
        if size > room && kept > 0 {
            break;
        }
        room = room.saturating_sub(size);
        kept += 1;
    }
    alerts.truncate(kept);
    if let (Some(object), true) = (data.as_object_mut(), kept < all) {
        object.insert("alerts_omitted".to_owned(), Value::from(all - kept));
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

    fn opened(alerts: &[&str]) -> Notification {
        Notification {
            id: "msg_1".to_owned(),
            kind: NotificationKind::Opened,
            created_at: chrono::DateTime::from_timestamp(1_769_860_800, 0).unwrap(),
            alerts: alerts.iter().map(|&alert| alert.to_owned()).collect(),
            group: vec![],
            note: None,
            link: None,
        }
    }

    fn sent(notification: &Notification) -> (usize, Value) {
        let bytes = body(notification).unwrap();
        (bytes.len(), serde_json::from_slice(&bytes).unwrap())
    }

    fn render(alert: &Value) -> (usize, Value) {
        sent(&opened(&[&alert.to_string()]))
    }

    fn alert(evidence: usize, secrets: usize, width: usize) -> Value {
        let text = "s".repeat(width);
        let evidence: Vec<_> = (0..evidence).map(|n| json!({"event": format!("{n}-{text}")})).collect();
        let secrets: Vec<_> = (0..secrets).map(|n| json!({"id": format!("{n}-{text}")})).collect();
        json!({"id": "a1", "events": 900, "evidence": evidence, "secrets": secrets})
    }

    #[test]
    fn a_body_is_type_timestamp_and_the_alert_byte_for_byte() {
        let bytes = body(&opened(&[r#"{"z":1,"a":"ü\u0000"}"#])).unwrap();
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
        let mut told = opened(&[r#"{"id":"a1"}"#]);
        told.kind = NotificationKind::Withdrawn;
        told.note = Some("a deployment did it".to_owned());
        told.link = Some("https://keywatch.example/alerts/a1".to_owned());
        let (_, sent) = sent(&told);
        assert_eq!(sent["type"], "alert.withdrawn");
        let link = "https://keywatch.example/alerts/a1";
        let want = json!({"id": "a1", "withdrawn_because": "a deployment did it", "link": link});
        assert_eq!(sent["data"], want);
    }

    #[test]
    fn grouped_alerts_stand_side_by_side_with_what_they_share() {
        let mut told = opened(&[r#"{"id":"a1"}"#, r#"{"id":"a2"}"#]);
        told.group = vec![("rule".to_owned(), "KW-001".to_owned())];
        told.note = Some("two at once".to_owned());
        let (_, sent) = sent(&told);
        let alerts = json!([{"id": "a1"}, {"id": "a2"}]);
        assert_eq!(
            sent["data"],
            json!({"group": {"rule": "KW-001"}, "alerts": alerts, "note": "two at once"})
        );
    }

    #[test]
    fn of_too_many_alerts_the_last_are_left_out_and_counted() {
        let alerts: Vec<String> = (0..300).map(|_| alert(20, 100, 30).to_string()).collect();
        let texts: Vec<&str> = alerts.iter().map(String::as_str).collect();
        let (size, sent) = sent(&opened(&texts));
        assert!(size < BODY_BYTES_MAX, "{size}");
        let kept = sent["data"]["alerts"].as_array().unwrap().len() as u64;
        assert!(kept >= 1, "{kept}");
        assert_eq!(kept + sent["data"]["alerts_omitted"].as_u64().unwrap(), 300);
    }

    #[test]
    fn without_alerts_there_is_a_message() {
        let (_, sent) = sent(&Notification { note: Some("all is well".to_owned()), ..opened(&[]) });
        assert_eq!(sent["data"], json!({"message": "all is well"}));
    }

    #[test]
    fn what_is_no_json_object_is_no_body() {
        assert!(body(&opened(&["{"])).is_err());
        assert!(body(&opened(&[""])).is_err());
        assert!(body(&opened(&["{}", "["])).is_err());
    }
}
