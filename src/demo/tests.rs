//! What the sample logs promise: readable, repeatable, bounded, and with a scene for every row
//! of the core table.

use super::log::{Carrier, Entry};
use super::*;
use chrono::Days;
use keywatch_event::{AlertChange, EventTime, Place};
use keywatch_ingest::provider::Normalizer;
use keywatch_rules::{Engine, Seen, Settings};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

fn now() -> DateTime<Utc> {
    "2026-03-18T15:20:41.123456Z".parse().unwrap()
}

fn past() -> Vec<Entry> {
    history::log(now()).entries
}

fn live() -> Vec<Entry> {
    attack::scenes(now()).into_iter().flat_map(|scene| scene.log.entries).collect()
}

/// The text at a dotted path, or nothing.
fn text<'a>(record: &'a Value, path: &str) -> &'a str {
    path.split('.').fold(record, |value, key| &value[key]).as_str().unwrap_or_default()
}

fn count(entries: &[Entry], wanted: impl Fn(&Value) -> bool) -> usize {
    entries.iter().filter(|entry| wanted(&entry.record)).count()
}

/// The length of a UTC time without its fraction: `2026-03-18T15:20:41`.
const TO_SECONDS: usize = 19;

#[test]
fn every_line_is_a_json_object_and_every_trail_file_is_gzip() {
    let chunks = attack(now()).into_iter().map(|chunk| DemoFile { path: chunk.path, bytes: chunk.bytes });
    for file in history(now()).into_iter().chain(chunks) {
        if file.path.ends_with(".json.gz") {
            assert_eq!(file.bytes.get(..2), Some([0x1f, 0x8b].as_slice()), "{}", file.path);
            continue;
        }
        assert_eq!(file.bytes.last(), Some(&b'\n'), "{}", file.path);
        for line in std::str::from_utf8(&file.bytes).unwrap().lines() {
            let record: Value = serde_json::from_str(line).unwrap();
            assert!(record.is_object(), "{}", file.path);
        }
    }
}

#[test]
fn the_same_moment_gives_the_same_bytes_and_another_gives_others() {
    assert_eq!(history(now()), history(now()));
    assert_eq!(attack(now()), attack(now()));
    assert_ne!(history(now()), history(now() + chrono::Duration::hours(1)));
}

#[test]
fn the_history_is_a_fortnight_long_and_small_enough_to_read_at_once() {
    for weekday in 0..7 {
        let now = now() + Days::new(weekday);
        let entries = history::log(now).entries;
        assert!((2_000..=6_000).contains(&entries.len()), "{} records", entries.len());
        let oldest = entries.iter().map(|entry| entry.at).min().unwrap();
        let newest = entries.iter().map(|entry| entry.at).max().unwrap();
        assert!(newest <= now && now - newest < chrono::Duration::hours(3), "{newest}");
        assert!(now - oldest <= chrono::Duration::days(14), "{oldest}");
        assert!(now - oldest > chrono::Duration::days(13), "{oldest}");
    }
    let files = history(now());
    let bytes: usize = files.iter().map(|file| file.bytes.len()).sum();
    assert!(files.len() < 400 && bytes < 8 << 20, "{} files, {bytes} bytes", files.len());
}

#[test]
fn every_provider_speaks_in_the_history_and_in_the_attack() {
    for entries in [past(), live()] {
        let carriers: BTreeSet<Carrier> = entries.iter().map(|entry| entry.carrier).collect();
        assert_eq!(carriers.len(), 5, "{carriers:?}");
    }
}

#[test]
fn paths_are_relative_and_no_two_trail_objects_share_one() {
    let mut objects = BTreeSet::new();
    let history = history(now()).into_iter().map(|file| file.path);
    for path in history.chain(attack(now()).into_iter().map(|chunk| chunk.path)) {
        assert!(!path.starts_with('/') && !path.contains("..") && !path.contains("//"), "{path}");
        let appended = path.ends_with("audit.log") || path.ends_with("PT1H.json");
        assert!(appended || objects.insert(path.clone()), "{path} is written twice");
    }
}

#[test]
fn event_ids_are_unique_per_provider_across_history_and_attack() {
    let mut ids = BTreeSet::new();
    for entry in past().into_iter().chain(live()) {
        let record = &entry.record;
        let id = match entry.carrier {
            Carrier::Aws => text(record, "eventID").to_owned(),
            Carrier::GcpActivity | Carrier::GcpDataAccess => text(record, "insertId").to_owned(),
            Carrier::Azure => text(record, "correlationId").to_owned(),
            Carrier::Vault => text(record, "request.id").to_owned() + text(record, "type"),
        };
        assert!(id.len() > 12 && ids.insert(id.clone()), "{id}");
    }
}

