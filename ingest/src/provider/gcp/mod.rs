//! Google Cloud audit log entries become audit events.
//!
//! Reads the JSON form of a `LogEntry` whose `protoPayload` is an
//! [`AuditLog`](https://cloud.google.com/logging/docs/reference/audit/auditlog/rest/Shared.Types/AuditLog),
//! in which default values are left out. Entries of any other kind become `other` events: an
//! entry is never dropped, whatever its fields look like.

mod class;
mod name;
mod who;

use super::paths as p;
use super::text::{fingerprint, part};
use class::{Call, Service};
use keywatch_event::json::Fields;
use keywatch_event::{AuditEvent, ErrorInfo, EventTime, Outcome, Provider, Source, SourceKind};
use std::borrow::Cow;

/// Normalises one entry.
pub(super) fn event<'a>(fields: &Fields<'a>, record: &'a [u8], received_at: EventTime) -> AuditEvent<'a> {
    let operation = operation(fields);
    let service_name = fields.text(p::PROTO_SERVICE_NAME).unwrap_or_default();
    let service =
        if is_audit_log(fields) { Service::of(&service_name, &operation) } else { Service::Elsewhere };
    let call = Call { service, method: &operation, said: class::outcome(fields.int(p::PROTO_STATUS_CODE)) };
    let (class, outcome) = class::of(fields, &call);
    let source = source(fields);
    let principal = who::principal(fields, &source, outcome);
    let resource = name::resource(fields, service);
    let account = name::account(fields, resource.as_ref());
    let (time, time_raw) = AuditEvent::believable_time(said_time(fields), received_at);
    AuditEvent {
        id: id(fields, record),
        time,
        time_raw,
        received_at,
        provider: Provider::Gcp,
        store: service.store().map(Cow::Borrowed),
        region: name::region(fields, resource.as_ref()),
        class,
        outcome,
        error: error(fields, outcome),
        echo_of: echo_of(fields, &call, &principal.id),
        scrubbed: Vec::new(),
        told: None,
        principal,
        source,
        user_agent: fields.text(p::PROTO_AGENT),
        secrets: name::secret(fields, resource.as_ref(), account.as_deref()).into_iter().collect(),
        account,
        service: service_name,
        operation,
    }
}

/// Whether the payload is an audit log. Exports that cannot keep a key with `@` rename it, and
/// hand-trimmed ones drop it.
fn is_audit_log(fields: &Fields<'_>) -> bool {
    let said = fields.text(p::PROTO_TYPE).or_else(|| fields.text(p::PROTO_TYPE_RENAMED));
    said.is_none_or(|said| said.ends_with("google.cloud.audit.AuditLog"))
}

/// The method; for an entry without one its payload type or, at last, the name of its log.
fn operation<'a>(fields: &Fields<'a>) -> Cow<'a, str> {
    let log = || part(&fields.text(p::LOG_NAME)?, |log| log.rsplit('/').next());
    fields.text(p::PROTO_METHOD_NAME).or_else(|| fields.text(p::PROTO_TYPE)).or_else(log).unwrap_or_default()
}

/// When the call happened; trimmed entries may only tell when it was received.
fn said_time<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let request = || fields.text(p::PROTO_REQUEST_TIME);
    fields.scalar(p::ENTRY_TIME).or_else(request).or_else(|| fields.text(p::ENTRY_RECEIVED))
}

/// Google's own key of an entry: log name, timestamp and insert id
/// ([`LogEntry`](https://cloud.google.com/logging/docs/reference/v2/rest/v2/LogEntry), `insertId`),
/// and the part of an entry that was split for its size. Cloud Logging always writes these;
/// in a trimmed entry nothing tells two calls apart, so the record itself is the key.
fn id<'a>(fields: &Fields<'a>, record: &[u8]) -> Cow<'a, str> {
    let insert = fields.text(p::INSERT_ID).or_else(|| fields.text(p::INSERT_ID_RENAMED));
    let (Some(insert), Some(time)) = (insert, fields.scalar(p::ENTRY_TIME)) else {
        return Cow::Owned(format!("gcp:{}", fingerprint([record])));
    };
    let log = fields.text(p::LOG_NAME).or_else(|| fields.text(p::LOG_NAME_RENAMED)).unwrap_or_default();
    Cow::Owned(match split_index(fields) {
        0 => format!("gcp:{log}/{time}/{insert}"),
        index => format!("gcp:{log}/{time}/{insert}/{index}"),
    })
}

/// Which part of a split entry this is; 0 for the first, which carries the call.
fn split_index(fields: &Fields<'_>) -> i64 {
    fields.int(p::ENTRY_SPLIT_INDEX).unwrap_or(0)
}

fn error<'a>(fields: &Fields<'a>, outcome: Outcome) -> Option<ErrorInfo<'a>> {
    let code = fields.scalar(p::PROTO_STATUS_CODE).filter(|_| outcome != Outcome::Ok);
    let message = fields.text(p::PROTO_STATUS_MESSAGE).filter(|_| outcome != Outcome::Ok);
    (code.is_some() || message.is_some()).then_some(ErrorInfo { code, message })
}

/// The caller's address. Google writes words for callers inside its production network
/// (`RequestMetadata.caller_ip`).
fn source<'a>(fields: &Fields<'a>) -> Source<'a> {
    let said = fields.text(p::PROTO_CALLER_IP).or_else(|| fields.text(p::PROTO_CALLER_IP_RENAMED));
    let Some(said) = said else { return Source::absent() };
    let within = matches!(&*said, "private" | "gce-internal-ip");
    let source = Source::from_text(said);
    if within { Source { kind: SourceKind::Internal, ..source } } else { source }
}

/// What this entry repeats: the first entry of its long-running operation, an earlier part of a
/// split entry, or the read for which Secret Manager's own agent decrypts with a customer's key.
fn echo_of<'a>(fields: &Fields<'a>, call: &Call<'_>, principal: &str) -> Option<Cow<'a, str>> {
    let ends = fields.truth(p::ENTRY_LAST) == Some(true) && fields.truth(p::ENTRY_FIRST) != Some(true);
    if ends {
        return Some(fields.text(p::ENTRY_OPERATION).unwrap_or(Cow::Borrowed("operation")));
    }
    if split_index(fields) > 0 {
        return Some(fields.text(p::ENTRY_SPLIT).unwrap_or(Cow::Borrowed("split")));
    }
    let for_a_secret = principal.ends_with("@gcp-sa-secretmanager.iam.gserviceaccount.com");
    (call.service == Service::Kms && for_a_secret).then_some(Cow::Borrowed(class::SECRET_MANAGER))
}

#[cfg(test)]
mod tests;
