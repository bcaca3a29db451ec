//! A spool that is full: told while it lasts, and what was dropped is counted.

use super::{LIMIT, Lock, listens, metric, site_of, stored};
use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, wait_until};
use crate::peers::installed;
use std::io::Write;
use std::net::TcpStream;

/// More than the smallest spool holds, several times over.
const SENT: u64 = 8_000;

#[test]
fn a_full_spool_is_told_until_there_is_room_and_what_it_could_not_take_is_counted() {
    let Some(setup) = installed() else { return };
    let receiver = Receiver::start(false);
    let (site, (socket, _)) = site_of(&receiver, "1MiB");
    let service = Service::start(&site.config());
    wait_until("Keywatch listens", LIMIT, || listens(socket));
    let lock = Lock::take(&setup, &site);
    let mut device = TcpStream::connect(("127.0.0.1", socket)).expect("connected");
    for number in 0..SENT {
        let line = vault_line(number, 60, "ada", "read secret/data/app", None);
        device.write_all(line.as_bytes()).expect("no write fails");
    }
    drop(device);
    let dropped = || metric(&service, "keywatch_source_dropped_records_total{source=\"device\"}");
    wait_until("it says so", LIMIT, || dropped() > 0 && service.said().contains("device has no room"));
    drop(lock);
    let told = |what: &str| receiver.received().messages.iter().any(|(_, body)| body.contains(what));
    wait_until("the full spool is told", LIMIT, || told("No room for what is pushed: device"));
    wait_until("the drops are told", LIMIT, || told("record(s) were dropped: the spool is full"));
    wait_until("there is room again", LIMIT, || told("device is as usual again"));
    let count = |name: &str| metric(&service, name);
    wait_until("all is stored", LIMIT, || count("keywatch_stored_events") + dropped() >= SENT);
    let dropped = dropped();
    assert_eq!(service.stop(), Some(0));
    assert_eq!(stored(&site), (SENT - dropped, 0), "{dropped} were dropped");
}
