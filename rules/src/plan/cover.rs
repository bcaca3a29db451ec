//! What must hold for an expression to hold, said as texts of which a field must have one.

use super::expr::Expr;
use super::fast::Tests;
use crate::field::Field;
use crate::matcher::{Item, Test};
use crate::pattern::{Pattern, Shape};
use hashbrown::HashMap;

/// One text a field must have, or have in it.
#[derive(Clone, Debug, PartialEq, Eq, Hash)]
pub(super) struct Key {
    pub(super) field: Field,
    /// Lower case.
    pub(super) text: String,
    /// Whether the whole value is that text, rather than some part of it.
    pub(super) whole: bool,
}

/// Texts of which one must be there.
pub(super) type Cover = Vec<Key>;

/// Shortest part of a text worth looking for: shorter ones are in too many values.
const PART_MIN: usize = 3;
/// Most texts of one cover; a longer list is as good as no condition.
const KEYS_MAX: usize = 256;
/// What looking into the raw record costs beside a field of the event: it has to be read.
const RAW_COST: usize = 100_000;
/// What a part of a text costs beside a whole one where few look for parts of that field: the value
/// is searched.
const PART_COST: usize = 1_000;
/// The same where one search serves many: about that of evaluating so many expressions for nothing.
const SHARED_PART_COST: usize = 16;

/// How many expressions ask for each text: what many ask for tells them apart poorly.
#[derive(Default)]
pub(super) struct Asked(HashMap<Key, usize>);

/// What looking for parts of texts is taken to cost.
#[derive(Clone, Copy)]
pub(super) enum Parts {
    Alone,
    Shared,
}

impl Asked {
    pub(super) fn count(&mut self, expr: &Expr, tests: &Tests) {
        expr.each_test(&mut |test| {
            for key in tests.item(test).and_then(keys).unwrap_or_default() {
                *self.0.entry(key).or_default() += 1;
            }
        });
    }

    fn cost(&self, cover: &Cover, parts: Parts) -> usize {
        let part_cost = match parts {
            Parts::Alone => PART_COST,
            Parts::Shared => SHARED_PART_COST,
        };
        let of_key = |key: &Key| {
            let raw = if matches!(&key.field, Field::Raw(raw) if raw.twin.is_none()) { RAW_COST } else { 0 };
            let part = if key.whole { 0 } else { part_cost };
            self.0.get(key).copied().unwrap_or(1) + raw + part
        };
        cover.iter().map(of_key).sum()
    }

    /// The cover that names an expression least often for nothing; `None` when it has none.
    pub(super) fn best(&self, expr: &Expr, tests: &Tests, parts: Parts) -> Option<Cover> {
        let cover = match expr {
            Expr::Test(test, true) => keys(tests.item(*test)?)?,
            Expr::And(all) => {
                let covers = all.iter().filter_map(|expr| self.best(expr, tests, parts));
                covers.min_by_key(|cover| self.cost(cover, parts))?
            }
            Expr::Or(any) | Expr::AtLeast(1.., any) => {
                let reachable = any.iter().filter(|expr| expr.gate() != 0);
                let covers: Option<Vec<Cover>> =
                    reachable.map(|expr| self.best(expr, tests, parts)).collect();
                covers?.concat()
            }
            Expr::Const(_) | Expr::Cells(_) | Expr::Test(_, false) | Expr::AtLeast(0, _) => return None,
        };
        (cover.len() <= KEYS_MAX).then_some(cover)
    }
}

/// The texts of which an item's field must have one for the item to hold.
fn keys(item: &Item) -> Option<Cover> {
    let field = item.field()?;
    if item.negated || item.part.is_some() {
        return None;
    }
    if item.all {
        // Each test must hold; any one of them will do.
        let covers = item.tests.iter().filter_map(|test| test_keys(field, test));
        return covers.min_by_key(|cover| (cover.iter().any(|key| !key.whole), cover.len()));
    }
    let covers: Option<Vec<Cover>> = item.tests.iter().map(|test| test_keys(field, test)).collect();
    covers.map(|covers| covers.concat())
}

fn test_keys(field: &Field, test: &Test) -> Option<Cover> {
    let Test::Text(patterns) = test else { return None };
    patterns.iter().map(|pattern| key(field, pattern)).collect()
}

fn key(field: &Field, pattern: &Pattern) -> Option<Key> {
    let whole = match pattern.shape {
        Shape::Whole => true,
        Shape::Start | Shape::End | Shape::Anywhere => false,
        Shape::Glob(_) => return None,
    };
    // A cased text is found in lower case too: the lower case of a value holds it.
    let text = pattern.plain.to_lowercase();
    (whole || text.len() >= PART_MIN).then(|| Key { field: field.clone(), text, whole })
}
