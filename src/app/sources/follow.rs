//! Files, followed on a thread.

use super::{AHEAD, Fed};
use keywatch_ingest::Advance;
use keywatch_ingest::source::{Follower, Health};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError};
use std::time::Duration;
use tokio::sync::mpsc;

/// Records and bytes of one batch: large enough that one fsync serves thousands of events.
const BATCH_RECORDS: usize = 4096;
const BATCH_BYTES: usize = 8 << 20;
/// How long a source rests when its files have nothing new.
const REST: Duration = Duration::from_millis(250);

/// Follows the files of one source.
pub(super) struct Thread {
    pub(super) number: usize,
    pub(super) follower: Follower,
    pub(super) health: Health,
    pub(super) feed: mpsc::Sender<Fed>,
    pub(super) acknowledged: Receiver<Vec<Advance>>,
    pub(super) ahead: usize,
    /// How many sources there are.
    pub(super) sources: Arc<AtomicUsize>,
}

impl Thread {
    pub(super) fn run(mut self) {
        let mut has_rested = false;
        loop {
            // A lone source has nobody to leave room for.
            self.follower.keep_apart(self.sources.load(Ordering::Relaxed) > 1);
            let batch = self.follower.poll(BATCH_RECORDS, BATCH_BYTES);
            let mut notices = self.follower.notices();
            for gap in self.follower.gaps() {
                notices.retain(|notice| !notice.ends_with(&gap));
                self.health.misses(gap);
            }
            let idle = batch.is_empty() && notices.is_empty();
            if !idle {
                if self
                    .feed
                    .blocking_send(Fed { source: self.number, batch, notices, is_rest: false })
                    .is_err()
                {
                    return;
                }
                self.ahead += 1;
            } else if !has_rested && self.feed.blocking_send(Fed::rest(self.number)).is_err() {
                return;
            }
            has_rested = idle;
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
