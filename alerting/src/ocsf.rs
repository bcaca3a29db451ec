//! An alert as an OCSF 1.8 Detection Finding (class 2004) in a CloudEvents 1.0 envelope. Pure.
//!
//! What OCSF has no place for stands under `unmapped`, whole, so that nothing is dropped.
//! <https://schema.ocsf.io/1.8.0/classes/detection_finding>,
//! <https://github.com/cloudevents/spec/blob/v1.0.2/cloudevents/spec.md>

use crate::notification::{Notification, NotificationKind};
use crate::render::RenderError;
use crate::story::Story;
use crate::text::inert_cut;
use crate::view::{AlertView, SecretView, SessionView};
use chrono::{DateTime, SecondsFormat, Utc};
use keywatch_event::Level;
use serde_json::{Map, Value, json};

const SCHEMA: &str = "https://schema.ocsf.io/1.8.0/classes/detection_finding";
const CLASS: u32 = 2004;
/// Characters of a text of OCSF: names and ids.
const NAME_CHARS: usize = 300;
/// Sessions told of: an alert names five.
const SESSIONS_MAX: usize = 5;

/// One CloudEvent for each alert of `notification`; one without an alert when it has none.
///
/// # Errors
/// [`RenderError`] when an alert is no JSON object.
pub fn cloud_events(notification: &Notification) -> Result<Vec<Value>, RenderError> {
    if notification.alerts.is_empty() {
        let finding = finding(notification, &AlertView::default(), None)?;
        return Ok(vec![envelope(notification, &notification.id, &notification.id, &finding)]);
    }
    let several = notification.alerts.len() > 1;
    let one = |json: &String| {
        let alert = AlertView::read(json)?;
        let alone = Notification { alerts: vec![json.clone()], ..notification.clone() };
        let finding = finding(&alone, &alert, serde_json::from_str(json).ok())?;
        let id = if several { format!("{}-{}", notification.id, alert.id) } else { notification.id.clone() };
        Ok(envelope(notification, &id, &alert.id, &finding))
    };
    notification.alerts.iter().map(one).collect()
}

fn envelope(notification: &Notification, id: &str, subject: &str, data: &Value) -> Value {
    json!({
        "specversion": "1.0",
        "id": inert_cut(id, NAME_CHARS),
        "source": "urn:keywatch",
        "type": format!("io.keywatch.{}", notification.kind),
        "subject": inert_cut(subject, NAME_CHARS),
        "time": notification.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
        "datacontenttype": "application/json",
        "dataschema": SCHEMA,
        "data": data,
    })
}

fn millis(text: &str) -> Option<i64> {
    DateTime::parse_from_rfc3339(text).ok().map(|at| at.with_timezone(&Utc).timestamp_millis())
}

/// Name and number of what happened to the finding, and of where it stands.
const fn activity(kind: NotificationKind) -> ((u32, &'static str), (u32, &'static str)) {
    match kind {
        NotificationKind::Opened | NotificationKind::Test | NotificationKind::Heartbeat => {
            ((1, "Create"), (1, "New"))
        }
        NotificationKind::Acknowledged => ((2, "Update"), (2, "In Progress")),
        NotificationKind::Resolved | NotificationKind::Withdrawn => ((3, "Close"), (4, "Resolved")),
        NotificationKind::Updated
        | NotificationKind::Regressed
        | NotificationKind::Reminder
        | NotificationKind::Escalated
        | NotificationKind::Refreshed
        | NotificationKind::Summary => ((2, "Update"), (1, "New")),
    }
}

const fn severity(level: Option<Level>) -> (u32, &'static str) {
    match level {
        Some(Level::Critical) => (5, "Critical"),
        Some(Level::High) => (4, "High"),
        Some(Level::Warning) => (3, "Medium"),
        Some(Level::Info) | None => (1, "Informational"),
    }
}

