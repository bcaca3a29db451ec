//! Correlations of correlations find what a look at all events at once finds, in whatever order the
//! events come, how often, in what batches and with a restart in between.
//!
//! `KEYWATCH_CHAINS_CASES` sets the number of histories (200), `KEYWATCH_CHAINS_SEED` which they are (0).
#![expect(clippy::indexing_slicing, reason = "a test that indexes out of its own bounds should fail")]

#[path = "chains/catalogue.rs"]
mod catalogue;
#[path = "chains/form.rs"]
mod form;
#[path = "chains/happening.rs"]
mod happening;
#[path = "chains/measured.rs"]
mod measured;
#[path = "chains/oracle.rs"]
mod oracle;
#[path = "chains/singles.rs"]
mod singles;
mod stored;

use form::Rule;
use happening::{AMOUNTS, Happening, START};
use keywatch_event::{Alert, AuditEvent, EventTime, Place, Source};
use keywatch_rules::{Engine, RuleSet, Seen, Settings, compile, examples};
use oracle::{Oracle, Raised};
use proptest::prelude::*;
use proptest::strategy::ValueTree;
use proptest::test_runner::{RngSeed, TestRunner};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::{Arc, LazyLock};
use stored::Stored;

/// Chains of two to four links, of every kind of condition: `chains/catalogue.rs` lists the forms.
const RULES: &str = include_str!("chains/rules.yml");

/// Rules as the engine and as the oracle know them.
struct Rules {
    set: Arc<RuleSet>,
    raising: &'static [Rule],
}

static CHAINS: LazyLock<Rules> =
    LazyLock::new(|| Rules { set: compiled(RULES), raising: &catalogue::RAISING });

static SINGLES: LazyLock<Rules> = LazyLock::new(|| {
    let (text, raising) = singles::singles();
    Rules { set: compiled(&text), raising }
});

fn compiled(text: &str) -> Arc<RuleSet> {
    Arc::new(compile([("a.yml", text)]).expect("the rules compile"))
}

fn settings() -> Settings {
    Settings { late_from_secs: None, ..Settings::default() }
}

/// An event with its record.
struct Recorded {
    event: AuditEvent<'static>,
    raw: Vec<u8>,
}

fn recorded(happening: &Happening) -> Recorded {
    Recorded { event: happening.event(), raw: happening.raw() }
}

/// The alerts that stand after these batches, with a restart before one of them. From then on nothing
/// is known of events that cannot matter to what is still to come.
fn standing(
    set: &Arc<RuleSet>,
    batches: &[Vec<&Recorded>],
    restart_at: Option<usize>,
) -> BTreeMap<String, Alert> {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut engine = Engine::new(Arc::clone(set), settings());
    let mut standing = BTreeMap::new();
    let mut stored = Stored::default();
    for (n, batch) in batches.iter().enumerate() {
        if restart_at == Some(n) {
            let rest = batches[n..].iter().flatten().map(|recorded| recorded.event.time);
            let now = rest.min().unwrap_or_else(|| EventTime::from_secs(0));
            engine = Engine::new(Arc::clone(set), settings());
            let mut signals =
                stored.signals(&place, |event, secs| event.time.plus_secs(i64::from(secs)) >= now);
            for signal in &mut signals {
                let all = batches.iter().flatten();
                let own = all.clone().find(|recorded| recorded.event.id == signal.seen.event.id);
                signal.seen.raw = own.map_or(b"{}", |recorded| &recorded.raw);
            }
            engine.restore(&[], &signals);
        }
        let evaluation = engine.evaluate(&seen(batch, &place));
        let events: Vec<&AuditEvent<'static>> = batch.iter().map(|recorded| &recorded.event).collect();
        stored.commit(&events, &evaluation);
        examples::apply(&mut standing, evaluation.changes);
    }
    standing
}

fn seen<'s>(batch: &[&'s Recorded], place: &'s Place) -> Vec<Seen<'s>> {
    batch.iter().map(|recorded| Seen { event: &recorded.event, place, raw: &recorded.raw }).collect()
}

