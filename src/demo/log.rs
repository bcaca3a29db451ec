//! Collects sample records and lays them out as the files the providers write.
//!
//! Never touches the disk: a file is a relative path and its bytes.

use super::random::{Random, unique_id};
use super::{DemoFile, aws, azure, gcp, vault};
use chrono::{DateTime, Duration, Timelike, Utc};
use flate2::{Compression, write::GzEncoder};
use serde_json::{Value, json};
use std::collections::BTreeMap;
use std::io::Write;

/// How a record reaches its reader.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Carrier {
    /// A gzipped CloudTrail trail file.
    Aws,
    /// A Cloud Storage export of the data access log.
    GcpDataAccess,
    /// A Cloud Storage export of the admin activity log.
    GcpActivity,
    /// An hourly append blob of Key Vault's diagnostic logs.
    Azure,
    /// One audit device file.
    Vault,
}

/// One record and when it was written.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) at: DateTime<Utc>,
    pub(super) carrier: Carrier,
    pub(super) record: Value,
}

/// Records on their way into files, and the variety they are made with.
#[derive(Debug)]
pub(super) struct Log {
    pub(super) random: Random,
    pub(super) entries: Vec<Entry>,
}

impl Log {
    /// An empty log whose ids and delays follow from `seed`.
    pub(super) const fn new(seed: u64) -> Self {
        Self { random: Random::new(seed), entries: Vec::new() }
    }

    /// Adds a record.
    pub(super) fn push(&mut self, at: DateTime<Utc>, carrier: Carrier, record: Value) {
        self.entries.push(Entry { at, carrier, record });
    }

    /// A time in the minutes after `from`: up to `minutes` of them, with a fraction of a second.
    pub(super) fn soon_after(&mut self, from: DateTime<Utc>, minutes: u32) -> DateTime<Utc> {
        let secs = i64::from(self.random.below(minutes * 60));
        let nanos = i64::from(self.random.below(999_999_999));
        from + Duration::seconds(secs) + Duration::nanoseconds(nanos)
    }

    /// The files that hold these records, in the order of their paths.
    ///
    /// `part` tells files of one hour apart that were delivered at different times, where the
    /// provider writes a new object instead of appending.
    pub(super) fn files(mut self, part: usize) -> Vec<DemoFile> {
        self.entries.sort_by_key(|entry| entry.at);
        let mut slots: BTreeMap<(Carrier, DateTime<Utc>), Vec<Entry>> = BTreeMap::new();
        for entry in self.entries {
            slots.entry((entry.carrier, slot(entry.carrier, entry.at))).or_default().push(entry);
        }
        let mut files: Vec<DemoFile> =
            slots.into_iter().map(|((carrier, from), entries)| file(carrier, from, &entries, part)).collect();
        files.sort_by(|a, b| a.path.cmp(&b.path));
        files
    }
}

/// Hours one trail file covers. CloudTrail delivers about every five minutes; fewer and larger
/// files keep a fortnight quick to read.
const TRAIL_HOURS: u32 = 4;

/// Where the file begins that a record written at `at` belongs to.
fn slot(carrier: Carrier, at: DateTime<Utc>) -> DateTime<Utc> {
    let hour = match carrier {
        Carrier::Aws => at.hour() - at.hour() % TRAIL_HOURS,
        Carrier::GcpDataAccess | Carrier::GcpActivity | Carrier::Azure => at.hour(),
        Carrier::Vault => return DateTime::UNIX_EPOCH,
    };
    at.date_naive().and_hms_opt(hour, 0, 0).map_or(at, |start| start.and_utc())
}

fn file(carrier: Carrier, from: DateTime<Utc>, entries: &[Entry], part: usize) -> DemoFile {
    let latest = entries.last().map_or(from, |entry| entry.at);
    let path = match carrier {
        Carrier::Aws => aws::path(latest, &unique_id("", &format!("{from} {part}"), 16)),
        Carrier::GcpDataAccess => gcp::path("data_access", from, part),
        Carrier::GcpActivity => gcp::path("activity", from, part),
        Carrier::Azure => azure::path(from),
        Carrier::Vault => vault::PATH.to_owned(),
    };
    let bytes = if carrier == Carrier::Aws { trail_file(entries) } else { lines(entries) };
    DemoFile { path, bytes }
}

fn lines(entries: &[Entry]) -> Vec<u8> {
    entries.iter().flat_map(|entry| format!("{}\n", entry.record).into_bytes()).collect()
}

fn trail_file(entries: &[Entry]) -> Vec<u8> {
    let records: Vec<&Value> = entries.iter().map(|entry| &entry.record).collect();
    let text = json!({ "Records": records }).to_string();
    let mut encoder = GzEncoder::new(Vec::new(), Compression::default());
    let written = encoder.write_all(text.as_bytes()).and_then(|()| encoder.finish());
    // Compressing can only fail where the sink fails, and a Vec takes every byte.
    written.expect("a Vec takes every byte written to it")
}