fn finding(
    notification: &Notification,
    alert: &AlertView,
    whole: Option<Value>,
) -> Result<Value, RenderError> {
    let story = Story::of(notification)?;
    let ((activity_id, activity_name), (status_id, status)) = activity(notification.kind);
    let (severity_id, severity) = severity(alert.level);
    let uid = if alert.id.is_empty() { &notification.id } else { &alert.id };
    let finding = json!({
        "activity_id": activity_id,
        "activity_name": activity_name,
        "category_uid": 2,
        "category_name": "Findings",
        "class_uid": CLASS,
        "class_name": "Detection Finding",
        "type_uid": CLASS * 100 + activity_id,
        "severity_id": severity_id,
        "severity": severity,
        "status_id": status_id,
        "status": status,
        "time": notification.created_at.timestamp_millis(),
        "start_time": millis(&alert.first_event_at),
        "end_time": millis(&alert.last_event_at),
        "count": (alert.events > 0).then_some(alert.events),
        "is_alert": !alert.id.is_empty(),
        "message": story.headline,
        "status_detail": notification.note.as_deref().map(|note| inert_cut(note, 1000)),
        "metadata": metadata(notification, alert),
        "cloud": cloud(alert),
        "finding_info": finding_info(alert, &story, uid),
        "evidences": evidences(alert),
        "resources": resources(&alert.secrets),
        "unmapped": whole.map(|alert| json!({"alert": alert, "group": notification.group})),
    });
    Ok(without_gaps(finding))
}

fn metadata(notification: &Notification, alert: &AlertView) -> Value {
    let profiles: &[&str] = if alert.provider.is_empty() { &[] } else { &["cloud"] };
    json!({
        "version": "1.8.0",
        "uid": notification.id,
        "product": {"name": "Keywatch", "vendor_name": "Keywatch", "version": env!("CARGO_PKG_VERSION")},
        "profiles": profiles,
    })
}

fn cloud(alert: &AlertView) -> Option<Value> {
    let provider = match alert.provider.as_str() {
        "" => return None,
        "aws" => "AWS",
        "gcp" => "GCP",
        "azure" => "Azure",
        _ => "Other",
    };
    let account = alert.account.as_deref().map(|uid| json!({"uid": inert_cut(uid, NAME_CHARS)}));
    Some(without_gaps(json!({"provider": provider, "account": account})))
}

fn finding_info(alert: &AlertView, story: &Story, uid: &str) -> Value {
    let techniques = alert.tags.iter().filter_map(|tag| tag.strip_prefix("attack.t"));
    let attacks: Vec<Value> = techniques
        .map(|number| json!({"technique": {"uid": format!("T{}", inert_cut(number, 20))}}))
        .collect();
    let title =
        if alert.title.is_empty() { story.headline.clone() } else { inert_cut(&alert.title, NAME_CHARS) };
    without_gaps(json!({
        "uid": inert_cut(uid, NAME_CHARS),
        "title": title,
        "desc": story.sentences.first(),
        "created_time": millis(&alert.opened_at),
        "first_seen_time": millis(&alert.first_event_at),
        "last_seen_time": millis(&alert.last_event_at),
        "src_url": story.link,
        "analytic": (!alert.rule.is_empty()).then(|| json!({"uid": inert_cut(&alert.rule, NAME_CHARS), "type_id": 1, "type": "Rule"})),
        "attacks": (!attacks.is_empty()).then_some(attacks),
        "tags": alert.tags.iter().map(|tag| json!({"name": inert_cut(tag, NAME_CHARS)})).collect::<Vec<_>>(),
    }))
}

fn evidences(alert: &AlertView) -> Option<Value> {
    let user = alert.principal.as_ref().map(|principal| {
        let name = principal.name.as_ref().unwrap_or(&principal.id);
        json!({"uid": inert_cut(&principal.id, NAME_CHARS), "name": inert_cut(name, NAME_CHARS)})
    });
    let actor = |session: Option<Value>| {
        user.as_ref().map(|user| without_gaps(json!({"user": user, "session": session})))
    };
    let mut sessions = alert.sessions.first.iter().take(SESSIONS_MAX).filter_map(session);
    let endpoint = alert.source.as_ref().and_then(|source| source.ip.as_deref()).map(|ip| json!({"ip": ip}));
    if user.is_none() && endpoint.is_none() && alert.evidence.is_empty() {
        return None;
    }
    let first = actor(sessions.next());
    let first = json!({"actor": first, "src_endpoint": endpoint, "data": {"events": alert.evidence}});
    // An actor has one session: each of the others is a piece of evidence of its own.
    let others = sessions.filter_map(|session| Some(json!({"actor": actor(Some(session))?})));
    Some(std::iter::once(without_gaps(first)).chain(others).collect())
}

