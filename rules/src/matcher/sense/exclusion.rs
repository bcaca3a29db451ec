//! What is asked of one field at a time, and whether one event can have it all.

use crate::field::{Field, Normal};
use crate::matcher::test::Op;
use crate::matcher::{Item, Subject, Test};
use crate::pattern::{Pattern, Shape};
use ipnet::IpNet;

/// Tests held against each other at most: beyond that, all is possible.
const PAIRS_MAX: usize = 1_000_000;

/// What an event has and has not, of all fields.
#[derive(Clone, Debug, Default)]
pub(super) struct Facts<'m>(Vec<Fact<'m>>);

/// Whether the tests of an item find a value.
#[derive(Clone, Copy, Debug)]
struct Fact<'m> {
    item: &'m Item,
    found: bool,
}

impl<'m> Facts<'m> {
    /// Adds that the item holds, or does not; whether an event may still have all of it.
    pub(super) fn add(&mut self, item: &'m Item, holds: bool) -> bool {
        // What is unequal to a list holds nowhere while nobody supplied the list: nothing is known then.
        let asks_lists = item.tests.iter().any(|test| matches!(test, Test::List(_)));
        if item.part.is_some() || item.negated && !holds && asks_lists {
            return true;
        }
        self.0.push(Fact { item, found: holds != item.negated });
        self.are_possible(&item.subject)
    }

    fn are_possible(&self, subject: &Subject) -> bool {
        let about = Asked::of(self.0.iter().filter(|fact| fact.item.subject == *subject));
        about.pairs() > PAIRS_MAX
            || about.each_has_a_way(subject) && about.some_word_fits(subject) && !about.are_apart(subject)
    }
}

/// What is asked of one field.
#[derive(Debug, Default)]
struct Asked<'m> {
    /// Of each of these sets of tests one must find a value.
    wanted: Vec<Vec<&'m Test>>,
    /// None of these may.
    unwanted: Vec<&'m Test>,
}

impl<'m> Asked<'m> {
    fn of<'f>(facts: impl Iterator<Item = &'f Fact<'m>>) -> Self
    where
        'm: 'f,
    {
        let mut asked = Self::default();
        for Fact { item, found } in facts {
            match (found, item.all) {
                (true, false) => asked.wanted.push(item.tests.iter().collect()),
                (true, true) => asked.wanted.extend(item.tests.iter().map(|test| vec![test])),
                (false, true) if item.tests.len() > 1 => {}
                (false, _) => asked.unwanted.extend(&item.tests),
            }
        }
        asked
    }

    fn pairs(&self) -> usize {
        let tests: usize = self.wanted.iter().map(Vec::len).sum();
        tests.saturating_mul(self.unwanted.len() + self.wanted.len())
    }

    /// Whether of each set a test is left that may find a value.
    fn each_has_a_way(&self, subject: &Subject) -> bool {
        let always = normal(subject).is_some_and(Normal::is_always_there);
        if always && self.unwanted.iter().any(|test| matches!(test, Test::Exists(true))) {
            return false;
        }
        self.wanted.iter().all(|tests| {
            tests.iter().any(|test| {
                let is_vain = always && matches!(test, Test::Exists(false));
                let is_unwanted = self.unwanted.iter().any(|other| implies(test, other));
                let mut others = self.wanted.iter();
                let ends = others.any(|others| others.iter().all(|other| need_absence(test, other)));
                !(is_vain || is_unwanted || ends)
            })
        })
    }

    /// Whether some value may pass, where all there may be are known: the words of a closed vocabulary, or
    /// those one set of tests asks for.
    fn some_word_fits(&self, subject: &Subject) -> bool {
        let Some(field) = normal(subject).filter(|field| field.is_single()) else { return true };
        if let Some(words) = field.vocabulary().filter(|_| field.is_always_there()) {
            return words.iter().any(|word| self.fits(&Word { text: word, is_exact: true }));
        }
        let mut words = self.wanted.iter().filter_map(|tests| words(tests));
        words.next().is_none_or(|words| words.iter().any(|word| self.fits(word)))
    }

