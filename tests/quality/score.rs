//! How good detection is, in event time.
//!
//! An attack is *found* when an alert of level warning or above opened at or after its first event
//! and cites one of its events; an alert that benign events opened and an attack merely extended
//! does not count. Alerts on approved work are counted apart, so that nobody tunes them away.

use crate::scan::{Alert, Replay};
use crate::scenario::{DAY, Label, Log, since_start};
use std::collections::BTreeMap;
use std::fmt;

/// Baselines learn for a week.
const LEARNING: i64 = 7 * DAY;

/// An attack and what was said about it.
#[derive(Debug, Default)]
pub(crate) struct Found {
    /// Rule and level of each alert that opened on it, in order of opening.
    pub(crate) alerts: Vec<(String, u8)>,
    /// Seconds from the first event to the first alert.
    pub(crate) after_secs: Option<i64>,
    first_at: i64,
}

impl Found {
    /// The highest level, 0 when nothing was found.
    pub(crate) fn level(&self) -> u8 {
        self.alerts.iter().map(|(_, level)| *level).max().unwrap_or(0)
    }
}

/// The figures of one replay.
#[derive(Debug, Default)]
pub(crate) struct Score {
    pub(crate) attacks: BTreeMap<String, Found>,
    pub(crate) alerts: usize,
    /// Alerts that cite an event of an attack.
    pub(crate) malicious: usize,
    /// Alerts that cite approved work, and no attack.
    pub(crate) approved: usize,
    /// Alerts about everyday work of the first week, in which all is new; told of as learning.
    pub(crate) learning: Vec<Alert>,
    /// Alerts about everyday work after that.
    pub(crate) false_alarms: Vec<Alert>,
    pub(crate) benign_events: usize,
}

impl Score {
    /// Scores what a scan of `log` said, in the order of `log`.
    pub(crate) fn of(log: &Log, replay: &Replay) -> Self {
        let mut score = Self::default();
        for record in &log.records {
            match &record.label {
                Label::Attack(name) => {
                    let found = score
                        .attacks
                        .entry(name.clone())
                        .or_insert_with(|| Found { first_at: record.at, ..Found::default() });
                    found.first_at = found.first_at.min(record.at);
                }
                Label::Benign | Label::Approved => score.benign_events += 1,
            }
        }
        for alert in replay.alerts.iter().filter(|alert| alert.rank() >= 2) {
            score.count(log, alert);
        }
        score
    }

    fn count(&mut self, log: &Log, alert: &Alert) {
        self.alerts += 1;
        let labels: Vec<&Label> =
            alert.lines().filter_map(|line| log.records.get(line)).map(|record| &record.label).collect();
        let opened = since_start(&alert.opened_at).unwrap_or(i64::MIN);
        let mut names: Vec<&String> = Vec::new();
        for label in &labels {
            if let Label::Attack(name) = label
                && !names.contains(&name)
            {
                names.push(name);
            }
        }
        for name in &names {
            let Some(found) = self.attacks.get_mut(*name) else { continue };
            if opened >= found.first_at {
                found.alerts.push((alert.rule.clone(), alert.rank()));
                let after = opened - found.first_at;
                found.after_secs = Some(found.after_secs.map_or(after, |known| known.min(after)));
            }
        }
        if !names.is_empty() {
            self.malicious += 1;
        } else if labels.contains(&&Label::Approved) {
            self.approved += 1;
        } else if opened < LEARNING {
            self.learning.push(alert.clone());
        } else {
            self.false_alarms.push(alert.clone());
        }
    }

    /// The share of attacks found at `level` or above.
    pub(crate) fn recall(&self, level: u8) -> f64 {
        let found = self.attacks.values().filter(|found| found.level() >= level).count();
        share(found, self.attacks.len())
    }

    /// The share of alerts that cite an attack; approved work and the first week left out.
    pub(crate) fn precision(&self) -> f64 {
        share(self.malicious, self.malicious + self.false_alarms.len())
    }

    /// Alerts about everyday work in ten thousand of its events.
    pub(crate) fn false_alarms_per_10_000(&self) -> f64 {
        share(self.false_alarms.len(), self.benign_events) * 10_000.0
    }

    /// Alerts per attack found.
    pub(crate) fn alerts_per_attack(&self) -> f64 {
        let found = self.attacks.values().filter(|found| !found.alerts.is_empty()).count();
        share(self.attacks.values().map(|found| found.alerts.len()).sum(), found)
    }

    /// Seconds from the first event to the first alert: the middle attack.
    pub(crate) fn median_secs(&self) -> i64 {
        let mut times: Vec<i64> = self.attacks.values().filter_map(|found| found.after_secs).collect();
        times.sort_unstable();
        times.get(times.len() / 2).copied().unwrap_or(0)
    }

