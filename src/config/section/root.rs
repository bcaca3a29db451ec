//! The whole configuration, and what has to fit together in it.

use super::{
    AddressFiles, CloudWatch, Doctor, Egress, Escalation, Grouping, Heartbeat, ListSource, Log, Metrics,
    PlannedAccess, RateCap, Receiver, Reminders, Route, SecretManager, Silence, Source,
};
use crate::config::frame::{At, Origin, Problems, default, section};
use ipnet::IpNet;
use keywatch_rules::problem::nearest;
use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::path::PathBuf;

section! {
    /// What Keywatch does. Every key may be left out.
    pub(crate) struct Root {
        /// The history, alerts and outbox: one SQLite file, readable by its owner only.
        ///
        /// ```yaml
        /// database: /var/lib/keywatch/keywatch.db
        /// ```
        database: PathBuf = default("keywatch.db"),
        /// Where the dashboard listens. It has no passwords: a one-time login link is printed at
        /// start, so keep it on loopback, or behind a proxy that authenticates people.
        ///
        /// ```yaml
        /// listen: 127.0.0.1:8420
        /// ```
        listen: SocketAddr = default("127.0.0.1:8420"),
        /// Host names the dashboard answers to behind a proxy, besides loopback.
        ///
        /// ```yaml
        /// hosts: [keywatch.example.com]
        /// ```
        hosts: Vec<String>,
        /// Whether people reach the dashboard over HTTPS, through a proxy.
        ///
        /// ```yaml
        /// https: true
        /// ```
        https: bool = default("false"),
        /// Where audit records come from. Files and folders are recognised by content: CloudTrail,
        /// Google Cloud audit logs, Azure Key Vault and Activity logs, Vault and OpenBao audit
        /// devices, gzip or not.
        ///
        /// ```yaml
        /// sources:
        ///   - name: vault
        ///     files: [/var/log/vault/audit.log]
        ///   - name: cloudtrail
        ///     files: [/srv/cloudtrail/AWSLogs]
        ///   - name: aws
        ///     aws_queue: {url: "https://sqs.eu-central-1.amazonaws.com/111122223333/keywatch"}
        ///   - name: sandbox
        ///     aws_lookup: {regions: [eu-central-1, us-east-1]}
        ///   - name: google
        ///     gcp_pubsub: {subscription: projects/my-project/subscriptions/keywatch}
        ///   - name: devices
        ///     vault: {tcp: "127.0.0.1:9090"}
        ///   - name: requests
        ///     http: {listen: "127.0.0.1:8421", tokens: [{source: env, path: INGEST_TOKEN}]}
        /// ```
        sources: Vec<Source>,
        /// Who is told about alerts.
        ///
        /// ```yaml
        /// receivers:
        ///   - name: soc
        ///     level: warning
        ///     webhook:
        ///       url: https://hooks.example.com/keywatch
        ///       secret: {source: file, path: /etc/keywatch/soc-webhook.secret}
        /// ```
        receivers: Vec<At<Receiver>>,
        /// Where machines ask for figures and signs of life. `/metrics` (Prometheus), `/healthz` and
        /// `/readyz` are answered at the dashboard's address without signing in; with an address
        /// here they are answered there as well.
        ///
        /// ```yaml
        /// metrics:
        ///   listen: 127.0.0.1:9464
        /// ```
        metrics: Metrics,
        /// The counts that go to Amazon CloudWatch, and the alarm over them.
        ///
        /// ```yaml
        /// cloudwatch:
        ///   region: eu-west-1
        ///   alarm: {topic: "arn:aws:sns:eu-west-1:111122223333:security"}
        /// ```
        cloudwatch: Option<CloudWatch>,
        /// Whom `keywatch doctor` asks about a source that names nobody itself. `keywatch serve` reads
        /// none of it.
        ///
        /// ```yaml
        /// doctor:
        ///   vaults:
        ///     - source: devices
        ///       vault: {address: "https://vault.example.com:8200", token: {source: env, path: DOCTOR_TOKEN}}
        /// sources:
        ///   - name: devices
        ///     vault: {tcp: "127.0.0.1:9090"}
        /// ```
        doctor: Doctor,
        /// What is logged to standard error. `KEYWATCH_LOG`, `--log` and `--log-format` beat it.
        ///
        /// ```yaml
        /// log: {format: json, level: info}
        /// ```
        log: Log,
        /// Which receivers are told of which alerts, in order; the first that fits decides.
        /// Without any, every receiver is told by its `level`. `docs/alerting.md` has the whole
        /// of it.
        ///
        /// ```yaml
        /// routes:
        ///   - name: deletions
        ///     match: [rule=KW-004]
        ///     receivers: [pager, chat]
        ///   - name: nights
        ///     hours: ["daily 18:00-08:00 Europe/Berlin"]
        ///     level: critical
        ///     receivers: [pager]
        /// default_receivers: [chat]
        /// receivers:
        ///   - name: pager
        ///     webhook: {url: "https://p.example.com/k", secret: {source: env, path: PAGER}}
        ///   - name: chat
        ///     webhook: {url: "https://c.example.com/k", secret: {source: env, path: CHAT}}
        /// ```
        routes: Vec<Route>,
        /// Who is told when no route fits. Without any: everybody.
        ///
        /// ```yaml
        /// default_receivers: [chat]
        /// receivers:
        ///   - name: chat
        ///     webhook: {url: "https://c.example.com/k", secret: {source: env, path: CHAT}}
        /// ```
        default_receivers: Vec<At<String>>,
        /// How alerts are gathered into one message, where a route does not say. Without it every
        /// alert is a message.
        ///
        /// ```yaml
        /// grouping: {by: [rule, account], wait: 30s, interval: 5m}
        /// ```
        grouping: Option<Grouping>,
        /// Silences and maintenance windows. People make others on the dashboard.
        ///
        /// ```yaml
        /// silences:
        ///   - name: nightly backup
        ///     match: [rule=KW-002, "principal=*:role/backup"]
        ///     weekly: ["daily 02:00-04:00 Europe/Berlin"]
        ///     author: ada
        ///     reason: the backup reads every secret each night
        /// ```
        silences: Vec<Silence>,
        /// How long after the last message it is said again that an alert is still open, by level.
        ///
        /// ```yaml
        /// reminders: {critical: 1h, high: 4h}
        /// ```
        reminders: Reminders,
        /// Who else is told when nobody acknowledges an alert in time.
        ///
        /// ```yaml
        /// escalations:
        ///   - {level: critical, after: 15m, receivers: [lead]}
        /// receivers:
        ///   - name: lead
        ///     webhook: {url: "https://l.example.com/k", secret: {source: env, path: LEAD}}
        /// ```
        escalations: Vec<Escalation>,
        /// How many messages about one rule a receiver is sent in an hour before the rest becomes
        /// one summary. Critical alerts are never capped.
        ///
        /// ```yaml
        /// rate_cap: {per_hour: 60, below: critical}
        /// ```
        rate_cap: Option<RateCap>,
        /// A sign of life to one receiver, so that somebody notices when Keywatch itself is gone.
        ///
        /// ```yaml
        /// heartbeat: {receiver: watchdog, every: 5m}
        /// receivers:
        ///   - name: watchdog
        ///     webhook: {url: "https://w.example.com/k", secret: {source: env, path: WATCHDOG}}
        /// ```
        heartbeat: Option<Heartbeat>,
        /// Where Keywatch may send. Without it: to the internet, over HTTPS only.
        ///
        /// ```yaml
        /// egress:
        ///   allow: [10.0.0.0/8]
        ///   allow_http: false
        /// ```
        egress: Egress,
        /// How secrets are fetched that a reference names: for how long they are kept, and how each
        /// backend is reached. What a backend itself has to be shown lies in a variable or a file.
        ///
        /// ```yaml
        /// secret_manager:
        ///   ttl: 5m
        ///   aws: {region: eu-west-1}
        ///   vault:
        ///     address: https://vault.example.com:8200
        ///     app_role:
        ///       role_id: 4f1c5a52-7a3c-8b0e-3f0a-2d9a4b8e6c11
        ///       secret_id: {source: file, path: /etc/keywatch/vault-secret-id}
        /// ```
        secret_manager: SecretManager,
        /// Your own Sigma rules beside the shipped ones: files, or folders such as a checkout of
        /// SigmaHQ.
        ///
        /// ```yaml
        /// rules: [/etc/keywatch/rules]
        /// ```
        rules: Vec<PathBuf>,
        /// Networks that are never unusual: offices, VPN exits, NAT gateways.
        ///
        /// ```yaml
        /// known_networks: [198.51.100.0/24]
        /// ```
        known_networks: Vec<IpNet>,
        /// Lists that rules refer to, inline or one value per line in a file (`#` begins a
        /// comment). Values may hold the wildcards `*` and `?`. Shipped rules ask for `canaries`,
        /// `break_glass`, `automation`, `rotators`, `own_accounts`, `own_domains`, `audit_buckets`,
        /// `aws_ranges`, `machine_networks` and `threat_networks`; `rules/README.md` says what each accepts. An entry
        /// that fits nobody is noticed.
        ///
        /// ```yaml
        /// lists:
        ///   canaries: ["prod/canary-*"]
        ///   own_accounts: ["111122223333"]
        ///   aws_ranges: {file: /etc/keywatch/ip-ranges.json}
        /// ```
        lists: BTreeMap<String, At<ListSource>>,
        /// Access that is announced. Every entry ends, and says why.
        ///
        /// ```yaml
        /// planned_access:
        ///   - principal: "arn:aws:iam::111122223333:role/restore-drill"
        ///     secret: "prod/*"
        ///     from: 2026-12-01
        ///     to: 2026-12-02
        ///     reason: yearly restore drill
        /// ```
        planned_access: Vec<PlannedAccess>,
        /// Databases of MaxMind or IPinfo, for the fields `source.asn` and `source.country`.
        ///
        /// ```yaml
        /// address_data:
        ///   asn: /var/lib/keywatch/GeoLite2-ASN.mmdb
        ///   country: /var/lib/keywatch/GeoLite2-Country.mmdb
        /// ```
        address_data: AddressFiles,
    }
    check: check;
}

