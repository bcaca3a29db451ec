//! What keeps a baseline from learning.

use super::Raising;
use crate::engine::baseline::Raised;
use crate::rule::Baseline;
use keywatch_event::Level;

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
