//! Files, variables and flags become one tree.
//!
//! A flag beats a variable, which beats the files. Between files mappings are joined, lists are
//! appended, and a value that stands in two files is a mistake that names both places.

mod files;
mod interpolate;
mod merge;
mod variables;

#[cfg(test)]
use super::ConfigProblems;
use super::frame::{Node, Origin, Problems, Setting};
use super::section::Root;
use files::File;
use keywatch_rules::Problem;
use std::path::PathBuf;

/// A variable of the environment; one that is empty counts as not set.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Everything a configuration is read from.
#[derive(Clone, Debug, Default)]
pub(crate) struct Layers {
    paths: Vec<PathBuf>,
    files: Vec<File>,
    unreadable: Vec<Problem>,
    variables: Vec<(String, String)>,
    flags: Vec<Flag>,
}

/// A value given on the command line.
#[derive(Clone, Debug)]
struct Flag {
    key: &'static str,
    name: &'static str,
    value: String,
}

/// What was read.
#[derive(Debug)]
pub(crate) struct Reading {
    /// What was written.
    pub(crate) root: Root,
    /// The same as a tree, with the place of every value.
    pub(crate) tree: Node,
    /// What is no mistake but looks like one.
    pub(crate) notices: Vec<String>,
}

impl Layers {
    /// One file or folder, and the environment.
    pub(crate) fn of_file(path: &std::path::Path) -> Self {
        Self::of_files(&[path.to_owned()])
    }

    /// Files and folders in this order, and the environment.
    pub(crate) fn of_files(paths: &[PathBuf]) -> Self {
        let (files, unreadable) = files::load(paths);
        let paths = paths.to_owned();
        Self { paths, files, unreadable, variables: variables::all(), flags: Vec::new() }
    }

    /// The same, with the files as they are now. One that is empty now is a mistake: to believe it
    /// would drop everything that is configured.
    pub(crate) fn again(&self) -> Self {
        let mut layers = Self { flags: self.flags.clone(), ..Self::of_files(&self.paths) };
        layers.unreadable.extend(layers.files.iter().filter_map(File::emptied));
        layers
    }

    /// A text, in an empty environment.
    pub(crate) fn of_text(name: &str, text: &str) -> Self {
        Self { files: vec![File { name: name.into(), text: text.to_owned() }], ..Self::default() }
    }

    /// Adds a text as a further file.
    #[cfg(test)]
    pub(crate) fn and_text(mut self, name: &str, text: &str) -> Self {
        self.files.push(File { name: name.into(), text: text.to_owned() });
        self
    }

    /// Adds a variable.
    #[cfg(test)]
    pub(crate) fn and_variable(mut self, name: &str, value: &str) -> Self {
        self.variables.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Adds the value of a flag, when it was given, for a top-level key.
    pub(crate) fn and_flag(
        mut self,
        name: &'static str,
        key: &'static str,
        value: Option<impl ToString>,
    ) -> Self {
        self.flags.extend(value.map(|value| Flag { key, name, value: value.to_string() }));
        self
    }

    /// The files it is read from.
    pub(crate) fn names(&self) -> Vec<&str> {
        self.files.iter().map(|file| &*file.name).collect()
    }

    /// What was written.
    ///
    /// # Errors
    /// Every mistake.
    #[cfg(test)]
    pub(crate) fn read(&self) -> Result<Root, ConfigProblems> {
        let problems = Problems::default();
        let reading = self.reading(&problems);
        super::finished(reading.map(|reading| reading.root), problems)
    }

    /// What was written, with the places. Some of it is there even when there are problems, so that
    /// all of them can be told at once.
    pub(crate) fn reading(&self, problems: &Problems) -> Option<Reading> {
        problems.extend(self.unreadable.iter().cloned());
        let (tree, notices) = self.tree(problems);
        let root = Root::KEYS.first().and_then(|key| Root::read(&tree, key, problems))?;
        Some(Reading { root, tree, notices })
    }

    fn tree(&self, problems: &Problems) -> (Node, Vec<String>) {
        let lookup = |name: &str| {
            let found = self.variables.iter().find(|(known, value)| known == name && !value.is_empty());
            found.map(|(_, value)| value.clone())
        };
        let mut tree: Option<Node> = None;
        for file in &self.files {
            let Some(mut read) = file.parse(problems) else { continue };
            interpolate::fill_in(&mut read, &lookup, problems);
            tree = Some(match tree {
                Some(before) => merge::joined(before, read, problems),
                None => read,
            });
        }
        let mut tree = tree.unwrap_or_else(Node::empty);
        let is_mentioned = |name: &str| self.files.iter().any(|file| file.text.contains(name));
        let notices = variables::set(&mut tree, &self.variables, &is_mentioned, problems);
        for flag in &self.flags {
            variables::put(
                &mut tree,
                &flag.key.split('.').collect::<Vec<_>>(),
                Node::text_at(flag.value.clone(), Origin::Flag(flag.name)),
            );
        }
        (tree, notices)
    }
}
