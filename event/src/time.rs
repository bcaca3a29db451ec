//! Event time: an instant in UTC that remembers how precisely the provider gave it.
//!
//! `CloudTrail` writes whole seconds, Google up to nine fractional digits, Azure seven, Vault
//! drops trailing zeros. The precision is kept so that what is shown is what was said.

use chrono::{DateTime, NaiveDate, NaiveDateTime, SecondsFormat, TimeZone, Utc};
use serde::{Deserialize, Deserializer, Serialize, Serializer};
use std::fmt;

/// An instant in UTC with the number of fractional digits its source gave (0 to 9).
///
/// Ordering and equality look at the instant only: `…:05Z` equals `…:05.000Z`.
#[derive(Clone, Copy, Debug)]
pub struct EventTime {
    secs: i64,
    nanos: u32,
    digits: u8,
}

/// A text that is not a timestamp Keywatch can place.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
#[error("`{0}` is not a timestamp; expected RFC 3339 such as 2026-01-31T12:00:00Z")]
pub struct TimeError(pub String);

impl EventTime {
    /// The instant `secs` seconds after 1970-01-01T00:00:00Z, given to whole seconds.
    #[must_use]
    pub const fn from_secs(secs: i64) -> Self {
        Self { secs, nanos: 0, digits: 0 }
    }

    /// The instant `millis` milliseconds after the epoch, given to milliseconds.
    #[must_use]
    pub fn from_millis(millis: i64) -> Self {
        let nanos = u32::try_from(millis.rem_euclid(1000)).unwrap_or(0) * 1_000_000;
        Self { secs: millis.div_euclid(1000), nanos, digits: 3 }
    }

    /// Rebuilds an instant from its stored parts: nanoseconds since the epoch and digits.
    #[must_use]
    pub fn from_unix_nanos(nanos: i64, digits: u8) -> Self {
        let rest = u32::try_from(nanos.rem_euclid(1_000_000_000)).unwrap_or(0);
        Self { secs: nanos.div_euclid(1_000_000_000), nanos: rest, digits: digits.min(9) }
    }

    /// Seconds since the epoch, rounded down.
    #[must_use]
    pub const fn secs(self) -> i64 {
        self.secs
    }

    /// Fractional digits the source gave, 0 to 9.
    #[must_use]
    pub const fn digits(self) -> u8 {
        self.digits
    }

    /// Nanoseconds since the epoch; saturates outside 1677 to 2262, which [`Self::parse`] refuses.
    #[must_use]
    pub fn unix_nanos(self) -> i64 {
        self.secs.saturating_mul(1_000_000_000).saturating_add(i64::from(self.nanos))
    }

    /// Milliseconds since the epoch, rounded down.
    #[must_use]
    pub fn unix_millis(self) -> i64 {
        self.secs.saturating_mul(1000).saturating_add(i64::from(self.nanos / 1_000_000))
    }

    /// This instant moved by `secs` seconds (may be negative).
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        Self { secs: self.secs.saturating_add(secs), ..self }
    }

    /// Reads RFC 3339 (any offset), and the `YYYY-MM-DD HH:MM:SS[.fff]` that exports of UTC
    /// times use.
    ///
    /// # Errors
    /// [`TimeError`] when the text is neither, or lies outside the years 1678 to 2261 that
    /// nanosecond time can hold.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let parsed = parse_plain(text).or_else(|| parse_general(text));
        parsed.ok_or_else(|| TimeError(text.chars().take(64).collect()))
    }

    /// The same instant as a chrono time.
    #[must_use]
    pub fn to_chrono(self) -> DateTime<Utc> {
        Utc.timestamp_opt(self.secs, self.nanos).single().unwrap_or(DateTime::UNIX_EPOCH)
    }
}

/// Years whose nanoseconds fit an `i64`.
const YEARS: std::ops::RangeInclusive<i64> = 1678..=2261;

/// The fast path: `YYYY-MM-DDThh:mm:ss[.fffffffff]Z`, which is nearly every record.
fn parse_plain(text: &str) -> Option<EventTime> {
    let bytes = text.as_bytes();
    let (head, rest) = bytes.split_at_checked(19)?;
    let shape = [(4, b'-'), (7, b'-'), (10, b'T'), (13, b':'), (16, b':')];
    if shape.iter().any(|&(at, want)| head.get(at) != Some(&want)) {
        return None;
    }
    let (nanos, digits) = fraction(rest.strip_suffix(b"Z")?)?;
    let number = |from: usize, to: usize| digits_of(head.get(from..to)?);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    let in_range = (1..=12).contains(&month) && hour < 24 && minute < 60 && second < 60;
    if !YEARS.contains(&year) || !in_range || day < 1 || day > days_in_month(year, month) {
        return None;
    }
    let secs = days_from_civil(year, month, day) * 86_400 + hour * 3600 + minute * 60 + second;
    Some(EventTime { secs, nanos, digits })
}

fn parse_general(text: &str) -> Option<EventTime> {
    let digits = fraction_digits(text);
    let at = match DateTime::parse_from_rfc3339(text) {
        Ok(at) => at.with_timezone(&Utc),
        Err(_) => NaiveDateTime::parse_from_str(text, "%Y-%m-%d %H:%M:%S%.f").ok()?.and_utc(),
    };
    let first = NaiveDate::from_ymd_opt(1678, 1, 1)?.and_hms_opt(0, 0, 0)?.and_utc();
    let last = NaiveDate::from_ymd_opt(2262, 1, 1)?.and_hms_opt(0, 0, 0)?.and_utc();
    let nanos = at.timestamp_subsec_nanos().min(999_999_999);
    (first <= at && at < last).then_some(EventTime { secs: at.timestamp(), nanos, digits })
}

