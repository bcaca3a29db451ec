//! The events of one stretch of time, collected page by page and put in order.
//!
//! Pages come newest first and tokens expire, so a window is small enough to be asked for again.

use aws_sdk_cloudtrail::types::Event;
use chrono::TimeDelta;
use keywatch_event::{Place, Reject, RejectReason};
use keywatch_ingest::Batch;
use std::collections::{HashSet, VecDeque};
use std::sync::Arc;

/// Events of one window: forty pages, twenty seconds of AWS's quota.
pub(super) const EVENTS_MAX: usize = 2000;
/// Bytes of one window's records; a record has at most 256 KB.
pub(super) const BYTES_MAX: usize = 16 << 20;
/// Windows are at least this long: LookupEvents tells seconds apart.
pub(super) const SHORTEST: TimeDelta = TimeDelta::seconds(1);
/// And at most this long.
const LONGEST: TimeDelta = TimeDelta::hours(24);
/// Event ids a lane remembers, so that going over time again brings nothing twice: 16 bytes twice
/// over, below 1 MiB. What is forgotten is known to the store.
const SEEN_MAX: usize = 20_000;

/// How long windows are: as long as their events allow.
#[derive(Clone, Copy, Debug)]
pub(super) struct Span(TimeDelta);

impl Default for Span {
    fn default() -> Self {
        Self(TimeDelta::hours(1))
    }
}

impl Span {
    pub(super) const fn get(self) -> TimeDelta {
        self.0
    }

    /// A window held this many events.
    pub(super) fn held(&mut self, events: usize) {
        if events < EVENTS_MAX / 4 {
            self.0 = (self.0 * 2).min(LONGEST);
        }
    }

    /// A window of this length held too many; false when it cannot be shorter.
    pub(super) fn halve(&mut self, length: TimeDelta) -> bool {
        self.0 = TimeDelta::seconds(length.num_seconds() / 2).max(SHORTEST);
        length > SHORTEST
    }
}

/// Events collected so far.
#[derive(Debug, Default)]
pub(super) struct Collected {
    pub(super) events: Vec<Event>,
    pub(super) bytes: usize,
}

impl Collected {
    pub(super) fn add(&mut self, page: Vec<Event>) {
        self.bytes += page.iter().filter_map(Event::cloud_trail_event).map(str::len).sum::<usize>();
        self.events.extend(page);
    }

    pub(super) fn is_full(&self) -> bool {
        self.events.len() >= EVENTS_MAX || self.bytes >= BYTES_MAX
    }

    /// A batch of those that are new, oldest first.
    pub(super) fn into_batch(mut self, seen: &mut Seen, name: &Arc<str>) -> Batch {
        self.events.reverse();
        self.events
            .sort_by_key(|event| event.event_time().map(aws_sdk_cloudtrail::primitives::DateTime::secs));
        let mut batch = Batch::default();
        for event in &self.events {
            if event.event_id().is_some_and(|id| !seen.is_new(id)) {
                continue;
            }
            let place = Place { name: Arc::clone(name), line: 1, record: 0 };
            match event.cloud_trail_event() {
                Some(record) => batch.push(record.as_bytes(), place),
                None => batch.rejects.push(without_record(event, place)),
            }
        }
        batch
    }
}

fn without_record(event: &Event, place: Place) -> Reject {
    let detail = "it holds no CloudTrailEvent".to_owned();
    let bytes = format!(
        "EventId {} EventName {}",
        event.event_id().unwrap_or("-"),
        event.event_name().unwrap_or("-")
    );
    Reject {
        place,
        reason: RejectReason::Envelope { carrier: "LookupEvents", detail },
        bytes: bytes.into_bytes(),
    }
}

/// Ids of events that were handed over lately.
#[derive(Debug, Default)]
pub(super) struct Seen {
    ids: HashSet<u128>,
    order: VecDeque<u128>,
}

impl Seen {
    /// Whether this id was not seen lately; from now on it was. What is no UUID is always new: the
    /// store compares whole ids.
    pub(super) fn is_new(&mut self, id: &str) -> bool {
        let Some(id) = uuid(id) else { return true };
        if !self.ids.insert(id) {
            return false;
        }
        self.order.push_back(id);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.ids.remove(&oldest);
        }
        true
    }
}

/// The number a UUID writes.
fn uuid(text: &str) -> Option<u128> {
    let digits: String = text.split('-').collect();
    let is_uuid =
        text.len() == 36 && digits.len() == 32 && digits.bytes().all(|byte| byte.is_ascii_hexdigit());
    is_uuid.then(|| u128::from_str_radix(&digits, 16).ok())?
}

#[cfg(test)]
mod tests {
    use super::*;
    use aws_sdk_cloudtrail::primitives::DateTime;

    fn event(number: u32, secs: i64) -> Event {
        let id = format!("00000000-0000-0000-0000-{number:012x}");
        Event::builder()
            .event_id(&id)
            .event_time(DateTime::from_secs(secs))
            .cloud_trail_event(format!("{{\"eventID\":\"{id}\"}}"))
            .build()
    }

    #[test]
    fn a_window_is_handed_over_oldest_first_and_nothing_twice() {
        let (mut seen, name) = (Seen::default(), Arc::from("l"));
        let mut collected = Collected::default();
        collected.add(vec![event(3, 30), event(2, 10), event(1, 10), event(3, 30)]);
        let batch = collected.into_batch(&mut seen, &name);
        let raw: Vec<&[u8]> = batch.records.iter().map(|record| batch.raw(record)).collect();
        let ends: Vec<u8> = raw.iter().map(|raw| raw[raw.len() - 3]).collect();
        assert_eq!(ends, b"123");
        let mut again = Collected::default();
        again.add(vec![event(2, 10)]);
        assert!(again.into_batch(&mut seen, &name).is_empty());
    }

    #[test]
    fn an_event_without_its_record_is_rejected_not_lost() {
        let mut collected = Collected::default();
        collected.add(vec![Event::builder().event_id("x").build()]);
        let batch = collected.into_batch(&mut Seen::default(), &Arc::from("l"));
        assert_eq!(batch.rejects.len(), 1);
    }

    #[test]
    fn windows_grow_while_there_is_little_and_shrink_when_there_is_too_much() {
        let mut span = Span::default();
        for _ in 0..10 {
            span.held(10);
        }
        assert_eq!(span.get(), LONGEST);
        while span.halve(span.get()) {}
        assert_eq!(span.get(), SHORTEST);
    }

    #[test]
    fn what_is_no_uuid_is_never_taken_for_known() {
        let mut seen = Seen::default();
        assert!(seen.is_new("EXAMPLE") && seen.is_new("EXAMPLE"));
        let id = "0123ABCD-0000-0000-0000-00000000000f";
        assert!(seen.is_new(id) && !seen.is_new(id));
    }
}
