//! The configuration file: strict, and every mistake named at once with line, column and remedy.
//!
//! A flag beats the environment (`KEYWATCH_DATABASE`, `KEYWATCH_LISTEN`), which beats the file,
//! which beats the defaults. Secrets are references, resolved when they are used.

mod lists;
mod planned;
mod secret;
mod supplied;

pub(crate) use supplied::Supplied;

use ipnet::IpNet;
use keywatch_alerting::{Address, EgressPolicy, Receiver, ReceiverKind, Webhook};
use keywatch_event::Level;
use keywatch_rules::Problem;
use keywatch_rules::yaml::{Node, Problems, Table, parse};
use keywatch_secrets::{SecretManager, SecretRef, Settings};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Where the dashboard listens unless told otherwise: loopback only.
pub(crate) const LISTEN: &str = "127.0.0.1:8420";

/// What a configuration file says, with defaults filled in.
#[derive(Debug)]
pub(crate) struct Config {
    /// The file it was read from.
    pub(crate) path: Option<PathBuf>,
    pub(crate) database: PathBuf,
    pub(crate) listen: SocketAddr,
    /// Host names the dashboard answers to besides loopback.
    pub(crate) hosts: Vec<String>,
    /// Whether people reach the dashboard over HTTPS, through a proxy.
    pub(crate) https: bool,
    /// What rules run with; all that is read again on SIGHUP.
    pub(crate) supplied: Supplied,
    pub(crate) sources: Vec<FileSource>,
    pub(crate) receivers: Vec<Receiver>,
    pub(crate) egress: EgressPolicy,
    /// Resolves the references in all the others.
    pub(crate) secrets: SecretManager,
}

/// Audit files to follow.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct FileSource {
    pub(crate) name: String,
    pub(crate) paths: Vec<PathBuf>,
}

/// Everything wrong with a configuration file.
#[derive(Debug, thiserror::Error)]
#[error("{}", listed(.0))]
pub(crate) struct ConfigProblems(pub(crate) Vec<Problem>);

fn listed(problems: &[Problem]) -> String {
    let lines: Vec<String> = problems.iter().map(ToString::to_string).collect();
    format!("the configuration cannot be used\n{}\n{} problem(s)", lines.join("\n"), problems.len())
}

const KEYS: &[&str] = &[
    "database",
    "listen",
    "hosts",
    "https",
    "rules",
    "known_networks",
    "lists",
    "planned_access",
    "address_data",
    "sources",
    "receivers",
    "egress",
];

/// Reads and checks a configuration file.
pub(crate) fn load(path: &Path) -> Result<Config, ConfigProblems> {
    let (file, text) = contents(path)?;
    let config = read(&file, &text, &|name| environment(name))?;
    Ok(Config { path: Some(path.to_owned()), ..config })
}

/// What rules run with, and the database: for commands that need no more, and must not fail
/// because somebody else's secret cannot be read.
pub(crate) fn load_supplied(path: &Path) -> Result<(Supplied, PathBuf), ConfigProblems> {
    let (file, text) = contents(path)?;
    reading(&file, &text, &|name| environment(name), |reader, table| {
        (reader.supplied(table), reader.database(table))
    })
}

/// Name and text of a configuration file.
fn contents(path: &Path) -> Result<(String, String), ConfigProblems> {
    let file = path.display().to_string();
    match std::fs::read_to_string(path) {
        Ok(text) => Ok((file, text)),
        Err(error) => Err(ConfigProblems(vec![Problem {
            file,
            line: 1,
            column: 1,
            message: format!("cannot be read: {error}"),
            remedy: "name a readable file with --config, or write one as in keywatch.example.yaml".to_owned(),
        }])),
    }
}

/// A variable of the environment.
#[expect(clippy::disallowed_methods, reason = "this is where the environment is read")]
pub(crate) fn environment(name: &str) -> Option<String> {
    std::env::var(name).ok().filter(|value| !value.is_empty())
}

/// Resolves references to secrets with what this machine has.
pub(crate) fn secret_manager() -> SecretManager {
    SecretManager::new(Settings { environment: Arc::new(environment) })
}

/// Reads a configuration from text; `environment` looks variables up.
pub(crate) fn read(
    file: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
) -> Result<Config, ConfigProblems> {
    reading(file, text, environment, whole)
}

fn whole(reader: &Reader<'_>, table: &Table<'_>) -> Config {
    reader.config(table)
}

