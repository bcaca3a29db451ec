//! Kafka as a source, and how a cluster is reached.

use crate::config::frame::{At, Credential, Origin, Problems, choice, default, mins, need, secs, section};
use keywatch_brokers::{Access, ClientCertificate, Mechanism, Sasl, Tls, User};
use keywatch_kafka::{Settings, Start};
use keywatch_secrets::SecretRef;
use std::path::PathBuf;
use std::time::Duration;

section! {
    /// Topics of a Kafka cluster, read as a consumer group whose offsets are kept in the database.
    /// See docs/sources/kafka.md.
    pub(crate) struct Kafka {
        /// Some of the cluster's brokers, `host:port`.
        brokers: Vec<At<String>> = need("list brokers, such as [kafka-1.example.com:9092]"),
        /// Topics; one that begins with `^` is a pattern (a POSIX extended regular expression).
        topics: Vec<At<String>> = need("list the topics"),
        /// The consumer group; `keywatch-` and the source's name unless told.
        group: Option<String>,
        /// Where reading begins in a topic of which nothing was read yet.
        start: KafkaStart = default("beginning"),
        /// After how long without a sign of life the cluster gives the partitions to another member.
        session_timeout: Duration [secs(6)..=mins(30)] = default("45s"),
        /// Encryption; `tls: {}` trusts the system's certificates.
        tls: Option<KafkaTls>,
        /// A login.
        sasl: Option<KafkaSasl>,
    }
    check: check_kafka;
}

section! {
    /// Azure Event Hubs of one namespace, through their Kafka endpoint (standard tier or above). See
    /// docs/sources/azure.md.
    pub(crate) struct EventHubs {
        /// The namespace: NAME.servicebus.windows.net.
        namespace: At<String> = need("write the namespace: NAME.servicebus.windows.net"),
        /// The hubs.
        hubs: Vec<At<String>> = need("list the event hubs"),
        /// The connection string of a policy with the right to listen.
        connection_string: SecretRef = need("write `{source: env, path: NAME}` or `{source: file, path: …}`"),
        /// The consumer group; `keywatch-` and the source's name unless told. It need not be made first.
        group: Option<String>,
        /// Where reading begins in a hub of which nothing was read yet.
        start: KafkaStart = default("beginning"),
    }
    check: check_hubs;
}

choice! {
    /// Where reading begins.
    pub(crate) enum KafkaStart {
        /// With the oldest message there is.
        Beginning = "beginning",
        /// With what comes from now on.
        End = "end",
    }
}

section! {
    /// Encryption of the connection to a Kafka cluster.
    pub(crate) struct KafkaTls {
        /// PEM certificates that are trusted instead of the system's.
        ca_file: Option<PathBuf>,
        /// The PEM file of Keywatch's own certificate, when the cluster asks for one.
        certificate_file: Option<PathBuf>,
        /// The PEM text of that certificate's key.
        key: Option<SecretRef>,
    }
    check: check_tls;
}

choice! {
    /// How a password is shown to the cluster.
    pub(crate) enum KafkaMechanism {
        /// As it is.
        Plain = "plain",
        /// As a proof, with SHA-256.
        ScramSha256 = "scram-sha-256",
        /// As a proof, with SHA-512.
        ScramSha512 = "scram-sha-512",
    }
}

section! {
    /// A login to a Kafka cluster.
    pub(crate) struct KafkaSasl {
        /// `plain`, `scram-sha-256` or `scram-sha-512`.
        mechanism: KafkaMechanism = need("write plain, scram-sha-256 or scram-sha-512"),
        /// Who logs in: a name, or where it lies.
        user: Credential = need("name the user"),
        /// The password.
        password: SecretRef = need("write `{source: env, path: NAME}` or `{source: file, path: …}`"),
    }
}

fn check_kafka(kafka: &Kafka, at: &Origin, problems: &Problems) {
    check_brokers(&kafka.brokers, at, problems);
    check_topics("topics", &kafka.topics, at, problems);
    if kafka.tls.is_none() && kafka.sasl.as_ref().is_some_and(|sasl| sasl.mechanism == KafkaMechanism::Plain)
    {
        let message = "the password would be sent without encryption";
        problems.add(at, message, "write `tls: {}`, or use scram-sha-512");
    }
}

/// `host:port` each, and at least one.
pub(super) fn check_brokers(brokers: &[At<String>], at: &Origin, problems: &Problems) {
    if brokers.is_empty() {
        problems.add(at, "`brokers` is empty", "list brokers, such as [kafka-1.example.com:9092]");
    }
    let is_broker = |text: &str| {
        let split = text.rsplit_once(':');
        split.is_some_and(|(host, port)| {
            !host.is_empty() && !host.contains(['/', ',', ' ']) && port.parse::<u16>().is_ok()
        })
    };
    for broker in brokers.iter().filter(|broker| !is_broker(&broker.value)) {
        let message = format!("`{}` is no broker", broker.value);
        problems.add(&broker.origin, message, "write it as host:port, without kafka:// before it");
    }
}

/// Whether a topic may have this name (Kafka: letters, digits, `.`, `_` and `-`, at most 249).
pub(super) fn is_topic(name: &str) -> bool {
    let plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-');
    (1..=249).contains(&name.len()) && name.chars().all(plain)
}

fn check_topics(key: &str, topics: &[At<String>], at: &Origin, problems: &Problems) {
    if topics.is_empty() {
        problems.add(at, format!("`{key}` is empty"), "name at least one");
    }
    let wrong = |topic: &&At<String>| !topic.value.starts_with('^') && !is_topic(&topic.value);
    for topic in topics.iter().filter(wrong) {
        let message = format!("`{}` is no name of a topic", topic.value);
        problems.add(
            &topic.origin,
            message,
            "use letters, digits, dots, dashes and underscores; a pattern begins with ^",
        );
    }
}

