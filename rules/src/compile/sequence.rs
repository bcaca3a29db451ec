//! Temporal correlations: which detections occurred together, and in which order.

use super::correlation::{Correlation, Feed};
use super::fields::own;
use crate::field::Field;
use crate::matcher::{broken, parse_condition};
use crate::problem::suggest;
use crate::rule::{Condition, Counted, Op, Presence, Step};
use crate::yaml::{Data, Node, Table};
use rsigma_parser::{ConditionExpr, Quantifier, SelectorPattern, detection_name_matches};

/// Detections that occur together, in any order, or as an expression over their names says.
pub(super) fn temporal(correlation: &Correlation<'_>) -> Option<Condition> {
    need_two(correlation);
    let everything = Presence::And((0..correlation.feeds.len()).map(Presence::Hit).collect());
    let presence = match correlation.table.get("condition") {
        None => Some(everything),
        Some(node) if matches!(node.data, Data::Text(_)) => expression(correlation, node),
        Some(node) => counts_all(correlation, node).then_some(everything),
    };
    presence.map(|presence| holds(Counted::All(over_hits(presence, correlation))))
}

/// Detections that occur one after the other.
pub(super) fn ordered(correlation: &Correlation<'_>) -> Option<Condition> {
    let steps = steps(correlation)?;
    let counts = steps.iter().any(|step| step.at_least > 1);
    if !(counts && correlation.feeds.len() == 1) {
        need_two(correlation);
    }
    if let Some(node) = correlation.table.get("condition")
        && !asks_for_all(correlation, node)
    {
        let message = "temporal_ordered needs every rule once, in the order of `rules`";
        correlation.document.problems.add(node, message, "remove the condition");
    }
    Some(holds(Counted::Ordered(steps)))
}

/// What is said of the rules a correlation names, said of its hits: a correlation among them occurs
/// when one of its hits does.
fn over_hits(presence: Presence, correlation: &Correlation<'_>) -> Presence {
    let each = |all: Vec<Presence>| all.into_iter().map(|inner| over_hits(inner, correlation)).collect();
    match presence {
        Presence::Hit(place) => {
            let mut hits: Vec<Presence> = correlation.hits_of(place).map(Presence::Hit).collect();
            match hits.pop() {
                Some(one) if hits.is_empty() => one,
                last => Presence::Or(hits.into_iter().chain(last).collect()),
            }
        }
        Presence::And(all) => Presence::And(each(all)),
        Presence::Or(any) => Presence::Or(each(any)),
        Presence::AtLeast(number, any) => Presence::AtLeast(number, each(any)),
        Presence::Not(inner) => Presence::Not(Box::new(over_hits(*inner, correlation))),
    }
}

fn holds(of: Counted) -> Condition {
    Condition { of, bounds: vec![(Op::Gte, 1.0)] }
}

fn need_two(correlation: &Correlation<'_>) {
    let written = correlation.table.texts("rules").len();
    if written == 1 {
        let at = correlation.table.get("rules").unwrap_or(correlation.table.node());
        let remedy = "name a second rule, or use `type: event_count`";
        correlation.document.problems.add(at, "a temporal correlation needs two rules", remedy);
    }
}

/// Whether a numeric condition asks for all the rules: what a temporal correlation means anyway.
fn counts_all(correlation: &Correlation<'_>, node: &Node) -> bool {
    let problems = correlation.document.problems;
    let Some(table) = Table::open(node, &["gte"], problems) else { return false };
    let all = i64::try_from(correlation.table.texts("rules").len()).unwrap_or(i64::MAX);
    let met = table.int("gte", 1..=1000) == Some(all);
    if !met {
        let remedy = format!("write `gte: {all}`, or a condition over rule names such as `a and not b`");
        problems.add(node, "a temporal correlation needs all its rules", remedy);
    }
    met
}

/// Whether a condition of a sequence says what a sequence means anyway: as a number, or with all
/// the names (Sigma correlation rules specification 2.1, its schema's own test).
fn asks_for_all(correlation: &Correlation<'_>, node: &Node) -> bool {
    if !matches!(node.data, Data::Text(_)) {
        return counts_all(correlation, node);
    }
    expression(correlation, node).as_ref().is_some_and(is_conjunction)
}

