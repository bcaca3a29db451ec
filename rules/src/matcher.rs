//! Sigma selections and conditions, compiled and evaluated against one event.
//!
//! This is the plain evaluator: it does what the rule says in the order it says it. Values
//! compare without regard to case unless `cased` is given, `*` and `?` are wildcards
//! (Sigma specification 2.0, "Detection" and "Value Modifiers").

use crate::view::View;
use crate::field::{Field, Normal};
use crate::log_source::LogSource;
use crate::problem::nearest;
use crate::yaml::{Data, Node, Problems};
use ipnet::IpNet;
use regex::{Regex, RegexBuilder};
use rsigma_parser::{
    ConditionExpr, Modifier, Quantifier, SelectorPattern, SigmaString, SpecialChar, StringPart,
    detection_name_matches, parse_condition, parse_field_spec,
};
use std::net::IpAddr;

/// Largest compiled pattern; keeps hostile expressions from costing memory.
const REGEX_BYTES_MAX: usize = 1 << 20;

/// The modifiers that are evaluated.
const READ: &[Modifier] = &[
    Modifier::Contains,
    Modifier::StartsWith,
    Modifier::EndsWith,
    Modifier::All,
    Modifier::Re,
    Modifier::IgnoreCase,
    Modifier::Multiline,
    Modifier::DotAll,
    Modifier::Cidr,
    Modifier::Cased,
    Modifier::Exists,
    Modifier::FieldRef,
    Modifier::Gt,
    Modifier::Gte,
    Modifier::Lt,
    Modifier::Lte,
];
const MODIFIERS: &str = "modifiers here: contains, startswith, endswith, all, re, i, m, s, cidr, cased, exists, fieldref, gt, gte, lt, lte";

/// The selections of one rule, by name, in the order written.
#[derive(Clone, Debug, Default)]
pub struct Selections(Vec<(String, Selection)>);

/// Items that must all hold, in one of several alternatives.
#[derive(Clone, Debug)]
struct Selection {
    any_of: Vec<Vec<Item>>,
}

#[derive(Clone, Debug)]
struct Item {
    field: Field,
    tests: Vec<Test>,
    /// Whether every test must find a value (`|all`) rather than one of them.
    all: bool,
}

#[derive(Clone, Debug)]
enum Test {
    Text { plain: String, place: TextPlace, cased: bool },
    Regex(Regex),
    Cidr(IpNet),
    Compare(fn(&f64, &f64) -> bool, f64),
    Exists(bool),
    Null,
    SameAs(Field),
}

/// Where in a value a text must stand.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum TextPlace {
    Whole,
    Start,
    End,
    Anywhere,
}

/// A rule's condition over its selections.
#[derive(Clone, Debug)]
pub struct Matcher {
    selections: Selections,
    condition: ConditionExpr,
    reads_echoes: bool,
}

impl Selections {
    /// Compiles the `detection` mapping without its condition.
    #[must_use]
    pub fn compile(detection: &Node, source: &LogSource, problems: &Problems) -> Self {
        let Data::Map(entries) = &detection.data else {
            problems.add(detection, format!("`detection` must be a mapping, not {}", detection.kind()), "");
            return Self::default();
        };
        let named = entries.iter().filter_map(|(key, body)| Some((key.text()?, body)));
        let selections = named.filter(|(name, _)| name != "condition" && name != "timeframe");
        Self(selections.map(|(name, body)| (name, Selection::compile(body, source, problems))).collect())
    }

    /// The names, for messages.
    #[must_use]
    pub fn names(&self) -> Vec<&str> {
        self.0.iter().map(|(name, _)| name.as_str()).collect()
    }