#[test]
fn times_have_the_precision_each_provider_gives() {
    for entry in past().into_iter().chain(live()) {
        let (time, lengths) = match entry.carrier {
            Carrier::Aws => (text(&entry.record, "eventTime"), TO_SECONDS + 1..=TO_SECONDS + 1),
            Carrier::GcpActivity | Carrier::GcpDataAccess => {
                (text(&entry.record, "timestamp"), TO_SECONDS + 11..=TO_SECONDS + 11)
            }
            Carrier::Azure => (text(&entry.record, "time"), TO_SECONDS + 9..=TO_SECONDS + 9),
            Carrier::Vault => (text(&entry.record, "time"), TO_SECONDS + 1..=TO_SECONDS + 11),
        };
        assert!(lengths.contains(&time.len()), "{time}");
        assert!(time.ends_with('Z') && time.parse::<DateTime<Utc>>().is_ok(), "{time}");
    }
}

#[test]
fn every_encrypted_read_in_aws_has_its_decrypt() {
    let entries: Vec<Entry> = past().into_iter().chain(live()).collect();
    let reads = count(&entries, |record| {
        let read = matches!(text(record, "eventName"), "GetSecretValue" | "GetParameter");
        read && record["errorCode"].is_null()
    });
    let echoes = count(&entries, |record| text(record, "eventName") == "Decrypt");
    assert_eq!(reads, echoes);
    assert!(reads > 500, "{reads}");
}

#[test]
fn every_vault_request_has_its_response() {
    for entries in [past(), live()] {
        let of = |kind: &str| -> BTreeSet<String> {
            let vault = entries.iter().filter(|entry| entry.carrier == Carrier::Vault);
            let kind = vault.filter(|entry| text(&entry.record, "type") == kind);
            kind.map(|entry| text(&entry.record, "request.id").to_owned()).collect()
        };
        assert_eq!(of("request"), of("response"));
        assert!(!of("request").is_empty());
    }
}

#[test]
fn the_history_holds_every_mishap_that_is_no_attack() {
    let entries = past();
    let errors = |code: &str| count(&entries, |record| text(record, "errorCode") == code);
    assert_eq!(errors("ParameterNotFound"), 4);
    assert_eq!(errors("ThrottlingException"), 12);
    assert_eq!(errors("AccessDenied"), 2);
    assert_eq!(count(&entries, |record| text(record, "errorMessage") == "Failed authentication"), 1);
    assert_eq!(count(&entries, |record| text(record, "eventName") == "CreateSecret"), 2);
    assert_eq!(count(&entries, |record| text(record, "eventName") == "DeleteSecret"), 2);
    let challenges = count(&entries, |record| record["properties"]["httpStatusCode"] == 401);
    assert!(challenges > 100, "{challenges}");
}

#[test]
fn nobody_strange_appears_before_the_attack() {
    let strange = |entry: &Entry| entry.record.to_string().contains("203.0.113.");
    assert_eq!(past().iter().filter(|entry| strange(entry)).count(), 0);
    assert!(live().iter().filter(|entry| strange(entry)).count() > 30);
}

#[test]
fn the_identities_that_are_stolen_are_mature_a_week_before() {
    let week_ago = now() - Days::new(7);
    for needle in ["role/payments-api\"", "\"role_name\":\"ledger\"", "tom.hale@harbourpay.example"] {
        let entries = past();
        let reads: Vec<&Entry> = entries
            .iter()
            .filter(|entry| matches!(text(&entry.record, "type"), "" | "response"))
            .filter(|entry| entry.record.to_string().contains(needle))
            .collect();
        let days: BTreeSet<_> = reads.iter().map(|entry| entry.at.date_naive()).collect();
        assert!(reads.len() >= 10 && days.len() >= 3, "{needle}: {} reads", reads.len());
        assert!(reads.iter().any(|entry| entry.at < week_ago), "{needle}");
    }
}

#[test]
fn the_attack_fails_to_authenticate_in_aws_and_in_vault() {
    let entries = live();
    assert_eq!(count(&entries, |record| text(record, "responseElements.ConsoleLogin") == "Failure"), 3);
    assert_eq!(count(&entries, |record| text(record, "errorCode") == "AccessDenied"), 2);
    let failed_logins = count(&entries, |record| {
        let login = text(record, "request.path").contains("/login");
        login && text(record, "type") == "response" && record["response"]["auth"].is_null()
    });
    assert_eq!(failed_logins, 3);
}

