//! Finding rule files, and taking documents out of them.

use super::RuleError;
use keywatch_rules::Problem;
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Most rule files read from one folder tree: SigmaHQ has about 4,000.
const FILES_MAX: usize = 20_000;
/// Top-level keys of which a rule document has at least one.
const RULE_KEYS: &[&str] = &["detection:", "correlation:", "keywatch:"];

/// A rule file.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct RuleFile {
    pub(super) name: String,
    pub(super) text: String,
}

/// What was found under some paths.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<RuleFile>,
    /// YAML files in folders that hold no rule.
    pub(super) passed_over: usize,
}

/// A path that is to be read.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Wanted {
    path: PathBuf,
    /// Named by the user; otherwise found in a folder.
    named: bool,
}

/// Reads the rule files named, and those in the folders named. A file somebody names must be a
/// rule; in a folder (a checkout of SigmaHQ) other YAML is passed over.
///
/// # Errors
/// Every file and folder that cannot be read.
pub(super) fn read(paths: &[PathBuf]) -> Result<Found, RuleError> {
    let mut wanted = Vec::new();
    let mut wrong = Vec::new();
    for path in paths {
        find(path, true, &mut wanted, &mut wrong);
    }
    wanted.sort();
    wanted.dedup_by(|a, b| a.path == b.path);
    let mut found = Found::default();
    for Wanted { path, named } in &wanted {
        match fs::read(path) {
            Ok(bytes) => found.take(path, &bytes, *named),
            Err(error) => wrong.push(unreadable(path, &error.to_string())),
        }
    }
    if wrong.is_empty() { Ok(found) } else { Err(RuleError(wrong)) }
}

impl Found {
    fn take(&mut self, path: &Path, bytes: &[u8], named: bool) {
        let text = String::from_utf8_lossy(bytes).into_owned();
        if named || is_rule(&text) {
            self.files.push(RuleFile { name: path.display().to_string(), text });
        } else {
            self.passed_over += 1;
        }
    }
}

fn is_rule(text: &str) -> bool {
    text.lines().any(|line| RULE_KEYS.iter().any(|key| line.starts_with(key)))
}

fn unreadable(path: &Path, error: &str) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: 1,
        column: 1,
        message: format!("cannot be read: {error}"),
        remedy: "name rule files or folders that Keywatch may read".to_owned(),
    }
}

fn find(path: &Path, named: bool, wanted: &mut Vec<Wanted>, wrong: &mut Vec<Problem>) {
    if wanted.len() > FILES_MAX {
        return;
    }
    if !path.is_dir() {
        wanted.push(Wanted { path: path.to_owned(), named });
        if wanted.len() > FILES_MAX {
            wrong.push(unreadable(
                path,
                &format!("it would be the {FILES_MAX}th rule file; name a narrower folder"),
            ));
        }
        return;
    }
    let entries = match fs::read_dir(path) {
        Ok(entries) => entries,
        Err(error) => return wrong.push(unreadable(path, &error.to_string())),
    };
    for entry in entries {
        match entry {
            Ok(entry) => find_below(&entry.path(), wanted, wrong),
            Err(error) => wrong.push(unreadable(path, &error.to_string())),
        }
    }
}

/// An entry of a folder: a YAML file or a folder, neither hidden.
fn find_below(path: &Path, wanted: &mut Vec<Wanted>, wrong: &mut Vec<Problem>) {
    let hidden = path.file_name().is_some_and(|name| name.as_encoded_bytes().starts_with(b"."));
    let yaml = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
    if !hidden && (yaml || (path.is_dir() && !path.is_symlink())) {
        find(path, false, wanted, wrong);
    }
}

/// Names and ids of the documents of a rule file.
pub(super) fn names(text: &str) -> BTreeSet<String> {
    documents(text).iter().flat_map(|document| names_of(document)).collect()
}

/// The file without the documents that have one of these names; every other line stays where it
/// was.
pub(super) fn without(text: &str, names: &BTreeSet<String>) -> String {
    let mut kept = String::with_capacity(text.len());
    for document in documents(text) {
        let replaced = names_of(document).any(|name| names.contains(&name));
        if replaced {
            kept.extend(document.lines().map(|_| '\n'));
        } else {
            kept.push_str(document);
        }
    }
    kept
}

/// The documents of a file, each with the `---` before it.
fn documents(text: &str) -> Vec<&str> {
    let mut rest = text;
    let mut all = Vec::new();
    while !rest.is_empty() {
        let next = rest.match_indices("\n---").map(|(at, _)| at + 1).find(|at| is_marker(rest, *at));
        let (document, after) = rest.split_at_checked(next.unwrap_or(rest.len())).unwrap_or((rest, ""));
        all.push(document);
        rest = after;
    }
    all
}

/// Whether the line that begins at `at` is a document marker.
fn is_marker(text: &str, at: usize) -> bool {
    let line = text.get(at..).and_then(|rest| rest.lines().next()).unwrap_or_default();
    line == "---" || line.starts_with("--- ")
}

fn names_of(document: &str) -> impl Iterator<Item = String> {
    let named = |line: &str| line.strip_prefix("name:").or_else(|| line.strip_prefix("id:")).map(unquoted);
    document.lines().filter_map(named)
}

fn unquoted(value: &str) -> String {
    let value = value.trim();
    let value = value.split_once(" #").map_or(value, |(value, _)| value).trim_end();
    value.trim_matches(['"', '\'']).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_document_is_taken_out_and_the_others_keep_their_lines() {
        let text = "title: A\nname: a\n---\ntitle: B\nid: \"b\" # old\ndetection: {}\n---\nname: c\n";
        assert_eq!(names(text), ["a", "b", "c"].map(str::to_owned).into());
        let without = |name: &str| without(text, &[name.to_owned()].into());
        assert_eq!(without("a"), "\n\n---\ntitle: B\nid: \"b\" # old\ndetection: {}\n---\nname: c\n");
        assert_eq!(without("b"), "title: A\nname: a\n\n\n\n\n---\nname: c\n");
        assert_eq!(without("c"), "title: A\nname: a\n---\ntitle: B\nid: \"b\" # old\ndetection: {}\n\n\n");
        assert_eq!(without("d"), text);
    }

    #[test]
    fn in_a_folder_only_rules_are_read_and_hidden_ones_are_not() {
        let folder = tempfile::tempdir().unwrap();
        let write = |name: &str, text: &str| {
            let path = folder.path().join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        };
        write("rules/cloud/a.yml", "title: A\ndetection:\n  x: y\n");
        write("rules/b.yaml", "title: B\r\ncorrelation: {}\r\n");
        write("tests/config.yml", "a: {b: c\n");
        write(".github/workflows/test.yml", "detection:\n");
        write("notes.txt", "detection:\n");
        let found = read(&[folder.path().to_owned()]).unwrap();
        let names: Vec<&str> = found.files.iter().map(|file| file.name.rsplit('/').next().unwrap()).collect();
        assert_eq!((names, found.passed_over), (vec!["b.yaml", "a.yml"], 1));
        let alone = read(&[folder.path().join("tests/config.yml")]).unwrap();
        assert_eq!(alone.files.len(), 1, "a file that is named is taken at its word");
    }

    #[test]
    fn every_path_that_cannot_be_read_is_named_at_once() {
        let RuleError(wrong) = read(&["/nowhere/a.yml".into(), "/nowhere/b".into()]).unwrap_err();
        let files: Vec<&str> = wrong.iter().map(|problem| problem.file.as_str()).collect();
        assert_eq!(files, ["/nowhere/a.yml", "/nowhere/b"]);
    }
}
