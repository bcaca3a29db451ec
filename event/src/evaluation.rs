//! What the rule engine says of a batch of events, and what the store must commit with it.

use crate::{AlertChange, EventTime, Level};
use std::sync::Arc;

/// The engine's answer to one batch: pure data, committed as a whole or not at all.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Evaluation {
    /// One per event, in the order of the batch.
    pub classified: Vec<Classified>,
    /// What happened to alerts, in the order it happened.
    pub changes: Vec<AlertChange>,
    /// Learned state that changed and must survive a restart.
    pub learned: Vec<Learned>,
    /// Events of earlier batches that matter longer than was said of them then.
    pub kept: Vec<Kept>,
}

/// An event that became part of an incident after it was committed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Kept {
    /// Its id.
    pub event: String,
    /// When it happened: where the store finds it.
    pub time: EventTime,
    /// How long after its time, in seconds, it may now matter.
    pub matters_secs: u32,
}

/// How one event was classified: the highest level any rule gave it, and those rules.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Classified {
    /// Highest level of the rules that matched; `Info` when none did.
    pub level: Level,
    /// Rules that matched the event, highest level first.
    pub rules: Vec<Arc<str>>,
    /// How many seconds after its time the event may still matter to a window or an incident:
    /// for that long it is given back to the engine after a restart. 0: it never does.
    pub matters_secs: u32,
}

/// One piece of learned state (a principal's known networks), opaque to the store.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Learned {
    /// Unique key.
    pub key: String,
    /// Encoded state; empty means it was evicted and is to be deleted.
    pub state: Vec<u8>,
}