/// What an alert says, in the oracle's words.
fn said(alert: &Alert) -> Raised {
    let secs = |time: EventTime| time.secs() - START;
    let evidence = alert.evidence.iter().map(|evidence| evidence.event.clone());
    Raised {
        rule: alert.rule.clone(),
        opened: secs(alert.opened_at),
        first: secs(alert.first_event_at),
        last: secs(alert.last_event_at),
        events: alert.events,
        evidence: evidence.collect(),
        level: alert.level.as_str(),
        observed: alert.why.observed.to_string(),
    }
}

/// Alerts that are among the first and not the same among the second, and the other way round.
fn differences(found: &BTreeMap<String, Alert>, wanted: &BTreeMap<String, Alert>) -> Vec<Raised> {
    let of = |these: &BTreeMap<String, Alert>, others: &BTreeMap<String, Alert>| {
        let differ = these.iter().filter(|(id, alert)| others.get(*id) != Some(*alert));
        differ.map(|(_, alert)| said(alert)).collect::<Vec<_>>()
    };
    [of(found, wanted), of(wanted, found)].concat()
}

fn sorted(mut raised: Vec<Raised>) -> Vec<Raised> {
    raised.sort();
    raised
}

/// Checks the alerts of every rule against the oracle, in order of time and in another order.
fn check(rules: &Rules, history: &[Happening], order: &[u32], sizes: &[usize], restart: Option<usize>) {
    let set = &rules.set;
    let events: Vec<Recorded> = history.iter().map(recorded).collect();
    let mut in_order: Vec<&Recorded> = events.iter().collect();
    in_order.sort_by_key(|recorded| (recorded.event.time, recorded.event.id.clone()));
    let clean = standing(set, std::slice::from_ref(&in_order), None);
    let wanted = sorted(Oracle::new(history).raised(rules.raising));
    assert_eq!(sorted(clean.values().map(said).collect()), wanted, "in order");

    // What is forgotten at a restart is what no event after it can need, as long as no incident is cut
    // off by its longest duration: the events it began with are forgotten before the latest.
    let few: Vec<Vec<&Recorded>> = in_order.chunks(4).map(<[_]>::to_vec).collect();
    let at = restart.map(|at| at % few.len());
    assert_eq!(
        differences(&standing(set, &few, at), &clean),
        Vec::<Raised>::new(),
        "in order, with a restart"
    );

    let keys = order.iter().copied().cycle();
    let mut shuffled: Vec<(u32, &Recorded)> = keys.zip(events.iter().chain(&events)).collect();
    shuffled.sort_by_key(|(key, _)| *key);
    let mut rest: Vec<&Recorded> = shuffled.into_iter().map(|(_, event)| event).collect();
    let mut batches = Vec::new();
    for size in sizes {
        let tail = rest.split_off((*size).min(rest.len()));
        batches.push(std::mem::replace(&mut rest, tail));
    }
    batches.push(rest);
    let restart = restart.map(|at| at % batches.len());
    let other = standing(set, &batches, restart);
    assert_eq!(differences(&other, &clean), Vec::<Raised>::new(), "in another order, each twice");
}

/// Step of time, whether refused, who, from where, secrets, amount.
type Drawn = (i64, bool, u8, u8, Vec<u8>, usize);

fn happening() -> impl Strategy<Value = Drawn> {
    // Mostly one principal that is mostly refused, so that windows are full.
    let who = prop_oneof![3 => Just(0_u8), 1 => 1..3_u8];
    let secrets = prop_oneof![
        5 => (0..4_u8).prop_map(|one| vec![one]),
        1 => Just(vec![0, 1]),
        1 => Just(vec![1, 2, 3]),
        1 => Just(Vec::new()),
    ];
    let amount = prop_oneof![3 => 0..5_usize, 1 => 5..AMOUNTS.len()];
    (0..90_i64, prop_oneof![3 => Just(true), 1 => Just(false)], who, 0..2_u8, secrets, amount)
}

/// Half an hour, or three times ten minutes with more than an incident may last in between.
fn history(drawn: &[Drawn], apart: bool) -> Vec<Happening> {
    let at = |step: i64| if apart { step / 30 * 5400 + step % 30 * 20 } else { step * 20 };
    let one = |(n, (step, denied, who, ip, secrets, amount)): (usize, &Drawn)| Happening {
        // Ids do not follow the order they are drawn in.
        id: format!("e{:03}", n.wrapping_mul(7919) % 1000),
        secs: at(*step),
        denied: *denied,
        who: *who,
        ip: *ip,
        secrets: secrets.clone(),
        amount: *amount,
    };
    drawn.iter().enumerate().map(one).collect()
}