/// Hands the table of a configuration to `take`; fails with every mistake that was found.
fn reading<T>(
    file: &str,
    text: &str,
    environment: &dyn Fn(&str) -> Option<String>,
    take: impl FnOnce(&Reader<'_>, &Table<'_>) -> T,
) -> Result<T, ConfigProblems> {
    let documents = parse(file, text).map_err(|problem| ConfigProblems(vec![problem]))?;
    let problems = Problems::new(file);
    let empty = Node { data: keywatch_rules::yaml::Data::Map(Vec::new()), line: 1, column: 1 };
    let root = documents.first().unwrap_or(&empty);
    if let Some(second) = documents.get(1) {
        problems.add(second, "a second document", "keep one document per file");
    }
    let taken = Table::open(root, KEYS, &problems)
        .map(|table| take(&Reader { problems: &problems, environment }, &table));
    let found = problems.into_sorted();
    match taken {
        Some(taken) if found.is_empty() => Ok(taken),
        _ => Err(ConfigProblems(found)),
    }
}

struct Reader<'r> {
    problems: &'r Problems,
    environment: &'r dyn Fn(&str) -> Option<String>,
}

impl Reader<'_> {
    fn config(&self, table: &Table<'_>) -> Config {
        let egress = self.egress(table);
        let config = Config {
            path: None,
            database: self.database(table),
            listen: self.listen(table),
            hosts: table.texts("hosts").into_iter().map(|(host, _)| host).collect(),
            https: table.truth("https").unwrap_or(false),
            supplied: self.supplied(table),
            sources: table.list("sources").iter().filter_map(|node| self.source(node)).collect(),
            receivers: table.list("receivers").iter().filter_map(|node| self.receiver(node)).collect(),
            egress,
            secrets: secret_manager(),
        };
        self.check_names(table, "sources");
        self.check_names(table, "receivers");
        self.check_receivers(table, &config);
        config
    }

    fn database(&self, table: &Table<'_>) -> PathBuf {
        let named = self.overridable(table, "database", "KEYWATCH_DATABASE");
        named.map_or_else(|| "keywatch.db".into(), PathBuf::from)
    }

    fn supplied(&self, table: &Table<'_>) -> Supplied {
        let known = table.texts("known_networks");
        let known: Vec<IpNet> = known.iter().filter_map(|(text, at)| self.network(text, at)).collect();
        Supplied::read(table, &known, self.problems)
    }

    fn overridable(&self, table: &Table<'_>, key: &str, variable: &str) -> Option<String> {
        (self.environment)(variable).or_else(|| table.text(key))
    }

    fn listen(&self, table: &Table<'_>) -> SocketAddr {
        let text = self.overridable(table, "listen", "KEYWATCH_LISTEN").unwrap_or_else(|| LISTEN.to_owned());
        text.parse().unwrap_or_else(|_| {
            let at = table.get("listen").unwrap_or(table.node());
            let from = (self.environment)("KEYWATCH_LISTEN").map_or("", |_| "in KEYWATCH_LISTEN, ");
            self.problems.add(
                at,
                format!("{from}`{text}` is no address to listen on"),
                format!("write address and port, such as {LISTEN}"),
            );
            SocketAddr::from(([127, 0, 0, 1], 0))
        })
    }

    fn network(&self, text: &str, at: &Node) -> Option<IpNet> {
        let found = text.parse().ok().or_else(|| text.parse::<std::net::IpAddr>().ok().map(IpNet::from));
        if found.is_none() {
            self.problems.add(
                at,
                format!("`{text}` is no network"),
                "write it as 198.51.100.0/24 or 2001:db8::/32",
            );
        }
        found
    }

    fn source(&self, node: &Node) -> Option<FileSource> {
        let table = Table::open(node, &["name", "files"], self.problems)?;
        let name = table.need("name", "give the source a name of its own")?.text()?;
        let files = table.need("files", "name files or folders to follow")?;
        let paths: Vec<PathBuf> = table.texts("files").into_iter().map(|(path, _)| path.into()).collect();
        if paths.is_empty() {
            self.problems.add(files, "`files` is empty", "name files or folders to follow");
        }
        for (path, at) in table.texts("files").iter().filter(|(path, _)| path.contains(['*', '?'])) {
            self.problems.add(
                at,
                format!("`{path}` is a pattern, and patterns are not expanded"),
                "name the folder",
            );
        }
        Some(FileSource { name, paths })
    }

    fn receiver(&self, node: &Node) -> Option<Receiver> {
        let table = Table::open(node, &["name", "webhook", "level", "concurrency"], self.problems)?;
        let name = table.need("name", "give the receiver a name of its own")?.text()?;
        let webhook =
            table.need("webhook", "only webhooks are delivered to: `webhook: {url: …, secret: …}`")?;
        let webhook = Table::open(webhook, &["url", "secret", "secrets"], self.problems)?;
        let url = webhook.need("url", "write the https:// address to POST to")?.text()?;
        let signing = self.signing(&webhook);
        let kind = ReceiverKind::Webhook(Webhook { address: Address::Plain(url), signing, auth: None });
        Some(Receiver {
            level_min: self.level(&table),
            concurrency: table.int("concurrency", 1..=64).and_then(|n| usize::try_from(n).ok()).unwrap_or(4),
            ..Receiver::new(name, kind)
        })
    }

    fn signing(&self, webhook: &Table<'_>) -> Vec<SecretRef> {
        let nodes: Vec<&Node> = webhook.get("secret").into_iter().chain(webhook.list("secrets")).collect();
        if nodes.is_empty() {
            self.problems.add(webhook.node(), "`secret` is missing", "write `secret: {source: file, path: …}` or `{source: env, path: NAME}`; every message is signed");
        }
        nodes.into_iter().filter_map(|node| secret::reference(node, self.problems)).collect()
    }

    fn level(&self, table: &Table<'_>) -> Level {
        let Some(node) = table.get("level") else { return Level::Warning };
        let text = node.text().unwrap_or_default();
        text.parse().unwrap_or_else(|_| {
            self.problems.add(node, format!("`{text}` is no level"), "write warning, high or critical");
            Level::Warning
        })
    }

    fn egress(&self, table: &Table<'_>) -> EgressPolicy {
        let open = |node| Table::open(node, &["allow", "allow_http"], self.problems);
        let Some(table) = table.get("egress").and_then(open) else { return EgressPolicy::default() };
        EgressPolicy {
            allow: table.texts("allow").iter().filter_map(|(text, at)| self.network(text, at)).collect(),
            allow_http: table.truth("allow_http").unwrap_or(false),
        }
    }

    fn check_names(&self, table: &Table<'_>, key: &str) {
        let mut known: Vec<String> = Vec::new();
        for node in table.list(key).iter().filter_map(|node| node.get("name")) {
            let name = node.text().unwrap_or_default();
            if known.contains(&name) {
                self.problems.add(
                    node,
                    format!("the name `{name}` stands twice under `{key}`"),
                    "give each its own name",
                );
            }
            known.push(name);
        }
    }

    /// What the delivery code itself finds wrong with a receiver, at the receiver's place.
    fn check_receivers(&self, table: &Table<'_>, config: &Config) {
        for problem in keywatch_alerting::validate(&config.receivers, &config.egress) {
            if matches!(
                problem.fault,
                keywatch_alerting::Fault::Secrets(0) | keywatch_alerting::Fault::NameTwice
            ) {
                continue;
            }
            let named =
                |node: &&Node| node.get("name").and_then(Node::text).as_deref() == Some(&problem.receiver);
            let at = table.list("receivers").iter().find(named).unwrap_or(table.node());
            self.problems.add(at, problem.to_string(), "");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> Vec<String> {
        match read("keywatch.yaml", text, &|_| None) {
            Ok(_) => Vec::new(),
            Err(ConfigProblems(found)) => found.iter().map(ToString::to_string).collect(),
        }
    }

    #[test]
    fn an_empty_file_is_a_configuration() {
        assert_eq!(problems(""), Vec::<String>::new());
        assert_eq!(problems("# nothing yet\n"), Vec::<String>::new());
    }

    #[test]
    fn three_mistakes_are_three_problems_with_place_and_remedy() {
        let found = problems(
            "lisen: 127.0.0.1:1\nknown_networks: [office]\nsources:\n  - name: vault\n    file: /var/log/vault.log\n",
        );
        assert_eq!(
            found,
            [
                "keywatch.yaml:1:1: unknown key `lisen`; did you mean `listen`?",
                "keywatch.yaml:2:18: `office` is no network; write it as 198.51.100.0/24 or 2001:db8::/32",
                "keywatch.yaml:4:5: `files` is missing; name files or folders to follow",
                "keywatch.yaml:5:5: unknown key `file`; did you mean `files`?",
            ]
        );
    }

    #[test]
    fn the_environment_beats_the_file() {
        let environment = |name: &str| (name == "KEYWATCH_LISTEN").then(|| "127.0.0.1:9".to_owned());
        let config = read("f", "listen: 127.0.0.1:8\n", &environment).unwrap();
        assert_eq!(config.listen.port(), 9);
    }

    #[test]
    fn a_secret_is_named_never_written() {
        let file = |secret: &str| {
            format!(
                "receivers:\n  - name: soc\n    webhook:\n      url: https://hooks.example.com/k\n      secret: {secret}\n"
            )
        };
        assert_eq!(problems(&file("{source: env, path: SOC_SECRET}")), Vec::<String>::new());
        let found = problems(&file("whsec_hunter2"));
        assert!(found[0].contains(":5:15: a secret stands in the configuration"), "{found:?}");
        assert!(!found[0].contains("hunter2"), "{found:?}");
        let found = problems(&file("{source: valut, path: a}"));
        assert!(found[0].contains("did you mean `vault`"), "{found:?}");
    }
}
