//! Paths that belong to a secrets engine: KV in both versions, transit, PKI, databases and the
//! other engines that make credentials.

use super::path::{Answer, Call, Target, Verb, Version, cut};
use keywatch_event::Class;

/// A call to a secrets engine.
pub(super) fn target<'p>(call: &Call<'p>) -> Target<'p> {
    let first = cut(call.path).0;
    let known = call.engine.map(|engine| engine.strip_prefix("ns_").unwrap_or(engine));
    let mount = call.mount.unwrap_or_else(|| guessed_mount(call.path, known, first));
    let tail = call.path.get(mount.len()..).unwrap_or_default().trim_matches('/');
    let verb = call.verb;
    match known.or_else(|| guessed_engine(first)) {
        Some("kv") => kv(call, mount, tail),
        Some("generic" | "cubbyhole") => kv_plain(verb, mount, tail),
        Some("transit" | "gcpkms" | "transform" | "keymgmt") => keys(verb, mount, tail),
        Some("pki") => pki(verb, mount, tail),
        Some("database") => database(verb, mount, tail),
        Some(engine) => dynamic(verb, mount, tail, engine),
        None => guessed(call, mount, tail),
    }
}

/// The engines whose mount is usually called as they are, in records of Vault before 1.5, which
/// do not name the engine.
const USUAL: &[&str] = &[
    "cubbyhole",
    "kv",
    "transit",
    "pki",
    "database",
    "ssh",
    "totp",
    "aws",
    "azure",
    "gcpkms",
    "gcp",
    "alicloud",
    "ad",
    "ldap",
    "openldap",
    "consul",
    "nomad",
    "rabbitmq",
    "mongodbatlas",
    "kubernetes",
    "terraform",
    "transform",
    "keymgmt",
    "kmip",
];

/// The engine a mount is called after: `pki_int`, `kv-v2`, `aws`.
fn guessed_engine(first: &str) -> Option<&'static str> {
    if matches!(first, "secret" | "secrets") {
        return Some("kv");
    }
    USUAL.iter().copied().find(|engine| {
        let rest = first.strip_prefix(engine);
        rest.is_some_and(|rest| !rest.starts_with(|next: char| next.is_ascii_alphabetic()))
    })
}

/// The mount of a path when the record does not say it: the first segment, or all before the
/// first segment that only this engine has.
fn guessed_mount<'p>(path: &'p str, known: Option<&str>, first: &'p str) -> &'p str {
    let guess = guessed_engine(first);
    if guess.is_some() && (known.is_none() || known == guess) {
        return first;
    }
    let mut end = first.len();
    while let Some(rest) = path.get(end + 1..) {
        let (segment, after) = cut(rest);
        if belongs(segment, known) && !after.is_empty() {
            return path.get(..end).unwrap_or(first);
        }
        end += 1 + segment.len();
    }
    first
}

/// Whether a path of this engine begins with `segment`.
fn belongs(segment: &str, engine: Option<&str>) -> bool {
    match engine {
        None | Some("kv") => {
            matches!(segment, "data" | "metadata" | "delete" | "undelete" | "destroy" | "subkeys")
        }
        Some("generic" | "cubbyhole") => false,
        Some("transit") => {
            matches!(segment, "keys" | "encrypt" | "decrypt" | "sign" | "hmac" | "export" | "backup")
        }
        Some("pki") => matches!(segment, "issue" | "sign" | "sign-verbatim" | "root" | "issuer" | "key"),
        Some(_) => matches!(segment, "creds" | "static-creds" | "static-cred" | "roles" | "config"),
    }
}

/// An engine neither the record nor its mount's name tells: what its paths look like.
fn guessed<'p>(call: &Call<'p>, mount: &'p str, tail: &'p str) -> Target<'p> {
    let verb = call.verb;
    match cut(tail).0 {
        "creds" | "static-creds" | "static-cred" => dynamic(verb, mount, tail, ""),
        "encrypt" | "decrypt" | "rewrap" | "hmac" | "verify" => keys(verb, mount, tail),
        "issue" | "sign" | "sign-verbatim" => pki(verb, mount, tail),
        "role" | "roles" | "keys" | "key" | "cert" | "certs" | "ca" | "crl" => {
            Target::within(Class::Other, mount)
        }
        _ => kv(call, mount, tail),
    }
}

/// KV whose version is not in the record. A path that version 2 would serve is read as one, since
/// version 1 secrets called `data/…` are rare; every other path is one of version 1.
fn kv<'p>(call: &Call<'p>, mount: &'p str, tail: &'p str) -> Target<'p> {
    if tail == "config" && call.settings {
        let class = if call.verb.changes() { Class::AdminMount } else { Class::SecretMeta };
        return Target::within(class, mount);
    }
    kv_versioned(call.verb, mount, tail).unwrap_or_else(|| kv_plain(call.verb, mount, tail))
}

fn kv_plain<'p>(verb: Verb, mount: &'p str, tail: &'p str) -> Target<'p> {
    match verb {
        Verb::Read => Target::on(Class::SecretRead, mount, tail).answering(Answer::AnyData),
        Verb::List => Target::within(Class::SecretList, mount).answering(Answer::Data),
        Verb::Write => Target::on(Class::SecretWrite, mount, tail),
        Verb::Delete => Target::on(Class::SecretPurge, mount, tail),
        Verb::Other => Target::within(Class::Other, mount),
    }
}