/// The same histories always, so many unless others are asked for.
fn cases(usual: u32) -> ProptestConfig {
    let number = |name: &str| {
        let named = std::env::vars().find(|(key, _)| key == name);
        named.and_then(|(_, number)| number.parse::<u32>().ok())
    };
    ProptestConfig {
        cases: number("KEYWATCH_CHAINS_CASES").unwrap_or(usual),
        rng_seed: RngSeed::Fixed(u64::from(number("KEYWATCH_CHAINS_SEED").unwrap_or(0))),
        max_shrink_iters: 2000,
        ..ProptestConfig::default()
    }
}

proptest! {
    #![proptest_config(cases(200))]

    #[test]
    fn chains_find_what_a_look_at_all_events_at_once_finds(
        drawn in proptest::collection::vec(happening(), 1..60),
        order in proptest::collection::vec(any::<u32>(), 120),
        sizes in proptest::collection::vec(1_usize..12, 20),
        restart in proptest::option::of(0_usize..20),
        apart in any::<bool>(),
    ) {
        check(&CHAINS, &history(&drawn, apart), &order, &sizes, restart);
    }
}

proptest! {
    #![proptest_config(cases(25))]

    #[test]
    fn each_type_of_correlation_with_each_comparison_finds_what_a_look_at_all_events_at_once_finds(
        drawn in proptest::collection::vec(happening(), 1..40),
        order in proptest::collection::vec(any::<u32>(), 80),
        sizes in proptest::collection::vec(1_usize..12, 20),
        restart in proptest::option::of(0_usize..20),
        apart in any::<bool>(),
    ) {
        check(&SINGLES, &history(&drawn, apart), &order, &sizes, restart);
    }
}

/// A refusal at a second.
fn refused(who: u8, at: i64, secret: u8) -> Happening {
    let id = format!("r{who}-{at}-{secret}");
    // A record without a number: what is measured has no part in it.
    Happening { id, secs: at, denied: true, who, ip: 1, secrets: vec![secret], amount: 5 }
}

/// The rules of these names, and what they count.
fn only(names: &[&str]) -> Arc<RuleSet> {
    let is_named = |document: &&str| names.iter().any(|name| document.contains(&format!("\nname: {name}\n")));
    let text: Vec<&str> = RULES.split("---\n").filter(is_named).collect();
    compiled(&text.join("---\n"))
}

#[test]
fn each_rule_of_the_chains_raises_in_some_history() {
    let mut runner = TestRunner::deterministic();
    let mut silent: BTreeSet<&str> = catalogue::RAISING.iter().map(|rule| rule.name).collect();
    for _ in 0..60 {
        let drawn = proptest::collection::vec(happening(), 40..60).new_tree(&mut runner);
        let drawn = drawn.expect("there is no condition to fail").current();
        for raised in Oracle::new(&history(&drawn, false)).raised(&catalogue::RAISING) {
            silent.remove(raised.rule.as_str());
        }
    }
    assert_eq!(silent, BTreeSet::new());
}

#[test]
fn bursts_and_what_follows_them_raise_what_they_should() {
    let burst =
        |who: u8, at: i64| (0..3).map(move |n| refused(who, at + i64::from(n) * 10, n)).collect::<Vec<_>>();
    let success = |at| Happening { denied: false, ..refused(0, at, 0) };
    let raised = |history: Vec<Happening>| {
        let events: Vec<Recorded> = history.iter().map(recorded).collect();
        let found = standing(&CHAINS.set, &[events.iter().collect()], None);
        check(&CHAINS, &history, &[3, 1, 2], &[2, 5], Some(1));
        let mut rules: Vec<String> = found.values().map(|alert| alert.rule.clone()).collect();
        rules.retain(|rule| {
            rule.ends_with("_in") || ["one_address", "few_beside_wide"].contains(&rule.as_str())
        });
        rules.sort();
        rules
    };
    assert_eq!(
        raised([burst(0, 0), vec![success(100)]].concat()),
        ["few_beside_wide", "never_in", "then_in", "wide_then_in"]
    );
    let twice = [burst(0, 0), burst(0, 300), vec![success(900)]].concat();
    assert_eq!(
        raised(twice),
        ["few_beside_wide", "few_beside_wide", "never_in", "never_in", "twice_then_in"]
    );
    assert_eq!(
        raised([burst(0, 0), burst(1, 60)].concat()),
        ["few_beside_wide", "never_in", "never_in", "one_address"]
    );
}

