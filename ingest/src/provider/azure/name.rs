//! Names of Azure resources: which vault, which secret, key or certificate, whose subscription.
//!
//! Invariant: one object has one id, `https://HOST/TYPE/NAME` in lower case and without version;
//! Key Vault compares identifiers without regard to case
//! ([object identifiers](https://learn.microsoft.com/azure/key-vault/general/about-keys-secrets-certificates)).

use super::super::paths as p;
use super::super::text::part;
use super::class::{Call, Log};
use keywatch_event::SecretRef;
use keywatch_event::json::Fields;
use std::borrow::Cow;

/// What a record's resource ids say.
#[derive(Debug)]
pub(super) struct Home<'a> {
    pub(super) subscription: Option<Cow<'a, str>>,
    /// The first resource id that names a vault or managed HSM.
    path: Option<Cow<'a, str>>,
}

/// Reads the resource ids of a record.
pub(super) fn home<'a>(fields: &Fields<'a>) -> Home<'a> {
    let slots = [p::RESOURCE_ID, p::AUTHORIZATION_SCOPE, p::ACTIVITY_SCOPE, p::PROPERTIES_ENTITY];
    let paths: Vec<Cow<'a, str>> = slots.into_iter().filter_map(|slot| fields.text(slot)).collect();
    let subscription = paths.iter().find_map(|path| part(path, |path| after(path, "subscriptions")));
    Home { subscription, path: paths.into_iter().find(|path| vault(path).is_some()) }
}

/// The segment after `key`, in any case.
fn after<'n>(path: &'n str, key: &str) -> Option<&'n str> {
    let mut parts = path.split('/').skip_while(|part| !part.eq_ignore_ascii_case(key));
    parts.nth(1).filter(|id| !id.is_empty())
}

/// The id that follows one of `keys` among the pairs after the Key Vault provider.
fn of_provider<'n>(path: &'n str, keys: &[&str]) -> Option<(&'n str, &'n str)> {
    let mut parts =
        path.split('/').skip_while(|part| !part.eq_ignore_ascii_case("microsoft.keyvault")).skip(1);
    while let (Some(key), Some(id)) = (parts.next(), parts.next()) {
        if !id.is_empty() && keys.iter().any(|known| key.eq_ignore_ascii_case(known)) {
            return Some((key, id));
        }
    }
    None
}

fn vault(path: &str) -> Option<&str> {
    of_provider(path, &["vaults", "managedhsms", "deletedvaults", "deletedmanagedhsms"]).map(|(_, id)| id)
}

/// The provider: `Microsoft.KeyVault` in its own spelling, any other as the record has it.
pub(super) fn service<'a>(fields: &Fields<'a>, call: &Call, operation: &Cow<'a, str>) -> Cow<'a, str> {
    if call.is_key_vault() {
        return Cow::Borrowed("Microsoft.KeyVault");
    }
    let named = match call.log {
        Log::Activity => part(operation, |operation| operation.split('/').next()),
        Log::KeyVault | Log::Elsewhere => {
            fields.text(p::RESOURCE_ID).and_then(|id| part(&id, |id| after(id, "providers")))
        }
    };
    named.unwrap_or_default()
}

/// `kv:` and the vault's name in lower case, by its resource id, else by the host it was asked at.
pub(super) fn store(fields: &Fields<'_>, call: &Call, home: &Home<'_>) -> Option<String> {
    let named = home.path.as_deref().and_then(vault).map(str::to_ascii_lowercase);
    let asked = || {
        let uri = fields.text(p::OBJECT_ID).or_else(|| fields.text(p::REQUEST_URI))?;
        let host = Uri::split(&uri)?.host.split('.').next()?;
        (call.log == Log::KeyVault && !host.is_empty()).then(|| host.to_ascii_lowercase())
    };
    named.or_else(asked).map(|vault| format!("kv:{vault}"))
}

/// The secret, key or certificate a record names, if it names one.
pub(super) fn object<'a>(fields: &Fields<'a>, call: &Call, home: &Home<'a>) -> Option<SecretRef<'a>> {
    if !call.is_key_vault() {
        return None;
    }
    if let Some(found) = fields.text(p::OBJECT_ID).and_then(|uri| named(&uri, false)) {
        return Some(found);
    }
    // A restore is posted to the collection: `/secrets/restore` is no secret of that name.
    let posted = call.operation.ends_with("restore");
    let asked = fields.text(p::REQUEST_URI).filter(|_| !posted);
    let object = asked.and_then(|uri| named(&uri, true)).or_else(|| managed(home.path.as_deref()?));
    object.or_else(|| whole_vault(call, home))
}

