//! The normalised audit event: one access by one principal, whatever the provider.
//!
//! Fields borrow from the raw record where they can. A field the record does not tell, or tells
//! in a shape nobody can read, is absent; the event stays.

use crate::class::vocabulary;
use crate::json::Told;
use crate::{Class, EventTime, Outcome, Provider, UnknownName};
use serde::Serialize;
use std::borrow::Cow;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

/// How far ahead of its receipt an event time may lie before it is not believed: five minutes,
/// the tolerance Kerberos and most request-signing schemes use for clock skew.
pub const FUTURE_MAX_SECS: i64 = 300;

/// One audit event in Keywatch's terms; its JSON form is the public contract of `normalize`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct AuditEvent<'a> {
    /// Idempotency key: the same for one event whatever carrier, trail or delivery brought it.
    pub id: Cow<'a, str>,
    /// When it happened, UTC, in the precision the provider gave.
    pub time: EventTime,
    /// The record's own time as written, when it cannot be placed or lies more than
    /// [`FUTURE_MAX_SECS`] after `received_at`; `time` is then `received_at`, so that a wrong
    /// clock never moves time forward.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub time_raw: Option<Cow<'a, str>>,
    /// When Keywatch took it in, UTC.
    pub received_at: EventTime,
    /// Whose record it is.
    pub provider: Provider,
    /// The provider's service: `secretsmanager.amazonaws.com`, `secretmanager.googleapis.com`,
    /// `Microsoft.KeyVault`, `kv` …
    #[serde(skip_serializing_if = "str::is_empty")]
    pub service: Cow<'a, str>,
    /// Where the secret lives: `sm` `ssm` `kms` `gsm` `gkms` `kv:<vault>` `vault:<mount>`.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub store: Option<Cow<'a, str>>,
    /// AWS account, Google project, Azure subscription, Vault namespace.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub account: Option<Cow<'a, str>>,
    /// Region or location.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub region: Option<Cow<'a, str>>,
    /// The provider's own name of the call.
    pub operation: Cow<'a, str>,
    /// What the call does.
    pub class: Class,
    /// How it ended.
    pub outcome: Outcome,
    /// The provider's error, when there was one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub error: Option<ErrorInfo<'a>>,
    /// Who did it.
    pub principal: Principal<'a>,
    /// From where.
    #[serde(skip_serializing_if = "Source::is_absent")]
    pub source: Source<'a>,
    /// The client's own description of itself, as sent.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub user_agent: Option<Cow<'a, str>>,
    /// The secrets, parameters or keys the record names.
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef<'a>>,
    /// Set when this record repeats another access: evidence, not a second one. Says what it
    /// repeats, for example `secretsmanager.amazonaws.com` for the KMS Decrypt behind a read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub echo_of: Option<Cow<'a, str>>,
    /// Kinds of the secret values that were taken out of the record, each once: `github-token` …
    #[serde(skip_serializing_if = "Vec::is_empty")]
    pub scrubbed: Vec<&'static str>,
    /// What the record says at paths that somebody asked for beside; no part of what the event says.
    #[serde(skip)]
    pub told: Option<Told<'a>>,
}

/// The provider's error code and message, as given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct ErrorInfo<'a> {
    /// `AccessDeniedException`, `7`, `403`, …
    #[serde(skip_serializing_if = "Option::is_none")]
    pub code: Option<Cow<'a, str>>,
    /// The text beside it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub message: Option<Cow<'a, str>>,
}

vocabulary! {
    /// What kind of identity acts.
    PrincipalKind {
        /// A person or long-lived user identity.
        User = "user",
        /// A role that was assumed.
        Role = "role",
        /// A cloud service acting for itself.
        Service = "service",
        /// A workload identity: service account, service principal, managed identity, AppRole.
        ServiceAccount = "service_account",
        /// The account's root user, or Vault's root token.
        Root = "root",
        /// A federated or web identity.
        Federated = "federated",
        /// An identity of another account, known by its account only.
        Account = "account",
        /// Nobody proved who they are.
        Anonymous = "anonymous",
        /// The record does not say.
        Unknown = "unknown",
    }
}

/// Who acted: the stable workload identity, and what the record adds to it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Principal<'a> {
    /// Stable identity: the role (never its session), the user, the service account, the entity.
    pub id: Cow<'a, str>,
    /// What it is.
    pub kind: PrincipalKind,
    /// Short readable name.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<Cow<'a, str>>,
    /// Session name, delegated person or token accessor: who stands behind a shared identity.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<Cow<'a, str>>,
    /// Access key id or credential id (never a secret).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub access_key: Option<Cow<'a, str>>,
    /// The service acting for it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub via: Option<Cow<'a, str>>,
}

