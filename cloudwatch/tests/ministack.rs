//! The real SDK against ministack, through a proxy that fails on purpose.
//!
//! `cargo xtask test` installs ministack and says where (`KEYWATCH_SETUP`); without it these tests
//! say that they did nothing.
#![expect(clippy::print_stdout, reason = "a test that does nothing must say so")]
#![expect(clippy::unwrap_used, reason = "test helpers; a panic is the answer")]

use aws_config::{BehaviorVersion, Region};
use aws_sdk_cloudwatch::config::Credentials;
use aws_sdk_cloudwatch::primitives::DateTime as AwsTime;
use aws_sdk_cloudwatch::types::{ComparisonOperator, Dimension, Statistic};
use chrono::{DateTime, TimeDelta, Utc};
use keywatch_cloudwatch::alarm::{Alarm, Difference, Done};
use keywatch_cloudwatch::{Client, CloudWatchError, Publisher, Sent, Settings};
use keywatch_event::{
    AuditEvent, Class, Classified, Evaluation, EventTime, Level, Outcome, Place, Principal, PrincipalKind,
    Provider, Source,
};
use keywatch_store::{Incoming, IncomingEvent, Judge, Store};
use std::collections::{BTreeSet, VecDeque};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

/// A running ministack; ended when dropped.
struct Ministack {
    child: Child,
    port: u16,
}

impl Drop for Ministack {
    fn drop(&mut self) {
        let _gone = self.child.kill();
        let _reaped = self.child.wait();
    }
}

fn ministack() -> Option<Ministack> {
    let Some(setup) = std::env::var_os("KEYWATCH_SETUP") else {
        println!(
            "KEYWATCH_SETUP names no folder with ministack: nothing was checked; run `cargo xtask test`"
        );
        return None;
    };
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let child = Command::new(std::path::Path::new(&setup).join("venv/bin/ministack"))
        .envs([("BIND_HOST", "127.0.0.1"), ("GATEWAY_PORT", &port.to_string())])
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    let ministack = Ministack { child, port };
    let deadline = Instant::now() + Duration::from_mins(1);
    while TcpStream::connect(("127.0.0.1", port)).is_err() {
        assert!(Instant::now() < deadline, "ministack did not start");
        std::thread::park_timeout(Duration::from_millis(50));
    }
    Some(ministack)
}

/// What the proxy does with one request.
#[derive(Clone, Copy)]
enum Fault {
    /// Answers with this status and hands nothing on.
    Status(u16),
    /// Hands it on and loses the reply.
    LostReply,
}

/// Passes requests on, except for those that a fault is waiting for.
#[derive(Clone)]
struct Proxy {
    port: u16,
    faults: Arc<Mutex<VecDeque<Fault>>>,
}

impl Proxy {
    fn start(to: u16) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let proxy = Self { port: listener.local_addr().unwrap().port(), faults: Arc::default() };
        let shared = proxy.clone();
        std::thread::spawn(move || {
            for client in listener.incoming().flatten() {
                let proxy = shared.clone();
                std::thread::spawn(move || proxy.one(client, to));
            }
        });
        proxy
    }

    fn next_fails(&self, fault: Fault) {
        self.faults.lock().unwrap().push_back(fault);
    }

    /// One request per connection: the answer says that it closes.
    fn one(&self, mut client: TcpStream, to: u16) -> Option<()> {
        let request = message(&mut client)?;
        let fault = self.faults.lock().unwrap().pop_front();
        if let Some(Fault::Status(status)) = fault {
            let head = format!("HTTP/1.1 {status} X\r\ncontent-length: 0\r\nconnection: close\r\n\r\n");
            return client.write_all(head.as_bytes()).ok();
        }
        let mut server = TcpStream::connect(("127.0.0.1", to)).ok()?;
        server.write_all(&request).ok()?;
        let answer = message(&mut server)?;
        if fault.is_some() {
            return None;
        }
        client.write_all(&answer).ok()
    }
}

/// One HTTP message with a content-length, or until the peer closes; asked to be the last.
fn message(stream: &mut TcpStream) -> Option<Vec<u8>> {
    let (mut bytes, mut part) = (Vec::new(), [0; 16 << 10]);
    loop {
        let read = stream.read(&mut part).ok()?;
        bytes.extend_from_slice(part.get(..read)?);
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let head =
            end.map(|end| String::from_utf8_lossy(bytes.get(..end).unwrap_or_default()).to_lowercase());
        let length = head.as_deref().and_then(|head| {
            head.split("content-length:").nth(1)?.lines().next()?.trim().parse::<usize>().ok()
        });
        let is_whole = end.zip(length).is_some_and(|(end, length)| bytes.len() >= end + 4 + length);
        if is_whole || read == 0 {
            let at = end? + 2;
            bytes.splice(at..at, *b"connection: close\r\n");
            return Some(bytes);
        }
    }
}

