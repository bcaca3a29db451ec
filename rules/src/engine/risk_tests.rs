//! Joined alerts, held to their promises.

use super::*;
use proptest::prelude::*;

const MUCH: usize = usize::MAX;

fn spec() -> Risk {
    Risk {
        except: vec!["KW-140".into()],
        by: vec![RiskBy::Principal, RiskBy::Source],
        rules_min: 2,
        level_min: Level::High,
        timespan_secs: 3600,
    }
}

fn alert(id: &str, rule: &str, level: Level, at: i64) -> AlertFacts {
    AlertFacts {
        id: AlertId(id.to_owned()),
        rule: rule.into(),
        level,
        opened_at_secs: at,
        principal: Some("p".into()),
        source: None,
        evidence: [crate::engine::words::hashed(id)].into(),
        events: 1,
        bytes: 1,
    }
}

/// Each incident as the alert that completed it and its alerts.
fn told(risks: &Risks, entity: &Entity) -> Vec<String> {
    let tell = |incident: RiskIncident| {
        let ids: Vec<String> = incident.alerts.iter().map(|alert| alert.id.0.clone()).collect();
        format!("{}: {}", incident.completed_by.id.0, ids.join(" "))
    };
    risks.incidents(&spec(), entity).into_iter().map(tell).collect()
}

#[track_caller]
fn check(alerts: &[AlertFacts], expect: &[&str]) {
    let mut risks = Risks::new(100, MUCH);
    alerts.iter().cloned().for_each(|alert| risks.put(alert));
    assert_eq!(told(&risks, &Entity::Principal("p".into())), expect);
}

#[test]
fn two_rules_of_which_one_is_high_are_one_incident() {
    check(&[alert("a", "KW-002", Level::Warning, 0), alert("b", "KW-103", Level::High, 60)], &["b: a b"]);
}

#[test]
fn an_alert_that_only_grows_is_told_to_what_joins_it() {
    let mut risks = Risks::new(100, MUCH);
    let grown = AlertFacts { events: 2, ..alert("a", "KW-102", Level::Critical, 0) };
    for (facts, touched) in [(alert("a", "KW-102", Level::Critical, 0), 1), (grown.clone(), 1), (grown, 0)] {
        risks.put(facts);
        assert_eq!(risks.take_touched().len(), touched);
    }
}

#[test]
fn one_rule_twice_is_none() {
    check(&[alert("a", "KW-103", Level::High, 0), alert("b", "KW-103", Level::High, 60)], &[]);
}

/// The alert shows these events.
fn about(alert: AlertFacts, events: &[&str]) -> AlertFacts {
    let evidence = events.iter().map(|event| crate::engine::words::hashed(event)).collect();
    AlertFacts { evidence, ..alert }
}

#[test]
fn one_thing_that_two_rules_tell_is_no_second_signal() {
    let high = |events: &[&str]| about(alert("a", "KW-113", Level::High, 0), events);
    let other = |events: &[&str]| about(alert("b", "KW-002", Level::Warning, 60), events);
    // All, or most, of what one of them shows is shown by both.
    check(&[high(&["1", "2", "3"]), other(&["1"])], &[]);
    check(&[high(&["1", "2", "3"]), other(&["2", "3", "4"])], &[]);
    // Half of what each shows is its own.
    check(&[high(&["1", "2"]), other(&["2", "3"])], &["b: a b"]);
    check(&[high(&["1", "2", "3", "4"]), other(&["4", "5"])], &["b: a b"]);
    // Of three, the third is about something else.
    let third = about(alert("c", "KW-003", Level::Warning, 120), &["9"]);
    check(&[high(&["1", "2", "3"]), other(&["1"]), third.clone()], &["c: a b c"]);
    // What is left beside the repeated one must be grave.
    let warning = about(alert("a", "KW-113", Level::Warning, 0), &["1"]);
    let grave = about(alert("b", "KW-112", Level::High, 60), &["1"]);
    check(&[warning.clone(), grave], &[]);
    check(&[warning, third], &[]);
}

#[test]
fn two_warnings_are_none() {
    check(&[alert("a", "KW-002", Level::Warning, 0), alert("b", "KW-003", Level::Warning, 60)], &[]);
}

#[test]
fn an_excepted_rule_does_not_count() {
    check(&[alert("a", "KW-002", Level::Warning, 0), alert("b", "KW-140", Level::Critical, 60)], &[]);
}

#[test]
fn both_ends_of_the_timespan_belong_to_it() {
    check(&[alert("a", "KW-002", Level::Warning, 0), alert("b", "KW-103", Level::High, 3600)], &["b: a b"]);
    check(&[alert("a", "KW-002", Level::Warning, 0), alert("b", "KW-103", Level::High, 3601)], &[]);
}

#[test]
fn later_alerts_join_and_a_pause_ends_the_incident() {
    let alerts = [
        alert("a", "KW-002", Level::Warning, 0),
        alert("b", "KW-103", Level::High, 60),
        alert("c", "KW-003", Level::Warning, 3660),
        alert("d", "KW-103", Level::High, 10_000),
        alert("e", "KW-003", Level::Warning, 10_001),
    ];
    check(&alerts, &["b: a b c", "e: d e"]);
}

