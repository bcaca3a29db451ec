//! What rules of EventBridge leave out.

use super::coverage::{Taken, by_pattern, detail_type_of, source_of};
use crate::doctor::kinds::{self, Kind};
use crate::doctor::{Findings, Lost, Spot, command};
use keywatch_aws::survey::{Rule, State};
use keywatch_event::Provider;
use serde_json::Value;

/// Judges the rules that send to the queue, together.
pub(super) fn judge(rules: &[Rule], region: &str, findings: &mut Findings) {
    let Some(first) = rules.iter().max_by_key(|rule| reach(rule.state)) else {
        return findings.unknown(
            "which rule sends to the queue",
            "events:ListRuleNamesByTarget in the region of the rule",
            format!("no rule of the default bus in {region} has the queue as its target"),
        );
    };
    let patterns: Vec<(&Rule, Value)> = rules.iter().filter_map(read).collect();
    let all = kinds::of(Provider::Aws);
    let on: Vec<&(&Rule, Value)> =
        patterns.iter().filter(|(rule, _)| rule.state != State::Disabled).collect();
    if on.is_empty() {
        return findings.spot(Spot {
            id: "aws.rule-disabled",
            what: "everything".to_owned(),
            why: format!("the rule {} is disabled", first.name),
            mend: vec![put(first, region, &first.pattern)],
            lost: Lost::wholly(all),
        });
    }
    let matched = |kind: &Kind| on.iter().map(|(_, pattern)| by_pattern(pattern, kind)).max();
    // What a rule's state lets through of what its pattern takes.
    let passing = |kind: &Kind| {
        let passes = |rule: &Rule| rule.state != State::Writes || kind.log != "read";
        on.iter().filter(|(rule, _)| passes(rule)).map(|(_, pattern)| by_pattern(pattern, kind)).max()
    };
    let is_taken = |taken: Option<Taken>| taken.is_some_and(|taken| taken != Taken::Nothing);
    let unread: Vec<&'static Kind> =
        all.iter().filter(|kind| is_taken(matched(kind)) && !is_taken(passing(kind))).collect();
    if unread.is_empty() {
        findings.sound("rules pass reads on");
    } else {
        findings.spot(without_reads(unread, &on, region));
    }
    // Events of services nobody names are left out by every sensible rule.
    let lost: Vec<&'static Kind> =
        all.iter().filter(|kind| kind.service.is_some() && !is_taken(matched(kind))).collect();
    if !lost.is_empty() {
        findings.spot(left_out(lost, &on, region));
    }
}

fn without_reads(lost: Vec<&'static Kind>, on: &[&(&Rule, Value)], region: &str) -> Spot {
    let mut services: Vec<&str> = lost.iter().filter_map(|kind| kind.service).collect();
    services.dedup();
    let writing = || on.iter().map(|(rule, _)| rule).filter(|rule| rule.state == State::Writes);
    let names: Vec<&str> = writing().map(|rule| rule.name.as_str()).collect();
    Spot {
        id: "aws.rule-without-reads",
        what: format!("reads, by decryption and of roles taken on too, at {}", services.join(", ")),
        why: format!("the rule {} is in state ENABLED, which passes no read-only events", names.join(", ")),
        mend: writing().map(|rule| put(rule, region, &rule.pattern)).collect(),
        lost: Lost::wholly(lost),
    }
}

/// The states by how much they pass on.
fn reach(state: State) -> u8 {
    match state {
        State::Disabled => 0,
        State::Unknown => 1,
        State::Writes => 2,
        State::All => 3,
    }
}

/// The rule with its pattern; a rule without one (a schedule) brings no events.
fn read(rule: &Rule) -> Option<(&Rule, Value)> {
    Some((rule, serde_json::from_str(&rule.pattern).ok()?))
}

fn left_out(lost: Vec<&'static Kind>, on: &[&(&Rule, Value)], region: &str) -> Spot {
    let mut names: Vec<&str> = Vec::new();
    for kind in &lost {
        let name =
            kind.operation.filter(|_| !is_whole(&lost, kind.service)).or(kind.service).unwrap_or_default();
        if !names.contains(&name) {
            names.push(name);
        }
    }
    let (mend, name) = match on.first() {
        Some((rule, pattern)) => {
            (vec![put(rule, region, &widened(pattern, &lost).to_string())], rule.name.as_str())
        }
        None => (Vec::new(), ""),
    };
    Spot {
        id: "aws.rule-leaves-out",
        what: format!("events of {}", names.join(", ")),
        why: format!("the pattern of the rule {name} does not take them"),
        mend,
        lost: Lost::wholly(lost),
    }
}

