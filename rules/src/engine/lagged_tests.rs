//! Learned thresholds, held to their promises.

use super::*;
use proptest::prelude::*;

/// As many bytes as no test fills.
const MUCH: usize = 1 << 20;
/// Bytes of a group with one day.
const SINGLE: usize = GROUP_BYTES + 2 * size_of::<Day>();

fn highest() -> Lagged {
    Lagged {
        by: LaggedBy::Highest { factor: 1.5, plus: 1.0 },
        days: 14,
        days_min: 3,
        growth_weekly_max: 1.5,
        silent: false,
    }
}

fn spread() -> Lagged {
    Lagged {
        by: LaggedBy::Spread { times: 6.0 },
        days: 14,
        days_min: 7,
        growth_weekly_max: 1.5,
        silent: false,
    }
}

fn seen(value: f64, alerted: bool) -> Measured {
    Measured { value, alerted }
}

#[track_caller]
fn check(spec: &Lagged, days: &[(i32, f64, bool)], day: i32, expect: (f64, Option<&str>)) {
    let mut lag = Lag::new(MUCH);
    for (day, value, alerted) in days {
        lag.observe(spec, "g", *day, seen(*value, *alerted));
    }
    let (bound, words) = lag.bound(spec, "g", day, 10.0);
    assert_eq!((bound, words.as_deref()), expect);
}

#[test]
fn the_highest_of_previous_days_lifts_the_bound() {
    let days = [(1, 8.0, false), (2, 12.0, false), (3, 4.0, false)];
    check(&highest(), &days, 4, (19.0, Some("highest of 3 previous days: 12")));
}

#[test]
fn too_few_days_leave_the_fixed_bound() {
    check(&highest(), &[(1, 50.0, false), (2, 50.0, false)], 3, (10.0, None));
}

#[test]
fn a_low_past_never_lowers_the_bound() {
    let days = [(1, 1.0, false), (2, 1.0, false), (3, 1.0, false)];
    check(&highest(), &days, 4, (10.0, Some("highest of 3 previous days: 1")));
}

#[test]
fn the_running_day_teaches_nothing() {
    let days = [(1, 8.0, false), (2, 8.0, false), (3, 8.0, false), (4, 500.0, false)];
    check(&highest(), &days, 4, (13.0, Some("highest of 3 previous days: 8")));
}

#[test]
fn a_day_that_alerted_teaches_nothing_though_it_began_quietly() {
    let days = [(1, 8.0, false), (2, 8.0, false), (3, 8.0, false), (4, 9.0, false), (4, 500.0, true)];
    check(&highest(), &days, 5, (13.0, Some("highest of 3 previous days: 8")));
}

#[test]
fn days_too_long_ago_count_no_more() {
    let days = [(1, 90.0, false), (2, 8.0, false), (3, 8.0, false), (4, 8.0, false)];
    check(&highest(), &days, 15, (136.0, Some("highest of 4 previous days: 90")));
    check(&highest(), &days, 16, (13.0, Some("highest of 3 previous days: 8")));
}

#[test]
fn the_spread_of_daily_highs_makes_a_bound() {
    let days: Vec<(i32, f64, bool)> =
        (1..=7).zip([10.0, 12.0, 11.0, 13.0, 9.0, 11.0, 30.0]).map(|(d, v)| (d, v, false)).collect();
    check(&spread(), &days, 8, (17.0, Some("median of 7 previous days: 11, median deviation 1")));
}

#[test]
fn a_climb_of_ten_percent_a_day_is_caught() {
    let spec = highest();
    let mut lag = Lag::new(MUCH);
    let mut value: f64 = 8.0;
    let mut caught = None;
    for day in 1..60 {
        let (bound, _) = lag.bound(&spec, "g", day, 10.0);
        let alerted = value >= bound;
        if alerted && caught.is_none() {
            caught = Some((day, value));
        }
        lag.observe(&spec, "g", day, seen(value, alerted));
        value *= 1.1;
    }
    let (day, value) = caught.expect("a climb without end must be caught");
    assert!(day < 25 && value < 80.0, "caught on day {day} at {value}");
}

