//! From stored events to data points. Pure: the same events give the same data.

use chrono::{DateTime, Utc};
use keywatch_event::{Class, Level};
use keywatch_store::{CountedEvent, Uncounted};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};

/// Data points of one request. CloudWatch takes 1,000 of at most 1 MB together; ours are about
/// 200 bytes each.
pub const DATA_MAX: usize = 500;

/// Seconds an event may be old when it is stored and still count at that time. Providers deliver
/// within 15 minutes and an alarm looks at the present: older events count at their own time, so
/// that reading old logs raises nothing.
pub const FRESH_SECS: i64 = 1800;

/// Age beyond which CloudWatch takes no data point: two weeks, less an hour to send it.
pub const AGE_SECS_MAX: i64 = 14 * 86_400 - 3600;

/// The value of a dimension that has too many.
pub const OTHER: &str = "other";

/// One data point.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Datum {
    /// Name of the metric.
    pub metric: String,
    /// Its dimension, if it has one.
    pub dimension: Option<(String, String)>,
    /// The minute, as Unix time.
    pub at_secs: i64,
    /// The count, or the seconds.
    pub value: u64,
    /// Whether the value is seconds.
    pub is_seconds: bool,
}

/// A minute, a metric, and a dimension with its value.
type Series<'c> = (i64, &'c str, Option<(&'c str, &'c str)>);

/// The data points of what was counted, at most [`DATA_MAX`] per part.
///
/// `rules`: those that are told apart; others are [`OTHER`]. What is older than CloudWatch takes is
/// left out; the second value says how many accesses those were.
#[must_use]
pub fn data(counted: &Uncounted, rules: &BTreeSet<String>, now: DateTime<Utc>) -> (Vec<Vec<Datum>>, u64) {
    let mut sums: BTreeMap<Series<'_>, u64> = BTreeMap::new();
    let mut lags: BTreeMap<i64, u64> = BTreeMap::new();
    let mut too_old = 0;
    for event in &counted.events {
        let minute = minute_of(event);
        let lag = u64::try_from((event.received_at - event.at).num_seconds()).unwrap_or(0);
        let stored = event.received_at.timestamp() / 60 * 60;
        if now.timestamp() - stored <= AGE_SECS_MAX {
            lags.entry(stored).and_modify(|known| *known = lag.max(*known)).or_insert(lag);
        }
        if !is_access(event) {
            continue;
        }
        if now.timestamp() - minute > AGE_SECS_MAX {
            too_old += 1;
            continue;
        }
        let mut add = |dimension| *sums.entry((minute, "SecretAccessCount", dimension)).or_insert(0) += 1;
        add(None);
        add(Some(("Level", event.level.as_str())));
        let named: BTreeSet<&str> = event.rules.iter().map(|rule| known(rule, rules)).collect();
        for rule in named {
            add(Some(("Rule", rule)));
        }
    }
    if counted.rejects > 0 {
        sums.insert((now.timestamp() / 60 * 60, "RejectCount", None), counted.rejects);
    }
    let sum = |((at_secs, metric, dimension), value): (Series<'_>, u64)| Datum {
        metric: metric.to_owned(),
        dimension: dimension.map(|(name, of)| (name.to_owned(), of.to_owned())),
        at_secs,
        value,
        is_seconds: false,
    };
    let lag = |(at_secs, value)| Datum {
        metric: "IngestLag".to_owned(),
        dimension: None,
        at_secs,
        value,
        is_seconds: true,
    };
    let all: Vec<Datum> = sums.into_iter().map(sum).chain(lags.into_iter().map(lag)).collect();
    (all.chunks(DATA_MAX).map(<[Datum]>::to_vec).collect(), too_old)
}

fn known<'r>(rule: &'r str, rules: &BTreeSet<String>) -> &'r str {
    if rules.contains(rule) { rule } else { OTHER }
}

/// Somebody asked for the value of a secret, whether they got it or not, and no echo of that.
fn is_access(event: &CountedEvent) -> bool {
    matches!(event.class, Class::SecretRead | Class::SecretBatchRead) && !event.is_echo
}

