//! What is pushed: histories that a seed decides, and how soon an event is stored.

use super::chance::Chance;
use super::simulation::{compare, run_all};
use super::stage::{Running, START, Stage, clean, records};
use keywatch_push::{Device, Http, Pushed, Settings, Storage, Way};
use keywatch_secrets::SecretManager;
use std::collections::HashMap;
use std::net::SocketAddr;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UnixStream};
use tokio::task::JoinSet;

const NOW: i64 = START + 49 * 3600;
const RECORDS: usize = 60;
const LIMIT: Duration = Duration::from_mins(1);

async fn start(stage: &Stage, folder: &Path, way: Way) -> Running {
    std::fs::write(folder.join("token"), "open-sesame").unwrap();
    let secrets = SecretManager::new(keywatch_secrets::Settings::new(Arc::new(|_: &str| None)));
    let storage = Storage { folder: folder.join("spool"), bytes_max: 64 << 20 };
    let position = stage.positions().await.get(&Pushed::position_name("p")).cloned();
    let told = (stage.hand.clock(), stage.health.clone());
    Stage::run(Pushed::start("p", &secrets, Settings { storage, way }, position, told).await)
}

fn http(listen: SocketAddr, folder: &Path) -> Way {
    Way::Http(Http {
        listen,
        tls: None,
        networks: Vec::new(),
        tokens: vec![format!("file:{}", folder.join("token").display()).parse().unwrap()],
        pub_sub: None,
        sns: None,
        body_bytes_max: 1 << 20,
        requests_max: 8,
    })
}

/// An address nobody has.
async fn free() -> SocketAddr {
    TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap()
}

