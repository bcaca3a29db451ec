//! The Google Cloud sources in the whole program, against a stand-in that speaks Google's protocols.

use crate::harness::{Receiver, Service, Site, run, text, wait_until};
use keywatch_google_stand_in::{Door, Entry, Google, Key, Message, Server};
use std::time::Duration;

const SUBSCRIPTION: &str = "projects/watch/subscriptions/keywatch";

#[expect(clippy::disallowed_methods, reason = "the service under test runs on the real clock")]
fn now() -> chrono::DateTime<chrono::Utc> {
    std::time::SystemTime::now().into()
}

/// An entry of some minutes ago; every tenth destroys a version.
fn entry(number: usize) -> Entry {
    let at = now() - chrono::TimeDelta::seconds(600 - i64::try_from(number).expect("small"));
    let time = at.to_rfc3339_opts(chrono::SecondsFormat::Nanos, true);
    let method = if number.is_multiple_of(10) { "DestroySecretVersion" } else { "AccessSecretVersion" };
    let record = format!(
        r#"{{"logName":"projects/watch/logs/cloudaudit.googleapis.com%2Fdata_access","insertId":"p{number}","timestamp":"{time}","receiveTimestamp":"{time}","resource":{{"type":"audited_resource","labels":{{"project_id":"watch"}}}},"protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"secretmanager.googleapis.com","methodName":"google.cloud.secretmanager.v1.SecretManagerService.{method}","resourceName":"projects/watch/secrets/s{number}/versions/1","authenticationInfo":{{"principalEmail":"eve@example.com"}},"requestMetadata":{{"callerIp":"203.0.113.9"}}}}}}"#
    );
    let service = "secretmanager.googleapis.com".to_owned();
    Entry { resource: "projects/watch".to_owned(), at, received: at.timestamp(), service, record }
}

fn configure(site: &Site, receiver: &Receiver, sources: &str) {
    let folder = site.folder.path().display();
    let yaml = format!(
        "database: {folder}/keywatch.db\nlisten: 127.0.0.1:0\nsources:\n{sources}\
         receivers:\n  - name: soc\n    webhook:\n      url: {}\n      secret: {{source: file, path: {folder}/secret}}\n\
         egress: {{allow: [127.0.0.0/8], allow_http: true}}\n",
        receiver.url()
    );
    std::fs::write(site.config(), yaml).expect("a configuration");
}

fn events(site: &Site) -> (u64, u64, Vec<String>) {
    site.look(async |store| {
        let totals = store.overview(chrono::DateTime::UNIX_EPOCH).await.expect("totals").totals;
        let positions = store.positions().await.expect("positions");
        (totals.events, totals.rejects, positions.into_keys().collect())
    })
}

#[test]
fn logging_and_a_subscription_bring_each_entry_once_with_a_service_accounts_key() {
    let google = Google::new(now().timestamp(), 1);
    let (key, receiver) = (Key::new("k"), Receiver::start(false));
    let site = Site::new(&receiver);
    std::fs::write(site.path("google.json"), key.json()).expect("a key");
    // What one way brings, another brings too; some entries of each are its own.
    let all: Vec<Entry> = (0..30).map(entry).collect();
    google.with(|state| {
        state.door = Door::Key(key);
        state.subscription = Some(SUBSCRIPTION.to_owned());
        state.entries = all[..20].to_vec();
        state.messages = all[10..30].iter().map(|entry| Message::new(&entry.record)).collect();
    });
    let server = google.serve();
    configure(&site, &receiver, &sources(&site, &server));
    let looked = run(&["config", "check", site.config().to_str().expect("a path")]);
    let table = text(&looked.stdout);
    assert_eq!(looked.status.code(), Some(0), "{table}");
    for part in ["entries.list answers", "keywatch is there"] {
        assert!(table.contains(part), "{part} in {table}");
    }
    let service = Service::start(&site.config());
    wait_until("all messages are acknowledged", Duration::from_secs(40), || {
        google.with(|state| state.messages.is_empty() && state.lists > 2)
    });
    wait_until("a deletion is told", Duration::from_secs(40), || !receiver.received().accepted.is_empty());
    assert_eq!(service.stop(), Some(0));
    let (stored, rejects, positions) = events(&site);
    assert_eq!((stored, rejects), (30, 0), "{positions:?}");
    assert_eq!(google.with(|state| state.refused), 0);
    assert!(positions.iter().any(|position| position == "gcp-logging:asked:projects/watch"), "{positions:?}");
}

