//! Saying it again: reminders, escalations and the sign of life, as the configuration has them.

use keywatch_event::Level;
use std::time::Duration;

/// When it is said again that an alert is open.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Reminder {
    /// Alerts of this level.
    pub level: Level,
    /// How long after the last message.
    pub every: Duration,
}

/// Who else is told when nobody acknowledges an alert.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Escalation {
    /// Alerts from this level on.
    pub level_min: Level,
    /// How long after it opened.
    pub after: Duration,
    /// Who is told then.
    pub receivers: Vec<String>,
}

/// The sign of life, so that somebody notices when Keywatch itself is gone.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Heartbeat {
    /// Who hears it.
    pub receiver: String,
    /// How often.
    pub every: Duration,
}
