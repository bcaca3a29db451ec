//! Recorded audit logs of others, when `KEYWATCH_CORPUS` names a folder of them: every record is
//! read, none is lost and none doubled, and what the publishers say of them agrees.
//!
//! The folder holds `NAME.events.jsonl`, one record or envelope per line, and `NAME.truth.jsonl`
//! with one line about each. Without the variable there is nothing to do, and the test says so.
#![expect(clippy::print_stdout, reason = "counts are what this test is read for")]

use keywatch_event::{AuditEvent, Class, EventTime, Outcome};
use keywatch_ingest::Batch;
use keywatch_ingest::provider::Normalizer;
use keywatch_ingest::source::Reader;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

/// What came of one line.
#[derive(Debug, Default)]
struct Line {
    events: Vec<AuditEvent<'static>>,
    rejects: Vec<String>,
}

fn corpus() -> Option<PathBuf> {
    std::env::var_os("KEYWATCH_CORPUS").map(PathBuf::from)
}

fn read(path: &Path) -> (BTreeMap<u64, Line>, u64) {
    let mut reader = Reader::new(vec![path.to_owned()]);
    let (mut lines, mut skipped) = (BTreeMap::<u64, Line>::new(), 0);
    while let Some(batch) = reader.next_batch(100, 1 << 20) {
        skipped += batch.skipped;
        for reject in &batch.rejects {
            lines.entry(reject.place.line).or_default().rejects.push(reject.reason.to_string());
        }
        normalize(&batch, &mut lines);
    }
    assert!(reader.failures().is_empty(), "{:?}", reader.failures());
    (lines, skipped)
}

fn normalize(batch: &Batch, lines: &mut BTreeMap<u64, Line>) {
    let received_at = EventTime::parse("2026-11-01T00:00:00Z").expect("a time");
    let normalizer = Normalizer::new();
    for record in &batch.records {
        let line = lines.entry(record.place.line).or_default();
        match normalizer.normalize(batch.raw(record), received_at) {
            Ok(event) => line.events.extend(event.map(AuditEvent::into_owned)),
            Err(reason) => line.rejects.push(reason.to_string()),
        }
    }
}

fn truth(folder: &Path, name: &str) -> Vec<Value> {
    let text =
        std::fs::read_to_string(folder.join(format!("{name}.truth.jsonl"))).expect("what is said of it");
    text.lines().map(|line| serde_json::from_str(line).expect("JSON")).collect()
}

#[test]
fn every_record_of_every_recording_is_read_and_none_is_doubled() {
    let Some(folder) = corpus() else {
        println!("KEYWATCH_CORPUS names no folder: nothing was checked");
        return;
    };
    let mut files: Vec<PathBuf> =
        std::fs::read_dir(&folder).expect("the folder").flatten().map(|e| e.path()).collect();
    files.retain(|path| path.to_string_lossy().ends_with(".events.jsonl"));
    files.sort();
    assert!(!files.is_empty(), "no recordings in {}", folder.display());
    for path in files {
        let wanted = std::fs::read_to_string(&path).expect("read").lines().count() as u64;
        let (lines, skipped) = read(&path);
        let events: usize = lines.values().map(|line| line.events.len()).sum();
        let rejects: Vec<&String> = lines.values().flat_map(|line| &line.rejects).collect();
        println!(
            "{}: {wanted} lines, {events} events, {} rejects, {skipped} without an event",
            path.display(),
            rejects.len()
        );
        assert_eq!(
            (1..=wanted).filter(|n| !lines.contains_key(n)).count() as u64,
            skipped,
            "every line is accounted for"
        );
        for (number, line) in &lines {
            assert_eq!(line.events.len() + line.rejects.len(), 1, "line {number} holds one record: {line:?}");
        }
        // What is set aside is no record of the four providers as they write it; each says so.
        assert!(rejects.iter().all(|reason| reason.starts_with("no record of")), "{rejects:?}");
        assert!(rejects.len() as u64 * 5 <= wanted, "too many are set aside: {rejects:?}");
    }
}

