//! How far the objects of one folder are read, as the store of events keeps it. Pure.

use chrono::NaiveDate;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

/// Bytes before a spot that are remembered by their hash, so that an object that was written anew is
/// noticed.
const TAIL_BYTES: usize = 64;
/// Objects of which a position tells: some 100 bytes each, 200 KiB. Three days of Azure have 72, of a
/// log sink 72 for each shard. The oldest of more are not told, and read again after a restart.
const TOLD_MAX: usize = 2000;

/// How far the objects of one folder are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Position {
    /// The first day that was to be read.
    pub(crate) begin: NaiveDate,
    /// Days before this one are closed.
    pub(crate) day: NaiveDate,
    /// Objects of this day and later ones, by their names below the folder.
    spots: BTreeMap<String, Spot>,
}

/// How far one object is read.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Spot {
    /// Bytes whose records are given out.
    #[serde(rename = "b")]
    pub(crate) bytes: u64,
    /// The line that stands there, from 1; 0 when the object can only be read whole.
    #[serde(rename = "l")]
    line: u64,
    /// How many bytes before it are remembered, and their hash.
    #[serde(rename = "t", default, skip_serializing_if = "Option::is_none")]
    tail: Option<(u64, u64)>,
    /// What the object was when nothing more was to be had of it; 0 while it is being read.
    #[serde(rename = "v")]
    version: u64,
}

/// What is written; `spots` are the latest ones.
#[derive(Serialize)]
struct Told<'a> {
    begin: NaiveDate,
    day: NaiveDate,
    spots: BTreeMap<&'a str, &'a Spot>,
}

impl Spot {
    /// In an object of which everything before `bytes`, where `line` begins, is given out; `before`
    /// ends there.
    pub(crate) fn behind((bytes, line): (u64, u64), before: &[u8]) -> Self {
        let tail = before.get(before.len().saturating_sub(TAIL_BYTES)..).unwrap_or_default();
        let tail = (!tail.is_empty()).then(|| (tail.len() as u64, fnv(tail)));
        Self { bytes, line, tail, version: 0 }
    }

    /// Behind an object that is read whole or not at all.
    pub(crate) const fn whole(bytes: u64) -> Self {
        Self { bytes, line: 0, tail: None, version: 0 }
    }

    /// Says what the object is now that nothing more is to be had of it.
    pub(crate) const fn at_version(self, version: u64) -> Self {
        Self { version, ..self }
    }

    /// Whether reading goes on there when the object has grown.
    pub(crate) const fn goes_on(&self) -> bool {
        self.bytes > 0 && self.line > 0
    }

    /// The line that stands there, from 1.
    pub(crate) fn line(&self) -> u64 {
        self.line.max(1)
    }

    /// Where the bytes begin that are looked at again.
    pub(crate) fn tail_start(&self) -> u64 {
        self.bytes - self.tail_bytes()
    }

    /// How many bytes are looked at again.
    pub(crate) fn tail_bytes(&self) -> u64 {
        self.tail.map_or(0, |(count, _)| count.min(self.bytes))
    }

    /// Whether these bytes stood before it.
    pub(crate) fn follows(&self, before: &[u8]) -> bool {
        self.tail.is_none_or(|(_, hash)| hash == fnv(before))
    }
}

impl Position {
    /// Nothing read, from `day` on.
    pub(crate) const fn from(day: NaiveDate) -> Self {
        Self { begin: day, day, spots: BTreeMap::new() }
    }

    /// What was committed, or the beginning; from `begin` on when that is earlier than it was.
    pub(crate) fn of(committed: Option<&str>, begin: NaiveDate) -> Self {
        let known = committed.and_then(|text| serde_json::from_str::<Self>(text).ok());
        let Some(mut known) = known else { return Self::from(begin) };
        if begin < known.begin {
            (known.begin, known.day) = (begin, begin);
        }
        known
    }

    /// As it is committed.
    pub(crate) fn write(&self) -> String {
        let spots = self.spots.iter().rev().take(TOLD_MAX).map(|(name, spot)| (name.as_str(), spot));
        let told = Told { begin: self.begin, day: self.day, spots: spots.collect() };
        serde_json::to_string(&told).unwrap_or_default()
    }

    /// How far an object is read.
    pub(crate) fn spot(&self, name: &str) -> Spot {
        self.spots.get(name).cloned().unwrap_or_default()
    }

    /// Whether everything is given out that an object of this version and size has: its whole lines,
    /// or with `is_over` all of its bytes.
    pub(crate) fn is_read(&self, name: &str, (version, size): (u64, u64), is_over: bool) -> bool {
        let spot = self.spots.get(name);
        spot.is_some_and(|spot| spot.version == version && (!is_over || spot.bytes == size))
    }

