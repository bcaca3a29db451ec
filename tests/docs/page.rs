//! The fenced blocks of the documentation.

use std::path::{Path, PathBuf};

/// A fenced block.
#[derive(Debug)]
pub(super) struct Block {
    /// The page, from the root of the repository.
    pub(super) page: String,
    line: usize,
    pub(super) language: String,
    pub(super) text: String,
}

impl Block {
    pub(super) fn place(&self) -> String {
        format!("{}:{}", self.page, self.line)
    }

    /// The reason its first line gives for not running it.
    pub(super) fn why_not_run(&self) -> Option<&str> {
        self.text.lines().next()?.strip_prefix("# not run: ")
    }

    /// Its commands, lines that go on put together.
    pub(super) fn commands(&self) -> Vec<String> {
        let mut commands: Vec<String> = Vec::new();
        let mut open = String::new();
        for line in self.text.lines().filter(|line| !line.trim().is_empty()) {
            if !open.is_empty() {
                open.push('\n');
            }
            open.push_str(line);
            let goes_on = line.ends_with('\\') || open.matches('\'').count() % 2 == 1;
            if !goes_on {
                commands.push(std::mem::take(&mut open));
            }
        }
        assert!(open.is_empty(), "{}: a command has no end: {open}", self.place());
        commands
    }
}

/// All blocks of the README and of the pages below `docs/`.
pub(super) fn blocks() -> Vec<Block> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let mut pages = vec![root.join("README.md")];
    pages.extend(markdown(&root.join("docs")));
    pages.iter().flat_map(|page| cut(root, page)).collect()
}

/// The first block of a page in a language.
pub(super) fn first(page: &str, language: &str) -> String {
    let found = blocks().into_iter().find(|block| block.page == page && block.language == language);
    found.expect("the page has one").text
}

fn markdown(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut entries: Vec<PathBuf> =
        std::fs::read_dir(folder).expect("a folder").map(|entry| entry.expect("an entry").path()).collect();
    entries.sort();
    for path in entries {
        if path.is_dir() {
            found.extend(markdown(&path));
        } else if path.extension().is_some_and(|extension| extension == "md") {
            found.push(path);
        }
    }
    found
}

fn cut(root: &Path, path: &Path) -> Vec<Block> {
    let text = std::fs::read_to_string(path).expect("a page");
    let page = path.strip_prefix(root).expect("below the root").display().to_string();
    let mut found = Vec::new();
    let mut open: Option<(usize, Block)> = None;
    for (number, line) in text.lines().enumerate() {
        let bare = line.trim_start();
        match &mut open {
            None => {
                if let Some(language) = bare.strip_prefix("```") {
                    let language = language.trim().to_owned();
                    let block = Block { page: page.clone(), line: number + 1, language, text: String::new() };
                    open = Some((line.len() - bare.len(), block));
                }
            }
            Some(_) if bare == "```" => found.extend(open.take().map(|(_, block)| block)),
            Some((indent, block)) => {
                block.text.push_str(line.get(*indent..).unwrap_or(bare));
                block.text.push('\n');
            }
        }
    }
    assert!(open.is_none(), "{page}: a block has no end");
    found
}
