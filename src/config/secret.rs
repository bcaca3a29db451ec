//! Secret references of the configuration: `{source: file, path: …}`, with `key` and `version`
//! where a backend has them.
//!
//! A reference is read here and resolved by whoever uses it, at the moment of use.

use keywatch_rules::yaml::{Data, Node, Problems, Table};
use keywatch_secrets::{SecretRef, Source};

/// Reads a reference to a secret.
pub(super) fn reference(node: &Node, problems: &Problems) -> Option<SecretRef> {
    if !matches!(node.data, Data::Map(_)) {
        problems.add(node, "a secret stands in the configuration itself", "put it into a file or a variable and write `{source: file, path: …}` or `{source: env, path: NAME}`");
        return None;
    }
    let table = Table::open(node, &["source", "path", "key", "version"], problems)?;
    let named = table.need("source", "write env, file or the name of a secret store")?.text()?;
    let path = table.need("path", "name the variable, the file or the secret")?.text()?;
    let Some(source) = Source::ALL.iter().copied().find(|source| source.as_str() == named) else {
        let known: Vec<&str> = Source::ALL.iter().map(|source| source.as_str()).collect();
        let remedy = keywatch_rules::problem::suggest(&named, &known);
        problems.add(node, format!("secrets cannot be fetched from `{named}`"), remedy);
        return None;
    };
    Some(SecretRef { source, path, key: table.text("key"), version: table.text("version") })
}
