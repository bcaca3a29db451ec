//! `KEYWATCH_SECTION__KEY` for every key.

use crate::config::frame::{Data, Entry, Kind, Node, Origin, Problems, Section};
use crate::config::section::Root;
use keywatch_rules::problem::nearest;
use keywatch_rules::yaml;

const PREFIX: &str = "KEYWATCH_";
/// Variables that are no key of the configuration.
const OTHERS: &[&str] = &["KEYWATCH_LOG"];

/// Every variable of the environment that is text.
pub(super) fn all() -> Vec<(String, String)> {
    let text = |(name, value): (std::ffi::OsString, std::ffi::OsString)| {
        Some((name.into_string().ok()?, value.into_string().ok()?))
    };
    std::env::vars_os().filter_map(text).collect()
}

/// Puts the values of variables into the tree, in the place of what files say; tells of names that
/// are nearly one. Returns notices of those that are nothing like one.
pub(super) fn set(
    tree: &mut Node,
    variables: &[(String, String)],
    is_mentioned: &dyn Fn(&str) -> bool,
    problems: &Problems,
) -> Vec<String> {
    let mut notices = Vec::new();
    let mut ours: Vec<&(String, String)> =
        variables.iter().filter(|(name, value)| name.starts_with(PREFIX) && !value.is_empty()).collect();
    ours.sort();
    for (name, value) in ours {
        let words = name.strip_prefix(PREFIX).unwrap_or_default().to_ascii_lowercase();
        let path: Vec<&str> = words.split("__").collect();
        match kind_at(&Root::SECTION, &path) {
            Some(kind) => {
                if let Some(node) = parsed(name, value, kind, problems) {
                    put(tree, &path, node);
                }
            }
            None if OTHERS.contains(&name.as_str()) || is_mentioned(name) || is_kubernetes(name) => {}
            None => notices.extend(unknown(name, problems)),
        }
    }
    notices
}

/// Tells of a variable that is nearly one of ours; a notice of any other.
fn unknown(name: &str, problems: &Problems) -> Option<String> {
    let known = names(&Root::SECTION, PREFIX);
    let strip = |name: &'_ str| name.strip_prefix(PREFIX).unwrap_or_default().to_owned();
    let bare: Vec<String> = known.iter().map(|name| strip(name)).collect();
    if let Some(near) = nearest(&strip(name), bare.iter().map(String::as_str)) {
        let at = Origin::Variable(name.into());
        problems.add(&at, "sets no key of the configuration", format!("did you mean `{PREFIX}{near}`?"));
        return None;
    }
    Some(format!("the variable {name} sets no key of the configuration"))
}

/// What Kubernetes sets in every pod beside a Service that is called `keywatch`
/// (kubernetes.io/docs/concepts/services-networking/service/#environment-variables).
fn is_kubernetes(name: &str) -> bool {
    let rest = name.strip_prefix(PREFIX).unwrap_or_default();
    rest == "PORT" || rest.starts_with("SERVICE_") || (rest.starts_with("PORT_") && rest.contains("_TCP"))
}

/// What is written at a path.
fn kind_at(section: &'static Section, path: &[&str]) -> Option<Kind> {
    let (first, rest) = path.split_first()?;
    let twin = |key: &str| first.strip_suffix("_file") == Some(key);
    if let Some(key) = section.keys.iter().find(|key| key.name == *first) {
        return inside(key.kind, rest);
    }
    section.keys.iter().find(|key| key.kind.has_file_twin() && twin(key.name)).map(|_| Kind::Path)
}

fn inside(kind: Kind, path: &[&str]) -> Option<Kind> {
    match (kind, path) {
        (kind, []) => Some(kind),
        (Kind::Section(section), path) => kind_at(section, path),
        (Kind::Map(of), [name, rest @ ..]) if !name.is_empty() => inside(*of, rest),
        _ => None,
    }
}

/// The name of every variable; `<NAME>` stands for a name of the user's choice.
pub(crate) fn names(section: &'static Section, prefix: &str) -> Vec<String> {
    let mut names = Vec::new();
    for key in section.keys {
        let name = format!("{prefix}{}", key.name.to_ascii_uppercase());
        if let Kind::Section(section) = key.kind {
            names.extend(self::names(section, &format!("{name}__")));
        } else if matches!(key.kind, Kind::Map(_)) {
            names.push(format!("{name}__<NAME>"));
        }
        names.push(name);
    }
    names
}

/// A plain value as it stands; anything else as YAML.
fn parsed(name: &str, value: &str, kind: Kind, problems: &Problems) -> Option<Node> {
    let origin = Origin::Variable(name.into());
    if kind.is_plain() {
        return Some(Node::text_at(value.to_owned(), origin));
    }
    match yaml::parse(name, value) {
        Ok(documents) => documents.first().map(|node| loosened(Node::from_yaml(node, &|_| origin.clone()))),
        Err(problem) => {
            let remedy = "write it as YAML in one line, such as [a, b] or {key: value}";
            problems.add(&origin, problem.message, remedy);
            None
        }
    }
}

