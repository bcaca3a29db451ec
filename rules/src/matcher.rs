//! Sigma selections and conditions, compiled and evaluated against one event.
//!
//! This is the plain evaluator: it does what the rule says in the order it says it, and is what
//! [`crate::plan`] is held against. Values compare without regard to case unless `cased` is
//! given, `*` and `?` are wildcards (Sigma specification 2.1, "Detection" and "Modifiers").

mod aggregation;
mod encode;
mod item;
mod sense;
mod test;
mod time;
mod value;

pub(crate) use item::{Item, Subject};
pub(crate) use test::{Op, Test};

use crate::field::Normal;
use crate::log_source::{LogSource, Origin};
use crate::problem::nearest;
use crate::view::View;
use crate::yaml::{Data, Node, Problems};
use item::Reader;
use rsigma_parser::{ConditionExpr, Quantifier, SelectorPattern, SigmaParserError, detection_name_matches};

/// Reads a condition. The words between names may be in capitals, as in older rules and in the
/// specification's own examples.
pub(crate) fn parse_condition(text: &str) -> Result<ConditionExpr, SigmaParserError> {
    const WORDS: &[&str] = &["AND", "OR", "NOT", "OF", "ALL", "ANY", "THEM"];
    let each = text.split_inclusive([' ', '\n', '(', ')']).map(|piece| {
        let word = piece.trim_end_matches([' ', '\n', '(', ')']);
        if WORDS.contains(&word) { piece.to_lowercase() } else { piece.to_owned() }
    });
    rsigma_parser::parse_condition(&each.collect::<String>())
}

/// Where a condition that cannot be read breaks off.
pub(crate) fn broken(text: &str, error: &SigmaParserError) -> String {
    let said = error.to_string();
    if said.contains("nesting exceeds") {
        return "the condition cannot be read: its parentheses are nested too deeply".to_owned();
    }
    let place = said.split(" at ").nth(1).and_then(|rest| rest.split(':').nth(1));
    let place: Option<usize> = place.and_then(|column| column.parse().ok());
    let Some(column) = place.filter(|column| *column > 0 && !text.contains('\n')) else {
        return "the condition cannot be read".to_owned();
    };
    let rest: String = text.trim().chars().skip(column - 1).take(40).collect();
    if rest.trim().is_empty() {
        return "the condition cannot be read: it stops where a selection's name is needed".to_owned();
    }
    format!("the condition cannot be read from `{}` on", rest.trim())
}

/// What the names of a filter's selections begin with inside the rule it was added to, so that no
/// name or pattern of the rule's own finds them.
const OF_FILTER: char = '\u{1f}';

/// The selections of one rule, by name, in the order written.
#[derive(Clone, Debug, Default)]
pub struct Selections {
    named: Vec<(String, Selection)>,
    source: LogSource,
}

/// Items that must all hold, in one of several alternatives.
#[derive(Clone, Debug)]
pub(crate) struct Selection {
    pub(crate) any_of: Vec<Vec<Item>>,
}

/// A rule's condition over its selections.
#[derive(Clone, Debug)]
pub struct Matcher {
    pub(crate) selections: Selections,
    pub(crate) condition: ConditionExpr,
    reads_echoes: bool,
}

impl Selections {
    /// Compiles the `detection` mapping without its condition, for events of `source`.
    #[cfg(test)]
    pub(crate) fn compile(detection: &Node, source: &LogSource, problems: &Problems) -> Self {
        Self::compile_but(&["condition", "timeframe"], detection, source, problems)
    }

    /// Compiles a mapping of selections without these `keys`, which are none.
    pub(crate) fn compile_but(
        keys: &[&str],
        detection: &Node,
        source: &LogSource,
        problems: &Problems,
    ) -> Self {
        let Data::Map(entries) = &detection.data else {
            problems.add(detection, format!("selections are a mapping, not {}", detection.kind()), "");
            return Self { named: Vec::new(), source: source.clone() };
        };
        let reader = Reader { source, problems };
        let named = entries.iter().filter_map(|(key, body)| Some((key.text()?, body)));
        let selections = named.filter(|(name, _)| !keys.contains(&name.as_str()));
        let named = selections.map(|(name, body)| (name, reader.selection(body))).collect();
        Self { named, source: source.clone() }
    }

    /// The names, for messages.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.named.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// The log source these selections were written for.
    #[must_use]
    pub const fn source(&self) -> &LogSource {
        &self.source
    }

