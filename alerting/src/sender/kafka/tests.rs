//! Against librdkafka's mock of a cluster.

mod door;

use crate::receiver::{Kafka, KafkaMode, Receiver, ReceiverKind};
use crate::reply::Verdict;
use crate::testing::{loopback, outbound, secrets_from, telling, variable};
use crate::{Notification, Outbound, Sender};
use door::Door;
use keywatch_brokers::{Access, Mechanism, Sasl, User};
use rdkafka::ClientConfig;
use rdkafka::consumer::{BaseConsumer, Consumer};
use rdkafka::message::{Headers, Message};
use rdkafka::mocking::MockCluster;
use rdkafka::producer::DefaultProducerContext;
use rdkafka::topic_partition_list::{Offset, TopicPartitionList};
use rdkafka::types::{RDKafkaApiKey, RDKafkaRespErr};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

type Mock = MockCluster<'static, DefaultProducerContext>;

fn cluster() -> Mock {
    let mock = MockCluster::new(1).unwrap();
    mock.create_topic("findings", 1, 1).unwrap();
    mock
}

fn receiver(mock: &Mock, topic: &str) -> Receiver {
    let access = Access { brokers: vec![mock.bootstrap_servers()], tls: None, sasl: None };
    let kafka = Kafka { access, topic: topic.to_owned(), mode: KafkaMode::Binary };
    Receiver::new("lake", ReceiverKind::Kafka(kafka))
}

/// Every message of the topic: its key, one header, its value.
fn read(mock: &Mock, count: usize) -> Vec<(String, String, serde_json::Value)> {
    let consumer: BaseConsumer = ClientConfig::new()
        .set("bootstrap.servers", mock.bootstrap_servers())
        .set("group.id", "test")
        .create()
        .unwrap();
    let mut list = TopicPartitionList::new();
    list.add_partition_offset("findings", 0, Offset::Beginning).unwrap();
    consumer.assign(&list).unwrap();
    let (mut read, deadline) = (Vec::new(), Instant::now() + Duration::from_secs(30));
    while read.len() < count {
        assert!(Instant::now() < deadline, "{read:?}");
        let Some(Ok(message)) = consumer.poll(Duration::from_millis(100)) else { continue };
        let text = |bytes: Option<&[u8]>| String::from_utf8(bytes.unwrap().to_vec()).unwrap();
        let id = message.headers().unwrap().iter().find(|header| header.key == "ce_id").unwrap();
        read.push((
            text(message.key()),
            text(id.value),
            serde_json::from_slice(message.payload().unwrap()).unwrap(),
        ));
    }
    read
}

#[tokio::test]
async fn a_finding_is_in_the_topic_when_it_counts_as_delivered() {
    let mock = cluster();
    let sender = Sender::new(&receiver(&mock, "findings"), &outbound()).unwrap();
    let alerts = vec![
        r#"{"id":"a1","principal":{"id":"arn:role/app","kind":"role"}}"#.to_owned(),
        r#"{"id":"a2"}"#.to_owned(),
    ];
    let told = Notification { alerts, ..telling() };
    let (reply, shown) = sender.rehearse(&told, told.created_at).await;
    assert_eq!((reply.verdict, reply.error), (Verdict::Delivered, None));
    assert_eq!(reply.excerpt.unwrap(), "partition 0, offset 0; partition 0, offset 1");
    assert!(shown[0].target.starts_with("Produce to topic findings on 127.0.0.1:"), "{shown:?}");
    let all = read(&mock, 2);
    assert_eq!((all[0].0.as_str(), all[0].1.as_str()), ("arn:role/app", "msg_1-a1"));
    assert_eq!((all[1].0.as_str(), all[1].1.as_str()), ("a2", "msg_1-a2"));
    assert_eq!(all[0].2["finding_info"]["uid"], "a1");
}

#[tokio::test]
async fn a_cluster_that_stumbles_is_tried_again_and_no_message_is_doubled() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR__TRANSPORT as LOST, RD_KAFKA_RESP_ERR_NOT_LEADER_FOR_PARTITION as NOT_LEADER,
    };
    let mock = cluster();
    mock.request_errors(RDKafkaApiKey::Produce, &[NOT_LEADER, LOST]);
    let sender = Sender::new(&receiver(&mock, "findings"), &outbound()).unwrap();
    let told = telling();
    assert_eq!(sender.send(&told, told.created_at).await.verdict, Verdict::Delivered);
    assert_eq!(sender.send(&told, told.created_at).await.excerpt.unwrap(), "partition 0, offset 1");
}