    /// A matcher for `condition` over these selections.
    #[must_use]
    pub fn matcher(&self, condition: &Node, problems: &Problems) -> Option<Matcher> {
        let texts: Vec<String> =
            condition.items().iter().filter_map(Node::text).map(|t| format!("({t})")).collect();
        let Some(text) = (!texts.is_empty()).then(|| texts.join(" or ")) else {
            problems.add(condition, "`condition` must be text", "for example `selection and not filter`");
            return None;
        };
        let parsed = match parse_condition(&text) {
            Ok(parsed) => parsed,
            Err(error) => {
                problems.add(
                    condition,
                    format!("the condition cannot be read: {error}"),
                    "combine selection names with and, or, not, `1 of x_*`, `all of them`",
                );
                return None;
            }
        };
        let known = self.check_names(&parsed, condition, problems);
        let mut used = Vec::new();
        self.used(&parsed, &mut used);
        let reads_echoes = used.iter().any(|selection| selection.names_echo());
        known.then(|| Matcher { selections: self.clone(), condition: parsed, reads_echoes })
    }

    fn check_names(&self, expr: &ConditionExpr, at: &Node, problems: &Problems) -> bool {
        match expr {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => {
                // Every branch is checked, so that every unknown name is reported.
                let unknown = all.iter().filter(|e| !self.check_names(e, at, problems)).count();
                unknown == 0
            }
            ConditionExpr::Not(inner) => self.check_names(inner, at, problems),
            ConditionExpr::Identifier(name) => {
                let known = self.0.iter().any(|(known, _)| known == name);
                if !known {
                    let near = nearest(name, self.names());
                    let remedy = near.map_or_else(
                        || format!("known here: {}", self.names().join(", ")),
                        |n| format!("did you mean `{n}`?"),
                    );
                    problems.add(
                        at,
                        format!("the condition names `{name}`, which is no selection of this rule"),
                        remedy,
                    );
                }
                known
            }
            ConditionExpr::Selector { pattern, .. } => {
                let found = self.matching(pattern).next().is_some();
                if !found {
                    problems.add(
                        at,
                        format!("no selection matches `{pattern}`"),
                        format!("known here: {}", self.names().join(", ")),
                    );
                }
                found
            }
        }
    }

    fn matching<'s>(&'s self, pattern: &'s SelectorPattern) -> impl Iterator<Item = &'s Selection> {
        let fits = move |name: &str| match pattern {
            SelectorPattern::Them => !name.starts_with('_'),
            SelectorPattern::Pattern(pattern) => detection_name_matches(pattern, name),
        };
        self.0.iter().filter(move |(name, _)| fits(name)).map(|(_, selection)| selection)
    }

    fn get(&self, name: &str) -> Option<&Selection> {
        self.0.iter().find(|(known, _)| known == name).map(|(_, selection)| selection)
    }

    fn used<'s>(&'s self, expr: &'s ConditionExpr, into: &mut Vec<&'s Selection>) {
        match expr {
            ConditionExpr::And(all) | ConditionExpr::Or(all) => all.iter().for_each(|e| self.used(e, into)),
            ConditionExpr::Not(inner) => self.used(inner, into),
            ConditionExpr::Identifier(name) => into.extend(self.get(name)),
            ConditionExpr::Selector { pattern, .. } => into.extend(self.matching(pattern)),
        }
    }
}

impl Matcher {
    /// Whether the event satisfies the condition. An echo never does, unless a selection of the
    /// condition names `echo_of`.
    #[must_use]
    pub fn matches(&self, view: &View<'_>) -> bool {
        (self.reads_echoes || view.seen().event.echo_of.is_none()) && self.eval(&self.condition, view)
    }

    fn eval(&self, expr: &ConditionExpr, view: &View<'_>) -> bool {
        match expr {
            ConditionExpr::And(all) => all.iter().all(|e| self.eval(e, view)),
            ConditionExpr::Or(any) => any.iter().any(|e| self.eval(e, view)),
            ConditionExpr::Not(inner) => !self.eval(inner, view),
            ConditionExpr::Identifier(name) => self.selections.get(name).is_some_and(|s| s.matches(view)),
            ConditionExpr::Selector { quantifier, pattern } => {
                let mut found = self.selections.matching(pattern);
                match quantifier {
                    Quantifier::Any => found.any(|s| s.matches(view)),
                    Quantifier::All => found.all(|s| s.matches(view)),
                    Quantifier::Count(n) => found.filter(|s| s.matches(view)).count() as u64 >= *n,
                }
            }
        }
    }
}

