//! HashiCorp Vault and OpenBao: one audit entry becomes one event.
//!
//! A call is written twice, before and after it was served, with the same request id. The
//! response is the event; the request carries the same facts as an echo of it, because some calls
//! (disabling the last audit device, sealing, opening a used wrapping token) are never answered in
//! the log. Values are never read; tokens are never part of an identity.

mod auth;
mod engine;
mod outcome;
mod path;
mod system;
#[cfg(test)]
mod tests;

use super::paths;
use super::text::{fingerprint, part};
use keywatch_event::json::Fields;
use keywatch_event::{AuditEvent, ErrorInfo, EventTime, Provider, SecretRef, Source};
use outcome::{Kind, filled};
use path::{Call, Object, Target, Verb, Version};
use std::borrow::Cow;
use std::net::SocketAddr;

/// Settings that only the configuration of a KV version 2 engine has.
const KV_SETTINGS: &[&str] = &["max_versions", "cas_required", "delete_version_after"];

/// Most versions named of one secret: deleting more at once is rare, and the list is for reading.
const VERSIONS_MAX: usize = 20;

/// Reads one audit entry; `None` for the probe a device receives when it is enabled.
pub(super) fn event<'a>(
    fields: &Fields<'a>,
    record: &'a [u8],
    received_at: EventTime,
) -> Option<AuditEvent<'a>> {
    let path = fields.text(paths::VAULT_PATH).unwrap_or_default();
    let path = path.trim_matches('/');
    let entry_type = fields.scalar(paths::TYPE).unwrap_or_default();
    let kind = match &*entry_type {
        "request" => Kind::Request,
        "response" => Kind::Response,
        _ => Kind::Foreign,
    };
    if kind == Kind::Request && is_probe(fields, path) {
        return None;
    }
    let namespace = namespace(fields);
    let engine = first_text(fields, [paths::VAULT_MOUNT_TYPE, paths::VAULT_RESPONSE_MOUNT_TYPE]);
    let target = target(fields, kind, path, (namespace.as_deref(), engine.as_deref()));
    let (class, outcome) = outcome::verdict(fields, kind, &target);
    let source = source(fields);
    let address = source.ip.map(|ip| ip.to_string());
    let address = address.as_deref().or(source.raw.as_deref());
    let principal = auth::principal(fields, class, path::login(path), address);
    let (time, time_raw) = AuditEvent::believable_time(fields.text(paths::TIME), received_at);
    let message = fields.text(paths::VAULT_ERROR);
    Some(AuditEvent {
        id: id(fields, record, &entry_type),
        time,
        time_raw,
        received_at,
        provider: Provider::Vault,
        service: engine.clone().unwrap_or(Cow::Borrowed("vault")),
        store: target.mount.map(|mount| Cow::Owned(format!("vault:{}{mount}", prefix(namespace.as_deref())))),
        region: None,
        operation: operation(fields, entry_type),
        class,
        outcome,
        error: message.map(|message| ErrorInfo { code: None, message: Some(message) }),
        principal,
        source,
        user_agent: user_agent(fields),
        secrets: secrets(fields, &target, namespace.as_deref()),
        echo_of: (kind == Kind::Request).then(|| echo_of(fields)),
        scrubbed: Vec::new(),
        told: None,
        account: namespace,
    })
}

/// Vault tests a new device with an entry that nobody sent. A device may itself be called `test`:
/// enabling that one comes from a caller.
fn is_probe(fields: &Fields<'_>, path: &str) -> bool {
    let caller = [
        paths::VAULT_REMOTE_ADDRESS,
        paths::VAULT_DISPLAY_NAME,
        paths::VAULT_ENTITY_ID,
        paths::VAULT_ACCESSOR,
        paths::VAULT_REQUEST_ACCESSOR,
        paths::VAULT_POLICIES,
    ];
    path == system::PROBE && !caller.into_iter().any(|slot| filled(fields, slot))
}

fn target<'p>(
    fields: &Fields<'_>,
    kind: Kind,
    path: &'p str,
    (namespace, engine): (Option<&str>, Option<&'p str>),
) -> Target<'p> {
    if kind == Kind::Foreign {
        return Target::plain(keywatch_event::Class::Other);
    }
    let said = first_text(fields, [paths::VAULT_MOUNT_POINT, paths::VAULT_RESPONSE_MOUNT_POINT]);
    let mount = said.and_then(|said| path::said_mount(path, &said, namespace.unwrap_or_default()));
    let operation = fields.text(paths::VAULT_OPERATION).unwrap_or_default();
    let settings = path.ends_with("/config")
        && [paths::VAULT_REQUEST_DATA, paths::VAULT_RESPONSE_DATA]
            .into_iter()
            .any(|slot| is_settings(&fields.members(slot)));
    path::target(&Call { verb: Verb::of(&operation), path, mount, engine, settings })
}