fn loosened(mut node: Node) -> Node {
    node.loose = true;
    match &mut node.data {
        Data::List(items) => items.iter_mut().for_each(|item| item.loose = true),
        Data::Map(entries) => entries.iter_mut().for_each(|entry| entry.value.loose = true),
        Data::Null | Data::Bool(_) | Data::Whole(_) | Data::Number(_) | Data::Text(_) => {}
    }
    node
}

/// Puts a value where `path` leads, making mappings on the way. What stands there already is
/// replaced; so is a `_file` twin, which would say the same thing twice.
pub(super) fn put(tree: &mut Node, path: &[&str], node: Node) {
    let Some((first, rest)) = path.split_first() else {
        *tree = node;
        return;
    };
    if !matches!(tree.data, Data::Map(_)) {
        tree.data = Data::Map(Vec::new());
    }
    let Data::Map(entries) = &mut tree.data else { return };
    let at: Origin = node.origin.clone();
    let twin = first.strip_suffix("_file").map_or_else(|| format!("{first}_file"), str::to_owned);
    if rest.is_empty() {
        entries.retain(|entry| entry.key != twin);
    }
    if !entries.iter().any(|entry| entry.key == *first) {
        let value = Node { data: Data::Null, origin: at.clone(), loose: true };
        entries.push(Entry { key: (*first).to_owned(), at, value });
    }
    if let Some(entry) = entries.iter_mut().find(|entry| entry.key == *first) {
        put(&mut entry.value, rest, node);
    }
}

#[cfg(test)]
mod tests {
    use crate::config::frame::Problems;
    use crate::config::layers::Layers;
    use crate::config::testing::texts;

    #[test]
    fn a_flag_beats_a_variable_which_beats_the_file_which_beats_the_default() {
        let port = |layers: Layers| layers.read().unwrap().listen.port();
        let none = Layers::of_text("f", "");
        let file = Layers::of_text("f", "listen: 127.0.0.1:1\n");
        let variable = file.clone().and_variable("KEYWATCH_LISTEN", "127.0.0.1:2");
        let flag = variable.clone().and_flag("--listen", "listen", Some("127.0.0.1:3"));
        assert_eq!([port(none), port(file), port(variable), port(flag)], [8420, 1, 2, 3]);
        let empty = Layers::of_text("f", "listen: 127.0.0.1:1\n").and_variable("KEYWATCH_LISTEN", "");
        assert_eq!(port(empty), 1);
    }

    #[test]
    fn every_key_has_a_variable() {
        let root = Layers::of_text("f", "egress: {allow: [10.0.0.0/8]}\nlists: {rotators: [a]}\n")
            .and_variable("KEYWATCH_EGRESS__ALLOW_HTTP", "true")
            .and_variable("KEYWATCH_EGRESS__ALLOW", "[192.0.2.0/24, 198.51.100.0/24]")
            .and_variable("KEYWATCH_LISTS__CANARIES", "[x]")
            .and_variable("KEYWATCH_HOSTS", "one.example")
            .and_variable("KEYWATCH_SOURCES", "[{name: vault, files: [/var/log/vault.log]}]")
            .read()
            .unwrap();
        assert!(root.egress.allow_http);
        assert_eq!(root.egress.allow.len(), 2);
        assert_eq!(root.lists.keys().collect::<Vec<_>>(), ["canaries", "rotators"]);
        assert_eq!(root.hosts, ["one.example"]);
        assert_eq!(root.sources[0].name.value, "vault");
    }

    #[test]
    fn a_mistake_in_a_variable_names_the_variable() {
        let found = Layers::of_text("f", "listen: 127.0.0.1:8420\n")
            .and_variable("KEYWATCH_LISTEN", "everywhere")
            .and_variable("KEYWATCH_EGRES__ALLOW", "[]")
            .and_variable("KEYWATCH_HTTPS", "yes")
            .and_variable("KEYWATCH_SOURCES", "[")
            .read()
            .unwrap_err();
        let found = texts(&found);
        for part in [
            "the variable KEYWATCH_LISTEN: `everywhere` is no address to listen on",
            "the variable KEYWATCH_EGRES__ALLOW: sets no key of the configuration; did you mean `KEYWATCH_EGRESS__ALLOW`?",
            "the variable KEYWATCH_HTTPS: `https` must be true or false",
            "the variable KEYWATCH_SOURCES: not valid YAML",
        ] {
            assert!(found.iter().any(|found| found.contains(part)), "{part} in {found:#?}");
        }
        assert_eq!(found.len(), 4, "{found:#?}");
    }

    #[test]
    fn variables_that_others_use_are_left_alone() {
        let text = "egress: {allow: [\"${KEYWATCH_LISTENN}\"]}\n";
        let problems = Problems::default();
        let reading = Layers::of_text("f", text)
            .and_variable("KEYWATCH_LISTENN", "10.0.0.0/8")
            .and_variable("KEYWATCH_SERVICE_HOST", "10.1.2.3")
            .and_variable("KEYWATCH_PORT", "tcp://10.1.2.3:80")
            .and_variable("KEYWATCH_LOG", "debug")
            .and_variable("KEYWATCH_SOMETHING_ELSE", "x")
            .reading(&problems)
            .unwrap();
        assert_eq!(
            reading.notices,
            ["the variable KEYWATCH_SOMETHING_ELSE sets no key of the configuration"]
        );
    }
}
