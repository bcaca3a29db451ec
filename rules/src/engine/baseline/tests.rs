//! Baselines, held to their promises.

use super::*;
use crate::rule::{MatcherId, Mature, Novel};
use proptest::prelude::*;
use std::collections::BTreeMap;

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

fn networks() -> Baseline {
    Baseline {
        rule: "KW-002".into(),
        events: MatcherId(0),
        per: Vec::new(),
        of: Novel::Network { mobile_networks: 12, mobile_within_secs: 7 * DAY },
        taints: None,
        unless: None,
        learn_secs: 7 * DAY,
        mature: Mature { age_secs: 7 * DAY, events: 10, days: 3 },
        decay_secs: 30 * DAY,
        values_max: 256,
        accept_days: 3,
        returns_after_secs: None,
    }
}

fn values() -> Baseline {
    Baseline {
        of: Novel::Values(Vec::new()),
        learn_secs: 0,
        mature: Mature::default(),
        decay_secs: 90 * DAY,
        accept_days: 0,
        ..networks()
    }
}

fn from<'s>(per: &'s str, ip: &str, at: i64) -> Sight<'s> {
    let value = Value::Address { ip: ip.parse().unwrap(), asn: None };
    Sight { per, value, now_secs: at, exempt: false }
}

fn with_asn<'s>(per: &'s str, ip: &str, asn: u32, at: i64) -> Sight<'s> {
    let value = Value::Address { ip: ip.parse().unwrap(), asn: Some(asn) };
    Sight { value, ..from(per, ip, at) }
}

fn text<'s>(per: &'s str, value: &'s str, at: i64) -> Sight<'s> {
    Sight { per, value: Value::Text(value), now_secs: at, exempt: false }
}

fn new(value: &str, known: usize) -> Judgement {
    Judgement::New { value: value.to_owned(), known }
}

/// Judges and learns as the engine does: news of a warning raises.
fn see(known: &mut Known, spec: &Baseline, sight: &Sight<'_>) -> Judgement {
    let judgement = known.judge(spec, sight);
    let raised = if judgement.news().is_some() { Raised::Novelty } else { Raised::Nothing };
    known.learn(spec, sight, &judgement, raised);
    judgement
}

/// A principal that read from 192.0.2.0/24 every eight hours for ten days and is mature.
fn settled(spec: &Baseline) -> Known {
    let mut known = Known::new(100);
    for n in 0..30 {
        see(&mut known, spec, &from("p", "192.0.2.7", n * 8 * HOUR));
    }
    known
}

#[test]
fn nothing_is_new_while_history_is_short() {
    let mut known = Known::new(10);
    assert_eq!(see(&mut known, &networks(), &from("p", "192.0.2.1", 0)), Judgement::Learning);
    assert_eq!(see(&mut known, &networks(), &from("p", "192.0.2.9", DAY)), Judgement::Known);
    assert_eq!(see(&mut known, &networks(), &from("p", "198.51.100.1", 2 * DAY)), Judgement::Learning);
    assert_eq!(known.judges_from(&networks()), Some(7 * DAY));
}

#[test]
fn somebody_unknown_is_not_judged_until_mature() {
    let (mut known, spec) = (settled(&networks()), networks());
    assert_eq!(see(&mut known, &spec, &from("q", "198.51.100.1", 10 * DAY)), Judgement::Immature);
    for n in 1..9 {
        see(&mut known, &spec, &from("q", "198.51.100.1", 10 * DAY + n * DAY));
    }
    assert_eq!(known.judge(&spec, &from("q", "203.0.113.1", 20 * DAY)), Judgement::Immature, "nine events");
    see(&mut known, &spec, &from("q", "198.51.100.1", 20 * DAY));
    assert_eq!(known.judge(&spec, &from("q", "203.0.113.1", 20 * DAY)), new("203.0.113.0/24", 1));
}

#[test]
fn a_network_never_seen_is_new_and_judging_learns_nothing() {
    let known = settled(&networks());
    for _ in 0..2 {
        assert_eq!(known.judge(&networks(), &from("p", "198.51.100.1", 10 * DAY)), new("198.51.100.0/24", 1));
    }
}

#[test]
fn a_network_that_raised_is_accepted_on_its_third_day() {
    let (mut known, spec) = (settled(&networks()), networks());
    let at = |day: i64, hour: i64| from("p", "198.51.100.1", day * DAY + hour * HOUR);
    for (day, hour) in [(10, 1), (10, 2), (11, 1), (11, 9)] {
        assert_eq!(see(&mut known, &spec, &at(day, hour)), new("198.51.100.0/24", 1), "day {day}");
    }
    assert_eq!(see(&mut known, &spec, &at(12, 1)), Judgement::Accepted);
    assert_eq!(see(&mut known, &spec, &at(12, 2)), Judgement::Known);
}

