//! Tests as the plan makes them: the usual forms without allocating, the others by the plain
//! evaluator.

use crate::field::{Field, Normal, delay_secs};
use crate::matcher::{Item, Op, Subject, Test};
use crate::pattern::{Pattern, Shape};
use crate::text::lower;
use crate::view::View;
use aho_corasick::AhoCorasick;
use hashbrown::HashSet;
use ipnet::IpNet;

/// Texts to be found anywhere, from which on one automaton looks for all of them.
const AUTOMATON_MIN: usize = 4;
/// Whole texts, from which on they are looked up in a set.
const SET_MIN: usize = 12;

/// Every test of a plan, by number.
#[derive(Clone, Debug, Default)]
pub(super) struct Tests(Vec<Made>);

#[derive(Clone, Debug)]
struct Made {
    item: Item,
    form: Form,
}

/// How a test is made.
#[derive(Clone, Debug)]
enum Form {
    /// One of many texts, none cased, none with wildcards inside.
    Texts(Box<Texts>),
    /// The source address lies in one of these.
    Networks(Vec<IpNet>),
    /// The seconds from the event to its receipt compare so, one way or another.
    Delay(Vec<(Op, f64)>),
    /// As the plain evaluator does.
    Plain,
}

#[derive(Clone, Debug, Default)]
struct Texts {
    whole: Vec<String>,
    /// For many of `whole`, which is then empty.
    set: HashSet<Box<str>>,
    start: Vec<String>,
    end: Vec<String>,
    anywhere: Vec<String>,
    /// For many of `anywhere`, which is then empty.
    automaton: Option<AhoCorasick>,
}

impl Tests {
    pub(super) fn new(items: Vec<Item>) -> Self {
        Self(items.into_iter().map(|item| Made { form: Form::of(&item), item }).collect())
    }

    /// What each test asks, by number.
    pub(super) fn items(&self) -> impl Iterator<Item = &Item> {
        self.0.iter().map(|made| &made.item)
    }

    /// What a test asks.
    pub(super) fn item(&self, test: usize) -> Option<&Item> {
        self.0.get(test).map(|made| &made.item)
    }

    /// By test: whether it passes, where that is the same for every event with these surroundings.
    pub(super) fn settled(&self, view: &View<'_>) -> Vec<Option<bool>> {
        let settled = |made: &Made| made.item.is_settled(view.around()).then(|| made.holds(view));
        self.0.iter().map(settled).collect()
    }

    /// Whether the test passes.
    pub(super) fn holds(&self, test: usize, view: &View<'_>) -> bool {
        self.0.get(test).is_some_and(|made| made.holds(view))
    }
}

impl Made {
    fn holds(&self, view: &View<'_>) -> bool {
        let Subject::Field(field) = &self.item.subject else { return self.item.matches(view) };
        let held = match &self.form {
            Form::Plain => return self.item.matches(view),
            Form::Networks(nets) => {
                view.event().source.ip.is_some_and(|ip| nets.iter().any(|net| net.contains(&ip)))
            }
            Form::Delay(bounds) => {
                #[expect(
                    clippy::cast_precision_loss,
                    reason = "as reading it from its digits would round it"
                )]
                let delay = delay_secs(view.event()) as f64;
                bounds.iter().any(|(op, bound)| op.holds(delay, *bound))
            }
            Form::Texts(texts) => texts.holds(field, view),
        };
        held != self.item.negated
    }
}

impl Form {
    fn of(item: &Item) -> Self {
        if item.all || item.part.is_some() {
            return Self::Plain;
        }
        if item.field() == Some(&Field::Normal(Normal::SourceIp))
            && let Some(nets) = item.tests.iter().map(net).collect()
        {
            return Self::Networks(nets);
        }
        if item.field() == Some(&Field::Normal(Normal::TimeDelay))
            && let Some(bounds) = item.tests.iter().map(bound).collect()
        {
            return Self::Delay(bounds);
        }
        let texts: Option<Vec<&[Pattern]>> = item.tests.iter().map(patterns).collect();
        let Some(texts) = texts else { return Self::Plain };
        Texts::of(texts.into_iter().flatten()).map_or(Self::Plain, |texts| Self::Texts(Box::new(texts)))
    }
}

fn net(test: &Test) -> Option<IpNet> {
    if let Test::Cidr(net) = test { Some(*net) } else { None }
}

fn bound(test: &Test) -> Option<(Op, f64)> {
    if let Test::Compare(op, bound) = test { Some((*op, *bound)) } else { None }
}

fn patterns(test: &Test) -> Option<&[Pattern]> {
    if let Test::Text(patterns) = test { Some(patterns) } else { None }
}

impl Texts {
    fn of<'p>(patterns: impl Iterator<Item = &'p Pattern>) -> Option<Self> {
        let mut texts = Self::default();
        for pattern in patterns {
            let place = match pattern.shape {
                _ if pattern.cased => return None,
                Shape::Glob(_) => return None,
                Shape::Whole => &mut texts.whole,
                Shape::Start => &mut texts.start,
                Shape::End => &mut texts.end,
                Shape::Anywhere => &mut texts.anywhere,
            };
            place.push(pattern.plain.clone());
        }
        if texts.whole.len() >= SET_MIN {
            texts.set = texts.whole.drain(..).map(Into::into).collect();
        }
        if texts.anywhere.len() >= AUTOMATON_MIN
            && let Ok(automaton) = AhoCorasick::new(&texts.anywhere)
        {
            texts.automaton = Some(automaton);
            texts.anywhere.clear();
        }
        Some(texts)
    }

    fn holds(&self, field: &Field, view: &View<'_>) -> bool {
        match field {
            Field::Normal(normal) if normal.is_plain() => {
                normal.plain(view).is_some_and(|value| self.has(value))
            }
            Field::Normal(_) | Field::Raw(_) => field.any(view, &mut |value| self.has(value)),
        }
    }

    /// Whether the value, in whatever case, is or holds one of the texts.
    fn has(&self, value: &str) -> bool {
        let is_lowered = !self.set.is_empty() || !self.anywhere.is_empty() || self.automaton.is_some();
        if is_lowered || !value.is_ascii() {
            return lower(value, |value| self.has_lower(value));
        }
        let value = value.as_bytes();
        let starts = |text: &String| value.get(..text.len()).is_some_and(|head| same(head, text));
        let ends = |text: &String| {
            let start = value.len().checked_sub(text.len());
            start.and_then(|start| value.get(start..)).is_some_and(|tail| same(tail, text))
        };
        self.whole.iter().any(|text| same(value, text))
            || self.start.iter().any(starts)
            || self.end.iter().any(ends)
    }

    fn has_lower(&self, value: &str) -> bool {
        self.whole.iter().any(|text| value == text)
            || (!self.set.is_empty() && self.set.contains(value))
            || self.start.iter().any(|text| value.starts_with(&**text))
            || self.end.iter().any(|text| value.ends_with(&**text))
            || self.anywhere.iter().any(|text| value.contains(&**text))
            || self.automaton.as_ref().is_some_and(|automaton| automaton.is_match(value))
    }
}

/// Whether an ASCII value in any case is the lower-case text. Their ends are compared first: most
/// texts differ there.
fn same(value: &[u8], text: &str) -> bool {
    let text = text.as_bytes();
    let ends = |bytes: &[u8]| {
        let lower = |byte: Option<&u8>| byte.map(u8::to_ascii_lowercase);
        (lower(bytes.first()), lower(bytes.last()))
    };
    value.len() == text.len() && ends(value) == ends(text) && value.eq_ignore_ascii_case(text)
}
