//! Values computed from an event, each made at most once.

use super::grantee::{Grantee, grantees};
use super::normal::Normal;
use crate::view::View;
use chrono::{Datelike, Timelike};
use keywatch_event::{AuditEvent, agent_family, network_of};
use std::cell::OnceCell;
use std::sync::Arc;

/// Names of the days, Monday first.
pub(super) const WEEKDAYS: &[&str] = &["mon", "tue", "wed", "thu", "fri", "sat", "sun"];

/// What was computed so far.
#[derive(Debug)]
pub(crate) struct Derived {
    /// By place in [`COMPUTED`].
    texts: [OnceCell<Option<Arc<str>>>; COMPUTED.len()],
    grantees: OnceCell<Vec<Grantee>>,
}

impl Derived {
    /// Nothing yet.
    pub(crate) const fn new() -> Self {
        Self { texts: [const { OnceCell::new() }; COMPUTED.len()], grantees: OnceCell::new() }
    }

    pub(crate) fn text(&self, field: Normal, view: &View<'_>) -> Option<&str> {
        let place = COMPUTED.iter().position(|(known, _)| *known == field)?;
        let (_, compute) = COMPUTED.get(place)?;
        self.texts.get(place)?.get_or_init(|| compute(view).map(Into::into)).as_deref()
    }

    /// Notes a value that is known already.
    pub(crate) fn know(&self, field: Normal, value: Option<&Arc<str>>) {
        let place = COMPUTED.iter().position(|(known, _)| *known == field);
        if let Some(text) = place.and_then(|place| self.texts.get(place)) {
            // One that was computed before is the same.
            let _value = text.get_or_init(|| value.cloned());
        }
    }

    pub(crate) fn grantees(&self, view: &View<'_>) -> &[Grantee] {
        self.grantees.get_or_init(|| grantees(view))
    }
}

type Compute = fn(&View<'_>) -> Option<String>;

/// The computed fields that are one text.
const COMPUTED: [(Normal, Compute); 13] = [
    (Normal::SecretsCount, |view| Some(view.event().secrets.len().to_string())),
    (Normal::PrincipalSessionFamily, |view| view.event().principal.session.as_deref().map(session_family)),
    (Normal::SourceIp, |view| view.event().source.ip.map(|ip| ip.to_string())),
    (Normal::SourceNetwork, |view| view.event().source.ip.map(network_of)),
    (Normal::SourceAsn, |view| view.around().asn.as_ref()?.asn(view.event().source.ip?)),
    (Normal::SourceCountry, |view| view.around().country.as_ref()?.country(view.event().source.ip?)),
    (Normal::UserAgentFamily, |view| view.event().user_agent.as_deref().map(agent_family)),
    (Normal::Actor, |view| Some(view.event().actor_fingerprint())),
    (Normal::TimeHour, |view| Some(format!("{:02}", view.event().time.to_chrono().hour()))),
    (Normal::TimeWeekday, |view| Some(weekday(view.event()).to_owned())),
    (Normal::TimeDelay, |view| Some(delay_secs(view.event()).to_string())),
    (Normal::TimeMisdated, |view| Some(view.event().time_raw.is_some().to_string())),
    (Normal::Planned, |view| Some(view.around().plans(view.event()).to_string())),
];

/// Seconds from an event to its receipt.
pub(crate) fn delay_secs(event: &AuditEvent<'_>) -> i64 {
    event.received_at.secs() - event.time.secs()
}

fn weekday(event: &AuditEvent<'_>) -> &'static str {
    let days = event.time.to_chrono().weekday().num_days_from_monday();
    usize::try_from(days).ok().and_then(|days| WEEKDAYS.get(days)).copied().unwrap_or_default()
}

/// A session's name without what changes from one session to the next: every run of letters and
/// digits that looks generated becomes `#`. `botocore-session-1767225600` is
/// `botocore-session-#`, `i-0abc123def4567890` is `i-#`, `alice@example.com` stays.
fn session_family(session: &str) -> String {
    let mut family = String::with_capacity(session.len());
    for part in session.split_inclusive(|c: char| !c.is_alphanumeric()) {
        let word = part.trim_end_matches(|c: char| !c.is_alphanumeric());
        let rest = part.get(word.len()..).unwrap_or_default();
        let word = if is_generated(word) { "#" } else { word };
        // Several generated parts in a row (a UUID) are one.
        if word == "#" && family.ends_with("#-") {
            family.pop();
        } else {
            family.push_str(word);
        }
        family.push_str(rest);
    }
    family
}

/// Whether a word is a counter or an id rather than a name: only digits, or a mix of at least
/// eight letters and digits.
fn is_generated(word: &str) -> bool {
    let digits = word.bytes().filter(u8::is_ascii_digit).count();
    let hex = word.len() >= 4 && word.bytes().all(|byte| byte.is_ascii_hexdigit());
    digits > 0 && (digits == word.len() || hex || word.len() >= 8)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(session: &str, family: &str) {
        assert_eq!(session_family(session), family, "{session}");
    }

    #[test]
    fn a_session_family_leaves_out_what_changes() {
        check("botocore-session-1767225600", "botocore-session-#");
        check("i-0abc123def4567890", "i-#");
        check("alice@example.com", "alice@example.com");
        check("terraform-run-Ab3dE9xQ2", "terraform-run-#");
        check("GitHubActions", "GitHubActions");
        check("job-7f3c1a2b-0000-4000-8000-00000000a1b2", "job-#");
        check("ec2", "ec2");
        check("", "");
    }
}