#[test]
fn something_high_makes_waiting_networks_wait_anew() {
    let (mut known, spec) = (settled(&networks()), networks());
    let at = |day: i64| from("p", "198.51.100.1", day * DAY);
    see(&mut known, &spec, &at(10));
    see(&mut known, &spec, &at(11));
    known.raised_high("p");
    for day in [12, 13] {
        assert_eq!(see(&mut known, &spec, &at(day)), new("198.51.100.0/24", 1), "day {day}");
    }
    let third = known.judge(&spec, &at(14));
    assert_eq!(third, Judgement::Accepted);
    known.learn(&spec, &at(14), &third, Raised::High);
    assert_eq!(known.judge(&spec, &at(15)), new("198.51.100.0/24", 1), "the third day raised high itself");
}

#[test]
fn a_known_network_stays_known_though_its_event_raised() {
    let (mut known, spec) = (settled(&networks()), networks());
    for day in (10..60).step_by(10) {
        let sight = from("p", "192.0.2.1", day * DAY);
        let judgement = known.judge(&spec, &sight);
        assert_eq!(judgement, Judgement::Known, "day {day}");
        known.learn(&spec, &sight, &judgement, Raised::High);
    }
}

#[test]
fn what_raised_while_learning_is_not_learned() {
    let (mut known, spec) = (Known::new(10), networks());
    let sight = from("p", "192.0.2.1", 0);
    let judgement = known.judge(&spec, &sight);
    known.learn(&spec, &sight, &judgement, Raised::Other);
    assert_eq!(known.judge(&spec, &sight), Judgement::Learning);
}

#[test]
fn a_tainted_network_is_not_learned_for_a_day_even_of_somebody_unknown() {
    let (mut known, spec) = (Known::new(10), networks());
    let sight = from("p", "192.0.2.1", HOUR);
    known.taint("p", sight.value, HOUR);
    for at in [HOUR, 20 * HOUR] {
        see(&mut known, &spec, &Sight { now_secs: at, ..sight });
        assert_eq!(known.judge(&spec, &sight), Judgement::Learning, "hour {}", at / HOUR);
    }
    see(&mut known, &spec, &Sight { now_secs: 25 * HOUR, ..sight });
    assert_eq!(known.judge(&spec, &sight), Judgement::Known);
}

#[test]
fn tainted_days_do_not_count_towards_acceptance() {
    let (mut known, spec) = (settled(&networks()), networks());
    for day in 10..15 {
        let sight = from("p", "198.51.100.1", day * DAY + HOUR);
        known.taint("p", sight.value, day * DAY);
        assert!(see(&mut known, &spec, &sight).news().is_some(), "day {day}");
    }
}

#[test]
fn an_operators_list_is_learned_and_never_new() {
    let (mut known, spec) = (settled(&networks()), networks());
    let sight = from("p", "198.51.100.1", 10 * DAY);
    assert_eq!(see(&mut known, &spec, &Sight { exempt: true, ..sight }), Judgement::Exempt);
    assert_eq!(known.judge(&spec, &sight), Judgement::Known);
}

#[test]
fn a_network_unseen_for_thirty_days_is_forgotten() {
    let (known, spec) = (settled(&networks()), networks());
    let last = 29 * 8 * HOUR;
    assert_eq!(known.judge(&spec, &from("p", "192.0.2.1", last + 30 * DAY)), Judgement::Known);
    assert_eq!(known.judge(&spec, &from("p", "192.0.2.1", last + 30 * DAY + 1)), new("192.0.2.0/24", 0));
}

#[test]
fn the_longest_unseen_value_makes_room_for_a_new_one() {
    let spec = Baseline { values_max: 3, ..values() };
    let mut known = Known::new(10);
    for (n, value) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
        see(&mut known, &spec, &text("p", value, DAY * i64::try_from(n).unwrap()));
    }
    assert_eq!(known.judge(&spec, &text("p", "b", 5 * DAY)), new("b", 3));
    for value in ["a", "c", "d"] {
        assert_eq!(known.judge(&spec, &text("p", value, 5 * DAY)), Judgement::Known, "{value}");
    }
}

