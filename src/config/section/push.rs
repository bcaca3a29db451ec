//! What is pushed to Keywatch: audit devices and syslog.

use crate::config::frame::{At, Bytes, Origin, Problems, default, kib, mib, need, section};
use ipnet::IpNet;
use keywatch_push as push;
use keywatch_secrets::SecretRef;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use url::Url;

section! {
    /// Where what was pushed waits on disk until the database has it.
    pub(crate) struct Spool {
        /// A folder of this source's own. Without it: `spool/NAME` beside the database.
        folder: Option<PathBuf>,
        /// Most bytes that may wait. When they do, senders over HTTP are told to come again; what
        /// audit devices send is dropped, counted and told.
        size: Bytes [mib(1)..=mib(1 << 20)] = default("1GiB"),
    }
}

section! {
    /// How a listener shows who it is. Files are read again while the service runs.
    pub(crate) struct ListenerTls {
        /// The certificate and those between it and the root, in PEM.
        certificate: PathBuf = need("name the file with the certificate"),
        /// The certificate's private key, in PEM.
        key: PathBuf = need("name the file with the private key"),
        /// Who signs the certificates that senders must show. Without it they need none.
        client_ca: Option<PathBuf>,
    }
}

section! {
    /// Addresses that audit devices of Vault and OpenBao, or syslog, send to. See
    /// docs/sources/vault.md.
    pub(crate) struct VaultDevice {
        /// For streams: the socket device with `socket_type=tcp`, or syslog over TCP.
        tcp: Option<SocketAddr>,
        /// A unix socket: the socket device with `socket_type=unix`.
        unix: Option<PathBuf>,
        /// For datagrams: syslog over UDP.
        udp: Option<SocketAddr>,
        /// TLS for `tcp`.
        tls: Option<ListenerTls>,
        /// From where senders are heard. Without it: from anywhere.
        networks: Vec<IpNet>,
        /// What every message must begin with: set the device's `prefix` to it.
        token: Option<At<SecretRef>>,
        /// Where what was sent waits for the database.
        spool: Spool,
    }
    check: check_device;
}

section! {
    /// Requests: NDJSON and arrays, OpenBao's http device, Pub/Sub, SNS, EventBridge, Event Grid.
    /// See docs/sources/http.md.
    pub(crate) struct HttpIngest {
        /// The address to listen at.
        listen: SocketAddr = need("write address and port, such as 127.0.0.1:8421"),
        /// TLS, unless a proxy does that.
        tls: Option<ListenerTls>,
        /// From where connections are taken. Without it: from anywhere.
        networks: Vec<IpNet>,
        /// What senders show as `Authorization: Bearer …` or `X-Api-Key: …`; any of these, so that
        /// one can take the other's place.
        tokens: Vec<At<SecretRef>>,
        /// Pub/Sub's push subscriptions, by the token that Google signs.
        pub_sub: Option<PubSubPush>,
        /// SNS's HTTPS subscriptions, by their signature.
        sns: Option<SnsPush>,
        /// Largest body, as it comes.
        body_size: Bytes [kib(64)..=mib(128)] = default("10MiB"),
        /// Requests that are worked on at once; more are told to come again.
        requests: u64 [1..=512] = default("64"),
        /// Where what was sent waits for the database.
        spool: Spool,
    }
    check: check_http;
}

section! {
    /// Who Pub/Sub's tokens must be for, and from.
    pub(crate) struct PubSubPush {
        /// The subscription's audience (`--push-auth-token-audience`).
        audience: String = need("write the subscription's --push-auth-token-audience"),
        /// The subscription's service account (`--push-auth-service-account`).
        email: String = need("write the subscription's --push-auth-service-account"),
        /// Another place of the public keys; on loopback only.
        keys: Option<At<Url>>,
    }
    check: check_pub_sub;
}

section! {
    /// Which of SNS's topics are believed.
    pub(crate) struct SnsPush {
        /// Their ARNs. Anybody can have a topic that SNS signs for.
        topics: Vec<String> = need("list the topics' ARNs"),
        /// What stands in for SNS: its certificates and confirmations; on loopback only.
        endpoint: Option<At<Url>>,
    }
    check: check_sns;
}

fn check_http(http: &HttpIngest, at: &Origin, problems: &Problems) {
    if http.tokens.is_empty() && http.pub_sub.is_none() && http.sns.is_none() {
        let remedy = "write `tokens`, `pub_sub` or `sns`; nobody else is heard";
        problems.add(at, "nobody may send", remedy);
    }
}

fn check_pub_sub(push: &PubSubPush, _at: &Origin, problems: &Problems) {
    push.keys.iter().for_each(|url| check_loopback(url, problems));
}

fn check_sns(push: &SnsPush, at: &Origin, problems: &Problems) {
    if push.topics.is_empty() {
        problems.add(at, "`topics` is empty", "list the topics' ARNs");
    }
    push.endpoint.iter().for_each(|url| check_loopback(url, problems));
}