    /// Notes how far an object is read.
    pub(crate) fn note(&mut self, name: &str, spot: Spot) {
        self.spots.insert(name.to_owned(), spot);
    }

    /// Forgets that an object was read.
    pub(crate) fn forget(&mut self, name: &str) {
        self.spots.remove(name);
    }

    /// How many objects it knows.
    pub(crate) fn known(&self) -> usize {
        self.spots.len()
    }

    /// Closes every day up to `day`; `opening` is what the names of the next begin with. Whether any
    /// was open.
    pub(crate) fn close(&mut self, day: NaiveDate, opening: impl Fn(NaiveDate) -> String) -> bool {
        let Some(next) = day.succ_opt().filter(|next| *next > self.day) else { return false };
        self.day = next;
        self.spots = self.spots.split_off(&opening(next));
        true
    }
}

/// FNV-1a, 64 bits.
pub(crate) fn fnv(bytes: &[u8]) -> u64 {
    bytes
        .iter()
        .fold(0xcbf2_9ce4_8422_2325, |hash, byte| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Naming;

    fn day(text: &str) -> NaiveDate {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_closed_is_forgotten_and_a_position_is_read_as_it_was_written() {
        let naming = Naming::DiagnosticSetting;
        let mut position = Position::from(day("2026-11-29"));
        for name in ["y=2026/m=11/d=29/h=23/m=00/PT1H.json", "y=2026/m=12/d=01/h=00/m=00/PT1H.json"] {
            position.note(name, Spot::behind((7, 2), b"{\"a\":1}").at_version(9));
        }
        assert!(position.close(day("2026-11-29"), |day| naming.day(day)));
        assert!(!position.close(day("2026-11-28"), |day| naming.day(day)));
        assert_eq!((position.day, position.known()), (day("2026-11-30"), 1));
        assert_eq!(Position::of(Some(&position.write()), day("2026-11-29")), position);
        assert_eq!(Position::of(Some("{}"), day("2026-11-01")), Position::from(day("2026-11-01")));
    }

    #[test]
    fn an_earlier_beginning_opens_the_days_again_and_reads_nothing_twice() {
        let mut position = Position::from(day("2026-11-20"));
        position.close(day("2026-11-25"), |day| Naming::LogSink.day(day));
        position.note("2026/11/26/x", Spot::whole(5).at_version(1));
        let earlier = Position::of(Some(&position.write()), day("2026-11-01"));
        assert_eq!((earlier.begin, earlier.day), (day("2026-11-01"), day("2026-11-01")));
        assert!(earlier.is_read("2026/11/26/x", (1, 5), true));
        let later = Position::of(Some(&position.write()), day("2026-11-30"));
        assert_eq!(later, position, "what is open stays open");
    }

    #[test]
    fn an_object_is_read_when_it_is_what_it_was_and_over_when_no_byte_is_left() {
        let mut position = Position::from(day("2026-11-20"));
        position.note("x", Spot::behind((7, 2), b"{\"a\":1}").at_version(3));
        assert!(position.is_read("x", (3, 9), false));
        assert!(!position.is_read("x", (3, 9), true), "two bytes of a torn line are left");
        assert!(!position.is_read("x", (4, 9), false) && !position.is_read("y", (3, 9), false));
    }

    #[test]
    fn a_spot_knows_what_stood_before_it() {
        let before = "x".repeat(100) + "the end\n";
        let spot = Spot::behind((108, 3), before.as_bytes());
        assert_eq!((spot.tail_start(), spot.tail_bytes()), (44, 64));
        assert!(spot.follows(&before.as_bytes()[44..]) && !spot.follows(&[b'y'; 64]));
        assert!(Spot::default().follows(b"") && !Spot::default().goes_on());
        assert!(spot.goes_on() && !Spot::whole(7).goes_on());
    }

    #[test]
    fn a_position_has_a_bound_whatever_lies_in_its_folder() {
        let mut position = Position::from(day("2026-11-20"));
        for number in 0..TOLD_MAX + 500 {
            let name = format!("2026/11/20/10:00:00_10:59:59_S{number:05}.json");
            position.note(&name, Spot::behind((u64::MAX, 1 << 40), b"abcdefgh").at_version(u64::MAX));
        }
        let text = position.write();
        assert!(text.len() < TOLD_MAX * 200, "{}", text.len());
        let read = Position::of(Some(&text), day("2026-11-20"));
        assert_eq!(read.known(), TOLD_MAX);
        assert!(read.is_read("2026/11/20/10:00:00_10:59:59_S02499.json", (u64::MAX, 0), false));
    }
}
