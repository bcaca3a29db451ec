//! Events and their followers, held to their promises.

use super::*;
use crate::rule::{Hit, MatcherId};
use proptest::prelude::*;

fn spec() -> Silence {
    let hit = || Hit {
        rule: "KW-133".into(),
        matcher: MatcherId(0),
        novel: None,
        through: None,
        group_by: Vec::new(),
    };
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

fn new(each_max: usize, lateness_secs: i64) -> Pairs<()> {
    Pairs::new(each_max, lateness_secs, true)
}

/// The store, with what `pairs` has to be kept.
fn keep(pairs: &mut Pairs<()>, store: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    for Learned { key, state } in pairs.take_learned("KW-133", |()| ()) {
        if state.is_empty() {
            assert!(store.remove(&key).is_some(), "the store is told to delete only what it has: {key}");
        } else {
            store.insert(key, state);
        }
    }
}

fn restart(pairs: &mut Pairs<()>, store: &mut std::collections::BTreeMap<String, Vec<u8>>) {
    keep(pairs, store);
    *pairs = new(pairs.each_max, pairs.lateness_secs);
    for (key, state) in store {
        pairs.restore("KW-133", &Learned { key: key.clone(), state: state.clone() }, |()| ());
    }
}

#[track_caller]
fn check(ops: &[Op], expect: &[(&str, i64)]) {
    let mut pairs = new(100, 30);
    play(&mut pairs, ops);
    let missing = pairs.tick(&spec(), 1_000_000);
    let missing: Vec<(&str, i64)> = missing.iter().map(|one| (&*one.key, one.time_secs)).collect();
    assert_eq!(missing, expect);
    assert_eq!(pairs.len(), 0, "nothing is kept of what is over");
    assert!(pairs.tick(&spec(), 1_000_000).is_empty(), "each is told once");
}

#[test]
fn what_is_followed_is_not_told_not_even_when_it_took_longer_than_is_waited() {
    check(&[Expect("a", 0), Follow("a", 60)], &[]);
    check(&[Follow("a", 60), Expect("a", 0)], &[]);
    check(&[Expect("a", 5), Follow("a", 5)], &[]);
    check(&[Expect("a", 0), Follow("a", 86_400)], &[]);
}

#[test]
fn what_is_followed_days_later_too_early_or_by_another_is_told() {
    check(&[Expect("a", 0), Follow("a", 86_401)], &[("a", 0)]);
    check(&[Follow("a", 4), Expect("a", 5)], &[("a", 5)]);
    check(&[Expect("a", 0), Follow("b", 1)], &[("a", 0)]);
}

#[test]
fn what_is_told_comes_in_order_of_time() {
    check(&[Expect("b", 9), Expect("c", 3), Expect("a", 9)], &[("c", 3), ("a", 9), ("b", 9)]);
}

#[test]
fn nothing_is_told_before_the_lateness_is_over() {
    let mut pairs = new(100, 30);
    play(&mut pairs, &[Expect("a", 0)]);
    assert!(pairs.tick(&spec(), 90).is_empty());
    assert_eq!(pairs.tick(&spec(), 91).len(), 1);
}

#[test]
fn what_comes_after_the_lateness_is_not_judged_and_counted() {
    let mut pairs = new(100, 30);
    pairs.tick(&spec(), 1_000);
    play(&mut pairs, &[Expect("a", 0), Follow("b", 5)]);
    assert_eq!((pairs.late(), pairs.len()), (2, 0));
    assert!(pairs.tick(&spec(), 2_000).is_empty());
}

#[test]
fn a_flood_of_events_is_bounded_and_those_that_waited_first_are_told() {
    let mut pairs = new(100, 30);
    for n in 0..10_000 {
        pairs.expect(&spec(), &n.to_string(), 5, ());
    }
    assert_eq!((pairs.len(), pairs.evicted()), (100, 9_900));
    let told = pairs.tick(&spec(), 1_000);
    assert!(told.len() == 100 && told.iter().any(|one| &*one.key == "0"), "{told:?}");
}

#[test]
fn those_that_were_followed_take_no_room_from_those_that_wait() {
    let mut pairs = new(100, 30);
    pairs.expect(&spec(), "waits", 0, ());
    for n in 1..10_000 {
        pairs.expect(&spec(), &n.to_string(), n / 20, ());
        pairs.follow(&spec(), &n.to_string(), n / 20);
    }
    assert_eq!((pairs.len(), pairs.evicted(), pairs.late()), (101, 0, 0));
    let told: Vec<Box<str>> = pairs.tick(&spec(), 1_000).into_iter().map(|one| one.key).collect();
    assert_eq!(told, ["waits".into()]);
}

#[test]
fn what_may_have_been_followed_by_one_that_was_let_go_is_not_judged() {
    let mut pairs = new(10, 30);
    for n in 0..100 {
        pairs.follow(&spec(), &n.to_string(), n);
    }
    play(&mut pairs, &[Expect("0", 0), Expect("another", 50), Expect("recent", 95)]);
    assert_eq!(pairs.late(), 2);
    assert_eq!(pairs.tick(&spec(), 1_000).len(), 1);
}

#[test]
fn state_that_cannot_be_read_is_ignored_and_counted() {
    let mut pairs = new(10, 30);
    for key in ["KW-133\u{1f}waits a", "KW-133\u{1f}followed a", "KW-133\u{1f}rhythm a", "KW-1\u{1f}waits a"]
    {
        pairs.restore("KW-133", &Learned { key: key.to_owned(), state: vec![9] }, |()| ());
    }
    assert_eq!((pairs.unreadable(), pairs.len()), (2, 0));
}

proptest! {
    #[test]
    fn what_is_told_is_a_function_of_the_events_whatever_their_order_and_however_often_it_starts_anew(
        (ops, shuffled) in prop::collection::vec(
            (any::<bool>(), prop::sample::select(vec!["a", "b", "c"]), 0..200_i64), 0..30,
        ).prop_flat_map(|ops| (Just(ops.clone()), Just(ops).prop_shuffle())),
        tick_at in 0..30_usize,
    ) {
        // Every event is within the lateness of every tick before the last.
        let told = |ops: &[(bool, &'static str, i64)], tick_at: usize| {
            let (mut pairs, mut store) = (new(100, 1_000), std::collections::BTreeMap::new());
            for (at, (expects, key, time)) in ops.iter().enumerate() {
                play(&mut pairs, &[if *expects { Expect(key, *time) } else { Follow(key, *time) }]);
                if at == tick_at {
                    assert!(pairs.tick(&spec(), 1_000).is_empty());
                    keep(&mut pairs, &mut store);
                }
            }
            let told = pairs.tick(&spec(), 10_000);
            keep(&mut pairs, &mut store);
            assert!(store.is_empty(), "nothing is stored of what is over: {store:?}");
            told
        };
        let naive = ops.iter().filter(|(expects, key, time)| {
            *expects && !ops.iter().any(|(other, k, t)| !*other && k == key && t >= time)
        });
        let (one, other) = (told(&ops, 99), told(&shuffled, tick_at));
        prop_assert_eq!(one.len(), naive.count());
        prop_assert_eq!(one, other);
    }

    #[test]
    fn a_restart_between_any_two_events_changes_nothing(
        times in prop::collection::vec((0..200_i64, 0..3_u8, any::<bool>()), 0..12), restart_at in 0..24_usize,
    ) {
        // As requests are: each key is of one event, and its follower comes before it, after it or never.
        const KEYS: [&str; 12] = ["a", "b", "c", "d", "e", "f", "g", "h", "i", "j", "k", "l"];
        let mut ops = Vec::new();
        for (key, (time, fate, is_first)) in KEYS.iter().zip(&times) {
            let both = [Expect(key, *time), Follow(key, *time + 1)];
            match (fate, is_first) {
                (0, _) => ops.extend(&both[..1]),
                (_, false) => ops.extend(both),
                (_, true) => ops.extend([both[1], both[0]]),
            }
        }
        let (mut pairs, mut store) = (new(100, 1_000), std::collections::BTreeMap::new());
        for (at, op) in ops.iter().enumerate() {
            if at == restart_at {
                restart(&mut pairs, &mut store);
            }
            play(&mut pairs, &[*op]);
            keep(&mut pairs, &mut store);
        }
        restart(&mut pairs, &mut store);
        let told = pairs.tick(&spec(), 10_000);
        prop_assert_eq!(told.len(), times.iter().filter(|(_, fate, _)| *fate == 0).count());
        keep(&mut pairs, &mut store);
        prop_assert!(store.is_empty());
    }
}