vocabulary! {
    /// What a source address is worth to a rule.
    SourceKind {
        /// A routable address.
        Addr = "addr",
        /// A private, loopback or provider-internal address.
        Internal = "internal",
        /// The name of a cloud service.
        Service = "service",
        /// Redacted, malformed or absent.
        Opaque = "opaque",
    }
}

/// Where the call came from.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Source<'a> {
    /// The address, only when it parses.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub ip: Option<IpAddr>,
    /// What it is.
    pub kind: SourceKind,
    /// What the record says, as it says it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub raw: Option<Cow<'a, str>>,
}

/// One secret, key or parameter.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SecretRef<'a> {
    /// Canonical id: one secret has one id, whether named by name, ARN or partial ARN.
    pub id: Cow<'a, str>,
    /// Readable name.
    pub name: Cow<'a, str>,
    /// Version or stage, when the record names one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<Cow<'a, str>>,
}

impl<'a> Source<'a> {
    /// Reads what a record says of its source.
    ///
    /// An address becomes [`SourceKind::Addr`], or [`SourceKind::Internal`] when it is private,
    /// loopback, link-local or carrier-grade NAT (RFC 1918, 4193, 6598). Anything else is
    /// [`SourceKind::Opaque`]; providers decide which names are services.
    #[must_use]
    pub fn from_text(raw: Cow<'a, str>) -> Self {
        // One address has one form: `::ffff:203.0.113.9` is 203.0.113.9.
        let ip = raw.parse::<IpAddr>().ok().map(|ip| ip.to_canonical());
        let kind = match ip {
            Some(ip) if is_internal(ip) => SourceKind::Internal,
            Some(_) => SourceKind::Addr,
            None => SourceKind::Opaque,
        };
        Self { ip, kind, raw: Some(raw) }
    }

    /// A source the record does not name.
    #[must_use]
    pub const fn absent() -> Self {
        Self { ip: None, kind: SourceKind::Opaque, raw: None }
    }

    /// Whether the record named no source at all.
    #[must_use]
    pub const fn is_absent(&self) -> bool {
        self.raw.is_none()
    }
}

fn is_internal(ip: IpAddr) -> bool {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            let [a, b, ..] = v4.octets();
            let shared = a == 100 && (64..128).contains(&b);
            v4.is_private() || v4.is_loopback() || v4.is_link_local() || v4.is_unspecified() || shared
        }
        IpAddr::V6(v6) => {
            let head = v6.segments().first().copied().unwrap_or(0);
            v6.is_loopback() || v6.is_unspecified() || head & 0xfe00 == 0xfc00 || head & 0xffc0 == 0xfe80
        }
    }
}

/// The network an address is generalised to: its /24 (IPv4) or /48 (IPv6), as `a.b.c.0/24`.
#[must_use]
pub fn network_of(ip: IpAddr) -> String {
    match ip.to_canonical() {
        IpAddr::V4(v4) => {
            // Made for nearly every event, and formatting costs many times what writing digits does.
            let [a, b, c, _] = v4.octets();
            let mut text = String::with_capacity("255.255.255.0/24".len());
            for part in [a, b, c] {
                push_decimal(&mut text, part);
                text.push('.');
            }
            text.push_str("0/24");
            text
        }
        IpAddr::V6(v6) => {
            let [a, b, c, ..] = v6.segments();
            format!("{a:x}:{b:x}:{c:x}::/48")
        }
    }
}

fn push_decimal(text: &mut String, number: u8) {
    let digit = |number: u8| char::from(b'0' + number % 10);
    if number >= 100 {
        text.push(digit(number / 100));
    }
    if number >= 10 {
        text.push(digit(number / 10));
    }
    text.push(digit(number));
}

/// The family of a user agent: its first product name, lower case, without version.
///
/// `aws-cli/2.15.30 Python/3.11.8` is `aws-cli`; `[S3Console/0.4]` is `s3console`.
#[must_use]
pub fn agent_family(agent: &str) -> String {
    let trimmed = agent.trim_start_matches(['[', '"', ' ']);
    let end = trimmed.find(['/', ' ', '(', ';', ',', ']']).unwrap_or(trimmed.len());
    let head = trimmed.get(..end).unwrap_or_default();
    match head.char_indices().nth(FAMILY_CHARS_MAX) {
        Some((cut, _)) => head.get(..cut).unwrap_or_default().to_lowercase(),
        None => head.to_lowercase(),
    }
}

/// Longest family: longer names are cut, so that nobody fills memory with them.
const FAMILY_CHARS_MAX: usize = 40;

impl<'a> AuditEvent<'a> {
    /// Decides the event time from what the record says: the time to use, and the record's own
    /// words when they are not believed.
    #[must_use]
    pub fn believable_time(
        said: Option<Cow<'a, str>>,
        received_at: EventTime,
    ) -> (EventTime, Option<Cow<'a, str>>) {
        let latest = received_at.plus_secs(FUTURE_MAX_SECS);
        match said.as_deref().map(EventTime::parse) {
            Some(Ok(time)) if time <= latest => (time, None),
            Some(_) => (received_at, said),
            None => (received_at, Some(Cow::Borrowed(""))),
        }
    }
}

