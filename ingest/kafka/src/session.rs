//! One client from its login to its end: polls, gathers batches, hands them over.
//!
//! Runs on a thread of its own, because giving up a client waits for the cluster. What it holds in
//! memory: the client's own queue (16 MiB), a batch in the making and one that waits to be taken
//! (8 MiB and one message each), and the batches that wait for their commit.

use crate::context::{ASK_TIMEOUT, Context};
use crate::group::Yielded;
use keywatch_event::Place;
use keywatch_ingest::{Batch, carrier};
use rdkafka::ClientConfig;
use rdkafka::config::FromClientConfigAndContext;
use rdkafka::consumer::{BaseConsumer, CommitMode, Consumer};
use rdkafka::error::KafkaError;
use rdkafka::message::{BorrowedMessage, Message};
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use std::collections::HashMap;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::sync::mpsc::RecvTimeoutError;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;
use tokio::sync::mpsc;
use tokio::time::timeout;

/// Bytes of one batch, apart from its last message.
const BATCH_BYTES: usize = 8 << 20;
/// How long an empty batch waits for a message before it is looked whether the source has ended.
const POLL: Duration = Duration::from_millis(100);
/// How long a batch waits for the next message before it is handed over as it is.
const LINGER: Duration = Duration::from_millis(5);
/// How often a client is polled while nothing may come.
const PAUSED_POLL: Duration = Duration::from_secs(1);
/// How often the cluster hears of what is committed.
const COMMIT_EVERY: Duration = Duration::from_secs(1);

/// How long a client may take to leave its group. It takes milliseconds, unless the cluster was to be
/// told of offsets and cannot be reached: then the client waits for the cluster for ever, and with a login that is
/// refused the next client would never come.
const CLOSE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said while the cluster is asked for nothing more.
const PACE: &str = "pace";
const SLOW: &str =
    "reading is paused: batches are not stored as fast as they are read; look at the database and its disk";

/// Why a client was given up.
#[derive(Debug, PartialEq, Eq)]
pub(crate) enum Ended {
    /// Nobody takes the batches any more.
    Closed,
    /// The cluster does not accept the login.
    Refused,
    /// Some position lay outside of what the cluster has, and was mended: the next client begins there.
    /// To assign partitions again in the midst of a rebalance makes librdkafka end the program.
    Astray,
    /// It cannot go on, for this reason.
    Broke(String),
}

/// What outlives a client: where batches go, and what became of them.
pub(crate) struct Ends {
    pub(crate) out: mpsc::Sender<Yielded>,
    pub(crate) done: mpsc::UnboundedReceiver<Yielded>,
    /// What was read and not handed over yet. The ledger has moved past it: the next client goes on
    /// behind it.
    pub(crate) batch: Batch,
}

/// Offsets by topic and partition.
type Offsets = HashMap<(Arc<str>, i32), i64>;

struct Session<'e> {
    consumer: BaseConsumer<Context>,
    ends: &'e mut Ends,
    committed: Offsets,
    told_at: Instant,
}

/// Reads until the client or the source is at its end.
pub(crate) fn run(mut config: ClientConfig, context: Context, ends: &mut Ends) -> Ended {
    tell(&mut config, &context);
    let topics = context.settings.topics.clone();
    let consumer = match BaseConsumer::from_config_and_context(&config, context) {
        Ok(consumer) => consumer,
        Err(error) => return Ended::Broke(format!("the client could not be set up: {error}")),
    };
    let topics: Vec<&str> = topics.iter().map(String::as_str).collect();
    if let Err(error) = consumer.subscribe(&topics) {
        return Ended::Broke(format!("the topics {} could not be asked for: {error}", topics.join(", ")));
    }
    let mut session = Session { consumer, ends, committed: HashMap::new(), told_at: Instant::now() };
    let ended = session.read();
    close(session.consumer);
    ended
}

/// Leaves the group. What takes too long is left to itself: it reads nothing and says nothing any more.
fn close(consumer: BaseConsumer<Context>) {
    consumer.context().retires();
    let (alive, closed) = std::sync::mpsc::channel::<()>();
    let closing = std::thread::Builder::new().name("kafka-close".to_owned()).spawn(move || {
        drop(consumer);
        drop(alive);
    });
    if closing.is_ok() && closed.recv_timeout(CLOSE_TIMEOUT) == Err(RecvTimeoutError::Timeout) {
        tracing::warn!("a Kafka client waits for its cluster before it ends; nothing else waits for it");
    }
}

