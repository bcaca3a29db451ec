//! Where a cluster is and how one shows who one is, as librdkafka's properties.
//!
//! <https://github.com/confluentinc/librdkafka/blob/v2.12.1/CONFIGURATION.md>

use keywatch_secrets::SecretRef;
use rdkafka::ClientConfig;
use rdkafka::config::RDKafkaLogLevel;
use std::path::PathBuf;

/// A cluster, and how it is reached.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Access {
    /// Some of its brokers, `host:port`; the others are learned from them.
    pub brokers: Vec<String>,
    /// Encryption; none when absent.
    pub tls: Option<Tls>,
    /// A login; none when absent.
    pub sasl: Option<Sasl>,
}

/// Encryption of the connection. The host name is always checked.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Tls {
    /// PEM certificates that are trusted instead of the system's.
    pub ca_file: Option<PathBuf>,
    /// What Keywatch shows when the cluster asks for a certificate.
    pub client: Option<ClientCertificate>,
}

/// A certificate of Keywatch's own.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClientCertificate {
    /// The PEM file of the certificate and its chain.
    pub certificate_file: PathBuf,
    /// The PEM text of its key.
    pub key: SecretRef,
}

/// A login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sasl {
    /// How the password is shown.
    pub mechanism: Mechanism,
    /// Who logs in.
    pub user: User,
    /// With which password.
    pub password: SecretRef,
}

/// How a password is shown to the cluster.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mechanism {
    /// As it is (RFC 4616).
    Plain,
    /// As a proof that it is known (RFC 5802 with SHA-256).
    ScramSha256,
    /// The same with SHA-512.
    ScramSha512,
}

/// The name of a login.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum User {
    /// As written.
    Plain(String),
    /// Where it lies.
    Secret(SecretRef),
}

/// The Kafka endpoint of an Event Hubs namespace, `NAMESPACE.servicebus.windows.net`.
///
/// <https://learn.microsoft.com/en-us/azure/event-hubs/azure-event-hubs-apache-kafka-overview>
#[must_use]
pub fn event_hubs(namespace: &str, connection_string: SecretRef) -> Access {
    Access {
        brokers: vec![format!("{namespace}:9093")],
        tls: Some(Tls::default()),
        sasl: Some(Sasl {
            mechanism: Mechanism::Plain,
            user: User::Plain("$ConnectionString".to_owned()),
            password: connection_string,
        }),
    }
}

impl Access {
    /// Every secret that is needed to connect.
    #[must_use]
    pub fn secrets(&self) -> Vec<&SecretRef> {
        let key = self.tls.as_ref().and_then(|tls| tls.client.as_ref()).map(|client| &client.key);
        let user = self.sasl.as_ref().and_then(|sasl| match &sasl.user {
            User::Secret(reference) => Some(reference),
            User::Plain(_) => None,
        });
        key.into_iter().chain(user).chain(self.sasl.as_ref().map(|sasl| &sasl.password)).collect()
    }

    /// The properties of a client; `value` has what each of [`Self::secrets`] refers to.
    #[must_use]
    pub fn config<'v>(&self, value: impl Fn(&SecretRef) -> Option<&'v str>) -> ClientConfig {
        let protocol = match (&self.tls, &self.sasl) {
            (None, None) => "plaintext",
            (Some(_), None) => "ssl",
            (None, Some(_)) => "sasl_plaintext",
            (Some(_), Some(_)) => "sasl_ssl",
        };
        let mut config = ClientConfig::new();
        config
            .set("bootstrap.servers", self.brokers.join(","))
            .set("client.id", "keywatch")
            .set("security.protocol", protocol)
            .set("allow.auto.create.topics", "false")
            .set("socket.keepalive.enable", "true")
            // Azure ends connections that are idle for four minutes without a word.
            .set("connections.max.idle.ms", "180000")
            .set("metadata.max.age.ms", "180000")
            .set_log_level(RDKafkaLogLevel::Warning);
        if let Some(tls) = &self.tls {
            tls.tell(&mut config, &value);
        }
        if let Some(sasl) = &self.sasl {
            sasl.tell(&mut config, &value);
        }
        config
    }
}

