//! File sources on threads of their own, feeding one pipeline.
//!
//! Each thread follows its files and hands over batches; at most [`AHEAD`] of them wait for their
//! commit, so a slow disk slows the reading and nothing piles up. A thread moves its files'
//! committed positions only when it hears that the batch is stored.

use crate::config::FileSource;
use crate::pipeline::Stepped;
use anyhow::Context;
use chrono::{DateTime, Utc};
use keywatch_dashboard::SourceInfo;
use keywatch_event::EventTime;
use keywatch_ingest::source::Follower;
use keywatch_ingest::{Advance, Batch};
use std::collections::HashMap;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread::JoinHandle;
use std::time::Duration;
use tokio::sync::mpsc;

/// Batches a source may be ahead of the store.
const AHEAD: usize = 2;
/// Records and bytes of one batch: large enough that one fsync serves thousands of events.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;
/// How long a source rests when its files have nothing new.
const REST: Duration = Duration::from_millis(250);
/// Seconds without a batch after which a source has nothing more to read.
const IDLE_SECS: i64 = 60;
/// Seconds an event may be old and still be news: providers deliver within 15 minutes, and some
/// objects wait as long again.
const RECENT_SECS: i64 = 1800;
/// Notices kept per source for the dashboard.
const NOTICES_MAX: usize = 20;

/// A batch with the source it came from.
pub(super) struct Fed {
    source: usize,
    pub(super) batch: Batch,
    notices: Vec<String>,
}

/// All file sources of the service.
pub(super) struct Sources {
    fed: mpsc::Receiver<Fed>,
    acknowledge: Vec<Sender<Vec<Advance>>>,
    threads: Vec<JoinHandle<()>>,
    known: Arc<Mutex<Vec<SourceInfo>>>,
    /// Per source: when its last batch was stored, and event time of the newest event in it.
    latest: Vec<Option<(DateTime<Utc>, EventTime)>>,
}

impl Sources {
    pub(super) fn start(sources: &[FileSource], positions: &HashMap<String, String>) -> anyhow::Result<Self> {
        let (feed, incoming) = mpsc::channel(AHEAD);
        let mut all = Self {
            fed: incoming,
            acknowledge: Vec::new(),
            threads: Vec::new(),
            known: Arc::default(),
            latest: vec![None; sources.len()],
        };
        for (number, source) in sources.iter().enumerate() {
            let follower = Follower::new(&source.name, source.paths.clone(), positions.clone());
            let (acknowledge, acknowledged) = channel();
            let thread = Thread { number, follower, feed: feed.clone(), acknowledged, ahead: 0 };
            let spawned = std::thread::Builder::new()
                .name(format!("source {}", source.name))
                .spawn(move || thread.run());
            all.threads.push(spawned.with_context(|| format!("cannot start the source {}", source.name))?);
            all.acknowledge.push(acknowledge);
            let paths: Vec<String> = source.paths.iter().map(|path| path.display().to_string()).collect();
            all.known().push(SourceInfo {
                name: source.name.clone(),
                kind: format!("files: {}", paths.join(", ")),
                ..SourceInfo::default()
            });
        }
        if sources.is_empty() {
            // Without a source the service still shows and delivers what is stored.
            all.acknowledge.push(keep_open(feed));
        }
        Ok(all)
    }

    /// The next batch of any source; `None` when all have ended.
    pub(super) async fn next(&mut self) -> Option<Fed> {
        self.fed.recv().await
    }

    /// Tells the source that its batch is stored.
    pub(super) fn committed(&mut self, fed: &Fed, stepped: &Stepped, now: DateTime<Utc>) {
        let (committed, newest) = (stepped.committed, stepped.newest);
        if let (Some(latest), Some(newest)) = (self.latest.get_mut(fed.source), newest) {
            *latest = Some((now, newest));
        }
        if let Some(acknowledge) = self.acknowledge.get(fed.source) {
            let _ended = acknowledge.send(fed.batch.advances.clone());
        }
        let mut known = self.known();
        let Some(info) = known.get_mut(fed.source) else { return };
        info.records += (committed.fresh + committed.duplicates + committed.rejects) as u64;
        info.rejects += committed.rejects as u64;
        if !fed.batch.records.is_empty() {
            info.last_at = Some(now);
        }
        for notice in &fed.notices {
            tracing::warn!(source = %info.name, "{notice}");
            info.notices.push(notice.clone());
        }
        let excess = info.notices.len().saturating_sub(NOTICES_MAX);
        info.notices.drain(..excess);
    }

    /// The name of the source a batch came from.
    pub(super) fn name_of(&self, fed: &Fed) -> String {
        self.known().get(fed.source).map(|info| info.name.clone()).unwrap_or_default()
    }

    /// Whether no source is still reading what happened long ago: each either brings what is recent
    /// or has brought nothing for a while.
    pub(super) fn caught_up(&self, now: DateTime<Utc>) -> bool {
        self.latest.iter().flatten().all(|(at, newest)| {
            let idle = now.timestamp() - at.timestamp() > IDLE_SECS;
            idle || now.timestamp() - newest.secs() <= RECENT_SECS
        })
    }

    /// What the dashboard is told of the sources.
    pub(super) fn informant(&self) -> keywatch_dashboard::Sources {
        let known = Arc::clone(&self.known);
        Arc::new(move || known.lock().unwrap_or_else(PoisonError::into_inner).clone())
    }

    fn known(&self) -> MutexGuard<'_, Vec<SourceInfo>> {
        self.known.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Ends the threads. What they read and nobody committed is read again at the next start.
    pub(super) fn stop(mut self) {
        self.acknowledge.clear();
        self.fed.close();
        while self.fed.try_recv().is_ok() {}
        for thread in self.threads.drain(..) {
            if thread.join().is_err() {
                tracing::error!("a source's thread panicked");
            }
        }
    }
}

/// Keeps the feed open although nothing feeds it.
fn keep_open(feed: mpsc::Sender<Fed>) -> Sender<Vec<Advance>> {
    let (acknowledge, acknowledged) = channel::<Vec<Advance>>();
    std::thread::spawn(move || {
        let _held = feed;
        while acknowledged.recv().is_ok() {}
    });
    acknowledge
}

struct Thread {
    number: usize,
    follower: Follower,
    feed: mpsc::Sender<Fed>,
    acknowledged: Receiver<Vec<Advance>>,
    ahead: usize,
}

impl Thread {
    fn run(mut self) {
        loop {
            let batch = self.follower.poll(BATCH_RECORDS, BATCH_BYTES);
            let notices = self.follower.notices();
            let idle = batch.is_empty() && notices.is_empty();
            if !idle {
                if self.feed.blocking_send(Fed { source: self.number, batch, notices }).is_err() {
                    return;
                }
                self.ahead += 1;
            }
            if !self.listen(idle) {
                return;
            }
        }
    }

    /// Hears what was stored; waits when idle or far enough ahead. False when the service ends.
    fn listen(&mut self, idle: bool) -> bool {
        loop {
            let wait = if self.ahead >= AHEAD {
                Duration::from_hours(1)
            } else if idle {
                REST
            } else {
                Duration::ZERO
            };
            match self.acknowledged.recv_timeout(wait) {
                Ok(advances) => {
                    self.follower.acknowledge(&advances);
                    self.ahead -= 1;
                }
                Err(RecvTimeoutError::Timeout) if self.ahead >= AHEAD => {}
                Err(RecvTimeoutError::Timeout) => return true,
                Err(RecvTimeoutError::Disconnected) => return false,
            }
        }
    }
}
