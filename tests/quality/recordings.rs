//! Recorded attacks of others, when `KEYWATCH_CORPUS` names a folder of them: `NAME.events.jsonl`
//! with one record per line and `NAME.truth.jsonl` with one line about each.
//!
//! A line with `technique` belongs to a detonation of that attack technique; everything else in
//! the folder is documentation or test material and only has to be read.

use crate::scan::{scan_files, write};
use crate::whole::show;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Techniques about secrets, keys, identities that read them, and the audit trail. Leaving the
/// organisation is not among them: the recorded attempt was refused.
const OURS: &[&str] = &[
    "secretsmanager-batch-retrieve-secrets",
    "aws.credential-access.secretsmanager-retrieve-secrets",
    "ssm-retrieve-securestring-parameters",
    "cloudtrail",
    "dns-delete-logs",
    "vpc-remove-flow-logs",
    "console-login-without-mfa",
    "storage-cmk",
];

/// The tool that made the recordings names itself; a thief would not.
const TOOL: &str = "stratus-red-team";

/// The technique of each line, from 1.
fn techniques(folder: &Path, name: &str) -> BTreeMap<usize, String> {
    let text = std::fs::read_to_string(folder.join(format!("{name}.truth.jsonl"))).unwrap_or_default();
    let technique = |(n, line): (usize, &str)| {
        let value: Value = serde_json::from_str(line).ok()?;
        Some((n + 1, value.get("technique")?.as_str()?.to_owned()))
    };
    text.lines().enumerate().filter_map(technique).collect()
}

fn names(folder: &Path) -> Vec<String> {
    let entries = std::fs::read_dir(folder).expect("the folder of recordings is there");
    let name = |path: PathBuf| path.file_name()?.to_str()?.strip_suffix(".events.jsonl").map(str::to_owned);
    let mut names: Vec<String> = entries.flatten().filter_map(|entry| name(entry.path())).collect();
    names.sort();
    names
}

/// What was said about each technique; `disguised` hides the tool's name first.
fn score(folder: &Path, name: &str, disguised: bool) -> BTreeMap<String, BTreeSet<String>> {
    let truth = techniques(folder, name);
    let mut found: BTreeMap<String, BTreeSet<String>> =
        truth.values().map(|technique| (technique.clone(), BTreeSet::new())).collect();
    let text = std::fs::read_to_string(folder.join(format!("{name}.events.jsonl"))).expect("a recording");
    let copy = tempfile::tempdir().expect("a folder");
    let line = |line: &str| if disguised { line.replace(TOOL, "Boto3") } else { line.to_owned() };
    let replay = scan_files(&[write(copy.path(), "events.jsonl", text.lines().map(line))], &[]);
    for alert in replay.alerts.iter().filter(|alert| alert.rank() >= 2) {
        let lines: BTreeSet<usize> = alert.lines().map(|line| line + 1).collect();
        for technique in lines.iter().filter_map(|line| truth.get(line)) {
            found.entry(technique.clone()).or_default().insert(format!("{}/{}", alert.rule, alert.level));
        }
    }
    found
}

#[test]
fn recorded_attacks_on_secrets_are_found_even_when_their_tool_does_not_name_itself() {
    let Some(folder) = std::env::var_os("KEYWATCH_CORPUS").map(PathBuf::from) else {
        show("KEYWATCH_CORPUS names no folder of recordings: nothing was checked", &"");
        return;
    };
    for disguised in [false, true] {
        let mut missed = Vec::new();
        let (mut found, mut all) = (0, 0);
        for (technique, said) in names(&folder).iter().flat_map(|name| score(&folder, name, disguised)) {
            let said: Vec<String> = said.into_iter().collect();
            show(&format!("  {technique:<60} {}", said.join(" ")), &"");
            all += 1;
            found += usize::from(!said.is_empty());
            if said.is_empty() && OURS.iter().any(|ours| technique.contains(ours)) {
                missed.push(technique);
            }
        }
        show(&format!("recordings (tool disguised: {disguised}): {found} of {all} techniques found"), &"");
        assert!(missed.is_empty(), "nothing was said about {missed:?} (tool disguised: {disguised})");
    }
}
