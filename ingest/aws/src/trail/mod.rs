//! A trail's objects in S3, announced through SQS; or events that SQS messages carry themselves.
//!
//! A message is received, its objects are fetched and cut into records, the records are committed,
//! and only then is it deleted. Until then it is kept invisible; when Keywatch ends in between it
//! comes again, and its events are known by their ids. What the queue cannot deliver any more (the
//! time before it existed) is listed from the bucket: see [`Backfill`].

mod backfill;
mod bucket;
mod desk;
mod digest;
mod notice;
mod queue;
mod tasks;
mod work;

pub use backfill::Backfill;

use crate::access::Access;
use crate::feed::Feed;
use bucket::{Buckets, Place};
use desk::{Desk, Fittings};
use digest::Digests;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_secrets::SecretManager;
use queue::Queue;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;
use tokio::sync::{Semaphore, mpsc};
use tokio::task::JoinSet;

/// Tasks that ask for messages: two, so that one asks while the other's answer is on its way.
const RECEIVERS: usize = 2;
/// Pieces that wait at once; their memory is bounded by [`desk::ROOM_KIB`].
const PIECES_MAX: usize = 1024;

/// What a queue brings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Carries {
    /// Notices of objects in a bucket.
    #[default]
    Objects,
    /// Events themselves, from EventBridge.
    Events,
}

/// How a queue is read. The defaults are those for AWS.
#[derive(Clone, Debug, PartialEq)]
pub struct Settings {
    /// The queue's URL.
    pub queue: String,
    /// What its messages are expected to be. Both are understood either way.
    pub carries: Carries,
    /// The only buckets objects are read from; any that is announced when empty.
    pub buckets: Vec<String>,
    /// Region of the buckets, when it is not the queue's.
    pub bucket_region: Option<String>,
    /// How long one request waits for messages; SQS allows 20 seconds.
    pub wait: Duration,
    /// How long messages in hand are invisible before that is renewed, in whole seconds.
    pub visibility: Duration,
    /// Messages in hand at once. SQS allows 120,000; a slot costs a few KiB.
    pub slots: usize,
    /// Objects fetched at once.
    pub fetches: usize,
    /// Tries after which a message is left to the dead-letter queue.
    pub tries_max: u32,
    /// First wait after a request that failed; doubles up to a minute.
    pub retry_first: Duration,
    /// How long a message that failed rests before it may come again; doubles with every try.
    pub rest_first: Duration,
    /// Longest such rest.
    pub rest_max: Duration,
    /// How long a message rests that was given up where no dead-letter queue takes it.
    pub rest_hopeless: Duration,
    /// Whether CloudTrail's digest files are verified; else they are passed over.
    pub digests: bool,
    /// How often it is looked whether digests still come.
    pub digests_every: Duration,
    /// Old objects to read from the bucket first.
    pub backfill: Option<Backfill>,
}

impl Settings {
    /// The usual settings for a queue.
    #[must_use]
    pub fn new(queue: &str) -> Self {
        Self {
            queue: queue.to_owned(),
            carries: Carries::Objects,
            buckets: Vec::new(),
            bucket_region: None,
            wait: Duration::from_secs(20),
            visibility: Duration::from_mins(5),
            slots: 400,
            fetches: 8,
            tries_max: 5,
            retry_first: Duration::from_secs(1),
            rest_first: Duration::from_secs(30),
            rest_max: Duration::from_mins(15),
            rest_hopeless: Duration::from_hours(6),
            digests: true,
            digests_every: Duration::from_mins(1),
            backfill: None,
        }
    }
}

/// A queue and the buckets it speaks of, as a source.
pub struct TrailQueue {
    desk: Arc<Desk>,
    pieces: Feed,
    tasks: JoinSet<()>,
}

impl TrailQueue {
    /// Starts reading. `positions` is what the store holds, of this source and others.
    pub async fn start(
        name: &str,
        (access, secrets): (&Access, &SecretManager),
        settings: Settings,
        positions: &HashMap<String, String>,
        (clock, health): (Clock, Health),
    ) -> Self {
        let way = access.open(secrets).await;
        let place = Place {
            endpoint: access.endpoint.clone(),
            region: settings.bucket_region.clone(),
            allowed: settings.buckets.clone(),
        };
        let digests = settings.digests.then(|| Digests::new(name, way.clone(), positions, clock()));
        let (queue, buckets) = (Queue::new(&way, &settings.queue), Buckets::new(way, place));
        let (pieces, taken) = mpsc::channel(PIECES_MAX);
        let (errands, run) = mpsc::unbounded_channel();
        let slots = Arc::new(Semaphore::new(settings.slots.max(queue::BATCH * RECEIVERS)));
        let fittings = Fittings { settings, queue, buckets, digests, health, clock };
        let desk = Arc::new(Desk::new(fittings, pieces, errands));
        let mut tasks = JoinSet::new();
        tasks.spawn(tasks::keep(Arc::clone(&desk)));
        tasks.spawn(tasks::run_errands(Arc::clone(&desk), run));
        for _ in 0..RECEIVERS {
            tasks.spawn(tasks::receive(Arc::clone(&desk), Arc::clone(&slots)));
        }
        if let Some(backfill) = desk.settings.backfill.clone() {
            let position = positions.get(&Backfill::position_name(name)).cloned();
            tasks.spawn(backfill::read(Arc::clone(&desk), name.to_owned(), backfill, position));
        }
        Self { desk, pieces: Feed::new(taken), tasks }
    }

    /// Asks how a queue is set up, and changes nothing; what was found, in words.
    ///
    /// # Errors
    /// What failed and how to mend it.
    pub async fn probe(access: &Access, secrets: &SecretManager, url: &str) -> Result<String, String> {
        let queue = Queue::new(&access.open(secrets).await, url);
        match queue.setup().await {
            Ok(queue::Setup { tries_max: Some(tries) }) => Ok(format!(
                "{} answers; after {tries} tries a message goes to its dead-letter queue",
                queue.name
            )),
            Ok(queue::Setup { tries_max: None }) => Ok(format!(
                "{} answers; it has no dead-letter queue, so a message that cannot be read is tried until it expires",
                queue.name
            )),
            Err(failure) => Err(queue.explain(&failure, "sqs:GetQueueAttributes")),
        }
    }
}

impl Live for TrailQueue {
    type Receipt = Vec<u64>;

    async fn next(&mut self) -> (Batch, Vec<u64>) {
        let first = loop {
            tokio::select! {
                Some(piece) = self.pieces.first() => break piece,
                Some(Err(error)) = self.tasks.join_next() => {
                    let text = format!("a part of the source broke: {error}; restart Keywatch, and report this");
                    self.desk.health.fails("source", text, (self.desk.clock)());
                }
            }
        };
        self.pieces.gather(first)
    }

    async fn acknowledge(&mut self, receipt: Vec<u64>) {
        for message in receipt {
            self.desk.committed(message);
        }
    }
}

impl std::fmt::Debug for TrailQueue {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("TrailQueue").field("queue", &self.desk.queue.url).finish_non_exhaustive()
    }
}