#[test]
fn without_acceptance_news_is_told_once_unless_something_else_raised() {
    let (mut known, spec) = (Known::new(10), values());
    let sight = text("", "one", 0);
    for raised in [Raised::Other, Raised::High] {
        assert_eq!(known.judge(&spec, &sight), new("one", 0));
        known.learn(&spec, &sight, &new("one", 0), raised);
    }
    assert_eq!(see(&mut known, &spec, &sight), new("one", 0));
    assert_eq!(see(&mut known, &spec, &sight), Judgement::Known);
    assert_eq!(see(&mut known, &spec, &text("", "two", 5)), new("two", 1));
}

#[test]
fn a_value_that_returns_after_long_is_told_and_a_new_one_is_not() {
    let spec = Baseline { returns_after_secs: Some(90 * DAY), ..values() };
    let mut known = Known::new(10);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 0)), Judgement::Known);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 89 * DAY)), Judgement::Known);
    let returned = Judgement::Returned { value: "secret".to_owned(), since_secs: 400 * DAY };
    assert_eq!(see(&mut known, &spec, &text("", "secret", 489 * DAY)), returned);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 490 * DAY)), Judgement::Known);
}

/// Reads from `count` networks an hour apart while history is short.
fn roam(known: &mut Known, count: u8, hours: i64, sight: impl Fn(u8, i64) -> Sight<'static>) {
    for n in 0..count {
        see(known, &networks(), &sight(n, i64::from(n) * hours * HOUR));
    }
}

#[test]
fn twelve_networks_within_a_week_climb_to_wider_ones() {
    let mut known = Known::new(10);
    roam(&mut known, 12, 10, |n, at| from("p", &format!("198.51.{n}.1"), at));
    assert_eq!(known.judge(&networks(), &from("p", "198.51.200.1", 8 * DAY)), Judgement::Known);
    assert_eq!(known.judge(&networks(), &from("p", "203.0.113.1", 8 * DAY)), new("203.0.0.0/16", 1));
}

#[test]
fn twelve_networks_in_more_than_a_week_do_not_climb() {
    let mut known = Known::new(10);
    let spec = Baseline { learn_secs: 30 * DAY, ..networks() };
    for n in 0..12 {
        see(&mut known, &spec, &from("p", &format!("198.51.{n}.1"), n * 16 * HOUR));
    }
    assert_eq!(known.judge(&networks(), &from("p", "198.51.200.1", 8 * DAY)), new("198.51.200.0/24", 12));
}

#[test]
fn without_a_database_whoever_outgrows_wide_networks_is_not_judged() {
    let mut known = Known::new(10);
    roam(&mut known, 24, 1, |n, at| from("p", &format!("10.{n}.0.1"), at));
    assert_eq!(known.judge(&networks(), &from("p", "203.0.113.1", 8 * DAY)), Judgement::Mobile);
}

#[test]
fn with_a_database_the_autonomous_systems_are_judged_before_nothing_is() {
    let mut known = Known::new(10);
    roam(&mut known, 40, 2, |n, at| with_asn("p", &format!("10.{n}.0.1"), 64_496 + u32::from(n % 2), at));
    let spec = networks();
    assert_eq!(known.judge(&spec, &with_asn("p", "203.0.113.1", 64_497, 8 * DAY)), Judgement::Known);
    assert_eq!(known.judge(&spec, &with_asn("p", "203.0.113.1", 64_500, 8 * DAY)), new("AS64500", 2));
    assert_eq!(known.judge(&spec, &from("p", "203.0.113.1", 8 * DAY)), Judgement::Mobile);
    roam(&mut known, 12, 1, |n, at| with_asn("p", "10.0.0.1", 64_500 + u32::from(n), at));
    assert_eq!(known.judge(&spec, &with_asn("p", "203.0.113.1", 64_496, 8 * DAY)), Judgement::Mobile);
}

#[test]
fn autonomous_systems_aside_are_no_networks() {
    let (mut known, spec) = (Known::new(10), values_as_networks());
    for (n, asn) in (0..3).zip(64_496..) {
        see(&mut known, &spec, &with_asn("p", &format!("192.0.{n}.1"), asn, 0));
    }
    assert_eq!(known.judge(&spec, &with_asn("p", "203.0.113.1", 64_496, 1)), new("203.0.113.0/24", 3));
}

fn values_as_networks() -> Baseline {
    Baseline { of: networks().of, ..values() }
}

#[test]
fn hundred_thousand_principals_with_two_networks_take_at_most_400_bytes_each() {
    let (mut known, spec) = (Known::new(1_000_000), values_as_networks());
    for n in 0..100_000 {
        let per = format!("arn:aws:iam::111122223333:role/service-{n:06}");
        see(&mut known, &spec, &from(&per, "192.0.2.1", n));
        see(&mut known, &spec, &from(&per, "198.51.100.1", n));
    }
    known.take_learned("KW-002");
    let each = known.peers.bytes(Peer::heap_bytes) / known.len();
    // The table has just not grown: it may be less than half full.
    let worst = each + size_of::<(Box<str>, [u64; 9])>();
    assert!(each > 100 && worst <= 400, "{each} bytes each, {worst} at worst");
}

