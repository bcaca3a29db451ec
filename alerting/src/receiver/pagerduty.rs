//! PagerDuty: Events API v2. One alert is one incident, under a key that is the alert's own, so
//! that an update, a repetition or a restart never opens a second one.
//!
//! <https://developer.pagerduty.com/docs/events-api-v2-overview>

use super::Described;
use crate::notification::{Notification, NotificationKind};
use crate::receiver::Address;
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Held, Judgement, Request, Unsendable};
use crate::story::Story;
use crate::text::{cut, inert_cut};
use crate::view::AlertView;
use chrono::{DateTime, SecondsFormat, Utc};
use keywatch_event::Level;
use keywatch_secrets::SecretRef;
use serde_json::{Map, Value, json};

/// Where events go unless told otherwise. The European service region has its own:
/// `https://events.eu.pagerduty.com/v2/enqueue`.
pub const PAGERDUTY_URL: &str = "https://events.pagerduty.com/v2/enqueue";
/// Largest event: 512 kB.
const BYTES_MAX: usize = 512_000;
const SUMMARY_CHARS_MAX: usize = 1024;
const KEY_CHARS_MAX: usize = 255;

/// A service with an Events API v2 integration.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PagerDuty {
    /// Where events go: [`PAGERDUTY_URL`] as a rule.
    pub address: Address,
    /// The integration key.
    pub routing_key: SecretRef,
}

impl Described for PagerDuty {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    fn credentials(&self) -> Vec<&SecretRef> {
        self.address.credential().into_iter().chain([&self.routing_key]).collect()
    }

    fn unusable(&self, held: &Held) -> Option<String> {
        let url = self.address.url(held).err();
        url.or_else(|| key(held, &self.routing_key).err()).map(|fault| fault.to_string())
    }
}

/// 32 letters and digits.
fn key<'h>(held: &'h Held, reference: &SecretRef) -> Result<&'h str, Unsendable> {
    let key = held.text(reference)?.trim();
    if key.len() == 32 && key.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
        return Ok(key);
    }
    Err(Unsendable(format!(
        "the secret {reference} is no integration key; copy the 32 characters of the Events API v2 integration"
    )))
}

impl Format for PagerDuty {
    fn requests(
        &self,
        notification: &Notification,
        _at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let (url, routing_key) = (self.address.url(held)?, key(held, &self.routing_key)?);
        let mut events = Vec::new();
        for action in actions(notification.kind)? {
            events.extend(events_of(notification, action)?);
        }
        Ok(events
            .into_iter()
            .map(|mut event| {
                event.insert("routing_key".to_owned(), Value::from(routing_key));
                Request::json(url.clone(), &Value::from(event))
            })
            .collect())
    }

    /// Only 429 and 5xx are worth repeating by PagerDuty's own rules; an event it calls invalid
    /// stays invalid, unless it was the key.
    fn judge(&self, answer: &Answer) -> Judgement {
        let key = answer.text.contains("routing_key") || answer.text.contains("integration key");
        match answer.status.as_u16() {
            200..=299 => Judgement::delivered(),
            400 if !key => Judgement::new(Verdict::GiveUp, answer.told(&format!(" ({})", answer.text))),
            413 => Judgement::new(Verdict::GiveUp, answer.told(": the event is too large")),
            400 | 401 | 403 => {
                let remedy = "; check the integration key";
                Judgement::new(Verdict::TryAgain, answer.told(remedy)).credentials_refused()
            }
            _ => Judgement::new(Verdict::TryAgain, answer.told("")),
        }
    }
}

