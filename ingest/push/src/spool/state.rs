//! What the threads of a spool and those who fill it share.

use super::Storage;
use super::segment::{Parcel, Segment};
use std::collections::VecDeque;
use std::path::PathBuf;
use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use tokio::sync::oneshot;

/// Bytes that may wait for the disk: six seconds of 5,000 lines of 2 KB each, for a disk that
/// pauses. One parcel may be larger when nothing else waits.
const QUEUE_BYTES_MAX: u64 = 64 << 20;
/// Files of a spool: a sixteenth of it each, so that nearly all of it can be used, within bounds.
const SEGMENTS: u64 = 16;
const SEGMENT_BYTES: (u64, u64) = (64 << 10, 16 << 20);

/// Why records were not kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Refusal {
    /// As many bytes wait as may.
    Full(u64),
    /// The disk does not keep up.
    Slow,
    /// The disk does not take them.
    Disk(String),
    /// It is longer than a record may be, or than what is left for long ones.
    Long(u64),
    /// The system dropped datagrams that waited to be taken.
    Kernel,
    /// The source is ending.
    Closed,
}

impl std::fmt::Display for Refusal {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Full(bytes) => write!(
                out,
                "the spool is full: {} MiB wait for the database; see why it does not take them, or raise `spool.size`",
                bytes >> 20
            ),
            Self::Slow => write!(
                out,
                "the spool's disk does not keep up: {} MiB wait to be written; give the spool a faster disk",
                QUEUE_BYTES_MAX >> 20
            ),
            Self::Disk(error) => write!(
                out,
                "the spool cannot be written: {error}; make room on its disk, or move `spool.folder`"
            ),
            Self::Long(bytes) => write!(
                out,
                "a message of {} MiB and more is too long; set `elide_list_responses=true` on the device",
                bytes >> 20
            ),
            Self::Kernel => write!(
                out,
                "datagrams came faster than they could be taken, and the system dropped them; raise net.core.rmem_default \
                 with sysctl and restart Keywatch, or send over TCP"
            ),
            Self::Closed => write!(out, "the source is ending"),
        }
    }
}

/// Records that nobody could be told of, for one kind of reason.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Lost {
    pub(crate) count: u64,
    /// Why the last of them were.
    pub(crate) why: Refusal,
}

impl Refusal {
    fn is_of_kind(&self, other: &Self) -> bool {
        std::mem::discriminant(self) == std::mem::discriminant(other)
    }

    /// Whether it says something about the spool, which lasts, and not about a message.
    const fn is_of_spool(&self) -> bool {
        matches!(self, Self::Full(_) | Self::Slow | Self::Disk(_) | Self::Closed)
    }
}

/// A parcel on its way to the disk.
pub(super) struct Waiting {
    pub(super) parcel: Parcel,
    pub(super) tell: Option<oneshot::Sender<Result<(), Refusal>>>,
}

/// All that changes.
pub(super) struct State {
    /// Bounded by [`QUEUE_BYTES_MAX`].
    pub(super) queue: Vec<Waiting>,
    queued_bytes: u64,
    /// Bytes of a write that is under way.
    pub(super) writing_bytes: u64,
    /// In order; the last may be written to. At most the spool's size over the size of one, and
    /// one for each write that failed and left something.
    pub(super) segments: VecDeque<Segment>,
    /// The first number that is to be read.
    pub(super) start: u64,
    /// The number behind the last record that is on disk.
    pub(super) end: u64,
    committed: u64,
    trouble: Option<Refusal>,
    /// The last trouble, until somebody has asked.
    refused: Option<Refusal>,
    /// One for each kind of [`Refusal`].
    lost: Vec<Lost>,
    pub(super) closed: bool,
}

impl State {
    /// Goes on from what was found on disk.
    pub(super) fn resume(found: Vec<Segment>, committed: Option<u64>) -> (Self, Vec<String>) {
        let first = found.first().map_or(0, |segment| segment.first);
        let start = committed.unwrap_or(first).max(first);
        let end = found.last().map_or(0, Segment::end).max(start);
        let mut damage = Vec::new();
        for (at, segment) in found.iter().enumerate() {
            let next = found.get(at + 1).map_or(segment.end(), |next| next.first);
            if next > segment.end().max(start) {
                let (from, count) = (segment.end().max(start), next - segment.end().max(start));
                damage.push(format!(
                    "the spool is damaged: {count} record(s) from number {from} on cannot be read; look at its disk"
                ));
            }
        }
        if committed.is_some_and(|committed| first > committed) {
            damage.push("the spool begins behind what was committed: files of it were removed".to_owned());
        }
        if let Some(torn) = found.last().map(|segment| segment.torn).filter(|torn| *torn > 0) {
            tracing::info!(
                bytes = torn,
                "a write to the spool was cut off at the last stop; it was not acknowledged"
            );
        }
        let state = Self {
            queue: Vec::new(),
            queued_bytes: 0,
            writing_bytes: 0,
            segments: found.into(),
            start,
            end,
            committed: start,
            trouble: None,
            refused: None,
            lost: Vec::new(),
            closed: false,
        };
        (state, damage)
    }

    fn refuses(&mut self, why: &Refusal) {
        (self.trouble, self.refused) = (Some(why.clone()), Some(why.clone()));
    }

