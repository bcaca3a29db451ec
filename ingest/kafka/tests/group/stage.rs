//! A cluster, a source that reads from it, and a store that keeps positions as the real one does.

use keywatch_brokers::Access;
use keywatch_ingest::Batch;
use keywatch_ingest::source::{Clock, Health, Live};
use keywatch_kafka::{Group, Settings};
use keywatch_secrets::SecretManager;
use rdkafka::ClientConfig;
use rdkafka::consumer::BaseConsumer;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use std::collections::{BTreeSet, HashMap};
use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

/// Longest wait: joining a group of the mock takes three seconds, and this machine may be busy.
const LIMIT: Duration = Duration::from_mins(1);

/// A cluster with one topic, `audit`.
pub(super) struct Cluster {
    pub(super) mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Cluster {
    pub(super) fn new(partitions: i32) -> Self {
        let mock = MockCluster::new(1).expect("a cluster");
        mock.create_topic("audit", partitions, 1).expect("a topic");
        let producer = ClientConfig::new()
            .set("bootstrap.servers", mock.bootstrap_servers())
            .set("linger.ms", "0")
            .create()
            .expect("a producer");
        Self { mock, producer }
    }

    pub(super) fn send(&self, partition: impl TryInto<i32>, value: &str) {
        let partition = partition.try_into().unwrap_or_default();
        self.put(BaseRecord::<(), str>::to("audit").partition(partition).payload(value));
    }

    /// A message without a value, as compacted topics have.
    pub(super) fn send_nothing(&self, partition: i32) {
        self.put(BaseRecord::<str, str>::to("audit").partition(partition).key("gone"));
    }

    fn put<K: ?Sized + rdkafka::message::ToBytes>(&self, record: BaseRecord<'_, K, str>) {
        self.producer.send(record).map_err(|(error, _)| error).expect("queued");
        self.producer.flush(LIMIT).expect("sent");
    }

    /// Many messages, compressed as producers do.
    pub(super) fn fill(&self, messages: impl Iterator<Item = (i32, String)>) {
        let producer: BaseProducer = ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("compression.type", "lz4")
            .set("linger.ms", "50")
            .set("queue.buffering.max.messages", "10000000")
            .create()
            .expect("a producer");
        for (partition, value) in messages {
            let record = BaseRecord::<(), str>::to("audit").partition(partition).payload(&value);
            producer.send(record).map_err(|(error, _)| error).expect("queued");
        }
        producer.flush(LIMIT).expect("sent");
    }

    /// A client that reads from the beginning and does nothing else, with what the source asks of the
    /// cluster.
    pub(super) fn reader(&self) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", "bare")
            .set("auto.offset.reset", "earliest")
            .set("enable.auto.commit", "false")
            .set("isolation.level", "read_committed")
            .create()
            .expect("a reader")
    }

    /// Another member of a group.
    pub(super) fn member(&self, group: &str) -> BaseConsumer {
        ClientConfig::new()
            .set("bootstrap.servers", self.mock.bootstrap_servers())
            .set("group.id", group)
            .set("session.timeout.ms", "6000")
            .set("heartbeat.interval.ms", "200")
            .create()
            .expect("a member")
    }
}

pub(super) fn record(number: impl std::fmt::Display) -> String {
    format!("{{\"n\":{number}}}")
}

pub(super) fn records(numbers: std::ops::RangeInclusive<i64>) -> BTreeSet<i64> {
    numbers.collect()
}

pub(super) fn settings() -> Settings {
    Settings {
        session_timeout: Duration::from_secs(6),
        look_every: Duration::from_millis(200),
        retry_first: Duration::from_millis(50),
        ..Settings::new(vec!["audit".to_owned()], "keywatch-k")
    }
}

/// A source and what it says of itself.
pub(super) struct Reading {
    pub(super) group: Group,
    pub(super) health: Health,
}

impl Reading {
    pub(super) async fn next(&mut self) {
        let _lost = self.group.next().await;
    }

    /// Ends the source, and waits until it has left.
    pub(super) async fn end(self) {
        within(self.group.end()).await;
    }
}

pub(super) fn access(cluster: &Cluster) -> Access {
    Access { brokers: vec![cluster.mock.bootstrap_servers()], tls: None, sasl: None }
}

/// Where the cluster's broker listens.
pub(super) fn broker(cluster: &Cluster) -> SocketAddr {
    cluster.mock.bootstrap_servers().parse().expect("an address")
}

pub(super) fn source(cluster: &Cluster, settings: Settings, store: &Store) -> Reading {
    let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None)));
    source_of(&(access(cluster), secrets), settings, store)
}

pub(super) fn source_of(
    (access, secrets): &(Access, SecretManager),
    settings: Settings,
    store: &Store,
) -> Reading {
    let health = Health::default();
    let clock: Clock = Arc::new(|| chrono::DateTime::UNIX_EPOCH);
    let told = (clock, health.clone());
    let group = Group::start("k", (access, secrets), settings, &store.positions, told);
    Reading { group, health }
}

pub(super) async fn within<T>(doing: impl Future<Output = T>) -> T {
    tokio::time::timeout(LIMIT, doing).await.expect("done in time")
}

/// Keeps what is committed, positions by compare-and-set.
#[derive(Debug, Default)]
pub(super) struct Store {
    pub(super) positions: HashMap<String, String>,
    /// Numbers of the records.
    pub(super) seen: BTreeSet<i64>,
    pub(super) duplicates: usize,
    pub(super) rejects: Vec<(String, String)>,
    pub(super) skipped: u64,
}

impl Store {
    pub(super) fn commit(&mut self, batch: &Batch) {
        for advance in &batch.advances {
            let found = self.positions.insert(advance.source.clone(), advance.to.clone());
            assert_eq!(
                found, advance.from,
                "the position of {} is what was handed over before",
                advance.source
            );
        }
        for record in &batch.records {
            let text = std::str::from_utf8(batch.raw(record)).expect("text");
            let number =
                text.strip_prefix("{\"n\":").map(|rest| rest.split([',', '}']).next().unwrap_or_default());
            if let Some(number) = number.and_then(|number| number.parse().ok()) {
                self.duplicates += usize::from(!self.seen.insert(number));
            }
        }
        for reject in &batch.rejects {
            self.rejects.push((reject.place.to_string(), reject.reason.to_string()));
        }
        self.skipped += batch.skipped;
    }

    pub(super) async fn take_one(&mut self, group: &mut Group) {
        let (batch, receipt) = within(group.next()).await;
        self.commit(&batch);
        group.acknowledge(receipt).await;
    }

    pub(super) async fn take_until(&mut self, group: &mut Group, done: impl Fn(&Self) -> bool) {
        while !done(self) {
            self.take_one(group).await;
        }
    }

    /// Takes what comes as long as something holds.
    pub(super) async fn take_while(&mut self, group: &mut Group, mut holds: impl FnMut() -> bool) {
        let deadline = tokio::time::Instant::now() + LIMIT;
        while holds() {
            assert!(tokio::time::Instant::now() < deadline, "waited in vain");
            if let Ok((batch, receipt)) = tokio::time::timeout(Duration::from_millis(20), group.next()).await
            {
                self.commit(&batch);
                group.acknowledge(receipt).await;
            }
        }
    }
}