impl Selection {
    fn compile(body: &Node, source: &LogSource, problems: &Problems) -> Self {
        Self { any_of: body.items().iter().map(|node| items(node, source, problems)).collect() }
    }

    fn matches(&self, view: &View<'_>) -> bool {
        self.any_of.iter().any(|items| items.iter().all(|item| item.matches(view)))
    }

    fn names_echo(&self) -> bool {
        self.any_of.iter().flatten().any(|item| item.field.is(Normal::EchoOf))
    }
}

fn items(node: &Node, source: &LogSource, problems: &Problems) -> Vec<Item> {
    let Data::Map(entries) = &node.data else {
        return Vec::new();
    };
    entries.iter().filter_map(|(key, value)| item(key, value, source, problems)).collect()
}

fn item(key: &Node, value: &Node, source: &LogSource, problems: &Problems) -> Option<Item> {
    let name = key.text()?;
    let spec = match parse_field_spec(&name) {
        Ok(spec) => spec,
        Err(error) => {
            problems.add(key, format!("`{name}`: {error}"), MODIFIERS);
            return None;
        }
    };
    if spec.name.is_none() {
        return None;
    }
    let field = match Field::parse(spec.name.as_deref().unwrap_or_default(), source) {
        Ok(field) => field,
        Err(remedy) => {
            let name = spec.name.unwrap_or_default();
            problems.add(key, format!("unknown field `{name}`"), remedy);
            return None;
        }
    };
    let values = value.items();
    let tests: Vec<Test> =
        values.iter().filter_map(|value| test(&field, &spec.modifiers, value, source, problems)).collect();
    let all = spec.modifiers.contains(&Modifier::All);
    (tests.len() == values.len()).then_some(Item { field, tests, all })
}

fn test(
    field: &Field,
    modifiers: &[Modifier],
    value: &Node,
    source: &LogSource,
    problems: &Problems,
) -> Option<Test> {
    let has = |modifier| modifiers.contains(&modifier);
    let refuse = |message: String, remedy: &str| {
        problems.add(value, message, remedy);
        None
    };
    if has(Modifier::Exists) {
        let Data::Bool(wanted) = value.data else {
            return refuse("`exists` takes true or false".to_owned(), "");
        };
        return Some(Test::Exists(wanted));
    }
    if matches!(value.data, Data::Null) {
        return Some(Test::Null);
    }
    let Some(text) = value.text() else {
        return refuse(format!("a value must be text, a number or null, not {}", value.kind()), "");
    };
    let unread = |modifier: &&Modifier| !READ.contains(modifier);
    if let Some(modifier) = modifiers.iter().find(unread) {
        return refuse(
            format!("the modifier `{}` is not evaluated yet", format!("{modifier:?}").to_lowercase()),
            MODIFIERS,
        );
    }
    if has(Modifier::Re) {
        return regex(&text, modifiers, value, problems).map(Test::Regex);
    }
    if has(Modifier::Cidr) {
        return cidr(&text).map(Test::Cidr).or_else(|| {
            refuse(format!("`{text}` is no network"), "write it as 192.0.2.0/24 or 2001:db8::/32")
        });
    }
    if has(Modifier::FieldRef) {
        return Field::parse(&text, source).map_or_else(
            |remedy| refuse(format!("unknown field `{text}`"), &remedy),
            |other| Some(Test::SameAs(other)),
        );
    }
    if let Some(op) = modifiers.iter().copied().find_map(comparison) {
        let number = text.parse().ok().map(|number| Test::Compare(op, number));
        return number.or_else(|| refuse(format!("`{text}` is no number"), "comparisons take a number"));
    }
    check_closed(field, modifiers, &text, value, problems);
    text_test(&text, modifiers, value, problems)
}

