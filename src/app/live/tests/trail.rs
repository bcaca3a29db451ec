//! The queue and its buckets, one promise at a time.

use super::bucket::{BUCKET, Store};
use super::chance::Chance;
use super::server::Server;
use super::stage::{Running, START, Stage, clean, id_of, records};
use keywatch_aws::trail::{Backfill, Carries, Settings, TrailQueue};
use keywatch_aws::{Access, Keys};
use keywatch_ingest::source::State;
use keywatch_secrets::{SecretManager, SecretRef};
use std::io::Write as _;
use std::sync::Arc;
use std::time::Duration;

pub(super) const NOW: i64 = START + 48 * 3600;

/// Access to a stand-in, with keys that are secret references.
pub(super) fn access(server: &Server) -> (Access, SecretManager) {
    let secret = |name: &str| -> SecretRef { format!("env:{name}").parse().unwrap() };
    let environment = |name: &str| Some(format!("AKIAEXAMPLE{name}"));
    let access = Access {
        region: Some("eu-central-1".to_owned()),
        endpoint: Some(server.url()),
        keys: Some(Keys { id: secret("ID"), secret: secret("SECRET") }),
        ..Access::default()
    };
    (access, SecretManager::new(keywatch_secrets::Settings::new(Arc::new(environment))))
}

/// Settings under which everything happens at once.
pub(super) fn settings(server: &Server) -> Settings {
    Settings {
        wait: Duration::from_secs(1),
        visibility: Duration::from_secs(30),
        retry_first: Duration::from_millis(2),
        rest_first: Duration::ZERO,
        rest_max: Duration::ZERO,
        ..Settings::new(&format!("{}/111122223333/keywatch", server.url()))
    }
}

pub(super) async fn start(stage: &Stage, server: &Server, settings: Settings) -> Running {
    let (access, secrets) = access(server);
    let positions = stage.positions().await;
    let told = (stage.hand.clock(), stage.health.clone());
    Stage::run(TrailQueue::start("t", (&access, &secrets), settings, &positions, told).await)
}

/// A trail file.
pub(super) fn file(records: &[String]) -> Vec<u8> {
    let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    packed.write_all(format!("{{\"Records\":[{}]}}", records.join(",")).as_bytes()).unwrap();
    packed.finish().unwrap()
}

/// Puts a file into the bucket; a notice of it as S3 sends it.
pub(super) fn put(store: &Store, key: &str, records: &[String]) -> String {
    store.with(|state| state.objects.insert(key.to_owned(), file(records)));
    notice(key)
}

/// A record as EventBridge sends it.
pub(super) fn bridged(record: &str) -> String {
    format!(
        "{{\"version\":\"0\",\"detail-type\":\"AWS API Call via CloudTrail\",\"source\":\"aws.secretsmanager\",\"detail\":{record}}}"
    )
}

pub(super) fn notice(key: &str) -> String {
    let object = serde_json::json!({"bucket": {"name": BUCKET}, "object": {"key": key}});
    serde_json::json!({"Records": [{"eventSource": "aws:s3", "eventName": "ObjectCreated:Put", "s3": object}]})
        .to_string()
}

fn some(seed: u64, count: usize) -> Vec<String> {
    records(&mut Chance::new(seed), count, 1).into_iter().map(|(_, record)| record).collect()
}

#[tokio::test]
async fn a_message_is_deleted_only_after_its_records_are_stored() {
    let store = Store::new(1);
    let server = store.serve();
    let body = put(&store, "AWSLogs/1.json.gz", &some(1, 30));
    store.with(|state| state.send(&body));
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    stage.take_unheard(&mut running).await;
    assert_eq!(stage.count().await, 30);
    assert_eq!(store.with(|state| (state.deleted, state.waiting())), (0, 1), "nobody said that it is stored");
    drop(running);
    // The next process gets it again, once it is visible.
    store.with(super::bucket::State::show_all);
    let mut running = start(&stage, &server, settings(&server)).await;
    stage.until(&mut running, "it is deleted", |_| store.with(|state| state.waiting() == 0)).await;
    assert_eq!(stage.count().await, 30, "its events were known");
    assert_eq!(store.with(|state| state.deleted), 1);
}

