//! Transactions, which the mock cluster does not have: a door marks messages as parts of them on their
//! way, and says which of them were taken back, as a broker does
//! (<https://kafka.apache.org/documentation/#recordbatch> and Fetch 4 of the protocol).
#![expect(
    clippy::indexing_slicing,
    clippy::cast_possible_truncation,
    clippy::cast_possible_wrap,
    reason = "bytes of a mock of ours, and numbers that are small"
)]

use crate::door::{Change, Door, Login};
use crate::logins::access;
use crate::stage::{Cluster, Store, broker, record, settings, source_of, within};
use Kind::{Abort, Alone, Commit, Part};
use keywatch_brokers::{Access, Mechanism};
use keywatch_secrets::SecretManager;
use rdkafka::ClientConfig;
use rdkafka::producer::{BaseProducer, BaseRecord, Producer};
use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;
use tokio::task::JoinSet;

const PARTITIONS: usize = 8;
/// Offsets of a partition.
const LENGTH: usize = 30;
const LOGIN: Login = Login { mechanism: Mechanism::Plain, password: "s3cret", is_encrypted: false };

/// What stands at an offset; numbers are those of producers.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Kind {
    /// A message without a transaction.
    Alone,
    Part(i64),
    Commit(i64),
    Abort(i64),
}

impl Kind {
    const fn producer(self) -> Option<i64> {
        match self {
            Alone => None,
            Part(producer) | Commit(producer) | Abort(producer) => Some(producer),
        }
    }

    const fn is_marker(self) -> bool {
        matches!(self, Commit(_) | Abort(_))
    }
}

/// A transaction that was taken back.
struct Aborted {
    producer: i64,
    first: usize,
    marker: usize,
}

/// One partition.
#[derive(Clone, Debug)]
struct Log(Vec<Kind>);

impl Log {
    /// What two producers wrote, with nothing left open at its end.
    fn new(seed: u64) -> Self {
        let mut state = seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1;
        let mut below = |most: u64| {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state % most
        };
        let mut kinds: Vec<Kind> = Vec::new();
        while kinds.len() < LENGTH - 2 {
            let producer = 7 + i64::from(below(2) == 0);
            let latest = kinds.iter().rev().find(|kind| kind.producer() == Some(producer));
            let is_open = latest.is_some_and(|kind| !kind.is_marker());
            kinds.push(match below(6) {
                0 => Alone,
                1 if is_open => Commit(producer),
                2 if is_open => Abort(producer),
                _ => Part(producer),
            });
        }
        // The last thing that happens is that one is taken back.
        kinds.extend([Commit(7), Abort(8)]);
        Self(kinds)
    }

    /// The marker that ends the transaction which `at` is a part of.
    fn marker(&self, at: usize) -> usize {
        let ends = |kind: &Kind| kind.is_marker() && kind.producer() == self.0[at].producer();
        at + self.0[at..].iter().position(ends).expect("every transaction ends")
    }

    fn is_committed(&self, at: usize) -> bool {
        match self.0[at] {
            Alone => true,
            Part(producer) => self.0[self.marker(at)] == Commit(producer),
            Commit(_) | Abort(_) => false,
        }
    }

    fn aborted(&self) -> Vec<Aborted> {
        let mut found: Vec<Aborted> = Vec::new();
        for (first, kind) in self.0.iter().enumerate() {
            let Part(producer) = *kind else { continue };
            let marker = self.marker(first);
            if !self.is_committed(first) && found.iter().all(|known| known.marker != marker) {
                found.push(Aborted { producer, first, marker });
            }
        }
        found
    }

    fn fill(&self, producer: &BaseProducer, partition: usize) {
        for (at, kind) in self.0.iter().enumerate() {
            let value = record(partition * 1000 + at);
            let message = BaseRecord::<[u8], str>::to("audit").partition(partition as i32);
            // The key of a marker is a version, and what became of the transaction.
            let message = match kind {
                Alone | Part(_) => message.payload(&value),
                Commit(_) => message.key(&[0, 0, 0, 1]),
                Abort(_) => message.key(&[0, 0, 0, 0]),
            };
            producer.send(message).map_err(|(error, _)| error).expect("queued");
        }
    }

    /// Marks a batch of one message. Its checksum is not made anew: the client does not look at it.
    fn mark(&self, batch: &mut [u8]) {
        let kind = self.0[number(batch, 0)];
        let Some(producer) = kind.producer() else { return };
        let attributes: u8 = if kind.is_marker() { 0x30 } else { 0x10 };
        batch[22] |= attributes;
        batch[43..51].copy_from_slice(&producer.to_be_bytes());
        batch[51..53].copy_from_slice(&[0, 0]);
    }
}

fn number(bytes: &[u8], at: usize) -> usize {
    u64::from_be_bytes(bytes[at..at + 8].try_into().expect("eight bytes")) as usize
}

/// Reads an answer from its front, and writes it anew.
struct Copying<'a> {
    rest: &'a [u8],
    written: Vec<u8>,
}

