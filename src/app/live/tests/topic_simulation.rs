//! Histories of a Kafka topic, and of an event hub that key vaults write to, which a seed decides: records
//! come late by two days, twice and in every carrier, to a group whose client is ended and begun anew, from a cluster that fails, goes away and comes
//! back.

use super::chance::Chance;
use super::simulation::{compare, seeds};
use super::stage::{Running, START, Stage, clean, records};
use super::vaults;
use keywatch_brokers::Access;
use keywatch_kafka::{Group, Settings};
use keywatch_secrets::SecretManager;
use rdkafka::ClientConfig;
use rdkafka::mocking::MockCluster;
use rdkafka::producer::{BaseProducer, BaseRecord, DefaultProducerContext, Producer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::collections::HashSet;
use std::sync::Arc;
use std::time::Duration;

/// Accesses of one history.
const RECORDS: usize = 24;
const PARTITIONS: i32 = 3;
/// Histories at one time: joining a group is three seconds of waiting. Each holds about 40 files and
/// sockets open, of the 1,024 a process may have where nobody has raised that.
const AT_ONCE: usize = 16;
/// How long something that must happen may take.
const LIMIT: Duration = Duration::from_mins(3);

/// A cluster with one topic.
struct Cluster {
    mock: MockCluster<'static, DefaultProducerContext>,
    producer: BaseProducer,
}

impl Cluster {
    fn new() -> Self {
        let mock = MockCluster::new(1).unwrap();
        mock.create_topic("audit", PARTITIONS, 1).unwrap();
        let mut config = ClientConfig::new();
        config.set("bootstrap.servers", mock.bootstrap_servers()).set("linger.ms", "0");
        Self { mock, producer: config.create().unwrap() }
    }

    fn send(&self, chance: &mut Chance, value: &str) {
        let partition = chance.below(PARTITIONS as u64) as i32;
        let record = BaseRecord::<(), str>::to("audit").partition(partition).payload(value);
        self.producer.send(record).map_err(|(error, _)| error).unwrap();
        self.producer.flush(LIMIT).unwrap();
    }

    /// The next requests of some kind fail.
    fn fail(&self, chance: &mut Chance) {
        use RDKafkaRespErr::{
            RD_KAFKA_RESP_ERR__TRANSPORT as LOST,
            RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
            RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
            RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS as REBALANCE,
            RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as LATE, RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as FENCED,
        };
        match chance.below(5) {
            0 => self.mock.request_errors(RDKafkaApiKey::FindCoordinator, &[NO_COORDINATOR, LOST]),
            1 => self.mock.request_errors(RDKafkaApiKey::OffsetCommit, &[FENCED, LATE, LOST]),
            2 => self.mock.request_errors(RDKafkaApiKey::ListOffsets, &[NOT_LEADER, LATE]),
            3 => self.mock.request_errors(RDKafkaApiKey::Heartbeat, &[REBALANCE, FENCED]),
            _ => self.mock.request_errors(RDKafkaApiKey::Fetch, &[NOT_LEADER, LOST, LATE]),
        }
    }

    /// A source that goes on where the store is.
    async fn read(&self, stage: &Stage) -> Running {
        let access = Access { brokers: vec![self.mock.bootstrap_servers()], tls: None, sasl: None };
        let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None)));
        let settings = Settings {
            session_timeout: Duration::from_secs(6),
            look_every: Duration::from_millis(200),
            retry_first: Duration::from_millis(50),
            ..Settings::new(vec!["audit".to_owned()], "keywatch-k")
        };
        let told = (stage.hand.clock(), stage.health.clone());
        let positions = stage.positions().await;
        Stage::run(Group::start("k", (&access, &secrets), settings, &positions, told))
    }
}

/// Who writes to the topic.
#[derive(Clone, Copy)]
enum Writer {
    /// Whoever forwards `CloudTrail`.
    Forwarder,
    /// Diagnostic settings of key vaults, through Event Hubs' Kafka endpoint.
    Vaults,
}

impl Writer {
    fn records(self, chance: &mut Chance) -> Vec<(i64, String)> {
        match self {
            Self::Forwarder => records(chance, RECORDS, 48),
            Self::Vaults => vaults::records(chance, RECORDS, 48),
        }
    }

