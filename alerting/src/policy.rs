//! Who is told of what, when, and why: everything that is decided before a message leaves.
//!
//! Pure: the time, the alert and what was told before are arguments, and every answer is a reason
//! as well. The store asks [`Plan`] in the transaction that writes an alert, and [`Gatekeeper`] in
//! the one that takes a message out for sending.

mod calendar;
mod gate;
mod route;
mod urging;

pub use calendar::{Hours, HoursError, Weekdays};
pub use gate::{Cap, Gatekeeper, Span, StandingSilence};
pub use route::{Grouping, Plan, Route};
pub use urging::{Escalation, Heartbeat, Reminder};

use std::time::Duration;

/// Everything the configuration says about who is told.
#[derive(Clone, Debug, Default)]
pub struct Policy {
    /// Who is told of which alerts.
    pub plan: Plan,
    /// What is held back.
    pub gate: Gatekeeper,
    /// When it is said again that an alert is open.
    pub reminders: Vec<Reminder>,
    /// Who else is told when nobody acknowledges.
    pub escalations: Vec<Escalation>,
    /// Receivers that forget what is not repeated, and how often it must be.
    pub refreshes: Vec<(String, Duration)>,
    /// The sign of life.
    pub heartbeat: Option<Heartbeat>,
}
