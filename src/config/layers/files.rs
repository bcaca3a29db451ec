//! Configuration files, and folders of them.

use crate::config::frame::{Node, Origin, Problems};
use keywatch_rules::{Problem, yaml};
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Most files of one folder: a larger one is not a folder of configuration.
const FILES_MAX: usize = 256;

/// A file and what it says.
#[derive(Clone, Debug)]
pub(super) struct File {
    pub(super) name: Arc<str>,
    pub(super) text: String,
}

/// Reads files; of a folder, those that end in .yaml or .yml, in the order of their names.
pub(super) fn load(paths: &[PathBuf]) -> (Vec<File>, Vec<Problem>) {
    let (mut files, mut problems) = (Vec::new(), Vec::new());
    for path in paths {
        let members = if path.is_dir() { members(path) } else { Ok(vec![path.clone()]) };
        for path in members.unwrap_or_else(|problem| {
            problems.push(problem);
            Vec::new()
        }) {
            match text_of(&path) {
                Ok(text) => files.push(File { name: path.display().to_string().into(), text }),
                Err(error) => problems.push(unreadable(&path, &error)),
            }
        }
    }
    (files, problems)
}

fn members(folder: &Path) -> Result<Vec<PathBuf>, Problem> {
    let entries = std::fs::read_dir(folder).and_then(Iterator::collect::<Result<Vec<_>, _>>);
    let entries = entries.map_err(|error| unreadable(folder, &error))?;
    let is_meant = |path: &PathBuf| {
        let name = path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default();
        let ending = path.extension().and_then(|ending| ending.to_str());
        !name.starts_with('.') && matches!(ending, Some("yaml" | "yml")) && !path.is_dir()
    };
    let mut members: Vec<PathBuf> = entries.into_iter().map(|entry| entry.path()).filter(is_meant).collect();
    members.sort();
    let what = match members.len() {
        0 => "holds no file that ends in .yaml or .yml".to_owned(),
        many if many > FILES_MAX => format!("holds {many} files, and at most {FILES_MAX} are read"),
        _ => return Ok(members),
    };
    Err(unreadable(folder, &std::io::Error::other(what)))
}

fn text_of(path: &Path) -> std::io::Result<String> {
    let mut bytes = Vec::new();
    // One byte more than is read, so that what is too large is told to be.
    let limit = yaml::FILE_BYTES_MAX as u64 + 1;
    std::fs::File::open(path)?.take(limit).read_to_end(&mut bytes)?;
    let text = if bytes.len() > yaml::FILE_BYTES_MAX {
        return Err(std::io::Error::other(format!("it is larger than {} bytes", yaml::FILE_BYTES_MAX)));
    } else {
        String::from_utf8(bytes)
    };
    text.map_err(|error| std::io::Error::other(format!("it is not UTF-8: {error}")))
}

fn unreadable(path: &Path, error: &std::io::Error) -> Problem {
    Problem {
        file: path.display().to_string(),
        line: 1,
        column: 1,
        message: format!("cannot be read: {error}"),
        remedy: "name a readable file with --config, or write one with `keywatch config init`".to_owned(),
    }
}

impl File {
    /// Why the file cannot be the one a running service is to take over, when it is empty.
    pub(super) fn emptied(&self) -> Option<Problem> {
        let origin = Origin::File { file: Arc::clone(&self.name), line: 0, column: 0 };
        let remedy = "a file is empty while it is being written over: ask again once it is written";
        self.text.trim().is_empty().then(|| origin.problem("the file is empty".to_owned(), remedy.to_owned()))
    }

    /// The tree of the file; `None` after telling why there is none.
    pub(super) fn parse(&self, problems: &Problems) -> Option<Node> {
        let text = self.text.strip_prefix('\u{feff}').unwrap_or(&self.text);
        let documents = match yaml::parse(&self.name, text) {
            Ok(documents) => documents,
            Err(problem) => {
                problems.extend([problem]);
                return None;
            }
        };
        let place = |node: &yaml::Node| Origin::File {
            file: Arc::clone(&self.name),
            line: node.line,
            column: node.column,
        };
        if let Some(second) = documents.get(1) {
            problems.add(&place(second), "a second document", "keep one document per file");
        }
        let first = documents.first().filter(|node| !matches!(node.data, yaml::Data::Null))?;
        Some(Node::from_yaml(first, &place))
    }
}
