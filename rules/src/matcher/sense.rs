//! What no event can meet: tests that exclude each other, however a condition joins them.
//!
//! A rule whose condition nothing can meet is a mistake its writer would never hear of. What is not
//! certain counts as possible here, so that no rule is refused that may match: texts that compare with
//! regard to case, regular expressions and lists exclude nothing but themselves, and of a field that may
//! have several values two of them may be asked for.

mod exclusion;

use super::{Item, Matcher, Selection, Selections, Subject, Test};
use crate::field::Field;
use exclusion::Facts;
use rsigma_parser::{ConditionExpr, Quantifier};

/// Steps of one search after which a condition counts as possible: one that can be met is met
/// within a few more steps than it has items, and the largest published one has some hundred.
const STEPS_MAX: usize = 2_000;
/// Alternatives within alternatives after which it does.
const DEPTH_MAX: usize = 200;
/// Most fields named of a condition that cannot be met.
const NAMED_MAX: usize = 3;

/// Whether an event may have all of these at once.
pub(super) fn are_possible<'m>(items: impl IntoIterator<Item = &'m Item>) -> bool {
    let mut facts = Facts::default();
    items.into_iter().all(|item| facts.add(item, true))
}

/// The fields about which the condition contradicts itself, when no event can meet it.
pub(super) fn contradiction(selections: &Selections, condition: &ConditionExpr) -> Option<Vec<String>> {
    let mut search = Search { selections, steps: 0, clashes: Vec::new() };
    let goals = vec![Goal::Meets(condition, true)];
    (!search.solve(goals, Facts::default(), 0)).then_some(search.clashes)
}

impl Matcher {
    /// Whether none of the events it matches can have a value of the field. One that matches nothing
    /// was told of already.
    pub(crate) fn never_has(&self, field: &Field) -> bool {
        let there = Item {
            subject: Subject::Field(field.clone()),
            tests: vec![Test::Exists(true)],
            all: false,
            negated: false,
            part: None,
        };
        let mut search = Search { selections: &self.selections, steps: 0, clashes: Vec::new() };
        let goals = vec![Goal::Meets(&self.condition, true), Goal::Has(&there, true)];
        !search.solve(goals, Facts::default(), 0)
            && contradiction(&self.selections, &self.condition).is_none()
    }
}

impl Selection {
    /// Whether an event may fit it.
    pub(super) fn is_possible(&self) -> bool {
        self.any_of.iter().any(are_possible)
    }
}

/// What is still to be met, or with `false` not to be.
#[derive(Clone, Debug)]
enum Goal<'m> {
    Meets(&'m ConditionExpr, bool),
    Fits(&'m Selection, bool),
    HasAll(&'m [Item], bool),
    Has(&'m Item, bool),
    /// One of these.
    One(Vec<Goal<'m>>),
}

struct Search<'m> {
    selections: &'m Selections,
    steps: usize,
    /// The fields at which it had to turn back.
    clashes: Vec<String>,
}

impl<'m> Search<'m> {
    /// Whether all goals may be met beside what is known. What is certain is looked at first, then the
    /// choice with the fewest alternatives.
    fn solve(&mut self, mut goals: Vec<Goal<'m>>, mut facts: Facts<'m>, depth: usize) -> bool {
        let mut choices: Vec<Vec<Goal<'m>>> = Vec::new();
        while let Some(goal) = goals.pop() {
            self.steps += 1;
            if self.steps > STEPS_MAX || depth > DEPTH_MAX {
                return true;
            }
            if let Goal::Has(item, holds) = goal {
                if !facts.add(item, holds) {
                    self.note(item);
                    return false;
                }
                continue;
            }
            match self.parts(&goal) {
                (parts, true) => goals.extend(parts),
                (mut parts, false) if parts.len() == 1 => goals.append(&mut parts),
                (parts, false) => choices.push(parts),
            }
        }
        let fewest = choices.iter().enumerate().min_by_key(|(_, parts)| parts.len()).map(|(at, _)| at);
        let Some(fewest) = fewest else { return true };
        let choice = choices.swap_remove(fewest);
        let left: Vec<Goal<'m>> = choices.into_iter().map(Goal::One).collect();
        choice.into_iter().any(|part| {
            let goals = left.iter().cloned().chain([part]).collect();
            self.solve(goals, facts.clone(), depth + 1)
        })
    }

    /// What a goal consists of, and whether every part of it is needed, or one.
    fn parts(&self, goal: &Goal<'m>) -> (Vec<Goal<'m>>, bool) {
        let fits = |found: Vec<&'m Selection>, holds: bool| -> Vec<Goal<'m>> {
            found.into_iter().map(|selection| Goal::Fits(selection, holds)).collect()
        };
        match *goal {
            Goal::One(ref parts) => (parts.clone(), false),
            Goal::Meets(ConditionExpr::And(parts), holds) => {
                (parts.iter().map(|part| Goal::Meets(part, holds)).collect(), holds)
            }
            Goal::Meets(ConditionExpr::Or(parts), holds) => {
                (parts.iter().map(|part| Goal::Meets(part, holds)).collect(), !holds)
            }
            Goal::Meets(ConditionExpr::Not(inner), holds) => (vec![Goal::Meets(inner, !holds)], true),
            Goal::Meets(ConditionExpr::Identifier(name), holds) => {
                (fits(self.selections.called(name), holds), !holds)
            }
            Goal::Meets(ConditionExpr::Selector { quantifier, pattern }, holds) => {
                let found = self.selections.matching(pattern);
                match quantifier {
                    Quantifier::Any | Quantifier::Count(1) => (fits(found, holds), !holds),
                    Quantifier::All => (fits(found, holds), holds),
                    // Some of several: nothing is certain of any of them.
                    Quantifier::Count(_) => (Vec::new(), true),
                }
            }
            Goal::Fits(selection, holds) => {
                (selection.any_of.iter().map(|items| Goal::HasAll(items, holds)).collect(), !holds)
            }
            Goal::HasAll(items, holds) => (items.iter().map(|item| Goal::Has(item, holds)).collect(), holds),
            Goal::Has(..) => (vec![goal.clone()], true),
        }
    }

    fn note(&mut self, item: &Item) {
        let name = match &item.subject {
            Subject::Field(Field::Normal(normal)) => normal.as_str().to_owned(),
            Subject::Field(field @ Field::Raw(_)) => field.paths().next().unwrap_or_default().to_owned(),
            Subject::Anywhere => "keywords".to_owned(),
        };
        if self.clashes.len() < NAMED_MAX && !self.clashes.contains(&name) {
            self.clashes.push(name);
        }
    }
}

#[cfg(test)]
mod tests;