fn fraction(bytes: &[u8]) -> Option<(u32, u8)> {
    let Some(digits) = bytes.strip_prefix(b".") else {
        return bytes.is_empty().then_some((0, 0));
    };
    let count = u8::try_from(digits.len()).ok().filter(|n| (1..=9).contains(n))?;
    let value = u32::try_from(digits_of(digits)?).ok()?;
    Some((value * 10_u32.pow(u32::from(9 - count)), count))
}

fn fraction_digits(text: &str) -> u8 {
    let after = text.split_once('.').map_or("", |(_, after)| after);
    let count = after.bytes().take_while(u8::is_ascii_digit).count();
    u8::try_from(count).unwrap_or(9).min(9)
}

fn digits_of(bytes: &[u8]) -> Option<i64> {
    bytes
        .iter()
        .try_fold(0_i64, |value, &byte| byte.is_ascii_digit().then(|| value * 10 + i64::from(byte - b'0')))
}

fn days_in_month(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970-01-01 of a proleptic Gregorian date
/// (Howard Hinnant, "chrono-Compatible Low-Level Date Algorithms").
fn days_from_civil(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year - era * 400;
    let shifted = if month > 2 { month - 3 } else { month + 9 };
    let day_of_year = (153 * shifted + 2) / 5 + day - 1;
    let day_of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + day_of_year;
    era * 146_097 + day_of_era - 719_468
}

impl PartialEq for EventTime {
    fn eq(&self, other: &Self) -> bool {
        (self.secs, self.nanos) == (other.secs, other.nanos)
    }
}

impl Eq for EventTime {}

impl std::hash::Hash for EventTime {
    fn hash<H: std::hash::Hasher>(&self, state: &mut H) {
        (self.secs, self.nanos).hash(state);
    }
}

impl PartialOrd for EventTime {
    fn partial_cmp(&self, other: &Self) -> Option<std::cmp::Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for EventTime {
    fn cmp(&self, other: &Self) -> std::cmp::Ordering {
        (self.secs, self.nanos).cmp(&(other.secs, other.nanos))
    }
}

impl From<DateTime<Utc>> for EventTime {
    fn from(at: DateTime<Utc>) -> Self {
        let nanos = at.timestamp_subsec_nanos().min(999_999_999);
        Self { secs: at.timestamp(), nanos, digits: 9 }
    }
}

impl fmt::Display for EventTime {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let whole = self.to_chrono().to_rfc3339_opts(SecondsFormat::Secs, true);
        let Some(stem) = whole.strip_suffix('Z').filter(|_| self.digits > 0) else {
            return out.write_str(&whole);
        };
        let shown = self.nanos / 10_u32.pow(u32::from(9 - self.digits));
        write!(out, "{stem}.{shown:0width$}Z", width = usize::from(self.digits))
    }
}

impl Serialize for EventTime {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for EventTime {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        Self::parse(&text).map_err(serde::de::Error::custom)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[track_caller]
    fn check(text: &str, want: Option<(&str, i64)>) {
        let got = EventTime::parse(text).ok().map(|t| (t.to_string(), t.secs()));
        assert_eq!(got, want.map(|(shown, secs)| (shown.to_owned(), secs)), "{text}");
    }

    #[test]
    fn times_of_every_provider_keep_the_precision_they_came_with() {
        check("2026-01-31T12:00:00Z", Some(("2026-01-31T12:00:00Z", 1_769_860_800)));
        check("2020-04-30T14:27:10.6656485Z", Some(("2020-04-30T14:27:10.6656485Z", 1_588_256_830)));
        check("2020-04-30T14:27:10.35361Z", Some(("2020-04-30T14:27:10.35361Z", 1_588_256_830)));
        check("2019-12-19T00:49:36.086Z", Some(("2019-12-19T00:49:36.086Z", 1_576_716_576)));
        check("2026-01-31T14:00:00+02:00", Some(("2026-01-31T12:00:00Z", 1_769_860_800)));
        check("2025-01-21 17:49:47.000000000", Some(("2025-01-21T17:49:47.000000000Z", 1_737_481_787)));
        check("1970-01-01T00:00:00Z", Some(("1970-01-01T00:00:00Z", 0)));
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in
            ["", "eventTime", "9999-12-31T23:59:59Z", "2026-02-30T00:00:00Z", "2026-01-31", "1234567890"]
        {
            check(text, None);
        }
    }

    proptest! {
        #[test]
        fn the_fast_path_agrees_with_chrono(secs in -9_000_000_000_i64..9_000_000_000, nanos in 0_u32..1_000_000_000) {
            let text = Utc.timestamp_opt(secs, nanos).unwrap().to_rfc3339_opts(SecondsFormat::Nanos, true);
            prop_assert_eq!(parse_plain(&text), parse_general(&text));
            prop_assert_eq!(EventTime::parse(&text).unwrap().to_string(), text);
        }

        #[test]
        fn parsing_never_panics(text in "\\PC{0,40}") {
            let _outcome = EventTime::parse(&text);
        }
    }
}
