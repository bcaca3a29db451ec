//! Baselines, held to their promises: what is new, what is learned, what is forgotten.

mod bounds;
mod exactness;
mod ladder;

use super::ledger::Looked;
use super::*;
use crate::rule::{MatcherId, Mature, Novel};

const DAY: i64 = 86_400;
const HOUR: i64 = 3_600;

/// As many bytes as no test fills.
const MUCH: usize = 1 << 30;

/// Baselines of which a test asks one, `R`.
struct Known(Baselines);

impl Known {
    fn new(bytes_max: usize) -> Self {
        Self::of(&networks(), bytes_max)
    }

    fn of(spec: &Baseline, bytes_max: usize) -> Self {
        Self(Baselines::new(std::slice::from_ref(spec), bytes_max, true))
    }

    fn judge(&self, spec: &Baseline, sight: &Sight<'_>) -> Judgement {
        self.0.judge(Of { at: 0, spec }, sight, &mut Looked::default())
    }

    fn learn(&mut self, spec: &Baseline, sight: &Sight<'_>, judgement: &Judgement, raised: Raised) {
        self.0.learn(Of { at: 0, spec }, sight, judgement, raised);
    }

    fn taint(&mut self, sight: &Sight<'_>) {
        self.0.taint(0, sight);
    }

    fn raised_high(&mut self, per: &str) {
        self.0.raised_high(0, per.into());
    }

    fn hold(&mut self, per: &str, (now_secs, until_secs): (i64, i64)) {
        self.0.hold(0, per.into(), (now_secs, until_secs));
    }

    fn take_learned(&mut self) -> Vec<Learned> {
        self.0.take_learned(&[networks()])
    }

    fn restore(&mut self, learned: &Learned) {
        self.0.restore(&[networks()], learned);
    }

    fn peer(&self, per: &str) -> Option<&Peer> {
        self.0.ledger.find(per.into())?.peer(0)
    }

    /// How many are settled.
    fn settled(&self) -> usize {
        self.0.ledger.records.iter().filter(|record| record.worth.settled).count()
    }
}

fn networks() -> Baseline {
    Baseline {
        rule: "KW-002".into(),
        events: MatcherId(0),
        per: Vec::new(),
        of: Novel::Network {
            mobile_networks: 12,
            mobile_within_secs: 7 * DAY,
            mobile_days: 4,
            mobile_of_days: 14,
        },
        taints: None,
        unless: None,
        learn_secs: 7 * DAY,
        mature: Mature { age_secs: 7 * DAY, events: 10, days: 3 },
        seldom: None,
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
    Sight { per: per.into(), value, now_secs: at, exempt: false }
}

fn with_asn<'s>(per: &'s str, ip: &str, asn: u32, at: i64) -> Sight<'s> {
    let value = Value::Address { ip: ip.parse().unwrap(), asn: Some(asn) };
    Sight { value, ..from(per, ip, at) }
}

fn text<'s>(per: &'s str, value: &'s str, at: i64) -> Sight<'s> {
    Sight { per: per.into(), value: Value::text(value), now_secs: at, exempt: false }
}

fn new(value: &str, known: usize) -> Judgement {
    Judgement::New { value: value.to_owned(), known }
}

const KNOWN: Judgement = Judgement::Known { noted: false };
const NOTED: Judgement = Judgement::Known { noted: true };

/// What a sight is, whether or not it is noted already.
fn judged(known: &Known, spec: &Baseline, sight: &Sight<'_>) -> Judgement {
    let judgement = known.judge(spec, sight);
    if judgement == NOTED { KNOWN } else { judgement }
}

/// Judges and learns as the engine does: news of a warning raises.
fn see(known: &mut Known, spec: &Baseline, sight: &Sight<'_>) -> Judgement {
    let judgement = known.judge(spec, sight);
    let raised = if judgement.news().is_some() { Raised::Novelty } else { Raised::Nothing };
    known.learn(spec, sight, &judgement, raised);
    if judgement == NOTED { KNOWN } else { judgement }
}

/// A principal that read from 192.0.2.0/24 every eight hours for ten days and is mature.
fn settled(spec: &Baseline) -> Known {
    let mut known = Known::new(MUCH);
    for n in 0..30 {
        see(&mut known, spec, &from("p", "192.0.2.7", n * 8 * HOUR));
    }
    known
}

