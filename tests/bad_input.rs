//! Bad input: every kind has a clear outcome, nothing is lost, and the rest is read.

use crate::harness::logs::{aws_read, vault_line};
use crate::harness::{Receiver, Service, Site, run, run_with_input, text, wait_until};
use std::io::Write;
use std::time::Duration;

/// Scans `input` between two good records: both must be found whatever lies between.
#[track_caller]
fn check_between(input: &[u8], rejects: &str) {
    let mut all = aws_read(1).into_bytes();
    all.push(b'\n');
    all.extend_from_slice(input);
    all.push(b'\n');
    all.extend_from_slice(aws_read(2).as_bytes());
    let output = run_with_input(&["scan", "-"], &all);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(0), "{said}");
    assert!(said.contains("2 events in"), "{said}");
    assert!(said.contains(rejects), "wanted `{rejects}` in {said}");
}

#[test]
fn what_is_no_record_is_set_aside_with_its_reason() {
    check_between(b"{\"eventName\":\"GetSec", "syntax 1");
    check_between(b"not json at all", "syntax 1");
    check_between(b"{\"a\":\"\xff\xfe\"}", "encoding 1");
    check_between(br#"{"hello":"world"}"#, "unknown_shape 1");
    check_between(br#"{"eventName":"GetSecretValue","eventName":"ListSecrets","eventSource":"secretsmanager.amazonaws.com"}"#, "duplicate_key 1");
    check_between(
        format!("{{\"eventName\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).as_bytes(),
        "depth 1",
    );
    check_between(b"", "0 rejects");
}

#[test]
fn a_line_of_a_hundred_megabytes_is_kept_in_parts_and_the_rest_is_read() {
    let mut line = b"{\"eventName\":\"".to_vec();
    line.resize(100 << 20, b'a');
    check_between(&line, "oversize");
}

#[test]
fn strange_times_keep_the_record() {
    for time in ["1970-01-01T00:00:00Z", "9999-12-31T23:59:59Z", "soon"] {
        let record = aws_read(1).replace("2026-06-01T00:00:01Z", time);
        let output = run_with_input(&["normalize", "-"], record.as_bytes());
        let event: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|_| panic!("{time}: {}", text(&output.stderr)));
        assert_eq!(event["class"], "secret.read", "{time}");
        let believed = event.get("time_raw").is_none();
        assert_eq!(believed, time.starts_with("1970"), "{event}");
    }
}

#[test]
fn a_truncated_gzip_gives_what_was_before_the_cut() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("trail.json.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    for n in 0..2000 {
        writeln!(gzip, "{}", aws_read(n)).expect("compressed");
    }
    let whole = gzip.finish().expect("compressed");
    std::fs::write(&path, &whole[..whole.len() / 2]).expect("written");
    let output = run(&["scan", path.to_str().expect("a path")]);
    let said = text(&output.stderr);
    assert!(said.contains("compression 1"), "{said}");
    assert!(!said.contains("\n0 events"), "{said}");
}

#[test]
fn a_gzip_bomb_is_stopped_and_named() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("bomb.gz");
    let mut gzip = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
    let zeros = vec![b' '; 1 << 20];
    for _ in 0..1024 {
        gzip.write_all(&zeros).expect("compressed");
    }
    std::fs::write(&path, gzip.finish().expect("compressed")).expect("written");
    let output = run(&["scan", path.to_str().expect("a path")]);
    let said = text(&output.stderr);
    assert!(said.contains("bomb 1"), "{said}");
}

#[test]
fn an_empty_file_holds_nothing_and_a_missing_one_is_an_error() {
    let folder = tempfile::tempdir().expect("a folder");
    let empty = folder.path().join("empty.json");
    std::fs::write(&empty, "").expect("written");
    assert_eq!(run(&["scan", empty.to_str().expect("a path")]).status.code(), Some(0));
    let missing = run(&["scan", folder.path().join("none").to_str().expect("a path")]);
    assert_eq!(missing.status.code(), Some(4), "{}", text(&missing.stderr));
    assert!(text(&missing.stderr).contains("none"));
}

#[test]
fn a_configuration_with_three_mistakes_names_all_three() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keywatch.yaml");
    std::fs::write(&path, "lisen: 127.0.0.1:1\nknown_networks: [office]\nsources:\n  - name: vault\n")
        .expect("written");
    let output = run(&["config", "check", "--config", path.to_str().expect("a path")]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(3), "{said}");
    for part in [
        ":1:1: unknown key `lisen`; did you mean `listen`?",
        ":2:18: `office` is no network",
        ":4:5: says of no kind what it is; write one of files, aws_queue, aws_lookup, gcp_logging, gcp_pubsub, kafka, event_hubs, azure_blob, vault, http",
        "3 problem(s)",
    ] {
        assert!(said.contains(part), "wanted `{part}` in {said}");
    }
}

#[test]
fn a_rule_with_a_mistake_is_named_with_line_and_column() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.yml");
    let rule = "title: Own\nname: OWN-1\nlevel: high\ndetection:\n  sel:\n    clas: secret.read\n    outcome|containz: ok\n  condition: sell\n";
    std::fs::write(&path, rule).expect("written");
    let output = run(&["rules", "check", path.to_str().expect("a path")]);
    let said = text(&output.stderr);
    assert_eq!(output.status.code(), Some(2), "{said}");
    for part in [
        ":6:5: unknown field `clas`; did you mean `class`?",
        ":7:5:",
        "containz",
        ":8:14:",
        "did you mean `sel`?",
    ] {
        assert!(said.contains(part), "wanted `{part}` in {said}");
    }
}

#[test]
fn every_mistake_of_a_rule_is_named_in_one_round() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("own.yml");
    let rule = "title: Own\nname: OWN-1\nlevel: hihg\ndetection:\n  sel: {clas: x}\n  condition: sell\nkeywatch:\n  acton: x\n  \
                incident: {key: [nope], keep_alive: 1x}\n  examples:\n    - {name: a, expect: loud, events: [{class: secret.reed}]}\n";
    std::fs::write(&path, rule).expect("written");
    let said = text(&run(&["rules", "check", path.to_str().expect("a path")]).stderr);
    for part in
        ["`hihg`", "`clas`", "`sell`", "`acton`", "`nope`", "`1x`", "`loud`", "`secret.reed`", "8 problem(s)"]
    {
        assert!(said.contains(part), "wanted `{part}` in {said}");
    }
}

#[test]
fn a_mistake_in_a_rule_leaves_the_running_rules_as_they_are() {
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let rules = site.path("rules.yml");
    let own = "title: Own\nname: OWN-1\nlevel: high\ndetection:\n  sel:\n    operation|startswith: 'read secret/data/crown'\n  condition: sel\n";
    std::fs::write(&rules, own).expect("written");
    let config =
        std::fs::read_to_string(site.config()).expect("read") + &format!("rules: [{}]\n", rules.display());
    std::fs::write(site.config(), config).expect("written");
    let service = Service::start(&site.config());
    std::fs::write(&rules, own.replace("sel:", "sel")).expect("written");
    service.reload();
    let log = site.logs().join("audit.log");
    std::fs::write(&log, vault_line(1, 0, "eve", "read secret/data/crown", None)).expect("written");
    wait_until("the old rule still speaks", Duration::from_secs(20), || {
        receiver.received().accepted.len() == 1
    });
    assert_eq!(service.stop(), Some(0));
}
