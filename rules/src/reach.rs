//! What a rule can still find when only some kinds of events reach it.
//!
//! A kind is described by what is known of all its events; whatever is not known may be anything.
//! A condition therefore holds, does not hold, or may hold ([`Truth`]). Only "does not hold" takes
//! a kind away from a rule, so that a rule is never called blind because too little is known.

use crate::blind::works;
use crate::field::{Field, Normal};
use crate::matcher::{Item, Matcher, Selection, Subject, Test};
use crate::rule::{Counted, Hit, Kind, Novel, Rule, RuleSet};
use keywatch_event::Provider;
use rsigma_parser::{ConditionExpr, Quantifier};

/// A kind of events.
#[derive(Clone, Debug)]
pub struct EventKind {
    /// Whose they are.
    pub provider: Provider,
    /// Normalised fields that are known.
    pub normal: Vec<(Normal, Known)>,
    /// Paths of the provider's own record that are known.
    pub raw: Vec<(&'static str, Known)>,
}

/// What is known of a field's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Known {
    /// It is this.
    Is(&'static str),
    /// There is one, and it is none of these.
    NoneOf(Vec<&'static str>),
}

/// Whether a condition holds of an event of which only the kind is known. In ascending order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Truth {
    No,
    Maybe,
    Yes,
}

impl std::ops::Not for Truth {
    type Output = Self;

    fn not(self) -> Self {
        match self {
            Self::No => Self::Yes,
            Self::Maybe => Self::Maybe,
            Self::Yes => Self::No,
        }
    }
}

impl From<bool> for Truth {
    fn from(holds: bool) -> Self {
        if holds { Self::Yes } else { Self::No }
    }
}

/// How much of what a rule says rests on where events come from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Leaning {
    /// Nothing.
    Not,
    /// Some: a condition looks at it.
    Partly,
    /// All: it compares, groups or counts addresses.
    Wholly,
}

/// The fields that say where an event comes from.
const ADDRESSES: &[Normal] = &[
    Normal::SourceIp,
    Normal::SourceKind,
    Normal::SourceRaw,
    Normal::SourceNetwork,
    Normal::SourceAsn,
    Normal::SourceCountry,
];

fn is_address(field: &Field) -> bool {
    matches!(field, Field::Normal(normal) if ADDRESSES.contains(normal))
}

impl RuleSet {
    /// How much of a rule rests on where events come from.
    #[must_use]
    pub fn leans_on_address(&self, rule: &Rule) -> Leaning {
        let counted = match &rule.kind {
            Kind::Count(count) => match &count.condition.of {
                Counted::Distinct(per_hit) => per_hit.iter().flatten().any(is_address),
                Counted::Events
                | Counted::Matching(_)
                | Counted::All(_)
                | Counted::Ordered(_)
                | Counted::Sum(_)
                | Counted::Average(_)
                | Counted::Median(_)
                | Counted::Percentile(..) => false,
            },
            Kind::Classify(_) | Kind::Silence(_) | Kind::Risk(_) | Kind::Observed(_) => false,
        };
        if counted {
            return Leaning::Wholly;
        }
        let of = |hit: &Hit| self.hit_leans(hit);
        match &rule.kind {
            Kind::Classify(hit) => of(hit),
            Kind::Count(count) => {
                let counted = self.of_counted(count, |inner| self.leans_on_address(inner));
                count.hits.iter().map(of).chain(counted.into_iter().flatten()).max().unwrap_or(Leaning::Not)
            }
            Kind::Silence(silence) => of(&silence.hit),
            Kind::Risk(_) | Kind::Observed(_) => Leaning::Not,
        }
    }

    fn hit_leans(&self, hit: &Hit) -> Leaning {
        let baseline = hit.novel.and_then(|novel| self.baselines.get(novel.0));
        let compares = baseline.is_some_and(|baseline| match &baseline.of {
            Novel::Network { .. } => true,
            Novel::Values(fields) => fields.iter().any(is_address),
        });
        if compares || hit.group_by.iter().any(is_address) {
            return Leaning::Wholly;
        }
        let matcher = self.matchers.get(hit.matcher.0);
        let looks =
            matcher.is_some_and(|matcher| matcher.fields().iter().any(|field| ADDRESSES.contains(field)));
        if looks { Leaning::Partly } else { Leaning::Not }
    }

