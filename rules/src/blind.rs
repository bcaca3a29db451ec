//! Why a rule can never find anything: its records are not ingested, or the operator did not
//! supply a list or database it cannot do without.
//!
//! A rule that works without it, because only an exception asks for it, is not blind.

use crate::field::{Field, Normal};
use crate::matcher::{Item, Matcher, Selection, Test};
use crate::pattern::Pattern;
use crate::rule::{Count, Counted, Hit, Kind, Presence, Rule, RuleSet};
use crate::surroundings::Surroundings;
use rsigma_parser::{ConditionExpr, Quantifier};
use std::sync::Arc;

impl RuleSet {
    /// Why `rule` can never find anything with what the operator supplies, in one sentence;
    /// `None` when it can.
    #[must_use]
    pub fn blindness(&self, rule: &Rule, around: &Surroundings) -> Option<String> {
        if rule.blind.is_some() {
            return rule.blind.clone();
        }
        let lacks = |hit: &Hit| self.matchers.get(hit.matcher.0).and_then(|found| lacking(found, around));
        match &rule.kind {
            Kind::Classify(hit) => lacks(hit),
            Kind::Count(count) => {
                let counted = self.of_counted(count, |inner| self.blindness(inner, around));
                let reasons = count.hits.iter().zip(counted);
                let reasons = reasons.map(|(hit, inner)| inner.flatten().or_else(|| lacks(hit)));
                blind_count(&count.condition.of, reasons.collect())
            }
            Kind::Silence(silence) => lacks(&silence.hit),
            Kind::Risk(_) | Kind::Observed(_) => None,
        }
    }
}

impl RuleSet {
    /// The answer of each correlation that a rule counts, by hit; each is asked once.
    pub(crate) fn of_counted<T: Clone>(&self, count: &Count, ask: impl Fn(&Rule) -> T) -> Vec<Option<T>> {
        let mut known: Vec<(&Arc<str>, Option<T>)> = Vec::new();
        let mut answers = Vec::new();
        for hit in &count.hits {
            let Some(through) = &hit.through else {
                answers.push(None);
                continue;
            };
            if !known.iter().any(|(id, _)| *id == &through.rule) {
                let rule = self.rules.iter().find(|rule| rule.id == through.rule);
                known.push((&through.rule, rule.map(&ask)));
            }
            let found = known.iter().find(|(id, _)| *id == &through.rule);
            answers.push(found.and_then(|(_, answer)| answer.clone()));
        }
        answers
    }
}

/// Why a count never holds, given for each of its detections why that never matches.
pub(crate) fn blind_count(of: &Counted, reasons: Vec<Option<String>>) -> Option<String> {
    let seeing: Vec<bool> = reasons.iter().map(Option::is_none).collect();
    if works(of, &seeing) { None } else { reasons.into_iter().flatten().next() }
}

/// Whether a count can hold when only the detections that are `seeing` ever occur.
pub(crate) fn works(of: &Counted, seeing: &[bool]) -> bool {
    match of {
        Counted::All(presence) => can_hold(presence, seeing),
        Counted::Ordered(steps) => {
            let sees = |hit: usize| seeing.get(hit).copied().unwrap_or(false);
            steps.iter().all(|step| (0..64).any(|hit| step.hits >> hit & 1 == 1 && sees(hit)))
        }
        Counted::Events
        | Counted::Matching(_)
        | Counted::Distinct(_)
        | Counted::Sum(_)
        | Counted::Average(_)
        | Counted::Median(_)
        | Counted::Percentile(..) => seeing.iter().any(|seeing| *seeing),
    }
}

/// Whether an expression can hold when only the detections that are `seeing` ever occur.
fn can_hold(presence: &Presence, seeing: &[bool]) -> bool {
    match presence {
        Presence::Hit(place) => seeing.get(*place).copied().unwrap_or(false),
        Presence::And(all) => all.iter().all(|inner| can_hold(inner, seeing)),
        Presence::Or(any) => any.iter().any(|inner| can_hold(inner, seeing)),
        Presence::AtLeast(number, any) => {
            any.iter().filter(|inner| can_hold(inner, seeing)).count() >= *number
        }
        Presence::Not(inner) => can_fail(inner, seeing),
    }
}