#[test]
fn a_flood_of_invented_names_pushes_out_no_settled_and_no_held_one() {
    const MAX: usize = 2_000;
    let (mut known, spec) = (Known::new(MAX), networks());
    for n in 0..30 {
        for who in 0..1_000 {
            see(&mut known, &spec, &from(&format!("role-{who}"), "192.0.2.1", n * 8 * HOUR + who));
        }
    }
    let flood = 10 * DAY;
    see(&mut known, &spec, &from("held", "192.0.2.1", flood));
    known.hold("held", flood + DAY);
    for n in 0..300_000_i64 {
        see(&mut known, &spec, &from(&format!("invented-{n}"), "203.0.113.1", flood + n / 5));
        assert!(known.len() <= MAX);
    }
    assert!(known.evicted() > 290_000, "{} evicted", known.evicted());
    for who in 0..1_000 {
        let per = format!("role-{who}");
        let sight = from(&per, "192.0.2.1", flood + DAY);
        assert_eq!(known.judge(&spec, &sight), Judgement::Known, "role-{who}");
    }
    let held = from("held", "192.0.2.1", flood);
    assert_eq!(known.judge(&spec, &held), Judgement::Known, "what is held stays");
    assert!(known.take_learned("KW-002").len() <= MAX + 1, "what waits to be written is bounded");
}

#[test]
fn the_settled_are_bounded_and_the_longest_unseen_goes() {
    let (mut known, spec) = (Known::new(100), values());
    for who in 0..300 {
        for day in 0..2 {
            see(&mut known, &spec, &text(&format!("{who}"), "v", who * 10 * DAY + day * DAY));
        }
    }
    assert!(known.len() <= 100 && known.settled <= 90, "{} of them {}", known.len(), known.settled);
    assert_eq!(known.judge(&spec, &text("299", "v", 2_991 * DAY)), Judgement::Known);
    assert_eq!(known.judge(&spec, &text("0", "v", DAY)), new("v", 0));
}

#[test]
fn when_everybody_is_held_a_newcomer_is_refused_and_counted() {
    let (mut known, spec) = (Known::new(2), values());
    for per in ["a", "b"] {
        see(&mut known, &spec, &text(per, "v", 0));
        known.hold(per, DAY);
    }
    see(&mut known, &spec, &text("c", "v", 10));
    assert_eq!((known.len(), known.evicted()), (2, 1));
    see(&mut known, &spec, &text("c", "v", 3 * DAY));
    assert_eq!(known.judge(&spec, &text("c", "v", 3 * DAY)), Judgement::Known, "no longer held");
}

#[test]
fn a_known_value_is_written_at_most_hourly() {
    let (mut known, spec) = (settled(&networks()), networks());
    known.take_learned("KW-002");
    let mut written = 0;
    for minute in 0..240 {
        see(&mut known, &spec, &from("p", "192.0.2.1", 10 * DAY + minute * 60));
        written += known.take_learned("KW-002").len();
    }
    assert_eq!(written, 4);
}

#[test]
fn unreadable_state_is_ignored_and_counted_and_that_of_others_ignored() {
    let mut known = Known::new(10);
    for (key, state) in
        [("KW-002", vec![0; 8]), ("KW-002 p", vec![0x80, 1]), ("KW-003", vec![7]), ("KW-0021 p", vec![7])]
    {
        known.restore("KW-002", &Learned { key: key.to_owned(), state });
    }
    assert_eq!((known.len(), known.unreadable()), (0, 2));
    assert_eq!(known.judges_from(&networks()), None);
}

#[derive(Clone, Debug)]
enum Op {
    See { per: u8, value: u8, raised: u8, exempt: bool },
    Taint { per: u8, value: u8 },
    High { per: u8 },
    Hold { per: u8, hours: i64 },
}

fn any_op() -> impl Strategy<Value = Op> {
    let see = (0..6_u8, 0..14_u8, 0..20_u8, prop::bool::weighted(0.05));
    prop_oneof![
        20 => see.prop_map(|(per, value, raised, exempt)| Op::See { per, value, raised, exempt }),
        2 => (0..6_u8, 0..14_u8).prop_map(|(per, value)| Op::Taint { per, value }),
        1 => (0..6_u8).prop_map(|per| Op::High { per }),
        1 => (0..6_u8, 0..50_i64).prop_map(|(per, hours)| Op::Hold { per, hours }),
    ]
}