#[tokio::test]
async fn what_stands_in_the_way_is_said_with_its_remedy() {
    use RDKafkaRespErr::{
        RD_KAFKA_RESP_ERR_MSG_SIZE_TOO_LARGE as LARGE, RD_KAFKA_RESP_ERR_TOPIC_AUTHORIZATION_FAILED as DENIED,
    };
    let mock = cluster();
    let sender = Sender::new(&receiver(&mock, "findings"), &outbound()).unwrap();
    let told = telling();
    mock.request_errors(RDKafkaApiKey::Produce, &[LARGE]);
    let large = sender.send(&told, told.created_at).await;
    assert_eq!(large.verdict, Verdict::GiveUp, "{large:?}");
    assert!(large.error.unwrap().contains("max.message.bytes"));
    mock.request_errors(RDKafkaApiKey::Produce, &[DENIED]);
    let denied = sender.send(&told, told.created_at).await;
    assert_eq!((denied.verdict, denied.credentials_refused), (Verdict::TryAgain, true), "{denied:?}");
    mock.broker_down(1).unwrap();
    let down =
        Sender::new(&receiver(&mock, "findings"), &outbound()).unwrap().with_timeout(Duration::from_secs(1));
    let down = down.send(&told, told.created_at).await;
    assert_eq!(down.verdict, Verdict::TryAgain);
    assert!(down.error.as_ref().is_some_and(|text| text.contains("check the addresses")), "{down:?}");
}

#[tokio::test]
async fn brokers_the_policy_does_not_allow_are_not_dialled() {
    let mock = cluster();
    let strict = crate::Outbound { egress: crate::Egress::new(crate::EgressPolicy::default()), ..outbound() };
    let sender = Sender::new(&receiver(&mock, "findings"), &strict).unwrap();
    let told = telling();
    let refused = sender.send(&told, told.created_at).await;
    assert!(refused.error.is_some_and(|text| text.contains("egress.allow")));
}

/// A receiver behind a door, and who knows its passwords: the n-th fetch gets the n-th of them, and the
/// last from then on.
fn behind(door: &Door, passwords: &'static [&'static str]) -> (Receiver, Outbound) {
    let sasl = Sasl {
        mechanism: Mechanism::Plain,
        user: User::Plain("keywatch".to_owned()),
        password: variable("PASSWORD"),
    };
    let access = Access { brokers: vec![door.address.to_string()], tls: None, sasl: Some(sasl) };
    let kafka = Kafka { access, topic: "findings".to_owned(), mode: KafkaMode::Binary };
    let fetched = Arc::new(AtomicUsize::new(0));
    let secrets = secrets_from(move |_| {
        let number = fetched.fetch_add(1, Ordering::SeqCst).min(passwords.len() - 1);
        Some(passwords[number].to_owned())
    });
    (Receiver::new("lake", ReceiverKind::Kafka(kafka)), Outbound { egress: loopback(), secrets })
}

fn broker(mock: &Mock) -> std::net::SocketAddr {
    mock.bootstrap_servers().parse().unwrap()
}

#[tokio::test]
async fn a_refused_password_that_was_replaced_meanwhile_fails_nothing() {
    let mock = cluster();
    let door = Door::before(broker(&mock), "new").await;
    let (receiver, outbound) = behind(&door, &["old", "new"]);
    let sender = Sender::new(&receiver, &outbound).unwrap();
    let told = telling();
    let reply = sender.send(&told, told.created_at).await;
    assert_eq!((reply.verdict, reply.error), (Verdict::Delivered, None));
    let shown = door.shown();
    assert_eq!(shown.first().unwrap(), "old");
    assert!(shown.iter().any(|word| word == "new"), "{shown:?}");
    assert_eq!(read(&mock, 1)[0].1, "msg_1", "it is in the topic");
}

#[tokio::test]
async fn a_refused_password_that_has_not_changed_is_said_and_tried_later() {
    let mock = cluster();
    let door = Door::before(broker(&mock), "new").await;
    let (receiver, outbound) = behind(&door, &["stale"]);
    let sender = Sender::new(&receiver, &outbound).unwrap();
    let told = telling();
    let reply = sender.send(&told, told.created_at).await;
    assert_eq!((reply.verdict, reply.credentials_refused), (Verdict::TryAgain, true), "{reply:?}");
    let error = reply.error.unwrap();
    assert!(error.contains("check the user, the password"), "{error}");
    assert!(!error.contains("stale"), "{error}");
}