    /// A matcher for `condition` over these selections; of a list of conditions, one must hold.
    #[must_use]
    pub fn matcher(&self, condition: &Node, problems: &Problems) -> Option<Matcher> {
        let parsed: Vec<Option<ConditionExpr>> =
            condition.items().iter().map(|node| self.parse(node, problems)).collect();
        if parsed.is_empty() {
            problems.add(condition, "the list of conditions is empty", "name at least one selection");
        }
        let mut parsed = parsed.into_iter().collect::<Option<Vec<ConditionExpr>>>()?;
        for (parsed, node) in parsed.iter().zip(condition.items()) {
            self.check_sense(parsed, node, problems);
        }
        let condition = if parsed.len() > 1 { ConditionExpr::Or(parsed) } else { parsed.pop()? };
        let mut used = Vec::new();
        self.used(&condition, &mut used);
        let of_provider = self.source.origin() != Origin::Keywatch;
        let reads_echoes = of_provider || used.iter().any(|selection| selection.names_echo());
        Some(Matcher { selections: self.clone(), condition, reads_echoes })
    }

    fn parse(&self, condition: &Node, problems: &Problems) -> Option<ConditionExpr> {
        let Some(text) = condition.text() else {
            problems.add(condition, "`condition` must be text", "for example `selection and not filter`");
            return None;
        };
        match parse_condition(&text) {
            Ok(parsed) => self.check_names(&parsed, condition, problems).then_some(parsed),
            Err(error) => {
                let counts = aggregation::remedy(&text);
                let message = match &counts {
                    Some(_) => "a condition does not count".to_owned(),
                    None => broken(&text, &error),
                };
                let usual = "combine selection names with and, or, not, `1 of x_*`, `all of them`";
                problems.add(condition, message, counts.unwrap_or_else(|| usual.to_owned()));
                None
            }
        }
    }

    /// Reports a condition that no event can meet, and alternatives in it that none can.
    fn check_sense(&self, condition: &ConditionExpr, at: &Node, problems: &Problems) {
        let mut used = Vec::new();
        self.used(condition, &mut used);
        if !used.iter().all(|selection| selection.is_possible()) {
            // That is told where the selection stands.
            return;
        }
        let parts = if let ConditionExpr::Or(parts) = condition {
            parts.as_slice()
        } else {
            std::slice::from_ref(condition)
        };
        let vain = parts.iter().filter_map(|part| sense::contradiction(self, part));
        let vain: Vec<Vec<String>> = vain.collect();
        let Some(fields) = vain.first() else { return };
        let what = if vain.len() == parts.len() { "this condition" } else { "one of the alternatives here" };
        let message =
            format!("no event can meet {what}: it contradicts itself about `{}`", fields.join("`, `"));
        let remedy = "look for what is asked for and excluded at once, and for two values of one field joined with `and`";
        problems.add(at, message, remedy);
    }

    fn check_names(&self, expr: &ConditionExpr, at: &Node, problems: &Problems) -> bool {
        let known_here = || format!("known here: {}", self.names().join(", "));
        match expr {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => {
                // Every branch is checked, so that every unknown name is reported.
                let unknown = all.iter().filter(|e| !self.check_names(e, at, problems)).count();
                unknown == 0
            }
            ConditionExpr::Not(inner) => self.check_names(inner, at, problems),
            ConditionExpr::Identifier(name) => {
                let known = !self.called(name).is_empty();
                if !known {
                    let near = nearest(name, self.names());
                    let remedy = near.map_or_else(known_here, |n| format!("did you mean `{n}`?"));
                    let message = format!("the condition names `{name}`, which is no selection of this rule");
                    problems.add(at, message, remedy);
                }
                known
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let found = self.matching(pattern).len() as u64;
                if found == 0 {
                    problems.add(at, format!("no selection matches `{pattern}`"), known_here());
                } else if let Quantifier::Count(asked) = quantifier
                    && *asked > found
                {
                    let message =
                        format!("the condition asks for {asked} of `{pattern}`, and there are {found}");
                    problems.add(at, message, format!("ask for at most {found}, or add selections"));
                }
                found > 0
            }
        }
    }

    pub(crate) fn matching(&self, pattern: &SelectorPattern) -> Vec<&Selection> {
        let fits = |name: &str| match pattern {
            SelectorPattern::Them => !name.starts_with(['_', OF_FILTER]),
            SelectorPattern::Pattern(pattern) => {
                pattern.starts_with(OF_FILTER) == name.starts_with(OF_FILTER)
                    && detection_name_matches(pattern, name)
            }
        };
        self.named.iter().filter(|(name, _)| fits(name)).map(|(_, selection)| selection).collect()
    }

    /// The selections a plain name stands for: the one of that name, or with a wildcard in it,
    /// every one it fits, of which one must hold.
    pub(crate) fn called(&self, name: &str) -> Vec<&Selection> {
        let pattern = |known: &str| {
            name.starts_with(OF_FILTER) == known.starts_with(OF_FILTER) && detection_name_matches(name, known)
        };
        let fits = |known: &str| known == name || (name.contains('*') && pattern(known));
        self.named.iter().filter(|(known, _)| fits(known)).map(|(_, selection)| selection).collect()
    }

    fn used<'s>(&'s self, expr: &ConditionExpr, into: &mut Vec<&'s Selection>) {
        match expr {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => all.iter().for_each(|e| self.used(e, into)),
            ConditionExpr::Not(inner) => self.used(inner, into),
            ConditionExpr::Identifier(name) => into.extend(self.called(name)),
            ConditionExpr::Selector { pattern, .. } => into.extend(self.matching(pattern)),
        }
    }
}

