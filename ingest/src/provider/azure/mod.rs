//! Azure Key Vault logs and the Azure Activity log become audit events.
//!
//! Reads the resource log category `AuditEvent` of vaults and managed HSMs, and the Activity log
//! both as it is exported and as its API lists it. Records of other resources become `other`
//! events: a record is never dropped, whatever its fields look like.
//!
//! Invariant: one access counts once. Azure reports an operation on a vault itself in both logs;
//! see [`class::echo_of`] for which of the two is the copy.

mod class;
mod name;
mod outcome;
mod who;

use super::paths as p;
use super::text::{fingerprint, part};
use class::{Call, Log};
use keywatch_event::json::Fields;
use keywatch_event::{AuditEvent, ErrorInfo, EventTime, Outcome, Provider, Source};
use std::borrow::Cow;
use std::net::{Ipv4Addr, Ipv6Addr};

/// Normalises one record.
pub(super) fn event<'a>(fields: &Fields<'a>, record: &'a [u8], received_at: EventTime) -> AuditEvent<'a> {
    let operation =
        fields.text(p::OPERATION_VALUE).or_else(|| fields.text(p::OPERATION_NAME)).unwrap_or_default();
    let ending = outcome::of(fields);
    let source = source(fields);
    let who = who::Claims::read(fields);
    let call = Call {
        log: Log::of(fields, &operation),
        operation: operation.to_ascii_lowercase(),
        outcome: ending.outcome,
        proven: who.proven(),
    };
    let home = name::home(fields);
    let (time, time_raw) = AuditEvent::believable_time(said_time(fields), received_at);
    AuditEvent {
        id: id(fields, record, &operation),
        time,
        time_raw,
        received_at,
        provider: Provider::Azure,
        service: name::service(fields, &call, &operation),
        store: name::store(fields, &call, &home).map(Cow::Owned),
        account: home.subscription.as_ref().map(|id| Cow::Owned(id.to_ascii_lowercase())),
        region: fields.text(p::LOCATION),
        class: class::of(fields, &call),
        outcome: ending.outcome,
        error: error(fields, ending),
        principal: who.principal(&source, &call),
        source,
        user_agent: fields.text(p::CLIENT_INFO),
        secrets: name::object(fields, &call, &home).into_iter().collect(),
        echo_of: class::echo_of(fields, &call),
        scrubbed: Vec::new(),
        told: None,
        operation,
    }
}

fn said_time<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    fields.scalar(p::AZURE_TIME).or_else(|| fields.scalar(p::ACTIVITY_TIME))
}

/// Azure gives records no id. `correlationId` is the client's own, optional and shared by several
/// operations, so the key is a hash of what tells two accesses apart. A record without a time
/// has nothing that does, and is its own key.
fn id<'a>(fields: &Fields<'a>, record: &[u8], operation: &str) -> Cow<'a, str> {
    let Some(time) = said_time(fields) else {
        return Cow::Owned(format!("azure:{}", fingerprint([record])));
    };
    let said = |slot: usize| fields.scalar(slot).unwrap_or_default();
    let either = |slot: usize, other: usize| fields.scalar(slot).unwrap_or_else(|| said(other));
    let parts = [
        time,
        Cow::Borrowed(operation),
        said(p::CORRELATION_ID),
        said(p::RESOURCE_ID),
        either(p::REQUEST_URI, p::OBJECT_ID),
        said(p::HTTP_STATUS),
        either(p::CALLER_ADDRESS, p::ACTIVITY_ADDRESS),
        either(p::RESULT_SIGNATURE, p::ACTIVITY_STATUS),
    ];
    Cow::Owned(format!("azure:{}", fingerprint(parts.iter().map(|part| part.as_bytes()))))
}

fn error<'a>(fields: &Fields<'a>, ending: outcome::Ending<'a>) -> Option<ErrorInfo<'a>> {
    if ending.outcome == Outcome::Ok {
        return None;
    }
    let message = fields.text(p::RESULT_DESCRIPTION).or_else(|| fields.text(p::PROPERTIES_MESSAGE));
    Some(ErrorInfo { code: ending.code, message })
}

/// The caller's address, which some gateways write with their port.
fn source<'a>(fields: &Fields<'a>) -> Source<'a> {
    let said = fields.text(p::CALLER_ADDRESS).or_else(|| fields.text(p::ACTIVITY_ADDRESS));
    let Some(said) = said else { return Source::absent() };
    let Some(bare) = part(&said, without_port) else { return Source::from_text(said) };
    Source { raw: Some(said), ..Source::from_text(bare) }
}

/// The address in `a.b.c.d:port` and `[v6]:port`; `None` for anything else.
fn without_port(said: &str) -> Option<&str> {
    let (head, port) = said.rsplit_once(':')?;
    port.parse::<u16>().ok()?;
    if head.parse::<Ipv4Addr>().is_ok() {
        return Some(head);
    }
    head.strip_prefix('[')?.strip_suffix(']').filter(|inner| inner.parse::<Ipv6Addr>().is_ok())
}

#[cfg(test)]
mod tests;
