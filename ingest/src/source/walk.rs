//! Which files there are: paths as given, folders searched.
//!
//! Never opens a file, and never follows a symbolic link around in circles.

use std::collections::HashSet;
use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// Device and inode: what a file is, whatever it is called.
pub(super) type FileId = (u64, u64);

/// What a search came upon.
#[derive(Debug)]
pub(super) struct Listing {
    /// Regular files, in the order of their paths.
    pub(super) files: Vec<Listed>,
    /// What could not be searched.
    pub(super) failures: Vec<ReadFailure>,
}

/// One file of a [`Listing`].
#[derive(Debug)]
pub(super) struct Listed {
    pub(super) path: PathBuf,
    pub(super) metadata: fs::Metadata,
}

/// A file or folder that could not be read. It does not stop the others.
#[derive(Debug, thiserror::Error)]
#[error("{text}")]
pub struct ReadFailure {
    /// The file or folder.
    pub path: PathBuf,
    /// What kind of failure it was.
    pub kind: io::ErrorKind,
    text: String,
}

impl ReadFailure {
    pub(super) fn new(path: &Path, error: &io::Error) -> Self {
        let shown = path.display();
        let kind = error.kind();
        let text = if kind == io::ErrorKind::NotFound {
            format!("there is no {shown}; check the path")
        } else if kind == io::ErrorKind::PermissionDenied {
            format!("may not read {shown}; give the user that runs Keywatch read access to it")
        } else if kind == io::ErrorKind::Unsupported {
            format!("{shown} is {error}, which is not read; unpack it and name the files in it")
        } else {
            format!("cannot read {shown}: {error}")
        };
        Self { path: path.to_owned(), kind, text }
    }
}

pub(super) fn id_of(metadata: &fs::Metadata) -> FileId {
    (metadata.dev(), metadata.ino())
}

/// All regular files in and below `folder`.
pub(super) fn files_below(folder: &Path) -> Listing {
    let mut listing = Listing { files: Vec::new(), failures: Vec::new() };
    search(folder, &mut HashSet::new(), &mut listing);
    listing.files.sort_by(|a, b| a.path.cmp(&b.path));
    listing
}

fn search(folder: &Path, searched: &mut HashSet<FileId>, into: &mut Listing) {
    let entries = fs::metadata(folder).and_then(|metadata| {
        let is_new = searched.insert(id_of(&metadata));
        if is_new { fs::read_dir(folder).map(Some) } else { Ok(None) }
    });
    let entries = match entries {
        Ok(Some(entries)) => entries,
        Ok(None) => return,
        Err(error) => return into.failures.push(ReadFailure::new(folder, &error)),
    };
    for entry in entries {
        let path = match entry {
            Ok(entry) => entry.path(),
            Err(error) => {
                into.failures.push(ReadFailure::new(folder, &error));
                continue;
            }
        };
        match fs::metadata(&path) {
            Ok(metadata) if metadata.is_dir() => search(&path, searched, into),
            Ok(metadata) if metadata.is_file() => into.files.push(Listed { path, metadata }),
            // A pipe or device in a folder is no audit file.
            Ok(_) => {}
            // Deleted meanwhile, or a link to nothing.
            Err(error) if error.kind() == io::ErrorKind::NotFound => {}
            Err(error) => into.failures.push(ReadFailure::new(&path, &error)),
        }
    }
}
