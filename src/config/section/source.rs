//! Where audit records come from.

use crate::config::frame::{At, Origin, Problems, need, section};
use std::path::PathBuf;

section! {
    /// One source of audit records.
    pub(crate) struct Source {
        /// Its name, under which positions and figures are kept. A new name reads everything again.
        name: At<String> = need("give the source a name of its own"),
        /// Files and folders to follow; folders are searched, patterns are not expanded.
        files: Vec<At<PathBuf>> = need("name files or folders to follow"),
    }
    check: check;
}

fn check(source: &Source, at: &Origin, problems: &Problems) {
    if source.files.is_empty() {
        problems.add(at, "`files` is empty", "name files or folders to follow");
    }
    for file in &source.files {
        let path = file.value.to_string_lossy();
        if path.contains(['*', '?']) {
            let message = format!("`{path}` is a pattern, and patterns are not expanded");
            problems.add(&file.origin, message, "name the folder");
        }
    }
}
