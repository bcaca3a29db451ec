//! Secret references of the configuration: `{source: file, path: …}` or `{source: env, path: …}`.
//!
//! A secret is read when the configuration is, goes straight into the type that uses it, and
//! never into a message.

use keywatch_alerting::SigningSecret;
use keywatch_rules::yaml::{Data, Node, Problems, Table};

/// Sources a reference may name.
const SOURCES: &[&str] = &["env", "file"];

/// Reads a signing secret through a reference.
pub(super) fn signing(
    node: &Node,
    environment: &dyn Fn(&str) -> Option<String>,
    problems: &Problems,
) -> Option<SigningSecret> {
    if !matches!(node.data, Data::Map(_)) {
        problems.add(node, "a secret stands in the configuration itself", "put it into a file or a variable and write `{source: file, path: …}` or `{source: env, path: NAME}`");
        return None;
    }
    let table = Table::open(node, &["source", "path"], problems)?;
    let source = table.need("source", "write env or file")?.text()?;
    let path = table.need("path", "name the variable or the file")?.text()?;
    let text = match source.as_str() {
        "env" => environment(&path).ok_or_else(|| format!("the variable {path} is not set")),
        "file" => {
            std::fs::read_to_string(&path).map_err(|error| format!("the file {path} cannot be read: {error}"))
        }
        other => {
            let remedy = keywatch_rules::problem::suggest(other, SOURCES);
            problems.add(node, format!("secrets cannot be fetched from `{other}`"), remedy);
            return None;
        }
    };
    match text.map(|text| SigningSecret::parse(text.trim())) {
        Ok(Ok(secret)) => Some(secret),
        Ok(Err(error)) => {
            problems.add(node, format!("the secret in {source} {path} cannot be used: {error}"), "");
            None
        }
        Err(missing) => {
            problems.add(node, missing, "create it with `openssl rand -base64 32` and the prefix whsec_");
            None
        }
    }
}
