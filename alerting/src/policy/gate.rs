//! What is decided at the moment a message would leave: is it silenced, does its group rest, were
//! there too many of its rule?
//!
//! What says that an alert is over never comes here: whoever was told of it hears that too.

use super::calendar::Hours;
use chrono::{DateTime, SecondsFormat, TimeDelta, Utc};
use keywatch_event::{Level, Matcher, all_match};
use keywatch_store::{Candidate, DeliveryKind, Gate, Silence, Verdict};

/// Seconds between two summaries of what was too much.
const SUMMARY_SECS: i64 = 3_600;

/// A silence of the configuration.
#[derive(Clone, Debug)]
pub struct StandingSilence {
    /// Its name.
    pub name: String,
    /// Which alerts.
    pub matchers: Vec<Matcher>,
    /// When.
    pub span: Span,
    /// Who wrote it.
    pub author: String,
    /// Why.
    pub reason: String,
}

/// When a silence of the configuration is in force.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Span {
    /// Once.
    Once {
        /// From when.
        from: DateTime<Utc>,
        /// Until when.
        to: DateTime<Utc>,
    },
    /// Every week: a maintenance window.
    Weekly(Vec<Hours>),
}

impl Span {
    /// Until when it is in force, if it is now.
    #[must_use]
    pub fn until(&self, now: DateTime<Utc>) -> Option<DateTime<Utc>> {
        match self {
            Self::Once { from, to } => (*from <= now && now < *to).then_some(*to),
            Self::Weekly(hours) => hours.iter().filter_map(|hours| hours.end_around(now)).max(),
        }
    }
}

/// How many messages about one rule a receiver is sent in an hour before the rest is summed up.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Cap {
    /// Most messages.
    pub per_hour: u32,
    /// Alerts below this level are capped; critical ones never are.
    pub below: Level,
}

/// Decides what leaves now.
#[derive(Clone, Debug, Default)]
pub struct Gatekeeper {
    /// Silences of the configuration.
    pub silences: Vec<StandingSilence>,
    /// The cap, when there is one.
    pub cap: Option<Cap>,
}

impl Gatekeeper {
    fn muted(&self, candidate: &Candidate, stored: &[Silence], now: DateTime<Utc>) -> Option<Verdict> {
        let made = stored.iter().filter(|one| all_match(&one.matchers, &candidate.subject));
        let made = made.map(|one| (one.ends_at, one.name(), one.author.as_str(), one.reason.as_str()));
        let standing = self.silences.iter().filter(|one| all_match(&one.matchers, &candidate.subject));
        let standing = standing.filter_map(|one| {
            Some((one.span.until(now)?, one.name.clone(), one.author.as_str(), one.reason.as_str()))
        });
        // The one that lasts longest, so that it is decided again only once.
        let (until, silence, author, reason) = made.chain(standing).max_by_key(|(until, ..)| *until)?;
        let reason = format!("{silence} until {}, by {author}: {reason}", stamp(until));
        Some(Verdict::Mute { until, silence, reason })
    }

    fn too_many(&self, candidate: &Candidate, now: DateTime<Utc>) -> Option<Verdict> {
        let cap = self.cap?;
        let level = candidate.subject.level;
        let exempt = candidate.summary || candidate.kind == DeliveryKind::AlertEscalated;
        if exempt || level >= cap.below || level == Level::Critical || candidate.told_of_rule < cap.per_hour {
            return None;
        }
        let until = next_summary(now);
        let reason = format!(
            "{} messages about {} in an hour are the most it is sent below {}; the rest comes as one summary at {}",
            cap.per_hour,
            candidate.subject.rule,
            cap.below,
            stamp(until)
        );
        Some(Verdict::Summarise { until, reason })
    }
}

/// The next full hour: everything that was too much of a rule goes out together.
fn next_summary(now: DateTime<Utc>) -> DateTime<Utc> {
    let into = now.timestamp().rem_euclid(SUMMARY_SECS);
    now + TimeDelta::seconds(SUMMARY_SECS - into)
}

fn stamp(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::Secs, true)
}

