//! How many events a second: `cargo bench --bench throughput`.
//!
//! Writes a `CloudTrail`-shaped NDJSON file, then measures whole processes on it: `keywatch scan`,
//! and `keywatch serve` following the file into SQLite with synchronous=FULL until the webhook for
//! the file's last event arrives. Prints rates and the peak resident memory. `KEYWATCH_BENCH_EVENTS`
//! sets the number of events (400,000), `KEYWATCH_BENCH_FILE` names a file to use instead.

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/harness/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses a part of what the tests use")]
mod harness;

use harness::{Receiver, Service, Site, program, resident_peak_kib, wait_until};
use std::fmt::Write as _;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::time::{Duration, Instant};

/// 2026-01-01T00:00:00Z.
const START: i64 = 1_767_225_600;
const PRINCIPALS: u64 = 2_000;
const SECRETS: u64 = 5_000;

fn main() {
    let events: u64 = variable("KEYWATCH_BENCH_EVENTS").and_then(|n| n.parse().ok()).unwrap_or(400_000);
    let folder = tempfile::tempdir().expect("a folder");
    let file =
        variable("KEYWATCH_BENCH_FILE").map_or_else(|| folder.path().join("events.ndjson"), PathBuf::from);
    if !file.exists() {
        write_events(&file, events);
    }
    let bytes = std::fs::metadata(&file).expect("the file").len();
    println!("{} MB of events in {}", bytes >> 20, file.display());
    scan(&file);
    serve(&file);
}

#[expect(clippy::disallowed_methods, reason = "a benchmark has no configuration")]
fn variable(name: &str) -> Option<String> {
    std::env::var(name).ok()
}

fn scan(file: &Path) {
    let started = Instant::now();
    let mut child = program()
        .args(["scan", "--format", "ndjson"])
        .arg(file)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the program starts");
    let mut peak = 0;
    while child.try_wait().expect("it runs").is_none() {
        peak = resident_peak_kib(child.id()).unwrap_or(peak);
        std::thread::park_timeout(Duration::from_millis(20));
    }
    let output = child.wait_with_output().expect("it ends");
    println!("scan: {:.2} s wall, {} MiB peak", started.elapsed().as_secs_f64(), peak >> 10);
    println!("{}", String::from_utf8_lossy(&output.stderr));
}

fn serve(file: &Path) {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let log = site.logs().join("events.ndjson");
    std::fs::copy(file, &log).expect("copied");
    let mut last = std::fs::OpenOptions::new().append(true).open(&log).expect("the log");
    last.write_all(deletion().as_bytes()).expect("written");
    let started = Instant::now();
    let service = Service::start(&site.config());
    let told = || receiver.received().messages.iter().any(|(_, body)| body.contains("the-last-secret"));
    wait_until("the last event is told", Duration::from_mins(30), told);
    let took = started.elapsed().as_secs_f64();
    let peak = service.resident_peak_kib().unwrap_or(0);
    assert_eq!(service.stop(), Some(0));
    let totals = site.look(async |store| store.totals().await.expect("totals"));
    let stored = std::fs::metadata(site.database()).map_or(0, |file| file.len());
    println!(
        "serve: {} events stored in {took:.2} s: {} events/s, {} MiB peak, database {} MB, {} alerts",
        totals.events,
        per_second(totals.events, took),
        peak >> 10,
        stored >> 20,
        totals.alerts,
    );
}

fn per_second(events: u64, secs: f64) -> String {
    let events = u32::try_from(events).map_or(f64::from(u32::MAX), f64::from);
    format!("{:.0}", events / secs)
}

fn write_events(path: &Path, events: u64) {
    let mut out = std::io::BufWriter::with_capacity(1 << 20, std::fs::File::create(path).expect("a file"));
    let mut record = String::new();
    for n in 0..events {
        record.clear();
        write_event(&mut record, n);
        out.write_all(record.as_bytes()).expect("written");
    }
    out.flush().expect("written");
}

