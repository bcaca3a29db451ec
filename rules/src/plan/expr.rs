//! A matcher as an expression over numbered tests, with negations at its leaves.

use super::cells::{self, ALL, passes};
use crate::Seen;
use crate::log_source::LogSource;
use crate::matcher::{Item, Matcher, Selection, Selections};
use crate::view::View;
use hashbrown::HashMap;
use keywatch_event::{
    AuditEvent, Class, EventTime, Outcome, Place, Principal, PrincipalKind, Provider, Source,
};
use rsigma_parser::{ConditionExpr, Quantifier};
use std::borrow::Cow;
use std::sync::Arc;

/// What must hold of an event.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) enum Expr {
    Const(bool),
    /// No bit but these.
    Cells(u64),
    /// The test of this number passes; or does not, when it says so.
    Test(usize, bool),
    And(Vec<Expr>),
    Or(Vec<Expr>),
    /// At least so many hold.
    AtLeast(usize, Vec<Expr>),
}

/// What is known of an event so far.
#[derive(Clone, Copy, Debug)]
pub(super) struct Known<'k> {
    pub(super) cells: u64,
    /// By number of a test: whether it passes, where that is known.
    pub(super) tests: &'k [Option<bool>],
}

impl Expr {
    /// What is left to be found out; `None` when nothing known changes it.
    pub(super) fn reduced(&self, known: Known<'_>) -> Option<Self> {
        match self {
            Self::Const(_) => None,
            Self::Cells(allowed) => Some(Self::Const(passes(known.cells, *allowed))),
            Self::Test(test, wanted) => {
                let held = known.tests.get(*test).copied().flatten()?;
                Some(Self::Const(held == *wanted))
            }
            Self::And(all) => each_reduced(all, known).map(and),
            Self::Or(any) => each_reduced(any, known).map(or),
            Self::AtLeast(least, any) => each_reduced(any, known).map(|any| at_least_left(*least, any)),
        }
    }

    /// How much memory it takes, in expressions.
    pub(super) fn size(&self) -> usize {
        match self {
            Self::Const(_) | Self::Cells(_) | Self::Test(..) => 1,
            Self::And(all) | Self::Or(all) | Self::AtLeast(_, all) => {
                1 + all.iter().map(Self::size).sum::<usize>()
            }
        }
    }

    /// Calls `visit` with the number of every test.
    pub(super) fn each_test(&self, visit: &mut dyn FnMut(usize)) {
        match self {
            Self::Const(_) | Self::Cells(_) => {}
            Self::Test(test, _) => visit(*test),
            Self::And(all) | Self::Or(all) | Self::AtLeast(_, all) => {
                for expr in all {
                    expr.each_test(visit);
                }
            }
        }
    }
}

/// Turns matchers into expressions; items that are the same become one test.
#[derive(Default)]
pub(super) struct Maker {
    items: Vec<Item>,
    /// By what the items say.
    known: HashMap<String, usize>,
}

impl Maker {
    /// Every item, by the number of its test.
    pub(super) fn into_items(self) -> Vec<Item> {
        self.items
    }

    pub(super) fn matcher(&mut self, matcher: &Matcher) -> Expr {
        let source: &LogSource = matcher.source();
        if !source.ingested() {
            return Expr::Const(false);
        }
        let provider = source.provider().map(cells::of_provider);
        let echo = (!matcher.reads_echoes()).then(cells::no_echo);
        let mut all: Vec<Expr> = provider.into_iter().chain(echo).map(Expr::Cells).collect();
        all.push(self.condition(&matcher.condition, &matcher.selections, false));
        and(all)
    }

    fn condition(&mut self, expr: &ConditionExpr, of: &Selections, negated: bool) -> Expr {
        let mut each = |all: &[ConditionExpr]| -> Vec<Expr> {
            all.iter().map(|expr| self.condition(expr, of, negated)).collect()
        };
        match expr {
            ConditionExpr::And(all) => and_or_or(each(all), negated),
            ConditionExpr::Or(any) => and_or_or(each(any), !negated),
            ConditionExpr::Not(inner) => self.condition(inner, of, !negated),
            ConditionExpr::Identifier(name) => {
                let found = self.selections(&of.called(name), negated);
                and_or_or(found, !negated)
            }
            ConditionExpr::Selector { quantifier, pattern } => {
                let found = self.selections(&of.matching(pattern), negated);
                match quantifier {
                    Quantifier::Any => and_or_or(found, !negated),
                    Quantifier::All => and_or_or(found, negated),
                    Quantifier::Count(least) => at_least(*least, found, negated),
                }
            }
        }
    }

    fn selections(&mut self, selections: &[&Selection], negated: bool) -> Vec<Expr> {
        selections.iter().map(|selection| self.selection(selection, negated)).collect()
    }

    fn selection(&mut self, selection: &Selection, negated: bool) -> Expr {
        let alternatives: Vec<Expr> = selection
            .any_of
            .iter()
            .map(|items| and_or_or(items.iter().map(|item| self.item(item, negated)).collect(), negated))
            .collect();
        and_or_or(alternatives, !negated)
    }

