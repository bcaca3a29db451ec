//! Identities: the forms of `principal.id`, which `ingest` gives whoever a record names.
//!
//! A plain name may be the display name of a Vault token, so only those that begin as such names do are
//! let through where ids alone are compared.

use super::{Arn, Misfit, is_guid, is_number, literal};

/// What a list of identities is compared with.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Named {
    ById,
    ByIdOrName,
}

/// How tokens of Vault begin: those behind which no entity stands are known by what they say of
/// themselves.
const VAULT: &[&str] =
    &["token", "login:", "approle", "kubernetes-", "jwt-", "oidc-", "ldap-", "userpass-", "cert-"];
/// Tokens themselves, which stand in no log and must stand in no list.
const TOKENS: &[&str] = &["hvs.", "hvb.", "hvr.", "s.", "b."];
/// Prefixes of access keys and of what acts by no record
/// (<https://docs.aws.amazon.com/IAM/latest/UserGuide/reference_identifiers.html>).
const KEYS: &[&str] = &["AKIA", "ASIA"];
const UNIQUE: &[&str] = &["AROA", "AIDA"];
/// Words that Google Cloud's policies put before an address.
const MEMBERS: &[&str] = &["user:", "serviceAccount:"];
/// Digits of an access key's or a role's unique id.
const UNIQUE_CHARS_MIN: usize = 16;
/// Characters of a token behind its prefix, at least
/// (<https://developer.hashicorp.com/vault/docs/concepts/tokens#token-prefixes>).
const TOKEN_CHARS_MIN: usize = 24;
/// What is to be copied: messages and the dashboard show the id beside the name.
const COPY: &str = "write the id that an alert shows as Who beside the name";

pub(super) fn misfit(entry: &str, named: Named) -> Option<Misfit> {
    let (before, whole) = literal(entry);
    // A wildcard at the start may stand for whatever an id begins with.
    if before.is_empty() {
        return None;
    }
    if before.starts_with("arn:") {
        return arn(entry).err();
    }
    let wrong = |what: &str, remedy: &str| Some(Misfit::new(format!("`{entry}` {what}"), remedy));
    if is_token(before) {
        // Never repeated: this goes to logs.
        return Some(Misfit::new(
            "an entry looks like a token of Vault",
            "take it out and revoke it; write the entity's id",
        ));
    }
    let is_unique = |start: &&str| before.starts_with(*start) && before.len() >= UNIQUE_CHARS_MIN;
    if KEYS.iter().any(is_unique) {
        return wrong("is an access key, and keys change", "write the ARN of the user or role it belongs to");
    }
    for resource in ["role/", "user/"] {
        if before.starts_with(resource) {
            let remedy = format!("write arn:aws:iam::ACCOUNT:{entry}, or *:{entry} for every account");
            return wrong("is the end of an ARN", &remedy);
        }
    }
    if before.starts_with("/subscriptions/") {
        return wrong(
            "is a resource; who acts is its identity",
            "write the object id of its managed identity",
        );
    }
    if let Some((_, address)) = entry.split_once("/serviceAccounts/") {
        return wrong("is a path; who acts is the address in it", &format!("write {address}"));
    }
    if let Some(address) = MEMBERS.iter().find_map(|word| entry.strip_prefix(word)) {
        return wrong("begins with a word that records leave out", &format!("write {address}"));
    }
    if before.starts_with("group:") || before.starts_with("domain:") {
        return wrong("is not one who acts", "write its members one by one");
    }
    if before.contains('@') {
        return address(entry, before, whole);
    }
    (named == Named::ById).then(|| by_id(entry, before, whole)).flatten()
}

/// Whether this looks like a token: `hvs.` and 24 characters or more, none of which ends a word.
fn is_token(entry: &str) -> bool {
    let rest = TOKENS.iter().find_map(|start| entry.strip_prefix(start));
    let is_random =
        |rest: &str| rest.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-".contains(&byte));
    rest.is_some_and(|rest| rest.len() >= TOKEN_CHARS_MIN && is_random(rest))
}