    fn fits(&self, word: &Word<'_>) -> bool {
        self.wanted.iter().all(|tests| tests.iter().any(|test| word.passes(test) != Some(false)))
            && self.unwanted.iter().all(|test| word.passes(test) != Some(true))
    }

    /// Whether two sets, each of a single test, leave no value in common.
    fn are_apart(&self, subject: &Subject) -> bool {
        if !normal(subject).is_some_and(Normal::is_single) {
            return false;
        }
        let lone = |tests: &Vec<&'m Test>| match tests.as_slice() {
            [one] => Some(*one),
            _ => None,
        };
        let lone: Vec<&Test> = self.wanted.iter().filter_map(lone).collect();
        lone.iter().enumerate().any(|(at, one)| lone.iter().skip(at + 1).any(|other| exclude(one, other)))
    }
}

fn normal(subject: &Subject) -> Option<Normal> {
    match subject {
        Subject::Field(Field::Normal(normal)) => Some(*normal),
        Subject::Field(Field::Raw(_)) | Subject::Anywhere => None,
    }
}

/// A value a field may have.
struct Word<'w> {
    text: &'w str,
    /// Whether it is known how it is written, small letters and capitals.
    is_exact: bool,
}

impl Word<'_> {
    /// Whether it passes the test; `None` when that is not certain.
    fn passes(&self, test: &Test) -> Option<bool> {
        match test {
            Test::Exists(wanted) => Some(*wanted),
            Test::Null => Some(self.text.is_empty()),
            Test::Text(patterns) if !self.is_exact && patterns.iter().any(|pattern| pattern.cased) => None,
            Test::Regex(_) if !self.is_exact => None,
            Test::Text(_)
            | Test::Regex(_)
            | Test::Number(..)
            | Test::Cidr(_)
            | Test::Compare(..)
            | Test::SameAs(_)
            | Test::List(_) => test.fits_alone(self.text),
        }
    }
}

/// The values tests ask for, when all of them name theirs in full.
fn words<'m>(tests: &[&'m Test]) -> Option<Vec<Word<'m>>> {
    let mut words = Vec::new();
    for test in tests {
        let Test::Text(patterns) = test else { return None };
        for pattern in patterns {
            let is_word = matches!(pattern.shape, Shape::Whole) && !pattern.plain.is_empty();
            words.push(is_word.then_some(Word { text: &pattern.plain, is_exact: pattern.cased })?);
        }
    }
    Some(words)
}

/// Whether a value that passes the first test passes the second.
fn implies(test: &Test, other: &Test) -> bool {
    match (test, other) {
        (_, Test::Exists(true)) => needs_value(test),
        (Test::Exists(false), Test::Null) => true,
        (Test::Text(each), Test::Text(any)) => {
            each.iter().all(|one| any.iter().any(|other| lies_within(one, other)))
        }
        (Test::Cidr(inner), Test::Cidr(outer)) => outer.contains(inner),
        (Test::Compare(..), Test::Compare(..)) => {
            spans(test).zip(spans(other)).is_some_and(|(a, b)| a.lies_in(b))
        }
        (Test::Number(number, _), Test::Compare(..)) => spans(other).is_some_and(|span| span.has(*number)),
        _ => are_same(test, other),
    }
}

/// Whether they are written the same; the flags of a regular expression stand in it.
fn are_same(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Number(_, one), Test::Number(_, other)) => one == other,
        (Test::Regex(one), Test::Regex(other)) => one.as_str() == other.as_str(),
        (Test::Exists(one), Test::Exists(other)) => one == other,
        (Test::Null, Test::Null) => true,
        (Test::SameAs(one), Test::SameAs(other)) => one == other,
        (Test::List(one), Test::List(other)) => one == other,
        _ => false,
    }
}

fn lies_within(one: &Pattern, other: &Pattern) -> bool {
    if matches!(one.shape, Shape::Whole) && (one.cased || !other.cased) {
        return other.fits(&one.plain);
    }
    if one.cased != other.cased {
        return false;
    }
    match (&one.shape, &other.shape) {
        (Shape::Start, Shape::Start) => one.plain.starts_with(&other.plain),
        (Shape::End, Shape::End) => one.plain.ends_with(&other.plain),
        (Shape::Start | Shape::End | Shape::Anywhere, Shape::Anywhere) => one.plain.contains(&other.plain),
        (Shape::Glob(one), Shape::Glob(other)) => one.as_str() == other.as_str(),
        _ => false,
    }
}