/// A session as OCSF has it: its name, and the credential it was opened with.
/// <https://schema.ocsf.io/1.8.0/objects/session>
fn session(session: &SessionView) -> Option<Value> {
    let text = |text: &Option<String>| text.as_deref().map(|text| inert_cut(text, NAME_CHARS));
    let told = json!({"uid": text(&session.name), "credential_uid": text(&session.access_key)});
    Some(without_gaps(told)).filter(|told| told.as_object().is_some_and(|told| !told.is_empty()))
}

fn resources(secrets: &[SecretView]) -> Option<Value> {
    let one = |secret: &SecretView| {
        json!({
            "uid": inert_cut(&secret.id, NAME_CHARS),
            "name": inert_cut(secret.shown(), NAME_CHARS),
            "type": "Secret",
        })
    };
    (!secrets.is_empty()).then(|| Value::from(secrets.iter().map(one).collect::<Vec<_>>()))
}

/// Absent is absent: OCSF knows no `null`.
/// An object without its members that are null; any other value as it is.
#[must_use]
pub fn without_gaps(value: Value) -> Value {
    let Value::Object(object) = value else { return value };
    Value::from(object.into_iter().filter(|(_, value)| !value.is_null()).collect::<Map<_, _>>())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{check_schema, hostile, telling};

    #[test]
    fn a_finding_is_what_the_schema_says_whatever_the_records_say() {
        let mut events = Vec::new();
        for told in [telling(), hostile()] {
            for &kind in NotificationKind::ALL {
                events.extend(cloud_events(&Notification { kind, ..told.clone() }).unwrap());
            }
        }
        let beat = Notification { kind: NotificationKind::Heartbeat, alerts: vec![], ..telling() };
        events.extend(cloud_events(&beat).unwrap());
        check_schema("cloudevents", &events);
        let findings: Vec<Value> = events.iter().map(|event| event["data"].clone()).collect();
        check_schema("ocsf-2004", &findings);
    }

    #[test]
    fn the_sessions_behind_a_principal_are_told_with_their_credentials() {
        let evidences = |sessions: Value| {
            let alert = json!({"id": "a1", "principal": {"id": "role/admin"}, "sessions": sessions});
            let told = Notification { alerts: vec![alert.to_string()], ..telling() };
            cloud_events(&told).unwrap()[0]["data"]["evidences"].clone()
        };
        let one =
            evidences(json!({"count": 1, "first": [{"name": "greta@example.com", "access_key": "ASIA1"}]}));
        let greta = json!({"uid": "greta@example.com", "credential_uid": "ASIA1"});
        assert_eq!((one.as_array().unwrap().len(), &one[0]["actor"]["session"]), (1, &greta));
        let two = evidences(json!({"count": 2, "first": [{"name": "p0"}, {"access_key": "AKIA2"}, {}]}));
        assert_eq!(two[0]["actor"]["session"], json!({"uid": "p0"}));
        assert_eq!(
            two[1],
            json!({"actor": {"user": two[0]["actor"]["user"], "session": {"credential_uid": "AKIA2"}}})
        );
        assert_eq!(two.as_array().unwrap().len(), 2);
        assert_eq!(evidences(json!({"count": 0, "first": []}))[0]["actor"].get("session"), None);
    }

    #[test]
    fn a_finding_keeps_its_uid_and_every_message_has_an_id_of_its_own() {
        let events = cloud_events(&telling()).unwrap();
        assert_eq!(events[0]["id"], "msg_1");
        assert_eq!(events[0]["type"], "io.keywatch.alert.opened");
        let finding = &events[0]["data"];
        assert_eq!(finding["finding_info"]["uid"], "a1");
        assert_eq!((&finding["type_uid"], &finding["severity_id"]), (&json!(200_401), &json!(5)));
        assert_eq!(finding["finding_info"]["attacks"][0]["technique"]["uid"], "T1555.006");
        assert_eq!(finding["unmapped"]["alert"]["action"], "Immediate review");
        let alerts = vec![r#"{"id":"a1"}"#.to_owned(), r#"{"id":"a2"}"#.to_owned()];
        let ids: Vec<_> = cloud_events(&Notification { alerts, ..telling() })
            .unwrap()
            .iter()
            .map(|e| e["id"].clone())
            .collect();
        assert_eq!(ids, ["msg_1-a1", "msg_1-a2"]);
    }
}
