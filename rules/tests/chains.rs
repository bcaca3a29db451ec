//! Correlations of correlations find what a look at all events at once finds, in whatever order the
//! events come, how often, in what batches and with a restart in between.
//!
//! `KEYWATCH_CHAINS_CASES` sets the number of histories (200).
#![expect(clippy::indexing_slicing, reason = "a test that indexes out of its own bounds should fail")]

#[path = "chains/oracle.rs"]
mod oracle;
mod stored;

use keywatch_event::{
    Alert, AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, SecretRef,
    Source,
};
use keywatch_rules::{Engine, RuleSet, Seen, Settings, compile, examples};
use oracle::{Happening, Oracle, Raised};
use proptest::prelude::*;
use std::collections::BTreeMap;
use std::sync::{Arc, LazyLock};
use stored::Stored;

/// Chains of two and three links, of every kind of condition, with and without `not`.
const RULES: &str = include_str!("chains/rules.yml");

static SET: LazyLock<Arc<RuleSet>> =
    LazyLock::new(|| Arc::new(compile([("chains.yml", RULES)]).expect("the rules compile")));

fn settings() -> Settings {
    Settings { late_from_secs: None, ..Settings::default() }
}

fn event(happening: &Happening) -> AuditEvent<'static> {
    let outcome = if happening.denied { Outcome::Denied } else { Outcome::Ok };
    let secret = format!("secret/{}", happening.secret);
    AuditEvent {
        id: happening.id.clone().into(),
        time: EventTime::from_secs(1_800_000_000 + happening.secs),
        time_raw: None,
        received_at: EventTime::from_secs(1_800_000_000),
        provider: Provider::Aws,
        service: "".into(),
        store: Some("sm".into()),
        account: None,
        region: None,
        operation: "GetSecretValue".into(),
        class: Class::SecretRead,
        outcome,
        error: None,
        principal: Principal {
            id: format!("user/{}", happening.who).into(),
            kind: PrincipalKind::User,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::from_text(format!("203.0.113.{}", happening.ip).into()),
        user_agent: None,
        secrets: vec![SecretRef { id: secret.clone().into(), name: secret.into(), version: None }],
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    }
}

