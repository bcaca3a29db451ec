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
mod decisions;
mod error;
mod handling;
mod health;
mod history;
mod key;
mod lease;
mod links;
mod names;
mod outbox;
mod own;
mod picture;
mod publication;
mod query;
mod raw;
mod reading;
mod rejects;
mod restart;
mod routing;
mod rows;
mod silences;
mod store;
mod tell;
mod types;
mod undo;
mod urging;

pub use error::StoreError;
pub use handling::{Action, HANDLED_MAX, Handled, Handling, NOTE_CHARS_MAX, Resolution, WHO_CHARS_MAX};
pub use health::{FAILURES_MAX, PROBE_SECS};
pub use history::{Extent, History, HistoryPage};
pub use lease::{Candidate, Gate, LeasedDelivery, Leasing, Open, Verdict};
pub use outbox::{AttemptOutcome, AttemptRecord, DeliveryKind, DeliveryState};
pub use own::{RULE_ORPHANED, RULE_UNDELIVERED};
pub use picture::{Address, LOOKED_AT_MAX, Picture};
pub use publication::{CountedEvent, Mark, Publication, Uncounted};
pub use query::{
    AccessSummary, AlertDetail, AlertFilter, AlertRow, AlertStatus, AlertTimes, Attempt, AttemptMade, Cursor,
    CursorError, DecisionRow, Delivery, DeliveryFilter, DeliveryRow, EventDetail, EventFilter, EventRow,
    Failing, HeartbeatRow, HistoryEntry, HourCount, LevelCounts, Listed, Meter, Overview, PAGE_MAX, Page,
    Percentiles, PositionRow, PrincipalRow, Queue, ReceiverRow, RejectDetail, RejectRow, SUMMARY_MAX,
    Scrubbed, SecretRow, Seen, Span, Totals,
};
pub use restart::{StoredRecord, StoredSignal};
pub use routing::{Choice, Gathering, Routed, Routing, Subscriber};
pub use silences::{NewSilence, SILENCES_MAX, Silence};
pub use store::Store;
pub use types::*;
pub use undo::{ActionTaken, UNDO_SECS, Undone};
pub use urging::{Standing, StandingFilter, Urging};