async fn client(port: u16) -> Client {
    let credentials = Credentials::new("AKIDEXAMPLE", "example", None, None, "test");
    let loader = aws_config::defaults(BehaviorVersion::latest()).region(Region::new("eu-west-1"));
    Client::from_shared(&loader.credentials_provider(credentials).load().await, &settings(port))
}

fn settings(port: u16) -> Settings {
    Settings {
        namespace: "MyApp/Security".to_owned(),
        region: None,
        endpoint: Some(format!("http://127.0.0.1:{port}")),
    }
}

/// Every event is a read that one rule classified.
struct Says;

impl Judge for Says {
    fn judge(&mut self, fresh: &[usize]) -> Evaluation {
        let one = || Classified { level: Level::Warning, rules: vec![Arc::from("KW-002")], matters_secs: 0 };
        Evaluation { classified: fresh.iter().map(|_| one()).collect(), ..Evaluation::default() }
    }
}

async fn commit(store: &Store, ids: std::ops::Range<u32>, now: DateTime<Utc>) {
    let event = |id: u32| IncomingEvent {
        event: AuditEvent {
            id: format!("e-{id}").into(),
            time: EventTime::from(now),
            time_raw: None,
            received_at: EventTime::from(now),
            provider: Provider::Aws,
            service: "s".into(),
            store: None,
            account: None,
            region: None,
            operation: "GetSecretValue".into(),
            class: Class::SecretRead,
            outcome: Outcome::Ok,
            error: None,
            principal: Principal {
                id: "p".into(),
                kind: PrincipalKind::Role,
                name: None,
                session: None,
                access_key: None,
                via: None,
            },
            source: Source::absent(),
            user_agent: None,
            secrets: Vec::new(),
            echo_of: None,
            scrubbed: Vec::new(),
            told: None,
        },
        place: Place { name: Arc::from("log"), line: u64::from(id), record: 0 },
        raw: 0..2,
    };
    let events: Vec<_> = ids.map(event).collect();
    let incoming = Incoming { events: &events, bytes: b"{}", rejects: &[], advances: &[], received_at: now };
    store.commit(&incoming, &mut Says, &[]).await.unwrap();
}

/// What CloudWatch has added up of one level. (Without a dimension ministack adds up all of them,
/// which CloudWatch does not.)
async fn sum(sdk: &aws_sdk_cloudwatch::Client, now: DateTime<Utc>) -> String {
    let statistics = sdk
        .get_metric_statistics()
        .namespace("MyApp/Security")
        .metric_name("SecretAccessCount")
        .dimensions(Dimension::builder().name("Level").value("warning").build())
        .start_time(AwsTime::from_secs(now.timestamp() - 7200))
        .end_time(AwsTime::from_secs(now.timestamp() + 7200))
        .period(60)
        .statistics(Statistic::Sum)
        .send()
        .await
        .unwrap();
    let points = statistics.datapoints().iter().filter_map(aws_sdk_cloudwatch::types::Datapoint::sum);
    points.sum::<f64>().to_string()
}

struct Stage {
    _folder: tempfile::TempDir,
    store: Store,
    now: Arc<Mutex<DateTime<Utc>>>,
    proxy: Proxy,
    direct: aws_sdk_cloudwatch::Client,
}

impl Stage {
    async fn open(ministack: &Ministack) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
        // CloudWatch takes what is recent only, so the test begins at the present.
        let began = DateTime::<Utc>::from(std::fs::metadata(folder.path()).unwrap().modified().unwrap());
        let direct = client(ministack.port).await.sdk().clone();
        Self {
            _folder: folder,
            store,
            now: Arc::new(Mutex::new(began)),
            proxy: Proxy::start(ministack.port),
            direct,
        }
    }

    fn now(&self) -> DateTime<Utc> {
        *self.now.lock().unwrap()
    }

    fn pass(&self, secs: i64) {
        *self.now.lock().unwrap() += TimeDelta::seconds(secs);
    }

    async fn publisher(&self) -> Publisher {
        let now = Arc::clone(&self.now);
        let clock = Arc::new(move || *now.lock().unwrap());
        let rules = BTreeSet::from(["KW-002".to_owned()]);
        Publisher::start(self.store.clone(), client(self.proxy.port).await, rules, clock).await.unwrap()
    }
}

const TAKEN: Sent = Sent { taken: 1, refused: 0, doubted: 0 };
const REFUSED: Sent = Sent { taken: 0, refused: 1, doubted: 0 };
const DOUBTED: Sent = Sent { taken: 0, refused: 0, doubted: 1 };