/// What is done to the incident. A test opens one and closes it again.
fn actions(kind: NotificationKind) -> Result<Vec<&'static str>, Unsendable> {
    match kind {
        NotificationKind::Opened
        | NotificationKind::Updated
        | NotificationKind::Regressed
        | NotificationKind::Reminder
        | NotificationKind::Escalated
        | NotificationKind::Refreshed
        | NotificationKind::Summary => Ok(vec!["trigger"]),
        NotificationKind::Acknowledged => Ok(vec!["acknowledge"]),
        NotificationKind::Resolved | NotificationKind::Withdrawn => Ok(vec!["resolve"]),
        NotificationKind::Test => Ok(vec!["trigger", "resolve"]),
        NotificationKind::Heartbeat => Err(Unsendable(
            "PagerDuty would open an incident for every heartbeat; send heartbeats to a receiver of another kind"
                .to_owned(),
        )),
    }
}

fn events_of(notification: &Notification, action: &str) -> Result<Vec<Map<String, Value>>, Unsendable> {
    if notification.alerts.is_empty() {
        return Ok(vec![event(notification, &notification.id, action)?]);
    }
    let one = |alert: &String| {
        let id = AlertView::read(alert)?.id;
        event(&Notification { alerts: vec![alert.clone()], ..notification.clone() }, &id, action)
    };
    notification.alerts.iter().map(one).collect()
}

fn event(notification: &Notification, id: &str, action: &str) -> Result<Map<String, Value>, Unsendable> {
    let story = Story::of(notification)?;
    let alert =
        notification.alerts.first().map(|alert| AlertView::read(alert)).transpose()?.unwrap_or_default();
    let whole: Option<Value> = notification.alerts.first().and_then(|alert| serde_json::from_str(alert).ok());
    let details = |alert: Option<&Value>| {
        let facts =
            story.facts.iter().map(|(label, value)| ((*label).to_owned(), Value::from(value.as_str())));
        let mut details: Map<String, Value> = facts.collect();
        details.insert("Why".to_owned(), Value::from(story.sentences.join("\n")));
        details.extend(alert.map(|alert| ("alert".to_owned(), alert.clone())));
        details
    };
    let source = [alert.account.as_deref(), Some(alert.provider.as_str())];
    let source = source.into_iter().flatten().find(|text| !text.is_empty()).unwrap_or("keywatch");
    let with = |details: Map<String, Value>| {
        let mut event = Map::new();
        event.insert("event_action".to_owned(), Value::from(action));
        event.insert("dedup_key".to_owned(), Value::from(dedup_key(id)));
        event.insert("client".to_owned(), Value::from("Keywatch"));
        event.insert(
            "payload".to_owned(),
            json!({
                "summary": cut(&story.headline, SUMMARY_CHARS_MAX),
                "source": inert_cut(source, 255),
                "severity": severity(story.level),
                "timestamp": notification.created_at.to_rfc3339_opts(SecondsFormat::Millis, true),
                "component": inert_cut(alert.store.as_deref().unwrap_or("secrets"), 255),
                "class": inert_cut(&alert.rule, 255),
                "custom_details": details,
            }),
        );
        if let Some(link) = &story.link {
            event.insert("client_url".to_owned(), Value::from(link.as_str()));
            event.insert("links".to_owned(), json!([{"href": link, "text": "Open in Keywatch"}]));
        }
        event
    };
    let full = with(details(whole.as_ref()));
    let fits = serde_json::to_vec(&full).is_ok_and(|bytes| bytes.len() + KEY_CHARS_MAX < BYTES_MAX);
    // The story alone is a few kilobytes, and the link leads to the rest.
    Ok(if fits { full } else { with(details(None)) })
}

fn dedup_key(id: &str) -> String {
    inert_cut(&format!("keywatch/{id}"), KEY_CHARS_MAX)
}

