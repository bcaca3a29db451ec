//! x
pub mod engine;
pub mod examples;
pub mod field;
pub mod matcher;
pub mod problem;
pub mod plan;
pub mod rule;
pub mod surroundings;
pub mod view;
pub mod yaml;
use keywatch_event::{AuditEvent, Place};
pub use engine::{Engine, Gauges, Settings};
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
/// A stored event.
#[derive(Clone, Debug)]
pub struct Signal<'a> {
    /// The event.
    pub seen: Seen<'a>,
    /// Ids of the rules it was classified with when it was stored.
    pub rules: Vec<String>,
}
