//! What the client calls while it is polled: partitions that come and go, errors, figures.
//!
//! Everything here runs on the thread that polls. Invariant: the ledger is never locked while the
//! client is polled, and no list of the client's outlives a call.

use crate::ledger::{Begin, Ledger};
use crate::settings::Settings;
use keywatch_brokers::{Trouble, explain, trouble_of};
use keywatch_ingest::source::{Clock, Health, Reached};
use rdkafka::ClientContext;
use rdkafka::config::RDKafkaLogLevel;
use rdkafka::consumer::{BaseConsumer, Consumer, ConsumerContext};
use rdkafka::error::{KafkaError, KafkaResult, RDKafkaErrorCode};
use rdkafka::statistics::Statistics;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::RDKafkaRespErr;
use std::sync::atomic::{AtomicBool, AtomicI64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// The parts of a source in its health.
pub(crate) const CLUSTER: &str = "cluster";
const TOPICS: &str = "topics";
/// How long a question to the cluster may take while partitions are handed out.
pub(crate) const ASK_TIMEOUT: Duration = Duration::from_secs(5);
/// Messages behind from which reading counts as catching up: a second of a busy topic.
const BEHIND: i64 = 20_000;
/// How long without its error a topic counts as mended.
const QUIET: Duration = Duration::from_secs(30);

/// Shared by the client and the loop that polls it.
pub(crate) struct Context {
    pub(crate) settings: Settings,
    pub(crate) health: Health,
    pub(crate) clock: Clock,
    pub(crate) ledger: Arc<Mutex<Ledger>>,
    /// The cluster did not accept the login.
    pub(crate) is_refused: AtomicBool,
    /// The client is at its end: what it still says is of no consequence, and partitions are the business
    /// of the next one.
    is_retired: AtomicBool,
    /// Some partition's offset lies outside what the cluster has.
    pub(crate) is_out_of_range: AtomicBool,
    /// How far behind reading was at most since it last was not.
    behind_most: AtomicI64,
    said: Mutex<Said>,
}

/// What the client said last.
#[derive(Default)]
struct Said {
    /// About one broker, before all of them were down.
    broker: String,
    /// When a topic was last complained of.
    topic_at: Option<Instant>,
}

impl Context {
    pub(crate) fn new(settings: Settings, told: (Clock, Health), ledger: Arc<Mutex<Ledger>>) -> Self {
        let (clock, health) = told;
        Self {
            settings,
            health,
            clock,
            ledger,
            is_refused: AtomicBool::new(false),
            is_retired: AtomicBool::new(false),
            is_out_of_range: AtomicBool::new(false),
            behind_most: AtomicI64::new(0),
            said: Mutex::default(),
        }
    }

    /// Every change is complete when it panics, so a poisoned lock is fine.
    pub(crate) fn ledger(&self) -> MutexGuard<'_, Ledger> {
        self.ledger.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The client has no partitions from now on.
    pub(crate) fn retires(&self) {
        self.is_retired.store(true, Ordering::Relaxed);
        self.ledger().assign(&[]);
    }

    fn is_retired(&self) -> bool {
        self.is_retired.load(Ordering::Relaxed)
    }

    /// Something came from the cluster.
    pub(crate) fn works(&self) {
        self.health.works(CLUSTER);
    }

    pub(crate) fn fails(&self, trouble: Trouble, said: &str) {
        let brokers = "reading from Kafka failed";
        let part = if matches!(trouble, Trouble::Denied | Trouble::Missing) { TOPICS } else { CLUSTER };
        self.health.fails(part, explain(brokers, trouble, said), (self.clock)());
    }

    /// Where reading goes on, or begins. The place of an end is kept from now on: what comes after
    /// it is read, whatever happens.
    fn begins(&self, consumer: &BaseConsumer<Self>, ours: &[(String, i32)]) -> Vec<Offset> {
        let all: Vec<Begin> =
            ours.iter().map(|(topic, partition)| self.ledger().begin(topic, *partition)).collect();
        let mut answers = true;
        let place = |((topic, partition), begin): (&(String, i32), Begin)| match begin {
            Begin::At(next) => Offset::Offset(next),
            Begin::Beginning => Offset::Beginning,
            Begin::End if !answers => Offset::End,
            Begin::End => match consumer.fetch_watermarks(topic, *partition, ASK_TIMEOUT) {
                Ok((_, end)) => {
                    self.ledger().entry(topic, *partition).moves(end);
                    Offset::Offset(end)
                }
                Err(error) => {
                    tracing::warn!(topic, partition, %error, "the end is not known; what comes next is read");
                    answers = false;
                    Offset::End
                }
            },
        };
        ours.iter().zip(all).map(place).collect()
    }

    fn takes(&self, consumer: &BaseConsumer<Self>, given: &TopicPartitionList) -> KafkaResult<()> {
        let ours: Vec<(String, i32)> =
            given.elements().iter().map(|one| (one.topic().to_owned(), one.partition())).collect();
        let mut list = TopicPartitionList::with_capacity(ours.len());
        for ((topic, partition), offset) in ours.iter().zip(self.begins(consumer, &ours)) {
            list.add_partition_offset(topic, *partition, offset)?;
        }
        self.ledger().assign(&ours);
        consumer.assign(&list)?;
        tracing::info!(group = self.settings.group, partitions = ours.len(), "partitions are ours");
        if self.covers(&ours) {
            self.health.works(TOPICS);
        }
        Ok(())
    }

    /// Whether every topic that was named has a partition among these.
    fn covers(&self, ours: &[(String, i32)]) -> bool {
        let named = self.settings.topics.iter().filter(|topic| !topic.starts_with('^'));
        let mut missing = named.filter(|topic| ours.iter().all(|(known, _)| known != *topic));
        !ours.is_empty() && missing.next().is_none()
    }

    fn look(&self, figures: &Statistics) {
        if figures.brokers.values().any(|broker| matches!(broker.state.as_str(), "UP" | "UPDATE")) {
            self.works();
        }
        let quiet = self.said().topic_at.is_none_or(|at| at.elapsed() > QUIET);
        let partitions = figures.topics.values().flat_map(|topic| topic.partitions.values());
        let real: Vec<_> = partitions.filter(|partition| partition.partition >= 0).collect();
        let ours = self.ledger().ours().count();
        if quiet && ours > 0 {
            self.health.works(TOPICS);
        }
        let others = real.len().saturating_sub(ours);
        let shared = (ours > 0 && others > 0).then(|| {
            format!(
                "{others} of {} partitions are read by other members of the group {}; they must keep their events in the same \
                 database, else give this Keywatch a `group` of its own",
                real.len(),
                self.settings.group
            )
        });
        self.health.warns("group", shared);
        self.tell_behind(real.iter().map(|one| one.consumer_lag.max(0)).sum());
    }

    fn tell_behind(&self, behind: i64) {
        if behind < BEHIND {
            self.behind_most.store(0, Ordering::Relaxed);
            return self.health.progresses(TOPICS, None);
        }
        let most = self.behind_most.fetch_max(behind, Ordering::Relaxed).max(behind);
        let permille = u16::try_from((most - behind).saturating_mul(1000) / most).unwrap_or(1000);
        self.health.progresses(TOPICS, Some(Reached { permille, text: format!("{behind} messages behind") }));
    }

    fn said(&self) -> MutexGuard<'_, Said> {
        self.said.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl ClientContext for Context {
    /// The client repeats what it hands over as an error; its log is for those who look for more.
    fn log(&self, _level: RDKafkaLogLevel, facility: &str, text: &str) {
        tracing::debug!(facility, "{text}");
    }

    fn stats(&self, statistics: Statistics) {
        if !self.is_retired() {
            self.look(&statistics);
        }
    }

    fn error(&self, error: KafkaError, reason: &str) {
        if self.is_retired() {
            return;
        }
        let code = error.rdkafka_error_code().unwrap_or(RDKafkaErrorCode::Fail);
        match trouble_of(code) {
            _ if code == RDKafkaErrorCode::PartitionEOF => {}
            _ if code == RDKafkaErrorCode::AutoOffsetReset => {
                self.is_out_of_range.store(true, Ordering::Relaxed);
            }
            Trouble::Credentials => {
                self.is_refused.store(true, Ordering::Relaxed);
                self.fails(Trouble::Credentials, reason);
            }
            trouble @ (Trouble::Denied | Trouble::Missing) => {
                self.said().topic_at = Some(Instant::now());
                self.fails(trouble, reason);
            }
            // Who is refused everywhere has no broker left either: what mends it is the password.
            Trouble::Unavailable if self.is_refused.load(Ordering::Relaxed) => {
                tracing::debug!(%error, "{reason}");
            }
            Trouble::Unavailable if code == RDKafkaErrorCode::AllBrokersDown => {
                let before = self.said().broker.clone();
                self.fails(Trouble::Unavailable, &format!("{reason} {before}"));
            }
            // One broker of several comes and goes; that all of them are down is told above.
            Trouble::Large | Trouble::Unavailable => {
                tracing::debug!(%error, "{reason}");
                self.said().broker = format!("({reason})");
            }
        }
    }
}

impl ConsumerContext for Context {
    fn rebalance(
        &self,
        consumer: &BaseConsumer<Self>,
        what: RDKafkaRespErr,
        partitions: &mut TopicPartitionList,
    ) {
        let done = if self.is_retired() {
            consumer.unassign()
        } else if what == RDKafkaRespErr::RD_KAFKA_RESP_ERR__ASSIGN_PARTITIONS {
            self.takes(consumer, partitions)
        } else {
            self.ledger().assign(&[]);
            consumer.unassign()
        };
        if let Err(error) = done {
            let said = format!("partitions could not be taken or given back: {error}");
            self.fails(Trouble::Unavailable, &said);
        }
    }

    /// What the cluster keeps is for its own tools; reading begins from the database.
    fn commit_callback(&self, result: KafkaResult<()>, _: &TopicPartitionList) {
        if let Err(error) = result {
            tracing::debug!(%error, "the cluster did not take the offsets");
        }
    }
}
