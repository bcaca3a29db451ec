//! Who makes a Google Cloud call.
//!
//! Invariant: an identity has one id whether the entry gives its mail address or its subject,
//! and an impersonated service account is itself; the person behind it is its session.

use super::super::paths as p;
use super::super::text::part;
use keywatch_event::json::{self, Fields};
use keywatch_event::{Outcome, Principal, PrincipalKind, Source};
use std::borrow::Cow;

/// The caller, or who it is impersonating. Callers from outside whose read is denied are
/// withheld by Google: those are told apart by their address only.
pub(super) fn principal<'a>(fields: &Fields<'a>, source: &Source<'a>, outcome: Outcome) -> Principal<'a> {
    let subject = || part(&fields.text(p::PROTO_SUBJECT)?, |subject| Some(bare(subject)));
    let Some(id) = fields.text(p::PROTO_EMAIL).or_else(subject) else { return withheld(source, outcome) };
    Principal {
        kind: kind(&id),
        name: part(&id, short),
        session: delegating(fields),
        access_key: fields.text(p::PROTO_KEY_NAME).and_then(|key| part(&key, |key| key.rsplit('/').next())),
        via: None,
        id,
    }
}

fn withheld<'a>(source: &Source<'a>, outcome: Outcome) -> Principal<'a> {
    let unproven = outcome == Outcome::Unauthenticated;
    Principal {
        id: Cow::Owned(format!("withheld@{}", source.raw.as_deref().unwrap_or("unknown"))),
        kind: if unproven { PrincipalKind::Anonymous } else { PrincipalKind::Unknown },
        name: None,
        session: None,
        access_key: None,
        via: None,
    }
}

/// A subject without the word for its kind, so that it equals the mail address.
fn bare(subject: &str) -> &str {
    let kinds = ["user:", "serviceAccount:"];
    kinds.iter().find_map(|kind| subject.strip_prefix(kind)).unwrap_or(subject)
}

fn kind(id: &str) -> PrincipalKind {
    if id == "system:anonymous" || id == "allUsers" {
        return PrincipalKind::Anonymous;
    }
    if id.starts_with("principal://") || id.starts_with("principalSet://") {
        return PrincipalKind::Federated;
    }
    if id.starts_with("system:serviceaccount:") {
        return PrincipalKind::ServiceAccount;
    }
    if id.starts_with("system:") || is_agent(id) {
        return PrincipalKind::Service;
    }
    if id.ends_with(".gserviceaccount.com") {
        return PrincipalKind::ServiceAccount;
    }
    PrincipalKind::User
}

/// Whether this is a service agent, the account with which a Google service acts for a project
/// ([service agents](https://cloud.google.com/iam/docs/service-agents)): `service-NUMBER@…`, or
/// `NUMBER@cloudservices…`.
fn is_agent(id: &str) -> bool {
    let Some((local, domain)) = id.split_once('@') else { return false };
    let number = |text: &str| !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    let named =
        local.strip_prefix("service-").is_some_and(number) && domain.ends_with(".gserviceaccount.com");
    named || (number(local) && domain == "cloudservices.gserviceaccount.com")
}

/// The part before the `@`, the subject in an identity pool, or the last part of a cluster's
/// account.
fn short(id: &str) -> Option<&str> {
    if id.contains("://") {
        return id.split_once("/subject/").map(|(_, subject)| subject).or_else(|| id.rsplit('/').next());
    }
    if id.starts_with("system:") {
        return id.rsplit(':').next();
    }
    id.split('@').next()
}

/// Who took on the service account: the first in the chain who is not a service account itself,
/// else the first. The chain stands in the order of delegation.
fn delegating<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let chain: Vec<Cow<'a, str>> =
        fields.list(p::PROTO_DELEGATION).into_iter().filter_map(delegate).collect();
    let person = chain.iter().find(|id| kind(id) == PrincipalKind::User);
    person.or_else(|| chain.first()).cloned()
}

/// One link: a `firstPartyPrincipal` with its address, or a `principalSubject` beside it.
fn delegate(link: &str) -> Option<Cow<'_, str>> {
    let email = member(link, "firstPartyPrincipal").and_then(|first| member(first, "principalEmail"));
    let found = email.or_else(|| member(link, "principalSubject")).and_then(json::as_text)?;
    part(&found, |id| Some(bare(id)).filter(|id| !id.is_empty()))
}

fn member<'r>(object: &'r str, wanted: &str) -> Option<&'r str> {
    json::members(object).into_iter().find(|(key, _)| key == wanted).map(|(_, value)| value)
}