fn is_conjunction(presence: &Presence) -> bool {
    match presence {
        Presence::Hit(_) => true,
        Presence::And(all) => all.iter().all(is_conjunction),
        Presence::Or(_) | Presence::AtLeast(..) | Presence::Not(_) => false,
    }
}

fn expression(correlation: &Correlation<'_>, node: &Node) -> Option<Presence> {
    let problems = correlation.document.problems;
    let text = node.text()?;
    let parsed = match parse_condition(&text) {
        Ok(parsed) => parsed,
        Err(error) => {
            let remedy = "combine rule names with and, or, not";
            problems.add(node, broken(&text, &error), remedy);
            return None;
        }
    };
    let mut used = vec![false; correlation.feeds.len()];
    let presence = Reader { correlation, node }.read(&parsed, &mut used)?;
    for (feed, used) in correlation.feeds.iter().zip(used) {
        if !used {
            let message = format!("the condition does not use `{}`", feed.document.id);
            problems.add(node, message, "name it there, or take it out of `rules`");
        }
    }
    if holds_of(&presence, 0) {
        let remedy = "name a rule that must occur beside those that must not";
        problems.add(node, "the condition holds when nothing happened", remedy);
        return None;
    }
    if !may_hold(&presence, correlation.feeds.len()) {
        let remedy = "look for a rule that must occur and must not";
        problems.add(node, "the condition contradicts itself, whatever happens", remedy);
        return None;
    }
    Some(presence)
}

/// Most rules of which every set is tried.
const TRIED_MAX: usize = 12;

/// Whether some set of the rules meets the condition.
fn may_hold(presence: &Presence, rules: usize) -> bool {
    rules > TRIED_MAX || (0..1_u64 << rules).any(|set| holds_of(presence, set))
}

fn holds_of(presence: &Presence, set: u64) -> bool {
    match presence {
        Presence::Hit(place) => set & (1 << place) != 0,
        Presence::And(all) => all.iter().all(|inner| holds_of(inner, set)),
        Presence::Or(any) => any.iter().any(|inner| holds_of(inner, set)),
        Presence::AtLeast(number, any) => any.iter().filter(|inner| holds_of(inner, set)).count() >= *number,
        Presence::Not(inner) => !holds_of(inner, set),
    }
}

struct Reader<'r, 's> {
    correlation: &'r Correlation<'s>,
    node: &'r Node,
}

impl Reader<'_, '_> {
    fn read(&self, expression: &ConditionExpr, used: &mut [bool]) -> Option<Presence> {
        match expression {
            ConditionExpr::And(all) => self.each(all, used).map(Presence::And),
            ConditionExpr::Or(any) => self.each(any, used).map(Presence::Or),
            ConditionExpr::Not(inner) => Some(Presence::Not(Box::new(self.read(inner, used)?))),
            ConditionExpr::Identifier(name) => self.named(name, used),
            ConditionExpr::Selector { quantifier, pattern } => self.selected(quantifier, pattern, used),
        }
    }

    /// Every part is read, so that every unknown name is reported.
    fn each(&self, parts: &[ConditionExpr], used: &mut [bool]) -> Option<Vec<Presence>> {
        let read: Vec<Option<Presence>> = parts.iter().map(|part| self.read(part, used)).collect();
        read.into_iter().collect()
    }

    fn named(&self, name: &str, used: &mut [bool]) -> Option<Presence> {
        let mut feeds = self.correlation.feeds.iter();
        let Some(place) = feeds.position(|feed| feed.document.is_called(name)) else {
            let known: Vec<String> = self.names();
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let message = format!("`{name}` is not among the `rules` of this correlation");
            self.correlation.document.problems.add(self.node, message, suggest(name, &known));
            return None;
        };
        if let Some(used) = used.get_mut(place) {
            *used = true;
        }
        Some(Presence::Hit(place))
    }

