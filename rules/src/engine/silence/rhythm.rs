//! Streams, each with a rhythm of its own, and which of them stopped.
//!
//! A stream is judged when it has shown enough gaps and has lasted at least as long as the
//! silence to be told; it is silent when nothing came for longer than the rule's least silence
//! and a multiple of the 99th percentile of its own gaps. Gaps are measured between moments, not
//! events: a burst is one moment, else a hundred events in five minutes would make a day's pause
//! look like silence. Late events change nothing here: they neither make a gap nor end a silence. Whether
//! they fill one that was told is a matter of `gaps`.

use crate::engine::shelf::Shelf;
use crate::rule::Silence;
use crate::sketch::Sketch;
use keywatch_event::Learned;
use serde::{Deserialize, Serialize};

/// Between the rule and the stream in a key; no baseline's key has it there.
const MARK: &str = "\u{1f}rhythm ";

/// The streams of one rule.
#[derive(Debug)]
pub(crate) struct Rhythms {
    streams: Shelf<Stream>,
    streams_max: usize,
}

/// One stream: 200 bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
struct Stream {
    /// Second of the earliest event.
    first: i64,
    /// Second of the latest event; `None` before any.
    last: Option<i64>,
    /// Second of the latest moment from which a gap is measured.
    moment: i64,
    /// Events after the first that came in order.
    gaps: u32,
    measured: Sketch,
    /// Whether its present silence was told.
    told: bool,
}

/// A stream that stopped.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Silent {
    /// The stream.
    pub(crate) key: String,
    /// Second of its last event.
    pub(crate) last_secs: i64,
    /// Seconds since.
    pub(crate) quiet_secs: i64,
    /// Seconds of silence from which on it is told.
    pub(crate) limit_secs: i64,
}

/// A stream whose silence was told and that came back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Resumed {
    /// Second of the last event before the silence.
    pub(crate) last_secs: i64,
    /// How long it lasted, in seconds.
    pub(crate) quiet_secs: i64,
}

impl Rhythms {
    /// Nothing known yet. Remembers at most `streams_max`, about 400 bytes each.
    pub(crate) fn new(streams_max: usize) -> Self {
        Self { streams: Shelf::new(), streams_max: streams_max.max(1) }
    }

    /// How many streams are known.
    pub(crate) fn len(&self) -> usize {
        self.streams.len()
    }

    /// How many streams were forgotten because of the limit.
    pub(crate) fn evicted(&self) -> u64 {
        self.streams.evicted()
    }

    /// How many stored states could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.streams.unreadable()
    }

    /// An event of a stream; says when that ends a silence that was told.
    pub(crate) fn observe(&mut self, spec: &Silence, key: &str, time_secs: i64) -> Option<Resumed> {
        if self.streams.len() >= self.streams_max && !self.streams.contains(key) {
            self.make_room(spec);
        }
        let stream = self.streams.entry(key);
        let (changed, resumed) = stream.observe(spec, time_secs);
        if changed {
            self.streams.changed(key);
        }
        resumed
    }

    /// The streams that are silent now and were not told before, by key. `now_secs` is how far
    /// events are known to have arrived.
    pub(crate) fn tick(&mut self, spec: &Silence, now_secs: i64) -> Vec<Silent> {
        let silent = self.streams.iter().filter_map(|(key, stream)| stream.silent(spec, key, now_secs));
        let mut silent: Vec<Silent> = silent.collect();
        silent.sort_unstable_by(|one, other| one.key.cmp(&other.key));
        for Silent { key, .. } in &silent {
            if let Some(stream) = self.streams.get_mut(&**key) {
                stream.told = true;
                self.streams.changed(&**key);
            }
        }
        silent
    }

    /// State that changed since the last call, to be committed, ordered by key. Streams are few:
    /// every one with an event is written whole, so that a restart changes nothing.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        self.streams.take(|key| format!("{rule}{MARK}{key}"))
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that
    /// cannot be read is ignored and counted.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        if let Some(key) = rest {
            self.streams.put(key, &learned.state);
        }
    }

    /// Forgets half of the streams that show no rhythm, else one that does: invented streams
    /// push out each other.
    fn make_room(&mut self, spec: &Silence) {
        let is_new = |stream: &Stream| stream.gaps < spec.gaps_min;
        let new = self.streams.iter().filter(|(_, stream)| is_new(stream)).count();
        let over = self.streams.len() + 1 - self.streams_max;
        self.streams.evict(over.max(new / 2), |stream| Some((!is_new(stream), stream.last)));
    }
}

impl Stream {
    /// Whether the state changed, and the silence it ends.
    fn observe(&mut self, spec: &Silence, time: i64) -> (bool, Option<Resumed>) {
        let Some(last) = self.last else {
            (self.first, self.last, self.moment) = (time, Some(time), time);
            return (true, None);
        };
        if time < last {
            let earlier = time < self.first;
            self.first = self.first.min(time);
            return (earlier, None);
        }
        if time == last {
            let counted = self.gaps < spec.gaps_min;
            self.gaps = self.gaps.saturating_add(1);
            return (counted, None);
        }
        let resumed =
            std::mem::take(&mut self.told).then_some(Resumed { last_secs: last, quiet_secs: time - last });
        let gap = time.saturating_sub(self.moment);
        if gap >= moment_secs(spec) {
            // A silence is no rhythm: of a steady stream it counts no longer than what would be
            // told. So one that becomes slower is learned in steps.
            let most = if self.is_steady(spec) { self.limit(spec) } else { i64::MAX };
            self.measured.add(gap.min(most));
            self.moment = time;
        }
        self.gaps = self.gaps.saturating_add(1);
        self.last = Some(time);
        (true, resumed)
    }

    /// The silence of a stream, when it is to be told.
    fn silent(&self, spec: &Silence, key: &str, now: i64) -> Option<Silent> {
        let last_secs = self.last.filter(|_| !self.told && self.is_steady(spec))?;
        let (limit_secs, quiet_secs) = (self.limit(spec), now.saturating_sub(last_secs));
        let silent = || Silent { key: key.to_owned(), last_secs, quiet_secs, limit_secs };
        (quiet_secs > limit_secs).then(silent)
    }

    /// Whether it has shown enough gaps, and lasted as long as the silence that is told.
    fn is_steady(&self, spec: &Silence) -> bool {
        let lasted = self.last.map_or(0, |last| last.saturating_sub(self.first));
        self.gaps >= spec.gaps_min && lasted >= self.limit(spec)
    }

    /// Seconds of silence from which on it is told.
    fn limit(&self, spec: &Silence) -> i64 {
        let learned = (spec.times_p99 * self.measured.p99()).ceil();
        // The product of a gap below 2^22 and a rule's factor; anything else is no limit at all.
        let most = f64::from(u32::MAX);
        let learned = if learned.is_finite() { learned.clamp(0.0, most) } else { most };
        #[expect(clippy::cast_possible_truncation, reason = "whole and between 0 and 2^32")]
        let learned = learned as i64;
        spec.secs_min.max(learned)
    }
}

/// Events closer than this are one moment: a thirtieth of the least silence, one minute for half
/// an hour.
fn moment_secs(spec: &Silence) -> i64 {
    (spec.secs_min / 30).max(1)
}

#[cfg(test)]
#[path = "rhythm_tests.rs"]
mod tests;
