//! Google's sources against a stand-in on loopback.

mod access;
mod logging;
mod objects;
mod objects_simulation;
mod pubsub;
mod simulation;

use super::stage::START;
use chrono::{DateTime, SecondsFormat, Utc};
use keywatch_gcp::Access;
use keywatch_google_stand_in::{Chance, Entry, Server};
use keywatch_secrets::{SecretManager, Settings};
use std::sync::Arc;
use std::time::{Duration, Instant};

const PROJECT: &str = "projects/watch";

/// A way in without credentials, and a secret manager.
fn access(server: &Server) -> (Access, SecretManager) {
    let access = Access { endpoint: Some(server.url()), anonymous: true, ..Access::default() };
    (access, secrets())
}

/// Waits for something that happens at the stand-in.
async fn wait(what: &str, done: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(30);
    while !done() {
        assert!(Instant::now() < deadline, "waited in vain: {what}");
        tokio::time::sleep(Duration::from_millis(3)).await;
    }
}

fn secrets() -> SecretManager {
    SecretManager::new(Settings::new(Arc::new(|_| None)))
}

/// `count` entries of some hours, in the order of their time, received when they happened.
fn entries(chance: &mut Chance, count: usize, hours: u64) -> Vec<Entry> {
    let mut all: Vec<Entry> = (0..count).map(|number| entry(chance, number, hours)).collect();
    all.sort_by_key(|entry| entry.at);
    all
}

fn entry(chance: &mut Chance, number: usize, hours: u64) -> Entry {
    let secs = START + chance.below(hours * 3600) as i64;
    let at = DateTime::from_timestamp(secs, chance.below(1000) as u32 * 1_000_000).unwrap();
    let who = ["ada", "bob", "eve"][chance.below(3) as usize];
    let (method, status) = match chance.below(10) {
        0 => ("DestroySecretVersion", "{}"),
        1..=4 if who == "eve" => ("AccessSecretVersion", r#"{"code":7,"message":"denied"}"#),
        _ => ("AccessSecretVersion", "{}"),
    };
    let record = format!(
        r#"{{"logName":"projects/watch/logs/cloudaudit.googleapis.com%2Fdata_access","insertId":"i{number}","timestamp":"{}","severity":"INFO","resource":{{"type":"audited_resource","labels":{{"project_id":"watch"}}}},"protoPayload":{{"@type":"type.googleapis.com/google.cloud.audit.AuditLog","serviceName":"secretmanager.googleapis.com","methodName":"google.cloud.secretmanager.v1.SecretManagerService.{method}","resourceName":"projects/watch/secrets/s{}/versions/1","status":{status},"authenticationInfo":{{"principalEmail":"{who}@example.com"}},"requestMetadata":{{"callerIp":"203.0.113.9"}}}}"#,
        written(at),
        chance.below(20)
    );
    let entry = Entry {
        resource: PROJECT.to_owned(),
        at,
        received: secs,
        service: "secretmanager.googleapis.com".to_owned(),
        record,
    };
    late(entry, 1)
}

/// The entry, received so many seconds after it happened.
fn late(entry: Entry, secs: i64) -> Entry {
    let received = entry.at.timestamp() + secs;
    let open = entry.record.split(r#","receiveTimestamp""#).next().unwrap().trim_end_matches('\n').to_owned();
    let at = DateTime::from_timestamp(received, 0).unwrap();
    let record = format!(r#"{open},"receiveTimestamp":"{}"}}"#, written(at));
    Entry { received, record, ..entry }
}

fn written(at: DateTime<Utc>) -> String {
    at.to_rfc3339_opts(SecondsFormat::AutoSi, true)
}
