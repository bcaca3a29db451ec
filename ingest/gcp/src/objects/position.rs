//! How far a bucket is read, as the store keeps it.

use super::Settings;
use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

/// How far history and what is new are read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Position {
    /// Which history it is: another bucket, prefix or day begins anew.
    pub(super) range: String,
    /// All history up to this name is read.
    pub(super) after: String,
    /// Whether all of it is.
    pub(super) is_done: bool,
    /// Everything that was written before is read, or is history.
    pub(super) written: DateTime<Utc>,
}

impl Position {
    /// Where to go on, or to begin.
    pub(super) fn of(settings: &Settings, committed: Option<&str>, begin: DateTime<Utc>) -> Self {
        let Settings { bucket, prefix, from, to, .. } = settings;
        let day =
            |day: &Option<chrono::NaiveDate>| day.map_or_else(|| "now".to_owned(), |day| day.to_string());
        let range = format!("gs://{bucket}/{prefix} {} {}", day(from), day(to));
        let known = committed.and_then(|text| serde_json::from_str::<Self>(text).ok());
        match known {
            Some(known) if known.range == range => known,
            // What was written while Keywatch was away is not to be missed for a range that is new.
            Some(known) if known.range.split(' ').next() == range.split(' ').next() => {
                Self { range, after: String::new(), is_done: from.is_none(), written: known.written }
            }
            _ => Self { range, after: String::new(), is_done: from.is_none(), written: begin },
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_position_is_gone_on_from_and_another_range_begins_anew() {
        let at = |secs| DateTime::from_timestamp(secs, 0).unwrap();
        let settings = Settings { from: "2026-06-01".parse().ok(), ..Settings::new("b") };
        let begun = Position::of(&settings, None, at(5));
        let known = Position { after: "k".to_owned(), is_done: true, ..begun.clone() };
        let text = serde_json::to_string(&known).unwrap();
        assert_eq!(Position::of(&settings, Some(&text), at(9)), known);
        let other = Settings { from: "2026-05-01".parse().ok(), ..settings.clone() };
        let anew = Position::of(&other, Some(&text), at(9));
        assert_eq!((anew.after.as_str(), anew.is_done, anew.written), ("", false, at(5)));
        let elsewhere = Position::of(&Settings::new("c"), Some(&text), at(9));
        assert_eq!((elsewhere.is_done, elsewhere.written), (true, at(9)));
    }
}