    /// Attacks nothing was said about.
    pub(crate) fn missed(&self) -> Vec<&str> {
        let silent = |(name, found): (&'_ String, &Found)| found.alerts.is_empty().then(|| name.clone());
        let missed: Vec<String> = self.attacks.iter().filter_map(silent).collect();
        self.attacks.keys().filter(|name| missed.contains(name)).map(String::as_str).collect()
    }
}

fn share(part: usize, whole: usize) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    let exact = |count: usize| f64::from(u32::try_from(count).unwrap_or(u32::MAX));
    exact(part) / exact(whole)
}

impl fmt::Display for Score {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (name, found) in &self.attacks {
            let said: Vec<String> =
                found.alerts.iter().map(|(rule, level)| format!("{rule}/{level}")).collect();
            let after = found.after_secs.map_or_else(|| "never".to_owned(), |secs| format!("{secs} s"));
            writeln!(out, "  {name:<52} {after:>9}  {}", said.join(" "))?;
        }
        for alert in &self.false_alarms {
            writeln!(out, "  false alarm: {} {} {} {}", alert.rule, alert.level, alert.opened_at, alert.why)?;
        }
        writeln!(
            out,
            "  attacks {} of {} found ({:.1} %), {:.1} % at high or critical",
            self.attacks.len() - self.missed().len(),
            self.attacks.len(),
            100.0 * self.recall(2),
            100.0 * self.recall(3)
        )?;
        writeln!(
            out,
            "  alerts {}: {} on attacks, {} on approved work, {} while learning, {} false; precision {:.3}",
            self.alerts,
            self.malicious,
            self.approved,
            self.learning.len(),
            self.false_alarms.len(),
            self.precision()
        )?;
        writeln!(
            out,
            "  {:.2} false alarms in 10,000 benign events; {:.2} alerts per attack; {} s to detect (median)",
            self.false_alarms_per_10_000(),
            self.alerts_per_attack(),
            self.median_secs()
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::scan::Evidence;
    use crate::scenario::{Provider, Who};

    /// An alert that opened `at` and cites these lines, from 1.
    fn alert(at: &str, lines: &[usize]) -> Alert {
        let evidence =
            |line: &usize| Evidence { event: line.to_string(), place: Some(format!("a.jsonl:{line}")) };
        Alert {
            id: at.to_owned(),
            rule: "KW-005".to_owned(),
            level: "critical".to_owned(),
            opened_at: at.to_owned(),
            events: 1,
            evidence: lines.iter().map(evidence).collect(),
            why: serde_json::Value::Null,
        }
    }

    /// Three records: benign at 0 s, an attack at 60 s, approved work at 120 s.
    fn log() -> Log {
        let mut log = Log::new();
        let who = Who::workload("a");
        log.read(Provider::Gcp, &who, 0, "s");
        log.attack("theft", |log| log.read(Provider::Gcp, &who, 60, "s"));
        log.approved(|log| log.delete(Provider::Gcp, &who, 120, "s"));
        log
    }

    fn score(alerts: Vec<Alert>) -> Score {
        Score::of(&log(), &Replay { alerts, summary: String::new() })
    }

    #[test]
    fn an_alert_that_opens_on_the_attack_finds_it() {
        let score = score(vec![alert("2025-03-03T00:01:30Z", &[2])]);
        assert_eq!(score.attacks["theft"].after_secs, Some(30));
        assert!(score.recall(4) > 0.99 && score.precision() > 0.99 && score.missed().is_empty());
    }

    #[test]
    fn an_alert_that_benign_events_opened_does_not_find_the_attack_that_extends_it() {
        let score = score(vec![alert("2025-03-03T00:00:00Z", &[1, 2])]);
        assert_eq!(score.missed(), ["theft"]);
        assert_eq!((score.alerts, score.malicious), (1, 1));
    }

    #[test]
    fn approved_work_is_counted_apart_and_everyday_work_as_false() {
        let score = score(vec![alert("2025-03-03T00:02:00Z", &[3]), alert("2025-03-13T00:00:00Z", &[1])]);
        assert_eq!((score.approved, score.false_alarms.len(), score.malicious), (1, 1, 0));
        assert!(score.precision() < 0.01);
    }

    #[test]
    fn the_first_week_is_counted_apart() {
        let score = score(vec![alert("2025-03-04T00:00:00Z", &[1])]);
        assert_eq!((score.learning.len(), score.false_alarms.len()), (1, 0));
    }
}
