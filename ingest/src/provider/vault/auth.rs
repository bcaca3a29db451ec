//! Who made a Vault call: the entity, else the display name, else the token's accessor, else the
//! address. Never the token: its hash differs from device to device.

use super::outcome::filled;
use crate::provider::paths;
use keywatch_event::json::Fields;
use keywatch_event::{Class, Principal, PrincipalKind};
use std::borrow::Cow;

/// How much of an accessor's hash names a token that has no other name.
const ACCESSOR_CHARS: usize = 16;

/// Auth methods of machines, as their display names begin.
const MACHINES: &[&str] = &["approle", "kubernetes", "aws", "gcp", "azure", "jwt"];

/// One description of a caller, as it stands under `auth` or `response.auth`.
#[derive(Debug, Default)]
struct Caller<'a> {
    display_name: Option<Cow<'a, str>>,
    entity_id: Option<Cow<'a, str>>,
    accessor: Option<Cow<'a, str>>,
    username: Option<Cow<'a, str>>,
    role_name: Option<Cow<'a, str>>,
    is_service_account: bool,
    is_root: bool,
}

/// The principal of a record of this class. `login` is the account a login was for, `address`
/// the caller's, without port.
pub(super) fn principal<'a>(
    fields: &Fields<'a>,
    class: Class,
    login: Option<(&str, &str)>,
    address: Option<&str>,
) -> Principal<'a> {
    let caller = caller(fields, class);
    let kind = kind(&caller);
    let Caller { display_name, entity_id, accessor, username, role_name, .. } = caller;
    let is_bare = display_name.as_deref().is_none_or(|name| name == "token");
    let id = match (entity_id, display_name.clone(), &accessor) {
        (Some(entity), _, _) => entity,
        (None, Some(name), _) if !is_bare => with_role(name, role_name.as_deref()),
        (None, _, Some(accessor)) => Cow::Owned(format!("token:{}", short(accessor))),
        (None, Some(name), None) => name,
        (None, None, None) => return stranger(login, address),
    };
    let name = username.or(role_name).or(display_name);
    Principal { id, kind, name, session: accessor, access_key: None, via: None }
}

/// A successful login is made by whom it logged in; everything else by the token's owner.
fn caller<'a>(fields: &Fields<'a>, class: Class) -> Caller<'a> {
    let logged_in = class == Class::AuthOk
        && (filled(fields, paths::VAULT_NEW_DISPLAY_NAME) || filled(fields, paths::VAULT_NEW_ENTITY_ID));
    let policies = if logged_in { paths::VAULT_NEW_POLICIES } else { paths::VAULT_POLICIES };
    let is_root = fields.texts(policies).iter().any(|policy| policy == "root");
    if logged_in {
        return Caller {
            display_name: fields.text(paths::VAULT_NEW_DISPLAY_NAME),
            entity_id: fields.text(paths::VAULT_NEW_ENTITY_ID),
            accessor: fields.text(paths::VAULT_NEW_ACCESSOR),
            username: fields.text(paths::VAULT_NEW_USERNAME),
            role_name: fields.text(paths::VAULT_NEW_ROLE_NAME),
            is_service_account: filled(fields, paths::VAULT_NEW_SERVICE_ACCOUNT),
            is_root,
        };
    }
    let accessor = fields.text(paths::VAULT_ACCESSOR);
    Caller {
        display_name: fields.text(paths::VAULT_DISPLAY_NAME),
        entity_id: fields.text(paths::VAULT_ENTITY_ID),
        accessor: accessor.or_else(|| fields.text(paths::VAULT_REQUEST_ACCESSOR)),
        username: fields.text(paths::VAULT_USERNAME),
        role_name: fields.text(paths::VAULT_ROLE_NAME),
        is_service_account: filled(fields, paths::VAULT_SERVICE_ACCOUNT),
        is_root,
    }
}

fn kind(caller: &Caller<'_>) -> PrincipalKind {
    let display_name = caller.display_name.as_deref().unwrap_or_default();
    let is_machine = MACHINES.iter().any(|method| {
        let rest = display_name.strip_prefix(method);
        rest.is_some_and(|rest| rest.is_empty() || rest.starts_with('-'))
    });
    let made_by_token = display_name == "token" || display_name.starts_with("token-");
    if caller.is_root || display_name == "root" {
        PrincipalKind::Root
    } else if is_machine || caller.role_name.is_some() || caller.is_service_account {
        PrincipalKind::ServiceAccount
    } else if caller.entity_id.is_none() && (made_by_token || display_name.is_empty()) {
        // A token made by a token: for a person or for a program, the record does not say.
        PrincipalKind::Unknown
    } else {
        PrincipalKind::User
    }
}

/// AppRole gives every role the name of the mount: without an entity the role tells them apart.
fn with_role<'a>(name: Cow<'a, str>, role: Option<&str>) -> Cow<'a, str> {
    match role {
        Some(role) if !name.ends_with(role) => Cow::Owned(format!("{name}/{role}")),
        _ => name,
    }
}

/// Somebody Vault does not know: the account they tried, else the address they came from.
fn stranger<'a>(login: Option<(&str, &str)>, address: Option<&str>) -> Principal<'a> {
    let (id, name) = match (login, address) {
        (Some((method, account)), _) if !account.is_empty() => {
            (format!("login:{method}/{account}"), Some(Cow::Owned(account.to_owned())))
        }
        (_, Some(address)) => (format!("anon@{address}"), None),
        (_, None) => ("anon".to_owned(), None),
    };
    let kind = PrincipalKind::Anonymous;
    Principal { id: Cow::Owned(id), kind, name, session: None, access_key: None, via: None }
}

fn short(accessor: &str) -> String {
    // In a log that is not hashed the accessor was scrubbed, and its fingerprint follows a tilde.
    let scrubbed = accessor.strip_prefix("[scrubbed:vault-accessor~");
    let hash = scrubbed.or_else(|| accessor.strip_prefix("hmac-sha256:")).unwrap_or(accessor);
    hash.chars().take(ACCESSOR_CHARS).collect()
}
