//! Durable history, alerts, learned state, positions and the outbox.
//!
//! All effects of a batch are one transaction ([`Store::commit`]); only then does a source hear an
//! acknowledgement. Nothing here decides anything about an event, and nothing reads the clock:
//! the time is always an argument.

mod alerts;
mod bulk;
mod codes;
mod commit;
#[cfg(test)]
mod contract;
mod error;
mod history;
mod key;
mod names;
mod outbox;
mod publication;
mod query;
mod raw;
mod reading;
mod rejects;
mod restart;
mod rows;
mod store;
mod tell;
mod types;

pub use error::StoreError;
pub use history::{Extent, History, HistoryPage};
pub use outbox::{AttemptOutcome, AttemptRecord, DeliveryKind, DeliveryState, LeasedDelivery};
pub use publication::{CountedEvent, Mark, Publication, Uncounted};
pub use query::{
    AccessSummary, AlertDetail, AlertFilter, AlertRow, AlertStatus, Attempt, AttemptMade, Cursor,
    CursorError, Delivery, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow, HistoryEntry,
    HourCount, LevelCounts, Listed, Meter, Overview, PAGE_MAX, Page, PositionRow, PrincipalRow, Queue,
    ReceiverRow, RejectDetail, RejectRow, SUMMARY_MAX, Scrubbed, SecretRow, Seen, Span, Totals,
};
pub use restart::{StoredRecord, StoredSignal};
pub use store::Store;
pub use types::*;