#[test]
fn a_success_that_comes_late_takes_back_what_said_there_was_none() {
    let burst: Vec<Happening> = (0..3).map(|n| refused(0, 100 + i64::from(n), n)).collect();
    let events: Vec<Recorded> = burst.iter().map(recorded).collect();
    let late = recorded(&Happening { denied: false, ..refused(0, 90, 0) });
    let rules = |batches: &[Vec<&Recorded>]| {
        standing(&CHAINS.set, batches, None).into_values().map(|alert| alert.rule).collect::<Vec<_>>()
    };
    assert!(rules(&[events.iter().collect()]).contains(&"never_in".to_owned()));
    assert!(!rules(&[events.iter().collect(), vec![&late]]).contains(&"never_in".to_owned()));
}

#[test]
fn an_attack_among_many_harmless_identities_is_found_in_bounded_memory() {
    let raising = ["then_in", "twice_then_in", "never_in", "one_address", "few_beside_wide", "wide_then_in"];
    let counted = ["two_bursts", "burst", "few", "wide", "refused", "success"];
    let set = only(&[raising, counted].concat());
    let settings = Settings { entries_max: 8_000, ..settings() };
    let mut engine = Engine::new(set, settings);
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut standing = BTreeMap::new();
    let harmless = |n: i64| {
        let mut harmless = recorded(&Happening { id: format!("h{n}"), ..refused(9, n / 50, 0) });
        harmless.event.principal.id = format!("user/of-many-{n}").into();
        harmless.event.source = Source::from_text(format!("10.{}.{}.1", n / 250 % 250, n % 250).into());
        harmless
    };
    for n in 0..400_i64 {
        let mut batch: Vec<Recorded> = (0..50).map(|at| harmless(n * 50 + at)).collect();
        if (200..203).contains(&n) {
            batch.push(recorded(&refused(0, n, 0)));
        }
        if n == 205 {
            batch.push(recorded(&Happening { denied: false, ..refused(0, n, 0) }));
        }
        let batch: Vec<&Recorded> = batch.iter().collect();
        examples::apply(&mut standing, engine.evaluate(&seen(&batch, &place)).changes);
        assert!(engine.gauges().entries <= 9_000, "{:?}", engine.gauges());
    }
    let found: Vec<&Alert> = standing.values().filter(|alert| alert.rule == "then_in").collect();
    assert_eq!(found.iter().map(|alert| alert.events).collect::<Vec<_>>(), [4], "{found:#?}");
}

#[test]
fn a_late_event_that_counts_only_when_later_ones_come_leaves_windows_as_they_are() {
    let seconds = [5400, 5401, 5402, 20, 0, 10, 6400, 6401, 6402, 6500];
    let refusals = seconds.map(|at| recorded(&Happening { denied: at != 6500, ..refused(0, at, 0) }));
    let mut in_order: Vec<&Recorded> = refusals.iter().collect();
    in_order.sort_by_key(|recorded| recorded.event.time);
    let late: Vec<Vec<&Recorded>> = refusals.iter().map(|recorded| vec![recorded]).collect();
    assert_eq!(
        differences(&standing(&CHAINS.set, &late, None), &standing(&CHAINS.set, &[in_order], None)),
        []
    );
}

/// What the rules of a text raise in these batches: when each alert opened, and by which events.
fn raised_by(text: &str, batches: &[Vec<&Recorded>]) -> Vec<(i64, Vec<String>)> {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut engine = Engine::new(compiled(text), settings());
    let mut standing = BTreeMap::new();
    for batch in batches {
        examples::apply(&mut standing, engine.evaluate(&seen(batch, &place)).changes);
    }
    let mut raised: Vec<Raised> = standing.values().map(said).collect();
    raised.sort();
    raised.into_iter().map(|raised| (raised.opened, raised.evidence)).collect()
}

