//! A notification as people read it: a headline, why, facts, where to read on. Receivers for
//! people differ in how they write a story down, not in what it says. Pure.
//!
//! Every text in a story is inert and short; what was cut ends in `…`, and the link leads to the
//! whole of it.

use crate::notification::{Notification, NotificationKind};
use crate::render::RenderError;
use crate::text::inert_cut;
use crate::view::{AlertView, PrincipalView, SecretView, SessionView, SessionsView, SourceView, highest};
use keywatch_event::{Level, lateness};

/// Characters of a headline, a fact, a sentence, a link.
const TITLE_CHARS: usize = 150;
const FACT_CHARS: usize = 300;
const SENTENCE_CHARS: usize = 1000;
const LINK_CHARS: usize = 1000;
/// How many secrets, grouped alerts and sessions are named; the others are counted.
const SECRETS_NAMED: usize = 5;
const ALERTS_NAMED: usize = 10;
const SESSIONS_NAMED: usize = 3;

/// What people are told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Story {
    /// `CRITICAL: Secrets are destroyed`.
    pub(crate) headline: String,
    pub(crate) level: Option<Level>,
    /// Whether nobody has to do anything any more.
    pub(crate) is_over: bool,
    /// Why the rule says so, and what people have said.
    pub(crate) sentences: Vec<String>,
    /// Label and value.
    pub(crate) facts: Vec<(&'static str, String)>,
    /// Grouped alerts, one a line.
    pub(crate) alerts: Vec<String>,
    pub(crate) link: Option<String>,
}

impl Story {
    /// What `notification` tells.
    pub(crate) fn of(notification: &Notification) -> Result<Self, RenderError> {
        let alerts: Vec<AlertView> =
            notification.alerts.iter().map(|alert| AlertView::read(alert)).collect::<Result<_, _>>()?;
        let (facts, lines, why) = match alerts.as_slice() {
            [] => (Vec::new(), Vec::new(), None),
            [alert] => (facts(alert), Vec::new(), Some(&alert.why.text)),
            several => (shared(notification), lines(several), None),
        };
        let sentences = why.into_iter().chain(&notification.note).filter(|text| !text.is_empty());
        Ok(Self {
            headline: headline(notification.kind, &alerts),
            level: highest(&alerts),
            is_over: notification.kind.is_over(),
            sentences: sentences.map(|text| inert_cut(text, SENTENCE_CHARS)).collect(),
            facts,
            alerts: lines,
            link: notification.link.as_deref().map(|link| inert_cut(link, LINK_CHARS)),
        })
    }

    /// The whole story as plain text, one thing a line.
    pub(crate) fn text(&self) -> String {
        let facts = self.facts.iter().map(|(label, value)| format!("{label}: {value}"));
        let link = self.link.iter().map(|link| format!("Read on: {link}"));
        let parts = [self.headline.clone()].into_iter().chain(self.sentences.iter().cloned());
        parts.chain(facts).chain(self.alerts.iter().cloned()).chain(link).collect::<Vec<_>>().join("\n")
    }
}

const fn announcement(kind: NotificationKind) -> Option<&'static str> {
    match kind {
        NotificationKind::Opened | NotificationKind::Refreshed => None,
        NotificationKind::Updated => Some("Update"),
        NotificationKind::Withdrawn => Some("Withdrawn"),
        NotificationKind::Acknowledged => Some("Acknowledged"),
        NotificationKind::Resolved => Some("Resolved"),
        NotificationKind::Regressed => Some("Back after it was resolved"),
        NotificationKind::Reminder => Some("Reminder"),
        NotificationKind::Escalated => Some("Nobody has answered"),
        NotificationKind::Summary => Some("Summary"),
        NotificationKind::Heartbeat => Some("Keywatch is alive"),
        NotificationKind::Test => Some("Keywatch test message"),
    }
}

fn headline(kind: NotificationKind, alerts: &[AlertView]) -> String {
    let level = highest(alerts).map(|level| level.as_str().to_uppercase());
    let what = match alerts {
        [] => None,
        [alert] => Some(inert_cut(&alert.title, TITLE_CHARS)),
        [first, ..] => Some(format!("{} alerts: {}", alerts.len(), inert_cut(&first.title, TITLE_CHARS))),
    };
    let parts = [announcement(kind).map(str::to_owned), level, what];
    parts.into_iter().flatten().collect::<Vec<_>>().join(": ")
}

