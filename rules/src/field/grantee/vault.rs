//! Vault and OpenBao: the text of a written policy.
//!
//! The audit log hashes it unless the `sys` mount exempts `policy` from hashing
//! (`audit_non_hmac_request_keys`); a hash names nobody. Syntax as in
//! <https://developer.hashicorp.com/vault/docs/concepts/policies>.

use super::{Found, documents, member};
use crate::record::Scope;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde_json::Value;
use std::sync::LazyLock;

const REQUEST: &str = "request";
static SCOPE: LazyLock<Scope> = LazyLock::new(|| Scope::of([REQUEST]));
/// Where policies are written; the second is the older form.
const PLACES: &[&str] = &["sys/policies/acl/", "sys/policy/"];

pub(super) fn read(raw: &[u8], found: &mut Found<'_>) {
    for request in documents(&SCOPE, REQUEST, raw) {
        let said = |name| member(&request, name).and_then(Value::as_str).unwrap_or_default();
        let path = said("path").trim_start_matches('/');
        let Some(policy) = PLACES.iter().find_map(|place| path.strip_prefix(place)) else { continue };
        if !matches!(said("operation"), "create" | "update" | "patch") {
            continue;
        }
        let data = member(&request, "data");
        let text = data.and_then(|data| member(data, "policy").or_else(|| member(data, "rules")));
        let Some(text) = text.and_then(Value::as_str).filter(|text| !text.starts_with("hmac-")) else {
            continue;
        };
        let opens = opens_all(&decoded(text));
        found.add(policy, "policy", if opens { "public" } else { "own" });
    }
}

/// Vault takes a policy as text or in base64.
fn decoded(text: &str) -> String {
    let bytes = STANDARD.decode(text.trim()).ok();
    bytes.and_then(|bytes| String::from_utf8(bytes).ok()).unwrap_or_else(|| text.to_owned())
}

/// Whether a policy is one for everything: a rule for the path `*`, or the capability `sudo`.
fn opens_all(policy: &str) -> bool {
    let words = words(policy);
    let mut path: Option<&str> = None;
    let mut after_path = false;
    for word in &words {
        match word {
            Word::Name("path") => after_path = true,
            Word::Text("path") if path.is_none() => after_path = true,
            Word::Text(text) if after_path => {
                path = Some(text);
                after_path = false;
            }
            Word::Text("sudo") => return true,
            Word::Text("read" | "list" | "create" | "update" | "delete" | "patch" | "root")
                if path.is_some_and(is_everything) =>
            {
                return true;
            }
            // In JSON, a second rule's path is a key beside the first rule's body.
            Word::Text(text) if text.contains(['*', '/']) => path = Some(text),
            Word::Text(_) | Word::Name(_) => {}
        }
    }
    false
}

fn is_everything(path: &str) -> bool {
    matches!(path.trim_start_matches('/'), "*" | "+/*" | "+*")
}

enum Word<'p> {
    /// A bare word.
    Name(&'p str),
    /// A word in quotes.
    Text(&'p str),
}

/// The words of HCL or JSON without comments and punctuation.
fn words(policy: &str) -> Vec<Word<'_>> {
    let mut words = Vec::new();
    let mut rest = policy;
    while let Some(first) = rest.chars().next() {
        rest = if first == '#' || rest.starts_with("//") {
            rest.split_once('\n').map_or("", |(_, after)| after)
        } else if let Some(comment) = rest.strip_prefix("/*") {
            comment.split_once("*/").map_or("", |(_, after)| after)
        } else if let Some(inner) = rest.strip_prefix('"') {
            let (text, after) = inner.split_once('"').unwrap_or((inner, ""));
            words.push(Word::Text(text));
            after
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest.find(|c: char| !(c.is_alphanumeric() || c == '_')).unwrap_or(rest.len());
            let (name, after) = rest.split_at_checked(end).unwrap_or((rest, ""));
            words.push(Word::Name(name));
            after
        } else {
            rest.get(first.len_utf8()..).unwrap_or_default()
        };
    }
    words
}
