//! Paths that belong to Vault itself: `sys/`, `auth/` and `identity/`.

use super::path::{Answer, Target, Verb, cut, login};
use keywatch_event::Class;

/// The name of the probe a device receives when it is enabled.
pub(super) const PROBE: &str = "sys/audit/test";

/// A call below `sys/`.
pub(super) fn sys(verb: Verb, path: &str) -> Target<'_> {
    let (head, tail) = cut(path);
    match (head, verb) {
        ("raw", Verb::Delete) => Target::plain(Class::SecretPurge),
        ("raw", Verb::Read | Verb::List | Verb::Write) => Target::plain(Class::Export),
        ("storage", _) => Target::plain(storage(verb, tail)),
        ("rekey", Verb::Read) if tail.ends_with("backup") => Target::plain(Class::Export),
        (_, Verb::Write | Verb::Delete) => sys_change(verb, head, tail),
        _ => Target::plain(Class::Other),
    }
}

fn sys_change<'p>(verb: Verb, head: &str, tail: &'p str) -> Target<'p> {
    match head {
        "audit" if !tail.is_empty() => Target::plain(Class::AuditTamper),
        "config" => Target::plain(config(tail)),
        "mounts" if tail.is_empty() => Target::plain(Class::Other),
        "mounts" if verb == Verb::Delete => Target::on(Class::SecretPurge, tail, ""),
        "mounts" => Target::within(Class::AdminMount, tail.strip_suffix("/tune").unwrap_or(tail)),
        "namespaces" if verb == Verb::Delete && !tail.is_empty() => Target::on(Class::SecretPurge, tail, ""),
        "namespaces" | "remount" | "auth" | "plugins" | "quotas" => Target::plain(Class::AdminMount),
        // The second step of a login with a second factor.
        "mfa" if tail == "validate" => Target::plain(Class::AuthOk),
        "policies" | "policy" | "mfa" => Target::plain(Class::PolicyChange),
        "seal"
        | "unseal"
        | "step-down"
        | "generate-root"
        | "generate-recovery-token"
        | "rekey"
        | "rekey-recovery-key"
        | "rotate"
        | "replication" => Target::plain(Class::AdminSeal),
        "leases" => leases(cut(tail)),
        "revoke-prefix" | "revoke-force" => leases((head, tail)),
        // What is wrapped lies in a cubbyhole; which secret it was is not in the record.
        "wrapping" if tail == "unwrap" => Target::within(Class::SecretRead, "cubbyhole"),
        _ => Target::plain(Class::Other),
    }
}

fn config(tail: &str) -> Class {
    match cut(tail).0 {
        "auditing" => Class::AuditTamper,
        "cors" | "ui" => Class::AdminMount,
        "control-group" | "group-policy-application" => Class::PolicyChange,
        _ => Class::Other,
    }
}

/// Integrated storage. A snapshot holds every secret; restoring one replaces them all.
fn storage(verb: Verb, tail: &str) -> Class {
    match (tail, verb) {
        ("raft/snapshot", Verb::Read) => Class::Export,
        ("raft/snapshot" | "raft/snapshot-force", Verb::Write) => Class::AdminSeal,
        (_, Verb::Write) if tail.starts_with("raft/snapshot-auto/config/") => Class::Export,
        _ => Class::Other,
    }
}

/// Revoking every lease below a prefix takes all dynamic secrets away that it gave out.
fn leases<'p>((action, prefix): (&str, &'p str)) -> Target<'p> {
    if !matches!(action, "revoke-prefix" | "revoke-force") {
        return Target::plain(Class::Other);
    }
    match cut(prefix) {
        ("", _) => Target::plain(Class::SecretDelete),
        (mount, name) => Target::on(Class::SecretDelete, mount, name),
    }
}

/// A call below `auth/`; `path` with that prefix.
pub(super) fn auth(verb: Verb, path: &str) -> Class {
    // The browser comes back from its identity provider with a GET.
    let answers = verb == Verb::Write || verb == Verb::Read && path.ends_with("/callback");
    let (method, tail) = cut(path.strip_prefix("auth/").unwrap_or_default());
    match method {
        _ if answers && login(path).is_some() => Class::AuthOk,
        _ if !verb.changes() || tail.is_empty() => Class::Other,
        "token" => token(verb, tail),
        _ => method_change(verb, tail),
    }
}

fn method_change(verb: Verb, tail: &str) -> Class {
    let mut ends = tail.rsplit('/');
    let (last, before) = (ends.next().unwrap_or_default(), ends.next().unwrap_or_default());
    let asks = matches!(before, "secret-id" | "secret-id-accessor" | "tidy")
        || last == "tidy"
        || before == "oidc" && matches!(last, "auth_url" | "poll");
    match last {
        _ if asks => Class::Other,
        "secret-id" | "custom-secret-id" if verb == Verb::Write => Class::TokenCreate,
        _ => Class::PolicyChange,
    }
}

fn token(verb: Verb, path: &str) -> Class {
    match (cut(path).0, verb) {
        ("create" | "create-orphan", Verb::Write) => Class::TokenCreate,
        ("roles", _) => Class::PolicyChange,
        _ => Class::Other,
    }
}

/// A call below `identity/`.
pub(super) fn identity(verb: Verb, path: &str) -> Target<'_> {
    if verb == Verb::Read && path.starts_with("oidc/token/") {
        return Target::on(Class::SecretRead, "identity", path).answering(Answer::Data);
    }
    let last = path.rsplit('/').next().unwrap_or_default();
    let asks = path.starts_with("lookup/")
        || path == "oidc/introspect"
        || path.starts_with("oidc/provider/") && matches!(last, "token" | "authorize" | "userinfo");
    Target::plain(if verb.changes() && !asks { Class::PolicyChange } else { Class::Other })
}