fn address(entry: &str, before: &str, whole: bool) -> Option<Misfit> {
    let domain = before.rsplit('@').next().unwrap_or_default();
    let is_stranger = before.starts_with("anon@") || before.starts_with("withheld@");
    if !whole || is_stranger {
        return None;
    }
    if domain.contains("gserv") && !domain.ends_with("gserviceaccount.com") {
        let what = format!("`{entry}` is nearly the address of a service account");
        return Some(Misfit::new(what, "write NAME@PROJECT.iam.gserviceaccount.com"));
    }
    (!domain.contains('.')).then(|| Misfit::new(format!("`{entry}` has no domain behind its @"), COPY))
}

/// An entry that is no ARN and no address, where names are not compared.
fn by_id(entry: &str, before: &str, whole: bool) -> Option<Misfit> {
    let is_hex = |text: &str| text.len() >= 20 && text.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-');
    if whole && is_hex(before) {
        // People of IAM Identity Center have ten digits more before it.
        let short = before.split_once('-').filter(|(head, _)| head.len() == 10).map(|(_, rest)| rest);
        let fits = is_guid(before) || short.is_some_and(is_guid);
        return (!fits).then(|| {
            Misfit::new(format!("`{entry}` is nearly the id of an object"), "an id has 8-4-4-4-12 digits")
        });
    }
    let starts = |known: &[&str]| known.iter().any(|start| before.starts_with(start));
    let fits = starts(VAULT)
        || starts(UNIQUE)
        || before == "root"
        || before.contains(':')
        || is_number(before)
        || (whole && before.ends_with(".amazonaws.com"))
        // The beginning of an id may be all there is before a wildcard.
        || (!whole && (before.bytes().all(|b| b.is_ascii_hexdigit() || b == b'-') || "arn:".starts_with(before)));
    (!fits).then(|| {
        Misfit::new(
            format!("`{entry}` reads like a name, and the list is compared with ids"),
            format!("{COPY}: arn:aws:iam::111122223333:role/NAME, NAME@PROJECT.iam.gserviceaccount.com, the object id of Azure, the entity id of Vault"),
        )
    })
}

/// An ARN of somebody who can act.
fn arn(entry: &str) -> Result<(), Misfit> {
    let Some(Arn { service, region, account, resource }) = Arn::of(entry)? else { return Ok(()) };
    let wrong = |what: &str, remedy: String| Err(Misfit::new(format!("`{entry}` {what}"), remedy));
    let (_, whole) = literal(entry);
    let kind = resource.split(['/', ':']).next().unwrap_or_default();
    let name = resource.split('/').nth(1).unwrap_or_default();
    match (service, kind) {
        ("sts", "assumed-role") => wrong(
            "is one session, and a role is the same in all",
            format!("write arn:aws:iam::{account}:role/{name}, with the role's path where it has one"),
        ),
        ("sts", "federated-user") => {
            wrong("is a session anybody may name", "write the ARN of the user who asks for it".to_owned())
        }
        ("iam", _) if !region.is_empty() => wrong(
            "names a region, which identities have not",
            format!("write arn:aws:iam::{account}:{resource}"),
        ),
        ("iam", "role" | "user") if whole && name.is_empty() => {
            wrong("names nobody", format!("write arn:aws:iam::{account}:{kind}/NAME"))
        }
        ("iam", "role" | "user" | "root" | "saml-provider" | "oidc-provider") => Ok(()),
        // What was meant to stand there may come behind the wildcard.
        (_, kind) if !whole && !resource.contains(['/', ':']) && kind.len() < 13 => Ok(()),
        _ => wrong(
            "never acts: a policy, a group, a function or a machine acts through a role",
            "write the role: arn:aws:iam::ACCOUNT:role/NAME".to_owned(),
        ),
    }
}
