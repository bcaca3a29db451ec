//! How far a lane has come, as the store keeps it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Under which name the store keeps how far a resource has come.
#[must_use]
pub fn position_name(source: &str, resource: &str) -> String {
    format!("gcp-logging:{source}:{resource}")
}

/// Up to when everything was read at least once; up to which time of receipt nothing late is
/// missing; and when all of it was last asked for again.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    pub(super) through: DateTime<Utc>,
    pub(super) late: DateTime<Utc>,
    pub(super) nightly: DateTime<Utc>,
    /// Whether a data access entry was ever among them.
    pub(super) has_reads: bool,
}

impl Position {
    pub(super) fn read(text: &str) -> Option<Self> {
        serde_json::from_str(text).ok()
    }

    pub(super) fn write(self) -> String {
        serde_json::to_string(&self).unwrap_or_default()
    }
}

/// A time as Logging's query language takes it.
pub(super) fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let at = |secs| DateTime::from_timestamp(secs, 500_000_001).unwrap();
        let position =
            Position { through: at(1_700_000_000), late: at(1_650_000_000), nightly: at(1), has_reads: true };
        assert_eq!(Position::read(&position.write()), Some(position));
        assert_eq!(Position::read("{}"), None);
    }
}
