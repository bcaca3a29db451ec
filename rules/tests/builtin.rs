//! The shipped rules compile, and say what their examples expect.

use keywatch_rules::rule::Kind;
use keywatch_rules::{builtin, compile, examples};

#[test]
fn the_shipped_rules_hold_what_their_examples_promise() {
    let set = compile(builtin().iter().copied()).unwrap_or_else(|problems| {
        panic!("{}", problems.iter().map(ToString::to_string).collect::<Vec<_>>().join("\n"))
    });
    let outcomes = examples::run(&set);
    let failed: Vec<String> = outcomes
        .iter()
        .filter_map(|o| Some(format!("{}, {}: {}", o.rule, o.example, o.failure.as_ref()?)))
        .collect();
    assert!(failed.is_empty(), "{}", failed.join("\n"));
    assert!(outcomes.len() > 40, "only {} examples ran", outcomes.len());
}

#[test]
fn every_shipped_rule_has_a_positive_and_a_near_miss() {
    let set = compile(builtin().iter().copied()).unwrap();
    // The other rules only feed these.
    for rule in set.rules.iter().filter(|rule| rule.id.starts_with("KW-")) {
        let is_of_events = !matches!(rule.kind, Kind::Observed(_));
        let silent = rule.examples.iter().filter(|e| e.expect == examples::Expect::Silence).count();
        // What is noticed about a source has no events; the service's own tests raise it.
        assert!(!is_of_events || silent > 0 && silent < rule.examples.len(), "{}", rule.id);
        assert!(
            !rule.runbook.is_empty() && !rule.tags.is_empty() && !rule.description.is_empty(),
            "{}",
            rule.id
        );
    }
}
