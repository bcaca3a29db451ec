//! A topic of Kafka as a receiver.

use super::super::kafka::{KafkaSasl, KafkaTls, check_brokers};
use crate::config::frame::{At, Origin, Problems, choice, default, need, section};

section! {
    /// A topic of Kafka that takes OCSF 1.8 findings as CloudEvents.
    pub(crate) struct KafkaTopic {
        /// Some of the cluster's brokers, `host:port`.
        brokers: Vec<At<String>> = need("list brokers, such as [kafka-1.example.com:9092]"),
        /// The topic. It must exist.
        topic: String = need("name the topic"),
        /// How CloudEvents lays a message out.
        mode: KafkaLayout = default("binary"),
        /// Encryption; `tls: {}` trusts the system's certificates.
        tls: Option<KafkaTls>,
        /// A login.
        sasl: Option<KafkaSasl>,
    }
    check: check;
}

choice! {
    /// How CloudEvents lays a message out.
    pub(crate) enum KafkaLayout {
        /// Attributes are headers, the finding is the value.
        Binary = "binary",
        /// The value is the whole event.
        Structured = "structured",
    }
}

fn check(topic: &KafkaTopic, at: &Origin, problems: &Problems) {
    check_brokers(&topic.brokers, at, problems);
}
