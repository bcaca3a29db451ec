//! What of a store is read, and how often it is looked at.

use crate::Naming;
use chrono::{DateTime, Days, NaiveDate, TimeDelta, Utc};
use std::time::Duration;

/// How the objects of a store are read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Settings {
    /// Whose names they have.
    pub naming: Naming,
    /// What their names begin with, above the year; everything when empty.
    pub prefix: String,
    /// How much history is read on the first start, when no first day is told.
    pub backfill: TimeDelta,
    /// The first day that is read.
    pub from: Option<NaiveDate>,
    /// The last day that is read; no end when absent.
    pub to: Option<NaiveDate>,
    /// How long after the end of a day something may still be written into it.
    pub late: TimeDelta,
    /// How long to rest between two looks.
    pub poll: Duration,
    /// How often it is looked for folders that are new.
    pub discover_every: Duration,
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
    /// Bytes asked for at once.
    pub chunk_bytes: u64,
}

impl Settings {
    /// The usual settings.
    #[must_use]
    pub fn new(naming: Naming) -> Self {
        Self {
            naming,
            prefix: String::new(),
            backfill: TimeDelta::days(7),
            from: None,
            to: None,
            late: TimeDelta::days(3),
            poll: Duration::from_mins(1),
            discover_every: Duration::from_mins(5),
            retry_first: Duration::from_secs(1),
            chunk_bytes: 4 << 20,
        }
    }

    /// The first day to read, when none is told and nothing was ever read: so long before today, or
    /// before the newest day there is. A clock that is ahead would pass over everything.
    pub(crate) fn begin(&self, now: DateTime<Utc>, newest: NaiveDate) -> NaiveDate {
        let today = now.date_naive().min(newest);
        let days = self.backfill.num_hours().max(0).unsigned_abs().div_ceil(24);
        today.checked_sub_days(Days::new(days)).unwrap_or(NaiveDate::MIN)
    }

    /// The last day into which nothing more is written, once the store's time is `heard`.
    pub(crate) fn closed_by(&self, heard: DateTime<Utc>) -> NaiveDate {
        (heard - self.late - TimeDelta::days(1)).date_naive()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_is_over_so_long_after_its_end() {
        let settings = Settings { late: TimeDelta::hours(48), ..Settings::new(Naming::LogSink) };
        let closed = |text: &str| settings.closed_by(text.parse().unwrap()).to_string();
        assert_eq!(closed("2026-06-03T23:59:59Z"), "2026-05-31");
        assert_eq!(closed("2026-06-04T00:00:00Z"), "2026-06-01");
    }

    #[test]
    fn history_begins_so_long_ago_whatever_the_clock_says() {
        let settings = Settings::new(Naming::LogSink);
        let begin = |now: &str, newest: &str| {
            settings.begin(now.parse().unwrap(), newest.parse().unwrap()).to_string()
        };
        assert_eq!(begin("2026-06-10T12:00:00Z", "2026-06-10"), "2026-06-03");
        assert_eq!(begin("2026-06-10T12:00:00Z", "2026-06-11"), "2026-06-03");
        assert_eq!(begin("2027-06-10T12:00:00Z", "2026-06-10"), "2026-06-03", "a clock that is ahead");
    }
}
