//! Memory, floods and what is written.

use super::*;

/// Bytes of somebody with one part, a short name and at most two values, as the limit counts them.
fn each(spec: &Baseline) -> usize {
    let mut known = Known::new(MUCH);
    see(&mut known, spec, &text("invented-1", "v", 0));
    known.0.bytes()
}

/// How often room was made while `step` was taken so many times.
fn times_made(known: &mut Known, steps: i64, mut step: impl FnMut(&mut Known, i64)) -> usize {
    let made = (0..steps).filter(|n| {
        let before = known.0.evicted();
        step(known, *n);
        known.0.evicted() > before
    });
    made.count()
}

#[test]
fn hundred_thousand_principals_with_two_networks_take_at_most_400_bytes_each() {
    let (mut known, spec) = (Known::new(MUCH), values_as_networks());
    let name = |n: i64| format!("arn:aws:iam::111122223333:role/service-{n:06}");
    for n in 0..100_000 {
        see(&mut known, &spec, &from(&name(n), "192.0.2.1", n));
        see(&mut known, &spec, &from(&name(n), "198.51.100.1", n));
    }
    known.take_learned();
    let has_both = |n: &i64| known.peer(&name(*n)).is_some_and(|peer| peer.values() == 2);
    assert_eq!((0..100_000).filter(has_both).count(), 100_000, "each has two networks");
    let (held, counted) = (known.0.ledger.held_bytes() / 100_000, known.0.bytes() / 100_000);
    assert!(held > 150 && held <= counted, "{held} bytes each, counted as {counted}");
    // What the limit counts allows for a table that has just grown and is half full.
    assert!(counted <= 400, "counted as {counted}");
}

#[test]
fn a_flood_of_invented_names_pushes_out_no_settled_one_and_none_that_raised() {
    let spec = networks();
    let limit = 2_000 * each(&spec);
    let mut known = Known::new(limit);
    for n in 0..30 {
        for who in 0..1_000 {
            see(&mut known, &spec, &from(&format!("role-{who}"), "192.0.2.1", n * 8 * HOUR + who));
        }
    }
    assert_eq!(known.settled(), 1_000);
    let flood = 10 * DAY;
    see(&mut known, &spec, &from("held", "192.0.2.1", flood));
    known.hold("held", (flood, flood + DAY));
    see(&mut known, &spec, &from("again", "192.0.2.1", flood));
    see(&mut known, &spec, &from("again", "192.0.2.1", flood + 1));
    for n in 0..100_000_i64 {
        see(&mut known, &spec, &from(&format!("invented-{n}"), "203.0.113.1", flood + n / 5));
        assert!(known.0.bytes() <= limit);
    }
    assert!(known.0.evicted() > 95_000, "{} evicted", known.0.evicted());
    for who in (0..1_000).map(|who| format!("role-{who}")).chain(["held".into(), "again".into()]) {
        let sight = from(&who, "192.0.2.1", flood + DAY);
        assert_eq!(judged(&known, &spec, &sight), KNOWN, "{who}");
    }
    assert!(known.take_learned().len() <= known.0.len() + 1, "what waits to be written is bounded");
}

#[test]
fn a_flood_that_raises_about_everybody_is_let_go_as_cheaply_and_pushes_out_nobody_seen_before() {
    let spec = values();
    let mut known = Known::new(2_000 * (each(&spec) + 100));
    see(&mut known, &spec, &text("young", "v", 0));
    see(&mut known, &spec, &text("young", "w", 60));
    let made = times_made(&mut known, 50_000, |known, n| {
        let (name, now) = (format!("invented-{n}"), 100 + n / 100);
        see(known, &spec, &text(&name, "v", now));
        known.hold(&name, (now, now + DAY));
    });
    // A twentieth of two thousand places each time.
    assert!((1..700).contains(&made), "room was made {made} times");
    assert_eq!(judged(&known, &spec, &text("young", "v", 700)), KNOWN);
}