fn tell(config: &mut ClientConfig, context: &Context) {
    let settings = &context.settings;
    config
        .set("group.id", &settings.group)
        .set("session.timeout.ms", settings.session_timeout.as_millis().to_string())
        .set("heartbeat.interval.ms", (settings.session_timeout.as_millis() / 15).max(1).to_string())
        .set("statistics.interval.ms", settings.look_every.as_millis().to_string())
        .set("enable.auto.commit", "false")
        .set("enable.auto.offset.store", "false")
        .set("enable.partition.eof", "true")
        // A position outside of what the cluster has is a gap, and told as one.
        .set("auto.offset.reset", "error")
        .set("isolation.level", "read_committed")
        .set("partition.assignment.strategy", "range,roundrobin")
        .set("fetch.wait.max.ms", "100")
        // The queue is full whenever batches are read faster than they are taken; the client then rests
        // for this long before it asks again, by itself a whole second.
        .set("fetch.queue.backoff.ms", "5")
        .set("queued.max.messages.kbytes", "16384");
}

impl Session<'_> {
    fn read(&mut self) -> Ended {
        loop {
            if self.ends.out.is_closed() {
                return Ended::Closed;
            }
            if self.consumer.context().is_refused.load(Ordering::Relaxed) {
                return Ended::Refused;
            }
            self.tell_committed();
            if self.consumer.context().is_out_of_range.load(Ordering::Relaxed) {
                return match self.mend_ranges() {
                    Ok(()) => Ended::Astray,
                    Err(error) => Ended::Broke(format!("offsets could not be asked for: {error}")),
                };
            }
            let wait = if self.ends.batch.is_empty() { POLL } else { LINGER };
            let is_idle = match self.consumer.poll(wait) {
                Some(Ok(message)) => {
                    take(self.consumer.context(), &mut self.ends.batch, &message);
                    false
                }
                Some(Err(KafkaError::MessageConsumptionFatal(code))) => {
                    return Ended::Broke(format!("the client gave up: {code}"));
                }
                Some(Err(error)) => {
                    if matches!(error, KafkaError::PartitionEOF(_)) {
                        self.consumer.context().works();
                        self.pass_markers();
                    }
                    false
                }
                None => true,
            };
            if (is_idle || self.is_full()) && !self.hand_over() {
                return Ended::Closed;
            }
        }
    }

    /// At the end of a partition, moves past what transactions left there: their markers, and messages that
    /// were taken back. Nobody is shown these, and once the cluster has deleted them they would
    /// look like messages that are lost.
    fn pass_markers(&self) {
        let Ok(reached) = self.consumer.position() else { return };
        let mut ledger = self.consumer.context().ledger();
        for at in reached.elements() {
            let Offset::Offset(next) = at.offset() else { continue };
            let entry = ledger.entry(at.topic(), at.partition());
            if entry.is_ours && entry.next.is_some_and(|known| known < next) {
                entry.moves(next);
            }
        }
    }

    fn is_full(&self) -> bool {
        let records = self.ends.batch.records.len() + self.ends.batch.rejects.len();
        let rejected: usize = if self.ends.batch.rejects.is_empty() {
            0
        } else {
            self.ends.batch.rejects.iter().map(|reject| reject.bytes.len()).sum()
        };
        records >= self.consumer.context().settings.batch_records
            || self.ends.batch.bytes.len() + rejected >= BATCH_BYTES
    }

    /// Hands the batch over with its positions; one that is not full only when somebody is ready
    /// for it. False when nobody takes batches any more.
    fn hand_over(&mut self) -> bool {
        let out = self.ends.out.clone();
        if !self.consumer.context().ledger().has_moved() {
            return true;
        }
        let permit = if self.is_full() {
            match self.reserve(&out) {
                Some(permit) => permit,
                None => return false,
            }
        } else {
            match out.try_reserve() {
                Ok(permit) => permit,
                Err(mpsc::error::TrySendError::Full(())) => return true,
                Err(mpsc::error::TrySendError::Closed(())) => return false,
            }
        };
        let (advances, marks) = self.consumer.context().ledger().hand_over();
        let mut batch = std::mem::take(&mut self.ends.batch);
        batch.advances = advances;
        permit.send(Yielded { batch, marks });
        true
    }

    /// Waits until a batch can be handed over. Meanwhile the client is kept in its group.
    fn reserve<'o>(&mut self, out: &'o mpsc::Sender<Yielded>) -> Option<mpsc::Permit<'o, Yielded>> {
        let (runtime, since) = (Handle::current(), Instant::now());
        let pause_after = self.consumer.context().settings.pause_after;
        let mut is_paused = false;
        loop {
            if let Ok(permit) =
                runtime.block_on(async { timeout(PAUSED_POLL.min(pause_after), out.reserve()).await })
            {
                if is_paused {
                    self.pause(false);
                    self.consumer.context().health.warns(PACE, None);
                }
                return permit.ok();
            }
            self.tell_committed();
            if since.elapsed() >= pause_after {
                // Partitions that came meanwhile are paused as well.
                if !is_paused {
                    self.consumer.context().health.warns(PACE, Some(SLOW.to_owned()));
                }
                is_paused = true;
                self.pause(true);
                if let Some(Ok(message)) = self.consumer.poll(Duration::ZERO) {
                    take(self.consumer.context(), &mut self.ends.batch, &message);
                }
            }
        }
    }

    fn pause(&self, is_paused: bool) {
        let done = self.consumer.assignment().and_then(|ours| {
            if is_paused { self.consumer.pause(&ours) } else { self.consumer.resume(&ours) }
        });
        if let Err(error) = done {
            tracing::warn!(%error, is_paused, "the client could not be paused or resumed");
        }
    }

    /// Tells the cluster what is committed, for its own tools to see.
    fn tell_committed(&mut self) {
        while let Ok(done) = self.ends.done.try_recv() {
            for (topic, partition, next) in done.marks {
                self.committed.insert((topic, partition), next);
            }
        }
        if self.committed.is_empty() || self.told_at.elapsed() < COMMIT_EVERY {
            return;
        }
        self.told_at = Instant::now();
        let mut list = TopicPartitionList::new();
        {
            let ledger = self.consumer.context().ledger();
            for entry in ledger.ours() {
                let next = self.committed.get(&(Arc::clone(&entry.topic), entry.partition));
                let Some(next) = next else { continue };
                if let Err(error) =
                    list.add_partition_offset(&entry.topic, entry.partition, Offset::Offset(*next))
                {
                    tracing::debug!(%error, "an offset cannot be told");
                }
            }
        }
        self.committed.clear();
        if list.count() > 0
            && let Err(error) = self.consumer.commit(&list, CommitMode::Async)
        {
            tracing::debug!(%error, "the cluster was not told of what is committed");
        }
    }

    /// Finds the partitions whose next offset the cluster does not have, tells what is lost, and
    /// goes on with the oldest message there is. Why that was not possible, when it was not.
    fn mend_ranges(&self) -> Result<(), KafkaError> {
        let context = self.consumer.context();
        let all: Vec<_> = context
            .ledger()
            .ours()
            .map(|entry| (Arc::clone(&entry.topic), entry.partition, entry.next))
            .collect();
        for (topic, partition, next) in all {
            let Some(next) = next else { continue };
            let (low, high) = self.consumer.fetch_watermarks(&topic, partition, ASK_TIMEOUT)?;
            if !(low..=high).contains(&next) {
                context.health.misses(gap(&topic, partition, next, (low, high)));
                context.ledger().entry(&topic, partition).moves(low);
            }
        }
        Ok(())
    }
}