fn check_hubs(hubs: &EventHubs, at: &Origin, problems: &Problems) {
    check_topics("hubs", &hubs.hubs, at, problems);
    if !hubs.namespace.value.contains('.') || hubs.namespace.value.contains([':', '/']) {
        let message = format!("`{}` is no namespace", hubs.namespace.value);
        problems.add(&hubs.namespace.origin, message, "write its host alone: NAME.servicebus.windows.net");
    }
}

fn check_tls(tls: &KafkaTls, at: &Origin, problems: &Problems) {
    if tls.certificate_file.is_some() != tls.key.is_some() {
        problems.add(at, "`certificate_file` and `key` belong together", "write both, or neither");
    }
}

impl KafkaStart {
    const fn meaning(self) -> Start {
        match self {
            Self::Beginning => Start::Beginning,
            Self::End => Start::End,
        }
    }
}

/// How a cluster is reached, from the parts of its sections.
pub(crate) fn access(brokers: &[At<String>], tls: Option<&KafkaTls>, sasl: Option<&KafkaSasl>) -> Access {
    Access {
        brokers: brokers.iter().map(|broker| broker.value.clone()).collect(),
        tls: tls.map(|tls| Tls {
            ca_file: tls.ca_file.clone(),
            client: tls
                .certificate_file
                .clone()
                .zip(tls.key.clone())
                .map(|(certificate_file, key)| ClientCertificate { certificate_file, key }),
        }),
        sasl: sasl.map(|sasl| Sasl {
            mechanism: match sasl.mechanism {
                KafkaMechanism::Plain => Mechanism::Plain,
                KafkaMechanism::ScramSha256 => Mechanism::ScramSha256,
                KafkaMechanism::ScramSha512 => Mechanism::ScramSha512,
            },
            user: match &sasl.user {
                Credential::Value(value) => User::Plain(value.expose().to_owned()),
                Credential::Reference(reference) => User::Secret(reference.clone()),
            },
            password: sasl.password.clone(),
        }),
    }
}

fn settings(source: &str, topics: &[At<String>], group: Option<&String>, start: KafkaStart) -> Settings {
    let topics = topics.iter().map(|topic| topic.value.clone()).collect();
    let own = format!("keywatch-{source}");
    Settings { start: start.meaning(), ..Settings::new(topics, group.unwrap_or(&own)) }
}

impl Kafka {
    /// What was written, as the source of this name takes it.
    pub(crate) fn meaning(&self, source: &str) -> (Access, Settings) {
        let access = access(&self.brokers, self.tls.as_ref(), self.sasl.as_ref());
        let settings = settings(source, &self.topics, self.group.as_ref(), self.start);
        (access, Settings { session_timeout: self.session_timeout, ..settings })
    }
}

impl EventHubs {
    /// What was written, as the source of this name takes it.
    pub(crate) fn meaning(&self, source: &str) -> (Access, Settings) {
        let access = keywatch_brokers::event_hubs(&self.namespace.value, self.connection_string.clone());
        (access, settings(source, &self.hubs, self.group.as_ref(), self.start))
    }
}

#[cfg(test)]
mod tests {
    use crate::config::live::{LiveSource, Way};
    use crate::config::testing::{check_source as check, read_root};

    #[test]
    fn kafka_sources_are_read_and_their_mistakes_named() {
        check("kafka: {brokers: [\"k-1:9092\", \"[::1]:9092\"], topics: [audit, ^kv-.*]}", &[]);
        check(
            "event_hubs: {namespace: c.servicebus.windows.net, hubs: [audit], connection_string: \"env:HUBS\"}",
            &[],
        );
        check(
            "kafka: {brokers: [\"kafka://k\"], topics: [\"a b\"]}",
            &[
                "`kafka://k` is no broker; write it as host:port, without kafka:// before it",
                "`a b` is no name of a topic; use letters, digits, dots, dashes and underscores; a pattern begins with ^",
            ],
        );
        check(
            "kafka: {brokers: [\"k:1\"], topics: [a], sasl: {mechanism: plain, user: u, password: \"env:P\"}}",
            &["the password would be sent without encryption; write `tls: {}`, or use scram-sha-512"],
        );
        check(
            "kafka: {brokers: [\"k:1\"], topics: [a], tls: {certificate_file: /c.pem}}",
            &["`certificate_file` and `key` belong together; write both, or neither"],
        );
        check(
            "event_hubs: {namespace: \"sb://c\", hubs: [audit], connection_string: \"env:HUBS\"}",
            &["`sb://c` is no namespace; write its host alone: NAME.servicebus.windows.net"],
        );
    }

    #[test]
    fn a_group_is_named_for_its_source_unless_told() {
        let text = "sources:\n  - name: hub\n    kafka: {brokers: [\"k:1\"], topics: [a], start: end, session_timeout: 10s}\n";
        let root = read_root(text).0.expect("a configuration");
        let source =
            LiveSource::of(&root.sources[0], std::path::Path::new("keywatch.db")).expect("a live source");
        let Way::Kafka(_, settings) = &source.way else { panic!("another way") };
        assert_eq!(settings.group, "keywatch-hub");
        assert_eq!(settings.session_timeout.as_secs(), 10);
        assert_eq!(settings.start, keywatch_kafka::Start::End);
        assert_eq!(source.kind(), "Kafka topics a on k:1");
    }
}
