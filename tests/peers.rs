//! Real peers: the reference packages of Standard Webhooks, and a browser.
//!
//! `cargo xtask test` installs them and says where (`KEYWATCH_SETUP`); without them these tests
//! say that they did nothing.
#![expect(clippy::print_stdout, reason = "a test that does nothing must say so")]

use crate::harness::logs::{aws_read, vault_line};
use crate::harness::{Receiver, SECRET, Service, Site, wait_until};
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::Duration;

pub(crate) fn installed() -> Option<PathBuf> {
    let setup = std::env::var_os("KEYWATCH_SETUP").map(PathBuf::from);
    if setup.is_none() {
        println!("KEYWATCH_SETUP names no folder with peers: nothing was checked; run `cargo xtask test`");
    }
    setup
}

pub(crate) fn peer(script: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/peers").join(script)
}

/// Runs a script with `input`; whether it ended well, and what it said.
fn runs(command: &mut Command, input: &str) -> (bool, String) {
    let child = command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).spawn();
    let mut child = child.expect("the peer starts");
    child.stdin.take().expect("a pipe").write_all(input.as_bytes()).expect("written");
    let output = child.wait_with_output().expect("the peer ends");
    (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
}

fn node(setup: &Path, script: &str) -> Command {
    let mut command = Command::new("node");
    command.env("NODE_PATH", setup.join("node/node_modules")).arg(peer(script));
    command
}

#[test]
fn the_reference_packages_of_python_and_node_verify_what_was_delivered() {
    let Some(setup) = installed() else { return };
    let (receiver, lake) = (Receiver::start(false), Receiver::start(false));
    let site = Site::new(&receiver);
    let config = std::fs::read_to_string(site.config()).expect("read");
    let findings = format!(
        "receivers:\n  - name: lake\n    ocsf: {{url: \"{}\", secrets: [{{source: file, path: {}}}]}}\n",
        lake.url(),
        site.path("secret").display()
    );
    std::fs::write(site.config(), config.replacen("receivers:\n", &findings, 1)).expect("written");
    let line = vault_line(1, 0, "eve", "delete secret/data/caf\u{e9}", None);
    std::fs::write(site.logs().join("audit.log"), line).expect("written");
    let service = Service::start(&site.config());
    let python = setup.join("venv/bin/python");
    for (kind, told) in [("webhook", &receiver), ("ocsf", &lake)] {
        wait_until(kind, Duration::from_secs(20), || !told.received().messages.is_empty());
        let (headers, body) = told.received().messages.first().cloned().expect("a message");
        let message = serde_json::json!({"secret": SECRET, "headers": headers, "body": body});
        let forged = serde_json::json!({"secret": SECRET, "headers": headers, "body": format!("{body} ")});
        for (input, genuine) in [(message.to_string(), true), (forged.to_string(), false)] {
            let (verified, said) = runs(Command::new(&python).arg(peer("verify.py")), &input);
            assert_eq!(verified, genuine, "PyPI, {kind}: {said}");
            let (verified, said) = runs(&mut node(&setup, "verify.js"), &input);
            assert_eq!(verified, genuine, "npm, {kind}: {said}");
        }
    }
    assert_eq!(service.stop(), Some(0));
}

#[test]
fn every_page_stands_in_a_browser_whatever_the_records_say() {
    let Some(setup) = installed() else { return };
    let programs = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable"];
    let found = programs.iter().map(|name| Path::new("/usr/bin").join(name)).find(|path| path.exists());
    let browser = found.expect("cargo xtask test installs Chromium");
    let receiver = Receiver::start(false);
    let site = Site::new(&receiver);
    let hostile = "secret/data/<script>alert(1)</script>'onmouseover=alert(1) \\u202e\\u001b[31m/".to_owned()
        + &"long".repeat(80);
    let lines = vault_line(1, 0, "eve<img src=x onerror=alert(1)>", &format!("delete {hostile}"), None)
        + &aws_read(1)
        + "\nno record\n";
    std::fs::write(site.logs().join("audit.log"), lines).expect("written");
    let service = Service::start(&site.config());
    wait_until("the deletion is told", Duration::from_secs(20), || !receiver.received().accepted.is_empty());
    let (stands, said) = runs(node(&setup, "pages.js").arg(&service.login_link).arg(browser), "");
    assert!(stands, "{said}");
    assert_eq!(service.stop(), Some(0));
}

/// What schema and reader both take, and what both refuse.
const JUDGED: &[(&str, bool)] = &[
    (include_str!("../keywatch.example.yaml"), true),
    ("", true),
    ("https: true\nhosts: keywatch.example.com\n", true),
    ("listen: \"${LISTEN:-127.0.0.1:8420}\"\nhttps: \"${HTTPS:-true}\"\n", true),
    (
        "receivers: [{name: a, webhook: {url_file: /etc/url, secret: 'env:A', secrets: ['vault:a/b#c']}}]",
        true,
    ),
    ("lists: {own_accounts: ['111122223333', 5], rotators: , ranges: {file: /etc/ranges}}", true),
    ("sources: [{name: a}]", false),
    ("sources: [{name: a, file: b}]", false),
    ("lisen: 127.0.0.1:1", false),
    ("https: often", false),
    ("receivers: [{name: a}]", false),
    ("receivers: [{name: a, concurrency: 0, webhook: {url: 'https://h.example/', secret: 'env:A'}}]", false),
    ("receivers: [{name: a, level: loud, webhook: {url: 'https://h.example/', secret: 'env:A'}}]", false),
    (
        "receivers: [{name: a, webhook: {url: 'https://h.example/', secret: {source: nowhere, path: x}}}]",
        false,
    ),
    ("egress: [10.0.0.0/8]", false),
    ("lists: {a: {path: b}}", false),
    ("planned_access: [{principal: a, reason: b}]", false),
];

#[test]
fn the_schema_takes_what_the_reader_takes_and_refuses_what_it_refuses() {
    let Some(setup) = installed() else { return };
    let schema = crate::harness::run(&["config", "schema"]).stdout;
    let schema: serde_json::Value = serde_json::from_slice(&schema).expect("the schema is JSON");
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("keywatch.yaml");
    let mut cases = Vec::new();
    for (text, valid) in JUDGED {
        std::fs::write(&path, text).expect("written");
        let path = path.to_str().expect("a path");
        let read = crate::harness::run(&["config", "check", "--no-environment", path]);
        assert_eq!(read.status.success(), *valid, "{text}: {}", String::from_utf8_lossy(&read.stderr));
        cases.push(serde_json::json!({"text": text, "valid": valid}));
    }
    let asked = serde_json::json!({"schema": schema, "cases": cases}).to_string();
    let (agrees, said) =
        runs(Command::new(setup.join("venv/bin/python")).arg(peer("configuration.py")), &asked);
    assert!(agrees, "{said}");
}