    fn item(&mut self, item: &Item, negated: bool) -> Expr {
        if let Some(allowed) = nobody(|view| cells::allowed(item, view)) {
            return match cells::inverse(allowed) {
                // What never holds always holds when negated, whatever the field.
                Some(cells::ALL) if negated => Expr::Const(true),
                Some(inverse) if negated => Expr::Cells(inverse),
                _ => Expr::Cells(allowed),
            };
        }
        let next = self.items.len();
        let number = *self.known.entry(format!("{item:?}")).or_insert(next);
        if number == next {
            self.items.push(item.clone());
        }
        Expr::Test(number, !negated)
    }
}

/// Runs `ask` with a view of an event that says nothing: words are tested, not the event.
fn nobody<R>(ask: impl FnOnce(&View<'_>) -> R) -> R {
    let none = Cow::Borrowed("");
    let time = EventTime::from_secs(0);
    let event = AuditEvent {
        id: none.clone(),
        time,
        time_raw: None,
        received_at: time,
        provider: Provider::Aws,
        service: none.clone(),
        store: None,
        account: None,
        region: None,
        operation: none.clone(),
        class: Class::Other,
        outcome: Outcome::Other,
        error: None,
        principal: Principal {
            id: none,
            kind: PrincipalKind::Unknown,
            name: None,
            session: None,
            access_key: None,
            via: None,
        },
        source: Source::absent(),
        user_agent: None,
        secrets: Vec::new(),
        echo_of: None,
        scrubbed: Vec::new(),
        told: None,
    };
    let place = Place { name: Arc::from(""), line: 0, record: 0 };
    let seen = Seen { event: &event, place: &place, raw: b"" };
    ask(&View::alone(&seen))
}

/// The expressions with what is known put in; `None` when that changes none of them.
fn each_reduced(all: &[Expr], known: Known<'_>) -> Option<Vec<Expr>> {
    let reduced: Vec<Option<Expr>> = all.iter().map(|expr| expr.reduced(known)).collect();
    if reduced.iter().all(Option::is_none) {
        return None;
    }
    Some(reduced.into_iter().zip(all).map(|(new, old)| new.unwrap_or_else(|| old.clone())).collect())
}

/// At least so many of them, where some may be decided.
fn at_least_left(least: usize, any: Vec<Expr>) -> Expr {
    let held = any.iter().filter(|expr| **expr == Expr::Const(true)).count();
    let open: Vec<Expr> = any.into_iter().filter(|expr| !matches!(expr, Expr::Const(_))).collect();
    match least.saturating_sub(held) {
        0 => Expr::Const(true),
        1 => or(open),
        left if left > open.len() => Expr::Const(false),
        left if left == open.len() => and(open),
        left => Expr::AtLeast(left, open),
    }
}

/// `and` of all, or `or` when `or`.
fn and_or_or(all: Vec<Expr>, is_or: bool) -> Expr {
    if is_or { or(all) } else { and(all) }
}

/// Conditions on bits are intersected and stand first: they cost least.
fn and(all: Vec<Expr>) -> Expr {
    let mut allowed = ALL;
    let mut rest = Vec::new();
    for expr in all {
        match expr {
            Expr::Const(true) => {}
            Expr::Const(false) => return Expr::Const(false),
            Expr::Cells(more) => allowed &= more,
            Expr::And(inner) => {
                for expr in inner {
                    if let Expr::Cells(more) = expr {
                        allowed &= more;
                    } else {
                        rest.push(expr);
                    }
                }
            }
            other @ (Expr::Test(..) | Expr::Or(_) | Expr::AtLeast(..)) => rest.push(other),
        }
    }
    if allowed != ALL {
        rest.insert(0, Expr::Cells(allowed));
    }
    single(rest, true, Expr::And)
}

/// Conditions on bits of one and the same field are united.
fn or(any: Vec<Expr>) -> Expr {
    let mut rest: Vec<Expr> = Vec::new();
    for expr in any {
        match expr {
            Expr::Const(false) => {}
            Expr::Const(true) => return Expr::Const(true),
            Expr::Cells(more) => {
                let field = cells::field_of(more);
                let same = |expr: &&mut Expr| matches!(expr, Expr::Cells(known) if field.is_some() && cells::field_of(*known) == field);
                match rest.iter_mut().find(same) {
                    Some(Expr::Cells(known)) => *known |= more,
                    _ => rest.push(Expr::Cells(more)),
                }
            }
            Expr::Or(inner) => rest.extend(inner),
            other @ (Expr::Test(..) | Expr::And(_) | Expr::AtLeast(..)) => rest.push(other),
        }
    }
    single(rest, false, Expr::Or)
}

fn single(mut all: Vec<Expr>, empty: bool, many: fn(Vec<Expr>) -> Expr) -> Expr {
    match (all.len(), all.pop()) {
        (1, Some(one)) => one,
        (_, Some(last)) => {
            all.push(last);
            many(all)
        }
        (_, None) => Expr::Const(empty),
    }
}

/// `least of` them; negated, each already is, and fewer than `least` must hold.
fn at_least(least: u64, all: Vec<Expr>, negated: bool) -> Expr {
    let least = usize::try_from(least).unwrap_or(usize::MAX);
    match (negated, least) {
        (false, 0) => Expr::Const(true),
        (true, 0) => Expr::Const(false),
        (false, _) if least > all.len() => Expr::Const(false),
        (true, _) if least > all.len() => Expr::Const(true),
        (false, _) => at_least_left(least, all),
        (true, _) => at_least_left(all.len() + 1 - least, all),
    }
}