fn write_event(out: &mut String, n: u64) {
    let lot = n.wrapping_mul(0x9E37_79B9_7F4A_7C15) >> 20;
    let (who, secret) = (lot % PRINCIPALS, (lot / PRINCIPALS) % SECRETS);
    let at =
        chrono::DateTime::from_timestamp(START + i64::try_from(n / 6).expect("small"), 0).expect("a time");
    let time = at.format("%Y-%m-%dT%H:%M:%SZ");
    let (name, error) = match n % 100 {
        0 => (
            "GetSecretValue",
            ",\"errorCode\":\"AccessDenied\",\"errorMessage\":\"not authorized to perform: secretsmanager:GetSecretValue\"",
        ),
        1..=9 => ("DescribeSecret", ""),
        10..=19 => ("ListSecrets", ""),
        _ => ("GetSecretValue", ""),
    };
    writeln!(
        out,
        "{{\"eventVersion\":\"1.09\",\"userIdentity\":{{\"type\":\"AssumedRole\",\"principalId\":\"AROAEXAMPLE{who}:i-0{who:016x}\",\"arn\":\"arn:aws:sts::111122223333:assumed-role/svc-{who}/i-0{who:016x}\",\
         \"accountId\":\"111122223333\",\"accessKeyId\":\"ASIAEXAMPLE{who:08}\",\"sessionContext\":{{\"sessionIssuer\":{{\"type\":\"Role\",\"principalId\":\"AROAEXAMPLE{who}\",\"arn\":\"arn:aws:iam::111122223333:role/svc-{who}\",\
         \"accountId\":\"111122223333\",\"userName\":\"svc-{who}\"}},\"webIdFederationData\":{{}},\"attributes\":{{\"creationDate\":\"{time}\",\"mfaAuthenticated\":\"false\"}}}}}},\
         \"eventTime\":\"{time}\",\"eventSource\":\"secretsmanager.amazonaws.com\",\"eventName\":\"{name}\",\"awsRegion\":\"eu-west-1\",\"sourceIPAddress\":\"18.{}.{}.{}\",\
         \"userAgent\":\"aws-sdk-java/2.25.11 Linux/5.10.214-202.855.amzn2.x86_64 OpenJDK_64-Bit_Server_VM/17.0.10+7-LTS Java/17.0.10 vendor/Amazon.com_Inc. io/sync http/Apache cfg/retry-mode/legacy\"{error},\
         \"requestParameters\":{{\"secretId\":\"arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/service-{secret}/db-password-AbCdEf\"}},\"responseElements\":null,\
         \"requestID\":\"{n:08x}-1111-4222-8333-444455556666\",\"eventID\":\"{n:08x}-aaaa-4bbb-8ccc-ddddeeeeffff\",\"readOnly\":true,\"eventType\":\"AwsApiCall\",\"managementEvent\":true,\
         \"recipientAccountId\":\"111122223333\",\"eventCategory\":\"Management\",\"tlsDetails\":{{\"tlsVersion\":\"TLSv1.3\",\"cipherSuite\":\"TLS_AES_128_GCM_SHA256\",\"clientProvidedHostHeader\":\"secretsmanager.eu-west-1.amazonaws.com\"}}}}",
        who % 250, who % 90, who % 200
    )
    .expect("text");
}

/// The event whose alert marks the end.
fn deletion() -> String {
    let mut record = String::new();
    write_event(&mut record, 99_999_999);
    let request = "{\"secretId\":\"the-last-secret\",\"forceDeleteWithoutRecovery\":true}";
    let from = record.find("\"requestParameters\":").expect("the key") + "\"requestParameters\":".len();
    let to = record.find(",\"responseElements\"").expect("the key");
    record.replace_range(from..to, request);
    record.replace("\"GetSecretValue\"", "\"DeleteSecret\"")
}
