//! When what is read happened, told before it is judged: what is usual is learned in the order it is
//! read, so old records are read in the order of time, whatever they are called and wherever they lie.
//!
//! Judges nothing, keeps nothing, and reads no clock: a time that lies ahead is taken as it is said.

use crate::Batch;
use crate::provider::Normalizer;
use keywatch_event::EventTime;
use std::sync::Arc;

/// Seconds by which files and sources that are read together may be apart while they bring what is old.
/// Longer than a file of a trail, which is then read as a whole, as a scan reads it.
pub const APART_SECS: i64 = 3600;
/// Records that are looked at to say when a file or batch begins, and about how many bytes: both are
/// nearly in order inside.
pub(super) const LOOK: (usize, usize) = (20, 64 << 10);
/// 2200-01-01: where nobody says what time it is.
const END: EventTime = EventTime::from_secs(7_258_118_400);

/// Says when records happened.
#[derive(Debug)]
pub struct Dater {
    normalizer: Normalizer,
    /// What is dated later is not believed.
    now: EventTime,
}

impl Default for Dater {
    fn default() -> Self {
        Self::as_of(END)
    }
}

impl Dater {
    /// Believes no time that lies ahead of `now`.
    pub(super) fn as_of(now: EventTime) -> Self {
        Self { normalizer: Normalizer::new(), now }
    }

    /// The time of the earliest of a batch's first events; `None` when none of them is one.
    #[must_use]
    pub fn earliest(&self, batch: &Batch) -> Option<EventTime> {
        let first = batch.records.iter().take(LOOK.0);
        first.filter_map(|record| self.time(batch.raw(record))).min()
    }

    /// When a record happened; `None` when it is no event, or says no time that is believed.
    pub(super) fn time(&self, raw: &[u8]) -> Option<EventTime> {
        let event = self.normalizer.normalize(raw, self.now).ok()??;
        event.time_raw.is_none().then_some(event.time)
    }
}

/// How the times of one file go.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Track {
    /// When what is read next happened, or what was read last; `None` when nothing is known.
    pub(super) at: Option<EventTime>,
    pub(super) newest: Option<EventTime>,
    /// Whether it jumps back by more than [`APART_SECS`]: its times then say nothing of where to stop.
    is_mixed: bool,
}

impl Track {
    pub(super) fn take(&mut self, time: EventTime) {
        self.is_mixed |= self.newest.is_some_and(|newest| is_ahead(newest, time));
        self.newest = self.newest.max(Some(time));
        self.at = Some(time);
    }
}

/// Whether `time` is too far ahead of `behind`.
pub(super) fn is_ahead(time: EventTime, behind: EventTime) -> bool {
    time > behind.plus_secs(APART_SECS)
}

/// Dates what is put into a batch, file after file, and says when that is enough.
#[derive(Debug)]
pub(crate) struct Pace {
    dater: Arc<Dater>,
    /// Whether the batch itself ends where it becomes too long a time.
    ends: bool,
    looked: usize,
    oldest: Option<EventTime>,
    track: Track,
    /// When the file that is read after this one begins.
    until: Option<EventTime>,
    is_over: bool,
    is_ahead: bool,
}

impl Pace {
    /// For a new batch.
    pub(super) fn new(dater: Arc<Dater>, ends: bool) -> Self {
        let (track, until) = (Track::default(), None);
        Self { dater, ends, looked: 0, oldest: None, track, until, is_over: false, is_ahead: false }
    }

    /// Whether what happened `at` this time belongs into the same batch.
    pub(super) fn reaches(&self, at: Option<EventTime>) -> bool {
        let (true, Some(oldest), Some(at)) = (self.ends, self.oldest, at) else { return true };
        !is_ahead(at, oldest) && !is_ahead(oldest, at)
    }

    /// A file is read, up to where it is too far ahead of `until`.
    pub(super) const fn begin(&mut self, track: Track, until: Option<EventTime>) {
        (self.track, self.until, self.is_ahead) = (track, until, false);
    }

