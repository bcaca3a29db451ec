//! Alerts: incidents with a key, kept alive while evidence comes.

use crate::{EventTime, Level, Place, PrincipalKind, Provider, SecretRef, SourceKind};
use serde::Serialize;
use std::fmt;
use std::net::IpAddr;

/// Most evidence rows an alert carries; the count says how many events there were in all.
pub const EVIDENCE_MAX: usize = 20;
/// Most sessions an alert lists; the count says how many there were in all.
pub const SESSIONS_MAX: usize = 5;
/// Most secrets an alert lists.
pub const SECRETS_MAX: usize = 100;

/// Identity of an alert: a function of the rule, its incident key and the event that opened it,
/// so the same events give the same id in any order and after any restart.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord, Serialize)]
#[serde(transparent)]
pub struct AlertId(pub String);

impl fmt::Display for AlertId {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.pad(&self.0)
    }
}

/// One alert; its JSON form is the public contract of `scan` and of the webhook payload.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Alert {
    /// Stable id.
    pub id: AlertId,
    /// The rule that raised it: `KW-004`.
    pub rule: String,
    /// What happened, in one line.
    pub title: String,
    /// How urgent it is.
    pub level: Level,
    /// What to do: the core table's word, `Immediate review`.
    pub action: String,
    /// Event time at which the rule's condition was first met.
    pub opened_at: EventTime,
    /// Event time of the earliest event of the incident.
    pub first_event_at: EventTime,
    /// Event time of the latest.
    pub last_event_at: EventTime,
    /// How many seconds late the event that opened it came, when that was more than 15 minutes
    /// after newer events: its log was held up, or is being read again.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub late_secs: Option<u64>,
    /// Who, when the incident is about one principal.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub principal: Option<AlertPrincipal>,
    /// Behind which sessions and credentials, when the records tell.
    #[serde(skip_serializing_if = "AlertSessions::is_empty")]
    pub sessions: AlertSessions,
    /// From where, when the incident is about one source.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<AlertSource>,
    /// The secrets touched, at most [`SECRETS_MAX`].
    pub secrets: Vec<SecretRef<'static>>,
    /// Whose records.
    pub provider: Provider,
    /// Account, project, subscription or namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<String>,
    /// Store, when the incident is about one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<String>,
    /// How many events belong to the incident.
    pub events: u64,
    /// Up to [`EVIDENCE_MAX`] of them: the earliest first.
    pub evidence: Vec<Evidence>,
    /// Why the rule says so.
    pub why: Why,
    /// ATT&CK and other tags of the rule.
    pub tags: Vec<String>,
}

/// A delay in words: `late by 2 h`, in the largest unit of which there are two.
#[must_use]
pub fn lateness(secs: u64) -> String {
    let (count, unit) = match secs {
        0..120 => (secs, "s"),
        120..7_200 => (secs / 60, "min"),
        7_200..172_800 => (secs / 3600, "h"),
        _ => (secs / 86_400, "d"),
    };
    format!("late by {count} {unit}")
}

/// The principal an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertPrincipal {
    /// Stable identity.
    pub id: String,
    /// What it is.
    pub kind: PrincipalKind,
    /// Short readable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
}

/// The sessions behind the principals of an alert: who took on a shared role, on whose behalf a
/// service account acted.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct AlertSessions {
    /// How many different ones there were among the events the alert knows by name (the first
    /// thousand).
    pub count: u64,
    /// The first of them, at most [`SESSIONS_MAX`], by time and id of their first event.
    pub first: Vec<AlertSession>,
}

impl AlertSessions {
    /// Whether the records told of none.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.count == 0
    }
}

/// One session or credential.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertSession {
    /// Its name: the role session on AWS (behind single sign-on the person's own), who took on a
    /// service account of Google's, the accessor of a Vault token as the log has it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// The access key, key of a service account, or application it was used through.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<String>,
}

/// The source an alert is about.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct AlertSource {
    /// The address, when there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What it is.
    pub kind: SourceKind,
    /// As the record says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<String>,
}

/// One event that belongs to an alert.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Evidence {
    /// The event's id.
    pub event: String,
    /// When it happened.
    pub time: EventTime,
    /// Where its record stands.
    pub place: Place,
}

/// Why an alert exists: in words, and the numbers behind them.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Why {
    /// One sentence a responder can check.
    pub text: String,
    /// What was counted.
    pub observed: f64,
    /// From which count on the rule speaks.
    pub threshold: f64,
    /// What was normal before, when the rule learns.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub baseline: Option<String>,
}

/// What a batch of events did to an alert.
#[derive(Clone, Debug, PartialEq)]
pub enum AlertChange {
    /// A new incident. Held back from delivery for `hold_secs`, because a later event may
    /// explain it.
    Opened {
        /// The alert.
        alert: Alert,
        /// Seconds to wait before anybody is told; 0 for at once.
        hold_secs: u32,
    },
    /// More evidence for a known incident.
    Updated {
        /// The alert as it now is.
        alert: Alert,
        /// The id it had, when earlier evidence came late and moved its opening.
        was: AlertId,
        /// Whether there is something new worth telling.
        news: bool,
    },
    /// A later event explained it: it is no alert any more.
    Withdrawn {
        /// The alert.
        id: AlertId,
        /// Why, for the history.
        reason: String,
    },
}

#[cfg(test)]
mod tests {
    use super::lateness;

    #[test]
    fn a_delay_is_told_in_its_largest_unit() {
        for (secs, words) in
            [(90, "late by 90 s"), (901, "late by 15 min"), (7_200, "late by 2 h"), (200_000, "late by 2 d")]
        {
            assert_eq!(lateness(secs), words);
        }
    }
}