/// Opens one message into the batch. An empty value carries no event: compacted topics mark
/// deletions so.
fn take(context: &Context, batch: &mut Batch, message: &BorrowedMessage<'_>) {
    let mut ledger = context.ledger();
    let entry = ledger.entry(message.topic(), message.partition());
    // What was under way before partitions were assigned again was read already.
    if entry.next.is_some_and(|next| message.offset() < next) {
        return;
    }
    entry.moves(message.offset() + 1);
    let line = u64::try_from(message.offset()).unwrap_or_default();
    let place = Place { name: Arc::clone(&entry.name), line, record: 0 };
    drop(ledger);
    match message.payload() {
        Some(value) if !value.is_empty() => carrier::open(value, &place, batch),
        Some(_) | None => batch.skipped += 1,
    }
}

fn gap(topic: &str, partition: i32, next: i64, (low, high): (i64, i64)) -> String {
    if next < low {
        let lost = low - next;
        format!(
            "up to {lost} messages of {topic}/{partition}, offsets {next} to {}, were deleted by the cluster before they were \
             read; raise retention.ms or retention.bytes of the topic, and keep Keywatch running",
            low - 1
        )
    } else {
        format!(
            "{topic}/{partition} ends at offset {high}, before {next} where reading would go on: the topic was made anew, or the \
             cluster lost messages; it is read from its oldest message on"
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_gap_says_which_offsets_are_lost_and_what_to_do() {
        let told = gap("t", 3, 10, (15, 20));
        assert!(
            told.contains("up to 5 messages of t/3, offsets 10 to 14") && told.contains("retention"),
            "{told}"
        );
        assert!(gap("t", 3, 30, (0, 20)).contains("made anew"));
    }
}
