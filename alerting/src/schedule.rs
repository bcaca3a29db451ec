//! When a failed delivery is tried again, and when it is given up. Pure.
//!
//! Fourteen attempts over a little more than three days, as long as Standard Webhooks 1.0
//! suggests, so that a receiver that is down over a weekend loses nothing.

use chrono::{DateTime, NaiveDateTime, TimeDelta, Utc};

const MINUTE: u64 = 60;
const HOUR: u64 = 3600;

/// Seconds before attempt 1, 2, 3 … each counted from the attempt before it.
pub const DELAYS_SECS: [u64; 14] = [
    0,
    5,
    30,
    2 * MINUTE,
    5 * MINUTE,
    15 * MINUTE,
    30 * MINUTE,
    HOUR,
    2 * HOUR,
    5 * HOUR,
    10 * HOUR,
    14 * HOUR,
    20 * HOUR,
    24 * HOUR,
];

/// Longest wait a receiver can ask for with `Retry-After`, in seconds.
pub const RETRY_AFTER_SECS_MAX: u64 = HOUR;

/// When to try again after attempt number `attempt` (from 1) failed at `now`.
///
/// The delay of the schedule is spread by ±20 %, where `random` picks the point; a receiver that
/// asked for a longer pause (`retry_after_secs`) gets it. `None` when that was the last attempt:
/// the delivery is a dead letter.
#[must_use]
pub fn next_attempt_at(
    attempt: u32,
    now: DateTime<Utc>,
    retry_after_secs: Option<u64>,
    random: u64,
) -> Option<DateTime<Utc>> {
    let delay_secs = *DELAYS_SECS.get(usize::try_from(attempt).ok()?)?;
    let asked_millis = retry_after_secs.unwrap_or(0).min(RETRY_AFTER_SECS_MAX) * 1000;
    let millis = spread(delay_secs * 1000, random).max(asked_millis);
    now.checked_add_signed(TimeDelta::milliseconds(i64::try_from(millis).ok()?))
}

/// `millis` moved to a point between 80 % and 120 % of it.
fn spread(millis: u64, random: u64) -> u64 {
    let width = u128::from(millis) * 2 / 5;
    let offset = width * u128::from(random) / u128::from(u64::MAX);
    millis - millis / 5 + u64::try_from(offset).unwrap_or(0)
}

/// Reads a `Retry-After` header: seconds, or any of the three date forms of RFC 9110 section
/// 5.6.7. Yields seconds from `now`, at most [`RETRY_AFTER_SECS_MAX`]; `None` when it is neither.
#[must_use]
pub fn retry_after_secs(header: &str, now: DateTime<Utc>) -> Option<u64> {
    let text = header.trim();
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // More digits than fit are still a number: a long time.
        return Some(text.parse().unwrap_or(u64::MAX).min(RETRY_AFTER_SECS_MAX));
    }
    let wait = http_date(text)?.signed_duration_since(now).num_seconds();
    Some(u64::try_from(wait).unwrap_or(0).min(RETRY_AFTER_SECS_MAX))
}

fn http_date(text: &str) -> Option<DateTime<Utc>> {
    if let Ok(at) = DateTime::parse_from_rfc2822(text) {
        return Some(at.with_timezone(&Utc));
    }
    let obsolete = ["%A, %d-%b-%y %H:%M:%S GMT", "%a %b %e %H:%M:%S %Y"];
    obsolete.iter().find_map(|form| NaiveDateTime::parse_from_str(text, form).ok()).map(|at| at.and_utc())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn noon() -> DateTime<Utc> {
        DateTime::from_timestamp(1_769_860_800, 0).unwrap()
    }

    fn wait_millis(attempt: u32, retry_after: Option<u64>, random: u64) -> Option<i64> {
        next_attempt_at(attempt, noon(), retry_after, random).map(|at| (at - noon()).num_milliseconds())
    }

    #[test]
    fn every_attempt_waits_as_the_schedule_says_within_a_fifth() {
        let waits = [5, 30, 120, 300, 900, 1800, 3600, 7200, 18_000, 36_000, 50_400, 72_000, 86_400];
        for (attempt, secs) in (1_u32..).zip(waits) {
            assert_eq!(wait_millis(attempt, None, 0), Some(secs * 800), "attempt {attempt}, earliest");
            assert_eq!(wait_millis(attempt, None, u64::MAX), Some(secs * 1200), "attempt {attempt}, latest");
        }
        assert_eq!(DELAYS_SECS.len(), waits.len() + 1);
        assert_eq!(DELAYS_SECS.first(), Some(&0));
    }

    #[test]
    fn after_the_last_attempt_there_is_no_next() {
        assert_eq!(wait_millis(14, None, 7), None);
        assert_eq!(wait_millis(14, Some(10), 7), None);
        assert_eq!(wait_millis(u32::MAX, None, 7), None);
    }

    #[test]
    fn a_receiver_may_ask_for_a_longer_pause_up_to_an_hour_and_never_for_a_shorter_one() {
        assert_eq!(wait_millis(1, Some(600), 0), Some(600_000));
        assert_eq!(wait_millis(1, Some(1), 0), Some(4000));
        assert_eq!(wait_millis(1, Some(86_400), 0), Some(3_600_000));
        assert_eq!(wait_millis(13, Some(60), 0), Some(86_400 * 800));
    }

    #[test]
    fn retry_after_reads_seconds_and_every_form_of_date() {
        for (header, want) in [
            ("120", Some(120)),
            (" 0 ", Some(0)),
            ("99999999999999999999999", Some(3600)),
            ("Sat, 31 Jan 2026 12:02:00 GMT", Some(120)),
            ("Saturday, 31-Jan-26 12:02:00 GMT", Some(120)),
            ("Sat Jan 31 12:02:00 2026", Some(120)),
            ("Sat, 31 Jan 2026 11:00:00 GMT", Some(0)),
            ("Sun, 01 Feb 2026 12:00:00 GMT", Some(3600)),
            ("-5", None),
            ("1.5", None),
            ("soon", None),
            ("", None),
        ] {
            assert_eq!(retry_after_secs(header, noon()), want, "{header:?}");
        }
    }
}