fn resting(candidate: &Candidate) -> Option<Verdict> {
    let (until, key) = (candidate.group_rests_until?, candidate.group.as_deref()?);
    let reason = format!("its group ({key}) was told a short while ago; next at {}", stamp(until));
    Some(Verdict::Hold { until, reason })
}

impl Gate for Gatekeeper {
    fn verdict(&self, candidate: &Candidate, silences: &[Silence], now: DateTime<Utc>) -> Verdict {
        let muted = self.muted(candidate, silences, now);
        let held = muted.or_else(|| self.too_many(candidate, now)).or_else(|| resting(candidate));
        held.unwrap_or(Verdict::Send)
    }

    fn counts_rules(&self) -> bool {
        self.cap.is_some()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::{Subject, matchers_from};

    fn candidate(level: Level, told_of_rule: u32) -> Candidate {
        let json = format!(r#"{{"rule":"KW-002","level":"{level}","provider":"aws"}}"#);
        Candidate {
            receiver: "ops".to_owned(),
            kind: DeliveryKind::AlertOpened,
            subject: Subject::from_json(&json),
            group: None,
            summary: false,
            group_rests_until: None,
            told_of_rule,
        }
    }

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn noon() -> DateTime<Utc> {
        at("2026-11-27T12:10:00Z")
    }

    fn standing(matchers: &str, span: Span) -> Gatekeeper {
        let silence = StandingSilence {
            name: "backups".to_owned(),
            matchers: matchers_from(matchers).unwrap(),
            span,
            author: "ada".to_owned(),
            reason: "nightly".to_owned(),
        };
        Gatekeeper { silences: vec![silence], cap: None }
    }

    #[track_caller]
    fn check(gate: &Gatekeeper, candidate: &Candidate, want: &str) {
        let text = match gate.verdict(candidate, &[], noon()) {
            Verdict::Send => "sent".to_owned(),
            Verdict::Hold { until, .. } => format!("held until {}", stamp(until)),
            Verdict::Mute { until, silence, .. } => format!("muted by {silence} until {}", stamp(until)),
            Verdict::Summarise { until, .. } => format!("summed up at {}", stamp(until)),
        };
        assert_eq!(text, want);
    }

    #[test]
    fn a_silence_mutes_what_it_means_while_it_lasts() {
        let once = Span::Once { from: noon(), to: at("2026-11-27T14:00:00Z") };
        check(
            &standing("rule=KW-002", once.clone()),
            &candidate(Level::High, 0),
            "muted by backups until 2026-11-27T14:00:00Z",
        );
        check(&standing("rule=KW-003", once), &candidate(Level::High, 0), "sent");
        let over = Span::Once { from: at("2026-11-27T10:00:00Z"), to: noon() };
        check(&standing("rule=*", over), &candidate(Level::High, 0), "sent");
        let weekly = Span::Weekly(vec!["fri 12:00-13:00 UTC".parse().unwrap()]);
        check(
            &standing("level=high", weekly),
            &candidate(Level::High, 0),
            "muted by backups until 2026-11-27T13:00:00Z",
        );
    }

    #[test]
    fn too_many_of_a_rule_are_summed_up_and_critical_ones_never() {
        let gate = Gatekeeper { silences: vec![], cap: Some(Cap { per_hour: 5, below: Level::Critical }) };
        check(&gate, &candidate(Level::Warning, 4), "sent");
        check(&gate, &candidate(Level::Warning, 5), "summed up at 2026-11-27T13:00:00Z");
        check(&gate, &candidate(Level::Critical, 500), "sent");
        let low = Gatekeeper { cap: Some(Cap { per_hour: 5, below: Level::High }), ..gate.clone() };
        check(&low, &candidate(Level::High, 500), "sent");
        check(&gate, &Candidate { summary: true, ..candidate(Level::Warning, 9) }, "sent");
        check(&gate, &Candidate { kind: DeliveryKind::AlertEscalated, ..candidate(Level::High, 9) }, "sent");
    }

    #[test]
    fn a_group_that_was_told_rests() {
        let rests = Candidate {
            group: Some("rule=KW-002".to_owned()),
            group_rests_until: Some(at("2026-11-27T12:15:00Z")),
            ..candidate(Level::High, 0)
        };
        check(&Gatekeeper::default(), &rests, "held until 2026-11-27T12:15:00Z");
    }
}