/// How a comparison modifier compares a value with its bound.
fn comparison(modifier: Modifier) -> Option<fn(&f64, &f64) -> bool> {
    let found = [
        (Modifier::Gt, f64::gt as fn(&f64, &f64) -> bool),
        (Modifier::Gte, f64::ge),
        (Modifier::Lt, f64::lt),
        (Modifier::Lte, f64::le),
    ];
    found.into_iter().find(|(known, _)| *known == modifier).map(|(_, compare)| compare)
}

/// A value outside a closed vocabulary can never match: that is a slip, and said so.
fn check_closed(field: &Field, modifiers: &[Modifier], text: &str, value: &Node, problems: &Problems) {
    let known = match field {
        Field::Normal(Normal::Class) => keywatch_event::Class::NAMES,
        Field::Normal(Normal::Outcome) => keywatch_event::Outcome::NAMES,
        Field::Normal(Normal::Provider) => keywatch_event::Provider::NAMES,
        Field::Normal(Normal::SourceKind) => keywatch_event::SourceKind::NAMES,
        Field::Normal(Normal::PrincipalKind) => keywatch_event::PrincipalKind::NAMES,
        Field::Normal(_) | Field::Raw(_) => return,
    };
    if modifiers.is_empty() && !text.contains(['*', '?']) && !known.contains(&text) {
        problems.add(value, format!("`{text}` can never match here"), crate::problem::suggest(text, known));
    }
}

fn regex(text: &str, modifiers: &[Modifier], value: &Node, problems: &Problems) -> Option<Regex> {
    let has = |modifier| modifiers.contains(&modifier);
    let built = RegexBuilder::new(text)
        .case_insensitive(has(Modifier::IgnoreCase))
        .multi_line(has(Modifier::Multiline))
        .dot_matches_new_line(has(Modifier::DotAll))
        .size_limit(REGEX_BYTES_MAX)
        .build();
    match built {
        Ok(regex) => Some(regex),
        Err(error) => {
            problems.add(value, format!("the regular expression cannot be used: {error}"), "");
            None
        }
    }
}

fn cidr(text: &str) -> Option<IpNet> {
    text.parse().ok().or_else(|| text.parse::<IpAddr>().ok().map(IpNet::from))
}

/// A text with wildcards: the common forms compare directly, the others become an expression,
/// whose time is linear in the value.
fn text_test(text: &str, modifiers: &[Modifier], value: &Node, problems: &Problems) -> Option<Test> {
    let cased = modifiers.contains(&Modifier::Cased);
    let parts = glob(text, modifiers);
    let text = |plain: &str, place| {
        let plain = if cased { plain.to_owned() } else { plain.to_lowercase() };
        Some(Test::Text { plain, place, cased })
    };
    let star = StringPart::Special(SpecialChar::WildcardMulti);
    match parts.as_slice() {
        [] => text("", TextPlace::Whole),
        [StringPart::Plain(plain)] => text(plain, TextPlace::Whole),
        [StringPart::Plain(plain), end] if *end == star => text(plain, TextPlace::Start),
        [start, StringPart::Plain(plain)] if *start == star => text(plain, TextPlace::End),
        [start, StringPart::Plain(plain), end] if *start == star && *end == star => {
            text(plain, TextPlace::Anywhere)
        }
        parts => {
            let pieces = parts.iter().map(|part| match part {
                StringPart::Plain(plain) => regex::escape(plain),
                StringPart::Special(SpecialChar::WildcardMulti) => ".*".to_owned(),
                StringPart::Special(SpecialChar::WildcardSingle) => ".".to_owned(),
            });
            let pattern = format!("^{}$", pieces.collect::<String>());
            let mut flags = vec![Modifier::DotAll];
            flags.extend((!cased).then_some(Modifier::IgnoreCase));
            regex(&pattern, &flags, value, problems).map(Test::Regex)
        }
    }
}