#[test]
fn nothing_is_new_while_history_is_short() {
    let mut known = Known::new(MUCH);
    assert_eq!(see(&mut known, &networks(), &from("p", "192.0.2.1", 0)), Judgement::Learning);
    assert_eq!(see(&mut known, &networks(), &from("p", "192.0.2.9", DAY)), KNOWN);
    assert_eq!(see(&mut known, &networks(), &from("p", "198.51.100.1", 2 * DAY)), Judgement::Learning);
    assert_eq!(known.0.judges_from(Of { at: 0, spec: &networks() }), Some(7 * DAY));
}

#[test]
fn somebody_unknown_is_not_judged_until_mature() {
    let (mut known, spec) = (settled(&networks()), networks());
    assert_eq!(see(&mut known, &spec, &from("q", "198.51.100.1", 10 * DAY)), Judgement::Immature);
    for n in 1..9 {
        see(&mut known, &spec, &from("q", "198.51.100.1", 10 * DAY + n * DAY));
    }
    assert_eq!(
        judged(&known, &spec, &from("q", "203.0.113.1", 20 * DAY)),
        Judgement::Immature,
        "nine events"
    );
    see(&mut known, &spec, &from("q", "198.51.100.1", 20 * DAY));
    assert_eq!(judged(&known, &spec, &from("q", "203.0.113.1", 20 * DAY)), new("203.0.113.0/24", 1));
}