#[tokio::test]
async fn what_cannot_be_read_is_left_to_the_dead_letter_queue_after_five_tries_and_told() {
    let store = Store::new(2);
    let server = store.serve();
    let good = put(&store, "AWSLogs/good.json.gz", &some(2, 10));
    let cut = file(&some(3, 400));
    store.with(|state| {
        state.objects.insert("AWSLogs/cut.json.gz".to_owned(), cut[..cut.len() / 2].to_vec());
        for body in [
            notice("AWSLogs/missing.json.gz"),
            notice("AWSLogs/cut.json.gz"),
            "no JSON at all".to_owned(),
            good,
        ] {
            state.send(&body);
        }
    });
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    stage.until(&mut running, "all are gone", |_| store.with(|state| state.waiting() == 0)).await;
    let mut dead = store.with(|state| state.dead.clone());
    dead.sort();
    assert_eq!(dead.len(), 3, "{dead:?}");
    assert!(dead[0].contains("no JSON"), "{dead:?}");
    let gaps = stage.health.read().gaps.join("\n");
    for part in ["missing.json.gz", "cut.json.gz", "no JSON object in this line", "start-message-move-task"] {
        assert!(gaps.contains(part), "{part}\n{gaps}");
    }
    assert_eq!(stage.rejects().await, 4, "what was given up is kept, and the record the file was cut in");
    assert!(stage.count().await > 10, "what stands before the damage is kept");
}

#[tokio::test]
async fn an_outage_holds_messages_and_gives_none_up() {
    let store = Store::new(3);
    let server = store.serve();
    let all = some(4, 40);
    for (number, part) in all.chunks(10).enumerate() {
        let body = put(&store, &format!("AWSLogs/{number}.json.gz"), part);
        store.with(|state| state.send(&body));
    }
    store.with(|state| state.refusing = Some("AccessDenied"));
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    let health = stage.health.clone();
    stage.until(&mut running, "the refusal is told", |_| health.read().state() == State::Failing).await;
    assert!(health.read().errors.values().any(|failing| failing.text.contains("grant sqs:ReceiveMessage")));
    store.with(|state| state.refusing = Some("ExpiredToken"));
    store.with(|state| state.refusing = None);
    stage.until(&mut running, "all are stored", |_| store.with(|state| state.waiting() == 0)).await;
    stage.until(&mut running, "it is well", |_| health.read().state() == State::Following).await;
    assert_eq!(stage.count().await, 40);
    assert_eq!(store.with(|state| state.dead.len()), 0);
}

#[tokio::test]
async fn events_in_messages_are_taken_and_the_missing_reads_are_told_of() {
    let store = Store::new(5);
    let server = store.serve();
    let mut stage = Stage::new(NOW).await;
    let settings = Settings { carries: Carries::Events, ..settings(&server) };
    let mut running = start(&stage, &server, settings).await;
    let health = stage.health.clone();
    let told = |health: &keywatch_ingest::source::Health| health.read().warnings.contains_key("reads");
    stage.until(&mut running, "it warns", |_| told(&health)).await;
    assert!(health.read().warnings["reads"].contains("ENABLED_WITH_ALL_CLOUDTRAIL_MANAGEMENT_EVENTS"));
    for record in some(5, 5) {
        store.with(|state| state.send(&bridged(&record)));
    }
    stage.until(&mut running, "all are taken", |_| store.with(|state| state.waiting() == 0)).await;
    assert_eq!(stage.count().await, 5);
    assert!(!told(&health), "a read has come");
}

#[tokio::test]
async fn a_queue_without_dead_letters_is_warned_of() {
    let store = Store::new(6);
    store.with(|state| state.tries_max = None);
    let server = store.serve();
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, settings(&server)).await;
    let health = stage.health.clone();
    stage.until(&mut running, "it warns", |_| health.read().warnings.contains_key("dead-letter queue")).await;
}

#[tokio::test]
async fn only_the_buckets_that_are_listed_are_read_from() {
    let store = Store::new(7);
    let server = store.serve();
    let body = put(&store, "AWSLogs/1.json.gz", &some(1, 3));
    store.with(|state| state.send(&body));
    let mut stage = Stage::new(NOW).await;
    let settings = Settings { buckets: vec!["another".to_owned()], ..settings(&server) };
    let mut running = start(&stage, &server, settings).await;
    stage.until(&mut running, "it is given up", |_| store.with(|state| state.waiting() == 0)).await;
    assert_eq!((stage.count().await, store.with(|state| state.gets)), (0, 0));
    assert!(stage.health.read().gaps[0].contains("not among the `buckets`"));
}

