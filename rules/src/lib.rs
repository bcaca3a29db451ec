//! From events to findings. Pure: same rules, same events, same findings.
//!
//! Rules are Sigma with a documented extension (`rules/README.md`). Nothing here performs I/O,
//! reads a clock or knows where alerts go: time is the event's own.

mod blind;
mod builtin;
mod compile;
pub mod engine;
pub mod examples;
pub mod field;
pub mod log_source;
pub mod lookup;
pub mod matcher;
mod misfit;
pub mod pattern;
pub mod plan;
pub mod problem;
mod reach;
mod record;
pub mod rule;
mod sketch;
pub mod surroundings;
#[cfg(test)]
mod testing;
mod text;
pub mod view;
mod wording;
pub mod yaml;

pub use builtin::builtin;
pub use compile::{ReadFile, compile, compile_read, names_of};
pub use engine::alert_id;
pub use engine::{Engine, Gauges, Settings};
pub use log_source::LogSource;
pub use lookup::{AddressData, AddressDataError};
pub use misfit::{Misfit, misfit};
pub use plan::Plan;
pub use problem::Problem;
pub use reach::{EventKind, Known, Leaning};
pub use record::Scope;
pub use rule::{MatcherId, Rule, RuleSet};
pub use sketch::Sketch;
pub use surroundings::{Lists, Planned, Surroundings, USUAL_LISTS};
pub use view::View;

use keywatch_event::{AuditEvent, Place};

/// One event as the engine sees it.
#[derive(Clone, Copy, Debug)]
pub struct Seen<'a> {
    /// The normalised event.
    pub event: &'a AuditEvent<'a>,
    /// Where its record stands.
    pub place: &'a Place,
    /// Its raw record.
    pub raw: &'a [u8],
}

/// A stored event that may still matter to windows.
#[derive(Clone, Debug)]
pub struct Signal<'a> {
    /// The event.
    pub seen: Seen<'a>,
    /// Ids of the rules it was classified with when it was stored.
    pub rules: Vec<String>,
}
