//! Numbers, lengths of time and sizes, each within its bounds.

use super::declare::{Bounds, Key, Kind, Setting};
use super::node::{Data, Node, Problems};
use std::time::Duration;

/// A number of bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Bytes(pub(crate) u64);

/// Seconds, for bounds of durations.
pub(crate) const fn secs(count: i64) -> i64 {
    count * 1000
}

/// Minutes, for bounds of durations.
pub(crate) const fn mins(count: i64) -> i64 {
    secs(count * 60)
}

/// Hours, for bounds of durations.
pub(crate) const fn hours(count: i64) -> i64 {
    mins(count * 60)
}

/// Days, for bounds of durations.
pub(crate) const fn days(count: i64) -> i64 {
    hours(count * 24)
}

/// Kibibytes, for bounds of sizes.
pub(crate) const fn kib(count: i64) -> i64 {
    count * 1024
}

/// Mebibytes, for bounds of sizes.
pub(crate) const fn mib(count: i64) -> i64 {
    kib(count * 1024)
}

const TIME_UNITS: &[(&str, i64)] =
    &[("ms", 1), ("s", secs(1)), ("m", mins(1)), ("h", hours(1)), ("d", days(1))];
const SIZE_UNITS: &[(&str, i64)] = &[("GiB", mib(1024)), ("MiB", mib(1)), ("KiB", kib(1)), ("", 1)];

/// Milliseconds as somebody would write them.
pub(crate) fn shown_duration(milliseconds: i64) -> String {
    let fits = |(_, factor): &&(&str, i64)| milliseconds % factor == 0 && milliseconds != 0;
    let (unit, factor) = TIME_UNITS.iter().rfind(fits).unwrap_or(&("s", 1000));
    format!("{}{unit}", milliseconds / factor)
}

/// Bytes as somebody would write them.
pub(crate) fn shown_size(bytes: i64) -> String {
    let fits = |(_, factor): &&(&str, i64)| bytes % factor == 0 && bytes != 0;
    let (unit, factor) = SIZE_UNITS.iter().find(fits).unwrap_or(&("", 1));
    format!("{}{unit}", bytes / factor)
}

/// A count with its unit: `250ms`, `64KiB`.
fn with_unit(text: &str, units: &[(&str, i64)]) -> Option<i64> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (count, unit) = text.split_at_checked(digits)?;
    let (_, factor) = units.iter().find(|(known, _)| *known == unit.trim_start())?;
    count.parse::<i64>().ok()?.checked_mul(*factor)
}

fn is_within(value: i64, bounds: Bounds) -> bool {
    bounds.is_none_or(|(low, high)| (low..=high).contains(&value))
}

/// Tells of a value that is none or out of bounds.
fn refuse(node: &Node, key: &Key, what: &str, shown: &dyn Fn(i64) -> String, problems: &Problems) {
    let remedy = match key.bounds {
        Some((low, i64::MAX)) => format!("write {what}, {} or more", shown(low)),
        Some((low, high)) => format!("write {what} from {} to {}", shown(low), shown(high)),
        None => format!("write {what}"),
    };
    problems.add(&node.origin, format!("`{}` is `{}`", key.name, node.written()), remedy);
}

fn whole(node: &Node, key: &Key, problems: &Problems) -> Option<i64> {
    let found = match &node.data {
        Data::Whole(whole) => Some(*whole),
        Data::Text(text) if node.loose => text.parse().ok(),
        Data::Null | Data::Bool(_) | Data::Number(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
    };
    let found = found.filter(|whole| is_within(*whole, key.bounds));
    if found.is_none() {
        refuse(node, key, "a whole number", &|n| n.to_string(), problems);
    }
    found
}

/// Whole numbers of a type; what the type cannot hold is refused like what the bounds exclude.
macro_rules! whole_numbers {
    ($($type:ty),+) => { $(
        impl Setting for $type {
            const KIND: Kind = Kind::Whole;

            fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
                let found = whole(node, key, problems)?;
                let fitting = Self::try_from(found).ok();
                if fitting.is_none() {
                    refuse(node, key, "a whole number that is not negative and not as large", &|n| n.to_string(), problems);
                }
                fitting
            }
        }
    )+ };
}

whole_numbers!(i64, u64, u32, u16, usize);

impl Setting for f64 {
    const KIND: Kind = Kind::Number;

    #[expect(clippy::cast_precision_loss, reason = "bounds of numbers are small")]
    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let number = match &node.data {
            Data::Whole(_) | Data::Number(_) => node.text(),
            Data::Text(text) if node.loose => Some(text.clone()),
            Data::Null | Data::Bool(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => None,
        };
        let fits = |n: &Self| {
            n.is_finite() && key.bounds.is_none_or(|(low, high)| (low as Self..=high as Self).contains(n))
        };
        let found = number.and_then(|text| text.parse().ok()).filter(fits);
        if found.is_none() {
            refuse(node, key, "a number", &|n| n.to_string(), problems);
        }
        found
    }
}

impl Setting for Duration {
    const KIND: Kind = Kind::Duration;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let found = node.text().and_then(|text| with_unit(&text, TIME_UNITS));
        let found = found.filter(|n| is_within(*n, key.bounds)).and_then(|n| u64::try_from(n).ok());
        if found.is_none() {
            refuse(
                node,
                key,
                "a length of time such as 250ms, 30s, 10m, 1h or 7d",
                &shown_duration,
                problems,
            );
        }
        found.map(Self::from_millis)
    }
}

impl Setting for Bytes {
    const KIND: Kind = Kind::Size;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let found = node.text().and_then(|text| with_unit(&text, SIZE_UNITS));
        let found = found.filter(|n| is_within(*n, key.bounds)).and_then(|n| u64::try_from(n).ok());
        if found.is_none() {
            refuse(node, key, "a size such as 4096, 64KiB, 10MiB or 1GiB", &shown_size, problems);
        }
        found.map(Self)
    }
}