#[test]
fn the_attack_is_refused_at_several_secrets_within_ten_minutes() {
    let entries = live();
    let aws = count(&entries, |record| text(record, "errorCode") == "AccessDeniedException");
    let vault: BTreeSet<&str> = entries
        .iter()
        .filter(|entry| text(&entry.record, "error").contains("permission denied"))
        .map(|entry| text(&entry.record, "request.path"))
        .collect();
    assert_eq!((aws, vault.len()), (7, 6));
    let first = entries.iter().map(|entry| entry.at).min().unwrap();
    assert!(now() - first < chrono::Duration::minutes(10), "{first}");
}

#[test]
fn the_attack_destroys_in_all_four_stores() {
    let entries = live();
    let forced = count(&entries, |record| {
        record["requestParameters"]["forceDeleteWithoutRecovery"] == Value::Bool(true)
    });
    let destroyed =
        count(&entries, |record| text(record, "protoPayload.methodName").ends_with(".DestroySecretVersion"));
    let deleted = count(&entries, |record| text(record, "operationName") == "SecretDelete");
    let wiped = count(&entries, |record| {
        text(record, "type") == "response" && text(record, "request.path").starts_with("secret/destroy/")
    });
    assert_eq!((forced, destroyed, deleted, wiped), (2, 2, 1, 1));
}

#[test]
fn the_attack_arrives_in_order_within_fifteen_seconds_and_never_from_the_future() {
    let chunks = attack(now());
    assert!(chunks.is_sorted_by_key(|chunk| chunk.after));
    assert!(chunks.iter().all(|chunk| chunk.after <= Duration::from_secs(15)));
    assert!(live().iter().all(|entry| entry.at <= now()));
}

/// The rows of the core table.
const CORE: [&str; 5] = ["KW-001", "KW-002", "KW-003", "KW-004", "KW-005"];

/// How many alerts of each core rule and level the built-in rules open on these records; every
/// other alert under `others`.
fn opened(engine: &mut Engine, entries: &[Entry], now: DateTime<Utc>) -> BTreeMap<String, usize> {
    let normalizer = Normalizer::new();
    let records: Vec<String> = entries.iter().map(|entry| entry.record.to_string()).collect();
    let place = Place { name: "sample".into(), line: 1, record: 0 };
    let mut events = Vec::new();
    for raw in &records {
        let event = normalizer.normalize(raw.as_bytes(), EventTime::from(now)).unwrap().unwrap();
        assert_eq!(event.time_raw, None, "a time nobody believes: {raw}");
        events.push((event, raw.as_bytes()));
    }
    let seen: Vec<Seen<'_>> = events.iter().map(|(event, raw)| Seen { event, place: &place, raw }).collect();
    let mut alerts = BTreeMap::new();
    for change in engine.evaluate(&seen).changes {
        if let AlertChange::Opened { alert, .. } = change {
            let core = CORE.contains(&alert.rule.as_str());
            let row = if core { format!("{} {}", alert.rule, alert.level) } else { "others".to_owned() };
            *alerts.entry(row).or_default() += 1;
        }
    }
    alerts
}

#[test]
fn the_attack_fires_every_row_of_the_core_table_whatever_the_hour() {
    for hours in [0, 9, 33, 76] {
        let now = now() + chrono::Duration::hours(hours);
        let rules = keywatch_rules::compile(keywatch_rules::builtin().iter().copied()).unwrap();
        let mut engine = Engine::new(Arc::new(rules), Settings::default());
        let count = |alerts: &[(&str, usize)]| {
            alerts.iter().map(|(rule, count)| ((*rule).to_owned(), *count)).collect::<BTreeMap<_, _>>()
        };
        let quiet = opened(&mut engine, &history::log(now).entries, now);
        assert_eq!(quiet, count(&[("KW-003 warning", 1), ("KW-004 warning", 2)]), "{now}");
        let live: Vec<Entry> = attack::scenes(now).into_iter().flat_map(|scene| scene.log.entries).collect();
        let mut loud = opened(&mut engine, &live, now);
        loud.remove("others");
        let rows =
            [("KW-002 warning", 3), ("KW-003 warning", 2), ("KW-004 critical", 4), ("KW-005 critical", 2)];
        assert_eq!(loud, count(&rows), "{now}");
    }
}
