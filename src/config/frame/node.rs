//! The tree of a configuration: every node knows where it was written.
//!
//! It is built from files, variables and flags alike, so a mistake is told at its place whatever
//! layer it came from.

use keywatch_rules::{Problem, yaml};
use std::cell::RefCell;
use std::fmt;
use std::sync::Arc;

/// Where a value was written.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Origin {
    /// Nowhere: what holds when nobody says anything.
    Default,
    /// In a file.
    File {
        /// Its path.
        file: Arc<str>,
        /// From 1.
        line: usize,
        /// From 1.
        column: usize,
    },
    /// In a variable of the environment.
    Variable(Arc<str>),
    /// Behind a flag of the command line.
    Flag(&'static str),
}

impl Origin {
    /// A problem at this place.
    pub(crate) fn problem(&self, message: String, remedy: String) -> Problem {
        let (file, line, column) = match self {
            Self::Default => ("the configuration".to_owned(), 0, 0),
            Self::File { file, line, column } => (file.to_string(), *line, *column),
            Self::Variable(name) => (format!("the variable {name}"), 0, 0),
            Self::Flag(name) => (format!("the flag {name}"), 0, 0),
        };
        Problem { file, line, column, message, remedy }
    }
}

impl fmt::Display for Origin {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Default => out.write_str("default"),
            Self::File { file, line, .. } => write!(out, "{file}:{line}"),
            Self::Variable(name) => out.write_str(name),
            Self::Flag(name) => out.write_str(name),
        }
    }
}

/// One value with its place.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    /// What it holds.
    pub(crate) data: Data,
    /// Where it was written.
    pub(crate) origin: Origin,
    /// Whether it came from a variable, where `5` and `true` are written as text.
    pub(crate) loose: bool,
}

/// What a value holds.
#[derive(Clone, Debug)]
pub(crate) enum Data {
    Null,
    Bool(bool),
    Whole(i64),
    Number(f64),
    Text(String),
    List(Vec<Node>),
    Map(Vec<Entry>),
}

/// One key of a mapping.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) key: String,
    /// Where the key stands.
    pub(crate) at: Origin,
    pub(crate) value: Node,
}

impl Node {
    /// An empty mapping that nobody wrote.
    pub(crate) const fn empty() -> Self {
        Self { data: Data::Map(Vec::new()), origin: Origin::Default, loose: false }
    }

    /// A text.
    pub(crate) const fn text_at(text: String, origin: Origin) -> Self {
        Self { data: Data::Text(text), origin, loose: true }
    }

    /// Takes over what was read from YAML; `place` says where that stood.
    pub(crate) fn from_yaml(node: &yaml::Node, place: &dyn Fn(&yaml::Node) -> Origin) -> Self {
        let entry = |(key, value): &(yaml::Node, yaml::Node)| Entry {
            key: key.text().unwrap_or_default(),
            at: place(key),
            value: Self::from_yaml(value, place),
        };
        let data = match &node.data {
            yaml::Data::Null => Data::Null,
            yaml::Data::Bool(truth) => Data::Bool(*truth),
            yaml::Data::Int(whole) => Data::Whole(*whole),
            yaml::Data::Float(number) => Data::Number(*number),
            yaml::Data::Text(text) => Data::Text(text.clone()),
            yaml::Data::List(items) => Data::List(items.iter().map(|n| Self::from_yaml(n, place)).collect()),
            yaml::Data::Map(entries) => Data::Map(entries.iter().map(entry).collect()),
        };
        Self { data, origin: place(node), loose: false }
    }

    /// A scalar as text, however it was written.
    pub(crate) fn text(&self) -> Option<String> {
        match &self.data {
            Data::Text(text) => Some(text.clone()),
            Data::Whole(whole) => Some(whole.to_string()),
            Data::Number(number) => Some(number.to_string()),
            Data::Bool(truth) => Some(truth.to_string()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// A scalar as text, anything else by what it is: for messages.
    pub(crate) fn written(&self) -> String {
        self.text().unwrap_or_else(|| self.kind().to_owned())
    }

    /// The value of `key`, when this is a mapping that has it and it is not null.
    pub(crate) fn get(&self, key: &str) -> Option<&Self> {
        let Data::Map(entries) = &self.data else { return None };
        let value = entries.iter().find(|entry| entry.key == key).map(|entry| &entry.value);
        value.filter(|value| !matches!(value.data, Data::Null))
    }

    /// The items of a list; any other node is a list of itself.
    pub(crate) fn items(&self) -> &[Self] {
        if let Data::List(items) = &self.data { items } else { std::slice::from_ref(self) }
    }

    /// What kind of node this is, for messages.
    pub(crate) const fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a truth value",
            Data::Whole(_) | Data::Number(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}

/// Where problems are collected.
#[derive(Debug, Default)]
pub(crate) struct Problems(RefCell<Vec<Problem>>);

impl Problems {
    /// Adds a problem.
    pub(crate) fn add(&self, at: &Origin, message: impl Into<String>, remedy: impl Into<String>) {
        self.0.borrow_mut().push(at.problem(message.into(), remedy.into()));
    }

    /// Adds problems found elsewhere.
    pub(crate) fn extend(&self, found: impl IntoIterator<Item = Problem>) {
        self.0.borrow_mut().extend(found);
    }

    /// How many were found so far.
    pub(crate) fn count(&self) -> usize {
        self.0.borrow().len()
    }

    /// Everything found: by file in the order they were read, then in the order of the file.
    pub(crate) fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.0.into_inner();
        let mut files: Vec<String> = Vec::new();
        for problem in &found {
            if !files.contains(&problem.file) {
                files.push(problem.file.clone());
            }
        }
        let rank = |file: &str| files.iter().position(|known| known == file);
        found.sort_by_key(|problem| (rank(&problem.file), problem.line, problem.column));
        found.dedup();
        found
    }
}
