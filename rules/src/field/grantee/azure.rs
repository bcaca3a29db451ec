//! Azure: access policies and network rules of a vault, and role assignments, in whatever of
//! request and response the record carries.
//!
//! Activity logs carry the request in `properties.requestbody` and the resulting vault in
//! `properties.responseBody`, both as text; Key Vault's own log carries parts of the vault in
//! `properties`. The request is preferred, because it is what was changed.

use super::{Found, at, documents, items, member, unwrapped};
use crate::record::Scope;
use serde_json::Value;
use std::sync::LazyLock;

const PROPERTIES: &str = "properties";
const TENANT: &str = "tenantId";
static SCOPE: LazyLock<Scope> = LazyLock::new(|| Scope::of([PROPERTIES, TENANT]));
/// Where a record's claims name the tenant of the caller.
const TENANT_CLAIM: &str = "http://schemas.microsoft.com/identity/claims/tenantid";
static CLAIMS: LazyLock<Scope> = LazyLock::new(|| Scope::of(["claims", "identity"]));

pub(super) fn read(raw: &[u8], found: &mut Found<'_>) {
    let tenant = tenant(raw);
    for properties in documents(&SCOPE, PROPERTIES, raw) {
        let body = ["requestbody", "responseBody"].into_iter().find_map(|name| member(&properties, name));
        let body = body.map(|body| unwrapped(body.clone())).filter(Value::is_object);
        let vault = body.as_ref().unwrap_or(&properties);
        let vault = member(vault, "properties").unwrap_or(vault);
        policies(vault, tenant.as_deref(), found);
        network(vault, found);
        assignment(vault, found);
    }
}

fn tenant(raw: &[u8]) -> Option<String> {
    let said = documents(&SCOPE, TENANT, raw).into_iter().find_map(|value| Some(value.as_str()?.to_owned()));
    said.or_else(|| {
        let claims = documents(&CLAIMS, "claims", raw).into_iter();
        let identity = documents(&CLAIMS, "identity", raw).into_iter();
        let mut places = claims.chain(identity.filter_map(|identity| {
            ["claim", "claims"].into_iter().find_map(|name| member(&identity, name).cloned())
        }));
        places.find_map(|claims| Some(member(&claims, TENANT_CLAIM)?.as_str()?.to_owned()))
    })
}

fn policies(vault: &Value, tenant: Option<&str>, found: &mut Found<'_>) {
    for policy in member(vault, "accessPolicies").map(items).unwrap_or_default() {
        let Some(id) = member(policy, "objectId").and_then(Value::as_str) else { continue };
        let theirs = member(policy, "tenantId").and_then(Value::as_str);
        let is_own = match (theirs, tenant) {
            (Some(theirs), Some(own)) => theirs.eq_ignore_ascii_case(own) || found.owns_account(theirs),
            (Some(theirs), None) => found.owns_account(theirs) || vault_tenant(vault) == Some(theirs),
            (None, _) => true,
        };
        found.add(id, "user", if is_own { "own" } else { "foreign" });
    }
}

fn vault_tenant(vault: &Value) -> Option<&str> {
    member(vault, "tenantId").and_then(Value::as_str)
}

/// A firewall that lets everybody through opens the vault to the internet.
fn network(vault: &Value, found: &mut Found<'_>) {
    let says = |path: &[&str], word: &str| {
        at(vault, path).and_then(Value::as_str).is_some_and(|said| said.eq_ignore_ascii_case(word))
    };
    let rules = member(vault, "networkAcls").or_else(|| member(vault, "networkRuleSet"));
    let open = says(&["networkAcls", "defaultAction"], "Allow")
        || says(&["networkRuleSet", "defaultAction"], "Allow");
    if open || (rules.is_none() && says(&["publicNetworkAccess"], "Enabled")) {
        found.public();
    }
    let addresses = rules.and_then(|rules| member(rules, "ipRules")).map(items).unwrap_or_default();
    let everywhere =
        |rule: &Value| matches!(member(rule, "value").and_then(Value::as_str), Some("0.0.0.0/0"));
    if addresses.iter().any(everywhere) {
        found.public();
    }
}

/// `Microsoft.Authorization/roleAssignments/write`.
fn assignment(body: &Value, found: &mut Found<'_>) {
    let Some(id) = member(body, "principalId").and_then(Value::as_str) else { return };
    match member(body, "principalType").and_then(Value::as_str).unwrap_or_default() {
        "Group" => found.add(id, "group", "own"),
        "ServicePrincipal" => found.add(id, "service", "own"),
        "ForeignGroup" => found.add(id, "group", "foreign"),
        _ => found.add(id, "user", "own"),
    }
}
