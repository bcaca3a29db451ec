//! Whom a change opens something to: read out of the policy documents inside raw records.
//!
//! Best effort by design: providers put policies into records as text, as structures, or hash
//! them, and what cannot be read names nobody. A document in a request counts as a whole: it
//! says who has access afterwards, not who gained it. Only Google's deltas tell the difference.

mod aws;
mod azure;
mod gcp;
mod vault;

use super::Normal;
use crate::Surroundings;
use crate::record::Scope;
use crate::view::View;
use keywatch_event::{AuditEvent, Provider};
use serde_json::Value;

/// Every kind a grantee may be of.
pub(super) const KINDS: &[&str] =
    &["public", "account", "domain", "user", "group", "service", "role", "policy"];
/// Every scope a grantee may have.
pub(super) const SCOPES: &[&str] = &["public", "foreign", "own"];

/// Somebody who is given access.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Grantee {
    /// The account, principal or policy, as the document names it; `*` for everybody.
    pub id: String,
    /// public, account, domain, user, group, service, role or policy.
    pub kind: &'static str,
    /// `public`: everybody. `foreign`: somebody outside. `own`: the same account, project or
    /// tenant as the event's, or one the operator lists as their own.
    pub scope: &'static str,
}

impl Grantee {
    /// Whether it is not, as far as is known, one of the operator's own.
    pub(crate) fn is_outside(&self) -> bool {
        self.scope != "own"
    }

    /// What a field says of it.
    pub(super) fn part(&self, field: Normal) -> &str {
        if field == Normal::GranteeKind {
            self.kind
        } else if field == Normal::GranteeScope {
            self.scope
        } else {
            &self.id
        }
    }
}

/// Everybody the event's record gives access to, each once.
pub(super) fn grantees(view: &View<'_>) -> Vec<Grantee> {
    let mut found = Found { event: view.event(), around: view.around(), all: Vec::new() };
    let raw = view.seen().raw;
    match found.event.provider {
        Provider::Aws => aws::read(raw, &mut found),
        Provider::Gcp => gcp::read(raw, &mut found),
        Provider::Azure => azure::read(raw, &mut found),
        Provider::Vault => vault::read(raw, &mut found),
    }
    found.all
}

/// Grantees as they are found.
struct Found<'f> {
    event: &'f AuditEvent<'f>,
    around: &'f Surroundings,
    all: Vec<Grantee>,
}

impl Found<'_> {
    fn add(&mut self, id: &str, kind: &'static str, scope: &'static str) {
        let grantee = Grantee { id: id.to_owned(), kind, scope };
        if !self.all.contains(&grantee) {
            self.all.push(grantee);
        }
    }

    fn public(&mut self) {
        self.add("*", "public", "public");
    }

    /// Whether `account` is the event's own, or listed as the operator's.
    fn owns_account(&self, account: &str) -> bool {
        let same = self.event.account.as_deref().is_some_and(|own| own.eq_ignore_ascii_case(account));
        same || self.around.owns_account(account)
    }

    fn by_account(&self, account: &str) -> &'static str {
        if self.owns_account(account) { "own" } else { "foreign" }
    }
}

/// The values at the one path a scope of one path reads, as JSON.
fn documents(scope: &Scope, path: &str, raw: &[u8]) -> Vec<Value> {
    let Some(slot) = scope.slot(path) else { return Vec::new() };
    scope.read(raw).at(slot).filter_map(|text| serde_json::from_str(text).ok()).map(unwrapped).collect()
}

/// A document that came as text inside the record, as the structure it describes.
fn unwrapped(value: Value) -> Value {
    let text = value.as_str().filter(|text| text.trim_start().starts_with(['{', '[']));
    text.and_then(|text| serde_json::from_str(text).ok()).unwrap_or(value)
}

/// A member by name, without regard to case: tools on the way change it.
fn member<'v>(value: &'v Value, name: &str) -> Option<&'v Value> {
    let map = value.as_object()?;
    map.get(name).or_else(|| map.iter().find(|(key, _)| key.eq_ignore_ascii_case(name)).map(|(_, v)| v))
}

/// The value at a path of members.
fn at<'v>(value: &'v Value, path: &[&str]) -> Option<&'v Value> {
    path.iter().try_fold(value, |value, name| member(value, name))
}

/// The items of a list; anything else but null is a list of itself.
fn items(value: &Value) -> &[Value] {
    if value.is_null() {
        return &[];
    }
    value.as_array().map_or(std::slice::from_ref(value), Vec::as_slice)
}

/// The texts of a value or of a list of values.
fn texts(value: &Value) -> impl Iterator<Item = &str> {
    items(value).iter().filter_map(Value::as_str)
}

#[cfg(test)]
mod tests;