/// The vault itself, when it is what was deleted or purged: both logs that tell of it then name
/// the same thing.
fn whole_vault<'a>(call: &Call, home: &Home<'_>) -> Option<SecretRef<'a>> {
    let ends = ["vaultdelete", "vaultpurge", "vaults/delete", "deletedvaults/purge/action"];
    if !ends.iter().any(|end| call.operation.ends_with(end)) {
        return None;
    }
    let vault = home.path.as_deref().and_then(vault)?.to_ascii_lowercase();
    let id = Cow::Owned(format!("https://{vault}.vault.azure.net"));
    Some(SecretRef { id, name: Cow::Owned(vault), version: None })
}

/// A request's URI, taken apart.
struct Uri<'u> {
    host: &'u str,
    kind: Option<&'static str>,
    name: Option<&'u str>,
    next: Option<&'u str>,
}

impl<'u> Uri<'u> {
    fn split(uri: &'u str) -> Option<Self> {
        let (_, rest) = uri.split_once("://")?;
        let path = rest.split(['?', '#']).next()?;
        let mut parts = path.split('/').filter(|part| !part.is_empty());
        let host = parts.next()?.split(':').next()?;
        Some(Self { host, kind: parts.next().and_then(kind), name: parts.next(), next: parts.next() })
    }
}

/// The type of object a collection holds; those in the recycle bin are the same objects.
fn kind(collection: &str) -> Option<&'static str> {
    let is = |known: &str| collection.eq_ignore_ascii_case(known);
    match () {
        () if is("secrets") || is("deletedsecrets") => Some("secrets"),
        () if is("keys") || is("deletedkeys") => Some("keys"),
        () if is("certificates") || is("deletedcertificates") => Some("certificates"),
        () => None,
    }
}

/// The object a URI names. After its name an identifier has the version, while a request may
/// have an action instead, which is not as long as the 32 digits of a version.
fn named<'a>(uri: &Cow<'a, str>, request: bool) -> Option<SecretRef<'a>> {
    let split = Uri::split(uri)?;
    let (kind, name) = (split.kind?, split.name?);
    // `/certificates/contacts` and `/certificates/issuers/…` are settings of the vault.
    if kind == "certificates"
        && (name.eq_ignore_ascii_case("contacts") || name.eq_ignore_ascii_case("issuers"))
    {
        return None;
    }
    let is_version =
        |text: &&str| !request || (text.len() == 32 && text.bytes().all(|byte| byte.is_ascii_hexdigit()));
    let vault = split.host.split('.').next().unwrap_or_default();
    Some(SecretRef {
        id: canonical(uri, kind),
        name: Cow::Owned(format!("{}/{name}", vault.to_ascii_lowercase())),
        version: part(uri, |uri| Uri::split(uri)?.next.filter(is_version)),
    })
}

/// The identifier without version, borrowed when the URI begins with it.
fn canonical<'a>(uri: &Cow<'a, str>, kind: &str) -> Cow<'a, str> {
    let made = Uri::split(uri).map_or_else(String::new, |split| {
        let name = split.name.unwrap_or_default();
        format!("https://{}/{kind}/{name}", split.host).to_ascii_lowercase()
    });
    let same = |uri: &'_ str| -> Option<usize> { uri.starts_with(&made).then_some(made.len()) };
    match uri {
        Cow::Borrowed(text) => match same(text).and_then(|end| text.get(..end)) {
            Some(head) => Cow::Borrowed(head),
            None => Cow::Owned(made),
        },
        Cow::Owned(_) => Cow::Owned(made),
    }
}

/// The object that a resource id names, as Azure Resource Manager manages it, under the host
/// vaults have in the public cloud.
fn managed<'a>(path: &str) -> Option<SecretRef<'a>> {
    let vault = vault(path)?.to_ascii_lowercase();
    let (collection, name) = of_provider(path, &["secrets", "keys", "certificates"])?;
    let id = format!("https://{vault}.vault.azure.net/{}/{}", kind(collection)?, name.to_ascii_lowercase());
    Some(SecretRef { id: Cow::Owned(id), name: Cow::Owned(format!("{vault}/{name}")), version: None })
}