fn needs_value(test: &Test) -> bool {
    !matches!(test, Test::Exists(false) | Test::Null)
}

/// Whether one asks for a value and the other that there be none.
fn need_absence(test: &Test, other: &Test) -> bool {
    match (test, other) {
        (Test::Exists(false), other) => needs_value(other),
        (Test::Null, Test::Text(patterns)) => patterns.iter().all(|pattern| !pattern.plain.is_empty()),
        (Test::Null, Test::Number(..) | Test::Cidr(_) | Test::Compare(..)) => true,
        (test, Test::Exists(false)) => needs_value(test),
        (Test::Null, Test::Null) => false,
        (_, Test::Null) => need_absence(other, test),
        _ => false,
    }
}

/// Whether no single value passes both.
fn exclude(one: &Test, other: &Test) -> bool {
    match (one, other) {
        (Test::Text(each), Test::Text(others)) => {
            each.iter().all(|one| others.iter().all(|other| begin_or_end_apart(one, other)))
        }
        (Test::Cidr(one), Test::Cidr(other)) => are_distinct(one, other),
        _ => spans(one).zip(spans(other)).is_some_and(|(a, b)| a.misses(b)),
    }
}

fn begin_or_end_apart(one: &Pattern, other: &Pattern) -> bool {
    let (a, b) = (&one.plain, &other.plain);
    match (&one.shape, &other.shape) {
        _ if one.cased || other.cased => false,
        (Shape::Start, Shape::Start) => !a.starts_with(b) && !b.starts_with(a),
        (Shape::End, Shape::End) => !a.ends_with(b) && !b.ends_with(a),
        _ => false,
    }
}

fn are_distinct(one: &IpNet, other: &IpNet) -> bool {
    !one.contains(other) && !other.contains(one)
}

/// The numbers that pass a test.
#[derive(Clone, Copy)]
struct Span {
    from: f64,
    to: f64,
    /// Whether the ends belong to it.
    has_from: bool,
    has_to: bool,
}

fn spans(test: &Test) -> Option<Span> {
    let (least, most) = (f64::NEG_INFINITY, f64::INFINITY);
    match test {
        Test::Compare(Op::Gt, bound) => Some(Span { from: *bound, to: most, has_from: false, has_to: false }),
        Test::Compare(Op::Gte, bound) => Some(Span { from: *bound, to: most, has_from: true, has_to: false }),
        Test::Compare(Op::Lt, bound) => {
            Some(Span { from: least, to: *bound, has_from: false, has_to: false })
        }
        Test::Compare(Op::Lte, bound) => {
            Some(Span { from: least, to: *bound, has_from: false, has_to: true })
        }
        Test::Number(number, _) => Some(Span { from: *number, to: *number, has_from: true, has_to: true }),
        Test::Text(_)
        | Test::Regex(_)
        | Test::Cidr(_)
        | Test::Exists(_)
        | Test::Null
        | Test::SameAs(_)
        | Test::List(_) => None,
    }
}

impl Span {
    fn has(self, number: f64) -> bool {
        let above = if self.has_from { number >= self.from } else { number > self.from };
        above && if self.has_to { number <= self.to } else { number < self.to }
    }

    fn lies_in(self, other: Self) -> bool {
        let from = self.from > other.from
            || self.from.total_cmp(&other.from).is_eq() && (other.has_from || !self.has_from);
        from && (self.to < other.to || self.to.total_cmp(&other.to).is_eq() && (other.has_to || !self.has_to))
    }

    fn misses(self, other: Self) -> bool {
        let before = |one: Self, other: Self| {
            one.to < other.from || one.to.total_cmp(&other.from).is_eq() && !(one.has_to && other.has_from)
        };
        before(self, other) || before(other, self)
    }
}
