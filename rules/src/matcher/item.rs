//! One item of a selection: a field, what is asked of it, and how a rule writes it.

use super::test::{ListTest, Test, Values};
use super::time::Part;
use super::{Selection, sense, value};
use crate::field::{Field, Normal};
use crate::log_source::LogSource;
use crate::problem::suggest;
use crate::surroundings::{Lists, Surroundings};
use crate::view::View;
use crate::yaml::{Data, Node, Problems};
use rsigma_parser::{Modifier, SigmaParserError, parse_field_spec};

const MODIFIERS: &[&str] = &[
    "contains",
    "startswith",
    "endswith",
    "all",
    "re",
    "i",
    "m",
    "s",
    "cidr",
    "cased",
    "exists",
    "fieldref",
    "gt",
    "gte",
    "lt",
    "lte",
    "neq",
    "base64",
    "base64offset",
    "wide",
    "utf16",
    "utf16le",
    "utf16be",
    "windash",
    "expand",
    "minute",
    "hour",
    "day",
    "week",
    "month",
    "year",
];

/// Items of a mapping before one that are held against it: a published one has forty at most.
const EARLIER_MAX: usize = 200;
const ALTERNATIVES: &str =
    "remove one of them, or make them alternatives: values in a list, or selections joined with `or`";

/// A field and the tests its values must pass.
#[derive(Clone, Debug)]
pub(crate) struct Item {
    pub(crate) subject: Subject,
    pub(crate) tests: Vec<Test>,
    /// Whether every test must find a value (`|all`) rather than one of them.
    pub(crate) all: bool,
    /// Whether the item holds when the tests do not (`|neq`).
    pub(crate) negated: bool,
    /// What is compared instead of the whole value.
    pub(crate) part: Option<Part>,
}

/// What an item looks at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Subject {
    Field(Field),
    /// Every string value of the raw record.
    Anywhere,
}

impl Item {
    pub(crate) fn matches(&self, view: &View<'_>) -> bool {
        match &self.subject {
            Subject::Field(field) => self.holds(&|visit| field.any(view, visit), view),
            Subject::Anywhere => self.holds(&|visit| view.strings().iter().any(|value| visit(value)), view),
        }
    }

    /// Whether the item holds of these values. What is unequal to everything on a list nobody
    /// supplied is not known, so it does not hold.
    pub(crate) fn holds(&self, values: Values<'_>, view: &View<'_>) -> bool {
        if self.negated && self.missing_list(&view.around().lists).is_some() {
            return false;
        }
        let mut each = self.tests.iter().map(|test| test.holds(values, self.part, view));
        let held = if self.all { each.all(|held| held) } else { each.any(|held| held) };
        held != self.negated
    }

    pub(crate) fn field(&self) -> Option<&Field> {
        match &self.subject {
            Subject::Field(field) => Some(field),
            Subject::Anywhere => None,
        }
    }

    /// Every field whose values decide.
    pub(crate) fn read_fields(&self) -> impl Iterator<Item = &Field> {
        let others = self.tests.iter().filter_map(|test| {
            let Test::SameAs(same) = test else { return None };
            Some(&same.other)
        });
        self.field().into_iter().chain(others)
    }

    pub(super) fn normals(&self) -> impl Iterator<Item = Normal> {
        self.read_fields().filter_map(|field| match field {
            Field::Normal(normal) => Some(*normal),
            Field::Raw(_) => None,
        })
    }

    pub(super) fn names_echo(&self) -> bool {
        self.normals().any(|normal| normal == Normal::EchoOf)
    }

    /// The first of its lists, when it asks lists alone and none of them is supplied.
    pub(crate) fn missing_list(&self, supplied: &Lists) -> Option<&str> {
        self.asks_empty_lists(supplied).then(|| self.lists().next()).flatten()
    }

    fn asks_empty_lists(&self, supplied: &Lists) -> bool {
        let is_empty = |name: &str| supplied.get(name).is_none_or(<[String]>::is_empty);
        let asks = |test: &Test| matches!(test, Test::List(ListTest { name, .. }) if is_empty(name));
        self.tests.iter().all(asks)
    }

    /// Whether no event decides: what it asks for was not supplied.
    pub(crate) fn is_settled(&self, around: &Surroundings) -> bool {
        let asks_others = self.tests.iter().any(|test| matches!(test, Test::SameAs(_)));
        let is_absent = match self.field() {
            Some(Field::Normal(Normal::Planned)) => around.planned.is_empty(),
            Some(Field::Normal(Normal::SourceAsn)) => around.asn.is_none(),
            Some(Field::Normal(Normal::SourceCountry)) => around.country.is_none(),
            _ => false,
        };
        is_absent && !asks_others || !self.tests.is_empty() && self.asks_empty_lists(&around.lists)
    }

