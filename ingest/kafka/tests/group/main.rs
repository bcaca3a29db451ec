//! The source against librdkafka's own mock of a cluster: everyday reading, and what goes wrong.
//!
//! The mock speaks the real protocol on loopback. It has no logins and no transactions, which a
//! door in front of it has.

mod door;
mod logins;
mod scram;
mod speed;
mod stage;
mod transactions;

use keywatch_ingest::source::{Live, State};
use keywatch_kafka::Start;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use stage::{Cluster, Store, record, records, settings, source, within};
use std::time::{Duration, Instant};

#[tokio::test(flavor = "multi_thread")]
async fn every_carrier_is_opened_and_poison_stops_nothing() {
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    cluster.send(0, &format!("{{\"records\":[{},{}]}}", record(2), record(3)));
    cluster.send(0, "no JSON at all");
    cluster.send_nothing(0);
    cluster.send(0, &format!("{}\n{}\n", record(4), record(5)));
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 5).await;
    assert_eq!(store.seen, records(1..=5));
    assert_eq!((store.rejects.len(), store.skipped), (1, 1));
    assert_eq!(store.rejects[0].0, "kafka://audit/0:2");
    assert_eq!(store.positions["kafka:k:audit:0"], "5");
    assert_eq!(reading.health.read().state(), State::Following);
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_not_committed_is_read_again_and_nothing_twice() {
    let cluster = Cluster::new(3);
    cluster.fill((0..300).map(|number| (number % 3, record(number))));
    let mut store = Store::default();
    for _ in 0..2 {
        let small = keywatch_kafka::Settings { batch_records: 20, ..settings() };
        let mut reading = source(&cluster, small, &store);
        for _ in 0..4 {
            store.take_one(&mut reading.group).await;
        }
        // One more is read and lost with the process.
        within(reading.next()).await;
        reading.end().await;
    }
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 300).await;
    assert_eq!(store.duplicates, 0, "the store's positions say where to go on, not the cluster's offsets");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_cluster_that_goes_away_is_told_of_and_waited_for() {
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 1).await;
    cluster.mock.broker_down(1).expect("down");
    let health = reading.health.clone();
    store.take_while(&mut reading.group, || health.read().state() != State::Failing).await;
    let said = health.read().errors["cluster"].text.clone();
    assert!(said.contains("brokers are down") && said.contains("check the addresses"), "{said}");
    cluster.mock.broker_up(1).expect("up");
    cluster.send(0, &record(2));
    store.take_until(&mut reading.group, |store| store.seen.len() == 2).await;
    store.take_while(&mut reading.group, || health.read().state() != State::Following).await;
    assert_eq!(store.duplicates, 0);
}

/// The cluster is gone for good before it has answered that it heard of an offset: by itself the client
/// waits for it for ever.
#[tokio::test(flavor = "multi_thread")]
async fn a_source_ends_though_its_cluster_does_not_answer_any_more() {
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    let (batch, receipt) = within(reading.group.next()).await;
    store.commit(&batch);
    cluster.mock.broker_round_trip_time(1, Duration::from_secs(30)).expect("slow");
    reading.group.acknowledge(receipt).await;
    // Long enough to have told the cluster, and then to have begun to end.
    let since = Instant::now();
    store.take_while(&mut reading.group, || since.elapsed() < Duration::from_secs(2)).await;
    let gone = async {
        let _late = tokio::time::timeout(Duration::from_secs(1), std::future::pending::<()>()).await;
        drop(cluster);
    };
    tokio::join!(reading.end(), gone);
}

#[tokio::test(flavor = "multi_thread")]
async fn errors_of_every_kind_of_request_lose_nothing() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT as LOST, RD_KAFKA_RESP_ERR_COORDINATOR_NOT_AVAILABLE as NO_COORDINATOR,
        RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
        RD_KAFKA_RESP_ERR_REBALANCE_IN_PROGRESS as REBALANCE, RD_KAFKA_RESP_ERR_REQUEST_TIMED_OUT as LATE,
        RD_KAFKA_RESP_ERR_UNKNOWN_MEMBER_ID as FENCED,
    };
    let cluster = Cluster::new(2);
    cluster.mock.request_errors(RDKafkaApiKey::FindCoordinator, &[NO_COORDINATOR, LOST]);
    cluster.mock.request_errors(RDKafkaApiKey::JoinGroup, &[NO_COORDINATOR]);
    cluster.mock.request_errors(RDKafkaApiKey::OffsetCommit, &[FENCED, LATE, LOST]);
    cluster.mock.request_errors(RDKafkaApiKey::ListOffsets, &[NOT_LEADER, LATE]);
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    for round in 0..2 {
        cluster.mock.request_errors(RDKafkaApiKey::Fetch, &[NOT_LEADER, LOST, LATE]);
        cluster.fill((0..40).map(|number| (number % 2, record(round * 40 + number))));
        let wanted = usize::try_from(round + 1).expect("small") * 40;
        store.take_until(&mut reading.group, |store| store.seen.len() == wanted).await;
    }
    cluster.mock.request_errors(RDKafkaApiKey::Heartbeat, &[REBALANCE, FENCED]);
    cluster.send(0, &record(80));
    store.take_until(&mut reading.group, |store| store.seen.len() == 81).await;
    assert_eq!(store.duplicates, 0);
}