const fn severity(level: Option<Level>) -> &'static str {
    match level {
        Some(Level::Critical) => "critical",
        Some(Level::High) => "error",
        Some(Level::Warning) => "warning",
        Some(Level::Info) | None => "info",
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, check_schema, held, hostile, telling, variable};

    const KEY: &str = "0123456789abcdef0123456789ABCDEF";

    fn pagerduty() -> PagerDuty {
        PagerDuty { address: Address::Plain(PAGERDUTY_URL.to_owned()), routing_key: variable("KEY") }
    }

    fn sent(notification: &Notification) -> Vec<Value> {
        let requests =
            pagerduty().requests(notification, notification.created_at, &held(&[("KEY", KEY)])).unwrap();
        requests.iter().map(|request| serde_json::from_slice(&request.body).unwrap()).collect()
    }

    #[test]
    fn an_event_is_what_pagerduty_takes_whatever_the_records_say() {
        for told in [telling(), hostile()] {
            let sent = sent(&told);
            check_schema("pagerduty", &sent);
            assert!(sent[0].to_string().len() < BYTES_MAX);
            assert_eq!(sent[0]["routing_key"], KEY);
        }
        assert!(sent(&telling())[0]["payload"]["custom_details"]["alert"]["events"] == 3);
        assert!(sent(&hostile())[0]["payload"]["custom_details"].get("alert").is_none(), "too large");
    }

    #[test]
    fn an_incident_is_opened_acknowledged_and_closed_under_one_key() {
        let told = |kind| sent(&Notification { kind, id: format!("msg_{kind}"), ..telling() });
        for (kind, action) in [
            (NotificationKind::Opened, "trigger"),
            (NotificationKind::Updated, "trigger"),
            (NotificationKind::Acknowledged, "acknowledge"),
            (NotificationKind::Resolved, "resolve"),
            (NotificationKind::Withdrawn, "resolve"),
            (NotificationKind::Regressed, "trigger"),
        ] {
            let events = told(kind);
            assert_eq!((events.len(), &events[0]["event_action"]), (1, &json!(action)), "{kind}");
            assert_eq!(events[0]["dedup_key"], "keywatch/a1", "{kind}");
        }
    }

    #[test]
    fn a_group_is_one_event_for_each_of_its_alerts() {
        let alerts = vec![r#"{"id":"a1"}"#.to_owned(), r#"{"id":"a2"}"#.to_owned()];
        let keys: Vec<Value> =
            sent(&Notification { alerts, ..telling() }).iter().map(|e| e["dedup_key"].clone()).collect();
        assert_eq!(keys, ["keywatch/a1", "keywatch/a2"]);
    }

    #[test]
    fn a_test_leaves_no_incident_open_and_a_heartbeat_opens_none() {
        let test = sent(&Notification { kind: NotificationKind::Test, alerts: vec![], ..telling() });
        assert_eq!(
            test.iter().map(|e| e["event_action"].clone()).collect::<Vec<_>>(),
            ["trigger", "resolve"]
        );
        assert_eq!(test[0]["dedup_key"], test[1]["dedup_key"]);
        let beat = Notification { kind: NotificationKind::Heartbeat, alerts: vec![], ..telling() };
        assert!(pagerduty().requests(&beat, beat.created_at, &held(&[("KEY", KEY)])).is_err());
    }

    #[test]
    fn a_key_of_the_wrong_form_is_told_without_repeating_it() {
        let fault = pagerduty().unusable(&held(&[("KEY", "hunter2")])).unwrap();
        assert!(fault.contains("32 characters") && !fault.contains("hunter2"), "{fault}");
        assert_eq!(pagerduty().unusable(&held(&[("KEY", KEY)])), None);
    }

    #[test]
    fn what_pagerduty_answers_decides_what_follows() {
        for (status, text, verdict, refused) in [
            (202, r#"{"status":"success"}"#, Verdict::Delivered, false),
            (400, r#"{"errors":["'payload.severity' is invalid"]}"#, Verdict::GiveUp, false),
            (400, r#"{"errors":["Length of 'routing_key' is incorrect"]}"#, Verdict::TryAgain, true),
            (403, "", Verdict::TryAgain, true),
            (413, "", Verdict::GiveUp, false),
            (429, "", Verdict::TryAgain, false),
            (500, "", Verdict::TryAgain, false),
        ] {
            let judged = pagerduty().judge(&answer(status, text));
            assert_eq!((judged.verdict, judged.credentials_refused), (verdict, refused), "{status} {text}");
        }
    }
}
