//! Prometheus Alertmanager: its API v2. Alertmanager forgets what is not repeated, so an alert
//! that stands is sent again before its time ends, and closed by a time in the past.
//!
//! Labels are an alert's identity there: they hold what never changes while it stands, neither
//! counts nor times. An Alertmanager with several instances is one receiver for each of them.
//! <https://prometheus.io/docs/alerting/latest/alerts_api/>

use super::Described;
use crate::notification::{Notification, NotificationKind};
use crate::receiver::{Address, Authorization};
use crate::reply::Verdict;
use crate::sender::{Answer, Format, Header, Held, Judgement, Request, Unsendable};
use crate::story::Story;
use crate::text::inert_cut;
use crate::view::AlertView;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use serde_json::{Map, Value, json};
use std::time::Duration;

/// How often an alert that stands is sent again. A fifth of how long it is said to stand, so that
/// four repetitions may fail before Alertmanager thinks it is over.
pub(crate) const REFRESH_EVERY: Duration = Duration::from_mins(1);
const STANDS_FOR: TimeDelta = TimeDelta::minutes(5);
/// Characters of a label: they are stored, indexed and shown in every list.
const LABEL_CHARS: usize = 300;

/// One Alertmanager.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alertmanager {
    /// Its base address, without `/api/v2`.
    pub address: Address,
    /// What a proxy in front of it wants to see.
    pub auth: Option<Authorization>,
}

impl Described for Alertmanager {
    fn address(&self) -> Option<&Address> {
        Some(&self.address)
    }

    fn auth(&self) -> Option<&Authorization> {
        self.auth.as_ref()
    }
}

impl Format for Alertmanager {
    fn requests(
        &self,
        notification: &Notification,
        at: DateTime<Utc>,
        held: &Held,
    ) -> Result<Vec<Request>, Unsendable> {
        let mut url = self.address.url(held)?;
        let path = format!("{}/api/v2/alerts", url.path().trim_end_matches('/'));
        url.set_path(&path);
        let mut request = Request::json(url, &Value::from(alerts(notification, at)?));
        if let Some(auth) = &self.auth {
            request.headers.push(Header::secret("authorization", auth.header(held)?));
        }
        Ok(vec![request])
    }

    fn judge(&self, answer: &Answer) -> Judgement {
        match answer.status.as_u16() {
            200..=299 => Judgement::delivered(),
            400 | 413 => Judgement::new(Verdict::GiveUp, answer.told(&format!(" ({})", answer.text))),
            401 | 403 => Judgement::new(Verdict::TryAgain, answer.told("; check its credentials"))
                .credentials_refused(),
            404 => Judgement::new(Verdict::TryAgain, answer.told("; check that the url ends before /api/v2")),
            300..=399 => Judgement::new(Verdict::TryAgain, answer.told("; redirects are not followed")),
            _ => Judgement::new(Verdict::TryAgain, answer.told("")),
        }
    }
}

fn alerts(notification: &Notification, at: DateTime<Utc>) -> Result<Vec<Value>, Unsendable> {
    if notification.alerts.is_empty() {
        return Ok(vec![sign_of_life(notification, at)?]);
    }
    let one = |json: &String| {
        let alert = AlertView::read(json)?;
        let story = Story::of(&Notification { alerts: vec![json.clone()], ..notification.clone() })?;
        let starts_at = DateTime::parse_from_rfc3339(&alert.opened_at).map(|at| at.with_timezone(&Utc));
        let starts_at = starts_at.unwrap_or(notification.created_at).min(at);
        let span = (starts_at, ends_at(notification.kind, at));
        Ok(posted(&labels(&alert), span, &story, &alert.action))
    };
    notification.alerts.iter().map(one).collect()
}

fn ends_at(kind: NotificationKind, at: DateTime<Utc>) -> DateTime<Utc> {
    let over = kind.is_over() || kind == NotificationKind::Test;
    if over { at } else { at.checked_add_signed(STANDS_FOR).unwrap_or(at) }
}

fn labels(alert: &AlertView) -> Map<String, Value> {
    let level = alert.level.map_or("none", keywatch_event::Level::as_str);
    let principal = alert.principal.as_ref().map(|principal| principal.id.as_str());
    let labels = [
        ("alertname", Some(alert.rule.as_str())),
        ("alert_id", Some(alert.id.as_str())),
        ("severity", Some(level)),
        ("provider", Some(alert.provider.as_str())),
        ("account", alert.account.as_deref()),
        ("store", alert.store.as_deref()),
        ("principal", principal),
    ];
    let told =
        labels.into_iter().filter_map(|(name, value)| Some((name, value.filter(|text| !text.is_empty())?)));
    let mut labels: Map<String, Value> =
        told.map(|(name, value)| (name.to_owned(), Value::from(inert_cut(value, LABEL_CHARS)))).collect();
    labels.entry("alertname").or_insert_with(|| Value::from("Keywatch"));
    labels
}

