//! Parts of timestamps: `eventTime|hour`.

use chrono::{Datelike, Timelike};
use keywatch_event::EventTime;
use rsigma_parser::Modifier;

/// Which part of a timestamp is compared, in UTC.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Part {
    Minute,
    Hour,
    /// Of the month.
    Day,
    /// ISO 8601.
    Week,
    Month,
    Year,
}

/// Largest number that is read as seconds since 1970; larger ones are milliseconds.
const SECS_MAX: i64 = 100_000_000_000;

impl Part {
    pub(super) fn named(modifier: Modifier) -> Option<Self> {
        let known = [
            (Modifier::Minute, Self::Minute),
            (Modifier::Hour, Self::Hour),
            (Modifier::Day, Self::Day),
            (Modifier::Week, Self::Week),
            (Modifier::Month, Self::Month),
            (Modifier::Year, Self::Year),
        ];
        known.into_iter().find(|(known, _)| *known == modifier).map(|(_, part)| part)
    }

    /// This part of a timestamp; `None` for a value that is none.
    pub(super) fn of(self, value: &str) -> Option<String> {
        let number = value.parse::<i64>().ok();
        let time = match number {
            Some(secs) if secs.abs() <= SECS_MAX => EventTime::from_secs(secs),
            Some(millis) => EventTime::from_millis(millis),
            None => EventTime::parse(value).ok()?,
        };
        let time = time.to_chrono();
        Some(match self {
            Self::Minute => time.minute().to_string(),
            Self::Hour => time.hour().to_string(),
            Self::Day => time.day().to_string(),
            Self::Week => time.iso_week().week().to_string(),
            Self::Month => time.month().to_string(),
            Self::Year => time.year().to_string(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_taken_of_whatever_is_a_timestamp() {
        let of = |part: Part, value| part.of(value);
        let some = |text: &str| Some(text.to_owned());
        assert_eq!(of(Part::Minute, "2026-05-31T09:08:07Z"), some("8"));
        assert_eq!(of(Part::Hour, "2026-05-31T01:08:07+02:00"), some("23"));
        assert_eq!(of(Part::Day, "2026-05-31T01:08:07+02:00"), some("30"));
        assert_eq!(of(Part::Week, "2027-01-01T00:00:00Z"), some("53"));
        assert_eq!(of(Part::Month, "1780272000"), some("6"));
        assert_eq!(of(Part::Year, "1780272000000"), some("2026"));
        assert_eq!(of(Part::Year, "yesterday"), None);
    }
}
