//! Each command, as a user types it.

use crate::harness::logs::{aws_read, vault_line};
use crate::harness::{Receiver, Service, Site, run, run_with_input, text, wait_until};
use std::time::Duration;

#[test]
fn scan_finds_the_alerts_of_a_file_and_says_where_they_are() {
    let lines: String = (0..6)
        .map(|n| {
            vault_line(
                n,
                i64::try_from(n).unwrap() * 30,
                "eve",
                &format!("read secret/data/s{n}"),
                Some("permission denied"),
            )
        })
        .collect();
    let output = run_with_input(&["scan", "--format", "ndjson", "-"], lines.as_bytes());
    let alerts = text(&output.stdout);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
    assert_eq!(alerts.lines().count(), 1, "{alerts}");
    for part in [
        "\"rule\":\"KW-005\"",
        "\"level\":\"critical\"",
        "\"action\":\"Possible attack\"",
        "\"place\":\"-:1\"",
        "\"events\":6",
    ] {
        assert!(alerts.contains(part), "{part} in {alerts}");
    }
    let summary = text(&output.stderr);
    assert!(
        summary.contains("6 events") && summary.contains("critical 1") && summary.contains("events/s"),
        "{summary}"
    );
}

#[test]
fn the_fail_level_decides_the_exit_code() {
    let line = vault_line(1, 0, "eve", "delete secret/data/db", None);
    let code = |arguments: &[&str]| run_with_input(arguments, line.as_bytes()).status.code();
    assert_eq!(code(&["scan", "-q", "-"]), Some(0));
    assert_eq!(code(&["scan", "-q", "--fail-level", "critical", "-"]), Some(1));
    let read = vault_line(1, 0, "app", "read secret/data/db", None);
    assert_eq!(
        run_with_input(&["scan", "-q", "--fail-level", "warning", "-"], read.as_bytes()).status.code(),
        Some(0)
    );
}

#[test]
fn a_repeated_record_counts_once() {
    let lines = format!("{0}\n{0}\n{1}\n", aws_read(1), aws_read(2));
    let output = run_with_input(&["scan", "-"], lines.as_bytes());
    assert!(
        text(&output.stderr).contains("2 events in") && text(&output.stderr).contains("1 repeated"),
        "{}",
        text(&output.stderr)
    );
}

#[test]
fn normalize_prints_the_public_contract() {
    let output = run_with_input(&["normalize", "-"], aws_read(7).as_bytes());
    let event: serde_json::Value = serde_json::from_slice(&output.stdout).expect("one object");
    assert_eq!(event["class"], "secret.read");
    assert_eq!(event["outcome"], "ok");
    assert_eq!(event["principal"]["id"], "arn:aws:iam::111122223333:user/ada");
    assert_eq!(event["source"]["ip"], "203.0.113.9");
    assert_eq!(event["secrets"][0]["id"], "arn:aws:secretsmanager:eu-west-1:111122223333:secret:prod/db");
    assert_eq!(event["store"], "sm");
}

#[test]
fn the_shipped_rules_are_listed_checked_and_tested() {
    let list = text(&run(&["rules", "list"]).stdout);
    for rule in ["KW-001", "KW-002", "KW-003", "KW-004", "KW-005"] {
        assert!(list.contains(rule), "{list}");
    }
    assert_eq!(run(&["rules", "check"]).status.code(), Some(0));
    let tested = run(&["rules", "test"]);
    assert_eq!(tested.status.code(), Some(0), "{}", text(&tested.stdout));
    assert!(text(&tested.stderr).contains("0 failed"));
}

#[test]
fn the_example_configuration_has_no_mistake() {
    let folder = tempfile::tempdir().expect("a folder");
    let secret = folder.path().join("secret");
    std::fs::write(&secret, "whsec_MfKQ9r8GKYqrTwjUPD8ILPZIo2LaLaSwMfKQ9r8GKYo=").expect("written");
    let example = include_str!("../keywatch.example.yaml")
        .replace("/etc/keywatch/soc-webhook.secret", secret.to_str().expect("a path"));
    let path = folder.path().join("keywatch.yaml");
    std::fs::write(&path, example).expect("written");
    let output = run(&["config", "check", "--no-environment", "--config", path.to_str().expect("a path")]);
    assert_eq!(output.status.code(), Some(0), "{}", text(&output.stderr));
}

#[test]
fn the_service_follows_a_growing_log_delivers_and_stops_cleanly() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let log = site.logs().join("audit.log");
    std::fs::write(&log, vault_line(1, 0, "app", "read secret/data/db", None)).expect("written");
    let service = Service::start(&site.config());
    assert!(service.login_link.starts_with("http://127.0.0.1:"), "{}", service.login_link);
    let more = vault_line(2, 5, "eve", "delete secret/data/db", None);
    std::fs::OpenOptions::new()
        .append(true)
        .open(&log)
        .and_then(|mut log| std::io::Write::write_all(&mut log, more.as_bytes()))
        .expect("appended");
    wait_until("the deletion is told", Duration::from_secs(20), || receiver.received().accepted.len() == 1);
    assert_eq!(service.stop(), Some(0));
    let totals = site.look(async |store| store.totals().await.expect("totals"));
    assert_eq!((totals.events, totals.alerts), (2, 1));

    // A restart reads nothing twice and tells nothing again.
    let again = Service::start(&site.config());
    assert_eq!(again.stop(), Some(0));
    assert_eq!(receiver.received().requests, 1);
}

#[test]
fn a_second_service_on_the_same_database_is_refused() {
    let site = Site::new(&Receiver::start(false));
    let first = Service::start(&site.config());
    let config = site.config();
    let second = run(&["serve", "--config", config.to_str().expect("a path")]);
    assert_ne!(second.status.code(), Some(0));
    assert!(text(&second.stderr).contains("keywatch.db"), "{}", text(&second.stderr));
    assert_eq!(first.stop(), Some(0));
}