fn facts(alert: &AlertView) -> Vec<(&'static str, String)> {
    let place = [Some(&alert.provider), alert.account.as_ref(), alert.store.as_ref()];
    let place: Vec<&str> =
        place.into_iter().flatten().map(String::as_str).filter(|t| !t.is_empty()).collect();
    let when = match alert.events {
        0 | 1 => alert.first_event_at.clone(),
        events => format!("{events} events from {} to {}", alert.first_event_at, alert.last_event_at),
    };
    let found = [
        ("To do", Some(alert.action.clone())),
        ("Who", alert.principal.as_ref().map(who)),
        ("Sessions", sessions(&alert.sessions)),
        ("From", alert.source.as_ref().and_then(origin)),
        ("Secrets", named(&alert.secrets)),
        ("Where", Some(place.join(" / "))),
        ("When", Some(when)),
        ("Late", alert.late_secs.map(lateness)),
        ("Rule", Some(alert.rule.clone())),
        ("Alert", Some(alert.id.clone())),
    ];
    let told = found.into_iter().filter_map(|(label, value)| Some((label, value?)));
    told.filter(|(_, value)| !value.is_empty())
        .map(|(label, value)| (label, inert_cut(&value, FACT_CHARS)))
        .collect()
}

fn who(principal: &PrincipalView) -> String {
    match &principal.name {
        Some(name) if *name != principal.id => format!("{name} ({}, {})", principal.kind, principal.id),
        _ => format!("{} ({})", principal.id, principal.kind),
    }
}

/// The sessions behind who it was, each with the credential it used.
fn sessions(sessions: &SessionsView) -> Option<String> {
    let each = FACT_CHARS / SESSIONS_NAMED - 24;
    let one = |session: &SessionView| match (&session.name, &session.access_key) {
        (Some(name), Some(key)) => Some(inert_cut(&format!("{name} with {key}"), each)),
        (Some(one), None) | (None, Some(one)) => Some(inert_cut(one, each)),
        (None, None) => None,
    };
    let mut named: Vec<String> = sessions.first.iter().take(SESSIONS_NAMED).filter_map(one).collect();
    let more = sessions.count.saturating_sub(named.len() as u64);
    if more > 0 && !named.is_empty() {
        named.push(format!("and {more} more"));
    }
    (!named.is_empty()).then(|| named.join(", "))
}

fn origin(source: &SourceView) -> Option<String> {
    source.ip.clone().or_else(|| source.raw.clone())
}

fn named(secrets: &[SecretView]) -> Option<String> {
    let each = FACT_CHARS / SECRETS_NAMED - 2;
    let mut names: Vec<String> =
        secrets.iter().take(SECRETS_NAMED).map(|secret| inert_cut(secret.shown(), each)).collect();
    let more = secrets.len().saturating_sub(SECRETS_NAMED);
    if more > 0 {
        names.truncate(SECRETS_NAMED - 1);
        names.push(format!("and {} more", more + 1));
    }
    (!names.is_empty()).then(|| names.join(", "))
}

fn shared(notification: &Notification) -> Vec<(&'static str, String)> {
    let labels: Vec<String> =
        notification.group.iter().map(|(name, value)| format!("{name} {value}")).collect();
    if labels.is_empty() {
        Vec::new()
    } else {
        vec![("In common", inert_cut(&labels.join(", "), FACT_CHARS))]
    }
}

