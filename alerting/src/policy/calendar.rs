//! Hours of the week in a time zone: when people are on duty, when machines are worked on.

use chrono::{DateTime, Datelike, Days, NaiveDate, NaiveTime, TimeDelta, TimeZone, Utc, Weekday};
use chrono_tz::Tz;
use std::fmt;
use std::str::FromStr;

/// Days of the week.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Weekdays([bool; 7]);

/// A stretch of hours on some days of the week. One that ends before it begins goes on into the
/// next day: `22:00-06:00` on Friday ends on Saturday morning.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Hours {
    /// Days on which it begins.
    pub days: Weekdays,
    /// When it begins, by the clock on the wall.
    pub from: NaiveTime,
    /// When it ends.
    pub to: NaiveTime,
    /// Whose clock.
    pub zone: Tz,
}

/// A text that says no hours.
#[derive(Clone, Debug, thiserror::Error, PartialEq, Eq)]
pub enum HoursError {
    /// No such days.
    #[error("`{0}` names no days; write mon-fri, sat,sun or daily")]
    Days(String),
    /// No such time.
    #[error("`{0}` is no time of day; write 08:00-18:00")]
    Time(String),
    /// No such zone.
    #[error("`{0}` is no time zone; write one of the IANA database, such as Europe/Berlin or UTC")]
    Zone(String),
    /// Not of the form.
    #[error("`{0}` says no hours; write `mon-fri 08:00-18:00 Europe/Berlin`, or `daily 02:00-04:00 UTC`")]
    Form(String),
}

const NAMES: [(&str, Weekday); 7] = [
    ("mon", Weekday::Mon),
    ("tue", Weekday::Tue),
    ("wed", Weekday::Wed),
    ("thu", Weekday::Thu),
    ("fri", Weekday::Fri),
    ("sat", Weekday::Sat),
    ("sun", Weekday::Sun),
];

impl Weekdays {
    fn contains(self, day: Weekday) -> bool {
        self.0.get(day.num_days_from_monday() as usize).copied().unwrap_or(false)
    }
}

impl FromStr for Weekdays {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let bad = || HoursError::Days(text.to_owned());
        if text == "daily" {
            return Ok(Self([true; 7]));
        }
        let at = |name: &str| NAMES.iter().position(|(known, _)| *known == name.trim()).ok_or_else(bad);
        let mut days = [false; 7];
        for part in text.split(',') {
            let (first, last) = part.split_once('-').unwrap_or((part, part));
            let (first, last) = (at(first)?, at(last)?);
            for (index, day) in days.iter_mut().enumerate() {
                *day |= if first <= last {
                    (first..=last).contains(&index)
                } else {
                    index >= first || index <= last
                };
            }
        }
        Ok(Self(days))
    }
}

impl FromStr for Hours {
    type Err = HoursError;

    fn from_str(text: &str) -> Result<Self, HoursError> {
        let parts: Vec<&str> = text.split_whitespace().collect();
        let [days, times, zone] = parts.as_slice() else { return Err(HoursError::Form(text.to_owned())) };
        let (from, to) = times.split_once('-').ok_or_else(|| HoursError::Time((*times).to_owned()))?;
        Ok(Self {
            days: days.to_ascii_lowercase().parse()?,
            from: time_of(from)?,
            to: time_of(to)?,
            zone: zone.parse().ok().ok_or_else(|| HoursError::Zone((*zone).to_owned()))?,
        })
    }
}

/// `24:00` is the end of the day.
fn time_of(text: &str) -> Result<NaiveTime, HoursError> {
    let bad = || HoursError::Time(text.to_owned());
    if text == "24:00" {
        return Ok(NaiveTime::MIN);
    }
    NaiveTime::parse_from_str(text, "%H:%M").ok().ok_or_else(bad)
}

impl fmt::Display for Hours {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all = self.days.0.iter().all(|day| *day);
        let names = NAMES.iter().filter(|(_, day)| self.days.contains(*day)).map(|(name, _)| *name);
        let days = if all { "daily".to_owned() } else { names.collect::<Vec<_>>().join(",") };
        write!(out, "{days} {}-{} {}", self.from.format("%H:%M"), self.to.format("%H:%M"), self.zone)
    }
}

impl Hours {
    /// When the stretch that `at` lies in ends; `None` when it lies in none.
    #[must_use]
    pub fn end_around(&self, at: DateTime<Utc>) -> Option<DateTime<Utc>> {
        let today = at.with_timezone(&self.zone).date_naive();
        let begun = [today.checked_sub_days(Days::new(1)), Some(today)];
        let stretches = begun.into_iter().flatten().filter(|day| self.days.contains(day.weekday()));
        stretches.map(|day| self.on(day)).filter(|(from, to)| *from <= at && at < *to).map(|(_, to)| to).max()
    }