fn glob(text: &str, modifiers: &[Modifier]) -> Vec<StringPart> {
    let star = || StringPart::Special(SpecialChar::WildcardMulti);
    let mut parts = SigmaString::new(text).parts;
    let has = |modifier| modifiers.contains(&modifier);
    if (has(Modifier::Contains) || has(Modifier::EndsWith)) && parts.first() != Some(&star()) {
        parts.insert(0, star());
    }
    if (has(Modifier::Contains) || has(Modifier::StartsWith)) && parts.last() != Some(&star()) {
        parts.push(star());
    }
    parts
}

impl Item {
    fn matches(&self, view: &View<'_>) -> bool {
        let holds = |test: &Test| test.holds(&self.field, view);
        if self.all { self.tests.iter().all(holds) } else { self.tests.iter().any(holds) }
    }
}

impl Test {
    fn holds(&self, field: &Field, view: &View<'_>) -> bool {
        match self {
            Self::Exists(wanted) => field.any(view, &mut |_| true) == *wanted,
            Self::Null => !field.any(view, &mut |value| !value.is_empty()),
            Self::SameAs(other) => {
                let others = other.values(view);
                field.any(view, &mut |value| others.iter().any(|other| other == value))
            }
            Self::Text { .. } | Self::Regex(_) | Self::Cidr(_) | Self::Compare(..) => {
                field.any(view, &mut |value| self.fits(value))
            }
        }
    }

    fn fits(&self, value: &str) -> bool {
        match self {
            Self::Text { plain, place: TextPlace::Whole, cased: false } if value.is_ascii() => {
                plain.eq_ignore_ascii_case(value)
            }
            Self::Text { plain, place, cased: true } => place.holds(plain, value),
            Self::Text { plain, place, cased: false } => place.holds(plain, &value.to_lowercase()),
            Self::Regex(regex) => regex.is_match(value),
            Self::Cidr(net) => value.parse::<IpAddr>().is_ok_and(|ip| net.contains(&ip)),
            Self::Compare(compare, bound) => value.parse::<f64>().is_ok_and(|number| compare(&number, bound)),
            Self::Exists(_) | Self::Null | Self::SameAs(_) => false,
        }
    }
}

impl TextPlace {
    fn holds(self, plain: &str, value: &str) -> bool {
        match self {
            Self::Whole => value == plain,
            Self::Start => value.starts_with(plain),
            Self::End => value.ends_with(plain),
            Self::Anywhere => value.contains(plain),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::yaml::parse;

    #[track_caller]
    fn check(rule: &str, value: &str, want: bool) {
        let problems = Problems::new("r");
        let documents = parse("r", &format!("user_agent{rule}")).unwrap();
        let items = items(&documents[0], &LogSource::default(), &problems);
        assert!(problems.is_empty(), "{rule}");
        let got = items[0].tests.iter().any(|test| test.fits(value));
        assert_eq!(got, want, "{rule} on {value}");
    }

    #[test]
    fn texts_compare_as_sigma_says() {
        check(": aws-CLI", "AWS-cli", true);
        check("|cased: aws-CLI", "AWS-cli", false);
        check(": aws*", "aws-cli/2", true);
        check(": '*cli*'", "AWS-CLI/2", true);
        check(": 'a?s*2'", "aws-cli/2", true);
        check(": 'a?s*3'", "aws-cli/2", false);
        check("|contains: 'a\\*b'", "xa*by", true);
        check("|contains: 'a\\*b'", "xazby", false);
        check("|startswith: É", "éa", true);
        check("|endswith: .com", "x.COM", true);
        check("|re: '^a.+2$'", "aws-cli/2", true);
        check("|re|i: '^AWS'", "aws-cli/2", true);
        check("|gte: 3", "3.5", true);
        check("|lt: 3", "x", false);
        check("|cidr: 10.0.0.0/8", "10.1.2.3", true);
        check("|cidr: 10.0.0.0/8", "11.1.2.3", false);
        check(": ''", "", true);
        check(": '*'", "", true);
    }

    #[test]
    fn many_wildcards_on_a_long_value_take_no_time() {
        check(": '*a*a*a*a*a*a*a*a*a*b'", &"a".repeat(200_000), false);
    }
}
