//! An answer's entries, taken out byte for byte, and which of them were handed over before.

use chrono::{DateTime, Utc};
use keywatch_event::Place;
use keywatch_ingest::Batch;
use serde::Deserialize;
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::collections::{HashSet, VecDeque};
use std::hash::{BuildHasher, RandomState};
use std::sync::Arc;

/// Entries a lane remembers, so that going over time again brings nothing twice: 16 bytes twice over,
/// below 2 MiB. What is forgotten is known to the store.
const SEEN_MAX: usize = 40_000;

#[derive(Deserialize)]
struct Answer<'a> {
    #[serde(borrow, default)]
    entries: Vec<&'a RawValue>,
    #[serde(rename = "nextPageToken", default)]
    token: String,
}

/// What says which entry it is and when.
#[derive(Default, Deserialize)]
#[serde(rename_all = "camelCase", default)]
struct Stamp<'a> {
    #[serde(borrow)]
    log_name: Cow<'a, str>,
    #[serde(borrow)]
    insert_id: Cow<'a, str>,
    timestamp: Option<DateTime<Utc>>,
    receive_timestamp: Option<DateTime<Utc>>,
    split: Option<Split>,
}

#[derive(Default, Deserialize, Hash)]
struct Split {
    #[serde(default)]
    index: i64,
}

/// A page, ready to be handed over.
#[derive(Debug, Default)]
pub(super) struct Page {
    /// Entries that were not handed over lately, in the order they came.
    pub(super) batch: Batch,
    pub(super) token: Option<String>,
    /// The newest time of an entry.
    pub(super) newest: Option<DateTime<Utc>>,
    /// The newest time of receipt.
    pub(super) received: Option<DateTime<Utc>>,
    /// Whether a read was among them: data access logs are switched on.
    pub(super) has_data_access: bool,
}

impl Page {
    /// Reads an answer.
    ///
    /// # Errors
    /// When it is no answer of `entries.list`.
    pub(super) fn read(body: &[u8], seen: &mut Seen, place: &Arc<str>) -> Result<Self, serde_json::Error> {
        let answer: Answer<'_> = serde_json::from_slice(body)?;
        let mut page = Self::default();
        for entry in answer.entries {
            // An entry that cannot be told from others is handed over: the store, or a reject, knows it.
            let stamp: Option<Stamp<'_>> = serde_json::from_str(entry.get()).ok();
            if let Some(stamp) = &stamp {
                page.newest = page.newest.max(stamp.timestamp);
                page.received = page.received.max(stamp.receive_timestamp);
                page.has_data_access |= stamp.log_name.ends_with("data_access");
            }
            if stamp.is_none_or(|stamp| seen.is_new(&stamp)) {
                let place = Place { name: Arc::clone(place), line: 1, record: 0 };
                page.batch.push(entry.get().as_bytes(), place);
            }
        }
        page.token = Some(answer.token).filter(|token| !token.is_empty());
        Ok(page)
    }
}

/// Entries that were handed over lately, by two hashes of what tells them apart. Their keys are
/// random, so nobody can write an entry that is taken for another.
#[derive(Debug, Default)]
pub(super) struct Seen {
    keys: (RandomState, RandomState),
    known: HashSet<(u64, u64)>,
    order: VecDeque<(u64, u64)>,
}

impl Seen {
    fn is_new(&mut self, stamp: &Stamp<'_>) -> bool {
        if stamp.insert_id.is_empty() {
            return true;
        }
        let told = (&stamp.log_name, &stamp.insert_id, stamp.timestamp, &stamp.split);
        let key = (self.keys.0.hash_one(told), self.keys.1.hash_one(told));
        if !self.known.insert(key) {
            return false;
        }
        self.order.push_back(key);
        if self.order.len() > SEEN_MAX
            && let Some(oldest) = self.order.pop_front()
        {
            self.known.remove(&oldest);
        }
        true
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(body: &str, seen: &mut Seen) -> Page {
        Page::read(body.as_bytes(), seen, &Arc::from("l")).unwrap()
    }

    #[test]
    fn entries_are_taken_as_they_stand_and_nothing_twice() {
        let one = r#"{ "insertId":"1","timestamp":"2026-06-01T00:00:01.5Z",  "x":[1] }"#;
        let two = r#"{"insertId":"2","timestamp":"2026-06-01T00:00:00Z","receiveTimestamp":"2026-06-01T00:00:09Z","logName":"a%2Fdata_access"}"#;
        let body = format!(r#"{{"entries":[{one},{two},{one}],"nextPageToken":"t"}}"#);
        let mut seen = Seen::default();
        let page = read(&body, &mut seen);
        let raw: Vec<&[u8]> = page.batch.records.iter().map(|record| page.batch.raw(record)).collect();
        assert_eq!(raw, [one.as_bytes(), two.as_bytes()]);
        assert_eq!((page.token.as_deref(), page.has_data_access), (Some("t"), true));
        assert_eq!(page.newest.unwrap().timestamp_millis() % 10_000, 1500);
        assert_eq!(page.received.unwrap().timestamp() % 10, 9);
        assert!(read(&body, &mut seen).batch.is_empty());
    }

    #[test]
    fn parts_of_a_split_entry_are_told_apart() {
        let part = |index: u32| format!(r#"{{"insertId":"1","split":{{"uid":"u","index":{index}}}}}"#);
        let page = read(&format!(r#"{{"entries":[{},{}]}}"#, part(0), part(1)), &mut Seen::default());
        assert_eq!(page.batch.records.len(), 2);
    }

    #[test]
    fn odd_entries_are_handed_over_and_an_empty_answer_is_one() {
        let odd = r#"{"entries":[1,{"timestamp":"yesterday","insertId":"1"},{},{"timestamp":7}]}"#;
        assert_eq!(read(odd, &mut Seen::default()).batch.records.len(), 4);
        assert!(read("{}", &mut Seen::default()).batch.is_empty());
        assert!(Page::read(b"<html>", &mut Seen::default(), &Arc::from("l")).is_err());
    }
}
