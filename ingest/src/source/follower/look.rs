//! Where the files are now: what a watched path and its neighbours hold.
//!
//! Lists only; which file is which is decided by the follower.

use super::super::walk::{FileId, ReadFailure, files_below, id_of};
use super::content::modified;
use std::collections::{HashMap, HashSet};
use std::fs::{self, Metadata};
use std::io;
use std::path::{Path, PathBuf};

/// A path that is watched: a file with its rotated siblings, or a folder.
#[derive(Debug)]
pub(super) struct Watch {
    pub(super) path: PathBuf,
    /// Siblings older than this were rotated before following began.
    pub(super) since: Option<i64>,
    /// Siblings that are not read, with the time of their last change.
    pub(super) ignored: HashMap<FileId, i64>,
}

/// A file that was found.
#[derive(Debug)]
pub(super) struct Candidate {
    pub(super) path: PathBuf,
    pub(super) id: FileId,
    /// Size and time of the last change.
    pub(super) state: (u64, i64),
    pub(super) role: Role,
}

/// How a file was come upon.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Role {
    /// Beside a watched file, with its name and more.
    Sibling,
    /// In a watched folder.
    Member,
    /// At the watched path itself.
    Main,
}

impl Candidate {
    fn new(path: PathBuf, metadata: &Metadata, role: Role) -> Self {
        Self { path, id: id_of(metadata), state: (metadata.len(), modified(metadata)), role }
    }
}

impl Watch {
    pub(super) fn new(path: PathBuf) -> Self {
        Self { path, since: None, ignored: HashMap::new() }
    }

    /// The files there are. `others` are watched by themselves.
    pub(super) fn candidates(&self, others: &HashSet<PathBuf>) -> (Vec<Candidate>, Vec<ReadFailure>) {
        let failed = |error: &io::Error| vec![ReadFailure::new(&self.path, error)];
        match fs::metadata(&self.path) {
            Ok(metadata) if metadata.is_dir() => self.members(others),
            Ok(metadata) if !metadata.is_file() => {
                (Vec::new(), failed(&io::Error::other("it is neither a file nor a folder")))
            }
            Ok(metadata) => {
                let mut found = self.siblings(others);
                found.push(Candidate::new(self.path.clone(), &metadata, Role::Main));
                (found, Vec::new())
            }
            Err(error) => (self.siblings(others), failed(&error)),
        }
    }

    fn members(&self, others: &HashSet<PathBuf>) -> (Vec<Candidate>, Vec<ReadFailure>) {
        let listing = files_below(&self.path);
        let files = listing.files.into_iter().filter(|file| !others.contains(&file.path));
        let found = files.map(|file| Candidate::new(file.path, &file.metadata, Role::Member));
        (found.collect(), listing.failures)
    }

    /// Rotated files, oldest first.
    fn siblings(&self, others: &HashSet<PathBuf>) -> Vec<Candidate> {
        let folder = self.path.parent().filter(|folder| !folder.as_os_str().is_empty());
        let Ok(entries) = fs::read_dir(folder.unwrap_or(Path::new("."))) else { return Vec::new() };
        let paths = entries.filter_map(Result::ok).map(|entry| match folder {
            Some(_) => entry.path(),
            None => PathBuf::from(entry.file_name()),
        });
        let siblings = paths.filter(|path| is_sibling(&self.path, path) && !others.contains(path));
        let mut found: Vec<Candidate> = siblings
            .filter_map(|path| {
                fs::metadata(&path).ok().filter(Metadata::is_file).map(|metadata| (path, metadata))
            })
            .map(|(path, metadata)| Candidate::new(path, &metadata, Role::Sibling))
            .collect();
        found.sort_by_key(|candidate| candidate.state.1);
        found
    }
}

/// Whether rotation may have named `other` after `path`: `audit.log.1`, `audit.log-20260131.gz`,
/// `audit-2026-01-31.log`.
fn is_sibling(path: &Path, other: &Path) -> bool {
    let name =
        |path: &Path| path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
    let (name, other) = (name(path), name(other));
    let divides = |rest: &str| rest.starts_with(['.', '-', '_']);
    if let Some(rest) = other.strip_prefix(&name) {
        return divides(rest);
    }
    let Some((stem, extension)) = name.rsplit_once('.').filter(|(stem, _)| !stem.is_empty()) else {
        return false;
    };
    let ends_alike = |rest: &str| {
        rest.split('.').skip(1).any(|part| part == extension) && rest.contains(|c: char| c.is_ascii_digit())
    };
    other.strip_prefix(stem).is_some_and(|rest| divides(rest) && ends_alike(rest))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn siblings_are_known_by_the_names_rotation_gives() {
        let path = Path::new("/var/log/audit.log");
        for other in
            ["audit.log.1", "audit.log.2.gz", "audit.log-20260131", "audit-2026-01-31.log", "audit.1.log.gz"]
        {
            assert!(is_sibling(path, &path.with_file_name(other)), "{other}");
        }
        for other in
            ["audit.log", "audit2.log", "audit.logs", "audit.txt", "other.log.1", "audit-kms.log", "audit"]
        {
            assert!(!is_sibling(path, &path.with_file_name(other)), "{other}");
        }
        assert!(is_sibling(Path::new("vault"), Path::new("vault.1")));
    }
}
