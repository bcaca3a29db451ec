//! Days that are written in a configuration.

use crate::config::frame::{At, Problems};
use chrono::NaiveDate;

/// The day that was written, when it is one.
pub(super) fn day_of(day: &At<String>) -> Option<NaiveDate> {
    NaiveDate::parse_from_str(&day.value, "%Y-%m-%d").ok()
}

/// Checks a range of days.
pub(super) fn check_days(from: Option<&At<String>>, to: Option<&At<String>>, problems: &Problems) {
    for day in from.into_iter().chain(to) {
        if day_of(day).is_none() {
            problems.add(&day.origin, format!("`{}` is no day", day.value), "write it as 2026-09-01");
        }
    }
    let Some((from, to)) = from.zip(to) else { return };
    if day_of(from).zip(day_of(to)).is_some_and(|(first, last)| last < first) {
        problems.add(&from.origin, "`from` is after `to`", "exchange them");
    }
}
