//! Rhythms and silences, held to their promises.

use super::*;
use crate::rule::{Hit, MatcherId};
use proptest::prelude::*;
use std::collections::BTreeMap;

fn spec() -> Silence {
    let hit = Hit {
        rule: "KW-133".into(),
        matcher: MatcherId(0),
        novel: None,
        through: None,
        group_by: Vec::new(),
    };
    Silence { hit, secs_min: 1800, times_p99: 6.0, gaps_min: 100, followed_by: None }
}

/// A stream with an event every `every` seconds, and the second of the last.
fn steady(count: i64, every: i64) -> (Rhythms, i64) {
    let mut rhythms = Rhythms::new(10);
    for n in 0..count {
        rhythms.observe(&spec(), "s", n * every);
    }
    (rhythms, (count - 1) * every)
}

#[test]
fn a_steady_stream_that_stops_is_told_once() {
    let (mut rhythms, last) = steady(200, 60);
    assert!(rhythms.tick(&spec(), last + 1800).is_empty());
    let silent = Silent { key: "s".to_owned(), last_secs: last, quiet_secs: 1801, limit_secs: 1800 };
    assert_eq!(rhythms.tick(&spec(), last + 1801), [silent]);
    assert!(rhythms.tick(&spec(), last + 9000).is_empty());
}

#[test]
fn a_slow_stream_is_given_six_times_its_own_gap() {
    let (mut rhythms, last) = steady(200, 1000);
    assert!(rhythms.tick(&spec(), last + 6000).is_empty());
    let silent = rhythms.tick(&spec(), last + 8000);
    assert_eq!(silent.len(), 1);
    assert!((6000..=7700).contains(&silent[0].limit_secs), "{}", silent[0].limit_secs);
}

#[test]
fn a_stream_that_showed_too_little_is_not_judged() {
    let (mut rhythms, last) = steady(100, 60);
    assert!(rhythms.tick(&spec(), last + 100_000).is_empty(), "99 gaps");
    rhythms.observe(&spec(), "s", last + 60);
    assert_eq!(rhythms.tick(&spec(), last + 100_000).len(), 1);
}

#[test]
fn bursts_with_long_pauses_are_no_steady_stream() {
    let mut rhythms = Rhythms::new(10);
    for day in 0..5 {
        for n in 0..300 {
            rhythms.observe(&spec(), "s", day * 86_400 + n);
        }
        assert!(rhythms.tick(&spec(), day * 86_400 + 80_000).is_empty(), "day {day}");
    }
}

#[test]
fn a_told_silence_ends_with_the_next_event_and_may_be_told_again() {
    let (mut rhythms, last) = steady(200, 60);
    rhythms.tick(&spec(), last + 4000);
    assert_eq!(
        rhythms.observe(&spec(), "s", last + 5000),
        Some(Resumed { last_secs: last, quiet_secs: 5000 })
    );
    assert_eq!(rhythms.observe(&spec(), "s", last + 5060), None);
    assert_eq!(rhythms.tick(&spec(), last + 5060 + 1801).len(), 1);
}

#[test]
fn a_late_event_ends_no_silence() {
    let (mut rhythms, last) = steady(200, 60);
    rhythms.tick(&spec(), last + 4000);
    assert_eq!(rhythms.observe(&spec(), "s", last - 30), None);
    assert!(rhythms.tick(&spec(), last + 5000).is_empty());
}

#[test]
fn a_long_outage_does_not_make_the_stream_tolerant() {
    let (mut rhythms, mut last) = steady(200, 60);
    for _ in 0..2 {
        last += 500_000;
        rhythms.observe(&spec(), "s", last);
    }
    let silent = rhythms.tick(&spec(), last + 20_000);
    assert_eq!(silent.len(), 1);
    assert!(silent[0].limit_secs < 20_000);
}

#[test]
fn a_stream_that_becomes_slower_is_learned() {
    let (mut rhythms, mut last) = steady(200, 60);
    let mut told = 0;
    for _ in 0..300 {
        told += rhythms.tick(&spec(), last + 3599).len();
        last += 3600;
        rhythms.observe(&spec(), "s", last);
    }
    assert!(told < 20, "told {told} times");
}

#[test]
fn invented_streams_push_out_each_other_and_not_a_steady_one() {
    let (mut rhythms, last) = steady(200, 60);
    for n in 0..10_000 {
        rhythms.observe(&spec(), &format!("invented {n}"), last + 60);
    }
    assert!(rhythms.len() <= 10);
    assert_eq!(rhythms.evicted(), 10_001 - rhythms.len() as u64);
    assert_eq!(rhythms.tick(&spec(), last + 4000).len(), 1);
}

proptest! {
    #[test]
    fn a_restart_anywhere_changes_nothing(
        steps in prop::collection::vec((0..3_u8, -20_i64..200, prop::bool::weighted(0.1)), 1..200),
        every in 1..20_usize,
    ) {
        let spec = Silence { secs_min: 90, gaps_min: 5, times_p99: 2.0, ..spec() };
        let (mut plain, mut restarted) = (Rhythms::new(2), Rhythms::new(2));
        let (mut store, mut now) = (BTreeMap::new(), 1_700_000_000);
        for (at, (key, secs, tick)) in steps.iter().enumerate() {
            now += secs;
            let key = key.to_string();
            if *tick {
                prop_assert_eq!(plain.tick(&spec, now + 300), restarted.tick(&spec, now + 300));
            } else {
                prop_assert_eq!(plain.observe(&spec, &key, now), restarted.observe(&spec, &key, now));
            }
            if at % every == 0 {
                for one in restarted.take_learned("R") {
                    store.insert(one.key, one.state);
                }
                store.retain(|_, state| !state.is_empty());
                restarted = Rhythms::new(2);
                for (key, state) in &store {
                    restarted.restore("R", &Learned { key: key.clone(), state: state.clone() });
                }
                prop_assert_eq!((restarted.len(), restarted.unreadable()), (plain.len(), 0));
            }
        }
    }
}
