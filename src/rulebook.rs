//! Rule files from disk, beside the shipped ones.

use anyhow::Context;
use keywatch_rules::{Problem, RuleSet, builtin, compile};
use std::fs;
use std::path::{Path, PathBuf};

/// Most rule files read from one folder tree: SigmaHQ has about 4,000.
const FILES_MAX: usize = 20_000;

/// Why rules could not be loaded.
#[derive(Debug, thiserror::Error)]
pub(crate) enum RuleError {
    /// Mistakes in the files.
    #[error("{}", listed(.0))]
    Problems(Vec<Problem>),
    /// A file that cannot be read.
    #[error("{0:#}")]
    Unreadable(anyhow::Error),
}

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("{}\n{} problem(s) in rule files; no rule was changed", lines.join("\n"), problems.len())
}

/// The shipped rules and those in `paths` (files, or folders searched for `.yml` and `.yaml`).
pub(crate) fn load(paths: &[PathBuf]) -> Result<RuleSet, RuleError> {
    let own = read(paths).map_err(RuleError::Unreadable)?;
    let shipped = builtin().iter().map(|(name, text)| (*name, *text));
    // A copy of a shipped file is that file.
    let copies = |text: &str| builtin().iter().any(|(_, shipped)| *shipped == text);
    let own = own.iter().map(|(name, text)| (name.as_str(), text.as_str())).filter(|(_, text)| !copies(text));
    compile(shipped.chain(own)).map_err(RuleError::Problems)
}

/// The rules in `paths` alone.
pub(crate) fn load_only(paths: &[PathBuf]) -> Result<RuleSet, RuleError> {
    let own = read(paths).map_err(RuleError::Unreadable)?;
    compile(own.iter().map(|(name, text)| (name.as_str(), text.as_str()))).map_err(RuleError::Problems)
}

fn read(paths: &[PathBuf]) -> anyhow::Result<Vec<(String, String)>> {
    let mut files = Vec::new();
    for path in paths {
        find(path, &mut files)?;
    }
    files.sort();
    files.dedup();
    let text = |path: &PathBuf| -> anyhow::Result<(String, String)> {
        let bytes =
            fs::read(path).with_context(|| format!("cannot read the rule file {}", path.display()))?;
        Ok((path.display().to_string(), String::from_utf8_lossy(&bytes).into_owned()))
    };
    files.iter().map(text).collect()
}

fn find(path: &Path, files: &mut Vec<PathBuf>) -> anyhow::Result<()> {
    if !path.is_dir() {
        files.push(path.to_owned());
        return Ok(());
    }
    let entries =
        fs::read_dir(path).with_context(|| format!("cannot read the rule folder {}", path.display()))?;
    for entry in entries {
        let path = entry.with_context(|| format!("cannot read the rule folder {}", path.display()))?.path();
        let is_rule = path.extension().is_some_and(|ending| ending == "yml" || ending == "yaml");
        if is_rule || (path.is_dir() && !path.is_symlink()) {
            find(&path, files)?;
        }
        anyhow::ensure!(files.len() <= FILES_MAX, "more than {FILES_MAX} rule files; name a narrower folder");
    }
    Ok(())
}
