//! The same events in another order, more than once, or in other files are the same alerts.

use crate::attacks::{all, begins};
use crate::benign;
use crate::scan::{Alert, Replay, is, scan, scan_files, write};
use crate::scenario::{Log, MINUTE, Random};
use crate::score::Score;
use std::collections::{BTreeMap, BTreeSet};

/// Rules whose alerts are a function of the set of events. All others compare with a past that is
/// learned in the order of arrival: for those the attacks found stay the same.
const WINDOWED: &[&str] = &[
    "KW-003", "KW-004", "KW-005", "KW-101", "KW-104", "KW-105", "KW-106", "KW-107", "KW-109", "KW-110",
    "KW-111", "KW-116", "KW-122", "KW-123", "KW-124", "KW-125", "KW-126", "KW-128", "KW-129", "KW-132",
    "KW-139", "KW-141",
];

/// A record may come this much later than it happened.
const LATENESS: i64 = 15 * MINUTE;

fn scenario() -> Log {
    let mut log = Log::new();
    for (_, habit) in
        benign::HABITS.iter().filter(|(name, _)| ["rotation", "logins", "people"].contains(name))
    {
        habit(&mut log);
    }
    for (n, attack) in all().iter().enumerate() {
        attack.stage(&mut log, begins(n));
    }
    log.in_order()
}

/// Alert id → level, count and evidence.
type Said = BTreeMap<String, (String, String, u64, BTreeSet<String>)>;

fn said(replay: &Replay, wanted: impl Fn(&Alert) -> bool) -> Said {
    let evidence = |alert: &Alert| alert.evidence.iter().map(|evidence| evidence.event.clone()).collect();
    let entry = |alert: &Alert| {
        (alert.id.clone(), (alert.rule.clone(), alert.level.clone(), alert.events, evidence(alert)))
    };
    replay.alerts.iter().filter(|alert| wanted(alert)).map(entry).collect()
}

fn windowed(replay: &Replay) -> Said {
    said(replay, |alert| WINDOWED.iter().any(|rule| is(&alert.rule, rule)))
}

fn found(log: &Log, replay: &Replay) -> BTreeSet<String> {
    let score = Score::of(log, replay);
    score.attacks.into_iter().filter(|(_, found)| !found.alerts.is_empty()).map(|(name, _)| name).collect()
}

/// What stands in one and not in the other, for the message.
fn difference(one: &Said, other: &Said) -> String {
    let lacks = |from: &Said, to: &Said| -> Vec<String> {
        from.iter()
            .filter(|(id, what)| to.get(*id) != Some(what))
            .map(|(id, (rule, level, events, _))| format!("\n    {rule} {level} {events} event(s) {id}"))
            .collect()
    };
    format!("\n  only before: {}\n  only after: {}", lacks(one, other).concat(), lacks(other, one).concat())
}

#[test]
fn the_order_of_arrival_changes_no_alert_of_a_window_and_no_attack_found() {
    let log = scenario();
    let in_order = scan(&log);
    let seed = 4711;
    let mut random = Random::new(seed);
    let mut late: Vec<(i64, usize)> =
        (0..).zip(&log.records).map(|(n, record)| (record.at + random.secs(LATENESS), n)).collect();
    late.sort_unstable();
    let shuffled = Log::of(late.iter().filter_map(|(_, n)| log.records.get(*n).cloned()).collect());
    let replay = scan(&shuffled);
    let (before, after) = (windowed(&in_order), windowed(&replay));
    assert!(before == after, "seed {seed}:{}", difference(&before, &after));
    let (before, after) = (found(&log, &in_order), found(&shuffled, &replay));
    let lost: Vec<&String> = before.symmetric_difference(&after).collect();
    assert!(lost.is_empty(), "seed {seed}: found in one order and not in the other: {lost:?}");
}

#[test]
fn records_that_come_twice_change_no_alert() {
    let log = scenario();
    let mut random = Random::new(99);
    let mut twice: Vec<(i64, usize)> = Vec::new();
    for (n, record) in (0..).zip(&log.records) {
        twice.push((record.at, n));
        if random.below(3) == 0 {
            twice.push((record.at + random.secs(LATENESS), n));
        }
    }
    // Stable: the copy never comes before the original.
    twice.sort_by_key(|(at, _)| *at);
    let doubled = Log::of(twice.iter().filter_map(|(_, n)| log.records.get(*n).cloned()).collect());
    let (before, after) = (said(&scan(&log), |_| true), said(&scan(&doubled), |_| true));
    assert!(before == after, "{}", difference(&before, &after));
}

#[test]
fn files_cut_anywhere_change_no_alert() {
    let log = scenario();
    let before = said(&scan(&log), |_| true);
    let every = 997;
    let folder = tempfile::tempdir().expect("a folder");
    let files: Vec<_> = (0..)
        .zip(log.records.chunks(every))
        .map(|(n, part)| {
            write(folder.path(), &format!("{n:04}.jsonl"), part.iter().map(|record| record.json.to_string()))
        })
        .collect();
    let after = said(&scan_files(&files, &[]), |_| true);
    assert!(before == after, "cut at every {every}th record:{}", difference(&before, &after));
}
