//! What goes into the store and what comes out: plain data.

use chrono::{DateTime, Utc};
use keywatch_event::{AuditEvent, Evaluation, Place, Reject};
use std::ops::Range;

/// A batch ready to commit: normalised events beside the raw bytes they borrow from.
#[derive(Debug)]
pub struct Incoming<'a> {
    /// Every event of the batch, duplicates included, in order.
    pub events: &'a [IncomingEvent<'a>],
    /// The batch's raw records, back to back.
    pub bytes: &'a [u8],
    /// Rejects, in order.
    pub rejects: &'a [Reject],
    /// Positions: `(source, position expected, position after)`.
    pub advances: &'a [PositionChange<'a>],
    /// When the batch was taken in.
    pub received_at: DateTime<Utc>,
}

/// One event with its place and the range of its raw record in [`Incoming::bytes`].
#[derive(Debug)]
pub struct IncomingEvent<'a> {
    /// The normalised event.
    pub event: AuditEvent<'a>,
    /// Where its record stands.
    pub place: Place,
    /// Its raw record.
    pub raw: Range<usize>,
}

/// Compare-and-set of one source's position.
#[derive(Clone, Copy, Debug)]
pub struct PositionChange<'a> {
    /// Unique name of the source.
    pub source: &'a str,
    /// What must be stored now.
    pub from: Option<&'a str>,
    /// What will be stored.
    pub to: &'a str,
}

/// The rule engine as the store sees it: told which events are new, answers with what to commit.
pub trait Judge {
    /// `fresh` are indices into [`Incoming::events`], ascending: events not stored before and not
    /// repeated within the batch. The answer classifies exactly those, in that order.
    fn judge(&mut self, fresh: &[usize]) -> Evaluation;
}

/// What a commit did.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Committed {
    /// Events stored for the first time.
    pub fresh: usize,
    /// Events that were there already.
    pub duplicates: usize,
    /// Rejects stored for the first time.
    pub rejects: usize,
    /// Alerts opened.
    pub opened: usize,
}
