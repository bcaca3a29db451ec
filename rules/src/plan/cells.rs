//! Closed vocabularies as bits: one event has exactly one bit set per field, and a condition is
//! the set of bits it allows.
//!
//! A condition on one field allows every bit of the others, so that conditions that must all
//! hold are intersected and an event passes when it has no bit that is not allowed.

use crate::field::{Field, Normal};
use crate::matcher::{Item, Test};
use crate::view::View;
use keywatch_event::{AuditEvent, Class, Outcome, PrincipalKind, Provider, SourceKind};

/// Every bit allowed.
pub(super) const ALL: u64 = u64::MAX;

const PROVIDER: usize = 0;
const CLASS: usize = PROVIDER + Provider::NAMES.len();
const OUTCOME: usize = CLASS + Class::NAMES.len();
const SOURCE: usize = OUTCOME + Outcome::NAMES.len();
const PRINCIPAL: usize = SOURCE + SourceKind::NAMES.len();
/// Absent, empty, or something.
const ECHO: usize = PRINCIPAL + PrincipalKind::NAMES.len();
const END: usize = ECHO + 3;
const _: () = assert!(END <= 64, "the closed vocabularies fit one word");

/// The bits of one event.
#[inline]
pub(super) fn cells(event: &AuditEvent<'_>) -> u64 {
    let echo = event.echo_of.as_ref().map_or(0, |echo| if echo.is_empty() { 1 } else { 2 });
    (1 << (PROVIDER + event.provider as usize))
        | (1 << (CLASS + event.class as usize))
        | (1 << (OUTCOME + event.outcome as usize))
        | (1 << (SOURCE + event.source.kind as usize))
        | (1 << (PRINCIPAL + event.principal.kind as usize))
        | (1 << (ECHO + echo))
}

/// Whether an event with these bits passes.
#[inline]
pub(super) const fn passes(cells: u64, allowed: u64) -> bool {
    cells & !allowed == 0
}

/// Only this provider's events.
pub(super) fn of_provider(provider: Provider) -> u64 {
    only(PROVIDER, Provider::NAMES.len(), 1 << (PROVIDER + provider as usize))
}

/// Only events that are no echo.
pub(super) fn no_echo() -> u64 {
    only(ECHO, 3, 1 << ECHO)
}

const fn range(start: usize, len: usize) -> u64 {
    ((1 << len) - 1) << start
}

const fn only(start: usize, len: usize, bits: u64) -> u64 {
    !range(start, len) | bits
}

/// What the other events of one field would be allowed: the complement within that field.
pub(super) fn inverse(allowed: u64) -> Option<u64> {
    let (start, len) = field_of(allowed)?;
    Some(allowed ^ range(start, len))
}

/// The one field a condition is about.
pub(super) fn field_of(allowed: u64) -> Option<(usize, usize)> {
    FIELDS.into_iter().find(|(start, len)| allowed | range(*start, *len) == ALL)
}

const FIELDS: [(usize, usize); 6] = [
    (PROVIDER, Provider::NAMES.len()),
    (CLASS, Class::NAMES.len()),
    (OUTCOME, Outcome::NAMES.len()),
    (SOURCE, SourceKind::NAMES.len()),
    (PRINCIPAL, PrincipalKind::NAMES.len()),
    (ECHO, 3),
];

/// The condition an item is, when bits can say it.
///
/// The plain evaluator is asked about every word of the vocabulary, so that no modifier has to
/// be understood a second time here.
pub(super) fn allowed(item: &Item, view: &View<'_>) -> Option<u64> {
    let Some(Field::Normal(normal)) = item.field() else { return None };
    let depends = |test: &Test| matches!(test, Test::SameAs(_) | Test::List(_));
    if item.tests.iter().any(depends) {
        return None;
    }
    if *normal == Normal::EchoOf {
        return echo(item, view);
    }
    let known = [
        (Normal::Provider, PROVIDER, Provider::NAMES),
        (Normal::Class, CLASS, Class::NAMES),
        (Normal::Outcome, OUTCOME, Outcome::NAMES),
        (Normal::SourceKind, SOURCE, SourceKind::NAMES),
        (Normal::PrincipalKind, PRINCIPAL, PrincipalKind::NAMES),
    ];
    let (_, start, words) = known.into_iter().find(|(known, ..)| known == normal)?;
    let held = words.iter().enumerate().filter(|(_, word)| item.holds(&|visit| visit(word), view));
    let bits = held.fold(0, |bits, (place, _)| bits | (1 << (start + place)));
    Some(only(start, words.len(), bits))
}

/// Whether a record is an echo, when that alone decides.
fn echo(item: &Item, view: &View<'_>) -> Option<u64> {
    if !item.tests.iter().all(|test| matches!(test, Test::Exists(_) | Test::Null)) {
        return None;
    }
    let held = [
        item.holds(&|_| false, view),
        item.holds(&|visit| visit(""), view),
        item.holds(&|visit| visit("something"), view),
    ];
    let places = held.into_iter().enumerate().filter(|(_, held)| *held);
    let bits = places.fold(0, |bits, (place, _)| bits | (1 << (ECHO + place)));
    Some(only(ECHO, 3, bits))
}