    /// How its times went, and whether it was stopped because another is to be read first.
    pub(super) const fn end(&mut self) -> (Track, bool) {
        let is_ahead = self.is_ahead && !self.is_over;
        self.is_ahead = false;
        (self.track, is_ahead)
    }

    /// Looks at what was put into the batch.
    pub(super) fn look(&mut self, batch: &Batch) {
        for record in batch.records.iter().skip(self.looked) {
            let Some(time) = self.dater.time(batch.raw(record)) else { continue };
            self.track.take(time);
            let oldest = self.oldest.map_or(time, |oldest| oldest.min(time));
            self.oldest = Some(oldest);
            if !self.track.is_mixed {
                self.is_over |= self.ends && is_ahead(time, oldest);
                self.is_ahead |= self.until.is_some_and(|until| is_ahead(time, until));
            }
        }
        self.looked = batch.records.len();
    }

    /// Whether reading stops here.
    pub(super) const fn stops(&self) -> bool {
        self.is_over || self.is_ahead
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::Place;

    /// Read times, in hours.
    fn batch(hours: &[i64]) -> Batch {
        let mut batch = Batch::default();
        for (at, hour) in hours.iter().enumerate() {
            let place = Place { name: "log".into(), line: at as u64 + 1, record: 0 };
            let time = EventTime::from_secs(1_780_272_000 + hour * 3600).to_chrono();
            let record = format!(
                "{{\"time\":\"{}\",\"type\":\"response\",\"request\":{{\"id\":\"{at}\",\"operation\":\"read\",\
                 \"mount_type\":\"kv\",\"path\":\"secret/data/a\"}}}}",
                time.format("%Y-%m-%dT%H:%M:%SZ")
            );
            batch.push(record.as_bytes(), place);
        }
        batch
    }

    const fn hour(hour: i64) -> EventTime {
        EventTime::from_secs(1_780_272_000 + hour * 3600)
    }

    /// Whether reading stops behind these records, and whether for another file.
    fn stops(hours: &[i64], ends: bool, until: Option<EventTime>) -> (bool, bool) {
        let mut pace = Pace::new(Arc::default(), ends);
        pace.begin(Track::default(), until);
        pace.look(&batch(hours));
        let stopped = pace.stops();
        (stopped, pace.end().1)
    }

    #[test]
    fn a_batch_begins_with_the_earliest_of_its_first_events() {
        let mut records = batch(&[5, 3, 4]);
        records.push(b"no record", Place { name: "log".into(), line: 4, record: 0 });
        assert_eq!(Dater::default().earliest(&records), Some(hour(3)));
        assert_eq!(Dater::default().earliest(&Batch::default()), None);
    }

    #[test]
    fn reading_stops_where_an_hour_is_over() {
        assert_eq!(stops(&[0, 1], true, None), (false, false));
        assert_eq!(stops(&[0, 1, 2], true, None), (true, false));
        assert_eq!(stops(&[0, 1, 2], false, None), (false, false), "a lone source goes on");
        assert_eq!(stops(&[5, 5, 6], false, Some(hour(4))), (true, true), "another file comes first");
        assert_eq!(stops(&[4, 5], false, Some(hour(4))), (false, false));
    }

    #[test]
    fn a_file_in_no_order_is_read_on() {
        let mut pace = Pace::new(Arc::default(), true);
        pace.look(&batch(&[9, 0, 7]));
        let (track, _) = pace.end();
        let mut next = Pace::new(Arc::default(), true);
        next.begin(track, Some(hour(0)));
        next.look(&batch(&[3, 8, 1]));
        assert!(!next.stops());
        let (track, _) = next.end();
        assert_eq!((track.at, track.newest), (Some(hour(1)), Some(hour(9))));
    }

    #[test]
    fn what_is_far_from_the_rest_of_a_batch_waits_for_the_next() {
        let mut pace = Pace::new(Arc::default(), true);
        assert!(pace.reaches(Some(hour(99))), "an empty batch takes anything");
        pace.look(&batch(&[10]));
        assert_eq!([8, 9, 11, 12].map(|at| pace.reaches(Some(hour(at)))), [false, true, true, false]);
        assert!(pace.reaches(None));
    }
}