/// The alerts that stand after these batches, with a restart before one of them. From then on nothing
/// is known of events that cannot matter to what is still to come.
fn standing(batches: &[Vec<&AuditEvent<'static>>], restart_at: Option<usize>) -> BTreeMap<String, Alert> {
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut engine = Engine::new(Arc::clone(&SET), settings());
    let mut standing = BTreeMap::new();
    let mut stored = Stored::default();
    for (n, batch) in batches.iter().enumerate() {
        if restart_at == Some(n) {
            let rest = batches[n..].iter().flatten().map(|event| event.time);
            let now = rest.min().unwrap_or_else(|| EventTime::from_secs(0));
            engine = Engine::new(Arc::clone(&SET), settings());
            engine.restore(
                &[],
                &stored.signals(&place, |event, secs| event.time.plus_secs(i64::from(secs)) >= now),
            );
        }
        let seen: Vec<Seen<'_>> =
            batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
        let evaluation = engine.evaluate(&seen);
        stored.commit(batch, &evaluation);
        examples::apply(&mut standing, evaluation.changes);
    }
    standing
}

/// What an alert says, in the oracle's words.
fn said(alert: &Alert) -> Raised {
    let secs = |time: EventTime| time.secs() - 1_800_000_000;
    let evidence = alert.evidence.iter().map(|evidence| evidence.event.clone());
    Raised {
        rule: alert.rule.clone(),
        opened: secs(alert.opened_at),
        first: secs(alert.first_event_at),
        last: secs(alert.last_event_at),
        events: alert.events,
        evidence: evidence.collect(),
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
fn check(history: &[Happening], order: &[u32], sizes: &[usize], restart: Option<usize>) {
    let events: Vec<AuditEvent<'static>> = history.iter().map(event).collect();
    let mut in_order: Vec<&AuditEvent<'static>> = events.iter().collect();
    in_order.sort_by_key(|event| (event.time, event.id.clone()));
    let clean = standing(std::slice::from_ref(&in_order), None);
    let wanted = sorted(Oracle::new(history).raised());
    assert_eq!(sorted(clean.values().map(said).collect()), wanted, "in order");

    // What is forgotten at a restart is what no event after it can need, as long as no incident is cut
    // off by its longest duration: the events it began with are forgotten before the latest.
    let few: Vec<Vec<&AuditEvent<'static>>> = in_order.chunks(4).map(<[_]>::to_vec).collect();
    let at = restart.map(|at| at % few.len());
    assert_eq!(differences(&standing(&few, at), &clean), Vec::<Raised>::new(), "in order, with a restart");

    let keys = order.iter().copied().cycle();
    let mut shuffled: Vec<(u32, &AuditEvent<'static>)> = keys.zip(events.iter().chain(&events)).collect();
    shuffled.sort_by_key(|(key, _)| *key);
    let mut rest: Vec<&AuditEvent<'static>> = shuffled.into_iter().map(|(_, event)| event).collect();
    let mut batches = Vec::new();
    for size in sizes {
        let tail = rest.split_off((*size).min(rest.len()));
        batches.push(std::mem::replace(&mut rest, tail));
    }
    batches.push(rest);
    let restart = restart.map(|at| at % batches.len());
    let other = standing(&batches, restart);
    assert_eq!(differences(&other, &clean), Vec::<Raised>::new(), "in another order, each twice");
}

fn happening() -> impl Strategy<Value = (i64, bool, u8, u8, u8)> {
    // Mostly one principal that is mostly refused, so that windows are full.
    let who = prop_oneof![3 => Just(0_u8), 1 => 1..3_u8];
    (0..90_i64, prop_oneof![3 => Just(true), 1 => Just(false)], who, 0..2_u8, 0..4_u8)
}

/// Half an hour, or three times ten minutes with more than an incident may last in between.
fn history(drawn: &[(i64, bool, u8, u8, u8)], apart: bool) -> Vec<Happening> {
    let at = |step: i64| if apart { step / 30 * 5400 + step % 30 * 20 } else { step * 20 };
    let one = |(n, (step, denied, who, ip, secret)): (usize, &(i64, bool, u8, u8, u8))| Happening {
        // Ids do not follow the order they are drawn in.
        id: format!("e{:03}", n.wrapping_mul(7919) % 1000),
        secs: at(*step),
        denied: *denied,
        who: *who,
        ip: *ip,
        secret: *secret,
    };
    drawn.iter().enumerate().map(one).collect()
}

fn cases() -> ProptestConfig {
    let named = std::env::vars().find(|(key, _)| key == "KEYWATCH_CHAINS_CASES");
    let cases = named.and_then(|(_, number)| number.parse().ok()).unwrap_or(200);
    ProptestConfig { cases, max_shrink_iters: 2000, ..ProptestConfig::default() }
}

proptest! {
    #![proptest_config(cases())]

    #[test]
    fn chains_find_what_a_look_at_all_events_at_once_finds(
        drawn in proptest::collection::vec(happening(), 1..60),
        order in proptest::collection::vec(any::<u32>(), 120),
        sizes in proptest::collection::vec(1_usize..12, 20),
        restart in proptest::option::of(0_usize..20),
        apart in any::<bool>(),
    ) {
        check(&history(&drawn, apart), &order, &sizes, restart);
    }
}

/// A refusal at a second.
fn refused(who: u8, at: i64, secret: u8) -> Happening {
    Happening { id: format!("r{who}-{at}-{secret}"), secs: at, denied: true, who, ip: 1, secret }
}

#[test]
fn each_rule_of_the_chains_is_met_by_some_of_these_histories() {
    let burst =
        |who: u8, at: i64| (0..3).map(move |n| refused(who, at + i64::from(n) * 10, n)).collect::<Vec<_>>();
    let success = |at| Happening { denied: false, ..refused(0, at, 0) };
    let raised = |history: Vec<Happening>| {
        let events: Vec<AuditEvent<'static>> = history.iter().map(event).collect();
        let found = standing(&[events.iter().collect()], None);
        check(&history, &[3, 1, 2], &[2, 5], Some(1));
        let mut rules: Vec<String> = found.values().map(|alert| alert.rule.clone()).collect();
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
    let events: Vec<AuditEvent<'static>> = burst.iter().map(event).collect();
    let late = event(&Happening { denied: false, ..refused(0, 90, 0) });
    let rules = |batches: &[Vec<&AuditEvent<'static>>]| {
        standing(batches, None).into_values().map(|alert| alert.rule).collect::<Vec<_>>()
    };
    assert!(rules(&[events.iter().collect()]).contains(&"never_in".to_owned()));
    assert!(!rules(&[events.iter().collect(), vec![&late]]).contains(&"never_in".to_owned()));
}

#[test]
fn an_attack_among_many_harmless_identities_is_found_in_bounded_memory() {
    let set = compile([("chains.yml", RULES)]).expect("the rules compile");
    let settings = Settings { entries_max: 8_000, ..settings() };
    let mut engine = Engine::new(Arc::new(set), settings);
    let place = Place { name: Arc::from("t"), line: 1, record: 0 };
    let mut standing = BTreeMap::new();
    let harmless = |n: i64| {
        let mut event = event(&Happening { id: format!("h{n}"), ..refused(9, n / 50, 0) });
        event.principal.id = format!("user/of-many-{n}").into();
        event.source = Source::from_text(format!("10.{}.{}.1", n / 250 % 250, n % 250).into());
        event
    };
    for n in 0..400_i64 {
        let mut batch: Vec<AuditEvent<'static>> = (0..50).map(|at| harmless(n * 50 + at)).collect();
        if (200..203).contains(&n) {
            batch.push(event(&refused(0, n, 0)));
        }
        if n == 205 {
            batch.push(event(&Happening { denied: false, ..refused(0, n, 0) }));
        }
        let seen: Vec<Seen<'_>> =
            batch.iter().map(|event| Seen { event, place: &place, raw: b"{}" }).collect();
        examples::apply(&mut standing, engine.evaluate(&seen).changes);
        assert!(engine.gauges().entries <= 9_000, "{:?}", engine.gauges());
    }
    let found: Vec<&Alert> = standing.values().filter(|alert| alert.rule == "then_in").collect();
    assert_eq!(found.iter().map(|alert| alert.events).collect::<Vec<_>>(), [4], "{found:#?}");
}

#[test]
fn a_late_event_that_counts_only_when_later_ones_come_leaves_windows_as_they_are() {
    let seconds = [5400, 5401, 5402, 20, 0, 10, 6400, 6401, 6402, 6500];
    let refusals = seconds.map(|at| event(&Happening { denied: at != 6500, ..refused(0, at, 0) }));
    let mut in_order: Vec<&AuditEvent<'static>> = refusals.iter().collect();
    in_order.sort_by_key(|event| event.time);
    let late: Vec<Vec<&AuditEvent<'static>>> = refusals.iter().map(|event| vec![event]).collect();
    assert_eq!(differences(&standing(&late, None), &standing(&[in_order], None)), []);
}
