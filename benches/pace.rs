//! How long from an alert's decision to its acceptance, at a hundred alerts a second:
//! `cargo bench --bench pace`.
//!
//! `keywatch serve` follows a Vault log to which a deletion is written every hundredth of a second,
//! each an alert of its own, and tells a receiver that answers at once. Prints the percentiles of
//! each stretch of the way, as the dashboard does, in milliseconds. `KEYWATCH_PACE_SECS` says for how
//! many seconds (10).

#![expect(clippy::print_stdout, reason = "a benchmark prints its figures")]

#[path = "../tests/harness/mod.rs"]
#[expect(dead_code, reason = "the benchmark uses a part of what the tests use")]
mod harness;

use harness::logs::{START, vault_line};
use harness::{Receiver, Service, Site, wait_until};
use std::io::Write;
use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

/// Alerts a second.
const PACE: u64 = 100;
const BEAT: Duration = Duration::from_millis(1000 / PACE);

#[expect(clippy::disallowed_methods, reason = "it is real time that is measured")]
fn main() {
    let asked = std::env::var("KEYWATCH_PACE_SECS").ok().and_then(|secs| secs.parse::<u64>().ok());
    let alerts = PACE * asked.unwrap_or(10);
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let mut log = std::fs::File::create(site.logs().join("audit.log")).expect("a log");
    let service = Service::start(&site.config());
    let (since, began) = (SystemTime::now(), Instant::now());
    let first = since.duration_since(UNIX_EPOCH).expect("after 1970").as_secs();
    for number in 0..alerts {
        let due = began + BEAT * u32::try_from(number).expect("small");
        std::thread::sleep(due.saturating_duration_since(Instant::now()));
        let secs = i64::try_from(first + number / PACE).expect("small") - START;
        let call = format!("delete secret/data/s{number}");
        let line = vault_line(number, secs, &format!("eve{number}"), &call, None);
        log.write_all(line.as_bytes()).expect("logged");
    }
    let told = || receiver.received().messages.len() as u64;
    wait_until("every deletion is told", Duration::from_mins(1), || told() >= alerts);
    let took = began.elapsed();
    assert_eq!(service.stop(), Some(0));
    let times = site.look(async |store| store.alert_times(since.into()).await.expect("times"));
    println!("{alerts} alerts in {:.2} s, {} of them timed", took.as_secs_f64(), times.count);
    println!("{times:#?}");
}