impl Tls {
    fn tell<'v>(&self, config: &mut ClientConfig, value: &impl Fn(&SecretRef) -> Option<&'v str>) {
        config.set("ssl.endpoint.identification.algorithm", "https");
        if let Some(file) = &self.ca_file {
            config.set("ssl.ca.location", file.to_string_lossy());
        }
        if let Some(client) = &self.client {
            config
                .set("ssl.certificate.location", client.certificate_file.to_string_lossy())
                .set("ssl.key.pem", value(&client.key).unwrap_or_default());
        }
    }
}

impl Sasl {
    fn tell<'v>(&self, config: &mut ClientConfig, value: &impl Fn(&SecretRef) -> Option<&'v str>) {
        let mechanism = match self.mechanism {
            Mechanism::Plain => "PLAIN",
            Mechanism::ScramSha256 => "SCRAM-SHA-256",
            Mechanism::ScramSha512 => "SCRAM-SHA-512",
        };
        let user = match &self.user {
            User::Plain(user) => user.as_str(),
            User::Secret(reference) => value(reference).unwrap_or_default().trim(),
        };
        config
            .set("sasl.mechanism", mechanism)
            .set("sasl.username", user)
            .set("sasl.password", value(&self.password).unwrap_or_default().trim());
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn reference(text: &str) -> SecretRef {
        text.parse().unwrap()
    }

    #[test]
    fn what_is_written_decides_the_protocol_and_the_login() {
        let mut access = Access { brokers: vec!["a:9092".into(), "b:9092".into()], tls: None, sasl: None };
        assert_eq!(access.config(|_| None).get("security.protocol"), Some("plaintext"));
        access.tls = Some(Tls::default());
        assert_eq!(access.config(|_| None).get("security.protocol"), Some("ssl"));
        access.sasl = Some(Sasl {
            mechanism: Mechanism::ScramSha512,
            user: User::Secret(reference("env:USER")),
            password: reference("env:PASSWORD"),
        });
        let value = |asked: &SecretRef| Some(if asked.path == "USER" { "u\n" } else { "p" });
        let config = access.config(value);
        for (key, wanted) in [
            ("bootstrap.servers", "a:9092,b:9092"),
            ("security.protocol", "sasl_ssl"),
            ("sasl.mechanism", "SCRAM-SHA-512"),
            ("sasl.username", "u"),
            ("sasl.password", "p"),
        ] {
            assert_eq!(config.get(key), Some(wanted), "{key}");
        }
        assert_eq!(access.secrets().len(), 2);
    }

    #[test]
    fn event_hubs_are_a_cluster_with_one_password() {
        let access = event_hubs("contoso.servicebus.windows.net", reference("env:HUBS"));
        let config = access.config(|_| Some("Endpoint=sb://contoso.servicebus.windows.net/;…"));
        assert_eq!(config.get("bootstrap.servers"), Some("contoso.servicebus.windows.net:9093"));
        assert_eq!(config.get("sasl.username"), Some("$ConnectionString"));
        assert!(config.create_native_config().is_ok(), "librdkafka knows every property");
    }

    #[test]
    fn a_certificate_of_ones_own_is_shown_from_memory() {
        let client = ClientCertificate { certificate_file: "/c.pem".into(), key: reference("env:KEY") };
        let tls = Tls { ca_file: Some("/ca.pem".into()), client: Some(client) };
        let access = Access { brokers: vec!["a:9093".into()], tls: Some(tls), sasl: None };
        let config = access.config(|_| Some("-----BEGIN"));
        assert_eq!(config.get("ssl.ca.location"), Some("/ca.pem"));
        assert_eq!(config.get("ssl.key.pem"), Some("-----BEGIN"));
    }
}