/// What signatures are checked with decides who is believed.
fn check_loopback(url: &At<Url>, problems: &Problems) {
    let is_loopback = match url.value.host() {
        Some(url::Host::Ipv4(address)) => address.is_loopback(),
        Some(url::Host::Ipv6(address)) => address.is_loopback(),
        Some(url::Host::Domain(name)) => name == "localhost",
        None => false,
    };
    if !is_loopback {
        problems.add(
            &url.origin,
            "this address is not on loopback",
            "leave it out: the cloud's own is known",
        );
    }
}

fn check_device(device: &VaultDevice, at: &Origin, problems: &Problems) {
    if device.tcp.is_none() && device.unix.is_none() && device.udp.is_none() {
        problems.add(at, "there is no address to listen at", "write `tcp`, `unix` or `udp`");
    }
    if device.tls.is_some() && device.tcp.is_none() {
        problems.add(at, "`tls` stands without `tcp`", "write `tcp`, or leave `tls` out");
    }
    let is_open = |address: &SocketAddr| !address.ip().is_loopback();
    let is_guarded = !device.networks.is_empty()
        || device.token.is_some()
        || device.tls.as_ref().is_some_and(|tls| tls.client_ca.is_some());
    if device.tcp.iter().chain(&device.udp).any(is_open) && !is_guarded {
        let message = "anybody who reaches this address could write into the history";
        problems.add(
            at,
            message,
            "write `networks`, `token` or `tls` with `client_ca`, or listen at 127.0.0.1",
        );
    }
}

impl Spool {
    pub(crate) fn meaning(&self, name: &str, database: &Path) -> push::Storage {
        let beside = || {
            let folder = database.parent().unwrap_or(Path::new(""));
            // A name may hold whatever a folder's may not.
            let name: String =
                name.chars().map(|one| if matches!(one, '/' | '\0') { '_' } else { one }).collect();
            folder.join("spool").join(name)
        };
        push::Storage { folder: self.folder.clone().unwrap_or_else(beside), bytes_max: self.size.0 }
    }
}

impl ListenerTls {
    pub(crate) fn meaning(&self) -> push::Tls {
        push::Tls {
            certificate: self.certificate.clone(),
            key: self.key.clone(),
            client_ca: self.client_ca.clone(),
        }
    }
}

impl VaultDevice {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> push::Device {
        push::Device {
            tcp: self.tcp,
            unix: self.unix.clone(),
            udp: self.udp,
            tls: self.tls.as_ref().map(ListenerTls::meaning),
            networks: self.networks.clone(),
            token: self.token.as_ref().map(|token| token.value.clone()),
        }
    }
}

impl HttpIngest {
    /// What was written, as the source takes it.
    pub(crate) fn meaning(&self) -> push::Http {
        let keys = |given: Option<&At<Url>>| match given {
            Some(url) => Some(url.value.clone()),
            None => Url::parse(push::PubSub::KEYS).ok(),
        };
        push::Http {
            listen: self.listen,
            tls: self.tls.as_ref().map(ListenerTls::meaning),
            networks: self.networks.clone(),
            tokens: self.tokens.iter().map(|token| token.value.clone()).collect(),
            pub_sub: self.pub_sub.as_ref().and_then(|wanted| {
                Some(push::PubSub {
                    audience: wanted.audience.clone(),
                    email: wanted.email.clone(),
                    keys: keys(wanted.keys.as_ref())?,
                })
            }),
            sns: self.sns.as_ref().map(|wanted| push::Sns {
                topics: wanted.topics.clone(),
                endpoint: wanted.endpoint.as_ref().map(|url| url.value.clone()),
            }),
            body_bytes_max: self.body_size.0,
            requests_max: usize::try_from(self.requests).unwrap_or(usize::MAX),
        }
    }
}

#[cfg(test)]
mod tests {
    use crate::config::testing::check_source as check;

    #[test]
    fn pushed_sources_are_read_and_their_mistakes_named() {
        check("vault: {tcp: \"127.0.0.1:9090\", spool: {size: 64MiB}}", &[]);
        check("vault: {tcp: \"0.0.0.0:9090\", networks: [10.0.0.0/8]}", &[]);
        check("vault: {}", &["there is no address to listen at; write `tcp`, `unix` or `udp`"]);
        check(
            "vault: {udp: \"0.0.0.0:514\"}",
            &[
                "anybody who reaches this address could write into the history; write `networks`, `token` or `tls` with `client_ca`, or listen at 127.0.0.1",
            ],
        );
        check("http: {listen: \"127.0.0.1:8421\", tokens: [\"env:INGEST\"]}", &[]);
        check(
            "http: {listen: \"127.0.0.1:8421\"}",
            &["nobody may send; write `tokens`, `pub_sub` or `sns`; nobody else is heard"],
        );
        check(
            "http: {listen: \"127.0.0.1:8421\", sns: {topics: [t], endpoint: \"https://sns.example.com\"}}",
            &["this address is not on loopback; leave it out: the cloud's own is known"],
        );
        check(
            "vault: {unix: /run/k.sock, tls: {certificate: a, key: b}}",
            &["`tls` stands without `tcp`; write `tcp`, or leave `tls` out"],
        );
    }
}
