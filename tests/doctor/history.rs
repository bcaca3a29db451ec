//! The doctor looks at what was stored, beside whoever writes it.

use super::{Patient, ids, of};
use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, wait_until};
use std::time::Duration;

/// A history of `lines`, read by the real service.
fn stored(lines: &str) -> (Site, Receiver) {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    std::fs::write(site.logs().join("audit.log"), lines).expect("a log");
    let service = Service::start(&site.config());
    let browser =
        crate::harness::browser::Browser::at(service.login_link.split('/').nth(2).unwrap_or_default());
    wait_until("everything is stored", Duration::from_secs(40), || {
        browser.page("/metrics").contains(&format!("keywatch_stored_events {}\n", lines.lines().count()))
    });
    assert_eq!(service.stop(), Some(0));
    (site, receiver)
}

#[test]
fn doctor_notices_a_proxy_and_missing_reads_in_what_was_stored() {
    // Every two hundredth line has the same address.
    let line = |number: u64| {
        let secs = i64::try_from(number).expect("small");
        vault_line(5 + 200 * number, secs, "app", "update secret/data/db", None)
    };
    let lines: String = (1..=60).map(line).collect();
    let (site, _receiver) = stored(&lines);
    let patient = Patient { folder: site.folder };
    patient.configure("sources:\n  - name: devices\n    vault: {tcp: \"127.0.0.1:9090\"}\n");
    let (report, code) = patient.report();
    assert_eq!(ids(&report, "devices"), ["vault.behind-proxy"], "{report:#}");
    let blind = &of(&report, "devices")["blind_spots"][0]["rules"]["blind"];
    assert!(blind.as_array().expect("rules").contains(&"KW-002".into()), "{blind}");
    assert_eq!(ids(&report, "history of vault"), ["stored.no-reads"], "{report:#}");
    assert!(ids(&report, "history").is_empty(), "{report:#}");
    assert_eq!(code, Some(1));
    patient.configure("sources:\n  - name: trail\n    aws_lookup: {regions: [us-east-1], access: {endpoint: \"http://127.0.0.1:9\", access_key: {id: \"file:/nowhere\", secret: \"file:/nowhere\"}}}\n");
    let (report, _) = patient.report();
    assert_eq!(ids(&report, "history of aws"), ["stored.nothing-came"], "{report:#}");
}