fn kv_versioned<'p>(verb: Verb, mount: &'p str, tail: &'p str) -> Option<Target<'p>> {
    let (head, name) = cut(tail);
    if verb == Verb::List {
        let lists = matches!(head, "data" | "metadata" | "detailed-metadata");
        return lists.then(|| Target::within(Class::SecretList, mount).answering(Answer::Data));
    }
    let (class, version) = match (head, verb) {
        ("data", Verb::Read) => (Class::SecretRead, Version::Read),
        ("data", Verb::Write) => (Class::SecretWrite, Version::Written),
        ("data", Verb::Delete) => (Class::SecretDelete, Version::None),
        ("metadata", Verb::Read) => (Class::SecretMeta, Version::None),
        ("metadata", Verb::Write) => (Class::SecretWrite, Version::None),
        ("metadata", Verb::Delete) => (Class::SecretPurge, Version::None),
        ("subkeys", Verb::Read) => (Class::SecretMeta, Version::Read),
        ("delete", Verb::Write) => (Class::SecretDelete, Version::Chosen),
        ("undelete", Verb::Write) => (Class::SecretWrite, Version::Chosen),
        ("destroy", Verb::Write) => (Class::SecretPurge, Version::Chosen),
        _ => return None,
    };
    let answer = if verb == Verb::Read { Answer::Data } else { Answer::Any };
    (!name.is_empty()).then(|| Target::on(class, mount, name).answering(answer).version(version))
}

/// Engines that keep keys and use them for the caller.
fn keys<'p>(verb: Verb, mount: &'p str, tail: &'p str) -> Target<'p> {
    let (head, rest) = cut(tail);
    let (first, second) = cut(rest);
    let name = match head {
        // The kind of key, or the destination, stands before the key.
        "export" | "byok-export" | "datakey" => cut(second).0,
        "keys" | "key" | "encrypt" | "decrypt" | "rewrap" | "reencrypt" | "encode" | "decode" | "sign"
        | "verify" | "hmac" | "backup" => first,
        _ => "",
    };
    let class = keys_class(verb, head, second);
    let target = if name.is_empty() { Target::within(class, mount) } else { Target::on(class, mount, name) };
    target.answering(if verb == Verb::Read { Answer::Data } else { Answer::Any })
}

fn keys_class(verb: Verb, head: &str, action: &str) -> Class {
    match (head, verb, action) {
        ("decrypt" | "sign" | "hmac" | "decode", Verb::Write, _) => Class::KeyUse,
        ("export" | "byok-export" | "backup", Verb::Read, _) => Class::Export,
        ("keys" | "key", Verb::List, _) => Class::SecretList,
        ("keys" | "key", Verb::Read, "") => Class::SecretMeta,
        ("keys" | "key", Verb::Delete, "") | ("keys", Verb::Write, "trim" | "soft-delete") => {
            Class::KeyDestroy
        }
        ("keys", Verb::Write, "config") => Class::PolicyChange,
        _ => Class::Other,
    }
}

/// Certificates. An issued or signed certificate is a credential handed out.
fn pki<'p>(verb: Verb, mount: &'p str, tail: &'p str) -> Target<'p> {
    let (head, rest) = cut(tail);
    let action = match head {
        "issuer" => cut(cut(rest).1).0,
        "root" => cut(rest).0,
        _ => head,
    };
    let issues =
        matches!(action, "issue" | "sign" | "sign-verbatim" | "sign-intermediate" | "sign-self-issued");
    let class = match verb {
        Verb::Write if tail.ends_with("/exported") => Class::Export,
        Verb::Write if issues => Class::SecretRead,
        Verb::Delete if matches!(head, "root" | "key" | "issuer") => Class::KeyDestroy,
        Verb::Read | Verb::List | Verb::Write | Verb::Delete | Verb::Other => {
            return Target::within(Class::Other, mount);
        }
    };
    Target::on(class, mount, tail)
}

/// Databases: besides credentials, connections and roles, without which no credential is made.
fn database<'p>(verb: Verb, mount: &'p str, tail: &'p str) -> Target<'p> {
    match (cut(tail).0, verb) {
        ("roles" | "static-roles" | "config", Verb::Delete) => Target::on(Class::SecretPurge, mount, tail),
        ("roles" | "static-roles" | "config", Verb::Write) => Target::on(Class::SecretWrite, mount, tail),
        _ => dynamic(verb, mount, tail, "database"),
    }
}

/// Engines that make credentials when asked.
fn dynamic<'p>(verb: Verb, mount: &'p str, tail: &'p str, engine: &str) -> Target<'p> {
    let head = cut(tail).0;
    let last = tail.rsplit('/').next().unwrap_or_default();
    let asks = matches!(verb, Verb::Read | Verb::Write);
    let made = match (head, last) {
        ("creds" | "static-creds" | "static-cred" | "token", _) | ("library", "check-out") => asks,
        ("code", _) => verb == Verb::Read,
        ("sts", _) => asks && engine == "aws",
        ("issue" | "sign", _) => verb == Verb::Write && engine == "ssh",
        (_, "token" | "key") | ("key", _) => asks && engine == "gcp",
        _ => false,
    };
    if made {
        return Target::on(Class::SecretRead, mount, tail).answering(Answer::Data);
    }
    let rotates = matches!(head, "rotate-root" | "rotate-role") || last == "rotate-root";
    if verb == Verb::Write && rotates {
        return Target::on(Class::SecretWrite, mount, tail);
    }
    Target::within(Class::Other, mount)
}
