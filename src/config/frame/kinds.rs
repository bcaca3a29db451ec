//! Plain values, lists, mappings, and what may be left out.

use super::declare::{Key, Kind, Setting};
use super::node::{Data, Node, Origin, Problems};
use keywatch_event::{EventTime, Level};
use keywatch_rules::problem::nearest;
use std::collections::BTreeMap;
use std::path::PathBuf;

/// A value with its place, for checks that come later.
#[derive(Clone, Debug)]
pub(crate) struct At<T> {
    /// The value.
    pub(crate) value: T,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// The same value elsewhere is the same value.
impl<T: PartialEq> PartialEq for At<T> {
    fn eq(&self, other: &Self) -> bool {
        self.value == other.value
    }
}

impl<T: Setting> Setting for At<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = T::OPTIONAL;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        Some(Self { value: T::read(node, key, problems)?, origin: node.origin.clone() })
    }

    fn absent() -> Option<Self> {
        Some(Self { value: T::absent()?, origin: Origin::Default })
    }
}

impl<T: Setting> Setting for Option<T> {
    const KIND: Kind = T::KIND;
    const OPTIONAL: bool = true;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        T::read(node, key, problems).map(Some)
    }

    fn absent() -> Option<Self> {
        Some(None)
    }
}

impl<T: Setting> Setting for Vec<T> {
    const KIND: Kind = Kind::List(&T::KIND);
    const OPTIONAL: bool = true;

    /// A list without the items that could not be read; those were told.
    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        if !matches!(node.data, Data::List(_)) && !T::KIND.is_plain() {
            let message = format!("`{}` must be a list, not {}", key.name, node.kind());
            problems.add(&node.origin, message, "start each item with `- `");
            return None;
        }
        Some(node.items().iter().filter_map(|item| T::read(item, key, problems)).collect())
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

impl<T: Setting> Setting for BTreeMap<String, T> {
    const KIND: Kind = Kind::Map(&T::KIND);
    const OPTIONAL: bool = true;

    /// A mapping without the entries that could not be read; those were told.
    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let Data::Map(entries) = &node.data else {
            let message = format!("`{}` must be a mapping, not {}", key.name, node.kind());
            problems.add(&node.origin, message, "write `name: …` for each entry");
            return None;
        };
        let mut read = Self::new();
        for entry in entries {
            if !is_name(&entry.key) {
                let message = format!("`{}` under `{}` is no name", entry.key, key.name);
                problems.add(&entry.at, message, "write letters, digits, `_`, `-` and `.`");
            } else if let Some(value) = T::read(&entry.value, key, problems) {
                read.insert(entry.key.clone(), value);
            }
        }
        Some(read)
    }

    fn absent() -> Option<Self> {
        Some(Self::new())
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.chars().all(|c| c.is_ascii_alphanumeric() || matches!(c, '_' | '-' | '.'))
}

impl Setting for String {
    const KIND: Kind = Kind::Text;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let text = node.text();
        match &text {
            None => {
                problems.add(&node.origin, format!("`{}` must be text, not {}", key.name, node.kind()), "");
            }
            Some(text) if text.trim().is_empty() => {
                problems.add(
                    &node.origin,
                    format!("`{}` is empty", key.name),
                    "write a text or remove the key",
                );
                return None;
            }
            Some(_) => {}
        }
        text
    }
}

impl Setting for PathBuf {
    const KIND: Kind = Kind::Path;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        String::read(node, key, problems).map(Self::from)
    }
}

impl Setting for bool {
    const KIND: Kind = Kind::Truth;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        match &node.data {
            Data::Bool(truth) => Some(*truth),
            Data::Text(text) if node.loose && text == "true" => Some(true),
            Data::Text(text) if node.loose && text == "false" => Some(false),
            Data::Null | Data::Whole(_) | Data::Number(_) | Data::Text(_) | Data::List(_) | Data::Map(_) => {
                let message = format!("`{}` must be true or false, not {}", key.name, node.kind());
                problems.add(&node.origin, message, "");
                None
            }
        }
    }
}

/// The word of `known` that stands there.
pub(crate) fn word<'k>(node: &Node, key: &Key, known: &[&'k str], problems: &Problems) -> Option<&'k str> {
    let written = node.written();
    let found = known.iter().copied().find(|word| *word == written);
    if found.is_none() {
        let all = format!("write {}", known.join(", "));
        let near = nearest(&written, known.iter().copied());
        let remedy = near.map_or(all, |near| format!("did you mean `{near}`?"));
        problems.add(&node.origin, format!("`{}` is `{written}`", key.name), remedy);
    }
    found
}

impl Setting for Level {
    const KIND: Kind = Kind::Choice(&["info", "warning", "high", "critical"]);

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        word(node, key, &["info", "warning", "high", "critical"], problems)?.parse().ok()
    }
}

impl Setting for EventTime {
    const KIND: Kind = Kind::Time;

    fn read(node: &Node, key: &Key, problems: &Problems) -> Option<Self> {
        let found = node.text().and_then(|text| Self::parse(&text).ok());
        if found.is_none() {
            let message = format!("`{}` is `{}`, which is no time", key.name, node.written());
            problems.add(&node.origin, message, "write it as 2026-01-31T12:00:00Z");
        }
        found
    }
}