    /// Whether `at` lies in it.
    #[must_use]
    pub fn contains(&self, at: DateTime<Utc>) -> bool {
        self.end_around(at).is_some()
    }

    /// The stretch that begins on `day`.
    fn on(&self, day: NaiveDate) -> (DateTime<Utc>, DateTime<Utc>) {
        let last = if self.to <= self.from { day.succ_opt().unwrap_or(day) } else { day };
        (self.instant(day, self.from), self.instant(last, self.to))
    }

    /// When the clock on the wall says so. A time that comes twice in autumn counts from its first
    /// coming; one that is skipped in spring is the moment the clock jumps past it.
    fn instant(&self, day: NaiveDate, time: NaiveTime) -> DateTime<Utc> {
        let wanted = day.and_time(time);
        let found = (0..=3)
            .find_map(|hours| self.zone.from_local_datetime(&(wanted + TimeDelta::hours(hours))).earliest());
        found.map_or_else(|| wanted.and_utc(), |found| found.with_timezone(&Utc))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check(hours: &str, at: &str, end: Option<&str>) {
        let hours: Hours = hours.parse().unwrap();
        let at: DateTime<Utc> = at.parse().unwrap();
        let want = end.map(|end| end.parse::<DateTime<Utc>>().unwrap());
        assert_eq!(hours.end_around(at), want, "{hours} at {at}");
    }

    #[test]
    fn hours_follow_the_clock_on_the_wall_of_their_zone() {
        let office = "mon-fri 08:00-18:00 Europe/Berlin";
        check(office, "2026-11-27T07:00:00Z", Some("2026-11-27T17:00:00Z"));
        check(office, "2026-11-27T06:59:59Z", None);
        check(office, "2026-11-27T17:00:00Z", None);
        check(office, "2026-07-03T06:00:00Z", Some("2026-07-03T16:00:00Z"));
        check(office, "2026-11-28T12:00:00Z", None);
    }

    #[test]
    fn a_night_belongs_to_the_day_it_begins_on() {
        let night = "fri 22:00-06:00 UTC";
        check(night, "2026-11-27T23:00:00Z", Some("2026-11-28T06:00:00Z"));
        check(night, "2026-11-28T05:59:59Z", Some("2026-11-28T06:00:00Z"));
        check(night, "2026-11-28T23:00:00Z", None);
        check(night, "2026-11-27T05:00:00Z", None);
    }

    #[test]
    fn the_hour_that_is_skipped_or_comes_twice_does_no_harm() {
        // 29 March 2026: from 02:00 to 03:00. 25 October 2026: from 03:00 back to 02:00.
        let night = "daily 02:30-04:00 Europe/Berlin";
        check(night, "2026-03-29T01:30:00Z", Some("2026-03-29T02:00:00Z"));
        check(night, "2026-10-25T00:30:00Z", Some("2026-10-25T03:00:00Z"));
        check(night, "2026-10-25T01:30:00Z", Some("2026-10-25T03:00:00Z"));
    }

    #[test]
    fn whole_days_and_lists_of_days_are_hours() {
        check("daily 00:00-24:00 UTC", "2026-11-27T23:59:59Z", Some("2026-11-28T00:00:00Z"));
        check("sat,sun 00:00-24:00 UTC", "2026-11-28T12:00:00Z", Some("2026-11-29T00:00:00Z"));
        check("fri-mon 10:00-11:00 UTC", "2026-11-30T10:30:00Z", Some("2026-11-30T11:00:00Z"));
        check("fri-mon 10:00-11:00 UTC", "2026-12-01T10:30:00Z", None);
    }

    #[test]
    fn what_says_no_hours_is_refused_with_the_remedy() {
        for (text, part) in [
            ("weekdays 08:00-18:00 UTC", "names no days"),
            ("mon 8-18 UTC", "no time of day"),
            ("mon 08:00 UTC", "no time of day"),
            ("mon 08:00-18:00 Berlin", "IANA"),
            ("08:00-18:00", "says no hours"),
        ] {
            let error = text.parse::<Hours>().unwrap_err().to_string();
            assert!(error.contains(part), "{text}: {error}");
        }
        let written = "mon,tue 08:00-18:00 Europe/Berlin";
        assert_eq!(written.parse::<Hours>().unwrap().to_string(), written);
    }
}
