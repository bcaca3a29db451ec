//! Finding rule files, and which documents of them count.

use super::RuleError;
use keywatch_rules::{Problem, ReadFile};
use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most rule files read from one folder tree: SigmaHQ has about 4,000.
const FILES_MAX: usize = 20_000;
/// Top-level keys of which a rule document has at least one.
const RULE_KEYS: &[&str] = &["detection", "correlation", "keywatch"];

/// A rule file as it is kept: its text, of which the documents are made again when other rules are tried
/// beside them. They take several times its memory.
#[derive(Clone, Debug)]
pub(super) struct RuleFile {
    pub(super) name: String,
    pub(super) text: String,
    /// Names of documents that another file's stand in place of.
    pub(super) gone: Arc<BTreeSet<String>>,
}

impl RuleFile {
    pub(super) fn new(name: String, text: String) -> Self {
        Self { name, text, gone: Arc::default() }
    }

    /// The file without the documents that have one of these names.
    pub(super) fn without(&self, names: &Arc<BTreeSet<String>>) -> Self {
        let gone = if self.gone.is_empty() {
            Arc::clone(names)
        } else {
            Arc::new(self.gone.union(names).cloned().collect())
        };
        Self { gone, ..self.clone() }
    }

    /// The file, read as the compiler reads it.
    pub(super) fn read(self) -> Opened {
        let read = ReadFile::read(&self.name, &self.text).without(&self.gone);
        Opened { file: self, read }
    }
}

/// A rule file with its documents, while rules are made of them: a file is read once.
#[derive(Clone, Debug)]
pub(super) struct Opened {
    pub(super) file: RuleFile,
    pub(super) read: ReadFile,
}

/// What was found under some paths.
#[derive(Debug, Default)]
pub(super) struct Found {
    pub(super) files: Vec<Opened>,
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
        let opened = RuleFile::new(path.display().to_string(), text).read();
        if named || is_rule(&opened) {
            self.files.push(opened);
        } else {
            self.passed_over += 1;
        }
    }
}

/// Whether a document of the file is a rule, by its keys. Of what is no YAML the lines must do: a rule
/// with a slip in it is not to be passed over.
fn is_rule(Opened { file, read }: &Opened) -> bool {
    if !read.is_yaml() {
        return file.text.lines().any(begins_rule);
    }
    read.documents().iter().any(|document| {
        RULE_KEYS.iter().any(|key| document.get(key).is_some())
            || document.get("filter").is_some_and(|filter| filter.get("rules").is_some())
    })
}

fn begins_rule(line: &str) -> bool {
    let word = line.trim_start_matches([' ', '\t', '{', '"', '\'']);
    RULE_KEYS.iter().any(|key| word.strip_prefix(key).is_some_and(|rest| rest.starts_with([':', '"', '\''])))
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

#[cfg(test)]
mod tests {
    use super::*;

    /// A rule without a name, in three ways of writing it.
    const WAYS: [&str; 3] = [
        "{title: Flow, level: low, detection: {d: {class: secret.read}, condition: d}}\n",
        "\"title\": Quoted\n'detection': {d: {class: secret.read}, condition: d}\nlevel: low\n",
        "  title: Indented\n  level: low\n  detection:\n    d: {class: secret.read}\n    condition: d\n",
    ];

    #[test]
    fn a_document_that_is_gone_is_known_by_name_id_or_title_however_it_is_written() {
        let text = format!("title: A\nname: a\n---\ntitle: B\nid: \"b\" # old\n---\n{}", WAYS.join("---\n"));
        let mut file = RuleFile::new("a.yml".to_owned(), text);
        let titles = |file: &RuleFile| -> Vec<String> {
            let read = file.clone().read().read;
            read.documents().iter().filter_map(|node| node.get("title")?.text()).collect()
        };
        assert_eq!(titles(&file), ["A", "B", "Flow", "Quoted", "Indented"]);
        for (name, left) in [("b", 4), ("A", 4), ("Flow", 3), ("Quoted", 2), ("Indented", 1), ("a", 0)] {
            file = file.without(&Arc::new([name.to_owned()].into()));
            assert_eq!(titles(&file).len(), left, "{name}");
        }
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
        let names: Vec<&str> =
            found.files.iter().map(|opened| opened.file.name.rsplit('/').next().unwrap()).collect();
        assert_eq!((names, found.passed_over), (vec!["b.yaml", "a.yml"], 1));
        let alone = read(&[folder.path().join("tests/config.yml")]).unwrap();
        assert_eq!(alone.files.len(), 1, "a file that is named is taken at its word");
    }

    #[test]
    fn in_a_folder_a_rule_is_known_however_it_is_written_and_whether_or_not_it_can_be_read() {
        let is_rule = |text: &str| is_rule(&RuleFile::new("a.yml".to_owned(), text.to_owned()).read());
        for text in WAYS {
            assert!(is_rule(text), "{text}");
        }
        assert!(is_rule("title: F\nfilter:\n  rules: any\n"), "a filter is loaded like a rule");
        assert!(is_rule("title: A\ndetection: {x: [\n") && is_rule("{\"title\": A,\n \"detection\": [\n"));
        for other in
            ["a: {b: [\n", "filter: {x: y}\n", "on: push\njobs: {detection: {}}\n", "- detection: x\n", ""]
        {
            assert!(!is_rule(other), "{other}");
        }
    }

    #[test]
    fn every_path_that_cannot_be_read_is_named_at_once() {
        let RuleError(wrong) = read(&["/nowhere/a.yml".into(), "/nowhere/b".into()]).unwrap_err();
        let files: Vec<&str> = wrong.iter().map(|problem| problem.file.as_str()).collect();
        assert_eq!(files, ["/nowhere/a.yml", "/nowhere/b"]);
    }
}