fn can_fail(presence: &Presence, seeing: &[bool]) -> bool {
    match presence {
        // An event that may occur may also not occur.
        Presence::Hit(_) => true,
        Presence::And(all) => all.iter().any(|inner| can_fail(inner, seeing)),
        Presence::Or(any) => any.iter().all(|inner| can_fail(inner, seeing)),
        Presence::AtLeast(number, any) => {
            any.iter().filter(|inner| can_fail(inner, seeing)).count() + number > any.len()
        }
        Presence::Not(inner) => can_hold(inner, seeing),
    }
}

/// What a matcher lacks to ever match.
fn lacking(matcher: &Matcher, around: &Surroundings) -> Option<String> {
    Lack { matcher, around }.of(&matcher.condition)
}

struct Lack<'l> {
    matcher: &'l Matcher,
    around: &'l Surroundings,
}

impl Lack<'_> {
    fn of(&self, expression: &ConditionExpr) -> Option<String> {
        match expression {
            ConditionExpr::And(all) => all.iter().find_map(|inner| self.of(inner)),
            ConditionExpr::Or(any) => at_least(1, any.iter().map(|inner| self.of(inner))),
            // What is not supplied only makes an exception smaller.
            ConditionExpr::Not(_) => None,
            ConditionExpr::Identifier(name) => self.some(1, &self.matcher.selections.called(name)),
            ConditionExpr::Selector { quantifier, pattern } => {
                let found = self.matcher.selections.matching(pattern);
                let needed = match quantifier {
                    Quantifier::Any => 1,
                    Quantifier::All => found.len(),
                    Quantifier::Count(n) => usize::try_from(*n).unwrap_or(usize::MAX),
                };
                self.some(needed, &found)
            }
        }
    }

    fn some(&self, needed: usize, selections: &[&Selection]) -> Option<String> {
        at_least(needed, selections.iter().map(|selection| self.selection(selection)))
    }

    fn selection(&self, selection: &Selection) -> Option<String> {
        let alternative = |items: &Vec<Item>| items.iter().find_map(|item| self.item(item));
        at_least(1, selection.any_of.iter().map(alternative))
    }

    fn item(&self, item: &Item) -> Option<String> {
        if item.negated {
            return item.missing_list(&self.around.lists).map(|list| format!("needs the list `{list}`"));
        }
        let needed = if item.all { item.tests.len() } else { 1 };
        at_least(needed, item.tests.iter().map(|test| self.test(item.field(), test)))
    }

    fn test(&self, field: Option<&Field>, test: &Test) -> Option<String> {
        if matches!(test, Test::Null | Test::Exists(false)) {
            return None;
        }
        let without_database = match field {
            Some(Field::Normal(Normal::SourceAsn)) => self.around.asn.is_none(),
            Some(Field::Normal(Normal::SourceCountry)) => self.around.country.is_none(),
            Some(Field::Normal(_) | Field::Raw(_)) | None => false,
        };
        if without_database {
            return Some("needs an address database".to_owned());
        }
        let needs_plan = |pattern: &Pattern| pattern.fits("true") && !pattern.fits("false");
        if let (Some(Field::Normal(Normal::Planned)), Test::Text(patterns)) = (field, test)
            && self.around.planned.is_empty()
            && patterns.iter().all(needs_plan)
        {
            return Some("needs an entry under `planned_access`".to_owned());
        }
        let Test::List(list) = test else { return None };
        let values = self.around.lists.get(&list.name).unwrap_or_default();
        values.is_empty().then(|| format!("needs the list `{}`", list.name))
    }
}

/// The first reason, when so many fail that fewer than `needed` are left.
fn at_least(needed: usize, parts: impl Iterator<Item = Option<String>>) -> Option<String> {
    let parts: Vec<Option<String>> = parts.collect();
    let left = parts.iter().filter(|part| part.is_none()).count();
    if left >= needed { None } else { parts.into_iter().flatten().next() }
}

