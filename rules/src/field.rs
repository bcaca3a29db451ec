//! The fields a rule may name, and their values in one event.
//!
//! A name is one of the normalised fields, or `raw.` and a dotted path into the provider's own
//! record. A field may have no value, one, or several (an event that names three secrets has
//! three `secrets.id`).

use crate::view::View;
use keywatch_event::{AuditEvent, network_of};
use std::borrow::Cow;

/// One field of an event.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Field {
    /// A normalised field.
    Normal(Normal),
    /// A dotted path into the raw record.
    Raw(Vec<String>),
}

macro_rules! normal_fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The normalised fields, by the names of the public event contract.
        #[derive(Clone, Copy, Debug, PartialEq, Eq)]
        pub enum Normal { $($(#[$doc])* $variant,)+ }

        impl Normal {
            /// Every name a rule may use.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];
            fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }
        }
    };
}

normal_fields! {
    /// The provider: aws, gcp, azure, vault.
    Provider = "provider",
    /// The provider's service.
    Service = "service",
    /// Where the secret lives.
    Store = "store",
    /// Account, project, subscription or namespace.
    Account = "account",
    /// Region.
    Region = "region",
    /// The provider's own name of the call.
    Operation = "operation",
    /// Canonical class.
    Class = "class",
    /// Outcome.
    Outcome = "outcome",
    /// The provider's error code.
    ErrorCode = "error.code",
    /// The provider's error text.
    ErrorMessage = "error.message",
    /// Stable identity.
    PrincipalId = "principal.id",
    /// Kind of identity.
    PrincipalKind = "principal.kind",
    /// Readable name.
    PrincipalName = "principal.name",
    /// Session behind a shared identity.
    PrincipalSession = "principal.session",
    /// Access key id.
    PrincipalAccessKey = "principal.access_key",
    /// The service acting for the principal.
    PrincipalVia = "principal.via",
    /// The address, when it parses.
    SourceIp = "source.ip",
    /// addr, internal, service or opaque.
    SourceKind = "source.kind",
    /// The source as the record says it.
    SourceRaw = "source.raw",
    /// The address generalised to /24 or /48.
    SourceNetwork = "source.network",
    /// The client's description of itself.
    UserAgent = "user_agent",
    /// Canonical ids of the secrets named.
    SecretsId = "secrets.id",
    /// Names of the secrets named.
    SecretsName = "secrets.name",
    /// What the record repeats, for echoes.
    EchoOf = "echo_of",
    /// Planned.
    Planned = "planned",
    /// Network and user-agent family of the caller.
    Actor = "actor",
}

impl Field {
    /// Reads a field name.
    ///
    /// # Errors
    /// What to write instead.
    pub fn parse(name: &str, source: &crate::log_source::LogSource) -> Result<Self, String> {
        if source.origin() != crate::log_source::Origin::Keywatch {
            return Ok(Self::Raw(name.split('.').map(str::to_owned).collect()));
        }
        if let Some(path) = name.strip_prefix("raw.") {
            return Ok(Self::Raw(path.split('.').map(str::to_owned).collect()));
        }
        Normal::parse(name).map(Self::Normal).ok_or_else(|| {
            let near = crate::problem::suggest(name, Normal::NAMES);
            format!("{near} (a field of the provider's own record is written `raw.{name}`)")
        })
    }

    /// Whether this is the named normalised field.
    #[must_use]
    pub fn is(&self, normal: Normal) -> bool {
        *self == Self::Normal(normal)
    }

    /// Calls `visit` with each value until it answers true; whether it did.
    pub fn any(&self, view: &View<'_>, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        match self {
            Self::Raw(path) => raw_any(view.seen().raw, path, visit),
            Self::Normal(Normal::SecretsId) => view.seen().event.secrets.iter().any(|s| visit(&s.id)),
            Self::Normal(Normal::SecretsName) => view.seen().event.secrets.iter().any(|s| visit(&s.name)),
            Self::Normal(field) => field.value(view.seen().event).is_some_and(|value| visit(&value)),
        }
    }

    /// Every value, owned.
    #[must_use]
    pub fn values(&self, view: &View<'_>) -> Vec<String> {
        let mut all = Vec::new();
        self.any(view, &mut |value| {
            all.push(value.to_owned());
            false
        });
        all
    }
}

impl Normal {
    fn value<'e>(self, event: &'e AuditEvent<'_>) -> Option<Cow<'e, str>> {
        fn some<'e>(text: Option<&'e Cow<'_, str>>) -> Option<Cow<'e, str>> {
            text.map(|text| Cow::Borrowed(&**text))
        }
        let principal = &event.principal;
        match self {
            Self::Provider => Some(Cow::Borrowed(event.provider.as_str())),
            Self::Service => some(Some(&event.service)),
            Self::Store => some(event.store.as_ref()),
            Self::Account => some(event.account.as_ref()),
            Self::Region => some(event.region.as_ref()),
            Self::Operation => some(Some(&event.operation)),
            Self::Class => Some(Cow::Borrowed(event.class.as_str())),
            Self::Outcome => Some(Cow::Borrowed(event.outcome.as_str())),
            Self::ErrorCode => some(event.error.as_ref().and_then(|e| e.code.as_ref())),
            Self::ErrorMessage => some(event.error.as_ref().and_then(|e| e.message.as_ref())),
            Self::PrincipalId => some(Some(&principal.id)),
            Self::PrincipalKind => Some(Cow::Borrowed(principal.kind.as_str())),
            Self::PrincipalName => some(principal.name.as_ref()),
            Self::PrincipalSession => some(principal.session.as_ref()),
            Self::PrincipalAccessKey => some(principal.access_key.as_ref()),
            Self::PrincipalVia => some(principal.via.as_ref()),
            Self::SourceIp => event.source.ip.map(|ip| Cow::Owned(ip.to_string())),
            Self::SourceKind => Some(Cow::Borrowed(event.source.kind.as_str())),
            Self::SourceRaw => some(event.source.raw.as_ref()),
            Self::SourceNetwork => event.source.ip.map(|ip| Cow::Owned(network_of(ip))),
            Self::UserAgent => some(event.user_agent.as_ref()),
            Self::SecretsId => some(event.secrets.first().map(|s| &s.id)),
            Self::SecretsName => some(event.secrets.first().map(|s| &s.name)),
            Self::EchoOf => some(event.echo_of.as_ref()),
            Self::Planned => None,
            Self::Actor => Some(Cow::Owned(event.actor_fingerprint())),
        }
    }
}

/// Visits the scalars at `path`; an array on the way stands for each of its elements.
fn raw_any(raw: &[u8], path: &[String], visit: &mut dyn FnMut(&str) -> bool) -> bool {
    let Ok(root) = serde_json::from_slice::<serde_json::Value>(raw) else { return false };
    walk(&root, path, visit)
}

fn walk(value: &serde_json::Value, path: &[String], visit: &mut dyn FnMut(&str) -> bool) -> bool {
    use serde_json::Value;
    match (value, path.split_first()) {
        (Value::Array(items), _) => items.iter().any(|item| walk(item, path, visit)),
        (Value::Object(map), Some((key, rest))) => map.get(key).is_some_and(|next| walk(next, rest, visit)),
        (Value::String(text), None) => visit(text),
        (Value::Number(number), None) => visit(&number.to_string()),
        (Value::Bool(truth), None) => visit(if *truth { "true" } else { "false" }),
        _ => false,
    }
}
