//! YAML as people write it: a tree that knows line and column of every node, and a reader that
//! collects every mistake instead of stopping at the first.
//!
//! Anchors and aliases are refused: nothing here needs them, and they are how a small file
//! becomes a large one. Duplicate keys are refused too.

mod reader;

use crate::problem::{Problem, suggest};
pub use reader::{FILE_BYTES_MAX, parse};
pub(crate) use reader::{Reading, read};
use std::cell::RefCell;

/// One node with its position.
#[derive(Clone, Debug)]
pub struct Node {
    /// What it holds.
    pub data: Data,
    /// Line, from 1.
    pub line: usize,
    /// Column, from 1.
    pub column: usize,
}

/// What a node holds (YAML 1.2 core schema).
#[derive(Clone, Debug)]
pub enum Data {
    /// `null`, `~` or nothing.
    Null,
    /// `true` or `false`.
    Bool(bool),
    /// A whole number.
    Int(i64),
    /// Any other number.
    Float(f64),
    /// Text.
    Text(String),
    /// A sequence.
    List(Vec<Node>),
    /// A mapping, in the order written.
    Map(Vec<(Node, Node)>),
}

impl Node {
    /// A scalar as text, however it was written; `None` for lists, mappings and null.
    #[must_use]
    pub fn text(&self) -> Option<String> {
        match &self.data {
            Data::Text(text) => Some(text.clone()),
            Data::Int(whole) => Some(whole.to_string()),
            Data::Float(number) => Some(number.to_string()),
            Data::Bool(truth) => Some(truth.to_string()),
            Data::Null | Data::List(_) | Data::Map(_) => None,
        }
    }

    /// The items of a list; any other node is a list of itself.
    #[must_use]
    pub fn items(&self) -> &[Node] {
        if let Data::List(items) = &self.data { items } else { std::slice::from_ref(self) }
    }

    /// The value of `key`, when this is a mapping that has it.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&Node> {
        let Data::Map(entries) = &self.data else { return None };
        entries.iter().find(|(name, _)| name.text().as_deref() == Some(key)).map(|(_, value)| value)
    }

    /// What kind of node this is, for messages.
    #[must_use]
    pub fn kind(&self) -> &'static str {
        match self.data {
            Data::Null => "nothing",
            Data::Bool(_) => "a truth value",
            Data::Int(_) | Data::Float(_) => "a number",
            Data::Text(_) => "text",
            Data::List(_) => "a list",
            Data::Map(_) => "a mapping",
        }
    }
}

/// Where problems of one file are collected.
#[derive(Debug)]
pub struct Problems {
    file: String,
    found: RefCell<Vec<Problem>>,
}

impl Problems {
    /// An empty collection for `file`.
    #[must_use]
    pub fn new(file: &str) -> Self {
        Self { file: file.to_owned(), found: RefCell::default() }
    }

    /// Adds a problem at `node`.
    pub fn add(&self, node: &Node, message: impl Into<String>, remedy: impl Into<String>) {
        self.found.borrow_mut().push(Problem {
            file: self.file.clone(),
            line: node.line,
            column: node.column,
            message: message.into(),
            remedy: remedy.into(),
        });
    }

    /// Everything found, in the order of the file.
    #[must_use]
    pub fn into_sorted(self) -> Vec<Problem> {
        let mut found = self.found.into_inner();
        found.sort_by_key(|problem| (problem.line, problem.column));
        found.dedup();
        found
    }

    /// Whether nothing was found so far.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.found.borrow().is_empty()
    }
}

/// A mapping being read: asks for keys, collects problems, and in the end names unknown keys.
#[derive(Debug)]
pub struct Table<'n> {
    node: &'n Node,
    problems: &'n Problems,
}

impl<'n> Table<'n> {
    /// Opens `node` as a mapping that may hold `known` keys; unknown ones are problems.
    #[must_use]
    pub fn open(node: &'n Node, known: &[&str], problems: &'n Problems) -> Option<Self> {
        let Data::Map(entries) = &node.data else {
            problems.add(
                node,
                format!("expected a mapping, found {}", node.kind()),
                format!("write it as `{}: …`", known.first().unwrap_or(&"key")),
            );
            return None;
        };
        for (key, _) in entries {
            let name = key.text().unwrap_or_default();
            if !known.contains(&name.as_str()) {
                problems.add(key, format!("unknown key `{name}`"), suggest(&name, known));
            }
        }
        Some(Self { node, problems })
    }

    /// Opens a mapping whose keys were checked before; anything else reads as an empty one.
    #[must_use]
    pub fn of(node: &'n Node, problems: &'n Problems) -> Self {
        Self { node, problems }
    }

