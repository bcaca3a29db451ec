//! Recorded attacks of others, when `KEYWATCH_CORPUS` names a folder of them: `NAME.events.jsonl`
//! with one record per line and `NAME.truth.jsonl` with one line about each.
//!
//! A line with `technique` belongs to a detonation of that attack technique; everything else in
//! the folder is documentation or test material and only has to be read.

use crate::scan::{Alert, scan_files};
use crate::whole::show;
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

/// Techniques about secrets, keys and the audit trail, which are what this program watches.
const OURS: &[&str] = &["secret", "ssm-retrieve", "cloudtrail", "kms"];

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

/// What was said about each technique.
fn score(folder: &Path, name: &str) -> BTreeMap<String, BTreeSet<String>> {
    let truth = techniques(folder, name);
    let mut found: BTreeMap<String, BTreeSet<String>> =
        truth.values().map(|technique| (technique.clone(), BTreeSet::new())).collect();
    let replay = scan_files(&[folder.join(format!("{name}.events.jsonl"))], &[]);
    let place = |alert: &Alert| -> BTreeSet<usize> { alert.lines().map(|line| line + 1).collect() };
    for alert in replay.alerts.iter().filter(|alert| alert.rank() >= 2) {
        for technique in place(alert).iter().filter_map(|line| truth.get(line)) {
            found.entry(technique.clone()).or_default().insert(format!("{}/{}", alert.rule, alert.level));
        }
    }
    found
}

#[test]
fn recorded_attacks_on_secrets_are_found() {
    let Some(folder) = std::env::var_os("KEYWATCH_CORPUS").map(PathBuf::from) else {
        show("KEYWATCH_CORPUS names no folder of recordings: nothing was checked", &"");
        return;
    };
    let mut ours = BTreeMap::new();
    for name in names(&folder) {
        for (technique, said) in score(&folder, &name) {
            let said: Vec<String> = said.into_iter().collect();
            show(&format!("  {name}: {technique}"), &said.join(" "));
            if OURS.iter().any(|word| technique.contains(word)) {
                ours.entry(technique).or_insert_with(Vec::new).extend(said);
            }
        }
    }
    let missed: Vec<&String> =
        ours.iter().filter(|(_, said)| said.is_empty()).map(|(name, _)| name).collect();
    assert!(missed.is_empty(), "nothing was said about {missed:?}");
}
