//! Senders as Vault is one, against a device whose records nobody takes.

use super::*;
use crate::spool::{Lost, Refusal, Spool, Storage};
use chrono::DateTime;
use keywatch_ingest::source::{Clock, Health};
use keywatch_secrets::Settings;
use std::io::Write;
use std::net::TcpStream;
use std::time::Instant;

const PATIENCE: Duration = Duration::from_secs(20);
/// Vault gives up a write after two seconds.
const WRITE_MAX: Duration = Duration::from_secs(2);
const RATE: u32 = 5_000;

struct Stand {
    spool: Spool,
    address: SocketAddr,
    health: Health,
    _tasks: JoinSet<()>,
    folder: tempfile::TempDir,
}

async fn stand(bytes_max: u64, mut device: Device) -> Stand {
    let folder = tempfile::tempdir_in(place()).unwrap();
    let address = TcpListener::bind("127.0.0.1:0").await.unwrap().local_addr().unwrap();
    if device.udp.is_some() {
        device.udp = Some(address);
    } else {
        device.tcp = Some(address);
    }
    if device.token.is_some() {
        std::fs::write(folder.path().join("token"), "tok-1").unwrap();
        device.token = Some(format!("file:{}", folder.path().join("token").display()).parse().unwrap());
    }
    let storage = Storage { folder: folder.path().join("spool"), bytes_max };
    let (spool, _) = Spool::open("v", &storage, None).unwrap();
    let clock: Clock = Arc::new(|| DateTime::from_timestamp(0, 0).unwrap());
    let health = Health::default();
    let intake = Intake::new("v", spool.door(), (clock, health.clone()));
    let mut tasks = JoinSet::new();
    listen(device, &SecretManager::new(Settings::new(Arc::new(|_: &str| None))), &intake, &mut tasks);
    let deadline = Instant::now() + PATIENCE;
    while !health.read().has_begun {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    Stand { spool, address, health, _tasks: tasks, folder }
}

/// Where the spool lies: a small file system in runs on demand.
#[expect(clippy::disallowed_methods, reason = "a folder, for runs on demand")]
fn place() -> std::path::PathBuf {
    std::env::var("KEYWATCH_LOAD_FOLDER").map_or_else(|_| std::env::temp_dir(), Into::into)
}

/// How long the storm lasts. `KEYWATCH_LOAD_SECS=600` for ten minutes.
#[expect(clippy::disallowed_methods, reason = "how long, for runs on demand")]
fn storm_secs() -> u32 {
    std::env::var("KEYWATCH_LOAD_SECS").ok().and_then(|text| text.parse().ok()).unwrap_or(2)
}

fn line(number: u32) -> String {
    format!(
        "{{\"time\":\"2026-11-27T00:00:00Z\",\"type\":\"response\",\"auth\":{{\"display_name\":\"token\",\"accessor\":\"{}\"}},\"request\":{{\"id\":\"r{number}\",\"operation\":\"read\",\"path\":\"secret/data/a\"}}}}\n",
        "x".repeat(700)
    )
}

/// Writes lines at [`RATE`], as Vault does: one at a time, each within two seconds. How long each
/// write took, ascending.
fn storm(to: SocketAddr, secs: u32) -> Vec<Duration> {
    let mut stream = TcpStream::connect(to).unwrap();
    stream.set_write_timeout(Some(WRITE_MAX)).unwrap();
    let began = Instant::now();
    let mut took = Vec::new();
    for number in 0..RATE * secs {
        let due = began + Duration::from_secs(1) / RATE * number;
        while let Some(wait) = due.checked_duration_since(Instant::now()) {
            std::thread::park_timeout(wait);
        }
        let line = line(number);
        let at = Instant::now();
        stream.write_all(line.as_bytes()).expect("no write may fail or time out");
        took.push(at.elapsed());
    }
    took.sort();
    took
}

/// The database locked, or the worker stopped: nobody takes records. The spool has room for a part
/// of them only.
#[expect(clippy::print_stdout, reason = "figures are for reading")]
#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn while_nobody_takes_records_and_the_spool_is_full_no_write_waits() {
    let stand = stand(4 << 20, Device::default()).await;
    let (address, secs) = (stand.address, storm_secs());
    let took = tokio::task::spawn_blocking(move || storm(address, secs)).await.unwrap();
    let sent = u64::from(RATE * secs);
    let mut lost = 0;
    let deadline = Instant::now() + PATIENCE;
    let kept = || -> u64 {
        let files = std::fs::read_dir(stand.folder.path().join("spool")).unwrap().map(Result::unwrap);
        files.map(|file| file.metadata().unwrap().len().saturating_sub(8)).sum::<u64>()
    };
    let each = (line(0).trim_end().len() + 9) as u64;
    // Numbers of different lengths: an estimate of how many are kept is enough to know when to stop.
    while lost + kept() / (each + 5) < sent * 99 / 100 && lost + kept() / each < sent {
        lost += stand.spool.door().take_lost().iter().map(|lost| lost.count).sum::<u64>();
        assert!(Instant::now() < deadline, "{lost} lost, {} bytes kept of {sent}", kept());
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let at = |share: usize| took[(took.len() * share / 100).min(took.len() - 1)];
    println!(
        "{sent} lines at {RATE}/s, {lost} dropped and counted: a write took p50 {:?}, p99 {:?}, at most {:?}",
        at(50),
        at(99),
        took[took.len() - 1]
    );
    assert!(lost > 0, "the spool was meant to be full");
    assert!(at(99) < Duration::from_millis(50), "{:?}", at(99));
}

async fn records(stand: &mut Stand, wanted: usize) -> Vec<String> {
    let mut found = Vec::new();
    while found.len() < wanted {
        let (batch, _) = tokio::time::timeout(PATIENCE, stand.spool.next()).await.unwrap().unwrap();
        found.extend(batch.records.iter().map(|one| String::from_utf8_lossy(batch.raw(one)).into_owned()));
        found.extend(batch.rejects.iter().map(|one| format!("reject {}", one.reason.kind())));
    }
    found
}

fn short(number: u32) -> String {
    format!("{{\"time\":\"2026-11-27T00:00:00Z\",\"type\":\"request\",\"request\":{{\"id\":\"r{number}\"}}}}")
}

#[tokio::test]
async fn a_datagram_is_a_message() {
    let device = Device { udp: Some(([127, 0, 0, 1], 0).into()), ..Device::default() };
    let mut stand = stand(1 << 20, device).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..3 {
        let message = format!("<86>Nov 27 10:00:00 host vault[7]: {}", short(number));
        socket.send_to(message.as_bytes(), stand.address).unwrap();
    }
    assert_eq!(records(&mut stand, 3).await, [short(0), short(1), short(2)]);
}

/// One thread: nothing is taken while the test sends, so the socket's buffer overflows for certain.
#[cfg(target_os = "linux")]
#[tokio::test]
async fn datagrams_that_the_system_dropped_are_counted_to_the_last_one() {
    const SENT: u64 = 3_000;
    let device = Device { udp: Some(([127, 0, 0, 1], 0).into()), ..Device::default() };
    let mut stand = stand(64 << 20, device).await;
    let socket = std::net::UdpSocket::bind("127.0.0.1:0").unwrap();
    for number in 0..SENT {
        let message = format!("<86>Nov 27 10:00:00 host vault[7]: {}", line(u32::try_from(number).unwrap()));
        socket.send_to(message.as_bytes(), stand.address).unwrap();
    }
    let (mut taken, mut lost) = (0, Vec::new());
    let deadline = Instant::now() + PATIENCE;
    let sum = |lost: &Vec<Lost>| lost.iter().map(|lost| lost.count).sum::<u64>();
    while taken + sum(&lost) < SENT {
        assert!(Instant::now() < deadline, "{taken} taken, {lost:?} lost of {SENT}");
        if let Ok(next) = tokio::time::timeout(Duration::from_millis(5), stand.spool.next()).await {
            taken += next.unwrap().0.records.len() as u64;
        }
        lost.extend(stand.spool.door().take_lost());
    }
    assert_eq!(taken + sum(&lost), SENT);
    assert!(taken > 0 && lost.iter().all(|lost| lost.why == Refusal::Kernel && lost.count > 0), "{lost:?}");
}

#[tokio::test]
async fn only_messages_with_the_token_are_taken_and_the_token_is_not_kept() {
    let device = Device { token: Some("file:/x".parse().unwrap()), ..Device::default() };
    let mut stand = stand(1 << 20, device).await;
    let mut stream = TcpStream::connect(stand.address).unwrap();
    let (good, bad) = (short(1), short(2));
    stream
        .write_all(
            format!("tok-1 {good}\n{bad}\ntok-2 {bad}\n<86>Nov 27 10:00:00 h vault: tok-1{good}\n")
                .as_bytes(),
        )
        .unwrap();
    assert_eq!(records(&mut stand, 2).await, [good.clone(), good]);
    assert_eq!(stand.health.read().refused.values().sum::<u64>(), 2);
}

#[tokio::test]
async fn from_elsewhere_nothing_is_taken() {
    let device = Device { networks: vec!["10.0.0.0/8".parse().unwrap()], ..Device::default() };
    let stand = stand(1 << 20, device).await;
    let mut stream = TcpStream::connect(stand.address).unwrap();
    let _reset = stream.write_all(short(1).as_bytes());
    let deadline = Instant::now() + PATIENCE;
    while stand.health.read().refused.is_empty() {
        assert!(Instant::now() < deadline);
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
}

#[tokio::test]
async fn a_line_of_forty_megabytes_is_taken_whole() {
    let mut stand = stand(128 << 20, Device::default()).await;
    let address = stand.address;
    let long = short(1).replace("r1", &"y".repeat(40 << 20));
    let sent = long.clone();
    let sender = tokio::task::spawn_blocking(move || {
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(format!("{sent}\n{}\n", short(2)).as_bytes()).unwrap();
    });
    let found = records(&mut stand, 2).await;
    sender.await.unwrap();
    assert_eq!((found[0].len(), found[1].as_str()), (long.len(), short(2).as_str()));
}