#[test]
fn an_incident_takes_alerts_for_a_day_and_no_longer() {
    let mut alerts = vec![alert("000", "KW-002", Level::Warning, 0)];
    alerts.extend((1..=25).map(|n| alert(&format!("{n:03}"), "KW-103", Level::High, n * 3600)));
    let mut risks = Risks::new(100, MUCH);
    for alert in alerts {
        risks.put(alert);
    }
    let incidents = risks.incidents(&spec(), &Entity::Principal("p".into()));
    assert_eq!(incidents.len(), 1, "what follows the day is one rule only");
    assert_eq!(incidents[0].alerts.len(), 25);
}

#[test]
fn principal_and_source_each_join_on_their_own() {
    let mut risks = Risks::new(100, MUCH);
    let source = |alert: AlertFacts| AlertFacts { source: Some("192.0.2.1".into()), ..alert };
    risks.put(AlertFacts { principal: None, ..source(alert("a", "KW-002", Level::Warning, 0)) });
    risks.put(source(alert("b", "KW-103", Level::High, 60)));
    assert_eq!(told(&risks, &Entity::Source("192.0.2.1".into())), ["b: a b"]);
    assert!(told(&risks, &Entity::Principal("p".into())).is_empty());
    let mut only_principal = spec();
    only_principal.by = vec![RiskBy::Principal];
    assert!(risks.incidents(&only_principal, &Entity::Source("192.0.2.1".into())).is_empty());
}

#[test]
fn a_principal_and_an_address_of_one_name_are_two_entities() {
    assert_ne!(Entity::Principal("192.0.2.1".into()).key(), Entity::Source("192.0.2.1".into()).key());
}

#[test]
fn only_touched_entities_are_named_and_each_once() {
    let mut risks = Risks::new(100, MUCH);
    let one = alert("a", "KW-002", Level::Warning, 0);
    risks.put(one.clone());
    risks.put(alert("b", "KW-002", Level::Warning, 5));
    assert_eq!(risks.take_touched(), [Entity::Principal("p".into())]);
    risks.put(one.clone());
    assert!(risks.take_touched().is_empty(), "the same facts again are no change");
    risks.remove(&one.id);
    assert_eq!(risks.take_touched().len(), 1);
}

#[test]
fn alerts_are_bounded_and_old_ones_forgotten() {
    let mut risks = Risks::new(50, MUCH);
    for n in 0..500 {
        risks.put(alert(&n.to_string(), "KW-002", Level::Warning, n));
    }
    assert_eq!((risks.len(), risks.evicted()), (50, 450));
    risks.take_touched();
    while risks.first_before(480).is_some() {
        risks.forget_first();
    }
    assert_eq!(risks.len(), 20);
    assert!(risks.take_touched().is_empty());
}

#[test]
fn large_alerts_are_bounded_by_what_they_take() {
    let mut risks = Risks::new(1_000, 10_000);
    for n in 0..500 {
        let bytes = if n % 2 == 0 { 10 } else { 990 };
        risks.put(AlertFacts { bytes, ..alert(&n.to_string(), "KW-002", Level::Warning, n) });
    }
    assert_eq!((risks.len(), risks.evicted()), (20, 480));
    risks.put(AlertFacts { bytes: 20_000, ..alert("huge", "KW-002", Level::Warning, 600) });
    assert_eq!(risks.len(), 0, "what is larger than all that may be held is not held");
}

#[test]
fn one_entity_is_bounded_too() {
    let mut risks = Risks::new(usize::MAX, MUCH);
    for n in 0..1_500 {
        risks.put(alert(&n.to_string(), if n % 2 == 0 { "A" } else { "B" }, Level::High, n));
    }
    let incidents = risks.incidents(&spec(), &Entity::Principal("p".into()));
    assert_eq!(incidents[0].alerts.len(), PER_ENTITY_MAX);
    assert_eq!(risks.evicted(), 500);
}

prop_compose! {
    fn any_alert()(id in 0..12_u8, rule in 0..3_u8, level in 0..3_u8, at in 0..30_i64, other in any::<bool>())
        -> AlertFacts {
        let level = [Level::Warning, Level::High, Level::Critical][usize::from(level)];
        let facts = alert(&format!("{id:02}"), &format!("R{rule}"), level, at * 600);
        AlertFacts { source: other.then(|| "192.0.2.1".into()), ..facts }
    }
}

proptest! {
    #[test]
    fn incidents_are_a_function_of_the_standing_alerts(
        (alerts, shuffled) in prop::collection::vec(any_alert(), 0..12).prop_map(|mut alerts| {
            let mut ids = HashSet::new();
            alerts.retain(|alert| ids.insert(alert.id.clone()));
            alerts
        }).prop_flat_map(|alerts| (Just(alerts.clone()), Just(alerts).prop_shuffle())),
        passing in prop::collection::vec(any_alert(), 0..12),
    ) {
        let mut straight = Risks::new(100, MUCH);
        alerts.iter().cloned().for_each(|alert| straight.put(alert));
        let mut winding = Risks::new(100, MUCH);
        passing.iter().cloned().for_each(|alert| winding.put(alert));
        for alert in &passing {
            winding.remove(&alert.id);
        }
        shuffled.iter().cloned().for_each(|alert| winding.put(alert));
        for entity in [Entity::Principal("p".into()), Entity::Source("192.0.2.1".into())] {
            let incidents = straight.incidents(&spec(), &entity);
            prop_assert_eq!(&incidents, &winding.incidents(&spec(), &entity));
            for incident in &incidents {
                prop_assert!(incident.rules.len() >= 2);
                prop_assert!(incident.alerts.iter().any(|alert| alert.level >= Level::High));
            }
        }
    }
}