    /// Whether a rule could find something if events of these kinds were all there is. What it takes
    /// besides (lists, databases) is [`RuleSet::blindness`]'s to say. Rules about alerts and about
    /// sources find nothing in events themselves.
    #[must_use]
    pub fn can_find(&self, rule: &Rule, kinds: &[&EventKind]) -> bool {
        let sees = |hit: &Hit| kinds.iter().any(|kind| self.may_meet(hit, kind));
        match &rule.kind {
            Kind::Classify(hit) => sees(hit),
            Kind::Count(count) => {
                let counted = self.of_counted(count, |inner| self.can_find(inner, kinds));
                let seeing = count.hits.iter().zip(counted);
                let seeing: Vec<bool> =
                    seeing.map(|(hit, inner)| sees(hit) && inner.unwrap_or(true)).collect();
                works(&count.condition.of, &seeing)
            }
            Kind::Silence(silence) => sees(&silence.hit),
            Kind::Risk(_) | Kind::Observed(_) => false,
        }
    }

    /// Whether events of this kind may be among those a rule looks for.
    #[must_use]
    pub fn may_hear(&self, rule: &Rule, kind: &EventKind) -> bool {
        match &rule.kind {
            Kind::Classify(hit) => self.may_meet(hit, kind),
            Kind::Count(count) => count.hits.iter().any(|hit| self.may_meet(hit, kind)),
            Kind::Silence(silence) => self.may_meet(&silence.hit, kind),
            Kind::Risk(_) | Kind::Observed(_) => false,
        }
    }

    fn may_meet(&self, hit: &Hit, kind: &EventKind) -> bool {
        let Some(matcher) = self.matchers.get(hit.matcher.0) else { return false };
        let source = matcher.source();
        source.ingested()
            && source.provider().is_none_or(|provider| provider == kind.provider)
            && Reach { matcher, kind }.of(&matcher.condition) != Truth::No
    }
}

struct Reach<'r> {
    matcher: &'r Matcher,
    kind: &'r EventKind,
}

impl Reach<'_> {
    fn of(&self, condition: &ConditionExpr) -> Truth {
        match condition {
            ConditionExpr::And(all) => least(all.iter().map(|inner| self.of(inner))),
            ConditionExpr::Or(any) => greatest(any.iter().map(|inner| self.of(inner))),
            ConditionExpr::Not(inner) => !self.of(inner),
            ConditionExpr::Identifier(name) => {
                let found = self.matcher.selections.called(name);
                greatest(found.into_iter().map(|selection| self.selection(selection)))
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let found = self.matcher.selections.matching(pattern);
                let found = found.into_iter().map(|selection| self.selection(selection));
                match quantifier {
                    Quantifier::Any => greatest(found),
                    Quantifier::All => least(found),
                    Quantifier::Count(wanted) => at_least(*wanted, found),
                }
            }
        }
    }

    fn selection(&self, selection: &Selection) -> Truth {
        greatest(selection.any_of.iter().map(|items| least(items.iter().map(|item| self.item(item)))))
    }

    fn item(&self, item: &Item) -> Truth {
        let Subject::Field(field) = &item.subject else { return Truth::Maybe };
        let Some(known) = self.known(field).filter(|_| item.part.is_none()) else { return Truth::Maybe };
        let tests = item.tests.iter().map(|test| passes(test, known));
        let held = if item.all { least(tests) } else { greatest(tests) };
        if item.negated { !held } else { held }
    }

    fn known(&self, field: &Field) -> Option<&Known> {
        let normal = |wanted: Normal| {
            self.kind.normal.iter().find(|(normal, _)| *normal == wanted).map(|(_, known)| known)
        };
        match field {
            Field::Normal(wanted) => normal(*wanted),
            Field::Raw(raw) => raw.twin.and_then(normal).or_else(|| {
                let has = |path: &str| raw.paths.iter().any(|wanted| **wanted == *path);
                self.kind.raw.iter().find(|(path, _)| has(path)).map(|(_, known)| known)
            }),
        }
    }
}

fn passes(test: &Test, known: &Known) -> Truth {
    match (test, known) {
        (Test::Exists(wanted), _) => Truth::from(*wanted),
        (Test::Null, _) => Truth::No,
        (test, Known::Is(value)) => test.fits_alone(value).map_or(Truth::Maybe, Truth::from),
        (test, Known::NoneOf(others)) => {
            let is_other =
                test.is_literal() && others.iter().any(|value| test.fits_alone(value) == Some(true));
            if is_other { Truth::No } else { Truth::Maybe }
        }
    }
}

fn least(mut truths: impl Iterator<Item = Truth>) -> Truth {
    let mut least = Truth::Yes;
    while least != Truth::No {
        let Some(truth) = truths.next() else { break };
        least = least.min(truth);
    }
    least
}

fn greatest(mut truths: impl Iterator<Item = Truth>) -> Truth {
    let mut greatest = Truth::No;
    while greatest != Truth::Yes {
        let Some(truth) = truths.next() else { break };
        greatest = greatest.max(truth);
    }
    greatest
}

