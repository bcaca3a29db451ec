//! What all tasks of a source share, and which messages are in hand.
//!
//! Invariant: a message is deleted only when every piece that came out of it was committed and none
//! of its objects failed. Otherwise it is handed back to the queue, which counts the try.

use super::Settings;
use super::bucket::Buckets;
use super::digest::Digests;
use super::queue::{Queue, Received};
use crate::feed::Piece;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Backoff, Clock, Health};
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};
use tokio::sync::{OwnedSemaphorePermit, Semaphore, mpsc};

/// KiB of records that wait to be taken: 64 MiB, eight batches of the largest size.
pub(super) const ROOM_KIB: u32 = 64 << 10;
/// SQS keeps a message invisible for 12 hours at most, however often it is asked to.
const HELD_MAX: Duration = Duration::from_hours(11);

/// How a message ended.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Outcome {
    /// Everything in it was read.
    Read,
    /// Something in it could not be read.
    Failed,
}

/// What is to be told to the queue. Holds the message's slot until that is done.
#[derive(Debug)]
pub(super) enum Errand {
    Delete(String, OwnedSemaphorePermit),
    Release(String, Duration, OwnedSemaphorePermit),
}

struct Held {
    handle: String,
    tries: u32,
    since: Instant,
    outstanding: u32,
    outcome: Option<Outcome>,
    slot: OwnedSemaphorePermit,
}

/// Shared by all tasks of one source.
pub(super) struct Desk {
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    pub(super) buckets: Buckets,
    /// `None` when they are passed over.
    pub(super) digests: Option<Digests>,
    pub(super) health: Health,
    pub(super) clock: Clock,
    pub(super) pieces: mpsc::Sender<Piece>,
    pub(super) room: Arc<Semaphore>,
    pub(super) fetches: Semaphore,
    /// Tries after which the queue's own policy moves a message away; 0 without one.
    pub(super) redrive_tries: AtomicU32,
    pub(super) has_seen_read: AtomicBool,
    errands: mpsc::UnboundedSender<Errand>,
    held: Mutex<HashMap<u64, Held>>,
    next: AtomicU64,
}

/// What a desk is made of that is not its own.
pub(super) struct Fittings {
    pub(super) settings: Settings,
    pub(super) queue: Queue,
    pub(super) buckets: Buckets,
    pub(super) digests: Option<Digests>,
    pub(super) health: Health,
    pub(super) clock: Clock,
}

impl Desk {
    pub(super) fn new(
        fittings: Fittings,
        pieces: mpsc::Sender<Piece>,
        // Bounded by the slots: an errand holds one.
        errands: mpsc::UnboundedSender<Errand>,
    ) -> Self {
        let Fittings { settings, queue, buckets, digests, health, clock } = fittings;
        Self {
            fetches: Semaphore::new(settings.fetches),
            room: Arc::new(Semaphore::new(ROOM_KIB as usize)),
            settings,
            queue,
            buckets,
            digests,
            health,
            clock,
            pieces,
            redrive_tries: AtomicU32::new(0),
            has_seen_read: AtomicBool::new(false),
            errands,
            held: Mutex::default(),
            next: AtomicU64::new(0),
        }
    }

    /// Takes a message in hand; its number.
    pub(super) fn take(&self, received: &Received, slot: OwnedSemaphorePermit) -> u64 {
        let number = self.next.fetch_add(1, Ordering::Relaxed);
        let held = Held {
            handle: received.handle.clone(),
            tries: received.tries,
            since: Instant::now(),
            outstanding: 0,
            outcome: None,
            slot,
        };
        self.lock().insert(number, held);
        number
    }

    /// Hands records over; waits while too many wait. False when the source has ended.
    pub(super) async fn hand_over(&self, batch: Batch, message: Option<u64>) -> bool {
        let bytes = batch.bytes.len() + batch.rejects.iter().map(|reject| reject.bytes.len()).sum::<usize>();
        let kib = u32::try_from(bytes >> 10).unwrap_or(ROOM_KIB).clamp(1, ROOM_KIB);
        let Ok(room) = Arc::clone(&self.room).acquire_many_owned(kib).await else { return false };
        if let Some(message) = message
            && let Some(held) = self.lock().get_mut(&message)
        {
            held.outstanding += 1;
        }
        self.pieces.send(Piece { batch, message, room: Some(room) }).await.is_ok()
    }

    /// Everything that a message holds was handed over, or could not be.
    pub(super) fn end(&self, message: u64, outcome: Outcome) {
        if let Some(held) = self.lock().get_mut(&message) {
            held.outcome = Some(outcome);
        }
        self.settle(message);
    }

    /// A piece of a message is committed.
    pub(super) fn committed(&self, message: u64) {
        if let Some(held) = self.lock().get_mut(&message) {
            held.outstanding = held.outstanding.saturating_sub(1);
        }
        self.settle(message);
    }

    fn settle(&self, message: u64) {
        let mut all = self.lock();
        let is_over = all.get(&message).is_some_and(|held| held.outstanding == 0 && held.outcome.is_some());
        if !is_over {
            return;
        }
        let Some(held) = all.remove(&message) else { return };
        drop(all);
        let errand = match held.outcome {
            Some(Outcome::Failed) => Errand::Release(held.handle, self.rest(held.tries), held.slot),
            Some(Outcome::Read) | None => Errand::Delete(held.handle, held.slot),
        };
        let _ended = self.errands.send(errand);
    }

    /// How long a message that failed rests: half a minute, doubled each time; once there is
    /// nothing left to try, until the queue moves it away, or long when it never will.
    fn rest(&self, tries: u32) -> Duration {
        if tries >= self.tries_max() && self.redrive_tries.load(Ordering::Relaxed) == 0 {
            return self.settings.rest_hopeless;
        }
        let doubled = self.settings.rest_first.saturating_mul(1 << tries.saturating_sub(1).min(10));
        doubled.min(self.settings.rest_max)
    }

    /// After how many tries a message is given up: ours, or the queue's when it is less patient.
    pub(super) fn tries_max(&self) -> u32 {
        match self.redrive_tries.load(Ordering::Relaxed) {
            0 => self.settings.tries_max,
            theirs => theirs.min(self.settings.tries_max),
        }
    }

    /// Handles of the messages that must stay invisible.
    pub(super) fn in_hand(&self) -> Vec<String> {
        let all = self.lock();
        let kept = all.values().filter(|held| held.since.elapsed() < HELD_MAX);
        kept.map(|held| held.handle.clone()).collect()
    }

    /// A wait that differs from task to task.
    pub(super) fn backoff(&self) -> Backoff {
        Backoff::new(self.settings.retry_first, self.next.load(Ordering::Relaxed) + 1)
    }

    fn lock(&self) -> MutexGuard<'_, HashMap<u64, Held>> {
        self.held.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
