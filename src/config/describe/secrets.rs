//! Every secret a configuration refers to.

use crate::config::frame::{Data, Key, Kind, Node, Problems, Section, reference};
use crate::config::section::Root;
use keywatch_secrets::{SecretRef, Source};

/// The references of the tree, each once, with the key it stands under.
pub(crate) fn references(tree: &Node) -> Vec<(String, SecretRef)> {
    let mut found = Vec::new();
    section(tree, &Root::SECTION, "", &mut found);
    found
}

fn section(node: &Node, of: &Section, path: &str, found: &mut Vec<(String, SecretRef)>) {
    for key in of.keys {
        let at = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let twin = key.kind.has_file_twin().then(|| node.get(&format!("{}_file", key.name))).flatten();
        if let Some(file) = twin.and_then(Node::text) {
            add(&at, SecretRef { source: Source::File, path: file, key: None, version: None }, found);
        }
        if let Some(value) = node.get(key.name) {
            inner(value, key, key.kind, &at, found);
        }
    }
}

fn inner(node: &Node, key: &Key, kind: Kind, path: &str, found: &mut Vec<(String, SecretRef)>) {
    if kind.has_file_twin() {
        if let Some(reference) = reference(node, key, &Problems::default()) {
            add(path, reference, found);
        }
    } else if let (Kind::Section(of), Data::Map(_)) = (kind, &node.data) {
        section(node, of, path, found);
    } else if let (Kind::Map(of), Data::Map(entries)) = (kind, &node.data) {
        for entry in entries {
            inner(&entry.value, key, *of, &format!("{path}.{}", entry.key), found);
        }
    } else if let Kind::List(of) = kind {
        for (at, item) in node.items().iter().enumerate() {
            let name = item.get("name").and_then(Node::text).unwrap_or_else(|| at.to_string());
            inner(item, key, *of, &format!("{path}[{name}]"), found);
        }
    } else if let Kind::Either(kinds) = kind {
        for of in kinds {
            inner(node, key, *of, path, found);
        }
    }
}

fn add(path: &str, reference: SecretRef, found: &mut Vec<(String, SecretRef)>) {
    if !found.iter().any(|(_, known)| *known == reference) {
        found.push((path.to_owned(), reference));
    }
}
