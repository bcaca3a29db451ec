//! In which hours of the week a source usually speaks.
//!
//! Each hour of the week remembers for eight weeks whether anything came in it. An hour not yet
//! known counts as usual as long as every hour so far was busy; a source that has shown a pause is
//! given a week to show when it pauses.

use serde::{Deserialize, Serialize};

const SLOTS: i64 = 168;
/// Weeks an hour remembers: the bits of a byte.
const WEEKS: i64 = 8;

/// A week's hours, 180 bytes; UTC.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Hours {
    /// By hour of the week: a bit per week, the latest lowest. Empty before anything came.
    weeks: Vec<u8>,
    /// The first hour anything came, and the last, since 1970.
    first: i64,
    last: i64,
    has_paused: bool,
}

impl Hours {
    /// Something came at this second; whether that changed what is known.
    pub(super) fn heard(&mut self, secs: i64) -> bool {
        let hour = secs.div_euclid(3600);
        // A clock that was set back by more than a week begins anew.
        if self.weeks.is_empty() || hour + SLOTS < self.last {
            self.has_paused = false;
            self.weeks = vec![0; usize::try_from(SLOTS).unwrap_or(168)];
            (self.first, self.last) = (hour, hour);
        } else if hour <= self.last {
            return false;
        } else {
            self.has_paused |= hour > self.last + 1;
            // After eight weeks without a word nothing older is left to shift.
            let from = (self.last + 1).max(hour - SLOTS * WEEKS + 1);
            (from..hour).for_each(|quiet| self.note(quiet, 0));
            self.last = hour;
        }
        self.note(hour, 1);
        true
    }

    fn note(&mut self, hour: i64, busy: u8) {
        if let Some(weeks) =
            usize::try_from(hour.rem_euclid(SLOTS)).ok().and_then(|at| self.weeks.get_mut(at))
        {
            *weeks = (*weeks << 1) | busy;
        }
    }

    /// Whether the source usually speaks in the hour of this second: in three of four weeks known.
    pub(super) fn is_usual(&self, secs: i64) -> bool {
        let hour = secs.div_euclid(3600);
        if self.weeks.is_empty() || hour <= self.last {
            return !self.weeks.is_empty();
        }
        // The latest hour of this slot that is known.
        let weeks_ago = (hour - self.last + SLOTS - 1) / SLOTS;
        let known_at = hour - weeks_ago * SLOTS;
        if known_at < self.first {
            return !self.has_paused;
        }
        let known = ((known_at - self.first) / SLOTS + 1).min(WEEKS);
        let bits = usize::try_from(hour.rem_euclid(SLOTS)).ok().and_then(|at| self.weeks.get(at));
        let seen = bits.copied().unwrap_or(0) & u8::try_from((1_u16 << known) - 1).unwrap_or(u8::MAX);
        i64::from(seen.count_ones()) * 4 >= known * 3
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A Monday, midnight.
    const MONDAY: i64 = 1_780_272_000;
    const HOUR: i64 = 3600;
    const DAY: i64 = 24 * HOUR;

    fn office(weeks: i64) -> Hours {
        let mut hours = Hours::default();
        for day in (0..weeks * 7).filter(|day| day % 7 < 5) {
            for hour in 8..18 {
                hours.heard(MONDAY + day * DAY + hour * HOUR);
            }
        }
        hours
    }

    #[test]
    fn a_source_that_never_paused_is_expected_in_hours_not_yet_known() {
        let mut hours = Hours::default();
        assert!(!hours.is_usual(MONDAY));
        for hour in 0..5 {
            hours.heard(MONDAY + hour * HOUR);
        }
        assert!(hours.is_usual(MONDAY + 6 * HOUR));
    }

    #[test]
    fn nights_and_weekends_are_not_usual_once_a_pause_was_seen() {
        for weeks in [1, 2, 9] {
            let hours = office(weeks);
            let next = MONDAY + weeks * 7 * DAY;
            for (at, usual) in
                [(7, false), (8, true), (17, true), (18, false), (24 + 9, true), (5 * 24 + 10, false)]
            {
                assert_eq!(hours.is_usual(next + at * HOUR), usual, "{weeks} weeks, hour {at}");
            }
        }
    }

    #[test]
    fn in_its_first_week_a_source_that_has_paused_is_expected_nowhere_new() {
        let mut hours = Hours::default();
        for hour in [8, 9, 10, 32, 33] {
            hours.heard(MONDAY + hour * HOUR);
        }
        assert!(!hours.is_usual(MONDAY + 34 * HOUR));
    }

    #[test]
    fn one_week_without_a_word_in_four_does_not_make_an_hour_unusual_and_two_do() {
        let mut hours = office(3);
        let (at, silent) = (MONDAY + 3 * 7 * DAY, |weeks: i64| MONDAY + (3 + weeks) * 7 * DAY + 9 * HOUR);
        hours.heard(at + 6 * DAY + 23 * HOUR);
        assert!(hours.is_usual(silent(1)));
        hours.heard(at + 13 * DAY + 23 * HOUR);
        assert!(!hours.is_usual(silent(2)));
    }
}
