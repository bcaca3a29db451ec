//! AWS: resource policies in request parameters, grants, keys of other accounts and sharing.
//!
//! A statement that allows everybody under a condition naming accounts opens to those accounts
//! (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_policies_condition-keys.html>).

use super::{Found, documents, items, member, texts, unwrapped};
use crate::record::Scope;
use serde_json::Value;
use std::sync::LazyLock;

const PARAMETERS: &str = "requestParameters";
static SCOPE: LazyLock<Scope> = LazyLock::new(|| Scope::of([PARAMETERS]));

/// Parameters that carry a resource policy: Secrets Manager and Systems Manager, KMS, SQS and
/// others, IAM's trust policies, S3, OpenSearch, and SNS's `attributeValue`.
const POLICIES: &[&str] = &[
    "resourcePolicy",
    "policy",
    "policyDocument",
    "assumeRolePolicyDocument",
    "bucketPolicy",
    "accessPolicies",
    "attributeValue",
];
/// Parameters that name principals or accounts directly: KMS grants, Lambda, SQS and SNS
/// permissions, Resource Access Manager, document and image sharing.
const DIRECT: &[&str] =
    &["granteePrincipal", "principal", "principals", "aWSAccountIds", "aWSAccountId", "accountIdsToAdd"];
/// Condition keys that bind a statement to accounts, organisations or principals.
const BINDING: &[&str] = &[
    "aws:principalaccount",
    "aws:sourceaccount",
    "aws:sourceowner",
    "aws:principalarn",
    "aws:sourcearn",
    "aws:principalorgid",
    "aws:principalorgpaths",
    "kms:calleraccount",
];
/// Condition keys that bind a statement to networks: not everybody, and nobody by name.
const PLACES: &[&str] = &["aws:sourceip", "aws:sourcevpc", "aws:sourcevpce", "aws:vpcsourceip"];

pub(super) fn read(raw: &[u8], found: &mut Found<'_>) {
    for parameters in documents(&SCOPE, PARAMETERS, raw) {
        for name in POLICIES {
            if let Some(document) = member(&parameters, name) {
                policy(&unwrapped(document.clone()), found);
            }
        }
        if let Some(document) = member(&parameters, "attributes").and_then(|all| member(all, "policy")) {
            policy(&unwrapped(document.clone()), found);
        }
        let direct = DIRECT.iter().filter_map(|name| member(&parameters, name));
        direct.flat_map(texts).for_each(|id| principal(id, found));
        keys(&parameters, found);
    }
}

/// A secret or parameter encrypted, or replicated, under a key of another account is in that account's
/// hands: it can be read there, and taken from its owner by closing the key. `keyId` is what
/// `PutParameter` calls it; elsewhere that names what the call is about. `destinationKeyId` is what
/// `ReEncrypt` calls it.
fn keys(parameters: &Value, found: &mut Found<'_>) {
    let regions = member(parameters, "addReplicaRegions").map(items).unwrap_or_default();
    let name = if found.event.operation == "PutParameter" { "keyId" } else { "kmsKeyId" };
    let each = [member(parameters, name), member(parameters, "destinationKeyId")]
        .into_iter()
        .chain(regions.iter().map(|region| member(region, "kmsKeyId")));
    for key in each.flatten().filter_map(Value::as_str) {
        if let Some(account) = account_of(key) {
            let scope = found.by_account(account);
            found.add(account, "account", scope);
        }
    }
}

fn policy(document: &Value, found: &mut Found<'_>) {
    let Some(statements) = member(document, "Statement") else { return };
    for statement in items(statements) {
        let allows = member(statement, "Effect").and_then(Value::as_str).unwrap_or_default();
        if allows.eq_ignore_ascii_case("Allow") {
            allowed(statement, found);
        }
    }
}

fn allowed(statement: &Value, found: &mut Found<'_>) {
    // Everybody but the named ones is still everybody.
    let everybody = member(statement, "NotPrincipal").is_some();
    let named = member(statement, "Principal");
    let named: Vec<&str> = match named {
        Some(Value::Object(kinds)) => kinds.values().flat_map(texts).collect(),
        Some(other) => texts(other).collect(),
        None => Vec::new(),
    };
    if !everybody && !named.contains(&"*") {
        for id in named {
            principal(id, found);
        }
        return;
    }
    match bound(statement) {
        Bound::Nobody => found.public(),
        Bound::Places => found.add("*", "account", "foreign"),
        Bound::To(ids) => ids.into_iter().for_each(|id| principal(id, found)),
    }
}

/// Whom a condition leaves of everybody.
enum Bound<'v> {
    /// It leaves everybody.
    Nobody,
    Places,
    To(Vec<&'v str>),
}

fn bound(statement: &Value) -> Bound<'_> {
    let Some(Value::Object(operators)) = member(statement, "Condition") else { return Bound::Nobody };
    let mut places = false;
    for (operator, keys) in operators {
        let operator = operator.to_ascii_lowercase();
        if operator.contains("not") || operator.ends_with("ifexists") || operator == "null" {
            continue;
        }
        for (key, values) in keys.as_object().into_iter().flatten() {
            let key = key.to_ascii_lowercase();
            let ids: Vec<&str> = texts(values).collect();
            if BINDING.contains(&&*key) && !ids.is_empty() && !ids.contains(&"*") {
                return Bound::To(ids);
            }
            places |= PLACES.contains(&&*key) && !ids.iter().any(|id| matches!(*id, "0.0.0.0/0" | "::/0"));
        }
    }
    if places { Bound::Places } else { Bound::Nobody }
}

fn principal(id: &str, found: &mut Found<'_>) {
    if id == "*" || id.eq_ignore_ascii_case("all") {
        return found.public();
    }
    if id.contains(":organizations::") {
        // Resources are shared with one's own organisation or its units only
        // (https://docs.aws.amazon.com/ram/latest/userguide/getting-started-sharing.html).
        return found.add(id, "domain", "own");
    }
    if let Some(account) = account_of(id) {
        let scope = found.by_account(account);
        let resource = id.rsplit(':').next().unwrap_or_default();
        return match resource.split('/').next().unwrap_or_default() {
            "user" => found.add(id, "user", scope),
            "role" | "assumed-role" => found.add(id, "role", scope),
            "group" => found.add(id, "group", scope),
            _ => found.add(account, "account", scope),
        };
    }
    if id.ends_with(".amazonaws.com") || id.ends_with(".amazonaws.com.cn") || id.contains("amazon.com") {
        return found.add(id, "service", "own");
    }
    // An organisation, or a part of one by its path (`o-…/r-…/ou-…/*`, `aws:PrincipalOrgPaths`); an
    // identity provider, an id of a deleted principal.
    let organisation = id.split('/').next().filter(|head| head.starts_with("o-"));
    let scope = found.by_account(organisation.unwrap_or(id));
    let is_organisation = organisation.is_some() || id.contains("organization");
    found.add(id, if is_organisation { "domain" } else { "service" }, scope);
}

/// The account of an ARN, or an account id itself.
fn account_of(id: &str) -> Option<&str> {
    let account = if id.starts_with("arn:") { id.split(':').nth(4)? } else { id };
    (account.len() == 12 && account.bytes().all(|byte| byte.is_ascii_digit())).then_some(account)
}
