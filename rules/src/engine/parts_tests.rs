//! What is told of alerts that other alerts hold.

use super::{ALERTS_MAX, BYTES_MAX, Parts};
use crate::engine::{Engine, Settings};
use crate::examples::apply;
use crate::testing::{PLACE, event, secret};
use crate::{Seen, compile};
use keywatch_event::{Alert, AlertChange, AlertId, AuditEvent, EventTime};
use std::collections::BTreeMap;
use std::sync::Arc;

const RULES: &str = "\
title: Pair
name: pair
detection: {read: {class: secret.read}, condition: read}
level: low
---
title: Two reads
name: two
level: medium
correlation: {type: event_count, rules: [pair], group-by: [principal.id], timespan: 1h, condition: {gte: 2}}
keywatch: {part_of: [four]}
---
title: Four reads
name: four
level: high
correlation: {type: event_count, rules: [pair], group-by: [principal.id], timespan: 1h, condition: {gte: 4}}
";

fn read(n: i64) -> AuditEvent<'static> {
    let time = EventTime::from_secs(1_780_045_500 + n * 60);
    let id = format!("e{n}").into();
    AuditEvent { id, time, received_at: time, secrets: vec![secret(&format!("s{n}"))], ..event() }
}

/// What stands after these events, and what was told on the way.
fn told(order: &[i64]) -> (Vec<String>, Vec<String>) {
    let rules = compile([("a.yml", RULES)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(rules), Settings::default());
    let (mut standing, mut said) = (BTreeMap::new(), Vec::new());
    for n in order {
        let event = read(*n);
        let changes = engine.evaluate(&[Seen { event: &event, place: &PLACE, raw: b"{}" }]).changes;
        said.extend(changes.iter().map(|change| match change {
            AlertChange::Opened { alert, .. } => format!("opened {}", alert.rule),
            AlertChange::Updated { alert, .. } => format!("updated {}", alert.rule),
            AlertChange::Withdrawn { reason, .. } => {
                format!("withdrawn, {}", reason.split(" alert_").next().unwrap_or_default())
            }
        }));
        apply(&mut standing, changes);
    }
    let mut rules: Vec<String> =
        standing.values().map(|alert| format!("{} {}", alert.rule, alert.events)).collect();
    rules.sort();
    (rules, said)
}

#[test]
fn an_alert_is_withdrawn_when_a_greater_one_cites_all_its_events() {
    let (standing, said) = told(&[0, 1, 2, 3]);
    assert_eq!(standing, ["four 4"]);
    assert_eq!(said, ["opened two", "updated two", "opened four", "withdrawn, it is part of"]);
}

#[test]
fn what_stands_does_not_depend_on_the_order_in_which_events_came() {
    for order in [[0, 1, 2, 3], [3, 2, 1, 0], [1, 3, 0, 2], [2, 0, 3, 1]] {
        assert_eq!(told(&order).0, ["four 4"], "{order:?}");
    }
}

#[test]
fn an_alert_that_cites_an_event_more_stays() {
    // The first two reads lie more than an hour before the last four.
    let (standing, _) = told(&[0, 50, 100, 101, 102, 103]);
    assert!(standing.len() == 2 && standing.iter().any(|one| one.starts_with("two")), "{standing:?}");
}

#[test]
fn a_circle_of_parts_is_a_mistake() {
    let circle = RULES.trim_end().to_owned() + "\nkeywatch: {part_of: [two]}\n";
    let problems = compile([("a.yml", circle.as_str())]).err().unwrap_or_default();
    let said: Vec<String> = problems.iter().map(ToString::to_string).collect();
    assert_eq!(
        said,
        ["a.yml:16:22: `two` is itself part of `four`; let the rule that says more be part of nothing"]
    );
}

const START: i64 = 1_780_000_000;

/// An alert about two reads.
fn of_two() -> Alert {
    let rules = compile([("a.yml", RULES)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(rules), Settings::default());
    let (one, other) = (read(0), read(1));
    let seen = [&one, &other].map(|event| Seen { event, place: &PLACE, raw: b"{}" });
    match engine.evaluate(&seen).changes.pop() {
        Some(AlertChange::Opened { alert, .. }) => alert,
        other => panic!("{other:?}"),
    }
}

#[test]
fn alerts_are_remembered_up_to_a_number_and_so_many_bytes_and_the_oldest_go() {
    let rules = compile([("a.yml", RULES)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut parts = Parts::new(&rules);
    let of_two = of_two();
    let open = |parts: &mut Parts, n: usize, text: &str| {
        let mut alert = of_two.clone();
        (alert.id, alert.why.text) = (AlertId(format!("alert_{n}")), text.to_owned());
        alert.last_event_at = EventTime::from_secs(START + i64::try_from(n).unwrap());
        alert.evidence.iter_mut().for_each(|row| row.event = format!("{} of {n}", row.event));
        let newest = Some(alert.last_event_at);
        parts.settle(vec![AlertChange::Opened { alert, hold_secs: 0 }], newest);
        assert!(parts.standing.len() <= ALERTS_MAX && parts.bytes <= BYTES_MAX);
    };
    let many = ALERTS_MAX + 100;
    (0..many).for_each(|n| open(&mut parts, n, ""));
    let oldest = |parts: &Parts| parts.by_age.first().map(|(last, _)| last.secs() - START);
    assert!(parts.standing.len() > ALERTS_MAX / 3, "{}", parts.standing.len());
    assert_eq!(oldest(&parts), i64::try_from(many - parts.standing.len()).ok());
    let text = "w".repeat(100_000);
    (many..many + 400).for_each(|n| open(&mut parts, n, &text));
    assert!((100..200).contains(&parts.standing.len()), "{}", parts.standing.len());
    assert_eq!(parts.citing.len(), 2 * parts.standing.len());
    parts.forget_before(EventTime::from_secs(1_790_000_000));
    assert_eq!((parts.bytes, parts.citing.len(), parts.numbers.len()), (0, 0, 0));
}
