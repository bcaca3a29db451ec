//! On which days somebody came from somewhere new, and on which not: what tells who always moves from who has
//! a home.
//!
//! Sixteen UTC days in six bytes. Knows nothing of networks.

use super::days::DAY_SECS;
use serde::{Deserialize, Serialize};

/// The days of a week or two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Moves {
    /// The latest of them, since 1970; 2106 is day 49,710.
    latest: u16,
    /// Bit n: it was seen n days before the latest.
    seen: u16,
    /// Bit n: and moved then.
    moved: u16,
}

impl Moves {
    /// Most days it looks back, today among them.
    pub(super) const MAX: usize = 16;

    /// It was somewhere new; with a home, that is no move on a day on which it was there too. Whether that is
    /// news.
    pub(super) fn go(&mut self, at: u32, has_home: bool) -> bool {
        let Some(bit) = self.bit(at) else { return false };
        let was_home = has_home && self.seen & bit != 0 && self.moved & bit == 0;
        let is_news = !was_home && self.moved & bit == 0;
        if is_news {
            self.seen |= bit;
            self.moved |= bit;
        }
        is_news
    }

    /// It was where it was on an earlier day; with a home, that makes the day no move. Whether that is news.
    pub(super) fn stay(&mut self, at: u32, has_home: bool) -> bool {
        let Some(bit) = self.bit(at) else { return false };
        let is_news = self.seen & bit == 0 || has_home && self.moved & bit != 0;
        self.seen |= bit;
        if has_home {
            self.moved &= !bit;
        }
        is_news
    }

    /// Whether it moved on `days` of the last `of` days: on as many in a row of those it was seen on, or on half
    /// of those.
    pub(super) fn are_many(self, days: usize, of: usize) -> bool {
        let is = |bits: u16, n: &usize| bits >> n & 1 == 1;
        let seen = || (0..of.min(Self::MAX)).filter(|n| is(self.seen, n));
        let moved = seen().filter(|n| is(self.moved, n)).count();
        let in_a_row = seen().take_while(|n| is(self.moved, n)).count();
        moved >= days && (in_a_row >= days || 2 * moved >= seen().count())
    }

    /// The bit of a day, which becomes the latest if it is; `None` when it is too long ago.
    fn bit(&mut self, at: u32) -> Option<u16> {
        let day = u16::try_from(at / DAY_SECS).unwrap_or(u16::MAX);
        if let Some(later) = day.checked_sub(self.latest).filter(|later| *later > 0) {
            let shifted = |bits: u16| bits.checked_shl(later.into()).unwrap_or(0);
            (self.seen, self.moved, self.latest) = (shifted(self.seen), shifted(self.moved), day);
        }
        1_u16.checked_shl(u32::from(self.latest - day))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(days: &[(u32, bool)], has_home: bool) -> Moves {
        let mut moves = Moves::default();
        for (day, is_new) in days {
            let at = day * DAY_SECS + 7;
            if *is_new {
                moves.go(at, has_home)
            } else {
                moves.stay(at, has_home)
            };
        }
        moves
    }

    #[test]
    fn four_days_of_fourteen_are_many_in_a_row_or_where_they_are_half_of_those_it_was_seen_on() {
        let every_third = [(100, true), (103, true), (106, true), (109, true)];
        assert!(of(&every_third, true).are_many(4, 14));
        assert!(!of(&every_third[..3], true).are_many(4, 14));
        assert!(!of(&[(95, true), (103, true), (106, true), (109, true)], true).are_many(4, 14), "15 days");
        let mut half = every_third.to_vec();
        half.extend([(101, false), (102, false), (104, false), (107, false)]);
        assert!(of(&half, true).are_many(4, 14));
        half.push((105, false));
        assert!(!of(&half, true).are_many(4, 14));
        half.extend([(110, true), (111, true)]);
        assert!(!of(&half, true).are_many(7, 14));
        half.push((112, true));
        assert!(of(&half, true).are_many(4, 14), "four in a row");
    }

    #[test]
    fn a_day_at_home_is_no_move_whichever_came_first() {
        let both = [[(5, true), (5, false)], [(5, false), (5, true)]];
        for days in both {
            assert!(!of(&days, true).are_many(1, 14), "{days:?}");
            assert!(of(&days, false).are_many(1, 14), "{days:?}");
        }
    }

    #[test]
    fn a_day_counts_once_and_late_ones_where_they_belong() {
        let mut moves = Moves::default();
        assert!(moves.go(20 * DAY_SECS, true) && !moves.go(20 * DAY_SECS + 5, true));
        assert!(moves.go(18 * DAY_SECS, true) && moves.are_many(2, 14));
        assert!(!moves.go(4 * DAY_SECS, true), "too long ago");
        assert!(moves.go(200 * DAY_SECS, true) && !moves.are_many(2, 14));
    }
}
