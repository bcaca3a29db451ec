//! Old records through the service's own sources and pipeline: what a scan of the same files finds.

use super::*;
use crate::crew::Crew;
use crate::pipeline::Pipeline;
use crate::scanner::Scanner;
use keywatch_event::{Evaluation, EventTime};
use keywatch_ingest::Run;
use keywatch_ingest::source::Pieces;
use keywatch_rules::{Engine, RuleSet, Settings, builtin};
use keywatch_secrets::SecretManager;
use keywatch_store::{AlertFilter, AlertStatus, Page, Store, Subscriber};
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

/// 2026-06-01T00:00:00Z.
const START: i64 = 1_780_272_000;
const DAYS: i64 = 10;
const REGIONS: [&str; 2] = ["ap-south-1", "us-east-1"];
/// How long all of it may take on a machine with much else to do.
const LIMIT: Duration = Duration::from_mins(2);

static RULES: LazyLock<Arc<RuleSet>> =
    LazyLock::new(|| Arc::new(keywatch_rules::compile(builtin().iter().copied()).unwrap()));

/// Somebody's call, as CloudTrail writes it.
fn record(id: &str, secs: i64, region: &str, (who, event, secret): (&str, &str, &str)) -> String {
    let time = DateTime::from_timestamp(secs, 0).unwrap().format("%Y-%m-%dT%H:%M:%SZ");
    let address = if who == "eve" { "198.51.100.7" } else { "203.0.113.9" };
    let agent = if who == "eve" { "Boto3/1.34" } else { "aws-sdk-go/1.50" };
    format!(
        "{{\"eventVersion\":\"1.08\",\"userIdentity\":{{\"type\":\"IAMUser\",\"principalId\":\"AIDA{who}\",\
         \"arn\":\"arn:aws:iam::111122223333:user/{who}\",\"accountId\":\"111122223333\",\"userName\":\"{who}\"}},\
         \"eventTime\":\"{time}\",\"eventSource\":\"secretsmanager.amazonaws.com\",\"eventName\":\"{event}\",\
         \"awsRegion\":\"{region}\",\"sourceIPAddress\":\"{address}\",\"userAgent\":\"{agent}\",\
         \"requestParameters\":{{\"secretId\":\"{secret}\"}},\"responseElements\":null,\"eventID\":\"{id}\",\
         \"readOnly\":true,\"eventType\":\"AwsApiCall\",\"recipientAccountId\":\"111122223333\"}}"
    )
}

/// What happens in a region within an hour. The first is busy, with more than a batch in all; the second has one
/// busy hour a day. Somebody shows up in one of them on the fifth day, while who is there is only learned, and
/// in the other on the ninth; on the last day somebody walks through all secrets.
fn hour(hour: i64, region: usize) -> Vec<String> {
    let mut records = Vec::new();
    let mut push = |minute: i64, call: (&str, &str, &str)| {
        let id = format!("{region}-{hour}-{minute}");
        records.push(record(&id, START + hour * 3600 + minute * 60, REGIONS[region], call));
    };
    let (day, is_nine) = (hour / 24, hour % 24 == 9);
    if region == 1 && !is_nine {
        return records;
    }
    for call in 0..18 {
        push(call, (&format!("svc{}", call % 6), "GetSecretValue", &format!("prod/s{}", call % 6)));
    }
    for (minute, who, days) in [(30, "rover", [8, 4]), (31, "roamer", [4, 8])] {
        if is_nine && day == days[region] {
            push(minute, (who, "GetSecretValue", "prod/home"));
        }
    }
    if day == DAYS - 1 && is_nine {
        for secret in 0..9 {
            push(45 + secret, ("eve", "GetSecretValue", &format!("prod/s{secret}")));
        }
        push(59, ("svc1", "DeleteSecret", "prod/s1"));
    }
    records
}

/// Writes the trail of a region as AWS lays it down, a file an hour.
fn lay_down(folder: &Path, region: usize) {
    for at in 0..DAYS * 24 {
        let day = DateTime::from_timestamp(START + at * 3600, 0).unwrap();
        let place = format!("AWSLogs/111122223333/CloudTrail/{}/{}", REGIONS[region], day.format("%Y/%m/%d"));
        let folder = folder.join(place);
        std::fs::create_dir_all(&folder).unwrap();
        let records = hour(at, region).join(",");
        if records.is_empty() {
            continue;
        }
        std::fs::write(folder.join(format!("{:02}.json", at % 24)), format!("{{\"Records\":[{records}]}}"))
            .unwrap();
    }
}

