//! Whose batch is taken next: what is recent at once, what is old in the order of time over all sources.
//!
//! What is usual is learned in the order of commit. After a first start, or a long rest, every source has
//! weeks to read, and the order in which they are answered is not the order in which things happened. So
//! an old batch waits until every source that still reads what is old has one, and the oldest is taken.
//! What is recent waits for nobody, and nobody is waited for who says nothing for [`PATIENCE`].
//!
//! Holds at most [`AHEAD`](super::AHEAD) batches of each source: no source hands over more before it
//! hears of a commit.

use super::Fed;
use super::figures::RECENT_SECS;
use chrono::{DateTime, Utc};
use keywatch_event::EventTime;
use keywatch_ingest::source::Dater;
use std::collections::{BTreeMap, VecDeque};
use std::time::Duration;
use tokio::time::Instant;

/// How long a source is waited for that reads what is old and brings nothing: a day of a thousand folders
/// in a bucket is listed within that.
const PATIENCE: Duration = Duration::from_secs(30);

/// Batches of all sources that wait for their commit.
#[derive(Debug, Default)]
pub(super) struct Lines {
    dater: Dater,
    sources: BTreeMap<usize, One>,
    /// Whether something recent was taken last although something old was ready.
    was_recent: bool,
    /// When somebody began to be waited for.
    since: Option<Instant>,
    /// Counts batches, so that what has no time is taken as it came.
    number: u64,
}

/// The batches of one source.
#[derive(Debug, Default)]
struct One {
    batches: VecDeque<Waiting>,
    /// Whether it says when it has nothing more to read: one that does not, such as a queue, may bring
    /// something old and nothing for hours.
    says_rest: bool,
    /// Whether it is known to have old records to read.
    is_behind: bool,
    /// Whether it was waited for in vain.
    is_given_up: bool,
}

#[derive(Debug)]
struct Waiting {
    fed: Fed,
    number: u64,
    /// When its earliest event happened.
    begins: Option<EventTime>,
}

impl Lines {
    /// A source begins; whether it says when it has nothing more to read, and is waited for until it does.
    pub(super) fn begin(&mut self, source: usize, says_rest: bool) {
        self.sources.insert(source, One { says_rest, is_behind: says_rest, ..One::default() });
    }

    /// A source has ended: what it left behind is dropped.
    pub(super) fn end(&mut self, source: usize) {
        self.sources.remove(&source);
    }

    /// A source has nothing more to read for now.
    pub(super) fn rests(&mut self, source: usize) {
        if let Some(line) = self.sources.get_mut(&source) {
            line.is_behind = false;
        }
    }

    /// A batch came.
    pub(super) fn put(&mut self, fed: Fed, now: DateTime<Utc>) {
        // A source that has ended is read on from what is stored.
        let Some(line) = self.sources.get_mut(&fed.source) else { return };
        let begins = self.dater.earliest(&fed.batch);
        if let Some(begins) = begins {
            (line.is_behind, line.is_given_up) = (line.says_rest && is_old(begins, now), false);
        }
        self.number += 1;
        line.batches.push_back(Waiting { fed, number: self.number, begins });
    }

    /// The batch whose turn it is; `None` while there is none, or a source is waited for that `reads_old`
    /// or was known to.
    pub(super) fn take(&mut self, now: DateTime<Utc>, reads_old: impl Fn(usize) -> bool) -> Option<Fed> {
        let heads =
            || self.sources.iter().filter_map(|(source, line)| Some((*source, line.batches.front()?)));
        let age = |one: &Waiting| one.begins.filter(|begins| is_old(*begins, now));
        let recent = heads().filter(|(_, one)| age(one).is_none()).min_by_key(|(_, one)| one.number);
        let oldest =
            heads().filter(|(_, one)| age(one).is_some()).min_by_key(|(_, one)| (one.begins, one.number));
        let recent = recent.map(|(source, _)| source);
        let oldest = oldest.map(|(source, _)| source);
        let is_missing = |(source, line): (&usize, &One)| {
            line.batches.is_empty() && !line.is_given_up && (line.is_behind || reads_old(*source))
        };
        let waits = oldest.is_some() && self.sources.iter().any(is_missing);
        if !waits {
            self.since = None;
        } else if self.since.is_none() {
            self.since = Some(Instant::now());
        }
        let ready = oldest.filter(|_| !waits);
        // Neither keeps the other from being read.
        let source = if self.was_recent { ready.or(recent) } else { recent.or(ready) }?;
        self.was_recent = recent == Some(source) && ready.is_some();
        self.sources.get_mut(&source)?.batches.pop_front().map(|one| one.fed)
    }

    /// When whoever is waited for is given up.
    pub(super) fn patience_ends(&self) -> Option<Instant> {
        self.since.map(|since| since + PATIENCE)
    }

