//! Up to eight distinct UTC days, in eighteen bytes. Knows nothing of what happened on them.

use serde::{Deserialize, Serialize};

/// Seconds of a day.
pub(crate) const DAY_SECS: u32 = 86_400;

/// A second since 1970 as state keeps it; what lies outside 1970 to 2106 is moved to its edge.
pub(crate) fn stamp(secs: i64) -> u32 {
    u32::try_from(secs.max(0)).unwrap_or(u32::MAX)
}

/// Distinct days, the first eight that were added.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Days {
    days: [u16; 8],
    len: u8,
}

impl Days {
    /// Most days it tells apart.
    pub(crate) const MAX: usize = 8;

    /// Adds the day of a second; whether that was news.
    pub(crate) fn add(&mut self, at: u32) -> bool {
        if self.contains(at) {
            return false;
        }
        let Some(place) = self.days.get_mut(usize::from(self.len)) else { return false };
        *place = day_of(at);
        self.len += 1;
        true
    }

    /// Whether the day of a second is among them.
    pub(crate) fn contains(&self, at: u32) -> bool {
        self.days.iter().take(self.len()).any(|day| *day == day_of(at))
    }

    /// How many there are.
    pub(crate) fn len(&self) -> usize {
        usize::from(self.len).min(Self::MAX)
    }

    /// First second of the latest of them; 0 when there is none.
    pub(crate) fn latest(&self) -> u32 {
        let latest = self.days.iter().take(self.len()).max().copied().unwrap_or(0);
        u32::from(latest).saturating_mul(DAY_SECS)
    }

    /// Seconds from the end of the latest of them to `at`; 0 when it is not over.
    pub(crate) fn idle_secs(&self, at: u32) -> u32 {
        let latest = self.days.iter().take(self.len()).max().copied().unwrap_or(0);
        at.saturating_sub((u32::from(latest) + 1).saturating_mul(DAY_SECS))
    }
}

/// The day of a second; 2106 is day 49,710.
fn day_of(at: u32) -> u16 {
    u16::try_from(at / DAY_SECS).unwrap_or(u16::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_day_counts_once_and_the_ninth_no_more() {
        let mut days = Days::default();
        assert!(days.add(5) && !days.add(86_399) && days.add(86_400));
        assert_eq!(days.len(), 2);
        for day in 2..20 {
            days.add(day * DAY_SECS);
        }
        assert_eq!(days.len(), Days::MAX);
        assert!(days.contains(7 * DAY_SECS) && !days.contains(8 * DAY_SECS));
    }

    #[test]
    fn days_are_idle_from_the_end_of_the_latest() {
        let mut days = Days::default();
        days.add(DAY_SECS);
        assert_eq!(days.idle_secs(DAY_SECS + 10), 0);
        assert_eq!(days.idle_secs(2 * DAY_SECS + 10), 10);
    }

    #[test]
    fn times_outside_the_range_move_to_its_edge() {
        assert_eq!((stamp(-5), stamp(i64::MAX), stamp(7)), (0, u32::MAX, 7));
    }
}