/// Alerts, in an order of their own.
fn told(alerts: impl IntoIterator<Item = String>) -> Vec<serde_json::Value> {
    let mut told: Vec<serde_json::Value> =
        alerts.into_iter().map(|alert| serde_json::from_str(&alert).unwrap()).collect();
    told.sort_by_key(|alert| alert["id"].as_str().unwrap().to_owned());
    told
}

fn surroundings() -> Surroundings {
    Surroundings {
        secrets: SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_| None))),
        positions: Arc::default(),
        pace: keywatch_aws::lookup::Pace::default(),
        logging_pace: keywatch_gcp::logging::Pace::default(),
    }
}

fn settings() -> Settings {
    Settings { late_from_secs: None, ..Settings::default() }
}

/// What `keywatch scan` finds below a folder.
fn scanned(folder: &Path) -> Vec<serde_json::Value> {
    let mut scanner = Scanner::new(Engine::new(Arc::clone(&RULES), settings()));
    let now = || EventTime::from_secs(START + DAYS * 86_400);
    let mut pieces = Pieces::in_order_of_time(vec![folder.to_owned()], now());
    let normalizer = &scanner.normalizer();
    let crew = Crew { threads: 1, normalizer, now, progress: &|_| {} };
    crew.work(&mut pieces, &mut |run: &Run<'_>, keys: &[u64]| scanner.take(run, keys, &mut |_| {}));
    scanner.finish();
    told(scanner.alerts().into_iter().map(|alert| serde_json::to_string(alert).unwrap()))
}

/// What the service finds, with a source for each of these folders, and how many batches that took.
async fn served(folders: Vec<PathBuf>) -> (Vec<serde_json::Value>, usize) {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
    let nobody = Arc::new(Vec::<Subscriber>::new());
    let mut pipeline = Pipeline::start(store.clone(), Arc::clone(&RULES), settings(), nobody).await.unwrap();
    let source = |(number, path)| FileSource { name: format!("trail{number}"), paths: vec![path] };
    let wanted = folders.into_iter().enumerate().map(source).map(Configured::Files).collect();
    let mut sources = Sources::start(wanted, &surroundings());
    let total: usize = (0..DAYS * 24).flat_map(|at| [hour(at, 0).len(), hour(at, 1).len()]).sum();
    let (mut count, mut batches) = (0, 0);
    while count < total {
        let fed = tokio::time::timeout(LIMIT, sources.next()).await.unwrap();
        let now = DateTime::from_timestamp(START + DAYS * 86_400, 0).unwrap();
        let stepped =
            pipeline.step(&fed.batch, Evaluation::default(), &mut |_| Vec::new(), now).await.unwrap();
        count += stepped.committed.fresh;
        batches += 1;
        sources.committed(&fed, &stepped, now);
    }
    sources.stop().await;
    let said = pipeline.tick(DateTime::from_timestamp(START + DAYS * 86_400 - 1, 0).unwrap());
    pipeline.say(said, clock::now()).await.unwrap();
    let rows = store.alerts(&AlertFilter::default(), Page::first(500)).await.unwrap();
    assert!(rows.next.is_none(), "one page holds them all");
    let standing = rows.rows.iter().filter(|row| row.status != AlertStatus::Withdrawn);
    (told(standing.map(|row| row.json.clone())), batches)
}

#[tokio::test]
async fn two_regions_of_a_trail_are_judged_as_a_scan_judges_them() {
    let folder = tempfile::tempdir().unwrap();
    lay_down(folder.path(), 0);
    lay_down(folder.path(), 1);
    let (served, batches) = served(vec![folder.path().to_owned()]).await;
    assert_eq!(served, scanned(folder.path()));
    assert!(!served.is_empty(), "somebody walked through all secrets");
    assert!(batches < 10, "a lone source is read in large batches: {batches}");
}

#[tokio::test]
async fn a_source_for_each_region_comes_to_the_same() {
    let folder = tempfile::tempdir().unwrap();
    for (number, region) in REGIONS.iter().enumerate() {
        lay_down(&folder.path().join(region), number);
    }
    let (served, _) = served(REGIONS.map(|region| folder.path().join(region)).to_vec()).await;
    assert_eq!(served, scanned(folder.path()));
}