/// The minute an event counts in.
fn minute_of(event: &CountedEvent) -> i64 {
    let is_fresh = (event.received_at - event.at).num_seconds() <= FRESH_SECS;
    let at = if is_fresh { event.received_at } else { event.at };
    at.timestamp() / 60 * 60
}

/// The levels there are, for documentation and tests.
pub const LEVELS: &[Level] = Level::ALL;

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: i64 = 1_800_000_000;

    fn event(at: i64, received: i64) -> CountedEvent {
        let time = |secs| DateTime::from_timestamp(secs, 0).unwrap();
        CountedEvent {
            at: time(at),
            received_at: time(received),
            class: Class::SecretRead,
            level: Level::Info,
            rules: vec!["KW-001".to_owned()],
            is_echo: false,
        }
    }

    fn said(events: Vec<CountedEvent>, rejects: u64) -> (Vec<String>, u64) {
        let counted = Uncounted { events, rejects, ..Uncounted::default() };
        let rules = BTreeSet::from(["KW-001".to_owned()]);
        let (parts, too_old) = data(&counted, &rules, DateTime::from_timestamp(NOW, 0).unwrap());
        let one = |datum: &Datum| {
            let dimension = datum.dimension.as_ref().map(|(_, of)| format!("[{of}]")).unwrap_or_default();
            format!("{}{dimension}@{}={}", datum.metric, datum.at_secs - NOW, datum.value)
        };
        (parts.iter().flatten().map(one).collect(), too_old)
    }

    #[test]
    fn an_access_counts_alone_by_level_and_by_rule() {
        let (said, _) = said(vec![event(NOW - 30, NOW), event(NOW - 40, NOW)], 3);
        assert_eq!(
            said,
            [
                "RejectCount@0=3",
                "SecretAccessCount@0=2",
                "SecretAccessCount[info]@0=2",
                "SecretAccessCount[KW-001]@0=2",
                "IngestLag@0=40",
            ]
        );
    }

    #[test]
    fn fresh_events_count_when_they_are_stored_and_old_ones_when_they_happened() {
        let counts = |at| said(vec![event(at, NOW)], 0).0[0].clone();
        assert_eq!(counts(NOW - FRESH_SECS), "SecretAccessCount@0=1");
        assert_eq!(counts(NOW - 86_400), "SecretAccessCount@-86400=1");
    }

    #[test]
    fn what_is_too_old_for_cloudwatch_is_left_out_and_told() {
        let (said, too_old) = said(vec![event(NOW - 15 * 86_400, NOW)], 0);
        assert_eq!((said.len(), too_old), (1, 1), "{said:?}");
    }

    #[test]
    fn rules_without_a_place_of_their_own_share_one() {
        let mut other = event(NOW, NOW);
        other.rules = vec!["MY-1".to_owned(), "MY-2".to_owned()];
        let (said, _) = said(vec![other], 0);
        assert!(said.contains(&"SecretAccessCount[other]@0=1".to_owned()), "{said:?}");
        assert!(!said.iter().any(|line| line.contains("MY-")), "{said:?}");
    }

    #[test]
    fn echoes_and_other_calls_are_no_accesses() {
        let echo = CountedEvent { is_echo: true, ..event(NOW, NOW) };
        let list = CountedEvent { class: Class::SecretList, ..event(NOW, NOW) };
        assert_eq!(said(vec![echo, list], 0).0, ["IngestLag@0=0"]);
    }

    #[test]
    fn a_request_holds_no_more_than_cloudwatch_takes() {
        let events = (0..400).map(|n| event(NOW - 86_400 - n * 60, NOW)).collect();
        let counted = Uncounted { events, ..Uncounted::default() };
        let (parts, _) = data(&counted, &BTreeSet::new(), DateTime::from_timestamp(NOW, 0).unwrap());
        assert_eq!(parts.iter().map(Vec::len).collect::<Vec<_>>(), [500, 500, 201]);
    }
}
