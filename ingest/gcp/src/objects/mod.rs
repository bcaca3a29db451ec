//! The objects a log sink writes to Cloud Storage: history read day by day, and what is new.
//!
//! A sink writes an object per log, hour and shard, and further ones (`_A0` …) for entries that came
//! late. History is read in the order of keys. What is new is told by when an object was written, on
//! Google's clock, so an hour's late objects are found whatever hour they belong to. How far that has
//! come is committed with the records.

mod bucket;
mod position;
mod read;
mod walk;

use crate::access::Access;
use crate::feed;
use bucket::Bucket;
use chrono::{NaiveDate, TimeDelta};
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use std::collections::HashMap;
use std::time::Duration;
use tokio::sync::mpsc;
use tokio::task::JoinSet;
use walk::Walk;

/// Pieces that wait to be taken, of at most [`read::PART_BYTES`] each: 64 MiB.
const PIECES_MAX: usize = 8;

/// How objects are read. The defaults are those for Google Cloud.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The bucket a sink writes to.
    pub bucket: String,
    /// What their names begin with, above the year; all logs in the bucket when empty.
    pub prefix: String,
    /// The first day of history to read; none when absent.
    pub from: Option<NaiveDate>,
    /// The last one; today when absent.
    pub to: Option<NaiveDate>,
    /// Whether to go on with what is new.
    pub follow: bool,
    /// How long to rest between two looks for what is new.
    pub poll: Duration,
    /// How long after its entries an object may be written. Cloud Logging takes entries that are
    /// days old.
    pub late: TimeDelta,
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
}

impl Settings {
    /// The usual settings for a bucket.
    #[must_use]
    pub fn new(bucket: &str) -> Self {
        Self {
            bucket: bucket.to_owned(),
            prefix: String::new(),
            from: None,
            to: None,
            follow: true,
            poll: Duration::from_mins(5),
            late: TimeDelta::days(3),
            retry_first: Duration::from_secs(1),
        }
    }
}

/// Under which name the store keeps how far a source has come.
#[must_use]
pub fn position_name(source: &str) -> String {
    format!("gcp-objects:{source}")
}

/// A bucket, as a source.
pub struct Objects {
    pieces: mpsc::Receiver<(Batch, ())>,
    walk: JoinSet<()>,
    health: Health,
    clock: Clock,
}

impl Objects {
    /// Starts reading. `positions` is what the store holds, by [`position_name`].
    #[must_use]
    pub fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let (into, pieces) = mpsc::channel(PIECES_MAX);
        let mut walk = JoinSet::new();
        match Bucket::open(&settings, access, access.open(secrets)) {
            Ok(bucket) => {
                let source = position_name(name);
                let committed = positions.get(&source).cloned();
                let told = (clock.clone(), health.clone());
                walk.spawn(Walk::new(bucket, settings, (source, committed), into, told).run());
            }
            Err(failure) => health.fails("source", failure.said, clock()),
        }
        Self { pieces, walk, health, clock }
    }
}

impl Live for Objects {
    type Receipt = ();

    async fn next(&mut self) -> (Batch, ()) {
        loop {
            tokio::select! {
                Some(piece) = self.pieces.recv() => return (feed::gather(piece, &mut self.pieces).0, ()),
                Some(ended) = self.walk.join_next() => {
                    // A source that does not follow ends when all is read.
                    if let Err(error) = ended {
                        let text = format!("the bucket is no longer read: {error}; restart Keywatch, and report this");
                        self.health.fails("source", text, (self.clock)());
                    }
                }
                else => std::future::pending().await,
            }
        }
    }

    async fn acknowledge(&mut self, (): ()) {}
}

impl std::fmt::Debug for Objects {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Objects").finish_non_exhaustive()
    }
}
