//! What becomes of an alert, through the whole program: said again, passed on, silenced, gathered,
//! capped, handled by people, given up and sent again.
//!
//! Hours pass by starting the service anew at a later time, which libfaketime tells it; so nothing
//! here depends on what it remembers. `cargo xtask test` brings libfaketime (`KEYWATCH_SETUP`);
//! without it the tests that need another time say that they did nothing.
#![expect(clippy::print_stdout, reason = "a test that does nothing must say so")]

mod given_up;
mod handled;
mod quiet;
mod routed;
mod urged;

use crate::harness::browser::Browser;
use crate::harness::logs::vault_line;
use crate::harness::{Receiver, Service, Site, wait_until};
use crate::peers::installed;
use serde_json::Value;
use std::io::Write;
use std::path::PathBuf;
use std::time::Duration;

const LIMIT: Duration = Duration::from_secs(30);

/// Noon of the day of the logs: the beginning of every scene.
const NOON: i64 = 12 * 3600;

/// A service that lives in its own time, the receiver `soc` it tells, and its logs.
struct Stage {
    site: Site,
    soc: Receiver,
    clock: PathBuf,
}

impl Stage {
    /// Sets the stage with `yaml` beside the usual configuration; `None` without libfaketime.
    fn set(yaml: &str) -> Option<Self> {
        let clock = clock()?;
        let soc = Receiver::start(false);
        let site = Site::new(&soc);
        site.configure(yaml);
        Some(Self { site, soc, clock })
    }

    /// Another receiver, as the configuration names it.
    fn receiver(&self, name: &str, receiver: &Receiver) {
        let (url, folder) = (receiver.url(), self.site.folder.path().display());
        let yaml = format!(
            "  - name: {name}\n    webhook: {{url: \"{url}\", secret: {{source: file, path: {folder}/secret}}}}\n"
        );
        let config = std::fs::read_to_string(self.site.config()).expect("read");
        let with = config.replacen("receivers:\n", &format!("receivers:\n{yaml}"), 1);
        std::fs::write(self.site.config(), with).expect("written");
    }

    /// Starts the service at a time of 2026-06-01, a Monday.
    fn start(&self, time: &str) -> (Service, Browser) {
        let library = self.clock.to_str().expect("a path");
        let at = format!("@2026-06-01 {time}");
        let variables = [
            ("LD_PRELOAD", library),
            ("FAKETIME", at.as_str()),
            // How long things take is measured as ever, and files are as old as they are.
            ("DONT_FAKE_MONOTONIC", "1"),
            ("NO_FAKE_STAT", "1"),
            ("TZ", "UTC"),
        ];
        let service = Service::start_with(&self.site.config(), &variables);
        let browser = Browser::sign_in(&service.login_link);
        (service, browser)
    }

    /// Appends records to the log.
    fn log(&self, lines: &[String]) {
        let path = self.site.logs().join("audit.log");
        let log = std::fs::OpenOptions::new().create(true).append(true).open(path);
        log.and_then(|mut log| log.write_all(lines.concat().as_bytes())).expect("appended");
    }
}

fn clock() -> Option<PathBuf> {
    let unpacked = installed()?.join("debian/usr/lib");
    let folders = std::fs::read_dir(unpacked).into_iter().flatten().flatten();
    let mut libraries = folders.map(|folder| folder.path().join("faketime/libfaketimeMT.so.1"));
    let found = libraries.find(|library| library.exists());
    if found.is_none() {
        println!("there is no libfaketime: nothing was checked; run `cargo xtask setup` on Debian or Ubuntu");
    }
    found
}

/// A deletion by somebody, which is an alert of its own (KW-004, critical).
fn deletion(n: u64, secs: i64, who: &str) -> String {
    vault_line(n, secs, who, &format!("delete secret/data/db{n}"), None)
}

/// What `receiver` accepted of one type, in the order it came.
fn told(receiver: &Receiver, kind: &str) -> Vec<Value> {
    let messages = &receiver.received().messages;
    let bodies = messages.iter().filter_map(|(_, body)| serde_json::from_str::<Value>(body).ok());
    bodies.filter(|body| text(body, "/type") == kind).collect()
}

/// The text at a place of a message, such as `/data/rule`; empty when there is none.
fn text<'m>(message: &'m Value, place: &str) -> &'m str {
    message.pointer(place).and_then(Value::as_str).unwrap_or_default()
}

/// The ids of the alerts of these messages, of one alert each or of several.
fn ids(messages: &[Value]) -> Vec<String> {
    let several = |message: &Value| message.pointer("/data/alerts").and_then(Value::as_array).cloned();
    let alerts = messages.iter().flat_map(|message| {
        several(message).unwrap_or_else(|| message.get("data").cloned().into_iter().collect())
    });
    alerts.map(|alert| text(&alert, "/id").to_owned()).collect()
}

/// Waits for so many messages of a type.
fn await_told(receiver: &Receiver, kind: &str, count: usize) -> Vec<Value> {
    let what = format!("{count} messages of type {kind}");
    wait_until(&what, LIMIT, || told(receiver, kind).len() >= count);
    told(receiver, kind)
}

/// Whether a message is about what `who` did.
fn is_about(message: &Value, who: &str) -> bool {
    text(message, "/data/principal/id").strip_prefix("entity-") == Some(who)
}

/// The id of the alert about what `who` did.
fn about(messages: &[Value], who: &str) -> String {
    let found = messages.iter().find(|message| is_about(message, who));
    text(found.expect("somebody was told of it"), "/data/id").to_owned()
}

/// Whether `receiver` was told that an alert about `who` is open.
fn knows_of(receiver: &Receiver, who: &str) -> bool {
    told(receiver, "alert.opened").iter().any(|message| is_about(message, who))
}

/// How many alerts of a rule `receiver` was told of, one by one.
fn told_of_rule(receiver: &Receiver, rule: &str) -> usize {
    told(receiver, "alert.opened").iter().filter(|message| text(message, "/data/rule") == rule).count()
}

/// Acts on one alert as somebody who has just looked at it.
fn act(browser: &Browser, id: &str, action: &str) {
    let page = browser.page("/?last=all&status=all");
    let mark = format!("value=\"{id}~");
    let revision = page.split_once(&mark).and_then(|(_, rest)| rest.split('"').next());
    let revision = revision.expect("the alert is on the page");
    let answer = browser.send("/alerts", &format!("action={action}&alert={id}~{revision}&who=Ada"));
    assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
}