#[test]
fn an_instant_is_looked_at_again_when_what_comes_last_in_it_is_explained() {
    let text = "
title: One at a time
name: one
level: high
correlation: {type: event_count, rules: [read], timespan: 1m, condition: {lt: 2}}
detection: {denied: {outcome: denied}, granted: {outcome: ok}}
keywatch: {hold: {when: denied, cleared_by: granted, on: [principal.id], for: 30s}}
---
title: Read
name: read
detection: {sel: {class: secret.read}, condition: sel}
";
    let waits = recorded(&Happening { id: "b".to_owned(), ..refused(0, 0, 0) });
    let other = recorded(&Happening { id: "a".to_owned(), denied: false, ..refused(1, 0, 0) });
    let explains = recorded(&Happening { id: "c".to_owned(), denied: false, ..refused(0, 10, 0) });
    let wanted = [(0, vec!["a".to_owned(), "c".to_owned()])];
    for order in [[&waits, &other, &explains], [&other, &waits, &explains], [&explains, &waits, &other]] {
        assert_eq!(raised_by(text, &[order.to_vec()]), wanted);
        assert_eq!(raised_by(text, &order.map(|event| vec![event])), wanted);
    }
}

#[test]
fn an_event_that_would_do_for_two_steps_is_used_for_that_which_lets_the_others_go_on() {
    let text = "
title: In order
name: order
level: high
correlation: {type: temporal_ordered, rules: [refused, canary, success], timespan: 5m}
keywatch: {steps: {canary: {distinct: principal.id, gte: 2}}}
---
title: Refused
name: refused
detection: {sel: {outcome: denied}, condition: sel}
---
title: Canary
name: canary
detection: {sel: {secrets.id: secret/0}, condition: sel}
---
title: Success
name: success
detection: {sel: {outcome: ok}, condition: sel}
";
    let all = |first: &str, second: &str| {
        // Both are refused at the canary; which of them is the first step decides whether two others are left.
        let one = Happening { id: first.to_owned(), ..refused(0, 0, 0) };
        let other = Happening { id: second.to_owned(), ..refused(1, 0, 0) };
        let later = Happening { id: "x".to_owned(), ..refused(1, 10, 0) };
        let last = Happening { id: "y".to_owned(), denied: false, ..refused(2, 20, 1) };
        [one, other, later, last].map(|happening| recorded(&happening))
    };
    for (first, second) in [("a", "b"), ("b", "a")] {
        let events = all(first, second);
        let raised = raised_by(text, &[events.iter().collect()]);
        assert_eq!(raised.iter().map(|(opened, _)| *opened).collect::<Vec<_>>(), [20], "{first} {second}");
    }
}

#[test]
fn a_further_condition_that_more_can_end_is_looked_at_when_the_instant_is_complete() {
    let text = "
title: Without the canary
name: without
level: high
correlation: {type: event_count, rules: [read], timespan: 1m, condition: {gte: 2}}
detection: {zero: {secrets.id: secret/0}}
keywatch: {any: [{matching: zero, lt: 1}]}
---
title: Read
name: read
detection: {sel: {class: secret.read}, condition: sel}
";
    let event = |id: &str, secret| recorded(&Happening { id: id.to_owned(), ..refused(0, 0, secret) });
    let with = [event("a", 1), event("b", 1), event("c", 0)];
    assert_eq!(raised_by(text, &[with.iter().collect()]), []);
    let without = [event("a", 1), event("b", 1), event("c", 2)];
    assert_eq!(raised_by(text, &[without.iter().collect()]).len(), 1);
}

#[test]
fn a_series_that_goes_on_over_a_restart_does_not_begin_again() {
    let set = compiled(
        "
title: A series
name: series
level: high
correlation: {type: event_count, rules: [two], timespan: 1m, condition: {gte: 1}}
keywatch: {incident: {keep_alive: 1m, max_duration: 1m}}
---
title: Two
name: two
correlation: {type: event_count, rules: [refused], timespan: 10m, condition: {gte: 2}}
---
title: Refused
name: refused
detection: {sel: {outcome: denied}, condition: sel}
",
    );
    let events = [0, 590, 1180].map(|at| recorded(&refused(0, at, 0)));
    let batches: Vec<Vec<&Recorded>> = events.iter().map(|event| vec![event]).collect();
    for restart in [None, Some(1), Some(2)] {
        let found = standing(&set, &batches, restart);
        let opened: Vec<i64> = found.values().map(|alert| said(alert).opened).collect();
        assert_eq!(opened, [590], "{restart:?}");
    }
}