    /// The node this table was opened on.
    #[must_use]
    pub fn node(&self) -> &'n Node {
        self.node
    }

    /// The value of `key` when it is there and not null.
    #[must_use]
    pub fn get(&self, key: &str) -> Option<&'n Node> {
        self.node.get(key).filter(|value| !matches!(value.data, Data::Null))
    }

    /// The value of a key that must be there.
    #[must_use]
    pub fn need(&self, key: &str, remedy: &str) -> Option<&'n Node> {
        let value = self.get(key);
        if value.is_none() {
            self.problems.add(self.node, format!("`{key}` is missing"), remedy);
        }
        value
    }

    /// A text.
    #[must_use]
    pub fn text(&self, key: &str) -> Option<String> {
        let value = self.get(key)?;
        let text = value.text();
        if text.is_none() {
            self.problems.add(value, format!("`{key}` must be text, not {}", value.kind()), "");
        }
        text
    }

    /// A list of texts; a lone text counts as a list of one.
    #[must_use]
    pub fn texts(&self, key: &str) -> Vec<(String, &'n Node)> {
        let Some(value) = self.get(key) else { return Vec::new() };
        let read = |item: &'n Node| {
            let text = item.text();
            if text.is_none() {
                self.problems.add(item, format!("`{key}` holds texts, not {}", item.kind()), "");
            }
            text.map(|text| (text, item))
        };
        value.items().iter().filter_map(read).collect()
    }

    /// The items of a list.
    #[must_use]
    pub fn list(&self, key: &str) -> &'n [Node] {
        let Some(value) = self.get(key) else { return &[] };
        if let Data::List(items) = &value.data {
            return items;
        }
        self.problems.add(
            value,
            format!("`{key}` must be a list, not {}", value.kind()),
            "start each item with `- `",
        );
        &[]
    }

    /// A whole number within `range`.
    #[must_use]
    pub fn int(&self, key: &str, range: std::ops::RangeInclusive<i64>) -> Option<i64> {
        let value = self.get(key)?;
        if let Data::Int(number) = value.data
            && range.contains(&number)
        {
            return Some(number);
        }
        let written = value.text().unwrap_or_else(|| value.kind().to_owned());
        let (low, high) = (range.start(), range.end());
        self.problems.add(
            value,
            format!("`{key}` is `{written}`"),
            format!("write a whole number from {low} to {high}"),
        );
        None
    }

    /// A number within `range`.
    #[must_use]
    pub fn number(&self, key: &str, range: std::ops::RangeInclusive<f64>) -> Option<f64> {
        let value = self.get(key)?;
        let whole = matches!(value.data, Data::Int(_));
        if (whole || matches!(value.data, Data::Float(_)))
            && let Some(number) = value.text().and_then(|text| text.parse().ok())
            && range.contains(&number)
        {
            return Some(number);
        }
        let written = value.text().unwrap_or_else(|| value.kind().to_owned());
        let (low, high) = (range.start(), range.end());
        self.problems.add(
            value,
            format!("`{key}` is `{written}`"),
            format!("write a number from {low} to {high}"),
        );
        None
    }

    /// A truth value.
    #[must_use]
    pub fn truth(&self, key: &str) -> Option<bool> {
        let value = self.get(key)?;
        if let Data::Bool(truth) = value.data {
            return Some(truth);
        }
        self.problems.add(value, format!("`{key}` must be true or false, not {}", value.kind()), "");
        None
    }

    /// A length of time such as `30s`, `10m`, `1h` or `7d`, in seconds.
    #[must_use]
    pub fn secs(&self, key: &str) -> Option<i64> {
        let value = self.get(key)?;
        let secs = value.text().as_deref().and_then(duration_secs);
        if secs.is_none() {
            let written = value.text().unwrap_or_else(|| value.kind().to_owned());
            self.problems.add(
                value,
                format!("`{key}` is `{written}`"),
                "write a length of time such as 30s, 10m, 1h or 7d",
            );
        }
        secs
    }
}

/// Reads `30s`, `10m`, `1h`, `7d` as seconds.
#[must_use]
pub fn duration_secs(text: &str) -> Option<i64> {
    let unit = text.chars().last()?;
    let factor = match unit {
        's' => 1,
        'm' => 60,
        'h' => 3600,
        'd' => 86_400,
        _ => return None,
    };
    let count: i64 = text.strip_suffix(unit)?.parse().ok()?;
    (count >= 0).then(|| count.checked_mul(factor)).flatten()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_node_knows_its_line_and_column() {
        let documents = parse("f", "a: 1\nb:\n  - x\n  - \"2\"\n---\nc: ~\n").unwrap();
        let list = documents[0].get("b").unwrap();
        let Data::List(items) = &list.data else { panic!("{list:?}") };
        assert_eq!((items[1].line, items[1].column), (4, 5));
        assert_eq!(items[1].text().as_deref(), Some("2"));
        assert!(matches!(documents[1].get("c").unwrap().data, Data::Null));
    }

    #[track_caller]
    fn check_refused(text: &str, want: &str) {
        let problem = parse("f.yml", text).unwrap_err().to_string();
        assert!(problem.contains(want), "{problem}");
    }

    #[test]
    fn what_could_be_read_in_two_ways_is_refused() {
        check_refused("a: 1\na: 2\n", "f.yml:2:1: the key `a` stands twice");
        check_refused("a: {b: 1, b: [2, {c: 1, c: 2}]}\n", "f.yml:1:11: the key `b` stands twice");
        check_refused("a: &x [1]\nb: *x\n", "f.yml:2:4: aliases are not read");
        check_refused("a: [1\n", "not valid YAML");
        check_refused(&format!("a: {}{}", "[".repeat(100), "]".repeat(100)), "nested deeper");
    }

    #[test]
    fn all_problems_of_a_table_are_named_at_once() {
        let documents = parse("c.yaml", "lisen: x\ncount: many\nwait: 5 minutes\n").unwrap();
        let problems = Problems::new("c.yaml");
        let table = Table::open(&documents[0], &["listen", "count", "wait"], &problems).unwrap();
        assert_eq!((table.int("count", 1..=9), table.secs("wait")), (None, None));
        let found: Vec<String> = problems.into_sorted().iter().map(ToString::to_string).collect();
        assert_eq!(
            found,
            [
                "c.yaml:1:1: unknown key `lisen`; did you mean `listen`?",
                "c.yaml:2:8: `count` is `many`; write a whole number from 1 to 9",
                "c.yaml:3:7: `wait` is `5 minutes`; write a length of time such as 30s, 10m, 1h or 7d",
            ]
        );
    }
}