    pub(super) fn lists(&self) -> impl Iterator<Item = &str> {
        self.tests.iter().filter_map(|test| {
            let Test::List(ListTest { name, .. }) = test else { return None };
            Some(name.as_str())
        })
    }
}

/// Compiles selections of rules for one log source.
pub(super) struct Reader<'r> {
    pub(super) source: &'r LogSource,
    pub(super) problems: &'r Problems,
}

impl Reader<'_> {
    /// A mapping is one alternative, a list several; a bare value is a keyword.
    pub(super) fn selection(&self, body: &Node) -> Selection {
        if body.items().is_empty() {
            self.problems.add(body, "an empty selection never matches", "give it an item or a keyword");
        }
        Selection { any_of: body.items().iter().map(|node| self.alternative(node)).collect() }
    }

    fn alternative(&self, node: &Node) -> Vec<Item> {
        match &node.data {
            Data::Map(entries) => self.items(entries),
            Data::List(_) | Data::Null => {
                let message = format!("a selection holds mappings or keywords, not {}", node.kind());
                self.problems.add(node, message, "write `field: value`");
                Vec::new()
            }
            Data::Bool(_) | Data::Int(_) | Data::Float(_) | Data::Text(_) => {
                self.of(Subject::Anywhere, &[], node).into_iter().collect()
            }
        }
    }

    /// The items of a mapping. One that excludes another is reported where it stands.
    fn items(&self, entries: &[(Node, Node)]) -> Vec<Item> {
        let mut items: Vec<(String, Item)> = Vec::with_capacity(entries.len());
        for (key, value) in entries {
            let Some(item) = self.item(key, value) else { continue };
            let name = key.text().unwrap_or_default();
            let same = |other: &&(String, Item)| other.1.subject == item.subject;
            let others: Vec<&(String, Item)> = items.iter().rev().take(EARLIER_MAX).filter(same).collect();
            let earlier = others.iter().map(|(_, other)| other);
            if !sense::are_possible([&item]) {
                let message = format!("no event has this: `{name}`");
                self.problems.add(key, message, "remove it: such an event cannot be");
            } else if sense::are_possible(earlier.clone()) && !sense::are_possible(earlier.chain([&item])) {
                let with = others.iter().find(|(_, other)| !sense::are_possible([other, &item]));
                let with = with.or(others.first()).map_or("", |(name, _)| name.as_str());
                let message = format!("no event has both `{with}` and `{name}` as written here");
                self.problems.add(key, message, ALTERNATIVES);
            }
            items.push((name, item));
        }
        items.into_iter().map(|(_, item)| item).collect()
    }

    fn item(&self, key: &Node, value: &Node) -> Option<Item> {
        let name = key.text()?;
        let spec = match parse_field_spec(&name) {
            Ok(spec) => spec,
            Err(error) => {
                self.refuse(key, &name, &error);
                return None;
            }
        };
        let subject = match &spec.name {
            None => Subject::Anywhere,
            Some(name) => match Field::parse(name, self.source) {
                Ok(field) => Subject::Field(field),
                Err(remedy) => {
                    self.problems.add(key, format!("unknown field `{name}`"), remedy);
                    return None;
                }
            },
        };
        self.of(subject, &spec.modifiers, value)
    }

    /// Says which modifier is none.
    fn refuse(&self, key: &Node, name: &str, error: &SigmaParserError) {
        let mut written = name.split('|').skip(1);
        let Some(unknown) = written.find(|word| !MODIFIERS.contains(word)) else {
            return self.problems.add(key, format!("`{name}`: {error}"), "write `field|modifier: value`");
        };
        let message = match unknown {
            "" => format!("`{name}` has a `|` and no modifier behind it"),
            _ => format!("`{unknown}` in `{name}` is no modifier"),
        };
        self.problems.add(key, message, suggest(unknown, MODIFIERS));
    }

    fn of(&self, subject: Subject, modifiers: &[Modifier], value: &Node) -> Option<Item> {
        let has = |modifier| modifiers.contains(&modifier);
        let values = value.items();
        if values.is_empty() {
            self.problems.add(value, "an empty list never matches", "give it a value");
            return None;
        }
        let reader = value::Reader::new(&subject, modifiers, self);
        let tests: Vec<Test> = values.iter().filter_map(|value| reader.test(value)).collect();
        let is_whole = tests.len() == values.len();
        let part = modifiers.iter().copied().find_map(Part::named);
        let (all, negated) = (has(Modifier::All), has(Modifier::Neq));
        is_whole.then_some(Item { subject, tests, all, negated, part })
    }
}
