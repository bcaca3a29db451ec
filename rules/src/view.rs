//! One event as matchers see it: normalised fields at once, everything else when asked for.
//!
//! Making a view allocates nothing. The record is read at most once, for every path of the
//! scope together, and not at all where the normaliser told of those paths; derived values are made at most
//! once each. A view lives for one event on one
//! thread.

use crate::field::{Derived, Grantee, Normal};
use crate::record::{Found, Scope, Slot, Spare, strings, visit_scalars};
use crate::{Seen, Surroundings};
use keywatch_event::AuditEvent;
use keywatch_event::json::Unsure;
use std::borrow::Cow;
use std::cell::{OnceCell, RefCell};
use std::sync::{Arc, LazyLock};

/// No path is expected.
static NO_PATHS: LazyLock<Scope> = LazyLock::new(Scope::default);
/// The operator supplied nothing.
static NOTHING: LazyLock<Surroundings> = LazyLock::new(Surroundings::default);

/// No single text stands at a path.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Several;

/// One event with what surrounds it.
#[derive(Debug)]
pub struct View<'v> {
    seen: &'v Seen<'v>,
    around: &'v Surroundings,
    scope: &'v Scope,
    record: OnceCell<Found<'v>>,
    spare: RefCell<Option<Spare>>,
    strings: OnceCell<Vec<Cow<'v, str>>>,
    derived: Derived,
}

impl<'v> View<'v> {
    /// A view of `seen`. `scope` is the set of record paths that are read together, normally a
    /// plan's ([`crate::Plan::scope`]); a path outside of it costs its own pass over the
    /// record each time it is asked for.
    #[must_use]
    pub const fn new(seen: &'v Seen<'v>, around: &'v Surroundings, scope: &'v Scope) -> Self {
        Self {
            seen,
            around,
            scope,
            record: OnceCell::new(),
            spare: RefCell::new(None),
            strings: OnceCell::new(),
            derived: Derived::new(),
        }
    }

    /// A view of an event without its record.
    pub(crate) fn around_event(seen: &'v Seen<'v>, around: &'v Surroundings) -> Self {
        Self::new(seen, around, &NO_PATHS)
    }

    /// The same, with memory that an earlier view gave back.
    pub(crate) fn with(self, spare: Spare) -> Self {
        self.spare.replace(Some(spare));
        self
    }

    /// Memory for the next view.
    pub(crate) fn into_spare(self) -> Spare {
        self.spare
            .into_inner()
            .or_else(|| self.record.into_inner().map(Found::into_spare))
            .unwrap_or_default()
    }

    /// A view of an event where nothing was supplied and nothing is planned.
    #[must_use]
    pub fn alone(seen: &'v Seen<'v>) -> Self {
        Self::new(seen, &NOTHING, &NO_PATHS)
    }

    /// The event, with its place and record.
    #[must_use]
    pub const fn seen(&self) -> &'v Seen<'v> {
        self.seen
    }

    /// The normalised event.
    #[must_use]
    pub const fn event(&self) -> &'v AuditEvent<'v> {
        self.seen.event
    }

    /// What the operator supplied.
    #[must_use]
    pub const fn around(&self) -> &'v Surroundings {
        self.around
    }

    /// The record paths that are read together.
    #[must_use]
    pub const fn scope(&self) -> &'v Scope {
        self.scope
    }

    /// Calls `visit` with each value at a path of the raw record until it answers true; whether
    /// it did.
    pub fn raw_any(&self, path: &str, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        if let Some(slot) = self.scope.slot(path) {
            return match self.told(slot) {
                Ok(told) => told.is_some_and(|raw| visit_scalars(raw, visit)),
                Err(Unsure) => self.read().any(slot, visit),
            };
        }
        let alone = Scope::of([path]);
        alone.slot(path).is_some_and(|slot| alone.read(self.seen.raw).any(slot, visit))
    }

    /// What stands in the record at a path, as it is written; `None` when it is absent.
    ///
    /// # Errors
    /// It stands there several times, or the path is none of the scope's.
    pub(crate) fn raw_only(&self, path: &str) -> Result<Option<&'v str>, Several> {
        let slot = self.scope.slot(path).ok_or(Several)?;
        if let Ok(told) = self.told(slot) {
            return Ok(told);
        }
        let mut values = self.read().at(slot);
        match (values.next(), values.next()) {
            (first, None) => Ok(first),
            _ => Err(Several),
        }
    }

    /// What the normaliser told of a path, unless the record must be asked.
    fn told(&self, slot: Slot) -> Result<Option<&'v str>, Unsure> {
        self.scope.told(self.seen.event).ok_or(Unsure)?.at(slot.told)
    }

    fn read(&self) -> &Found<'v> {
        self.record.get_or_init(|| self.scope.read_with(self.seen.raw, self.spare.take().unwrap_or_default()))
    }

    /// Every string value of the raw record.
    pub fn strings(&self) -> &[Cow<'v, str>] {
        self.strings.get_or_init(|| strings(self.seen.raw))
    }

    /// Whom the event opens something to.
    pub fn grantees(&self) -> &[Grantee] {
        self.derived().grantees(self)
    }

    /// A value that is computed from the event, made once; `None` when there is none.
    pub(crate) fn computed(&self, field: Normal) -> Option<&str> {
        self.derived().text(field, self)
    }

    /// Notes a computed value that is known already.
    pub(crate) fn know(&self, field: Normal, value: Option<&Arc<str>>) {
        self.derived.know(field, value);
    }

    fn derived(&self) -> &Derived {
        &self.derived
    }
}