    /// Nobody is waited for any more who has brought nothing, until it does.
    pub(super) fn give_up(&mut self) {
        self.since = None;
        for line in self.sources.values_mut().filter(|line| line.batches.is_empty()) {
            line.is_given_up = true;
        }
    }
}

fn is_old(begins: EventTime, now: DateTime<Utc>) -> bool {
    now.timestamp() - begins.secs() > RECENT_SECS
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::Place;
    use keywatch_ingest::Batch;

    /// 2026-06-01T00:00:00Z.
    const START: i64 = 1_780_272_000;

    fn now() -> DateTime<Utc> {
        DateTime::from_timestamp(START, 0).unwrap()
    }

    /// A batch of one record, so many hours old.
    fn fed(source: usize, hours: i64) -> Fed {
        let time = DateTime::from_timestamp(START - hours * 3600, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
        let record = format!(
            "{{\"time\":\"{time}\",\"type\":\"response\",\"request\":{{\"id\":\"{hours}\",\"operation\":\"read\",\
             \"mount_type\":\"kv\",\"path\":\"secret/data/a\"}}}}"
        );
        let mut batch = Batch::default();
        batch.push(record.as_bytes(), Place { name: "log".into(), line: 1, record: 0 });
        Fed::live(source, batch)
    }

    fn lines(says_rest: &[bool]) -> Lines {
        let mut lines = Lines::default();
        for (source, says_rest) in says_rest.iter().enumerate() {
            lines.begin(source, *says_rest);
        }
        lines
    }

    fn take(lines: &mut Lines) -> Option<usize> {
        lines.take(now(), |_| false).map(|fed| fed.source)
    }

    #[tokio::test]
    async fn what_is_old_is_taken_in_the_order_of_time_once_everybody_has_something() {
        let mut lines = lines(&[true, true]);
        lines.put(fed(0, 40), now());
        assert_eq!(take(&mut lines), None, "the other may bring something older");
        lines.put(fed(1, 50), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(1), None]);
        lines.put(fed(1, 30), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(0), None]);
        lines.rests(0);
        assert_eq!(take(&mut lines), Some(1), "nobody waits for who has nothing");
    }

    #[tokio::test]
    async fn a_queue_that_brought_something_old_is_not_waited_for() {
        let mut lines = lines(&[false, false]);
        lines.put(fed(0, 40), now());
        assert_eq!(take(&mut lines), Some(0));
        lines.put(fed(1, 30), now());
        lines.put(fed(1, 20), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(1), Some(1)]);
    }

    #[tokio::test]
    async fn what_is_recent_waits_for_nobody() {
        let mut lines = lines(&[true, true, false]);
        lines.put(fed(0, 40), now());
        lines.put(fed(2, 0), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(2), None]);
        lines.put(Fed::live(2, Batch::default()), now());
        assert_eq!(take(&mut lines), Some(2), "nor does what has no time");
    }

    #[tokio::test]
    async fn a_stream_of_recent_events_and_a_backlog_take_turns() {
        let mut lines = lines(&[false, false]);
        for _ in 0..3 {
            lines.put(fed(0, 40), now());
            lines.put(fed(1, 0), now());
        }
        let taken: Vec<_> = std::iter::from_fn(|| take(&mut lines)).collect();
        assert_eq!(taken, [1, 0, 1, 0, 1, 0]);
    }

    #[tokio::test]
    async fn a_source_that_is_not_behind_is_not_waited_for() {
        let mut lines = lines(&[false, false]);
        lines.put(fed(0, 40), now());
        assert_eq!(take(&mut lines), Some(0));
        lines.put(fed(0, 40), now());
        assert!(
            lines.take(now(), |source| source == 1).is_none(),
            "unless it says that it reads old records"
        );
    }

    #[tokio::test]
    async fn patience_ends_with_who_brings_nothing_and_begins_again_with_who_does() {
        let mut lines = lines(&[true, true]);
        lines.put(fed(0, 40), now());
        assert_eq!(take(&mut lines), None);
        assert!(lines.patience_ends().is_some_and(|end| end > Instant::now()));
        lines.give_up();
        lines.put(fed(0, 39), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(0), Some(0)]);
        assert_eq!(lines.patience_ends(), None);
        lines.put(fed(1, 60), now());
        assert_eq!(take(&mut lines), None, "it is behind after all, and the first may be as well");
        lines.put(fed(0, 38), now());
        assert_eq!([take(&mut lines), take(&mut lines)], [Some(1), None]);
    }

    #[tokio::test]
    async fn what_an_ended_source_left_behind_is_dropped() {
        let mut lines = lines(&[true]);
        lines.put(fed(0, 40), now());
        lines.end(0);
        lines.put(fed(0, 39), now());
        assert_eq!(take(&mut lines), None);
    }
}