    fn held_bytes(&self) -> u64 {
        self.segments.iter().map(|segment| segment.bytes).sum()
    }

    /// Takes the whole queue.
    pub(super) fn take_queue(&mut self) -> Vec<Waiting> {
        self.writing_bytes = std::mem::take(&mut self.queued_bytes);
        std::mem::take(&mut self.queue)
    }

    /// Files of which everything is committed, except one that may still be written to. They are no
    /// longer counted.
    ///
    /// One write may fill the whole spool and is one file: were the last file kept, nothing could
    /// ever be written behind it.
    pub(super) fn take_spent(&mut self, segment_bytes: u64) -> Vec<Segment> {
        let mut spent = Vec::new();
        while let Some(front) = self.segments.front() {
            let is_closed = front.bytes >= segment_bytes;
            let Some(next) = self.segments.get(1).map(|next| next.first).or(is_closed.then_some(0)) else {
                break;
            };
            if next.max(front.end()) > self.committed {
                break;
            }
            spent.extend(self.segments.pop_front());
        }
        spent
    }
}

/// The state, who waits for it to change, and what does not change.
pub(super) struct Shared {
    state: Mutex<State>,
    /// Something is to be written, or the end.
    pub(super) work: Condvar,
    /// Something is on disk or committed, or the end.
    pub(super) news: Condvar,
    pub(super) folder: PathBuf,
    bytes_max: u64,
    /// From which size on a file is followed by the next.
    pub(super) segment_bytes: u64,
}

impl Shared {
    pub(super) fn new(storage: &Storage, state: State) -> Self {
        let segment_bytes = (storage.bytes_max / SEGMENTS).clamp(SEGMENT_BYTES.0, SEGMENT_BYTES.1);
        Self {
            state: Mutex::new(state),
            work: Condvar::new(),
            news: Condvar::new(),
            folder: storage.folder.clone(),
            bytes_max: storage.bytes_max,
            segment_bytes,
        }
    }

    /// Every change is complete when it panics, so a poisoned lock is fine.
    pub(super) fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn accept(
        &self,
        parcel: Parcel,
        tell: Option<oneshot::Sender<Result<(), Refusal>>>,
    ) -> Result<(), Refusal> {
        let mut state = self.lock();
        let waiting = state.queued_bytes + state.writing_bytes;
        let why = if state.closed {
            Some(Refusal::Closed)
        } else if state.held_bytes() + waiting + parcel.len() > self.bytes_max {
            Some(Refusal::Full(self.bytes_max))
        } else if waiting > 0 && waiting + parcel.len() > QUEUE_BYTES_MAX {
            Some(Refusal::Slow)
        } else {
            None
        };
        if let Some(why) = why {
            state.refuses(&why);
            return Err(why);
        }
        state.queued_bytes += parcel.len();
        state.queue.push(Waiting { parcel, tell });
        drop(state);
        self.work.notify_one();
        Ok(())
    }

    /// What was written is on disk, or is not; whoever waits for it is told.
    pub(super) fn written(&self, group: Vec<Waiting>, outcome: Result<Vec<Segment>, Refusal>) {
        let mut state = self.lock();
        state.writing_bytes = 0;
        let told = outcome.as_ref().map(|_| ()).map_err(Clone::clone);
        state.trouble = None;
        if let Err(why) = &told {
            state.refuses(why);
        }
        if let Ok(changed) = outcome {
            for segment in changed {
                if state.segments.back().is_some_and(|last| last.first == segment.first) {
                    state.segments.pop_back();
                }
                state.end = segment.end();
                state.segments.push_back(segment);
            }
        }
        drop(state);
        for waiting in group {
            match (waiting.tell, &told) {
                (Some(tell), _) => {
                    // Whoever asked may have gone away: they will send it again.
                    let _gone = tell.send(told.clone());
                }
                (None, Err(why)) => self.lose(waiting.parcel.count(), why.clone()),
                (None, Ok(())) => {}
            }
        }
        self.news.notify_all();
    }

    pub(super) fn lose(&self, count: u64, why: Refusal) {
        let mut state = self.lock();
        if why.is_of_spool() {
            state.refuses(&why);
        }
        match state.lost.iter_mut().find(|lost| lost.why.is_of_kind(&why)) {
            Some(lost) => *lost = Lost { count: lost.count + count, why },
            None => state.lost.push(Lost { count, why }),
        }
    }

    pub(super) fn take_lost(&self) -> Vec<Lost> {
        std::mem::take(&mut self.lock().lost)
    }

    /// Being full ends when there is room again, without anybody having tried.
    pub(super) fn trouble(&self) -> Option<Refusal> {
        let mut state = self.lock();
        let has_room = state.held_bytes() + self.segment_bytes < self.bytes_max;
        if has_room && matches!(state.trouble, Some(Refusal::Full(_))) {
            state.trouble = None;
        }
        state.trouble.clone()
    }

    pub(super) fn take_refusal(&self) -> Option<Refusal> {
        let now = self.trouble();
        let refused = self.lock().refused.take();
        now.or(refused)
    }

    pub(super) fn committed(&self, number: u64) {
        let mut state = self.lock();
        state.committed = state.committed.max(number);
        drop(state);
        self.news.notify_all();
    }

    pub(super) fn close(&self) {
        self.lock().closed = true;
        self.work.notify_all();
        self.news.notify_all();
    }
}