/// What concerns several sections.
fn check(root: &Root, _at: &Origin, problems: &Problems) {
    check_names("sources", root.sources.iter().map(|source| &source.name), problems);
    check_names("receivers", root.receivers.iter().map(|receiver| &receiver.value.name), problems);
    check_names("routes", root.routes.iter().map(|route| &route.name), problems);
    check_names("silences", root.silences.iter().map(|silence| &silence.name), problems);
    check_told(root, problems);
    check_asked(root, problems);
}

/// Everybody who is to be told exists.
fn check_told(root: &Root, problems: &Problems) {
    let known: Vec<&str> = root.receivers.iter().map(|one| one.value.name.value.as_str()).collect();
    let routed = root.routes.iter().flat_map(|route| &route.receivers);
    let escalated = root.escalations.iter().flat_map(|escalation| &escalation.receivers);
    let beat = root.heartbeat.iter().map(|heartbeat| &heartbeat.receiver);
    for name in routed.chain(&root.default_receivers).chain(escalated).chain(beat) {
        if known.contains(&name.value.as_str()) {
            continue;
        }
        let near = nearest(&name.value, known.iter().copied());
        let remedy = near
            .map_or_else(|| "name one of `receivers`".to_owned(), |near| format!("did you mean `{near}`?"));
        problems.add(&name.origin, format!("no receiver is called `{}`", name.value), remedy);
    }
}

/// Every source somebody is asked about exists.
fn check_asked(root: &Root, problems: &Problems) {
    let known: Vec<&str> = root.sources.iter().map(|source| source.name.value.as_str()).collect();
    for name in root.doctor.sources().filter(|name| !known.contains(&name.value.as_str())) {
        let near = nearest(&name.value, known.iter().copied());
        let remedy =
            near.map_or_else(|| "name one of `sources`".to_owned(), |near| format!("did you mean `{near}`?"));
        problems.add(&name.origin, format!("no source is called `{}`", name.value), remedy);
    }
}

fn check_names<'r>(key: &str, names: impl Iterator<Item = &'r At<String>>, problems: &Problems) {
    let mut known: Vec<&str> = Vec::new();
    for name in names {
        if known.contains(&name.value.as_str()) {
            let message = format!("the name `{}` stands twice under `{key}`", name.value);
            problems.add(&name.origin, message, "give each its own name");
        }
        known.push(&name.value);
    }
}