#[test]
fn the_bound_never_grows_faster_than_allowed() {
    let spec = highest();
    let mut lag = Lag::new(MUCH);
    let mut bounds = Vec::new();
    for day in 1..80 {
        let (bound, words) = lag.bound(&spec, "g", day, 0.0);
        bounds.push(words.map(|_| bound));
        lag.observe(&spec, "g", day, seen(bound.max(5.0) - 0.5, false));
    }
    for (before, after) in bounds.iter().zip(bounds.iter().skip(7)) {
        if let (Some(before), Some(after)) = (before, after) {
            assert!(*after <= before * 1.5 + 1e-9, "{before} became {after}");
        }
    }
}

#[test]
fn groups_are_bounded_and_invented_ones_go_first() {
    let mut lag = Lag::new(100 * SINGLE);
    for day in 1..=10 {
        lag.observe(&highest(), "old", day, seen(5.0, false));
    }
    for n in 0..10_000 {
        lag.observe(&highest(), &*format!("invented {n}"), 10, seen(1.0, false));
    }
    assert!(lag.len() <= 100 && lag.bytes() <= 100 * SINGLE, "{} in {}", lag.len(), lag.bytes());
    assert_eq!(lag.evicted(), 10_001 - lag.len() as u64);
    assert!(lag.bound(&highest(), "old", 11, 1.0).1.is_some());
}

#[test]
fn a_flood_that_lasts_for_days_pushes_out_no_group_of_a_week_and_one_long_gone_goes_first() {
    let mut lag = Lag::new(300 * SINGLE);
    for day in 1..=10 {
        lag.observe(&highest(), "gone", day, seen(5.0, false));
        lag.observe(&highest(), "weekly", day, seen(5.0, false));
    }
    for day in [17, 18, 19] {
        for n in 0..250 {
            lag.observe(&highest(), &*format!("invented {n}"), day, seen(1.0, false));
        }
    }
    assert!(lag.bound(&highest(), "weekly", 20, 1.0).1.is_some());
    lag.observe(&highest(), "weekly", 60, seen(5.0, false));
    for n in 0..2_000 {
        lag.observe(&highest(), &*format!("later {n}"), 60, seen(1.0, false));
    }
    assert!(lag.groups.contains("weekly") && !lag.groups.contains("gone"));
}

#[test]
fn an_evicted_group_leaves_the_store_and_foreign_state_is_ignored() {
    let mut lag = Lag::new(SINGLE);
    lag.observe(&highest(), "a", 1, seen(5.0, false));
    assert_eq!(lag.take_learned("R").len(), 1);
    lag.observe(&highest(), "b", 2, seen(5.0, false));
    let taken = lag.take_learned("R");
    let keys: Vec<(&str, bool)> = taken.iter().map(|one| (&*one.key, one.state.is_empty())).collect();
    assert_eq!(keys, [("R\u{1f}lagged a", true), ("R\u{1f}lagged b", false)]);
    lag.restore("R", &Learned { key: "R\u{1f}lagged c".into(), state: vec![9, 9] });
    lag.restore("R", &Learned { key: "R b".into(), state: vec![9, 9] });
    assert_eq!((lag.unreadable(), lag.len()), (1, 1));
}

proptest! {
    #[test]
    fn a_restart_anywhere_changes_no_bound(
        steps in prop::collection::vec((0..4_u8, 1..40_i32, 0..100_u32, prop::bool::weighted(0.1)), 1..120),
        every in 1..20_usize,
    ) {
        let (mut plain, mut restarted) = (Lag::new(4 * SINGLE), Lag::new(4 * SINGLE));
        let mut store = std::collections::BTreeMap::new();
        for (at, (group, day, value, alerted)) in steps.iter().enumerate() {
            let group = group.to_string();
            let seen = seen(f64::from(*value), *alerted);
            plain.observe(&highest(), &*group, *day, seen);
            restarted.observe(&highest(), &*group, *day, seen);
            if at % every == 0 {
                for learned in restarted.take_learned("R") {
                    if learned.state.is_empty() {
                        store.remove(&learned.key);
                    } else {
                        store.insert(learned.key, learned.state);
                    }
                }
                restarted = Lag::new(4 * SINGLE);
                for (key, state) in &store {
                    restarted.restore("R", &Learned { key: key.clone(), state: state.clone() });
                }
            }
            for group in ["0", "1", "2", "3"] {
                prop_assert_eq!(
                    plain.bound(&highest(), group, day + 1, 10.0),
                    restarted.bound(&highest(), group, day + 1, 10.0)
                );
            }
        }
    }
}