#[tokio::test(flavor = "multi_thread")]
async fn partitions_that_come_back_go_on_where_they_were() {
    let cluster = Cluster::new(4);
    cluster.fill((0..40).map(|number| (number % 4, record(number))));
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 40).await;
    // Another member joins and takes half of the partitions, reading what comes meanwhile.
    let other: BaseConsumer = cluster.member("keywatch-k");
    other.subscribe(&["audit"]).expect("subscribed");
    let has_half = || {
        let _message = other.poll(Duration::from_millis(50));
        other.assignment().expect("an assignment").count() == 2
    };
    store.take_while(&mut reading.group, || !has_half()).await;
    cluster.fill((40..80).map(|number| (number % 4, record(number))));
    store.take_until(&mut reading.group, |store| store.seen.len() == 60).await;
    let health = reading.health.clone();
    store.take_while(&mut reading.group, || !health.read().warnings.contains_key("group")).await;
    drop(other);
    store.take_until(&mut reading.group, |store| store.seen.len() == 80).await;
    assert_eq!(store.duplicates, 0);
    store.take_while(&mut reading.group, || health.read().warnings.contains_key("group")).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn messages_the_cluster_deleted_before_they_were_read_are_a_gap() {
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    let mut store = Store::default();
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 1).await;
    reading.end().await;
    // The mock keeps 5 MiB of a partition.
    let large = "x".repeat(500_000);
    for _ in 0..12 {
        cluster.send(0, &format!("{{\"large\":\"{large}\"}}"));
    }
    cluster.send(0, &record(2));
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.contains(&2)).await;
    let condition = reading.health.read();
    assert_eq!(condition.gaps_total, 1, "{:?}", condition.gaps);
    assert!(condition.gaps[0].contains("audit/0, offsets 1 to "), "{:?}", condition.gaps);
    assert_eq!(store.positions["kafka:k:audit:0"], "14");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_topic_that_was_made_anew_is_read_from_its_beginning() {
    let cluster = Cluster::new(1);
    cluster.send(0, &record(1));
    let mut store = Store::default();
    store.positions.insert("kafka:k:audit:0".to_owned(), "1000".to_owned());
    let mut reading = source(&cluster, settings(), &store);
    store.take_until(&mut reading.group, |store| store.seen.contains(&1)).await;
    assert!(reading.health.read().gaps[0].contains("made anew"));
    assert_eq!(store.positions["kafka:k:audit:0"], "1");
}

#[tokio::test(flavor = "multi_thread")]
async fn the_end_is_a_place_that_is_kept() {
    let cluster = Cluster::new(2);
    cluster.send(0, &record(1));
    let mut store = Store::default();
    let at_end = keywatch_kafka::Settings { start: Start::End, ..settings() };
    let mut reading = source(&cluster, at_end.clone(), &store);
    store.take_until(&mut reading.group, |store| store.positions.len() == 2).await;
    reading.end().await;
    cluster.send(1, &record(2));
    let mut reading = source(&cluster, at_end, &store);
    store.take_until(&mut reading.group, |store| store.seen.len() == 1).await;
    assert_eq!(store.seen, records(2..=2), "what came while nobody read is read, what came before is not");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_source_nobody_takes_from_pauses_and_goes_on() {
    let cluster = Cluster::new(1);
    let wide = |number: i64| format!("{{\"n\":{number},\"wide\":\"{}\"}}", "x".repeat(1000));
    cluster.fill((0..4000).map(|number| (0, wide(number))));
    let mut store = Store::default();
    let slow = keywatch_kafka::Settings {
        batch_records: 100,
        pause_after: Duration::from_millis(50),
        session_timeout: Duration::from_secs(6),
        ..settings()
    };
    let mut reading = source(&cluster, slow, &store);
    store.take_one(&mut reading.group).await;
    let deadline = Instant::now() + Duration::from_secs(30);
    while !reading.health.read().warnings.contains_key("pace") {
        assert!(Instant::now() < deadline, "it was never paused");
        tokio::task::yield_now().await;
    }
    store.take_until(&mut reading.group, |store| store.seen.len() == 4000).await;
    assert_eq!(store.duplicates, 0);
    assert!(!reading.health.read().warnings.contains_key("pace"));
}

#[test]
fn a_source_that_is_dropped_leaves_at_once() {
    let runtime = tokio::runtime::Runtime::new().expect("a runtime");
    let cluster = Cluster::new(4);
    cluster.fill((0..2000).map(|number| (number % 4, record(number))));
    runtime.block_on(async {
        let mut store = Store::default();
        let mut reading = source(&cluster, settings(), &store);
        store.take_one(&mut reading.group).await;
    });
    // Dropping the runtime waits for the thread, and the thread for the client.
    let began = Instant::now();
    drop(runtime);
    assert!(began.elapsed() < Duration::from_secs(10), "{:?}", began.elapsed());
}

#[tokio::test(flavor = "multi_thread")]
async fn a_probe_finds_what_is_there_and_joins_no_group() {
    let cluster = Cluster::new(3);
    let secrets =
        keywatch_secrets::SecretManager::new(keywatch_secrets::Settings::new(std::sync::Arc::new(|_| None)));
    let access = stage::access(&cluster);
    let topics = |names: &[&str]| names.iter().map(ToString::to_string).collect::<Vec<_>>();
    let found = within(keywatch_kafka::probe(&access, &secrets, &topics(&["audit", "^other-.*"]))).await;
    assert!(found.as_ref().is_ok_and(|said| said.contains("3 partition(s)")), "{found:?}");
    // The mock makes a topic that is asked for unless that is refused.
    cluster
        .mock
        .topic_error("audit", RDKafkaRespErr::RD_KAFKA_RESP_ERR_UNKNOWN_TOPIC_OR_PART)
        .expect("an error");
    let gone = within(keywatch_kafka::probe(&access, &secrets, &topics(&["audit"]))).await;
    assert!(gone.as_ref().is_err_and(|said| said.contains("create the topic")), "{gone:?}");
}
