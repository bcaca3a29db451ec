//! Every matcher of a deployment, arranged so that one event costs what the rules that can match
//! it cost, however many there are.
//!
//! Each matcher becomes a small expression over numbered tests; a test that several rules write is
//! one. Fields with a closed vocabulary (class, outcome, provider, kinds, whether the event is an
//! echo) are bits of one word. Tests that look at the same part of an event are decided together
//! (`aspect`), and what they say is remembered by the value they said it of, in an automaton
//! that grows while events come (`walk`): an event like one before costs a few look-ups.
//!
//! Invariant: `Plan::matching` names exactly the matchers for which
//! [`Matcher::matches`] is true.

mod aspect;
mod cells;
mod cover;
mod expr;
mod fast;
mod jump;
mod sieve;
mod walk;

pub(crate) use walk::Walk;

use crate::field::Field;
use crate::matcher::Matcher;
use crate::record::Scope;
use crate::view::View;
use aspect::{Aspects, SIEVE_MIN};
use cells::cells;
use expr::{Expr, Maker};
use fast::Tests;
use keywatch_event::Provider;
use keywatch_event::json::Asked;
use std::sync::Arc;

/// Place of a matcher among those a plan was made of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct MatcherId(pub usize);

/// Matchers, arranged. Holds its own copy of what it needs of them.
#[derive(Clone, Debug, Default)]
pub struct Plan {
    exprs: Vec<Arc<Expr>>,
    tests: Tests,
    aspects: Aspects,
    /// By provider.
    scopes: Vec<Scope>,
    nothing: Scope,
    /// The paths of all of them.
    asked: Arc<Asked>,
    sieve_min: usize,
}

/// The matchers that hold for an event.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Found {
    /// Ascending.
    pub(crate) ids: Vec<MatcherId>,
    bits: Vec<u64>,
}

impl Found {
    fn new(ids: Vec<MatcherId>) -> Self {
        let words = ids.last().map_or(0, |id| id.0 / 64 + 1);
        let mut bits = vec![0; words];
        for id in &ids {
            if let Some(word) = bits.get_mut(id.0 / 64) {
                *word |= 1_u64 << (id.0 % 64);
            }
        }
        Self { ids, bits }
    }

    /// Whether a matcher holds.
    pub(crate) fn has(&self, matcher: MatcherId) -> bool {
        self.bits.get(matcher.0 / 64).is_some_and(|word| word >> (matcher.0 % 64) & 1 == 1)
    }
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
        Self::arranged(matchers, fields, SIEVE_MIN)
    }

    fn arranged<'f>(
        matchers: &'f [Matcher],
        fields: impl IntoIterator<Item = &'f Field>,
        sieve_min: usize,
    ) -> Self {
        let mut maker = Maker::default();
        let exprs = matchers.iter().map(|matcher| Arc::new(maker.matcher(matcher))).collect();
        let fields: Vec<&Field> = fields.into_iter().collect();
        let paths: Vec<Vec<&str>> =
            Provider::ALL.iter().map(|provider| paths(*provider, matchers, &fields)).collect();
        let asked = Asked::of(paths.iter().flatten().copied());
        let scopes = paths.into_iter().map(|paths| Scope::of(paths).told_with(&asked)).collect();
        let tests = Tests::new(maker.into_items());
        let aspects = Aspects::new(&tests, sieve_min, &asked);
        Self { exprs, tests, aspects, scopes, nothing: Scope::default(), asked: Arc::new(asked), sieve_min }
    }

    /// The record paths its matchers may read of this provider's events; views made with it read
    /// them in one pass.
    #[must_use]
    pub fn scope(&self, provider: Provider) -> &Scope {
        self.scopes.get(provider as usize).unwrap_or(&self.nothing)
    }

    /// The record paths of all providers: a normaliser that is asked for them spares the pass over the
    /// record.
    #[must_use]
    pub fn asked(&self) -> &Asked {
        &self.asked
    }

    /// All matchers that match the event. `walk` is what was found out so far, with this plan and
    /// the same surroundings.
    pub(crate) fn matching(&self, view: &View<'_>, walk: &mut Walk) -> Arc<Found> {
        walk.end_of(self, view, cells(view.event()))
    }
}

/// What is read of one provider's records: rules for others look at none of them.
fn paths<'f>(provider: Provider, matchers: &'f [Matcher], fields: &[&'f Field]) -> Vec<&'f str> {
    let may_match = |matcher: &&Matcher| {
        let source = matcher.source();
        source.ingested() && source.provider().is_none_or(|of| of == provider)
    };
    let items = matchers.iter().filter(may_match).flat_map(Matcher::items);
    let read = items.flat_map(crate::matcher::Item::read_fields).chain(fields.iter().copied());
    read.flat_map(Field::paths).collect()
}

#[cfg(test)]
mod tests;
#[cfg(test)]
mod told_tests;