fn step(known: &mut Known, spec: &Baseline, op: &Op, now: i64) -> Option<Judgement> {
    let text = |value: &u8| format!("value {value}");
    let address =
        |value: &u8| Value::Address { ip: [10, *value, 0, 1].into(), asn: Some(u32::from(*value % 3)) };
    match op {
        Op::See { per, value, raised, exempt } => {
            let (per, words) = (per.to_string(), text(value));
            let value =
                if matches!(spec.of, Novel::Values(_)) { Value::Text(&words) } else { address(value) };
            let sight = Sight { per: &per, value, now_secs: now, exempt: *exempt };
            let judgement = known.judge(spec, &sight);
            let raised = match raised {
                0 => Raised::High,
                1 => Raised::Other,
                _ if judgement.news().is_some() => Raised::Novelty,
                _ => Raised::Nothing,
            };
            known.learn(spec, &sight, &judgement, raised);
            return Some(judgement);
        }
        Op::Taint { per, value } => known.taint(&per.to_string(), address(value), now),
        Op::High { per } => known.raised_high(&per.to_string()),
        Op::Hold { per, hours } => known.hold(&per.to_string(), now + hours * HOUR),
    }
    None
}

fn any_spec() -> impl Strategy<Value = Baseline> {
    let mature = (0..3_i64, 0..4_u32, 0..3_usize).prop_map(|(days, events, seen)| Mature {
        age_secs: days * DAY,
        events,
        days: seen,
    });
    let kind = prop_oneof![Just(0), Just(1), Just(2)];
    (kind, mature, 0..3_i64, 0..3_usize, 2..6_usize).prop_map(
        |(kind, mature, learn, accept_days, values_max)| Baseline {
            of: match kind {
                0 => Novel::Network { mobile_networks: 4, mobile_within_secs: 2 * DAY },
                _ => Novel::Values(Vec::new()),
            },
            returns_after_secs: (kind == 2).then_some(DAY),
            learn_secs: learn * DAY,
            decay_secs: 3 * DAY,
            mature,
            accept_days,
            values_max,
            ..networks()
        },
    )
}

/// What the store would hold after each [`Known::take_learned`].
fn commit(store: &mut BTreeMap<String, Vec<u8>>, learned: Vec<Learned>) {
    for one in learned {
        if one.state.is_empty() {
            store.remove(&one.key);
        } else {
            store.insert(one.key, one.state);
        }
    }
}

proptest! {
    #[test]
    fn a_restart_after_every_nth_step_changes_no_judgement(
        spec in any_spec(),
        steps in prop::collection::vec((any_op(), -2_i64..40), 1..150),
        (restart_every, commit_every) in (1..12_usize, 1..5_usize),
        pers_max in 3..8_usize,
    ) {
        let (mut plain, mut restarted) = (Known::new(pers_max), Known::new(pers_max));
        let mut store = BTreeMap::new();
        let mut now = 1_700_000_000;
        for (at, (op, hours)) in steps.iter().enumerate() {
            now += hours * HOUR / 4;
            let expect = step(&mut plain, &spec, op, now);
            prop_assert_eq!(expect, step(&mut restarted, &spec, op, now), "step {}", at);
            prop_assert!(plain.len() <= pers_max);
            if at % commit_every == 0 {
                commit(&mut store, restarted.take_learned("R"));
            }
            if at % restart_every == 0 {
                commit(&mut store, restarted.take_learned("R"));
                restarted = Known::new(pers_max);
                // The store gives no order; the reverse is as good as any.
                for (key, state) in store.iter().rev() {
                    restarted.restore("R", &Learned { key: key.clone(), state: state.clone() });
                }
                prop_assert_eq!(restarted.unreadable(), 0);
            }
            prop_assert_eq!((plain.len(), plain.settled), (restarted.len(), restarted.settled));
        }
    }

    #[test]
    fn judging_is_free_of_effects(
        spec in any_spec(),
        steps in prop::collection::vec((any_op(), 0_i64..40), 1..60),
    ) {
        let (mut known, mut now) = (Known::new(8), 1_700_000_000);
        for (op, hours) in &steps {
            now += hours * HOUR / 4;
            step(&mut known, &spec, op, now);
            let sight = text("0", "value 1", now);
            let first = known.judge(&spec, &sight);
            known.take_learned("R");
            prop_assert_eq!(first, known.judge(&spec, &sight));
            prop_assert!(known.take_learned("R").is_empty());
        }
    }
}
