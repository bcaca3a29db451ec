//! Every reference to a secret in a configuration, found by what its declaration says: whatever
//! section is added, its secrets are looked for too.

use super::frame::{Data, Key, Kind, Node, Origin, Problems, Reference, Section, Setting};
use super::section::Root;
use keywatch_secrets::SecretRef;

/// A reference, and the key it stands at.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Named {
    /// The path of its key: `receivers[soc].webhook.secret`.
    pub(crate) key: String,
    /// What it refers to.
    pub(crate) reference: SecretRef,
    /// Where it was written.
    pub(crate) origin: Origin,
}

/// Every reference in the tree, in its order. What is no reference was told when the sections were
/// read.
pub(crate) fn references(tree: &Node) -> Vec<Named> {
    let mut found = Vec::new();
    section(tree, &Root::SECTION, "", &mut found);
    found
}

fn section(node: &Node, of: &Section, path: &str, found: &mut Vec<Named>) {
    for key in of.keys {
        let at = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let twin = key.kind.has_file_twin().then(|| node.get(&format!("{}_file", key.name))).flatten();
        if let Some(file) = twin.and_then(Node::text) {
            let reference =
                SecretRef { source: keywatch_secrets::Source::File, path: file, key: None, version: None };
            let origin = twin.map_or(Origin::Default, |twin| twin.origin.clone());
            found.push(Named { key: format!("{at}_file"), reference, origin });
        } else if let Some(value) = node.get(key.name) {
            kind(value, key, key.kind, &at, found);
        }
    }
}

fn kind(node: &Node, key: &Key, of: Kind, path: &str, found: &mut Vec<Named>) {
    match (of, &node.data) {
        (Kind::Secret | Kind::Credential | Kind::CredentialUrl, _) => {
            let reference = match &node.data {
                Data::Text(text) => text.parse().ok(),
                Data::Null
                | Data::Bool(_)
                | Data::Whole(_)
                | Data::Number(_)
                | Data::List(_)
                | Data::Map(_) => Reference::read(node, key, &Problems::default()).map(Into::into),
            };
            let named = |reference| Named { key: path.to_owned(), reference, origin: node.origin.clone() };
            found.extend(reference.map(named));
        }
        (Kind::Section(of), Data::Map(_)) => section(node, of, path, found),
        (Kind::Map(of), Data::Map(entries)) => {
            for entry in entries {
                kind(&entry.value, key, *of, &format!("{path}.{}", entry.key), found);
            }
        }
        (Kind::List(of), _) => {
            for (place, item) in node.items().iter().enumerate() {
                let name = item.get("name").and_then(Node::text).unwrap_or_else(|| place.to_string());
                kind(item, key, *of, &format!("{path}[{name}]"), found);
            }
        }
        (Kind::Either(kinds), data) => {
            let is_map = matches!(data, Data::Map(_));
            let fits = |kind: &&Kind| matches!(kind, Kind::Section(_) | Kind::Map(_)) == is_map;
            if let Some(of) = kinds.iter().find(fits) {
                kind(node, key, *of, path, found);
            }
        }
        _ => {}
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Layers, Reading};

    #[test]
    fn every_reference_is_found_however_it_is_written() {
        let text = "receivers:\n  - name: soc\n    webhook:\n      url: {source: vault, path: secret/hooks, key: soc}\n      secrets: [env:ONE, {source: file, path: /two}]\n  - name: other\n    webhook:\n      url: https://hooks.example.com/k\n      secret_file: /three\nsecret_manager:\n  vault:\n    address: https://vault.example.com\n    token: env:VAULT_TOKEN\n";
        let problems = Problems::default();
        let Reading { tree, .. } = Layers::of_text("c.yaml", text).reading(&problems).expect("read");
        assert!(problems.into_sorted().is_empty());
        let found: Vec<_> =
            references(&tree).iter().map(|named| format!("{} = {}", named.key, named.reference)).collect();
        assert_eq!(
            found,
            [
                "receivers[soc].webhook.url = vault:secret/hooks#soc",
                "receivers[soc].webhook.secrets[0] = env:ONE",
                "receivers[soc].webhook.secrets[1] = file:/two",
                "receivers[other].webhook.secret_file = file:/three",
                "secret_manager.vault.token = env:VAULT_TOKEN",
            ]
        );
    }
}
