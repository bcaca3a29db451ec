//! Names of Google Cloud resources: which secret or key, whose project, where.
//!
//! Invariant: one secret has one id. Versions are cut off, and a project given by its number is
//! replaced by the project id the entry's resource is labelled with.

use super::super::paths as p;
use super::super::text::part;
use super::class::Service;
use keywatch_event::SecretRef;
use keywatch_event::json::{self, Fields};
use std::borrow::Cow;

/// The full name of the thing a call is about, and the collection its secrets stand in.
#[derive(Debug)]
pub(super) struct Resource<'a> {
    full: Cow<'a, str>,
    kind: Kind,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
struct Kind {
    collection: &'static str,
    versions: &'static str,
}

const SECRET: Kind = Kind { collection: "secrets", versions: "versions" };
const KEY: Kind = Kind { collection: "cryptoKeys", versions: "cryptoKeyVersions" };

/// The first name in the entry that names a secret or key, else the resource's own.
pub(super) fn resource<'a>(fields: &Fields<'a>, service: Service) -> Option<Resource<'a>> {
    let kind = if service == Service::Kms { KEY } else { SECRET };
    let own = fields.text(p::PROTO_RESOURCE_NAME);
    if service.store().is_none() {
        return own.map(|full| Resource { full, kind });
    }
    let named = [
        p::PROTO_RESOURCE_NAME,
        p::PROTO_ASKED_NAME,
        p::PROTO_ASKED_SECRET_NAME,
        p::PROTO_ASKED_KEY_NAME,
        p::PROTO_ANSWER_NAME,
    ];
    let named = named.into_iter().filter_map(|slot| fields.text(slot));
    let full = named
        .chain(created(fields))
        .chain(authorized(fields))
        .find(|name| id_after(name, kind.collection).is_some());
    full.or(own).map(|full| Resource { full, kind })
}

/// The name a `CreateSecret` asks for in two parts.
fn created<'a>(fields: &Fields<'a>) -> Option<Cow<'a, str>> {
    let (parent, secret) = (fields.text(p::PROTO_ASKED_PARENT)?, fields.text(p::PROTO_ASKED_SECRET_ID)?);
    Some(Cow::Owned(format!("{parent}/secrets/{secret}")))
}

/// The names that permissions were checked on.
fn authorized<'a>(fields: &Fields<'a>) -> impl Iterator<Item = Cow<'a, str>> {
    let checks = fields.list(p::PROTO_AUTHORIZATION).into_iter().flat_map(json::members);
    checks.filter(|(key, _)| key == "resource").filter_map(|(_, name)| json::as_text(name))
}

/// The secret or key the entry names, if it names one.
pub(super) fn secret<'a>(
    fields: &Fields<'a>,
    resource: Option<&Resource<'a>>,
    account: Option<&str>,
) -> Option<SecretRef<'a>> {
    let Resource { full, kind } = resource?;
    let name = part(full, |full| id_after(full, kind.collection))?;
    let answered = || part(&fields.text(p::PROTO_ANSWER_NAME)?, |full| id_after(full, kind.versions));
    let version = part(full, |full| id_after(full, kind.versions)).or_else(answered);
    Some(SecretRef { id: canonical(full, *kind, account)?, name, version })
}

/// `projects/P/[locations/L/][keyRings/R/]COLLECTION/NAME`, with the project's id for P.
fn canonical<'a>(full: &Cow<'a, str>, kind: Kind, account: Option<&str>) -> Option<Cow<'a, str>> {
    let stem = part(full, |full| stem(full, kind))?;
    let rest = stem.strip_prefix("projects/").and_then(|rest| rest.split_once('/'));
    let (Some((project, rest)), Some(account)) = (rest, account) else { return Some(stem) };
    if is_number(project) && !account.contains('/') && project != account {
        return Some(Cow::Owned(format!("projects/{account}/{rest}")));
    }
    Some(stem)
}

/// From `projects` up to the name in the kind's collection; what comes after is cut off.
fn stem(full: &str, kind: Kind) -> Option<&str> {
    let full = full.get(full.find("projects/")?..)?;
    let (mut end, mut collection) = (0, "");
    for (index, part) in full.split('/').enumerate() {
        end += part.len();
        if index % 2 == 1 && collection == kind.collection {
            return full.get(..end);
        }
        end += 1;
        collection = part;
    }
    None
}

/// The id that follows `collection` in a resource name; names alternate between the two.
fn id_after<'n>(name: &'n str, collection: &str) -> Option<&'n str> {
    let mut parts = name.split('/').skip_while(|part| *part != "projects");
    while let (Some(key), Some(id)) = (parts.next(), parts.next()) {
        if key == collection {
            return Some(id).filter(|id| !id.is_empty());
        }
    }
    None
}

fn is_number(project: &str) -> bool {
    !project.is_empty() && project.bytes().all(|byte| byte.is_ascii_digit())
}

/// The project, else the organisation or folder whose log it is.
pub(super) fn account<'a>(fields: &Fields<'a>, resource: Option<&Resource<'a>>) -> Option<Cow<'a, str>> {
    let project = |name: &Cow<'a, str>| {
        part(name, |name| id_after(name, "projects")).filter(|id| !matches!(&**id, "_" | "-"))
    };
    let log = fields.text(p::LOG_NAME).or_else(|| fields.text(p::LOG_NAME_RENAMED));
    let owner = || part(log.as_ref()?, |log| log.split_once("/logs/").map(|(owner, _)| owner));
    fields
        .text(p::LABEL_PROJECT)
        .or_else(|| log.as_ref().and_then(project))
        .or_else(|| resource.and_then(|resource| project(&resource.full)))
        .or_else(owner)
}

/// The location in the resource's name, else the one it is labelled with.
pub(super) fn region<'a>(fields: &Fields<'a>, resource: Option<&Resource<'a>>) -> Option<Cow<'a, str>> {
    let named = resource.and_then(|resource| part(&resource.full, |full| id_after(full, "locations")));
    let located = || fields.texts(p::PROTO_LOCATIONS).into_iter().next();
    named.or_else(|| fields.text(p::LABEL_LOCATION)).or_else(located)
}
