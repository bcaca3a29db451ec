//! What is usual for a source: its pauses, its hours, its delay, its rejects. Stored with the rest
//! of what is learned, as JSON.

use super::Patience;
use super::hours::Hours;
use keywatch_rules::Sketch;
use serde::{Deserialize, Serialize};

/// How many times the 99th percentile a silence or a delay must last.
const TIMES_P99: f64 = 6.0;
/// Pauses or delays that must be known before one is judged, and the time they must span.
const SEEN_MIN: u32 = 100;
const KNOWN_SECS: i64 = 86_400;
/// A delay up to which records are news. What is older is history that is read on purpose, and says
/// nothing about how a source speaks.
const NEWS_SECS: i64 = 7_200;
/// From how many records on older ones count half.
const RECORDS_MAX: f64 = 1e6;

/// The habits of one source, about 500 bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub(super) struct Habits {
    /// Second of the first news.
    first: Option<i64>,
    /// Second from which a pause is measured.
    moment: i64,
    pauses: Sketch,
    hours: Hours,
    delays: Sketch,
    records: f64,
    rejects: f64,
}

impl Habits {
    /// News came; whether anything was learned that must be stored. Batches within a thirtieth of
    /// the least silence are one moment, so that a burst is no rhythm.
    pub(super) fn heard(&mut self, now: i64, delay: i64, patience: Patience) -> bool {
        let limit = self.delay_secs(patience);
        if delay > NEWS_SECS.max(limit.unwrap_or(0)) {
            return false;
        }
        let moment = (patience.silent_secs / 30).max(1);
        let Some(first) = self.first else {
            (self.first, self.moment) = (Some(now), now);
            self.hours.heard(now);
            return true;
        };
        // A clock that was set back begins a new count from where it now is.
        if now < first {
            (self.first, self.moment) = (Some(now), now);
        }
        let pause = now - self.moment;
        if pause < moment {
            return self.hours.heard(now);
        }
        // What would be told is no habit: it counts as twice of what is usual, so that a source that
        // becomes slower is learned in steps. A pause over quiet hours says nothing about the others.
        if !self.spans_quiet_hours(now) {
            self.pauses.add(pause.min(self.silence_secs(patience).map_or(pause, |limit| limit / 3)));
        }
        // A delay that would be told is never learned: else whoever holds a log back for an afternoon
        // makes the next one usual.
        if limit.is_none_or(|limit| delay <= limit) {
            self.delays.add(delay.max(1));
        }
        self.moment = now;
        self.hours.heard(now);
        true
    }

    /// Whether an hour since the last moment is one in which it is usually silent.
    fn spans_quiet_hours(&self, now: i64) -> bool {
        let hours = (now - self.moment).div_euclid(3600).clamp(0, 168);
        (1..=hours).any(|hour| !self.hours.is_usual(self.moment + hour * 3600))
    }

    /// Whether it usually speaks at this second.
    pub(super) fn usually_speaks(&self, now: i64) -> bool {
        self.hours.is_usual(now)
    }

    /// From how long a silence on it is told; `None` as long as too little is known.
    pub(super) fn silence_secs(&self, patience: Patience) -> Option<i64> {
        let known = self.moment - self.first?;
        (self.pauses.seen() >= SEEN_MIN && known >= KNOWN_SECS)
            .then(|| patience.silent_secs.max(times(&self.pauses)))
    }

    /// From which delay on it is told; `None` as long as too little is known.
    pub(super) fn delay_secs(&self, patience: Patience) -> Option<i64> {
        (self.delays.seen() >= SEEN_MIN).then(|| patience.late_secs.max(times(&self.delays)))
    }

    /// The usual share of records that cannot be read.
    pub(super) fn rejected_share(&self) -> f64 {
        if self.records < 1.0 { 0.0 } else { self.rejects / self.records }
    }

    /// Learns how many records could not be read.
    pub(super) fn rejected(&mut self, records: f64, rejects: f64) {
        (self.records, self.rejects) = (self.records + records, self.rejects + rejects);
        if self.records > RECORDS_MAX {
            (self.records, self.rejects) = (self.records / 2.0, self.rejects / 2.0);
        }
    }
}

#[expect(clippy::cast_possible_truncation, reason = "six times a bucket's edge, below 2^26")]
fn times(sketch: &Sketch) -> i64 {
    (TIMES_P99 * sketch.p99()).ceil() as i64
}