#[test]
fn the_settled_are_bounded_and_the_longest_unseen_goes() {
    let spec = values();
    let mut known = Known::new(100 * each(&spec));
    for who in 0..300 {
        for day in 0..2 {
            see(&mut known, &spec, &text(&format!("{who}"), "v", who * 10 * DAY + day * DAY));
        }
    }
    assert!(known.0.len() <= 100 && known.settled() <= 91, "{} of them {}", known.0.len(), known.settled());
    assert_eq!(judged(&known, &spec, &text("299", "v", 2_991 * DAY)), KNOWN);
    assert_eq!(judged(&known, &spec, &text("0", "v", DAY)), new("v", 0));
}

#[test]
fn baselines_share_one_limit_and_each_counts_whom_it_forgot() {
    let (spec, specs) = (values(), [values(), values()]);
    let limit = 100 * each(&spec);
    let mut all = Baselines::new(&specs, limit, true);
    for n in 0..1_000_i64 {
        for at in [0, 1].iter().filter(|at| **at == 0 || n % 2 == 0) {
            let name = n.to_string();
            all.learn(Of { at: *at, spec: &spec }, &text(&name, "v", n), &new("v", 0), Raised::Novelty);
            assert!(all.bytes() <= limit);
        }
    }
    let (first, second) = (all.evicted_of(0), all.evicted_of(1));
    assert_eq!(first, all.evicted(), "every record has a part of the first");
    assert_eq!(all.evicted() + all.len() as u64, 1_000);
    assert!(second > 400 && second <= first / 2 + 1, "{second} of {first}");
    assert!(all.take_learned(&specs).len() <= 2 * all.len() + 2);
}

#[test]
fn a_lower_limit_at_a_restart_keeps_those_who_are_settled_and_then_the_latest() {
    let spec = values();
    let mut known = Known::new(MUCH);
    for who in 0..100 {
        see(&mut known, &spec, &text(&format!("old-{who}"), "v", who));
        see(&mut known, &spec, &text(&format!("old-{who}"), "v", DAY + who));
        see(&mut known, &spec, &text(&format!("young-{who}"), "v", 2 * DAY + who));
    }
    let store = known.take_learned();
    let reversed: Vec<Learned> = store.iter().rev().cloned().collect();
    for restored in [store, reversed] {
        let mut lower = Known::new(150 * each(&spec));
        for learned in &restored {
            lower.restore(learned);
        }
        lower.0.restored();
        assert!(lower.0.bytes() <= 150 * each(&spec) && lower.settled() == 100, "{}", lower.settled());
        let at = 2 * DAY + 99;
        assert_eq!(judged(&lower, &spec, &text("young-99", "v", at)), KNOWN);
        assert_eq!(judged(&lower, &spec, &text("young-0", "v", at)), new("v", 0));
        let deleted = lower.take_learned().iter().filter(|one| one.state.is_empty()).count() as u64;
        assert_eq!(deleted, lower.0.evicted(), "the store lets go of them too");
    }
}

#[test]
fn a_known_value_is_written_at_most_hourly() {
    let (mut known, spec) = (settled(&networks()), networks());
    known.take_learned();
    let mut written = 0;
    for minute in 0..240 {
        see(&mut known, &spec, &from("p", "192.0.2.1", 10 * DAY + minute * 60));
        written += known.take_learned().len();
    }
    assert_eq!(written, 4);
}

#[test]
fn unreadable_state_is_ignored_and_counted_and_that_of_others_ignored() {
    let mut known = Known::new(MUCH);
    for (key, state) in
        [("KW-002", vec![0; 8]), ("KW-002 p", vec![0x80, 1]), ("KW-003", vec![7]), ("KW-0021 p", vec![7])]
    {
        known.restore(&Learned { key: key.to_owned(), state });
    }
    assert_eq!((known.0.len(), known.0.unreadable()), (0, 2));
    assert_eq!(known.0.judges_from(Of { at: 0, spec: &networks() }), None);
}

#[test]
fn tables_stay_as_small_as_what_is_in_them_however_much_comes_and_goes() {
    let spec = values();
    for places in [20_000, 33_000] {
        let limit = places * each(&spec);
        let mut known = Known::new(limit);
        for n in 0..200_000_i64 {
            see(&mut known, &spec, &text(&format!("invented-{n}"), "v", n));
            if n % 1_000 == 0 {
                let held = known.0.ledger.held_bytes();
                assert!(held <= limit, "{held} bytes of {limit} after {n}");
            }
        }
    }
}