/// Lines of a recording that exists, with what is said of each; nothing without a corpus.
fn told(name: &str) -> Vec<(Value, AuditEvent<'static>)> {
    let Some(folder) = corpus() else { return Vec::new() };
    let (mut lines, _) = read(&folder.join(format!("{name}.events.jsonl")));
    let said = truth(&folder, name).into_iter().zip(1_u64..);
    said.filter_map(|(said, number)| Some((said, lines.remove(&number)?.events.pop()?))).collect()
}

#[test]
fn operations_and_errors_are_those_the_documentation_names() {
    for (said, event) in told("awsdocs_kms") {
        assert_eq!(said["event"].as_str(), Some(&*event.operation), "{event:?}");
        assert_eq!(said["error"].is_null(), event.outcome == Outcome::Ok, "{event:?}");
    }
}

#[test]
fn attacks_on_secrets_are_seen_as_reads_of_named_secrets() {
    let of = |technique: &str| -> Vec<AuditEvent<'static>> {
        let all = told("stratus_aws").into_iter();
        all.filter(|(said, _)| said["technique"] == technique).map(|(_, event)| event).collect()
    };
    if corpus().is_none() {
        return;
    }
    let reads = of("aws.credential-access.secretsmanager-retrieve-secrets");
    let reads: Vec<_> =
        reads.iter().filter(|e| e.class == Class::SecretRead && e.outcome == Outcome::Ok).collect();
    assert_eq!(reads.len(), 20, "twenty secrets are read in this attack");
    assert!(reads.iter().all(|e| e.secrets.len() == 1 && e.source.ip.is_some()), "{reads:?}");
    let batches = of("aws.credential-access.secretsmanager-batch-retrieve-secrets");
    assert!(batches.iter().any(|e| e.class == Class::SecretBatchRead), "{batches:?}");
    let parameters = of("aws.credential-access.ssm-retrieve-securestring-parameters");
    assert!(
        parameters.iter().any(|e| e.class == Class::SecretRead && e.store.as_deref() == Some("ssm")),
        "{parameters:?}"
    );
    let login = of("aws.initial-access.console-login-without-mfa");
    assert!(login.iter().all(|e| e.class == Class::AuthOk), "{login:?}");
}

#[test]
fn verdicts_of_others_on_our_rows_agree() {
    for (said, event) in told("panther_azure_activity") {
        if said["rule"] == "Azure.MonitorActivity.KeyVault.Deleted" && said["fires"] == true {
            assert!(matches!(event.class, Class::SecretDelete | Class::SecretPurge), "{event:?}");
        }
    }
    for (said, event) in told("panther_cloudtrail") {
        if said["rule"] == "AWS.SecretsManager.BatchRetrieveSecretsCatchAll" {
            assert!(matches!(event.class, Class::SecretRead | Class::SecretBatchRead), "{event:?}");
        }
        if said["rule"] == "AWS.KMS.CustomerManagedKeyLoss" && said["fires"] == true {
            assert_eq!(event.class, Class::KeyDestroy, "{event:?}");
        }
    }
    for (said, event) in told("stratus_pages") {
        if said["technique"] == "gcp.credential-access.secretmanager-retrieve-secrets" {
            assert_eq!(
                (event.class, event.outcome, event.secrets.len()),
                (Class::SecretRead, Outcome::Ok, 1),
                "{event:?}"
            );
        }
    }
}

#[test]
fn a_vault_request_and_its_response_are_one_access() {
    let events: Vec<AuditEvent<'static>> =
        told("vault_hashicorp_education").into_iter().map(|(_, e)| e).collect();
    let call = |event: &AuditEvent<'_>| event.id.rsplit_once(':').map(|(call, _)| call.to_owned());
    let own: Vec<_> = events.iter().filter(|e| e.echo_of.is_none()).filter_map(call).collect();
    let distinct: std::collections::BTreeSet<_> = own.iter().collect();
    assert_eq!(own.len(), distinct.len(), "each call counts once");
}