fn at_least(wanted: u64, truths: impl Iterator<Item = Truth>) -> Truth {
    let (mut sure, mut possible) = (0_u64, 0_u64);
    for truth in truths {
        sure += u64::from(truth == Truth::Yes);
        possible += u64::from(truth != Truth::No);
    }
    match (sure >= wanted, possible >= wanted) {
        (true, _) => Truth::Yes,
        (false, true) => Truth::Maybe,
        (false, false) => Truth::No,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::compile;

    fn kind(provider: Provider, class: &'static str, operation: Known) -> EventKind {
        let service = Known::Is("secretsmanager.amazonaws.com");
        EventKind {
            provider,
            normal: vec![
                (Normal::Provider, Known::Is(provider.as_str())),
                (Normal::Service, service),
                (Normal::Class, Known::Is(class)),
                (Normal::Operation, operation),
            ],
            raw: vec![("readOnly", Known::Is("true"))],
        }
    }

    /// Whether the rule can find reads of AWS.
    #[track_caller]
    fn check(source: &str, selections: &str, condition: &str, want: bool) {
        let text = format!(
            "title: T\nlevel: high\nlogsource: {source}\ndetection:\n{selections}\n  condition: {condition}\n"
        );
        let set = compile([("a.yml", text.as_str())]).unwrap_or_else(|problems| panic!("{problems:?}"));
        let reads = kind(Provider::Aws, "secret.read", Known::Is("GetSecretValue"));
        assert_eq!(set.can_find(&set.rules[0], &[&reads]), want, "{text}");
        assert_eq!(set.may_hear(&set.rules[0], &reads), want, "{text}");
        assert!(!set.can_find(&set.rules[0], &[]), "{text}");
    }

    const OURS: &str = "{product: keywatch}";
    const TRAIL: &str = "{product: aws, service: cloudtrail}";

    #[test]
    fn what_is_known_of_a_kind_decides_and_what_is_not_may_be_anything() {
        check(OURS, "  s: {class: secret.read}", "s", true);
        check(OURS, "  s: {class: [secret.delete, secret.re*]}", "s", true);
        check(OURS, "  s: {class: secret.delete}", "s", false);
        check(OURS, "  s: {class: secret.read, outcome: denied}", "s", true);
        check(OURS, "  s: {class: secret.read}", "not s", false);
        check(OURS, "  s: {outcome: denied}", "not s", true);
        check(OURS, "  s: {class|neq: secret.read}", "s", false);
        check(OURS, "  s: {provider: vault}", "s", false);
        check(OURS, "  s: {operation: null}", "s", false);
        check(OURS, "  s: {operation|exists: true}", "s", true);
        check(OURS, "  s: {raw.readOnly: \"false\"}", "s", false);
        check(OURS, "  a: {class: secret.read}\n  b: {class: export}", "2 of them", false);
        check(OURS, "  a: {class: secret.read}\n  b: {region: eu-west-1}", "all of them", true);
    }

    #[test]
    fn a_rule_for_the_providers_own_log_is_read_in_its_words() {
        check(TRAIL, "  s: {eventName: GetSecretValue}", "s", true);
        check(TRAIL, "  s: {eventName: DeleteSecret}", "s", false);
        check(TRAIL, "  s: {eventSource: kms.amazonaws.com}", "s", false);
        check(TRAIL, "  s: {eventSource|endswith: .amazonaws.com, sourceIPAddress: 192.0.2.1}", "s", true);
        check("{product: azure}", "  s: {operationName: SecretGet}", "s", false);
    }

    #[test]
    fn a_rule_leans_on_addresses_when_it_compares_or_groups_by_them() {
        let set = compile(crate::builtin().iter().copied()).unwrap_or_else(|p| panic!("{p:?}"));
        let of = |id: &str| {
            let rule = set.rules.iter().find(|rule| *rule.id == *id).expect("a shipped rule");
            set.leans_on_address(rule)
        };
        assert_eq!((of("KW-002"), of("KW-004")), (Leaning::Wholly, Leaning::Not));
        assert_eq!(of("KW-130"), Leaning::Partly);
    }

    #[test]
    fn a_value_that_is_none_of_those_known_may_be_any_other() {
        let text = |operation: &str| {
            format!("title: T\nlevel: high\ndetection:\n  s: {{operation: {operation}}}\n  condition: s\n")
        };
        let others = kind(Provider::Aws, "other", Known::NoneOf(vec!["GetSecretValue"]));
        for (operation, want) in
            [("GetSecretValue", false), ("PutThing", true), ("Get*", true), ("\"*\"", true)]
        {
            let set = compile([("a.yml", text(operation).as_str())]).unwrap_or_else(|p| panic!("{p:?}"));
            assert_eq!(set.can_find(&set.rules[0], &[&others]), want, "{operation}");
        }
    }
}
