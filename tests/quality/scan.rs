//! Runs `keywatch scan` over a scenario and reads the alerts it prints.

use crate::scenario::Log;
use serde::Deserialize;
use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

/// One alert, as far as the tests look at it.
#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Alert {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) level: String,
    pub(crate) opened_at: String,
    pub(crate) events: u64,
    #[serde(default)]
    pub(crate) evidence: Vec<Evidence>,
    #[serde(default)]
    pub(crate) why: serde_json::Value,
}

#[derive(Clone, Debug, Deserialize, PartialEq)]
pub(crate) struct Evidence {
    pub(crate) event: String,
    #[serde(default)]
    pub(crate) place: Option<String>,
}

impl Alert {
    pub(crate) fn rank(&self) -> u8 {
        rank(&self.level)
    }

    /// Lines of the first file that this alert cites, from 0.
    pub(crate) fn lines(&self) -> impl Iterator<Item = usize> {
        let line = |evidence: &Evidence| -> Option<usize> {
            evidence.place.as_ref()?.rsplit_once(':')?.1.parse::<usize>().ok()?.checked_sub(1)
        };
        self.evidence.iter().filter_map(line)
    }
}

/// Levels in order.
pub(crate) fn rank(level: &str) -> u8 {
    match level {
        "critical" => 4,
        "high" => 3,
        "warning" => 2,
        "info" => 1,
        _ => 0,
    }
}

/// What a scan said.
#[derive(Debug)]
pub(crate) struct Replay {
    pub(crate) alerts: Vec<Alert>,
    /// What it printed for the person at the terminal.
    pub(crate) summary: String,
}

/// The operator's lists: name and what stands in it, one value per line.
pub(crate) type Lists<'a> = &'a [(&'a str, &'a str)];

/// Scans a scenario in the order of its times.
pub(crate) fn scan(log: &Log) -> Replay {
    scan_with(log, &[])
}

/// The same with lists an operator has configured.
pub(crate) fn scan_with(log: &Log, lists: Lists<'_>) -> Replay {
    let folder = tempfile::tempdir().expect("a folder");
    let file = write(folder.path(), "audit.jsonl", log.records.iter().map(|record| record.json.to_string()));
    scan_files(&[file], lists)
}

/// Writes lines into a file.
pub(crate) fn write(folder: &Path, name: &str, lines: impl Iterator<Item = String>) -> PathBuf {
    let path = folder.join(name);
    let mut out = std::io::BufWriter::new(std::fs::File::create(&path).expect("a file"));
    for line in lines {
        writeln!(out, "{line}").expect("a line is written");
    }
    out.flush().expect("the file is written");
    path
}

/// Scans files in the order given.
pub(crate) fn scan_files(files: &[PathBuf], lists: Lists<'_>) -> Replay {
    let mut command = Command::new(env!("CARGO_BIN_EXE_keywatch"));
    command.args(["scan", "--format", "ndjson"]).args(files).stdin(Stdio::null());
    let folder = tempfile::tempdir().expect("a folder");
    for (name, value) in lists {
        let file = write(folder.path(), &format!("{name}.txt"), std::iter::once((*value).to_owned()));
        command.arg("--list").arg(format!("{name}={}", file.display()));
    }
    let output = command.output().expect("the program starts");
    let summary = String::from_utf8_lossy(&output.stderr).into_owned();
    assert!(output.status.success(), "the scan failed: {summary}");
    let text = String::from_utf8(output.stdout).expect("text");
    let alert = |line: &str| serde_json::from_str(line).expect("an alert in the public form");
    Replay { alerts: text.lines().map(alert).collect(), summary }
}

impl Replay {
    /// Alerts of these rules; `KW-005` means `KW-005m` and its other parts as well.
    pub(crate) fn of(&self, rules: &[&str]) -> Vec<&Alert> {
        let wanted = |alert: &&Alert| rules.iter().any(|rule| is(&alert.rule, rule));
        self.alerts.iter().filter(wanted).collect()
    }

    /// One line per alert.
    pub(crate) fn table(&self) -> String {
        let line = |alert: &Alert| {
            format!(
                "  {:<9} {:<8} {} {} event(s) {}\n",
                alert.rule, alert.level, alert.opened_at, alert.events, alert.why
            )
        };
        self.alerts.iter().map(line).collect()
    }
}

/// Whether `rule` is `wanted` or one of its parts.
pub(crate) fn is(rule: &str, wanted: &str) -> bool {
    let ends = |rest: &str| wanted.ends_with('-') || !rest.starts_with(|next: char| next.is_ascii_digit());
    rule.strip_prefix(wanted).is_some_and(ends)
}
