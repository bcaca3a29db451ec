//! What a Vault path means: which class of action an operation on it is, and on which object.
//!
//! Pure text: nothing here sees a response or decides whether a call succeeded. The facts are
//! those of the HTTP API pages of HashiCorp Vault and OpenBao, one per engine.

use super::{engine, system};
use keywatch_event::Class;

/// What a request wants to do, whatever words its engine has for it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Verb {
    Read,
    List,
    Write,
    Delete,
    /// `help`, `revoke`, `rollback` and what is not known yet: never an access.
    Other,
}

/// One request, as far as its meaning goes.
#[derive(Clone, Copy, Debug)]
pub(super) struct Call<'p> {
    pub(super) verb: Verb,
    /// Path within the namespace, without slashes at its ends.
    pub(super) path: &'p str,
    /// Mount within the namespace, when the record tells; a beginning of `path`.
    pub(super) mount: Option<&'p str>,
    /// Type of the engine mounted there, when the record tells.
    pub(super) engine: Option<&'p str>,
    /// Whether the data are the settings of a KV version 2 engine. Only they tell its `config`
    /// from a version 1 secret of that name.
    pub(super) settings: bool,
}

/// What an answer must hold for a call without error to have succeeded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Answer {
    /// Nothing in particular.
    Any,
    /// Data that the engine made up.
    Data,
    /// Data that a client once wrote, whatever their names.
    AnyData,
}

/// Where a record says which version it is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Version {
    /// Nowhere.
    None,
    /// The version asked for, else the one answered.
    Read,
    /// The versions listed in the request.
    Chosen,
    /// The version that was created.
    Written,
}

/// An object within a mount; an empty `name` is the mount itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Object<'p> {
    pub(super) mount: &'p str,
    pub(super) name: &'p str,
}

/// What a call is about. [`Class::AuthOk`] stands for a login whose success is still to be seen.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Target<'p> {
    pub(super) class: Class,
    pub(super) mount: Option<&'p str>,
    pub(super) object: Option<Object<'p>>,
    pub(super) answer: Answer,
    pub(super) version: Version,
}

impl<'p> Target<'p> {
    /// An action on no object.
    pub(super) const fn plain(class: Class) -> Self {
        Self { class, mount: None, object: None, answer: Answer::Any, version: Version::None }
    }

    /// An action on a mount, but on none of its objects.
    pub(super) const fn within(class: Class, mount: &'p str) -> Self {
        Self { mount: Some(mount), ..Self::plain(class) }
    }

    /// An action on one object.
    pub(super) const fn on(class: Class, mount: &'p str, name: &'p str) -> Self {
        Self { object: Some(Object { mount, name }), ..Self::within(class, mount) }
    }

    /// The same action, successful only when it answers so.
    pub(super) const fn answering(self, answer: Answer) -> Self {
        Self { answer, ..self }
    }

    /// The same action, with its version to be found there.
    pub(super) const fn version(self, version: Version) -> Self {
        Self { version, ..self }
    }
}

impl Verb {
    /// Reads the record's `operation`.
    pub(super) fn of(operation: &str) -> Self {
        match operation {
            "read" => Self::Read,
            "list" | "scan" => Self::List,
            "create" | "update" | "patch" => Self::Write,
            "delete" => Self::Delete,
            _ => Self::Other,
        }
    }

    /// Whether it changes something.
    pub(super) const fn changes(self) -> bool {
        matches!(self, Self::Write | Self::Delete)
    }
}

/// Decides what a call is about.
pub(super) fn target<'p>(call: &Call<'p>) -> Target<'p> {
    let (head, tail) = cut(call.path);
    match head {
        "sys" => system::sys(call.verb, tail),
        "auth" => Target::plain(system::auth(call.verb, call.path)),
        "identity" => system::identity(call.verb, tail),
        "" => Target::plain(Class::Other),
        _ => engine::target(call),
    }
}

/// Splits a path at its first slash.
pub(super) fn cut(path: &str) -> (&str, &str) {
    path.split_once('/').unwrap_or((path, ""))
}

/// The part of `path` that is its mount, from what the record says of the mount. Vault puts the
/// namespace before the mount and not before the path (`blue/kv/` and `kv/data/app`).
pub(super) fn said_mount<'p>(path: &'p str, said: &str, namespace: &str) -> Option<&'p str> {
    let said = said.trim_matches('/');
    let without = said.strip_prefix(namespace).and_then(|rest| rest.strip_prefix('/'));
    let candidates = [without, Some(said)];
    candidates.into_iter().flatten().find_map(|mount| {
        let rest = path.strip_prefix(mount)?;
        let whole = !mount.is_empty() && (rest.is_empty() || rest.starts_with('/'));
        whole.then(|| path.get(..mount.len())).flatten()
    })
}

/// The login a path is about: the auth mount, and the account when it stands in the path
/// (`auth/userpass/login/alice`).
pub(super) fn login(path: &str) -> Option<(&str, &str)> {
    let tail = path.strip_prefix("auth/")?;
    let mut from = tail.find('/')?;
    loop {
        let rest = tail.get(from + 1..)?;
        let (segment, after) = cut(rest);
        let before = tail.get(..from)?;
        if segment == "login" && !names_follow(before) {
            return Some((before, after));
        }
        if matches!(rest, "oidc/callback" | "saml/callback") {
            return Some((before, ""));
        }
        from += 1 + rest.find('/')?;
    }
}

/// Whether what follows `before` is a name somebody chose, so that `users/login` is a user.
fn names_follow(before: &str) -> bool {
    let last = before.rsplit_once('/').map(|(_, last)| last);
    let named = ["user", "users", "role", "roles", "group", "groups", "map", "cert", "certs", "config"];
    last.is_some_and(|last| named.contains(&last))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mount_is_found_with_and_without_its_namespace() {
        for (path, said, namespace, want) in [
            ("kv/data/app", "blue/kv/", "blue", Some("kv")),
            ("kv/data/app", "kv/", "", Some("kv")),
            ("kv/data/app", "kv/kv/", "kv", Some("kv")),
            ("team/kv/data/app", "team/kv/", "", Some("team/kv")),
            ("kvx/data/app", "kv/", "", None),
            ("kv", "kv/", "", Some("kv")),
            ("kv/data/app", "", "", None),
        ] {
            assert_eq!(said_mount(path, said, namespace), want, "{path} {said} {namespace}");
        }
    }

    #[test]
    fn a_login_is_told_from_an_account_called_login() {
        for (path, want) in [
            ("auth/userpass/login/alice", Some(("userpass", "alice"))),
            ("auth/approle/login", Some(("approle", ""))),
            ("auth/corp/ldap/login/bob", Some(("corp/ldap", "bob"))),
            ("auth/oidc/oidc/callback", Some(("oidc", ""))),
            ("auth/userpass/users/login", None),
            ("auth/approle/role/login/secret-id", None),
            ("auth/login", None),
            ("secret/data/login", None),
            ("auth/", None),
        ] {
            assert_eq!(login(path), want, "{path}");
        }
    }
}
