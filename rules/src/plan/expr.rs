//! A matcher as an expression over numbered tests, with negations at its leaves.

use super::cells::{self, ALL, passes};
use super::fast::Memo;
use crate::Seen;
use crate::field::Field;
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
#[derive(Clone, Debug)]
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

/// Most alternatives that are told apart by bits: more cost more to look at than they save.
const GATES_MAX: usize = 8;

impl Expr {
    pub(super) fn holds(&self, memo: &Memo<'_, '_>) -> bool {
        match self {
            Self::Const(truth) => *truth,
            Self::Cells(allowed) => passes(memo.cells, *allowed),
            Self::Test(test, wanted) => memo.holds(*test) == *wanted,
            Self::And(all) => all.iter().all(|expr| expr.holds(memo)),
            Self::Or(any) => any.iter().any(|expr| expr.holds(memo)),
            Self::AtLeast(least, any) => {
                any.iter().filter(|expr| expr.holds(memo)).take(*least).count() == *least
            }
        }
    }

    /// Bits an event must keep to for this to hold; it may keep to them and not hold.
    pub(super) fn gate(&self) -> u64 {
        match self {
            Self::Const(true) | Self::Test(..) | Self::AtLeast(0, _) => ALL,
            Self::Const(false) => 0,
            Self::Cells(allowed) => *allowed,
            Self::And(all) => all.iter().fold(ALL, |gate, expr| gate & expr.gate()),
            Self::Or(any) | Self::AtLeast(_, any) => any.iter().fold(0, |gate, expr| gate | expr.gate()),
        }
    }

    /// The same, told apart by alternative where that is narrower: one of them must be kept to.
    pub(super) fn gates(&self) -> Vec<u64> {
        let whole = self.gate();
        let gates: Vec<u64> = match self {
            Self::Or(any) => any.iter().flat_map(Self::gates).collect(),
            Self::And(all) => {
                let split = all.iter().map(Self::gates).max_by_key(Vec::len).unwrap_or_default();
                split.into_iter().map(|gate| gate & whole).collect()
            }
            Self::Const(_) | Self::Cells(_) | Self::Test(..) | Self::AtLeast(..) => vec![whole],
        };
        if (1..=GATES_MAX).contains(&gates.len()) { gates } else { vec![whole] }
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
        let mut expr = and(all);
        self.order(&mut expr);
        expr
    }

    /// Puts what costs least first: a record is not read when a field of the event decides. How
    /// much it costs to find that it does not hold: of all that must hold, the cheapest may say
    /// so; of alternatives, each must be looked at.
    fn order(&self, expr: &mut Expr) -> usize {
        match expr {
            Expr::Const(_) | Expr::Cells(_) => 0,
            Expr::Test(test, _) => match self.items.get(*test).and_then(Item::field) {
                Some(Field::Normal(normal)) if normal.is_plain() => 1,
                Some(Field::Normal(normal)) if normal.is_in_record() => 200,
                Some(Field::Normal(_)) => 2,
                Some(Field::Raw(raw)) if raw.twin.is_some() => 3,
                Some(Field::Raw(_)) => 100,
                None => 1_000,
            },
            Expr::And(all) | Expr::Or(all) | Expr::AtLeast(_, all) => {
                all.sort_by_cached_key(|expr| self.order(&mut expr.clone()));
                let costs = all.iter_mut().map(|expr| self.order(expr));
                let costs: Vec<usize> = costs.collect();
                let decides = if matches!(expr, Expr::And(_)) { costs.first() } else { costs.last() };
                decides.copied().unwrap_or(0) + 1
            }
        }
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
    };
    let place = Place { name: Arc::from(""), line: 0, record: 0 };
    let seen = Seen { event: &event, place: &place, raw: b"" };
    ask(&View::alone(&seen))
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
        (false, _) => Expr::AtLeast(least, all),
        (true, _) => Expr::AtLeast(all.len() + 1 - least, all),
    }
}
