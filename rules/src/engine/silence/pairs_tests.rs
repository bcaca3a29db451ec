//! Events and their followers, held to their promises.

use super::*;
use crate::rule::{Hit, MatcherId};
use proptest::prelude::*;

fn spec() -> Silence {
    let hit = || Hit { rule: "KW-133".into(), matcher: MatcherId(0), novel: None, group_by: Vec::new() };
    Silence { hit: hit(), secs_min: 60, times_p99: 0.0, gaps_min: 0, followed_by: Some(hit()) }
}

#[derive(Clone, Copy, Debug)]
enum Op {
    Expect(&'static str, i64),
    Follow(&'static str, i64),
}
use Op::{Expect, Follow};

fn play(pairs: &mut Pairs<()>, ops: &[Op]) {
    for op in ops {
        match op {
            Expect(key, at) => pairs.expect(&spec(), key, *at, ()),
            Follow(key, at) => pairs.follow(&spec(), key, *at),
        }
    }
}

#[track_caller]
fn check(ops: &[Op], expect: &[(&str, i64)]) {
    let mut pairs = Pairs::new(100, 30);
    play(&mut pairs, ops);
    let missing = pairs.tick(&spec(), 10_000);
    let missing: Vec<(&str, i64)> = missing.iter().map(|one| (&*one.key, one.time_secs)).collect();
    assert_eq!(missing, expect);
    assert_eq!(pairs.len(), 0, "nothing is kept of what is over");
    assert!(pairs.tick(&spec(), 10_000).is_empty(), "each is told once");
}

#[test]
fn what_is_followed_in_time_is_not_told() {
    check(&[Expect("a", 0), Follow("a", 60)], &[]);
    check(&[Follow("a", 60), Expect("a", 0)], &[]);
    check(&[Expect("a", 5), Follow("a", 5)], &[]);
}

#[test]
fn what_is_followed_too_late_too_early_or_by_another_is_told() {
    check(&[Expect("a", 0), Follow("a", 61)], &[("a", 0)]);
    check(&[Follow("a", 4), Expect("a", 5)], &[("a", 5)]);
    check(&[Expect("a", 0), Follow("b", 1)], &[("a", 0)]);
}

#[test]
fn what_is_told_comes_in_order_of_time() {
    check(&[Expect("b", 9), Expect("c", 3), Expect("a", 9)], &[("c", 3), ("a", 9), ("b", 9)]);
}

#[test]
fn nothing_is_told_before_the_lateness_is_over() {
    let mut pairs = Pairs::new(100, 30);
    play(&mut pairs, &[Expect("a", 0)]);
    assert!(pairs.tick(&spec(), 90).is_empty());
    assert_eq!(pairs.tick(&spec(), 91).len(), 1);
}

#[test]
fn what_comes_after_the_lateness_is_not_judged_and_counted() {
    let mut pairs = Pairs::new(100, 30);
    pairs.tick(&spec(), 1_000);
    play(&mut pairs, &[Expect("a", 0), Follow("b", 5)]);
    assert_eq!((pairs.late(), pairs.len()), (2, 0));
    assert!(pairs.tick(&spec(), 2_000).is_empty());
}

#[test]
fn a_flood_of_keys_is_bounded_and_counted() {
    let mut pairs = Pairs::new(100, 30);
    for n in 0..10_000 {
        pairs.expect(&spec(), &n.to_string(), 5, ());
    }
    assert_eq!((pairs.len(), pairs.evicted()), (100, 9_900));
    for at in 0..1_000 {
        pairs.expect(&spec(), "one", at, ());
        pairs.follow(&spec(), "two", at);
    }
    assert!(pairs.due.len() <= 100 * 2 * PER_KEY_MAX, "{}", pairs.due.len());
}

proptest! {
    #[test]
    fn what_is_told_is_a_function_of_the_events(
        (ops, shuffled) in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec!["a", "b", "c"]), 0..200_i64), 0..30,
        ).prop_flat_map(|ops| (Just(ops.clone()), Just(ops).prop_shuffle())),
        tick_at in 0..30_usize,
    ) {
        // Every event is within the lateness of every tick before the last.
        let told = |ops: &[(bool, &'static str, i64)], tick_at: usize| {
            let mut pairs = Pairs::new(100, 1_000);
            for (at, (expects, key, time)) in ops.iter().enumerate() {
                play(&mut pairs, &[if *expects { Expect(key, *time) } else { Follow(key, *time) }]);
                if at == tick_at {
                    assert!(pairs.tick(&spec(), 1_000).is_empty());
                }
            }
            pairs.tick(&spec(), 10_000)
        };
        let naive = ops.iter().filter(|(expects, key, time)| {
            *expects && !ops.iter().any(|(other, k, t)| !*other && k == key && (0..=60).contains(&(t - time)))
        });
        let (one, other) = (told(&ops, 99), told(&shuffled, tick_at));
        prop_assert_eq!(one.len(), naive.count());
        prop_assert_eq!(one, other);
    }
}