/// Whether data are settings and nothing else; one more key makes them somebody's secret.
fn is_settings(data: &[(Cow<'_, str>, &str)]) -> bool {
    !data.is_empty() && data.iter().all(|(key, _)| KV_SETTINGS.contains(&&**key))
}

/// The namespace without slashes at its ends; absent for the root.
fn namespace<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let path = fields.text(paths::VAULT_NAMESPACE)?;
    part(&path, |path| Some(path.trim_matches('/'))).filter(|name| !name.is_empty())
}

fn first_text<'a>(fields: &Fields<'a>, slots: [usize; 2]) -> Option<Cow<'a, str>> {
    slots.into_iter().find_map(|slot| fields.text(slot))
}

fn prefix(namespace: Option<&str>) -> String {
    namespace.map(|namespace| format!("{namespace}/")).unwrap_or_default()
}

/// Several devices, and every node, write the same call with other hashes: only the request's id
/// is common to them. `help` requests have none.
fn id<'a>(fields: &Fields<'a>, record: &[u8], entry_type: &str) -> Cow<'a, str> {
    if let Some(request) = fields.text(paths::VAULT_REQUEST_ID) {
        return Cow::Owned(format!("vault:{request}:{entry_type}"));
    }
    Cow::Owned(format!("vault:{}", fingerprint([record])))
}

fn echo_of<'a>(fields: &Fields<'a>) -> Cow<'a, str> {
    match fields.text(paths::VAULT_REQUEST_ID) {
        Some(request) => Cow::Owned(format!("vault-response:{request}")),
        None => Cow::Borrowed("vault-response"),
    }
}

fn operation<'a>(fields: &Fields<'a>, entry_type: Cow<'a, str>) -> Cow<'a, str> {
    match (fields.text(paths::VAULT_OPERATION), fields.text(paths::VAULT_PATH)) {
        (Some(operation), Some(path)) => Cow::Owned(format!("{operation} {path}")),
        (Some(one), None) | (None, Some(one)) => one,
        (None, None) => entry_type,
    }
}

/// The peer's address; entries of the KMIP listener write its port behind it.
fn source<'a>(fields: &Fields<'a>) -> Source<'a> {
    let Some(raw) = fields.text(paths::VAULT_REMOTE_ADDRESS) else { return Source::absent() };
    match raw.parse::<SocketAddr>() {
        Ok(peer) => {
            let address = Source::from_text(Cow::Owned(peer.ip().to_string()));
            Source { ip: address.ip, kind: address.kind, raw: Some(raw) }
        }
        Err(_) => Source::from_text(raw),
    }
}

/// The user agent, where the operator has it audited in clear.
fn user_agent<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let headers = fields.members(paths::VAULT_HEADERS);
    let (_, raw) = headers.into_iter().find(|(name, _)| name.eq_ignore_ascii_case("user-agent"))?;
    let first = keywatch_event::json::elements(raw).first().copied().unwrap_or(raw);
    let agent = keywatch_event::json::as_text(first)?;
    (!agent.is_empty() && !agent.starts_with("hmac-sha256:")).then_some(agent)
}

fn secrets<'a>(fields: &Fields<'a>, target: &Target<'_>, namespace: Option<&str>) -> Vec<SecretRef<'a>> {
    let Some(Object { mount, name }) = target.object else { return Vec::new() };
    let name = if name.is_empty() { mount.to_owned() } else { format!("{mount}/{name}") };
    let id = format!("vault:{}{name}", prefix(namespace));
    let version = version(fields, target.version).map(Cow::Owned);
    vec![SecretRef { id: Cow::Owned(id), name: Cow::Owned(name), version }]
}

/// The version a record is about. Numbers stand in clear; anything else is a hash.
fn version(fields: &Fields<'_>, stands: Version) -> Option<String> {
    let number = |slot| fields.int(slot).filter(|version| *version > 0).map(|version| version.to_string());
    match stands {
        Version::None => None,
        Version::Read => number(paths::VAULT_WANTED_VERSION).or_else(|| number(paths::VAULT_READ_VERSION)),
        Version::Written => number(paths::VAULT_WRITTEN_VERSION),
        Version::Chosen => {
            let chosen = fields.list(paths::VAULT_CHOSEN_VERSIONS);
            let numbers = chosen.into_iter().filter(|raw| raw.bytes().all(|byte| byte.is_ascii_digit()));
            let numbers: Vec<&str> = numbers.take(VERSIONS_MAX).collect();
            (!numbers.is_empty()).then(|| numbers.join(","))
        }
    }
}
