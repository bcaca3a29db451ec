//! kill -9 at random moments: nothing is lost, nothing is doubled, every alert is delivered.

use crate::harness::logs::vault_stream;
use crate::harness::{Receiver, Service, Site, run, text, wait_until};
use std::collections::BTreeSet;
use std::fs::OpenOptions;
use std::io::Write;
use std::time::Duration;

const KILLS: u64 = 200;
/// Lines appended before each kill.
const LINES: u64 = 40;

/// A small generator of its own (xorshift64*), so that a failure can be run again.
struct Lots(u64);

impl Lots {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        (self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 33) % bound
    }
}

fn scanned_alerts(site: &Site) -> BTreeSet<String> {
    let logs = site.logs();
    let output = run(&["scan", "--format", "ndjson", "--quiet", logs.to_str().expect("a path")]);
    let id = |line: &str| {
        line.split_once("\"id\":\"").and_then(|(_, rest)| rest.split_once('"')).map(|(id, _)| id.to_owned())
    };
    text(&output.stdout).lines().filter_map(id).collect()
}

#[test]
fn killed_two_hundred_times_it_loses_nothing_and_doubles_nothing() {
    let receiver = Receiver::start(true);
    let site = Site::new(&receiver);
    let path = site.logs().join("audit.log");
    let mut log = OpenOptions::new().create(true).append(true).open(&path).expect("a log");
    let mut lots = Lots(0x9E37_79B9_7F4A_7C15);
    for round in 0..KILLS {
        let lines = vault_stream(round * LINES, LINES);
        // Torn in the middle of a line, as a writer's buffer tears it.
        let cut = usize::try_from(lots.below(lines.len() as u64)).expect("small");
        log.write_all(&lines.as_bytes()[..cut]).expect("written");
        let mut service = Service::spawn(&site.config());
        std::thread::park_timeout(Duration::from_millis(lots.below(40)));
        log.write_all(&lines.as_bytes()[cut..]).expect("written");
        std::thread::park_timeout(Duration::from_millis(lots.below(160)));
        service.kill().expect("killed");
        service.wait().expect("reaped");
    }
    let wanted = scanned_alerts(&site);
    assert!(wanted.len() > 50, "the log holds too few alerts to prove anything: {}", wanted.len());

    let service = Service::start(&site.config());
    let delivered = || receiver.received().accepted.values().cloned().collect::<BTreeSet<_>>();
    wait_until("every alert is delivered", Duration::from_secs(150), || wanted.is_subset(&delivered()));
    assert_eq!(service.stop(), Some(0));

    let stored = site.look(async |store| {
        let totals = store.totals().await.expect("totals");
        assert_eq!(store.integrity_check().await.expect("checked"), Vec::<String>::new());
        assert_eq!(totals.events, KILLS * LINES, "events stored, each once");
        assert_eq!(totals.rejects, 0, "no torn line was taken for a record");
        totals.alerts
    });
    assert_eq!(stored, wanted.len() as u64, "alerts stored");
    assert_eq!(
        delivered(),
        wanted,
        "every delivered message belongs to an alert, and every alert was delivered"
    );
}
