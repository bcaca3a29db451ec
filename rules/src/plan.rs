//! Every matcher of a deployment, arranged so that one event costs what the rules that can match
//! it cost, however many there are.
//!
//! Each matcher becomes a small expression. Fields with a closed vocabulary (class, outcome,
//! provider, kinds, whether the event is an echo) are bits of one word, tested together. From
//! each expression a condition is taken that must hold for it to hold: exact texts of one field
//! go into a hash table, parts of texts into one automaton per field, the rest into a list per
//! class. Only what these name is evaluated, and tests that several rules share are made once.
//!
//! Invariant: [`Plan::matching`] names exactly the matchers for which
//! [`Matcher::matches`] is true. The tables may name too many, never too few.

mod cells;
mod cover;
mod expr;
mod fast;
mod index;

use crate::field::Field;
use crate::matcher::Matcher;
use crate::record::Scope;
use crate::view::View;
use cells::cells;
use expr::{Expr, Maker};
use fast::{Memo, Tests};
use index::{Index, Worth};

/// Place of a matcher among those a plan was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatcherId(pub usize);

/// Matchers, arranged. Holds its own copy of what it needs of them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    exprs: Vec<Expr>,
    tests: Tests,
    index: Index,
    scope: Scope,
}

impl Plan {
    /// Arranges `matchers`; a [`MatcherId`] is the place in this slice.
    #[must_use]
    pub fn new(matchers: &[Matcher]) -> Self {
        Self::reading(matchers, [])
    }

    /// Arranges `matchers`, and reads the record paths of `fields` in the same pass: for values
    /// that are asked for once a matcher matched.
    #[must_use]
    pub fn reading<'f>(matchers: &'f [Matcher], fields: impl IntoIterator<Item = &'f Field>) -> Self {
        Self::arranged(matchers, fields, Worth::default())
    }

    fn arranged<'f>(
        matchers: &'f [Matcher],
        fields: impl IntoIterator<Item = &'f Field>,
        worth: Worth,
    ) -> Self {
        let mut maker = Maker::default();
        let exprs: Vec<Expr> = matchers.iter().map(|matcher| maker.matcher(matcher)).collect();
        let items = matchers.iter().flat_map(Matcher::items);
        let read: Vec<&Field> = items.flat_map(crate::matcher::Item::read_fields).chain(fields).collect();
        let scope = Scope::of(read.into_iter().flat_map(Field::paths));
        let tests = Tests::new(maker.into_items(), &exprs);
        let index = Index::new(&exprs, &tests, worth);
        Self { exprs, tests, index, scope }
    }

    /// The record paths its matchers may read; views made with it read them in one pass.
    #[must_use]
    pub const fn scope(&self) -> &Scope {
        &self.scope
    }

    /// Puts the ids of all matchers that match the event into `found`, ascending. What was in
    /// it before is dropped; its memory is used again.
    pub fn matching(&self, view: &View<'_>, found: &mut Vec<MatcherId>) {
        found.clear();
        let cells = cells(view.event());
        self.index.candidates(cells, view, found);
        if found.is_empty() {
            return;
        }
        if !found.is_sorted() {
            found.sort_unstable();
        }
        found.dedup();
        let memo = Memo::new(&self.tests, view, cells);
        found.retain(|id| self.exprs.get(id.0).is_some_and(|expr| expr.holds(&memo)));
    }
}

#[cfg(test)]
mod tests;