    /// Records in one of the carriers people put into a topic.
    fn carried(self, chance: &mut Chance, records: &[String]) -> String {
        let all = records.join(",");
        match (self, chance.below(3), records) {
            (Self::Vaults, 0, [first, rest @ ..]) if !rest.is_empty() => {
                // Bodies that something in between has joined.
                format!("[{{\"records\":[{first}]}},{{\"records\":[{}]}}]", rest.join(","))
            }
            (Self::Vaults, ..) => format!("{{\"records\":[{all}]}}"),
            (Self::Forwarder, _, [one]) => one.clone(),
            (Self::Forwarder, 0, _) => format!("{{\"Records\":[{all}]}}"),
            (Self::Forwarder, 1, _) => format!("[{all}]"),
            (Self::Forwarder, ..) => records.join("\n"),
        }
    }
}

/// Each record with the time it comes: within a quarter of an hour or two days, one in five twice.
fn arrivals(chance: &mut Chance, all: &[(i64, String)]) -> Vec<(i64, String)> {
    let mut arrivals = Vec::new();
    for (secs, record) in all {
        for _ in 0..=u64::from(chance.happens(20)) {
            let late = if chance.happens(30) { chance.below(47 * 3600) } else { chance.below(900) };
            arrivals.push((secs + late as i64, record.clone()));
        }
    }
    arrivals.sort();
    arrivals
}

/// Reads until so many events are stored, or patience is at its end.
async fn read_all(stage: &mut Stage, running: &mut Running, events: u64, patience: Duration) {
    let deadline = tokio::time::Instant::now() + patience;
    let mut looked_at = None;
    while tokio::time::Instant::now() < deadline {
        if looked_at.replace(stage.batches) != Some(stage.batches) && stage.count().await >= events {
            return;
        }
        stage.until_some(running).await;
    }
}

async fn through_a_topic(writer: Writer, seed: u64) {
    let mut chance = Chance::new(seed ^ 0xCAFE);
    let all = writer.records(&mut chance);
    let arrivals = arrivals(&mut chance, &all);
    let end = arrivals.last().unwrap().0;
    let cluster = Cluster::new();
    let mut stage = Stage::new(START).await;
    let mut running = cluster.read(&stage).await;
    let mut sent = HashSet::new();
    let mut rest = arrivals.as_slice();
    while !rest.is_empty() {
        let (part, more) = rest.split_at((1 + chance.below(6) as usize).min(rest.len()));
        rest = more;
        stage.hand.set(part.last().unwrap().0);
        let part: Vec<String> = part.iter().map(|(_, record)| record.clone()).collect();
        let value = writer.carried(&mut chance, &part);
        cluster.send(&mut chance, &value);
        match chance.below(20) {
            0 => {
                cluster.mock.broker_down(1).unwrap();
                stage.until_some(&mut running).await;
                cluster.mock.broker_up(1).unwrap();
            }
            1 => running = cluster.read(&stage).await,
            2..6 => cluster.fail(&mut chance),
            _ => {}
        }
        sent.extend(part);
        // Mostly it is read before more comes.
        let patience = Duration::from_millis(if chance.happens(70) { 8_000 } else { chance.below(200) });
        read_all(&mut stage, &mut running, sent.len() as u64, patience).await;
    }
    let ordered: Vec<String> = all.into_iter().map(|(_, record)| record).collect();
    let wanted = clean(&ordered, end).await;
    read_all(&mut stage, &mut running, wanted.0.len() as u64, LIMIT).await;
    assert_eq!(stage.count().await, wanted.0.len() as u64, "seed {seed}: {:?}", stage.health.read());
    compare(seed, &stage.outcome().await, &wanted);
    let health = stage.health.read();
    assert_eq!((stage.rejects().await, health.gaps_total), (0, 0), "seed {seed}: {health:?}");
}

#[test]
fn through_a_topic_everything_comes_once_whatever_happens() {
    run_all(Writer::Forwarder);
}

#[test]
fn through_an_event_hub_everything_comes_once_whatever_happens() {
    run_all(Writer::Vaults);
}

/// Each history has a thread of its own, because a producer that sends holds it up.
fn run_all(writer: Writer) {
    let seeds = std::sync::Mutex::new(seeds());
    let next = || seeds.lock().unwrap().next();
    std::thread::scope(|scope| {
        for _ in 0..AT_ONCE {
            scope.spawn(|| {
                while let Some(seed) = next() {
                    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
                    runtime.block_on(through_a_topic(writer, seed));
                    // A client that leaves its group is waited for by nobody.
                    runtime.shutdown_background();
                }
            });
        }
    });
}
