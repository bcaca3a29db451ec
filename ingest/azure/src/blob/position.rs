//! How far the blobs of one resource are read. Pure.

use chrono::{NaiveDate, TimeDelta};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes before a spot that are remembered by their hash, so that a blob that was written anew is
/// noticed.
const TAIL_BYTES: usize = 64;

/// How far the blobs of one resource are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Days before this one are done with.
    pub(super) day: NaiveDate,
    /// Blobs of this day and later ones, by what follows the resource's folder. A day has 24.
    pub(super) blobs: BTreeMap<String, Spot>,
}

/// How far one blob is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Spot {
    /// Bytes whose records are given out.
    pub(super) bytes: u64,
    /// The line that stands there, from 1.
    pub(super) line: u64,
    /// How many bytes before it are remembered, and their hash.
    pub(super) tail: Option<(u64, u64)>,
}

impl Spot {
    /// Behind `before`, the bytes given out last.
    pub(super) fn behind((bytes, line): (u64, u64), before: &[u8]) -> Self {
        let tail = before.get(before.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let tail = (!tail.is_empty()).then(|| (tail.len() as u64, fnv(tail)));
        Self { bytes, line, tail }
    }

    /// Bytes before it that are looked at again.
    pub(super) fn tail_bytes(&self) -> u64 {
        self.tail.map_or(0, |(count, _)| count.min(self.bytes))
    }

    /// Whether these bytes stood before it.
    pub(super) fn follows(&self, before: &[u8]) -> bool {
        self.tail.is_none_or(|(_, hash)| hash == fnv(before))
    }
}

impl Position {
    pub(super) const fn from(day: NaiveDate) -> Self {
        Self { day, blobs: BTreeMap::new() }
    }

    /// The days to look at.
    pub(super) fn days(&self, today: NaiveDate) -> Vec<NaiveDate> {
        self.day.iter_days().take_while(|day| *day <= today).collect()
    }

    /// Whether nothing is expected for `day` any more: a whole day has passed since it ended.
    pub(super) fn is_over(day: NaiveDate, today: NaiveDate) -> bool {
        day + TimeDelta::days(2) <= today
    }

    /// Is done with `day`.
    pub(super) fn done(&mut self, day: NaiveDate) {
        let Some(next) = day.succ_opt() else { return };
        self.day = self.day.max(next);
        let folder = folder_of(self.day);
        self.blobs.retain(|name, _| *name >= folder);
    }
}

/// The folder of a day, as diagnostic settings name it.
pub(super) fn folder_of(day: NaiveDate) -> String {
    day.format("y=%Y/m=%m/d=%d").to_string()
}

/// FNV-1a, 64 bits.
fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn a_day_is_over_a_whole_day_after_it_ended() {
        assert!(!Position::is_over(day("2026-11-01"), day("2026-11-02")));
        assert!(Position::is_over(day("2026-11-01"), day("2026-11-03")));
    }

    #[test]
    fn what_is_done_with_is_forgotten_and_not_looked_at_again() {
        let mut position = Position::from(day("2026-11-29"));
        for name in ["y=2026/m=11/d=29/h=23/m=00/PT1H.json", "y=2026/m=12/d=01/h=00/m=00/PT1H.json"] {
            position.blobs.insert(name.to_owned(), Spot::default());
        }
        position.done(day("2026-11-29"));
        position.done(day("2026-11-28"));
        assert_eq!(position.days(day("2026-12-01")), [day("2026-11-30"), day("2026-12-01")]);
        assert_eq!(position.blobs.len(), 1);
        let text = serde_json::to_string(&position).unwrap();
        assert_eq!(serde_json::from_str::<Position>(&text).unwrap(), position);
    }

    #[test]
    fn a_spot_knows_what_stood_before_it() {
        let before = "x".repeat(100) + "the end\n";
        let spot = Spot::behind((108, 3), before.as_bytes());
        assert_eq!(spot.tail_bytes(), 64);
        assert!(spot.follows(&before.as_bytes()[108 - 64..]));
        assert!(!spot.follows(&[b'y'; 64]));
        assert!(Spot::default().follows(b""));
    }
}