fn lines(alerts: &[AlertView]) -> Vec<String> {
    let line = |alert: &AlertView| {
        let level = alert.level.map_or("", Level::as_str).to_uppercase();
        let who = alert
            .principal
            .as_ref()
            .map(|principal| format!(", {}", principal.name.as_ref().unwrap_or(&principal.id)));
        inert_cut(&format!("{level}: {}{}", alert.title, who.unwrap_or_default()), FACT_CHARS)
    };
    let mut lines: Vec<String> = alerts.iter().take(ALERTS_NAMED).map(line).collect();
    let more = alerts.len().saturating_sub(ALERTS_NAMED);
    if more > 0 {
        lines.push(format!("… and {more} more"));
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{hostile, notification, telling};

    #[test]
    fn an_alert_is_told_with_its_reason_and_its_facts() {
        let story = Story::of(&telling()).unwrap();
        assert_eq!(story.headline, "CRITICAL: Secrets are destroyed");
        assert_eq!(story.sentences, ["3 deletions in 5 minutes, normal is 0"]);
        let fact =
            |label| story.facts.iter().find(|(known, _)| *known == label).map(|(_, value)| value.as_str());
        assert_eq!(fact("Who"), Some("deploy (role, arn:aws:iam::111122223333:role/deploy)"));
        assert_eq!(fact("From"), Some("203.0.113.9"));
        assert_eq!(fact("Secrets"), Some("prod/s0, prod/s1, prod/s2, prod/s3, and 3 more"));
        assert_eq!(fact("Where"), Some("aws / 111122223333 / sm"));
        assert_eq!(fact("Rule"), Some("KW-004"));
        assert!(story.text().ends_with("Read on: https://keywatch.example/alerts/a1"), "{}", story.text());
    }

    #[test]
    fn the_sessions_behind_a_role_are_told_with_what_they_used() {
        let told = |sessions: serde_json::Value| {
            let mut alert: serde_json::Value = serde_json::from_str(&telling().alerts[0]).unwrap();
            alert["sessions"] = sessions;
            let story = Story::of(&Notification { alerts: vec![alert.to_string()], ..telling() }).unwrap();
            story.facts.into_iter().find(|(label, _)| *label == "Sessions").map(|(_, value)| value)
        };
        let session = |name: &str| serde_json::json!({"name": name, "access_key": "ASIA1"});
        assert_eq!(
            told(serde_json::json!({"count": 1, "first": [session("greta@example.com")]})).as_deref(),
            Some("greta@example.com with ASIA1")
        );
        let many = ["a", "b", "c", "d"].map(session);
        assert_eq!(
            told(serde_json::json!({"count": 9, "first": many})).as_deref(),
            Some("a with ASIA1, b with ASIA1, c with ASIA1, and 6 more")
        );
        assert_eq!(told(serde_json::json!({"count": 0, "first": []})), None);
    }

    #[test]
    fn every_kind_says_in_its_headline_what_has_happened() {
        for &kind in NotificationKind::ALL {
            let story = Story::of(&Notification { kind, ..telling() }).unwrap();
            assert!(story.headline.contains("Secrets are destroyed"), "{kind}: {}", story.headline);
            assert_eq!(
                story.is_over,
                matches!(kind, NotificationKind::Withdrawn | NotificationKind::Resolved)
            );
        }
    }

    #[test]
    fn a_group_counts_names_and_shares() {
        let alerts = (0..14).map(|_| telling().alerts.remove(0)).collect();
        let group = vec![("rule".to_owned(), "KW-004".to_owned())];
        let story = Story::of(&Notification { alerts, group, ..telling() }).unwrap();
        assert_eq!(story.headline, "CRITICAL: 14 alerts: Secrets are destroyed");
        assert_eq!(story.facts, [("In common", "rule KW-004".to_owned())]);
        assert_eq!(story.alerts.len(), 11);
        assert_eq!(story.alerts[0], "CRITICAL: Secrets are destroyed, deploy");
        assert_eq!(story.alerts[10], "… and 4 more");
    }

    #[test]
    fn whatever_a_record_says_a_story_is_short_and_inert() {
        let text = Story::of(&hostile()).unwrap().text();
        assert!(text.chars().count() < 8000, "{}", text.chars().count());
        assert!(!text.contains(['\0', '\r', '\u{1b}', '\u{202e}']), "{text}");
        assert!(text.contains('…') && text.contains("[U+202E]"), "{text}");
    }

    #[test]
    fn an_alert_with_gaps_is_told_without_them() {
        let story = Story::of(&notification()).unwrap();
        assert_eq!(story.facts, [("Alert", "a1".to_owned())]);
    }
}