/// Sends a body, all of it or the first part; whether it was taken.
async fn post(to: SocketAddr, body: &str, part: usize) -> bool {
    let attempt = async {
        let mut stream = TcpStream::connect(to).await?;
        let head = format!(
            "POST /v1/events HTTP/1.1\r\nhost: k\r\nauthorization: Bearer open-sesame\r\ncontent-length: {}\r\nconnection: close\r\n\r\n",
            body.len()
        );
        stream.write_all(head.as_bytes()).await?;
        stream.write_all(&body.as_bytes()[..part]).await?;
        if part < body.len() {
            return Ok(String::new());
        }
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    attempt.await.is_ok_and(|answer| answer.starts_with("HTTP/1.1 200"))
}

/// Sends every body until it is taken, as senders do.
async fn send_all(to: SocketAddr, bodies: Vec<String>, mut chance: Chance, taken: Arc<AtomicUsize>) {
    for body in bodies {
        if chance.happens(20) {
            post(to, &body, chance.below(body.len() as u64) as usize).await;
        }
        let deadline = Instant::now() + LIMIT;
        while !post(to, &body, body.len()).await {
            assert!(Instant::now() < deadline, "a body is never taken");
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        if chance.happens(20) {
            // The answer was lost, and the sender comes again.
            post(to, &body, body.len()).await;
        }
        taken.fetch_add(1, Ordering::AcqRel);
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_requests_everything_comes_once_whatever_happens() {
    run_all(by_requests).await;
}

async fn by_requests(seed: u64) {
    let mut chance = Chance::new(seed ^ 0x0B57);
    let ordered: Vec<String> =
        records(&mut chance, RECORDS, 48).into_iter().map(|(_, record)| record).collect();
    let mut shuffled = ordered.clone();
    chance.shuffle(&mut shuffled);
    let (mut bodies, mut rest) = (Vec::new(), shuffled.as_slice());
    while !rest.is_empty() {
        let (part, more) = rest.split_at((1 + chance.below(9) as usize).min(rest.len()));
        let is_array = chance.happens(50);
        bodies.push(if is_array { format!("[{}]", part.join(",")) } else { part.join("\n") });
        rest = more;
    }
    let twice: Vec<String> = bodies.iter().filter(|_| chance.happens(20)).cloned().collect();
    bodies.extend(twice);
    let (folder, to, total) = (tempfile::tempdir().unwrap(), free().await, bodies.len());
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, folder.path(), http(to, folder.path())).await;
    let (mut senders, taken) = (JoinSet::new(), Arc::new(AtomicUsize::new(0)));
    senders.spawn(send_all(to, bodies, chance.clone(), Arc::clone(&taken)));
    for _ in 0..chance.below(3) {
        stage.until_some(&mut running).await;
        if chance.happens(50) && taken.load(Ordering::Acquire) < total {
            stage.take_unheard(&mut running).await;
        }
        // Ends as a killed process does: nothing is told to anybody.
        drop(running);
        running = start(&stage, folder.path(), http(to, folder.path())).await;
    }
    let what = format!("seed {seed}: all is taken");
    stage.until(&mut running, &what, |_| taken.load(Ordering::Acquire) == total).await;
    senders.join_next().await.unwrap().unwrap();
    until_stored(&mut stage, &mut running, ordered.len() as u64).await;
    compare(seed, &stage.outcome().await, &clean(&ordered, NOW).await);
}

async fn until_stored(stage: &mut Stage, running: &mut Running, events: u64) {
    let deadline = Instant::now() + LIMIT;
    while stage.count().await < events {
        assert!(Instant::now() < deadline, "{} of {events}: {:?}", stage.count().await, stage.health.read());
        stage.until_some(running).await;
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn by_an_audit_device_everything_comes_once_whatever_happens() {
    run_all(by_device).await;
}

/// Bytes of records in the spool: what is there before anything was removed.
fn spooled(folder: &Path) -> usize {
    let files = std::fs::read_dir(folder.join("spool")).unwrap().map(Result::unwrap);
    let segments = files.filter(|file| file.path().extension().is_some_and(|name| name == "seg"));
    segments.map(|file| usize::try_from(file.metadata().unwrap().len()).unwrap().saturating_sub(8)).sum()
}

/// The line as the device, or a syslog daemon, sends it.
fn framed(record: &str, chance: &mut Chance) -> String {
    match chance.below(4) {
        0 => format!("<86>Nov 27 10:00:00 host vault[7]: {record}\n"),
        1 => {
            let message = format!("<86>1 2026-11-27T10:00:00Z host vault 7 - [a@1 b=\"{{c}}\"] {record}");
            format!("{} {message}", message.len())
        }
        2 => format!("@cee: {record}\n"),
        _ => format!("{record}\n"),
    }
}

async fn connect(path: &Path) -> UnixStream {
    let deadline = Instant::now() + LIMIT;
    loop {
        match UnixStream::connect(path).await {
            Ok(stream) => return stream,
            Err(error) => assert!(Instant::now() < deadline, "nobody listens: {error}"),
        }
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

/// Sends all; a connection breaks now and then in the middle of a line, and the whole line follows
/// over the next one, as Vault does it. How many bytes the spool grows by, and halves.
async fn write_all(path: &Path, all: &[String], chance: &mut Chance) -> (usize, u64) {
    let (mut stream, mut grown, mut halves) = (connect(path).await, 0, 0);
    for record in all {
        if chance.happens(20) {
            // Fewer bytes than make a record, and more than make a length.
            let cut = 15 + chance.below(record.len() as u64 - 40) as usize;
            stream.write_all(&record.as_bytes()[..cut]).await.unwrap();
            stream.shutdown().await.unwrap();
            (grown, halves) = (grown + 9 + record.as_bytes()[..cut].trim_ascii().len(), halves + 1);
            stream = connect(path).await;
        }
        stream.write_all(framed(record, chance).as_bytes()).await.unwrap();
        grown += 9 + record.len();
    }
    stream.shutdown().await.unwrap();
    (grown, halves)
}

async fn by_device(seed: u64) {
    let mut chance = Chance::new(seed ^ 0xDE7);
    let ordered: Vec<String> =
        records(&mut chance, RECORDS, 48).into_iter().map(|(_, record)| record).collect();
    let mut lines = ordered.clone();
    lines.extend(ordered.iter().filter(|_| chance.happens(20)).cloned());
    chance.shuffle(&mut lines);
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vault.sock");
    let way = || Way::Device(Device { unix: Some(socket.clone()), ..Device::default() });
    let mut stage = Stage::new(NOW).await;
    let mut running = start(&stage, folder.path(), way()).await;
    let later = lines.split_off(chance.below(lines.len() as u64) as usize);
    let (grown, mut halves) = write_all(&socket, &lines, &mut chance).await;
    let deadline = Instant::now() + LIMIT;
    while spooled(folder.path()) < grown {
        assert!(Instant::now() < deadline, "seed {seed}: {} of {grown}", spooled(folder.path()));
        tokio::time::sleep(Duration::from_millis(1)).await;
    }
    if !lines.is_empty() && chance.happens(50) {
        stage.take_unheard(&mut running).await;
    }
    // What is on disk survives; what is still in a socket would not. Nobody is to meet the old one.
    drop(running);
    std::fs::remove_file(&socket).unwrap();
    running = start(&stage, folder.path(), way()).await;
    halves += write_all(&socket, &later, &mut chance).await.1;
    until_stored(&mut stage, &mut running, ordered.len() as u64).await;
    compare(seed, &stage.outcome().await, &clean(&ordered, NOW).await);
    let deadline = Instant::now() + LIMIT;
    while stage.rejects().await < halves {
        assert!(Instant::now() < deadline, "seed {seed}: {} of {halves} halves", stage.rejects().await);
        stage.until_some(&mut running).await;
    }
}

/// Events a second, and for how long. `KEYWATCH_SPEED=60000` sends that many.
const RATE: u64 = 1000;

#[expect(clippy::disallowed_methods, reason = "how many events, for runs on demand")]
fn events() -> usize {
    std::env::var("KEYWATCH_SPEED").ok().and_then(|text| text.parse().ok()).unwrap_or(2_000)
}

#[expect(clippy::print_stdout, reason = "figures are for reading")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn an_alert_is_stored_soon_after_its_record_was_sent() {
    let folder = tempfile::tempdir().unwrap();
    let socket = folder.path().join("vault.sock");
    let mut stage = Stage::new(NOW).await;
    stage.hears = false;
    let way = Way::Device(Device { unix: Some(socket.clone()), ..Device::default() });
    let mut running = start(&stage, folder.path(), way).await;
    let total = events();
    let all = records(&mut Chance::new(7), total, 48);
    let sent: Arc<Mutex<HashMap<usize, Instant>>> = Arc::default();
    let (mut sender, log) = (JoinSet::new(), Arc::clone(&sent));
    sender.spawn(async move {
        let mut stream = connect(&socket).await;
        let began = Instant::now();
        for (number, (_, record)) in all.into_iter().enumerate() {
            let due = began + Duration::from_micros(number as u64 * 1_000_000 / RATE);
            tokio::time::sleep_until(due.into()).await;
            log.lock().unwrap().insert(number, Instant::now());
            stream.write_all(format!("{record}\n").as_bytes()).await.unwrap();
        }
    });
    let (mut waits, mut number) = (Vec::with_capacity(total), 0);
    while number < total {
        let count = stage.take_counted(&mut running).await;
        for _ in 0..count {
            waits.extend(sent.lock().unwrap().remove(&number).map(|at| at.elapsed()));
            number += 1;
        }
    }
    waits.sort();
    let at = |share: usize| waits[(waits.len() * share / 100).min(waits.len() - 1)];
    let alerts = stage.outcome().await.1.len();
    println!(
        "{total} events at {RATE}/s, {alerts} alerts: p50 {:?}, p99 {:?} from sent to stored",
        at(50),
        at(99)
    );
    assert!(alerts > 0);
}
