//! How much a source brings, and how late.

use crate::pipeline::Stepped;
use chrono::{DateTime, Utc};
use keywatch_event::EventTime;

/// Seconds without a batch after which a source has nothing more to read.
const IDLE_SECS: i64 = 60;
/// Seconds an event may be old and still be news: providers deliver within 15 minutes, and some
/// objects wait as long again.
pub(super) const RECENT_SECS: i64 = 1800;

/// What is known of a source from the batches it brought.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Figures {
    /// When its last batch with events was stored, and event time of the newest event in it.
    latest: Option<(DateTime<Utc>, EventTime)>,
    minute: i64,
    this_minute: u64,
    last_minute: u64,
}

impl Figures {
    /// A batch was stored.
    pub(super) fn count(&mut self, stepped: &Stepped, now: DateTime<Utc>) {
        if let Some(newest) = stepped.newest {
            self.latest = Some((now, newest));
        }
        self.turn(now);
        self.this_minute += (stepped.committed.fresh + stepped.committed.duplicates) as u64;
    }

    fn turn(&mut self, now: DateTime<Utc>) {
        let minute = now.timestamp().div_euclid(60);
        if minute != self.minute {
            self.last_minute = if minute == self.minute + 1 { self.this_minute } else { 0 };
            self.this_minute = 0;
            self.minute = minute;
        }
    }

    /// Events of the last whole minute.
    pub(super) fn per_minute(mut self, now: DateTime<Utc>) -> u64 {
        self.turn(now);
        self.last_minute
    }

    /// Seconds from the newest event of the last batch to its commit.
    pub(super) fn lag_secs(&self) -> Option<u64> {
        let (at, newest) = self.latest?;
        u64::try_from(at.timestamp() - newest.secs()).ok()
    }

    /// Whether the source brings what is recent, or has brought nothing for a while.
    pub(super) fn has_caught_up(&self, now: DateTime<Utc>) -> bool {
        self.latest.is_none_or(|(at, newest)| {
            let idle = now.timestamp() - at.timestamp() > IDLE_SECS;
            idle || now.timestamp() - newest.secs() <= RECENT_SECS
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::{BTreeMap, HashMap};

    fn at(secs: i64) -> DateTime<Utc> {
        DateTime::from_timestamp(secs, 0).unwrap()
    }

    fn stepped(fresh: usize, newest: i64) -> Stepped {
        let committed = keywatch_store::Committed { fresh, ..keywatch_store::Committed::default() };
        let newest = Some(EventTime::from_secs(newest));
        Stepped { committed, newest, levels: HashMap::new(), rejects: BTreeMap::new() }
    }

    #[test]
    fn a_rate_is_that_of_the_last_whole_minute() {
        let mut figures = Figures::default();
        figures.count(&stepped(3, 0), at(6000));
        figures.count(&stepped(4, 0), at(6059));
        assert_eq!((figures.per_minute(at(6059)), figures.per_minute(at(6060))), (0, 7));
        assert_eq!(figures.per_minute(at(6120)), 0);
    }

    #[test]
    fn old_news_is_waited_for_until_nothing_comes() {
        let mut figures = Figures::default();
        assert!(figures.has_caught_up(at(0)));
        figures.count(&stepped(1, 0), at(100_000));
        assert_eq!(figures.lag_secs(), Some(100_000));
        assert!(!figures.has_caught_up(at(100_010)));
        assert!(figures.has_caught_up(at(100_000 + IDLE_SECS + 1)));
    }
}