fn sources(site: &Site, server: &Server) -> String {
    let credentials = format!("file:{}", site.path("google.json").display());
    let access = format!("{{endpoint: \"{}\", credentials: \"{credentials}\"}}", server.url());
    format!(
        "  - name: asked\n    gcp_logging: {{resources: [projects/watch], backfill: 1h, poll: 1s, access: {access}}}\n  \
         - name: pulled\n    gcp_pubsub: {{subscription: {SUBSCRIPTION}, access: {access}}}\n"
    )
}

#[test]
fn a_killed_service_loses_no_message_and_stores_none_twice() {
    let google = Google::new(now().timestamp(), 2);
    google.with(|state| {
        state.subscription = Some(SUBSCRIPTION.to_owned());
        state.messages = (0..300).map(|number| Message::new(&entry(number).record)).collect();
        state.faults.doubled = 5;
    });
    let server = google.serve();
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let access = format!("{{endpoint: \"{}\", anonymous: true}}", server.url());
    let source =
        format!("  - name: pulled\n    gcp_pubsub: {{subscription: {SUBSCRIPTION}, access: {access}}}\n");
    configure(&site, &receiver, &source);
    let service = Service::start(&site.config());
    wait_until("some are acknowledged", Duration::from_secs(40), || google.with(|state| state.acks > 0));
    // Dropping kills it.
    drop(service);
    let service = Service::start(&site.config());
    wait_until("all are acknowledged", Duration::from_secs(40), || {
        google.with(|state| state.messages.is_empty())
    });
    assert_eq!(service.stop(), Some(0));
    let (stored, rejects, _) = events(&site);
    assert_eq!((stored, rejects), (300, 0));
}

#[test]
fn a_sinks_bucket_brings_each_entry_once_through_a_kill() {
    let google = Google::new(now().timestamp(), 3);
    let (key, receiver) = (Key::new("k"), Receiver::start(false));
    let site = Site::new(&receiver);
    std::fs::write(site.path("google.json"), key.json()).expect("a key");
    google.with(|state| state.door = Door::Key(key));
    let mut all: Vec<Entry> = (0..40).map(entry).collect();
    for entry in &mut all[20..] {
        entry.record = entry.record.replace("eve@", "mallory@");
    }
    write(&google, "S0", &all[..20]);
    let server = google.serve();
    let credentials = format!("file:{}", site.path("google.json").display());
    let source = format!(
        "  - name: archive\n    gcp_objects: {{bucket: audit-logs, poll: 1s, backfill: 1d, access: {{endpoint: \"{}\", credentials: \"{credentials}\"}}}}\n",
        server.url()
    );
    configure(&site, &receiver, &source);
    let looked = run(&["config", "check", site.config().to_str().expect("a path")]);
    assert!(text(&looked.stdout).contains("gs://audit-logs holds 1 folder(s) with years"), "{looked:?}");
    let service = Service::start(&site.config());
    wait_until("a deletion is told", Duration::from_secs(40), || !receiver.received().accepted.is_empty());
    // Dropping kills it.
    drop(service);
    write(&google, "A0:1_S0", &all[20..]);
    let service = Service::start(&site.config());
    wait_until("the new object is told of", Duration::from_secs(40), || {
        let told = receiver.received().messages.clone();
        told.iter().any(|(_, body)| body.contains("mallory@example.com"))
    });
    assert_eq!(service.stop(), Some(0));
    let (stored, rejects, positions) = events(&site);
    assert_eq!((stored, rejects), (40, 0), "{positions:?}");
    let folder = "objects:archive:cloudaudit.googleapis.com/data_access";
    assert!(positions.iter().any(|position| position == folder), "{positions:?}");
}

/// Writes an object of a log sink.
fn write(google: &Google, shard: &str, entries: &[Entry]) {
    let hour = now().format("%Y/%m/%d/%H:00:00_%H:59:59");
    let lines: Vec<&str> = entries.iter().flat_map(|entry| [entry.record.as_str(), "\n"]).collect();
    google.with(|state| {
        let bucket = state.objects.entry("audit-logs".to_owned()).or_default();
        let key = format!("cloudaudit.googleapis.com/data_access/{hour}_{shard}.json");
        bucket.insert(key, (state.now, lines.concat().into_bytes()));
    });
}
