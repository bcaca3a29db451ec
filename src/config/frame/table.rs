//! A mapping being read against its section.

use super::declare::{Key, Presence, Section, Setting};
use super::node::{Data, Entry, Node, Origin, Problems};
use keywatch_rules::problem::suggest;
use keywatch_rules::yaml;

/// A mapping whose unknown keys have been named.
#[derive(Debug)]
pub(crate) struct Table<'n> {
    node: &'n Node,
    section: &'static Section,
    problems: &'n Problems,
}

impl<'n> Table<'n> {
    /// Opens `node` as this section.
    pub(crate) fn open(node: &'n Node, section: &'static Section, problems: &'n Problems) -> Option<Self> {
        let Data::Map(entries) = &node.data else {
            let first = section.keys.first().map_or("key", |key| key.name);
            problems.add(
                &node.origin,
                format!("expected a mapping, found {}", node.kind()),
                format!("write it as `{first}: …`"),
            );
            return None;
        };
        let table = Self { node, section, problems };
        for entry in entries {
            table.check_known(entry);
        }
        table.check_one_of();
        Some(table)
    }

    fn check_known(&self, entry: &Entry) {
        let is_known = |key: &Key| {
            let twin = || key.kind.has_file_twin() && entry.key.strip_suffix("_file") == Some(key.name);
            key.name == entry.key || twin()
        };
        if !self.section.keys.iter().any(is_known) {
            let known: Vec<&str> = self.section.keys.iter().map(|key| key.name).collect();
            self.problems.add(&entry.at, format!("unknown key `{}`", entry.key), suggest(&entry.key, &known));
        }
    }

    fn check_one_of(&self) {
        let choices = self.section.one_of;
        let is_there = |name: &&&str| self.node.get(name).is_some();
        let there: Vec<&str> = choices.iter().filter(is_there).copied().collect();
        match there.as_slice() {
            [] if !choices.is_empty() => {
                let remedy = format!("write one of {}", choices.join(", "));
                self.problems.add(&self.node.origin, "says of no kind what it is", remedy);
            }
            [] | [_] => {}
            [first, second, ..] => {
                let at = self.node.get(second).map_or(&self.node.origin, |node| &node.origin);
                self.problems.add(
                    at,
                    format!("both `{first}` and `{second}` stand here"),
                    "keep one of them",
                );
            }
        }
    }

    /// The value of a key; `None` after telling what is wrong with it.
    pub(crate) fn field<T: Setting>(&self, name: &str) -> Option<T> {
        let key = self.section.keys.iter().find(|key| key.name == name)?;
        let read = match self.value(key) {
            Some(node) => T::read(&node, key, self.problems),
            None => return self.absent(key),
        };
        // What could not be read was told; with what holds otherwise, the rest is checked as well.
        read.or_else(|| standing_in(key))
    }

    fn absent<T: Setting>(&self, key: &Key) -> Option<T> {
        if let Presence::Needed(remedy) = key.presence {
            self.problems.add(&self.node.origin, format!("`{}` is missing", key.name), remedy);
            return None;
        }
        standing_in(key)
    }

    /// What stands there, or what its `_file` twin refers to.
    fn value(&self, key: &Key) -> Option<std::borrow::Cow<'n, Node>> {
        let node = self.node.get(key.name);
        let twin = key.kind.has_file_twin().then(|| self.node.get(&format!("{}_file", key.name))).flatten();
        let Some(twin) = twin else { return node.map(std::borrow::Cow::Borrowed) };
        if node.is_some() {
            let message = format!("both `{0}` and `{0}_file` stand here", key.name);
            self.problems.add(&twin.origin, message, "keep one of them");
        }
        let entry = |name: &str, value: Node| Entry { key: name.to_owned(), at: twin.origin.clone(), value };
        let source = Node::text_at("file".to_owned(), twin.origin.clone());
        let data = Data::Map(vec![entry("source", source), entry("path", twin.clone())]);
        Some(std::borrow::Cow::Owned(Node { data, origin: twin.origin.clone(), loose: false }))
    }
}

/// The default of a key, or what holds without it.
fn standing_in<T: Setting>(key: &Key) -> Option<T> {
    match key.presence {
        Presence::Default(text) => T::read(&default_node(text)?, key, &Problems::default()),
        Presence::Optional => T::absent(),
        Presence::Needed(_) => None,
    }
}

/// A default as a node.
pub(crate) fn default_node(text: &str) -> Option<Node> {
    let documents = yaml::parse("default", text).ok()?;
    documents.first().map(|node| Node::from_yaml(node, &|_| Origin::Default))
}
