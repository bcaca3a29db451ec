//! The normalised fields, and those computed from them.

use crate::view::View;
use keywatch_event::{Class, Outcome, PrincipalKind, Provider, SourceKind};
use std::borrow::Cow;

macro_rules! normal_fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal,)+) => {
        /// The normalised fields, by the names of the public event contract, and the derived ones.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub enum Normal { $($(#[$doc])* $variant,)+ }

        impl Normal {
            /// Every name a rule may use.
            pub const NAMES: &'static [&'static str] = &[$($name,)+];

            /// The field of that name.
            #[must_use]
            pub fn parse(name: &str) -> Option<Self> {
                match name { $($name => Some(Self::$variant),)+ _ => None }
            }

            /// The name a rule uses.
            #[must_use]
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $name,)+ }
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
    /// The session without what changes from one to the next: `botocore-session-#`.
    PrincipalSessionFamily = "principal.session_family",
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
    /// Number of the autonomous system, when a database is supplied.
    SourceAsn = "source.asn",
    /// Country as two letters, when a database is supplied.
    SourceCountry = "source.country",
    /// The client's description of itself.
    UserAgent = "user_agent",
    /// Its first product name, lower case, without version.
    UserAgentFamily = "user_agent.family",
    /// Canonical ids of the secrets named.
    SecretsId = "secrets.id",
    /// Names of the secrets named.
    SecretsName = "secrets.name",
    /// How many secrets are named.
    SecretsCount = "secrets.count",
    /// What the record repeats, for echoes.
    EchoOf = "echo_of",
    /// Network and user-agent family of the caller.
    Actor = "actor",
    /// Hour of the event, UTC: `00` to `23`.
    TimeHour = "time.hour",
    /// Day of the event, UTC: mon, tue, wed, thu, fri, sat, sun.
    TimeWeekday = "time.weekday",
    /// Seconds from event to receipt.
    TimeDelay = "time.delay",
    /// Whether the record's own time was not believed: true, false.
    TimeMisdated = "time.misdated",
    /// Whom a change opens something to.
    GranteeId = "grantee.id",
    /// public, account, domain, user, group, service, role or policy.
    GranteeKind = "grantee.kind",
    /// public, foreign or own.
    GranteeScope = "grantee.scope",
    /// Whether an announced access covers the event: true, false.
    Planned = "planned",
}

impl Normal {
    /// The words a field is made of, when the vocabulary is closed.
    pub(crate) fn vocabulary(self) -> Option<&'static [&'static str]> {
        match self {
            Self::Provider => Some(Provider::NAMES),
            Self::Class => Some(Class::NAMES),
            Self::Outcome => Some(Outcome::NAMES),
            Self::SourceKind => Some(SourceKind::NAMES),
            Self::PrincipalKind => Some(PrincipalKind::NAMES),
            Self::TimeWeekday => Some(super::derived::WEEKDAYS),
            Self::TimeMisdated | Self::Planned => Some(&["true", "false"]),
            Self::GranteeKind => Some(super::grantee::KINDS),
            Self::GranteeScope => Some(super::grantee::SCOPES),
            _ => None,
        }
    }

    pub(super) fn any(self, view: &View<'_>, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        let secrets = &view.event().secrets;
        match self {
            Self::SecretsId => secrets.iter().any(|secret| visit(&secret.id)),
            Self::SecretsName => secrets.iter().any(|secret| visit(&secret.name)),
            Self::GranteeId => view.grantees().iter().any(|grantee| visit(&grantee.id)),
            Self::GranteeKind => view.grantees().iter().any(|grantee| visit(grantee.kind)),
            Self::GranteeScope => view.grantees().iter().any(|grantee| visit(grantee.scope)),
            Self::SecretsCount
            | Self::PrincipalSessionFamily
            | Self::SourceIp
            | Self::SourceNetwork
            | Self::SourceAsn
            | Self::SourceCountry
            | Self::UserAgentFamily
            | Self::Actor
            | Self::TimeHour
            | Self::TimeWeekday
            | Self::TimeDelay
            | Self::TimeMisdated
            | Self::Planned => view.computed(self).is_some_and(visit),
            _ => self.plain(view).is_some_and(visit),
        }
    }

    /// The value, where it stands in the event as text and is not empty.
    pub(crate) fn said<'v>(self, view: &View<'v>) -> Option<&'v str> {
        self.plain(view).filter(|value| !value.is_empty())
    }

    /// The value of a field that stands in the event as text.
    pub(crate) fn plain<'v>(self, view: &View<'v>) -> Option<&'v str> {
        fn some<'v>(text: Option<&'v Cow<'_, str>>) -> Option<&'v str> {
            text.map(|text| &**text)
        }
        let event = view.event();
        let principal = &event.principal;
        match self {
            Self::Provider => Some(event.provider.as_str()),
            Self::Service => Some(&event.service),
            Self::Store => some(event.store.as_ref()),
            Self::Account => some(event.account.as_ref()),
            Self::Region => some(event.region.as_ref()),
            Self::Operation => Some(&event.operation),
            Self::Class => Some(event.class.as_str()),
            Self::Outcome => Some(event.outcome.as_str()),
            Self::ErrorCode => some(event.error.as_ref().and_then(|error| error.code.as_ref())),
            Self::ErrorMessage => some(event.error.as_ref().and_then(|error| error.message.as_ref())),
            Self::PrincipalId => Some(&principal.id),
            Self::PrincipalKind => Some(principal.kind.as_str()),
            Self::PrincipalName => some(principal.name.as_ref()),
            Self::PrincipalSession => some(principal.session.as_ref()),
            Self::PrincipalAccessKey => some(principal.access_key.as_ref()),
            Self::PrincipalVia => some(principal.via.as_ref()),
            Self::SourceKind => Some(event.source.kind.as_str()),
            Self::SourceRaw => some(event.source.raw.as_ref()),
            Self::UserAgent => some(event.user_agent.as_ref()),
            Self::EchoOf => some(event.echo_of.as_ref()),
            _ => None,
        }
    }
}