fn is_whole(lost: &[&'static Kind], service: Option<&str>) -> bool {
    let of_it = || kinds::of(Provider::Aws).iter().filter(|kind| kind.service == service);
    of_it().all(|kind| kinds::holds(lost, kind))
}

/// The pattern with what it left out: names added to its lists.
fn widened(pattern: &Value, lost: &[&'static Kind]) -> Value {
    let mut pattern = pattern.clone();
    for kind in lost {
        add(&mut pattern, "/source", kind.service.and_then(source_of).as_deref());
        add(&mut pattern, "/detail-type", Some(detail_type_of(kind)));
        add(&mut pattern, "/detail/eventSource", kind.service);
        add(&mut pattern, "/detail/eventName", kind.operation);
        if let Some(Value::Object(detail)) = pattern.pointer_mut("/detail") {
            detail.remove("readOnly");
        }
    }
    pattern
}

/// Adds a word to a list of a pattern, when the pattern has that list.
fn add(pattern: &mut Value, pointer: &str, word: Option<&str>) {
    let (Some(Value::Array(list)), Some(word)) = (pattern.pointer_mut(pointer), word) else { return };
    if !list.iter().any(|one| one == word) {
        list.push(word.into());
    }
}

/// `put-rule` replaces the pattern, so it stands there again.
fn put(rule: &Rule, region: &str, pattern: &str) -> String {
    format!(
        "aws events put-rule --region {} --name {} --state ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS --event-pattern {}",
        command::word(region),
        command::word(&rule.name),
        command::word(pattern)
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::doctor::testing::{blind_rules, ids};

    const EVERYTHING: &str =
        r#"{"detail-type":["AWS API Call via CloudTrail","AWS Console Sign In via CloudTrail"]}"#;

    fn judged(rules: &[(State, &str)]) -> Findings {
        let rule = |(number, (state, pattern)): (usize, &(State, &str))| Rule {
            name: format!("r{number}"),
            state: *state,
            pattern: (*pattern).to_owned(),
        };
        let rules: Vec<Rule> = rules.iter().enumerate().map(rule).collect();
        let mut findings = Findings::default();
        judge(&rules, "eu-west-1", &mut findings);
        findings
    }

    #[test]
    fn a_rule_that_is_merely_enabled_passes_no_reads() {
        let findings = judged(&[(State::Writes, EVERYTHING)]);
        assert_eq!(ids(&findings), ["aws.rule-without-reads"]);
        let blind = blind_rules(Provider::Aws, &findings, "aws.rule-without-reads");
        for rule in ["KW-002", "KW-102", "KW-110"] {
            assert!(blind.contains(&rule.to_owned()), "{rule}: {blind:?}");
        }
        for rule in ["KW-004", "KW-101"] {
            assert!(!blind.contains(&rule.to_owned()), "{rule}: {blind:?}");
        }
        assert!(findings.spots[0].mend[0].contains("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"));
    }

    #[test]
    fn of_several_rules_the_widest_counts() {
        assert!(ids(&judged(&[(State::Writes, EVERYTHING), (State::All, EVERYTHING)])).is_empty());
        assert_eq!(ids(&judged(&[(State::Disabled, EVERYTHING)])), ["aws.rule-disabled"]);
        // Reads of KMS alone come through.
        let keys = r#"{"detail":{"eventSource":["kms.amazonaws.com"]}}"#;
        let findings = judged(&[(State::Writes, EVERYTHING), (State::All, keys)]);
        assert_eq!(ids(&findings), ["aws.rule-without-reads"]);
        assert!(!findings.spots[0].what.contains("kms") && findings.spots[0].what.contains("secretsmanager"));
        assert_eq!(findings.spots[0].mend.len(), 1);
        let findings = judged(&[]);
        assert!(findings.spots.is_empty() && findings.sound.is_empty());
        assert_eq!(findings.unknown.len(), 1);
    }

    #[test]
    fn services_a_pattern_leaves_out_are_named_and_added() {
        let pattern = r#"{"detail-type":["AWS API Call via CloudTrail"],"detail":{"eventSource":["secretsmanager.amazonaws.com","kms.amazonaws.com","ssm.amazonaws.com","sts.amazonaws.com",{"prefix":"cloudtrail."}]}}"#;
        let findings = judged(&[(State::All, pattern)]);
        assert_eq!(ids(&findings), ["aws.rule-leaves-out"]);
        let spot = &findings.spots[0];
        assert_eq!(spot.what, "events of signin.amazonaws.com, iam.amazonaws.com");
        let repaired = spot.mend[0].rsplit_once("--event-pattern ").expect("a pattern").1.trim_matches('\'');
        assert!(ids(&judged(&[(State::All, repaired)])).is_empty(), "{repaired}");
    }

    #[test]
    fn a_pattern_that_takes_reads_off_itself_is_told() {
        let pattern = r#"{"source":[{"prefix":"aws."}],"detail":{"readOnly":[false]}}"#;
        let findings = judged(&[(State::All, pattern)]);
        assert_eq!(ids(&findings), ["aws.rule-leaves-out"]);
        assert!(findings.spots[0].what.contains("GetSecretValue"), "{}", findings.spots[0].what);
    }
}
