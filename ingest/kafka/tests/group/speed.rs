//! How fast messages are read and classified. Short in an ordinary run, where it only must work;
//! `KEYWATCH_SPEED=400000` reads that many and prints figures.
#![expect(clippy::print_stdout, reason = "figures are for reading")]

use super::stage::{Cluster, Store, settings, source, within};
use keywatch_event::EventTime;
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::source::Live;
use std::time::Instant;

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

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn messages_are_read_and_classified() {
    let count = events();
    let cluster = Cluster::new(PARTITIONS);
    cluster.fill((0..count).map(|number| (i32::try_from(number).unwrap_or(0) % PARTITIONS, trail(number))));
    let mut reading = source(&cluster, settings(), &Store::default());
    let normalizer = Normalizer::new();
    let (mut classified, mut bytes, mut began) = (0, 0, None);
    while classified < count {
        let (batch, receipt) = within(reading.group.next()).await;
        // From the first batch on: joining the group is not reading.
        let began = began.get_or_insert_with(Instant::now);
        let now = EventTime::from_secs(1_793_750_400);
        let known = |record| matches!(normalizer.normalize(batch.raw(record), now), Ok(Some(_)));
        classified += batch.records.iter().filter(|record| known(record)).count();
        bytes += batch.bytes.len();
        reading.group.acknowledge(receipt).await;
        if classified >= count {
            let took = began.elapsed();
            let rate = classified as u128 * 1000 / took.as_millis().max(1);
            println!("{classified} events ({} MB) in {took:.2?}: {rate} a second", bytes >> 20);
        }
    }
}