    fn selected(
        &self,
        quantifier: &Quantifier,
        pattern: &SelectorPattern,
        used: &mut [bool],
    ) -> Option<Presence> {
        let fits = |name: &str| match pattern {
            // All of `rules` are written out, so none of them is hidden.
            SelectorPattern::Them => true,
            SelectorPattern::Pattern(pattern) => detection_name_matches(pattern, name),
        };
        let feeds = self.correlation.feeds.iter().zip(used).enumerate();
        let fitting = feeds.filter(|(_, (feed, _))| feed.document.names().any(|(name, _)| fits(&name)));
        let hits: Vec<Presence> = fitting
            .map(|(place, (_, used))| {
                *used = true;
                Presence::Hit(place)
            })
            .collect();
        let problems = self.correlation.document.problems;
        match quantifier {
            _ if hits.is_empty() => {
                problems.add(self.node, format!("no rule matches `{pattern}`"), "name one of `rules`");
                None
            }
            Quantifier::Any | Quantifier::Count(1) => Some(Presence::Or(hits)),
            Quantifier::All => Some(Presence::And(hits)),
            Quantifier::Count(number) => match usize::try_from(*number) {
                Ok(number) if number <= hits.len() => Some(Presence::AtLeast(number, hits)),
                Ok(_) | Err(_) => {
                    let message = format!("`{number} of {pattern}` asks for more rules than there are");
                    problems.add(self.node, message, format!("write at most {}", hits.len()));
                    None
                }
            },
        }
    }

    fn names(&self) -> Vec<String> {
        self.correlation.feeds.iter().flat_map(|feed| feed.document.names()).map(|(name, _)| name).collect()
    }
}

/// What each step needs: one event, unless `keywatch.steps` says otherwise.
fn steps(correlation: &Correlation<'_>) -> Option<Vec<Step>> {
    let problems = correlation.document.problems;
    let mask = |place| correlation.hits_of(place).fold(0, |hits, hit| hits | 1 << hit);
    let ordinary = |(place, feed): (usize, &Feed<'_>)| Step {
        hits: mask(place),
        at_least: 1,
        of: None,
        title: feed.title(),
    };
    let mut steps: Vec<Step> = correlation.feeds.iter().enumerate().map(ordinary).collect();
    let extension = correlation.document.extension();
    let Some(node) = extension.as_ref().and_then(|extension| extension.get("steps")) else {
        return Some(steps);
    };
    let Data::Map(entries) = &node.data else {
        problems.add(node, format!("`steps` must be a mapping, not {}", node.kind()), STEP);
        return None;
    };
    let known: Vec<String> = correlation.table.texts("rules").into_iter().map(|(name, _)| name).collect();
    let mut field = None;
    for (key, body) in entries {
        let name = key.text().unwrap_or_default();
        let place = correlation.feeds.iter().position(|feed| feed.document.is_called(&name));
        if let Some(slot) = place.and_then(|place| steps.get_mut(place)) {
            let Some((at_least, of)) = step(correlation, body) else { continue };
            if of.is_some() && *field.get_or_insert_with(|| of.clone()) != of {
                let remedy = "let a `value_count` correlation of the other field be the step";
                problems.add(body, "the steps of a sequence count the values of one field", remedy);
            }
            (slot.at_least, slot.of) = (at_least, of);
        } else if !known.contains(&name) {
            let known: Vec<&str> = known.iter().map(String::as_str).collect();
            let message = format!("the step `{name}` is not among the `rules` of this correlation");
            problems.add(key, message, suggest(&name, &known));
        }
    }
    Some(steps)
}

const STEP: &str = "write `steps: {rule: {distinct: secrets.id, gte: 3}}`";

/// How many a step needs, and of what.
fn step(correlation: &Correlation<'_>, body: &Node) -> Option<(u64, Option<Field>)> {
    let problems = correlation.document.problems;
    let table = Table::open(body, &["distinct", "gte"], problems)?;
    table.need("gte", STEP)?;
    let at_least = table.int("gte", 1..=1_000_000).and_then(|number| u64::try_from(number).ok())?;
    let of = match table.get("distinct") {
        Some(node) => Some(own(&table.text("distinct")?, node, problems)?),
        None => None,
    };
    Some((at_least, of))
}