fn posted(
    labels: &Map<String, Value>,
    (starts_at, ends_at): (DateTime<Utc>, DateTime<Utc>),
    story: &Story,
    action: &str,
) -> Value {
    let stamp = |at: DateTime<Utc>| at.to_rfc3339_opts(SecondsFormat::Millis, true);
    let mut alert = json!({
        "labels": labels,
        "annotations": {
            "summary": story.headline,
            "description": story.text(),
            "action": inert_cut(action, LABEL_CHARS),
        },
        "startsAt": stamp(starts_at.min(ends_at)),
        "endsAt": stamp(ends_at),
    });
    if let (Some(link), Some(alert)) = (&story.link, alert.as_object_mut()) {
        alert.insert("generatorURL".to_owned(), Value::from(link.as_str()));
    }
    alert
}

/// A heartbeat stands like an alert that is repeated, so that its absence can be noticed there; a
/// test is over as soon as it is told.
fn sign_of_life(notification: &Notification, at: DateTime<Utc>) -> Result<Value, Unsendable> {
    let name = match notification.kind {
        NotificationKind::Heartbeat => "KeywatchHeartbeat",
        NotificationKind::Test => "KeywatchTest",
        NotificationKind::Opened
        | NotificationKind::Updated
        | NotificationKind::Withdrawn
        | NotificationKind::Acknowledged
        | NotificationKind::Resolved
        | NotificationKind::Regressed
        | NotificationKind::Reminder
        | NotificationKind::Escalated
        | NotificationKind::Refreshed
        | NotificationKind::Summary => "KeywatchSummary",
    };
    let labels = json!({"alertname": name, "severity": "none"}).as_object().cloned().unwrap_or_default();
    let span = (notification.created_at.min(at), ends_at(notification.kind, at));
    Ok(posted(&labels, span, &Story::of(notification)?, ""))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{answer, check_schema, held, hostile, telling, variable};

    fn alertmanager() -> Alertmanager {
        let auth = Some(Authorization::Basic { user: "keywatch".to_owned(), password: variable("PASSWORD") });
        Alertmanager { address: Address::Plain("https://am.example/prefix/".to_owned()), auth }
    }

    fn sent(notification: &Notification, at: DateTime<Utc>) -> Value {
        Value::from(alerts(notification, at).unwrap())
    }

    #[test]
    fn alerts_are_what_alertmanager_takes_whatever_the_records_say() {
        let mut all = Vec::new();
        for told in [telling(), hostile()] {
            for &kind in NotificationKind::ALL {
                all.push(sent(&Notification { kind, ..told.clone() }, told.created_at));
            }
        }
        let beat = Notification { kind: NotificationKind::Heartbeat, alerts: vec![], ..telling() };
        all.push(sent(&beat, beat.created_at));
        check_schema("alertmanager", &all);
    }

    #[test]
    fn labels_never_change_while_an_alert_stands_and_its_end_moves_on() {
        let told = telling();
        let later = told.created_at + TimeDelta::minutes(1);
        let (first, again) = (sent(&told, told.created_at), sent(&told, later));
        assert_eq!(first[0]["labels"], again[0]["labels"]);
        assert_eq!(first[0]["startsAt"], again[0]["startsAt"]);
        assert_eq!(first[0]["endsAt"], "2026-01-31T12:05:00.000Z");
        assert_eq!(again[0]["endsAt"], "2026-01-31T12:06:00.000Z");
        let over = sent(&Notification { kind: NotificationKind::Resolved, ..told }, later);
        assert_eq!(over[0]["labels"], first[0]["labels"]);
        assert_eq!(over[0]["endsAt"], "2026-01-31T12:01:00.000Z");
        assert!(STANDS_FOR.to_std().unwrap() >= 4 * REFRESH_EVERY);
    }

    #[test]
    fn the_path_of_the_api_follows_the_prefix_and_the_password_is_shown_to_nobody() {
        let told = telling();
        let requests =
            alertmanager().requests(&told, told.created_at, &held(&[("PASSWORD", "hunter2")])).unwrap();
        assert_eq!(requests[0].url.as_str(), "https://am.example/prefix/api/v2/alerts");
        let shown = requests[0].shown(&held(&[("PASSWORD", "hunter2")]));
        assert!(shown.headers.contains(&("authorization".to_owned(), "[redacted]".to_owned())), "{shown:?}");
    }

    #[test]
    fn what_alertmanager_answers_decides_what_follows() {
        for (status, verdict, refused) in [
            (200, Verdict::Delivered, false),
            (400, Verdict::GiveUp, false),
            (401, Verdict::TryAgain, true),
            (404, Verdict::TryAgain, false),
            (500, Verdict::TryAgain, false),
        ] {
            let judged = alertmanager().judge(&answer(status, ""));
            assert_eq!((judged.verdict, judged.credentials_refused), (verdict, refused), "{status}");
        }
    }
}