impl<'a> Copying<'a> {
    fn take(&mut self, count: usize) -> &'a [u8] {
        let (taken, rest) = self.rest.split_at(count);
        self.rest = rest;
        taken
    }

    fn copy(&mut self, count: usize) -> &'a [u8] {
        let taken = self.take(count);
        self.written.extend(taken);
        taken
    }

    /// A number of four bytes; none is -1.
    fn count(bytes: &[u8]) -> usize {
        usize::try_from(i32::from_be_bytes(bytes.try_into().expect("four bytes"))).unwrap_or(0)
    }

    fn partition(&mut self, logs: &[Log]) {
        let log = &logs[Self::count(self.copy(4))];
        // An error, and the end.
        let end = &self.copy(10)[2..];
        let _stable = self.take(8);
        self.written.extend(end);
        let none = Self::count(self.take(4));
        assert_eq!(none, 0, "the mock knows of no transactions");
        let size = Self::count(self.take(4));
        let mut messages = self.take(size).to_vec();
        let first = if messages.is_empty() { usize::MAX } else { number(&messages, 0) };
        let mut at = 0;
        while at < messages.len() {
            let length = 12 + Self::count(&messages[at + 8..at + 12]);
            log.mark(&mut messages[at..at + length]);
            at += length;
        }
        // A broker tells of what touches the messages it sends.
        let aborted: Vec<Aborted> = log.aborted().into_iter().filter(|one| one.marker >= first).collect();
        self.written.extend((aborted.len() as i32).to_be_bytes());
        for one in aborted {
            self.written.extend([one.producer.to_be_bytes(), (one.first as i64).to_be_bytes()].concat());
        }
        self.written.extend((size as i32).to_be_bytes());
        self.written.extend(messages);
    }
}

fn marking(logs: Vec<Log>) -> Change {
    Arc::new(move |answer| {
        let mut copying = Copying { rest: answer.as_slice(), written: Vec::new() };
        // Which request it answers, and for how long to wait.
        copying.copy(8);
        for _ in 0..Copying::count(copying.copy(4)) {
            let name = copying.copy(2);
            copying.copy(usize::from(u16::from_be_bytes([name[0], name[1]])));
            for _ in 0..Copying::count(copying.copy(4)) {
                copying.partition(&logs);
            }
        }
        let written = copying.written;
        *answer = written;
    })
}

/// A source that goes on at these offsets reads what was committed behind them, to the very end.
async fn reads_from(
    starts: Vec<usize>,
    logs: Arc<Vec<Log>>,
    access: Arc<(Access, SecretManager)>,
    group: String,
) {
    let name = |partition: usize| format!("kafka:k:audit:{partition}");
    let mut store = Store::default();
    let positions = starts.iter().enumerate().map(|(partition, start)| (name(partition), start.to_string()));
    store.positions.extend(positions);
    let mut wanted = BTreeSet::new();
    for (partition, (log, start)) in logs.iter().zip(&starts).enumerate() {
        let committed = (*start..LENGTH).filter(|at| log.is_committed(*at));
        wanted.extend(committed.map(|at| (partition * 1000 + at) as i64));
    }
    let mut reading = source_of(&access, keywatch_kafka::Settings { group, ..settings() }, &store);
    let end = LENGTH.to_string();
    let is_over = |store: &Store| store.positions.values().all(|position| *position == end);
    store.take_until(&mut reading.group, is_over).await;
    assert_eq!(store.seen, wanted, "from {starts:?}: {logs:?}");
    assert_eq!((store.rejects, store.skipped, store.duplicates), (vec![], 0, 0), "from {starts:?}");
    assert_eq!(reading.health.read().gaps_total, 0, "from {starts:?}");
    reading.end().await;
}

/// Reading begins at every offset, as after restarts anywhere.
#[tokio::test(flavor = "multi_thread")]
async fn of_transactions_only_what_was_committed_is_read_and_nothing_is_missing() {
    let logs: Vec<Log> = (0..PARTITIONS).map(|seed| Log::new(seed as u64 + 1)).collect();
    let cluster = Cluster::new(PARTITIONS as i32);
    let producer: BaseProducer = ClientConfig::new()
        .set("bootstrap.servers", cluster.mock.bootstrap_servers())
        .set("batch.num.messages", "1")
        .create()
        .expect("a producer");
    logs.iter().enumerate().for_each(|(partition, log)| log.fill(&producer, partition));
    producer.flush(Duration::from_mins(1)).expect("sent");
    let door = Door::that_changes(broker(&cluster), LOGIN, marking(logs.clone())).await;
    let folder = tempfile::tempdir().expect("a folder");
    std::fs::write(folder.path().join("password"), LOGIN.password).expect("a password");
    let (logs, access) = (Arc::new(logs), Arc::new(access(&door, LOGIN, folder.path())));
    let mut reading = JoinSet::new();
    for group in 0..LENGTH / 3 {
        let starts = (0..PARTITIONS).map(|partition| (group * 3 + partition) % LENGTH).collect();
        reading.spawn(reads_from(starts, Arc::clone(&logs), Arc::clone(&access), format!("k-{group}")));
    }
    within(reading.join_all()).await;
}
