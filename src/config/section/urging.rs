//! Saying it again: reminders, escalations, the cap that keeps a storm short, and the heartbeat.

use crate::config::frame::{At, days, default, mins, need, secs, section};
use keywatch_event::Level;
use std::time::Duration;

section! {
    /// How long after the last message it is said again that an alert is still open, by level.
    /// Without a level: never.
    ///
    /// ```yaml
    /// reminders: {critical: 1h, high: 4h}
    /// ```
    pub(crate) struct Reminders {
        /// For critical alerts.
        critical: Option<Duration> [mins(1)..=days(30)],
        /// For high ones.
        high: Option<Duration> [mins(1)..=days(30)],
        /// For warnings.
        warning: Option<Duration> [mins(1)..=days(30)],
    }
}

section! {
    /// Who else is told when nobody acknowledges an alert.
    pub(crate) struct Escalation {
        /// Alerts from this level on.
        level: Level = default("critical"),
        /// How long after the alert opened.
        after: Duration [mins(1)..=days(7)] = need("say how long to wait for somebody to acknowledge"),
        /// Who is told then.
        receivers: Vec<At<String>>,
    }
}

section! {
    /// How many messages about one rule a receiver is sent in an hour. What is more comes as one
    /// summary at the next full hour. Critical alerts are never capped.
    ///
    /// ```yaml
    /// rate_cap: {per_hour: 60, below: critical}
    /// ```
    pub(crate) struct RateCap {
        /// Most messages.
        per_hour: u64 [1..=100_000] = need("say how many messages about one rule are enough in an hour"),
        /// Only alerts below this level are capped.
        below: Level = default("critical"),
    }
}

section! {
    /// A sign of life, so that somebody notices when Keywatch itself is gone: a dead man's switch.
    ///
    /// ```yaml
    /// receivers:
    ///   - name: watchdog
    ///     webhook: {url: "https://watchdog.example.com/k", secret: {source: env, path: WATCHDOG}}
    /// heartbeat: {receiver: watchdog, every: 5m}
    /// ```
    pub(crate) struct Heartbeat {
        /// The receiver that hears it.
        receiver: At<String> = need("name one of the receivers"),
        /// How often it is sent.
        every: Duration [secs(10)..=days(1)] = default("5m"),
    }
}