#[tokio::test]
async fn a_backfill_reads_the_days_asked_for_once_and_goes_on_where_it_ended() {
    let store = Store::new(8);
    let server = store.serve();
    let mut wanted = Vec::new();
    for (number, day) in ["2026/05/31", "2026/06/01", "2026/06/02", "2026/06/03"].iter().enumerate() {
        for region in ["eu-central-1", "us-east-1"] {
            let part = some(100 + number as u64 * 2 + u64::from(region == "us-east-1"), 300);
            let part: Vec<String> = part
                .iter()
                .map(|record| record.replace("-8000-", &format!("-8{number}0{}-", region.len() % 10)))
                .collect();
            let key = format!("logs/AWSLogs/111122223333/CloudTrail/{region}/{day}/f.json.gz");
            put(&store, &key, &part);
            if matches!(number, 1 | 2) {
                wanted.extend(part);
            }
        }
    }
    put(&store, "logs/AWSLogs/111122223333/CloudTrail-Digest/eu-central-1/2026/06/01/d.json.gz", &some(9, 1));
    let day = |text: &str| text.parse().unwrap();
    let backfill = Backfill {
        bucket: BUCKET.to_owned(),
        prefix: "logs/AWSLogs/".to_owned(),
        from: day("2026-06-01"),
        to: Some(day("2026-06-02")),
    };
    let settings = Settings { backfill: Some(backfill), fetches: 1, ..settings(&server) };
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, &server, settings.clone()).await;
    // It ends after its first batch, which nobody acknowledged.
    stage.take_unheard(&mut running).await;
    drop(running);
    let mut running = start(&stage, &server, settings.clone()).await;
    let health = stage.health.clone();
    let done = |stage: &Stage| health.read().progress.is_empty() && stage.batches > 1;
    stage.until(&mut running, "it is done", done).await;
    let name = Backfill::position_name("t");
    drop(running);
    let mut running = start(&stage, &server, settings.clone()).await;
    let deadline = std::time::Instant::now() + Duration::from_secs(20);
    while !stage
        .positions()
        .await
        .get(&name)
        .is_some_and(|position| position.contains("\"done\":\"2026-06-02\""))
    {
        assert!(std::time::Instant::now() < deadline);
        stage.until_some(&mut running).await;
    }
    drop(running);
    let (gets, lists) = store.with(|state| (state.gets, state.lists));
    let running = start(&stage, &server, settings).await;
    let mut wanted: Vec<String> =
        wanted.iter().map(|record| format!("aws:111122223333:{}", id_of(record))).collect();
    wanted.sort();
    let found = stage.outcome().await.0;
    // Behind the provider's id stands what tells two records with one id apart.
    let found: Vec<&str> = found.iter().map(|id| id.split('~').next().unwrap()).collect();
    assert_eq!(found, wanted);
    drop(running);
    assert_eq!(
        store.with(|state| (state.gets, state.lists)),
        (gets, lists),
        "what is done is not read again"
    );
}

#[tokio::test]
async fn a_backfill_reads_all_regions_side_by_side_and_goes_on_so() {
    let store = Store::new(9);
    let server = store.serve();
    let times = [("01", "00"), ("01", "12"), ("02", "00"), ("02", "12")];
    for (number, (day, hour)) in (0_u64..).zip(times) {
        for (at, region) in (1_u64..).zip(["eu-central-1", "us-east-1", "us-west-2"]) {
            let record = some(number * 3 + at, 1).remove(0);
            let (before, rest) = record.split_once("\"eventTime\":\"").unwrap();
            let (_, after) = rest.split_once('"').unwrap();
            let record = format!("{before}\"eventTime\":\"2026-06-{day}T{hour}:01:00Z\"{after}");
            let record = record.replace("-8000-", &format!("-8{number}0{at}-"));
            let folder = format!("logs/AWSLogs/111122223333/CloudTrail/{region}/2026/06/{day}");
            let name = format!("111122223333_CloudTrail_{region}_202606{day}T{hour}05Z_x.json.gz");
            put(&store, &format!("{folder}/{name}"), &[record]);
        }
    }
    let day = |text: &str| text.parse().unwrap();
    let (from, to) = (day("2026-06-01"), Some(day("2026-06-02")));
    let backfill = Backfill { bucket: BUCKET.to_owned(), prefix: "logs/AWSLogs/".to_owned(), from, to };
    let settings = Settings { backfill: Some(backfill), ..settings(&server) };
    let mut stage = Stage::new(NOW).await;
    let mut read: Vec<String> = Vec::new();
    while stage.count().await < 12 {
        // Begun anew whenever something was stored.
        let mut running = start(&stage, &server, settings.clone()).await;
        let before = stage.count().await;
        while stage.count().await == before {
            // What is not yet known to be read comes again, and is known.
            for place in stage.until_places(&mut running).await {
                if !read.contains(&place) {
                    read.push(place);
                }
            }
        }
    }
    let read: Vec<&str> = read.iter().map(|place| place.rsplit('_').nth(1).unwrap()).collect();
    let wanted = times.map(|(day, hour)| format!("202606{day}T{hour}05Z"));
    assert_eq!(read, wanted.iter().flat_map(|time| [time.as_str(); 3]).collect::<Vec<_>>());
}

#[tokio::test]
async fn clean_delivery_raises_alerts_at_all() {
    let outcome = clean(&some(1, 200), NOW).await;
    assert!(outcome.1.len() > 3, "{:?}", outcome.1);
}
