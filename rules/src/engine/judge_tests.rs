//! What keeps a baseline from learning.

use super::Raising;
use crate::engine::baseline::Raised;
use crate::engine::{Engine, Settings};
use crate::rule::Baseline;
use crate::{Seen, compile, examples, testing};
use keywatch_event::{AuditEvent, EventTime, Level};
use std::collections::BTreeMap;
use std::sync::Arc;

#[track_caller]
fn check(raising: Raising, at_once: Raised, in_days: Raised) {
    let text = "title: T\nlevel: medium\ndetection: {read: {class: secret.read}, condition: read}\nkeywatch: {first_seen: {of: [secrets.id]}}\n";
    let set = crate::compile([("a.yml", text)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let spec = Baseline { accept_days: 0, ..set.baselines[0].clone() };
    assert_eq!(raising.for_baseline(&spec), at_once, "{raising:?}");
    assert_eq!(raising.for_baseline(&Baseline { accept_days: 3, ..spec }), in_days, "{raising:?}");
}

#[test]
fn what_rules_with_a_past_of_their_own_raised_is_news_to_a_baseline_that_accepts_at_once() {
    let (critical, nothing) = (Some(Level::Critical), Raising::default());
    check(nothing, Raised::Nothing, Raised::Nothing);
    check(Raising { novelty: critical, ..nothing }, Raised::Novelty, Raised::Novelty);
    check(Raising { many: critical, ..nothing }, Raised::Novelty, Raised::High);
    check(Raising { measure: critical, ..nothing }, Raised::Novelty, Raised::High);
    check(Raising { measure: Some(Level::Warning), ..nothing }, Raised::Novelty, Raised::Other);
    check(Raising { others: critical, measure: critical, ..nothing }, Raised::High, Raised::High);
    check(
        Raising { others: Some(Level::Warning), novelty: critical, ..nothing },
        Raised::Other,
        Raised::Other,
    );
}

/// How often a secret read every day is told to be new, while `extension` is that of a rule which raises at
/// each of these reads.
fn told_new(extension: &str) -> usize {
    let new = "title: New\nname: new\nlevel: medium\ndetection: {read: {class: secret.read}, condition: read}\n\
        keywatch: {first_seen: {of: [secrets.id], learn: 1d}}\n";
    let every = format!(
        "title: Every\nname: every\nlevel: medium\ndetection: {{read: {{class: secret.read}}, condition: read}}\n{extension}"
    );
    let set = compile([("a.yml", new), ("b.yml", &*every)]).unwrap_or_else(|problems| panic!("{problems:?}"));
    let mut engine = Engine::new(Arc::new(set), Settings::default());
    let mut alerts = BTreeMap::new();
    for day in 0..12_i64 {
        let ordinary = testing::event();
        let time = EventTime::from_secs(1_780_045_500 + day * 86_400);
        let event = AuditEvent { id: format!("e{day}").into(), time, ..ordinary };
        let seen = Seen { event: &event, place: &testing::PLACE, raw: b"{}" };
        examples::apply(&mut alerts, engine.evaluate(&[seen]).changes);
    }
    alerts.values().filter(|alert| alert.rule == "new").count()
}

#[test]
fn what_a_routine_rule_raises_is_learned() {
    assert_eq!(told_new("keywatch: {routine: true}\n"), 0);
    assert!(told_new("") > 5, "{}", told_new(""));
}