#[test]
fn a_network_never_seen_is_new_and_judging_learns_nothing() {
    let known = settled(&networks());
    for _ in 0..2 {
        assert_eq!(
            judged(&known, &networks(), &from("p", "198.51.100.1", 10 * DAY)),
            new("198.51.100.0/24", 1)
        );
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
    assert_eq!(see(&mut known, &spec, &at(12, 2)), KNOWN);
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
    assert_eq!(judged(&known, &spec, &at(15)), new("198.51.100.0/24", 1), "the third day raised high itself");
}

#[test]
fn a_known_network_stays_known_though_its_event_raised() {
    let (mut known, spec) = (settled(&networks()), networks());
    for day in (10..60).step_by(10) {
        let sight = from("p", "192.0.2.1", day * DAY);
        let judgement = known.judge(&spec, &sight);
        assert_eq!(judgement, KNOWN, "day {day}");
        known.learn(&spec, &sight, &judgement, Raised::High);
    }
}

#[test]
fn what_raised_while_learning_is_not_learned() {
    let (mut known, spec) = (Known::new(MUCH), networks());
    let sight = from("p", "192.0.2.1", 0);
    let judgement = known.judge(&spec, &sight);
    known.learn(&spec, &sight, &judgement, Raised::Other);
    assert_eq!(judged(&known, &spec, &sight), Judgement::Learning);
}

#[test]
fn what_raised_by_being_new_elsewhere_is_learned_by_a_baseline_that_accepts_at_once() {
    let mature = Mature { age_secs: DAY, events: 1, days: 1 };
    let at_once = Baseline { learn_secs: 7 * DAY, mature, ..values() };
    let in_days = Baseline { accept_days: 3, ..at_once.clone() };
    for (at, start) in [(0, 0), (10 * DAY, 0)] {
        for (spec, raised, learned) in [
            (&at_once, Raised::Novelty, true),
            (&at_once, Raised::Other, false),
            (&at_once, Raised::High, false),
            (&in_days, Raised::Novelty, false),
        ] {
            let mut known = Known::new(MUCH);
            known.0.began(start);
            let sight = text("p", "prod/db", at);
            let judgement = known.judge(spec, &sight);
            assert!(matches!(judgement, Judgement::Learning | Judgement::Immature));
            known.learn(spec, &sight, &judgement, raised);
            assert_eq!(judged(&known, spec, &sight) == KNOWN, learned, "{raised:?} at {at}");
        }
    }
}

#[test]
fn a_tainted_network_is_not_learned_for_a_day_even_of_somebody_unknown() {
    let (mut known, spec) = (Known::new(MUCH), networks());
    let sight = from("p", "192.0.2.1", HOUR);
    known.taint(&Sight { now_secs: HOUR, ..sight });
    for at in [HOUR, 20 * HOUR] {
        see(&mut known, &spec, &Sight { now_secs: at, ..sight });
        assert_eq!(judged(&known, &spec, &sight), Judgement::Learning, "hour {}", at / HOUR);
    }
    see(&mut known, &spec, &Sight { now_secs: 25 * HOUR, ..sight });
    assert_eq!(judged(&known, &spec, &sight), KNOWN);
}

#[test]
fn tainted_days_do_not_count_towards_acceptance() {
    let (mut known, spec) = (settled(&networks()), networks());
    for day in 10..15 {
        let sight = from("p", "198.51.100.1", day * DAY + HOUR);
        known.taint(&Sight { now_secs: day * DAY, ..sight });
        assert!(see(&mut known, &spec, &sight).news().is_some(), "day {day}");
    }
}

#[test]
fn an_operators_list_is_learned_and_never_new() {
    let (mut known, spec) = (settled(&networks()), networks());
    let sight = from("p", "198.51.100.1", 10 * DAY);
    assert_eq!(see(&mut known, &spec, &Sight { exempt: true, ..sight }), Judgement::Exempt);
    assert_eq!(judged(&known, &spec, &sight), KNOWN);
}

#[test]
fn a_network_unseen_for_thirty_days_is_forgotten() {
    let (known, spec) = (settled(&networks()), networks());
    let last = 29 * 8 * HOUR;
    assert_eq!(judged(&known, &spec, &from("p", "192.0.2.1", last + 30 * DAY)), KNOWN);
    assert_eq!(judged(&known, &spec, &from("p", "192.0.2.1", last + 30 * DAY + 1)), new("192.0.2.0/24", 0));
}

#[test]
fn the_longest_unseen_value_makes_room_for_a_new_one() {
    let spec = Baseline { values_max: 3, ..values() };
    let mut known = Known::new(MUCH);
    for (n, value) in ["a", "b", "c", "a", "d"].into_iter().enumerate() {
        see(&mut known, &spec, &text("p", value, DAY * i64::try_from(n).unwrap()));
    }
    assert_eq!(judged(&known, &spec, &text("p", "b", 5 * DAY)), new("b", 3));
    for value in ["a", "c", "d"] {
        assert_eq!(judged(&known, &spec, &text("p", value, 5 * DAY)), KNOWN, "{value}");
    }
}

#[test]
fn without_acceptance_news_is_told_once_unless_something_else_raised() {
    let (mut known, spec) = (Known::new(MUCH), values());
    let sight = text("", "one", 0);
    for raised in [Raised::Other, Raised::High] {
        assert_eq!(judged(&known, &spec, &sight), new("one", 0));
        known.learn(&spec, &sight, &new("one", 0), raised);
    }
    assert_eq!(see(&mut known, &spec, &sight), new("one", 0));
    assert_eq!(see(&mut known, &spec, &sight), KNOWN);
    assert_eq!(see(&mut known, &spec, &text("", "two", 5)), new("two", 1));
}

#[test]
fn a_value_that_returns_after_long_is_told_and_a_new_one_is_not() {
    let spec = Baseline { returns_after_secs: Some(90 * DAY), ..values() };
    let mut known = Known::new(MUCH);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 0)), KNOWN);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 89 * DAY)), KNOWN);
    let returned = Judgement::Returned { value: "secret".to_owned(), since_secs: 400 * DAY };
    assert_eq!(see(&mut known, &spec, &text("", "secret", 489 * DAY)), returned);
    assert_eq!(see(&mut known, &spec, &text("", "secret", 490 * DAY)), KNOWN);
}

#[test]
fn autonomous_systems_aside_are_no_networks() {
    let (mut known, spec) = (Known::new(MUCH), values_as_networks());
    for (n, asn) in (0..3).zip(64_496..) {
        see(&mut known, &spec, &with_asn("p", &format!("192.0.{n}.1"), asn, 0));
    }
    assert_eq!(judged(&known, &spec, &with_asn("p", "203.0.113.1", 64_496, 1)), new("203.0.113.0/24", 3));
}

fn values_as_networks() -> Baseline {
    Baseline { of: networks().of, ..values() }
}
