//! How far a lane has come, as the store keeps it.

use chrono::{DateTime, SecondsFormat, Utc};
use serde::{Deserialize, Serialize};

/// Under which name the store keeps how far an account and region has come.
#[must_use]
pub fn position_name(source: &str, account: &str, region: &str) -> String {
    format!("aws:{source}:{account}:{region}")
}

/// Up to when everything was looked up at least once, and when a day was last gone over again.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Position {
    pub(super) through: DateTime<Utc>,
    pub(super) nightly: DateTime<Utc>,
}

#[derive(Serialize, Deserialize)]
struct Written {
    through: String,
    nightly: String,
}

impl Position {
    pub(super) fn read(text: &str) -> Option<Self> {
        let written: Written = serde_json::from_str(text).ok()?;
        let time = |text: &str| DateTime::parse_from_rfc3339(text).ok().map(|time| time.to_utc());
        Some(Self { through: time(&written.through)?, nightly: time(&written.nightly)? })
    }

    pub(super) fn write(self) -> String {
        let time = |time: DateTime<Utc>| time.to_rfc3339_opts(SecondsFormat::Millis, true);
        let written = Written { through: time(self.through), nightly: time(self.nightly) };
        serde_json::to_string(&written).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_read_as_it_was_written() {
        let at = |secs| DateTime::from_timestamp(secs, 500_000_000).unwrap();
        let position = Position { through: at(1_700_000_000), nightly: at(1_600_000_000) };
        assert_eq!(Position::read(&position.write()), Some(position));
        assert_eq!(Position::read("{}"), None);
    }
}
