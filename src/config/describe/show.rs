//! Every value that holds, and where it was written.
//!
//! Secrets are shown as references; credentials and what stands behind the host of a URL that
//! holds one are not shown at all.

use crate::config::frame::{Data, Key, Kind, Node, Origin, Presence, Section, default_node};
use crate::config::section::Root;
use serde::Serialize;
use url::Url;

/// What stands in the place of a credential.
const REDACTED: &str = "[redacted]";

/// One value.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub(crate) struct Shown {
    /// The path of its key: `receivers[soc].webhook.url`.
    pub(crate) key: String,
    /// The value, as one would write it.
    pub(crate) value: String,
    /// Where it was written: a file and its line, a variable, a flag, `default`.
    pub(crate) from: String,
}

/// Every value of the tree, with the defaults of what is not there.
pub(crate) fn show(tree: &Node) -> Vec<Shown> {
    let mut shown = Vec::new();
    section(tree, &Root::SECTION, "", &mut shown);
    shown
}

fn section(node: &Node, of: &Section, path: &str, shown: &mut Vec<Shown>) {
    for key in of.keys {
        let at = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
        let twin = key.kind.has_file_twin().then(|| node.get(&format!("{}_file", key.name))).flatten();
        if let Some(twin) = twin {
            push(format!("{at}_file"), twin.written(), &twin.origin, shown);
        } else if let Some(value) = node.get(key.name) {
            kind(value, key.kind, &at, shown);
        } else {
            absent(key, &at, shown);
        }
    }
}

fn absent(key: &Key, path: &str, shown: &mut Vec<Shown>) {
    match key.presence {
        Presence::Default(text) => {
            let value = default_node(text).map_or_else(|| text.to_owned(), |node| plain(&node));
            push(path.to_owned(), value, &Origin::Default, shown);
        }
        Presence::Implied => kind(&Node::empty(), key.kind, path, shown),
        Presence::Optional | Presence::Needed(_) => {}
    }
}

fn push(key: String, value: String, from: &Origin, shown: &mut Vec<Shown>) {
    shown.push(Shown { key, value, from: from.to_string() });
}

fn kind(node: &Node, of: Kind, path: &str, shown: &mut Vec<Shown>) {
    match (of, &node.data) {
        (Kind::Section(of), Data::Map(_)) => section(node, of, path, shown),
        (Kind::Map(of), Data::Map(entries)) => {
            for entry in entries {
                kind(&entry.value, *of, &format!("{path}.{}", entry.key), shown);
            }
        }
        (Kind::List(of), _)
            if matches!(of, Kind::Section(_) | Kind::Secret | Kind::Credential | Kind::CredentialUrl) =>
        {
            for (at, item) in node.items().iter().enumerate() {
                let name = item.get("name").and_then(Node::text).unwrap_or_else(|| at.to_string());
                kind(item, *of, &format!("{path}[{name}]"), shown);
            }
        }
        (Kind::Either(kinds), data) => {
            let is_map = matches!(data, Data::Map(_));
            let fits = |kind: &&Kind| matches!(kind, Kind::Section(_) | Kind::Map(_)) == is_map;
            if let Some(of) = kinds.iter().find(fits) {
                kind(node, *of, path, shown);
            }
        }
        (of, _) => shown.push(Shown { key: path.to_owned(), value: value(node, of), from: origins(node) }),
    }
}

/// Where a value was written; of a list, every place one of its items comes from.
fn origins(node: &Node) -> String {
    let mut places: Vec<String> = Vec::new();
    for place in node.items().iter().map(|item| item.origin.to_string()) {
        if !places.contains(&place) {
            places.push(place);
        }
    }
    if places.is_empty() { node.origin.to_string() } else { places.join(", ") }
}

fn value(node: &Node, of: Kind) -> String {
    match of {
        Kind::Secret | Kind::Credential => reference(node).unwrap_or_else(|| REDACTED.to_owned()),
        Kind::CredentialUrl => reference(node).unwrap_or_else(|| host_only(&node.written())),
        Kind::Url => without_query(&node.written()),
        Kind::List(_) => format!("[{}]", node.items().iter().map(plain).collect::<Vec<_>>().join(", ")),
        Kind::Text
        | Kind::Truth
        | Kind::Whole
        | Kind::Number
        | Kind::Duration
        | Kind::Size
        | Kind::Path
        | Kind::Network
        | Kind::Socket
        | Kind::Time
        | Kind::Choice(_)
        | Kind::Map(_)
        | Kind::Section(_)
        | Kind::Either(_) => plain(node),
    }
}

fn plain(node: &Node) -> String {
    match &node.data {
        Data::List(items) => format!("[{}]", items.iter().map(plain).collect::<Vec<_>>().join(", ")),
        Data::Null | Data::Bool(_) | Data::Whole(_) | Data::Number(_) | Data::Text(_) | Data::Map(_) => {
            node.written()
        }
    }
}

/// A reference to a secret in one line; `None` for anything that may be a secret itself.
fn reference(node: &Node) -> Option<String> {
    if let Data::Text(text) = &node.data {
        let parsed: Result<keywatch_secrets::SecretRef, _> = text.parse();
        return parsed.ok().map(|reference| reference.to_string());
    }
    let part = |key: &str, before: &str| {
        node.get(key).and_then(Node::text).map(|text| format!("{before}{text}")).unwrap_or_default()
    };
    let (source, path) = (node.get("source")?.text()?, node.get("path")?.text()?);
    Some(format!("{source}:{path}{}{}", part("key", "#"), part("version", "@")))
}

/// Scheme and host of a URL.
fn host_only(text: &str) -> String {
    let Ok(url) = Url::parse(text) else { return REDACTED.to_owned() };
    let Some(host) = url.host_str() else { return REDACTED.to_owned() };
    let port = url.port().map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}://{host}{port}/{REDACTED}", url.scheme())
}

/// A URL without user, password and query.
fn without_query(text: &str) -> String {
    let Ok(mut url) = Url::parse(text) else { return REDACTED.to_owned() };
    if url.query().is_some() {
        url.set_query(Some(REDACTED));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return host_only(text);
    }
    url.to_string()
}