impl AuditEvent<'_> {
    /// Who and from where as one key: network and user-agent family of the caller.
    ///
    /// Two incidents of one identity from different places stay two incidents because of it.
    #[must_use]
    pub fn actor_fingerprint(&self) -> String {
        let place = match (self.source.ip, &self.source.raw) {
            (Some(ip), _) => network_of(ip),
            (None, Some(raw)) => raw.clone().into_owned(),
            (None, None) => String::new(),
        };
        let family = self.user_agent.as_deref().map(agent_family).unwrap_or_default();
        format!("{place} {family}")
    }

    /// The same event with every field owned, free of the record it was read from.
    #[must_use]
    pub fn into_owned(self) -> AuditEvent<'static> {
        AuditEvent {
            id: own(self.id),
            time: self.time,
            time_raw: self.time_raw.map(own),
            received_at: self.received_at,
            provider: self.provider,
            service: own(self.service),
            store: self.store.map(own),
            account: self.account.map(own),
            region: self.region.map(own),
            operation: own(self.operation),
            class: self.class,
            outcome: self.outcome,
            error: self.error.map(|e| ErrorInfo { code: e.code.map(own), message: e.message.map(own) }),
            principal: self.principal.into_owned(),
            source: Source { ip: self.source.ip, kind: self.source.kind, raw: self.source.raw.map(own) },
            user_agent: self.user_agent.map(own),
            secrets: self.secrets.into_iter().map(SecretRef::into_owned).collect(),
            echo_of: self.echo_of.map(own),
            scrubbed: self.scrubbed,
            told: None,
        }
    }
}

impl Principal<'_> {
    /// The same principal with every field owned.
    #[must_use]
    pub fn into_owned(self) -> Principal<'static> {
        Principal {
            id: own(self.id),
            kind: self.kind,
            name: self.name.map(own),
            session: self.session.map(own),
            access_key: self.access_key.map(own),
            via: self.via.map(own),
        }
    }
}

impl SecretRef<'_> {
    /// The same reference with every field owned.
    #[must_use]
    pub fn into_owned(self) -> SecretRef<'static> {
        SecretRef { id: own(self.id), name: own(self.name), version: self.version.map(own) }
    }
}

fn own(text: Cow<'_, str>) -> Cow<'static, str> {
    Cow::Owned(text.into_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[track_caller]
    fn check_source(raw: &str, kind: SourceKind, parses: bool) {
        let source = Source::from_text(Cow::Borrowed(raw));
        assert_eq!((source.kind, source.ip.is_some()), (kind, parses), "{raw}");
    }

    #[test]
    fn a_source_is_an_address_only_when_it_parses() {
        check_source("203.0.113.9", SourceKind::Addr, true);
        check_source("2600:1f18::1", SourceKind::Addr, true);
        check_source("10.1.2.3", SourceKind::Internal, true);
        check_source("100.64.0.1", SourceKind::Internal, true);
        check_source("100.128.0.1", SourceKind::Addr, true);
        check_source("fd00::1", SourceKind::Internal, true);
        check_source("::1", SourceKind::Internal, true);
        check_source("::ffff:10.0.0.1", SourceKind::Internal, true);
        let mapped = Source::from_text(Cow::Borrowed("::ffff:203.0.113.9"));
        assert_eq!(mapped.ip, "203.0.113.9".parse().ok());
        check_source("205.205.123.000", SourceKind::Opaque, false);
        check_source("private", SourceKind::Opaque, false);
        check_source("", SourceKind::Opaque, false);
    }

    #[test]
    fn networks_are_generalised_to_24_and_48() {
        let network = |text: &str| network_of(text.parse().unwrap());
        for part in 0..=255_u8 {
            let address = format!("{part}.{}.{}.9", 255 - part, part / 2);
            assert_eq!(network(&address), format!("{part}.{}.{}.0/24", 255 - part, part / 2));
        }
        assert_eq!(network("203.0.113.9"), "203.0.113.0/24");
        assert_eq!(network("2600:1f18:22::1"), "2600:1f18:22::/48");
        assert_eq!(network("::ffff:203.0.113.9"), "203.0.113.0/24");
    }

    #[test]
    fn an_agent_family_is_the_first_product() {
        let long = "é".repeat(200);
        for (agent, family) in [
            ("aws-cli/2.15.30 Python/3.11.8", "aws-cli"),
            ("[S3Console/0.4, aws-internal/3]", "s3console"),
            ("Boto3/1.34.69 md/Botocore#1.34.69", "boto3"),
            ("external-secrets", "external-secrets"),
            ("", ""),
            (long.as_str(), "é".repeat(40).as_str()),
        ] {
            assert_eq!(agent_family(agent), family, "{agent}");
        }
    }
}