#[test]
fn a_flood_of_names_makes_nobody_forget_what_has_been_unseen_for_long() {
    let spec = Baseline { returns_after_secs: Some(90 * DAY), decay_secs: 400 * DAY, ..values() };
    let mut known = Known::of(&spec, 300 * each(&spec));
    for n in 0..100 {
        see(&mut known, &spec, &text(&format!("old-{n}"), "aws", n));
    }
    for n in 0..20_000_i64 {
        see(&mut known, &spec, &text(&format!("invented-{n}"), "aws", 95 * DAY + n));
    }
    assert!(known.0.evicted() > 19_000);
    let returned = |n: &i64| {
        let sight = text("", "aws", 96 * DAY);
        let name = format!("old-{n}");
        known.judge(&spec, &Sight { per: (&*name).into(), ..sight }).news().is_some()
    };
    assert_eq!((0..100).filter(returned).count(), 100);
}

#[test]
fn a_flood_of_values_makes_nobody_forget_those_seen_on_two_days() {
    let spec = Baseline { values_max: 1_000, ..values() };
    let mut known = Known::new(MUCH);
    let usual = |known: &mut Known, at: i64| {
        (0..800).map(|n| see(known, &spec, &text("", &format!("role-{n}"), at))).collect::<Vec<_>>()
    };
    usual(&mut known, 0);
    usual(&mut known, DAY);
    let mut store = Vec::new();
    for n in 0..50_000_i64 {
        let value = format!("invented-{n}");
        assert!(see(&mut known, &spec, &text("", &value, 2 * DAY + n)).news().is_some());
        if n % 10_000 == 0 {
            store.extend(known.take_learned());
        }
    }
    assert!(known.peer("").is_some_and(|peer| peer.values() <= 1_000));
    store.extend(known.take_learned());
    let mut restored = Known::new(MUCH);
    for learned in &store {
        restored.restore(learned);
    }
    for known in [&mut known, &mut restored] {
        let new = usual(known, 3 * DAY).iter().filter(|judgement| judgement.news().is_some()).count();
        assert_eq!(new, 0, "of 800 that are usual");
    }
}

#[test]
fn newcomers_have_a_tenth_of_the_values_however_many_are_settled() {
    let spec = Baseline { values_max: 100, ..values() };
    let mut known = Known::new(MUCH);
    for day in 0..40 {
        for n in 0..10 {
            let value = format!("{}", day / 2 * 10 + n);
            see(&mut known, &spec, &text("", &value, day * DAY));
        }
    }
    let is_known = |value: i64| known.judge(&spec, &text("", &value.to_string(), 40 * DAY)).news().is_none();
    assert_eq!((0..200).filter(|value| is_known(*value)).count(), 90 + 10 - usize::from(!is_known(199)));
    assert!(is_known(199) && !is_known(0), "the longest unseen goes");
    see(&mut known, &spec, &text("", "new", 40 * DAY));
    assert!(known.judge(&spec, &text("", "new", 40 * DAY + 1)).news().is_none());
}

#[test]
fn whoever_taints_very_many_values_gets_none_of_them_learned() {
    let (mut known, spec) = (Known::new(MUCH), Baseline { learn_secs: 7 * DAY, ..values_as_networks() });
    let address = |n: i64| format!("198.51.{n}.1");
    for n in 0..100 {
        known.taint(&from("p", &address(n), n));
    }
    see(&mut known, &spec, &from("p", "192.0.2.1", HOUR));
    (0..100).for_each(|n| _ = see(&mut known, &spec, &from("p", &address(n), 2 * HOUR)));
    let values = |known: &Known| known.peer("p").map_or(0, Peer::values);
    assert_eq!(values(&known), 0);
    see(&mut known, &spec, &from("p", "192.0.2.1", DAY + HOUR));
    assert_eq!(values(&known), 1, "a day later that is over");
}
