//! A secret value in a log of each provider: counted, told, and shown nowhere.

use crate::harness::browser::Browser;
use crate::harness::{Receiver, Service, Site, wait_until};
use serde_json::Value;
use std::path::Path;
use std::time::Duration;

/// Provider, a record of it, and where in it a token of GitHub's gets in.
const LEAKS: [(&str, &str, &str); 4] = [
    ("aws", "aws/secret_read_by_name", "/userAgent"),
    ("gcp", "gcp/destroyed_version", "/protoPayload/requestMetadata/callerSuppliedUserAgent"),
    ("azure", "azure/denied_read_that_says_success", "/properties/clientInfo"),
    ("vault", "vault/kv2_read_response", "/request/path"),
];
/// What must be seen nowhere.
const LEAKED: &str = "ghp_4cX9kQ2mV7tR1nB8zL5wY3dF6hJ0pS2aGe1U";

/// A record with the token in it.
fn leaking(record: &str, place: &str) -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fixtures").join(record).join("record.json");
    let text = std::fs::read_to_string(path).expect("a record");
    let mut record: Value = serde_json::from_str(&text).expect("JSON");
    let old = record.pointer_mut(place).expect("a place");
    *old = Value::String(format!("{} {LEAKED}", old.as_str().expect("a text")));
    record.to_string()
}

#[test]
fn a_secret_value_in_a_log_of_any_provider_is_counted_and_told_and_shown_nowhere() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    for (provider, record, place) in LEAKS {
        let log = site.logs().join(format!("{provider}.log"));
        std::fs::write(log, leaking(record, place) + "\n").expect("a log");
    }
    let unreadable = format!("not a record, and holds {LEAKED}\n");
    std::fs::write(site.logs().join("noise.log"), unreadable).expect("a log");
    let service = Service::start(&site.config());
    let told = |what: &[String]| {
        let messages = &receiver.received().messages;
        messages.iter().any(|(_, body)| what.iter().all(|part| body.contains(part)))
    };
    for (provider, ..) in LEAKS {
        let parts = ["\"rule\":\"KW-138\"".to_owned(), format!("\"provider\":\"{provider}\"")];
        wait_until(provider, Duration::from_secs(40), || told(&parts));
    }
    let unread = ["\"rule\":\"KW-138r\"".to_owned(), "(github-token), which were replaced".to_owned()];
    wait_until("what is no record is told too", Duration::from_secs(40), || told(&unread));
    let browser = Browser::sign_in(&service.login_link);
    let figures = browser.page("/metrics");
    for of in ["aws", "gcp", "azure", "vault", "reject"] {
        let line = format!("keywatch_scrubbed_records_total{{of=\"{of}\",kind=\"github-token\"}} 1");
        assert!(figures.contains(&line), "{line} in {figures}");
    }
    for page in ["/", "/events", "/sources", "/rejects", "/secrets"] {
        assert!(!browser.page(page).contains(LEAKED), "{page}");
    }
    assert!(receiver.received().messages.iter().all(|(_, body)| !body.contains(LEAKED)), "a message");
    assert!(!service.said().contains(LEAKED), "the log");
    assert_eq!(service.stop(), Some(0));
}
