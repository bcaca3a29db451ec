//! The last 24 hours as bars, drawn on the server.
//!
//! Two rows with a scale each: what matters is rare, and would vanish beside ten thousand
//! log-only reads. Geometry only; colours are the style sheet's.

use crate::params::Params;
use crate::text::grouped;
use keywatch_event::Level;
use keywatch_store::HourCount;

/// Width of one hour, and its gap, in units of the drawing.
const STEP: u64 = 20;
const GAP: u64 = 3;
/// Heights of the upper and lower row, and the room between them.
const UPPER: u64 = 56;
const LOWER: u64 = 28;
const BETWEEN: u64 = 6;

/// A rectangle of one level.
#[derive(Debug)]
pub(crate) struct Bar {
    pub(crate) x: u64,
    pub(crate) y: u64,
    pub(crate) width: u64,
    pub(crate) height: u64,
    pub(crate) level: &'static str,
}

/// One hour: its bars, and the link and words for the whole column.
#[derive(Debug)]
pub(crate) struct Hour {
    pub(crate) x: u64,
    pub(crate) url: String,
    pub(crate) words: String,
    pub(crate) bars: Vec<Bar>,
}

/// The drawing.
#[derive(Debug)]
pub(crate) struct Chart {
    pub(crate) hours: Vec<Hour>,
    pub(crate) width: u64,
    pub(crate) height: u64,
    pub(crate) step: u64,
    /// Where the lower row's ground line is, and the upper one's.
    pub(crate) upper_ground: u64,
    /// Highest counts of the two rows.
    pub(crate) raised_max: u64,
    pub(crate) info_max: u64,
    /// Everything in one sentence, for those who do not see it.
    pub(crate) words: String,
    /// Labels below: first hour, middle, last.
    pub(crate) labels: Vec<String>,
}

impl Chart {
    /// Draws `hours`, oldest first.
    pub(crate) fn new(hours: &[HourCount]) -> Self {
        let raised = |hour: &HourCount| hour.events.sum() - hour.events.of(Level::Info);
        let raised_max = hours.iter().map(raised).max().unwrap_or(0);
        let info_max = hours.iter().map(|hour| hour.events.of(Level::Info)).max().unwrap_or(0);
        let columns = (0_u64..).step_by(20).zip(hours);
        let drawn = columns.map(|(x, hour)| column(x, hour, raised_max, info_max)).collect::<Vec<_>>();
        let total = |level: Level| hours.iter().map(|hour| hour.events.of(level)).sum::<u64>();
        let parts = Level::ALL.iter().rev().map(|&level| format!("{} {level}", grouped(total(level))));
        let label = |hour: &HourCount| hour.hour.to_chrono().format("%H:%M").to_string();
        let marks = hours.iter().step_by(6).chain(hours.last());
        Self {
            width: STEP * drawn.len() as u64,
            height: UPPER + BETWEEN + LOWER,
            step: STEP,
            upper_ground: UPPER,
            raised_max,
            info_max,
            words: format!("Events of the last 24 hours by level: {}", parts.collect::<Vec<_>>().join(", ")),
            labels: marks.map(label).collect(),
            hours: drawn,
        }
    }
}

fn column(x: u64, hour: &HourCount, raised_max: u64, info_max: u64) -> Hour {
    let mut bars = Vec::new();
    let mut ground = UPPER;
    for level in [Level::Critical, Level::High, Level::Warning] {
        let height = scaled(hour.events.of(level), raised_max, UPPER).min(ground);
        ground -= height;
        push(&mut bars, x, ground, height, level);
    }
    let height = scaled(hour.events.of(Level::Info), info_max, LOWER);
    push(&mut bars, x, UPPER + BETWEEN + LOWER - height, height, Level::Info);
    let begin = hour.hour.to_chrono();
    let counts = Level::ALL.iter().rev().map(|&level| (hour.events.of(level), level));
    let counted = counts.filter(|(count, _)| *count > 0).map(|(count, level)| format!("{count} {level}"));
    let words = counted.collect::<Vec<_>>().join(", ");
    Hour {
        x,
        url: hour_url(hour),
        words: format!(
            "{} UTC: {}",
            begin.format("%Y-%m-%d %H:%M"),
            if words.is_empty() { "nothing" } else { &words }
        ),
        bars,
    }
}

fn push(bars: &mut Vec<Bar>, x: u64, y: u64, height: u64, level: Level) {
    if height > 0 {
        bars.push(Bar { x: x + 1, y, width: STEP - GAP, height, level: level.as_str() });
    }
}

/// Height of `count` when `most` fills `full`; anything that happened is at least visible.
fn scaled(count: u64, most: u64, full: u64) -> u64 {
    if count == 0 || most == 0 {
        return 0;
    }
    let height = u128::from(count) * u128::from(full) / u128::from(most);
    u64::try_from(height).unwrap_or(full).max(2)
}

fn hour_url(hour: &HourCount) -> String {
    let field = |secs: i64| hour.hour.plus_secs(secs).to_chrono().format("%Y-%m-%dT%H:%M:%SZ").to_string();
    Params::of_path("/events").and("since", &field(0)).with("until", &field(3600))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn heights_keep_to_the_scale_and_rare_things_stay_visible() {
        assert_eq!(scaled(0, 10, 56), 0);
        assert_eq!(scaled(10, 10, 56), 56);
        assert_eq!(scaled(5, 10, 56), 28);
        assert_eq!(scaled(1, 1_000_000, 56), 2);
        assert_eq!(scaled(0, 0, 56), 0);
        assert_eq!(scaled(u64::MAX, u64::MAX, 56), 56);
    }
}
