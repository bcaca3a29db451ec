//! How fast messages are read and classified, beside a bare client of the same library that reads the
//! same messages of the same cluster and throws them away: what that cannot do nobody can. Short in an
//! ordinary run, where it only must work; `KEYWATCH_SPEED=400000` reads that many and prints figures.
#![expect(clippy::print_stdout, reason = "figures are for reading")]

use super::stage::{Cluster, Store, settings, source, within};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::source::Live;
use rdkafka::Message;
use rdkafka::consumer::Consumer;
use std::time::{Duration, Instant};

/// The mock keeps 5 MiB of a partition, compressed.
const PARTITIONS: i32 = 16;

#[expect(clippy::disallowed_methods, reason = "how many events, for runs on demand")]
fn events() -> usize {
    std::env::var("KEYWATCH_SPEED").ok().and_then(|text| text.parse().ok()).unwrap_or(5_000)
}

/// As long as CloudTrail's records are: about 1.5 KB.
fn trail(number: usize) -> String {
    format!(
        "{{\"eventVersion\":\"1.09\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/svc/i-0{number:016x}\",\
         \"accountId\":\"111122223333\"}},\"eventTime\":\"2026-11-01T00:00:00Z\",\"eventSource\":\"secretsmanager.amazonaws.com\",\
         \"eventName\":\"GetSecretValue\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"18.1.2.3\",\
         \"requestParameters\":{{\"secretId\":\"prod/db\"}},\"eventID\":\"{number:08x}-aaaa-4bbb-8ccc-ddddeeeeffff\",\"readOnly\":true,\
         \"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111122223333\",\"userAgent\":\"{}\"}}",
        "x".repeat(850)
    )
}

/// Events a second, and how long they took.
struct Rate {
    events: usize,
    took: Duration,
}

impl Rate {
    fn per_second(&self) -> u128 {
        self.events as u128 * 1000 / self.took.as_millis().max(1)
    }
}

impl std::fmt::Display for Rate {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(out, "{} events in {:.2?}: {} a second", self.events, self.took, self.per_second())
    }
}

/// Reads everything with a client that does nothing else.
fn bare(cluster: &Cluster, count: usize) -> Rate {
    let consumer = cluster.reader();
    consumer.subscribe(&["audit"]).expect("subscribed");
    let (mut read, mut bytes, mut began) = (0, 0, None);
    while read < count {
        let Some(message) = consumer.poll(Duration::from_millis(100)) else { continue };
        let Ok(message) = message else { continue };
        began.get_or_insert_with(Instant::now);
        bytes += message.payload().map_or(0, <[u8]>::len);
        read += 1;
    }
    assert!(bytes > 0);
    Rate { events: read, took: began.map_or(Duration::ZERO, |began| began.elapsed()) }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_and_classified() {
    let count = events();
    let cluster = Cluster::new(PARTITIONS);
    cluster.fill((0..count).map(|number| (i32::try_from(number).unwrap_or(0) % PARTITIONS, trail(number))));
    let alone = tokio::task::block_in_place(|| bare(&cluster, count));
    let mut reading = source(&cluster, settings(), &Store::default());
    let normalizer = Normalizer::new();
    let (mut classified, mut batches, mut judging, mut began) = (0, 0, Duration::ZERO, None);
    while classified < count {
        let (batch, receipt) = within(reading.group.next()).await;
        // From the first batch on: joining the group is not reading.
        let since = Instant::now();
        began.get_or_insert(since);
        let now = EventTime::from_secs(1_793_750_400);
        let known = |record| matches!(normalizer.normalize(batch.raw(record), now), Ok(Some(_)));
        classified += batch.records.iter().filter(|record| known(record)).count();
        judging += since.elapsed();
        batches += 1;
        reading.group.acknowledge(receipt).await;
    }
    let ours = Rate { events: classified, took: began.map_or(Duration::ZERO, |began| began.elapsed()) };
    println!("a bare client: {alone}");
    println!("read and classified: {ours}, in {batches} batches, {judging:.2?} of it for classifying");
    println!("ours is {} % of the bare client's", ours.per_second() * 100 / alone.per_second().max(1));
}