#[cfg(test)]
mod tests {
    use crate::compile;
    use crate::surroundings::{Lists, Surroundings};
    use std::collections::BTreeMap;

    #[track_caller]
    fn check(selections: &str, condition: &str, want: Option<&str>) {
        let text = format!("title: T\nlevel: high\ndetection:\n{selections}\n  condition: {condition}\n");
        let set = compile([("a.yml", text.as_str())]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let blindness = |around: &Surroundings| set.blindness(&set.rules[0], around);
        assert_eq!(blindness(&Surroundings::default()).as_deref(), want, "{text}");
        let lists = BTreeMap::from([("canaries".to_owned(), vec!["prod/bait".to_owned()])]);
        let around = Surroundings { lists: Lists::new(lists), ..Surroundings::default() };
        let supplied = want.filter(|reason| !reason.contains("canaries"));
        assert_eq!(blindness(&around).as_deref(), supplied, "{text}");
    }

    const LISTED: &str = "  listed: {secrets.id|expand: '%canaries%'}\n  read: {class: secret.read}";

    #[test]
    fn a_rule_that_cannot_hold_without_a_list_says_which() {
        let needs = Some("needs the list `canaries`");
        check(LISTED, "listed and read", needs);
        check(LISTED, "all of them", needs);
        check(LISTED, "2 of them", needs);
        check(LISTED, "read and not listed", None);
        check(LISTED, "1 of them", None);
        check(LISTED, "read or listed", None);
        check("  other: {secrets.id|neq|expand: '%canaries%'}", "other", needs);
    }

    #[test]
    fn an_alternative_works_without_the_list_of_another() {
        check("  sel: [{secrets.id|expand: '%canaries%'}, {class: secret.purge}]", "sel", None);
        check(
            "  sel: {secrets.id|expand: '%canaries%', class: secret.purge}",
            "sel",
            Some("needs the list `canaries`"),
        );
    }

    #[test]
    fn a_rule_about_announced_access_needs_an_entry() {
        let needs = Some("needs an entry under `planned_access`");
        check("  sel: {planned: \"true\", class: export}", "sel", needs);
        check("  sel: {class: export}\n  planned: {planned: \"true\"}", "sel and not planned", None);
        check("  sel: {planned: \"false\"}", "sel", None);
    }

    #[test]
    fn shipped_rules_that_need_something_of_the_operators_say_what() {
        let set = compile(crate::builtin().iter().copied()).unwrap_or_else(|problems| panic!("{problems:?}"));
        let blind = |rule: &crate::rule::Rule| {
            let why = set.blindness(rule, &Surroundings::default())?;
            rule.id.starts_with("KW-").then(|| format!("{} {why}", rule.id))
        };
        let mut blind: Vec<String> = set.rules.iter().filter_map(blind).collect();
        blind.sort();
        let (list, plan) = ("needs the list", "needs an entry under `planned_access`");
        let database = "needs an address database";
        assert_eq!(
            blind,
            [
                format!("KW-004p {plan}"),
                format!("KW-101m {list} `automation`"),
                format!("KW-105p {plan}"),
                format!("KW-112m {list} `machine_networks`"),
                format!("KW-112w {list} `aws_ranges`"),
                format!("KW-117 {list} `canaries`"),
                format!("KW-123p {plan}"),
                format!("KW-126p {plan}"),
                format!("KW-129a {list} `automation`"),
                format!("KW-129p {plan}"),
                format!("KW-130 {list} `threat_networks`"),
                format!("KW-130f {list} `threat_networks`"),
                format!("KW-131 {database}"),
                format!("KW-131a {database}"),
                format!("KW-131c {database}"),
            ]
        );
    }

    #[test]
    fn a_rule_about_countries_needs_a_database() {
        check("  sel: {source.country: NL}", "sel", Some("needs an address database"));
        check("  sel: {source.country: null}", "sel", None);
    }
}
