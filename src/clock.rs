//! The one place that reads the clock, and how lengths of time are said.

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

/// A length of time in words.
pub(crate) fn spoken(secs: i64) -> String {
    match secs {
        ..120 => format!("{secs} s"),
        120..7_200 => format!("{} min", secs / 60),
        7_200..172_800 => format!("{} h", secs / 3600),
        _ => format!("{} d", secs / 86_400),
    }
}
