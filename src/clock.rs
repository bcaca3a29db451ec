//! The one place that reads the clock.

use chrono::{DateTime, Utc};

/// The system's clock.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct SystemClock;

impl keywatch_alerting::Clock for SystemClock {
    fn now(&self) -> DateTime<Utc> {
        now()
    }
}

/// The present time, UTC.
#[expect(clippy::disallowed_methods, reason = "this is where the clock is read")]
pub(crate) fn now() -> DateTime<Utc> {
    Utc::now()
}