impl Matcher {
    /// Whether the event satisfies the condition and is one the rule is about: of its log
    /// source's provider, and no echo unless a selection of the condition names `echo_of`. Rules
    /// for a provider's own log see every record. A rule for a log nobody reads matches nothing.
    #[must_use]
    pub fn matches(&self, view: &View<'_>) -> bool {
        let event = view.event();
        self.source().ingested()
            && self.source().provider().is_none_or(|provider| provider == event.provider)
            && (self.reads_echoes || event.echo_of.is_none())
            && self.holds(view)
    }

    /// The events of both: what this matches and the `filter` lets through. `number` tells filters
    /// of one rule apart.
    pub(crate) fn filtered(mut self, filter: Self, number: usize) -> Self {
        let renamed = filter.selections.named.into_iter().map(|(name, body)| (inside(number, &name), body));
        self.selections.named.extend(renamed);
        let condition = renamed_in(filter.condition, number);
        self.condition = ConditionExpr::And(vec![self.condition, condition]);
        self
    }

    /// Whether the condition holds of the event, whatever log it comes from.
    #[must_use]
    pub fn holds(&self, view: &View<'_>) -> bool {
        self.eval(&self.condition, view)
    }

    /// The log source the rule was written for.
    #[must_use]
    pub const fn source(&self) -> &LogSource {
        self.selections.source()
    }

    /// Whether echoes can match.
    #[must_use]
    pub const fn reads_echoes(&self) -> bool {
        self.reads_echoes
    }

    /// The lists the condition's items take values from, each once.
    #[must_use]
    pub fn lists(&self) -> Vec<&str> {
        let mut lists: Vec<&str> = self.items().flat_map(Item::lists).collect();
        lists.sort_unstable();
        lists.dedup();
        lists
    }

    /// The normalised fields the condition reads, each once.
    #[must_use]
    pub fn fields(&self) -> Vec<Normal> {
        let mut fields: Vec<Normal> = self.items().flat_map(Item::normals).collect();
        fields.sort_unstable();
        fields.dedup();
        fields
    }

    pub(crate) fn items(&self) -> impl Iterator<Item = &Item> {
        let mut used = Vec::new();
        self.selections.used(&self.condition, &mut used);
        used.into_iter().flat_map(|selection| &selection.any_of).flatten()
    }

    fn eval(&self, expr: &ConditionExpr, view: &View<'_>) -> bool {
        match expr {
            ConditionExpr::And(all) => all.iter().all(|e| self.eval(e, view)),
            ConditionExpr::Or(any) => any.iter().any(|e| self.eval(e, view)),
            ConditionExpr::Not(inner) => !self.eval(inner, view),
            ConditionExpr::Identifier(name) => self.selections.called(name).iter().any(|s| s.matches(view)),
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut found = self.selections.matching(pattern).into_iter();
                match quantifier {
                    Quantifier::Any => found.any(|s| s.matches(view)),
                    Quantifier::All => found.all(|s| s.matches(view)),
                    Quantifier::Count(n) => found.filter(|s| s.matches(view)).count() as u64 >= *n,
                }
            }
        }
    }
}

/// The name, or pattern of names, of a filter's selection inside the rule it is added to. Hidden
/// names, which begin with `_`, stay apart from the others: `them` does not mean them.
fn inside(number: usize, name: &str) -> String {
    let hidden = if name.starts_with('_') { "_" } else { "" };
    format!("{OF_FILTER}{number}{hidden}:{name}")
}

fn renamed_in(condition: ConditionExpr, number: usize) -> ConditionExpr {
    let each = |all: Vec<ConditionExpr>| all.into_iter().map(|inner| renamed_in(inner, number)).collect();
    match condition {
        ConditionExpr::And(all) => ConditionExpr::And(each(all)),
        ConditionExpr::Or(any) => ConditionExpr::Or(each(any)),
        ConditionExpr::Not(inner) => ConditionExpr::Not(Box::new(renamed_in(*inner, number))),
        ConditionExpr::Identifier(name) => ConditionExpr::Identifier(inside(number, &name)),
        ConditionExpr::Selector { quantifier, pattern } => {
            let pattern = match pattern {
                SelectorPattern::Them => inside(number, "*"),
                SelectorPattern::Pattern(pattern) => inside(number, &pattern),
            };
            ConditionExpr::Selector { quantifier, pattern: SelectorPattern::Pattern(pattern) }
        }
    }
}

impl Selection {
    fn matches(&self, view: &View<'_>) -> bool {
        self.any_of.iter().any(|items| items.iter().all(|item| item.matches(view)))
    }

    fn names_echo(&self) -> bool {
        self.any_of.iter().flatten().any(Item::names_echo)
    }
}

#[cfg(test)]
mod tests;
