//! Running examples: each in an engine of its own that knows one rule and what feeds it.

use super::{Example, Expect, START};
use crate::Seen;
use crate::engine::{Engine, Settings};
use crate::plan::Plan;
use crate::rule::{Hit, Kind, Rule, RuleSet};
use keywatch_event::{Alert, AlertChange, EventTime, Level, Place, Provider};
use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

/// How one example went.
#[derive(Clone, Debug)]
pub struct Outcomes {
    /// The rule.
    pub rule: Arc<str>,
    /// The example.
    pub example: String,
    /// What was wrong; `None` when it passed.
    pub failure: Option<String>,
    /// Whose events the rule spoke about: each provider once.
    pub spoke_of: Vec<Provider>,
    /// The rule's alerts that stand at the end.
    pub alerts: Vec<Alert>,
}

/// How long after the last event of an example its silences are judged, in seconds: a day, so
/// that an example need not say when it ends.
const AFTERWARDS_SECS: i64 = 86_400;

/// Runs every example of every rule, each alone with its rule and what feeds it.
#[must_use]
pub fn run(set: &RuleSet) -> Vec<Outcomes> {
    let plan = Arc::new(Plan::reading(&set.matchers, set.fields().iter()));
    let with_examples = set.rules.iter().filter(|rule| !rule.examples.is_empty());
    with_examples.flat_map(|rule| run_rule(set, &plan, rule)).collect()
}

fn run_rule(set: &RuleSet, plan: &Arc<Plan>, rule: &Rule) -> Vec<Outcomes> {
    let alone = Arc::new(alone(set, rule));
    rule.examples.iter().map(|example| run_one(&alone, plan, rule, example)).collect()
}

/// The rule and the rules that feed it, over the same tables. A risk rule is fed by all.
fn alone(set: &RuleSet, rule: &Rule) -> RuleSet {
    let all = matches!(rule.kind, Kind::Risk(_));
    let mut counted = HashSet::from([Arc::clone(&rule.id)]);
    let mut open = vec![rule];
    while let Some(rule) = open.pop() {
        let through = hits(rule).iter().filter_map(|hit| hit.through.as_ref());
        let new: Vec<&Arc<str>> = through.map(|through| &through.rule).collect();
        let new = new.into_iter().filter(|id| counted.insert(Arc::clone(id)));
        open.extend(new.filter_map(|id| set.rules.iter().find(|other| other.id == *id)));
    }
    let feeds = |other: &&Rule| {
        all || counted.contains(&other.id)
            || (matches!(other.kind, Kind::Classify(_)) && hits(rule).iter().any(|hit| hit.rule == other.id))
    };
    let rules = set.rules.iter().filter(feeds).cloned().collect();
    RuleSet { rules, matchers: set.matchers.clone(), baselines: set.baselines.clone(), notices: Vec::new() }
}

/// What a rule counts.
fn hits(rule: &Rule) -> &[Hit] {
    match &rule.kind {
        Kind::Count(count) => &count.hits,
        Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => &[],
    }
}

fn run_one(set: &Arc<RuleSet>, plan: &Arc<Plan>, rule: &Rule, example: &Example) -> Outcomes {
    let surroundings = Arc::new(example.surroundings.clone());
    let mut engine =
        Engine::planned(Arc::clone(set), Settings { surroundings, ..Settings::default() }, Arc::clone(plan));
    let mut standing = BTreeMap::new();
    let (mut said, mut spoke_of) = (None, Vec::new());
    let place = Place { name: Arc::from("example"), line: 1, record: 0 };
    for example in &example.events {
        let seen = Seen { event: &example.event, place: &place, raw: &example.raw };
        let evaluation = engine.evaluate(&[seen]);
        let matched = evaluation.classified.iter().any(|classified| classified.rules.contains(&rule.id));
        said = said.max(matched.then_some(rule.level));
        spoke_of.extend(matched.then_some(example.event.provider));
        apply(&mut standing, evaluation.changes);
    }
    let last = example.events.iter().map(|example| example.event.time).max();
    let last = last.unwrap_or_else(|| EventTime::from_secs(START));
    apply(&mut standing, engine.tick(last.plus_secs(AFTERWARDS_SECS)).changes);
    let own = standing.into_values().filter(|alert| *alert.rule == *rule.id);
    let own: Vec<Alert> = own.collect();
    let highest = own.iter().map(|alert| alert.level).max();
    let raises = match &rule.kind {
        Kind::Classify(_) => false,
        Kind::Count(count) => count.raises,
        Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => true,
    };
    let failure = failure(example, if raises { highest } else { said }, own.len());
    if raises {
        spoke_of = own.iter().map(|alert| alert.provider).collect();
    }
    spoke_of.sort_unstable();
    spoke_of.dedup();
    Outcomes { rule: Arc::clone(&rule.id), example: example.name.clone(), failure, spoke_of, alerts: own }
}

fn failure(example: &Example, got: Option<Level>, alerts: usize) -> Option<String> {
    let spoken = |level: Option<Level>| level.map_or_else(|| "silence".to_owned(), |level| level.to_string());
    let want = match example.expect {
        Expect::Silence => None,
        Expect::Level(level) => Some(level),
    };
    if got != want {
        return Some(format!("expected {}, got {}", spoken(want), spoken(got)));
    }
    match example.alerts {
        Some(wanted) if wanted != alerts => Some(format!("expected {wanted} alert(s), got {alerts}")),
        _ => None,
    }
}

/// Applies alert changes to the alerts that stand, by id.
pub fn apply(standing: &mut BTreeMap<String, Alert>, changes: Vec<AlertChange>) {
    for change in changes {
        match change {
            AlertChange::Opened { alert, .. } => drop(standing.insert(alert.id.0.clone(), alert)),
            AlertChange::Updated { alert, was, .. } => {
                standing.remove(&was.0);
                standing.insert(alert.id.0.clone(), alert);
            }
            AlertChange::Withdrawn { id, .. } => drop(standing.remove(&id.0)),
        }
    }
}