#[tokio::test]
async fn what_is_stored_is_counted_once_whatever_goes_wrong() {
    let Some(ministack) = ministack() else { return };
    let stage = Stage::open(&ministack).await;
    commit(&stage.store, 0..4, stage.now()).await;
    let publisher = stage.publisher().await;
    commit(&stage.store, 4..11, stage.now()).await;
    commit(&stage.store, 4..11, stage.now()).await;
    publisher.count().await.unwrap();

    for status in [500, 503, 429] {
        stage.proxy.next_fails(Fault::Status(status));
        assert_eq!(publisher.send_one().await.unwrap(), REFUSED, "{status}");
        assert_eq!(publisher.send_one().await.unwrap(), Sent::default(), "it waits after {status}");
        stage.pass(900);
    }
    assert_eq!(publisher.send_one().await.unwrap(), TAKEN);
    assert_eq!(sum(&stage.direct, stage.now()).await, "7", "what was stored before the start is not counted");

    commit(&stage.store, 11..14, stage.now()).await;
    publisher.count().await.unwrap();
    stage.proxy.next_fails(Fault::LostReply);
    assert_eq!(publisher.send_one().await.unwrap(), DOUBTED);
    let again = stage.publisher().await;
    again.count().await.unwrap();
    stage.pass(86_400);
    assert_eq!(again.send_one().await.unwrap(), Sent::default(), "it is not sent again");
    stage.pass(-86_400);
    assert_eq!(sum(&stage.direct, stage.now()).await, "10");

    // Killed between the mark and the sending, and before the mark.
    commit(&stage.store, 14..15, stage.now()).await;
    again.count().await.unwrap();
    assert!(stage.store.next_publication(stage.now()).await.unwrap().is_some());
    commit(&stage.store, 15..20, stage.now()).await;
    again.count().await.unwrap();
    let restarted = stage.publisher().await;
    assert_eq!(restarted.send_one().await.unwrap(), TAKEN);
    assert_eq!(restarted.send_one().await.unwrap(), Sent::default());
    assert_eq!(sum(&stage.direct, stage.now()).await, "15", "a minute may be missing, none is doubled");
}

#[tokio::test]
async fn nothing_that_was_never_sent_is_in_doubt() {
    let folder = tempfile::tempdir().unwrap();
    let store = Store::open(&folder.path().join("keywatch.db")).await.unwrap();
    let now = DateTime::from_timestamp(1_800_000_000, 0).unwrap();
    let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
    let publisher =
        Publisher::start(store.clone(), client(port).await, BTreeSet::new(), Arc::new(move || now))
            .await
            .unwrap();
    commit(&store, 0..1, now).await;
    publisher.count().await.unwrap();
    assert_eq!(publisher.send_one().await.unwrap(), REFUSED, "nobody listens there");
}

#[tokio::test]
async fn the_alarm_is_made_kept_changed_and_removed_and_that_of_others_left_alone() {
    let Some(ministack) = ministack() else { return };
    let client = client(ministack.port).await;
    let mut wanted = Alarm {
        name: "SecretAccessAnomaly".to_owned(),
        metric: "SecretAccessCount".to_owned(),
        period_secs: 300,
        threshold: 100.0,
        topics: vec!["arn:aws:sns:eu-west-1:111122223333:security".to_owned()],
    };
    assert_eq!(client.remove(&wanted.name).await.unwrap(), Done::Absent);
    assert_eq!(client.difference(&wanted).await.unwrap(), Some(Difference::Missing));
    assert_eq!(client.apply(&wanted).await.unwrap(), Done::Created);
    let made = client.sdk().describe_alarms().alarm_names(&wanted.name).send().await.unwrap();
    let made = made.metric_alarms().first().unwrap();
    assert_eq!((made.namespace(), made.metric_name()), (Some("MyApp/Security"), Some("SecretAccessCount")));
    assert_eq!((made.statistic(), made.period()), (Some(&Statistic::Sum), Some(300)));
    assert_eq!((made.evaluation_periods(), made.threshold()), (Some(1), Some(100.0)));
    assert_eq!(made.comparison_operator(), Some(&ComparisonOperator::GreaterThanThreshold));
    assert_eq!(made.alarm_actions(), wanted.topics);

    assert_eq!(client.apply(&wanted).await.unwrap(), Done::Unchanged);
    wanted.threshold = 200.0;
    let differs = client.difference(&wanted).await.unwrap();
    assert_eq!(differs, Some(Difference::Settings(vec![("Threshold", "100".to_owned(), "200".to_owned())])));
    assert_eq!(client.apply(&wanted).await.unwrap(), Done::Updated);
    assert_eq!(client.difference(&wanted).await.unwrap(), None);

    let foreign = Alarm { name: "Theirs".to_owned(), ..wanted.clone() };
    let put = client.sdk().put_metric_alarm().alarm_name("Theirs").namespace("N").metric_name("M");
    let put = put.statistic(Statistic::Average).period(60).evaluation_periods(2).threshold(1.0);
    put.comparison_operator(ComparisonOperator::LessThanThreshold).send().await.unwrap();
    assert!(matches!(client.apply(&foreign).await, Err(CloudWatchError::Foreign(_))));
    assert!(matches!(client.remove("Theirs").await, Err(CloudWatchError::Foreign(_))));
    let theirs = client.sdk().describe_alarms().alarm_names("Theirs").send().await.unwrap();
    assert_eq!(theirs.metric_alarms().first().unwrap().period(), Some(60));

    assert_eq!(client.remove(&wanted.name).await.unwrap(), Done::Removed);
    assert_eq!(client.remove(&wanted.name).await.unwrap(), Done::Absent);
}
