//! Correlations of correlations (Sigma correlation rules specification 2.1: `rules` "refers to one or
//! multiple Sigma or Correlations rules").
//!
//! What a correlation counts of another are events at which the other's condition is met. Which
//! detections those come from, and what the fields of its own mean in each, is found here; so are
//! circles, and chains that are too long or too wide.

use super::correlation::aliased;
use super::detection::Detected;
use super::document::{Document, Shape};
use super::scope::{Scope, Tables};
use crate::blind::blind_count;
use crate::rule::{Count, Hit, Kind, Rule};
use crate::yaml::Node;
use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;

/// Most correlations between an alert and a detection, the one that raises among them. Each looks
/// again at what a late event changes below it.
pub(super) const LINKS_MAX: usize = 8;
/// Most ways from a correlation to detections: a bit for each in what an event matched.
pub(super) const ROUTES_MAX: usize = 64;
/// Most documents looked at to find them: a chain without detections has no ways, and many turns.
const TURNS_MAX: usize = 4096;

/// A way from a correlation to a detection it counts.
#[derive(Clone, Debug)]
pub(super) struct Route<'s> {
    pub(super) detected: &'s Detected<'s>,
    /// The correlations in between, the outermost first.
    between: Vec<&'s Document<'s>>,
}

/// Why a chain cannot be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Broken {
    /// It comes back to the correlation that begins it.
    Circle,
    /// More than [`LINKS_MAX`] correlations follow one another.
    Long,
}

impl Broken {
    /// What is wrong, and the remedy.
    pub(super) fn said(self) -> (String, &'static str) {
        match self {
            Self::Circle => (
                "this correlation counts itself, by way of the one it names".to_owned(),
                "let one of them name the detections themselves",
            ),
            Self::Long => (
                format!("more than {LINKS_MAX} correlations follow one another"),
                "name what lies nearer to the detections",
            ),
        }
    }
}

impl Route<'_> {
    /// The field that a name means at its end: an alias of a correlation in between stands for what
    /// that says.
    pub(super) fn resolved(&self, name: &str) -> String {
        let mut name = name.to_owned();
        for (at, correlation) in self.between.iter().enumerate() {
            let next = self.between.get(at + 1).copied().unwrap_or(self.detected.document);
            if let Some(meant) = aliased(correlation, &name, next) {
                name = meant;
            }
        }
        name
    }
}

/// Every way from the document at `place` to a detection, [`ROUTES_MAX`] and one at most.
pub(super) fn routes<'s>(place: usize, scope: &Scope<'s>) -> Vec<Route<'s>> {
    let mut walk = Walk { scope, routes: Vec::new(), turns: 0 };
    walk.follow(place, &mut Vec::new());
    walk.routes
}

struct Walk<'w, 's> {
    scope: &'w Scope<'s>,
    routes: Vec<Route<'s>>,
    turns: usize,
}

impl<'s> Walk<'_, 's> {
    fn follow(&mut self, place: usize, between: &mut Vec<&'s Document<'s>>) {
        self.turns += 1;
        let is_over = self.routes.len() > ROUTES_MAX || self.turns > TURNS_MAX;
        if is_over || between.len() >= LINKS_MAX {
            return;
        }
        if let Some(detected) = self.scope.detected(place) {
            self.routes.push(Route { detected, between: between.clone() });
        }
        let Some(document) = self.scope.documents.get(place) else { return };
        between.push(document);
        for named in counted(place, self.scope) {
            self.follow(named, between);
        }
        between.pop();
    }
}

/// What the correlation at `place` names; nothing when it is none.
fn counted(place: usize, scope: &Scope<'_>) -> Vec<usize> {
    let Some(Shape::Correlation(correlation)) = scope.documents.get(place).map(|document| document.shape)
    else {
        return Vec::new();
    };
    let rules = correlation.get("rules").map(Node::items).unwrap_or_default();
    rules.iter().filter_map(|rule| scope.place(&rule.text()?)).collect()
}

/// Why the correlation `document` cannot count the one at `place`.
pub(super) fn broken(place: usize, document: &Document<'_>, scope: &Scope<'_>) -> Option<Broken> {
    let is_it =
        |at: &usize| scope.documents.get(*at).is_some_and(|found| std::ptr::eq(found.node, document.node));
    let is_correlation =
        |at: &usize| matches!(scope.documents.get(*at).map(|found| found.shape), Some(Shape::Correlation(_)));
    let mut level = BTreeSet::from([place]);
    // The one that counts is a link as well.
    for _ in 1..LINKS_MAX {
        if level.iter().any(is_it) {
            return Some(Broken::Circle);
        }
        let next = level.iter().flat_map(|at| counted(*at, scope)).filter(is_correlation);
        level = next.collect();
        if level.is_empty() {
            return None;
        }
    }
    Some(Broken::Long)
}

/// Sets how long the events of a correlation matter to those that count it, and makes blind what
/// counts only what is.
pub(super) fn settle(rules: &mut [Rule], tables: &Tables) {
    let through = |hit: &Hit| hit.through.as_ref().map(|through| Arc::clone(&through.rule));
    for _ in 0..LINKS_MAX {
        let mut reach: HashMap<Arc<str>, i64> = HashMap::new();
        for rule in rules.iter() {
            let Kind::Count(count) = &rule.kind else { continue };
            for inner in count.hits.iter().filter_map(through) {
                let secs = reach.entry(inner).or_default();
                *secs = rule.kind.span_secs().max(*secs);
            }
        }
        let blind: HashMap<Arc<str>, String> =
            rules.iter().filter_map(|rule| Some((Arc::clone(&rule.id), rule.blind.clone()?))).collect();
        for rule in rules.iter_mut() {
            let Kind::Count(count) = &mut rule.kind else { continue };
            // Whether its condition begins to be met is a matter of one more window before.
            count.feeds_secs = reach.get(&rule.id).map(|secs| secs + count.timespan_secs);
            rule.blind = rule.blind.take().or_else(|| fed_by_blind(count, &blind, tables));
        }
    }
}

fn fed_by_blind(count: &Count, blind: &HashMap<Arc<str>, String>, tables: &Tables) -> Option<String> {
    if count.hits.iter().all(|hit| hit.through.is_none()) {
        return None;
    }
    let reason = |hit: &Hit| {
        let inner = hit.through.as_ref().and_then(|through| blind.get(&through.rule).cloned());
        inner.or_else(|| tables.blindness(hit.matcher))
    };
    blind_count(&count.condition.of, count.hits.iter().map(reason).collect())
}
