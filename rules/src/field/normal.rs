//! The normalised fields, and those computed from them.

use crate::view::View;
use keywatch_event::{Class, Outcome, PrincipalKind, Provider, SourceKind};
use std::borrow::Cow;

/// How a field's values are come by.
enum Way {
    /// It stands in the event as text.
    Plain,
    /// It is computed from the event, and is one text.
    Computed,
    /// One value per secret the event names.
    OfSecrets,
    /// One value per grantee.
    OfGrantees,
    /// One value per kind of secret value that was scrubbed.
    OfScrubbed,
}

macro_rules! normal_fields {
    ($($(#[$doc:meta])* $variant:ident = $name:literal ($way:ident),)+) => {
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

            const fn way(self) -> Way {
                match self { $(Self::$variant => Way::$way,)+ }
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
    Provider = "provider" (Plain),
    /// The provider's service.
    Service = "service" (Plain),
    /// Where the secret lives.
    Store = "store" (Plain),
    /// Account, project, subscription or namespace.
    Account = "account" (Plain),
    /// Region.
    Region = "region" (Plain),
    /// The provider's own name of the call.
    Operation = "operation" (Plain),
    /// Canonical class.
    Class = "class" (Plain),
    /// Outcome.
    Outcome = "outcome" (Plain),
    /// The provider's error code.
    ErrorCode = "error.code" (Plain),
    /// The provider's error text.
    ErrorMessage = "error.message" (Plain),
    /// Stable identity.
    PrincipalId = "principal.id" (Plain),
    /// Kind of identity.
    PrincipalKind = "principal.kind" (Plain),
    /// Readable name.
    PrincipalName = "principal.name" (Plain),
    /// Session behind a shared identity.
    PrincipalSession = "principal.session" (Plain),
    /// The session without what changes from one to the next: `botocore-session-#`.
    PrincipalSessionFamily = "principal.session_family" (Computed),
    /// Access key id.
    PrincipalAccessKey = "principal.access_key" (Plain),
    /// The service acting for the principal.
    PrincipalVia = "principal.via" (Plain),
    /// The address, when it parses.
    SourceIp = "source.ip" (Computed),
    /// addr, internal, service or opaque.
    SourceKind = "source.kind" (Plain),
    /// The source as the record says it.
    SourceRaw = "source.raw" (Plain),
    /// The address generalised to /24 or /48.
    SourceNetwork = "source.network" (Computed),
    /// Number of the autonomous system, when a database is supplied.
    SourceAsn = "source.asn" (Computed),
    /// Country as two letters, when a database is supplied.
    SourceCountry = "source.country" (Computed),
    /// The client's description of itself.
    UserAgent = "user_agent" (Plain),
    /// Its first product name, lower case, without version.
    UserAgentFamily = "user_agent.family" (Computed),
    /// Canonical ids of the secrets named.
    SecretsId = "secrets.id" (OfSecrets),
    /// Names of the secrets named.
    SecretsName = "secrets.name" (OfSecrets),
    /// How many secrets are named.
    SecretsCount = "secrets.count" (Computed),
    /// What the record repeats, for echoes.
    EchoOf = "echo_of" (Plain),
    /// Kinds of the secret values that were taken out of the record.
    Scrubbed = "scrubbed" (OfScrubbed),
    /// Network and user-agent family of the caller.
    Actor = "actor" (Computed),
    /// Hour of the event, UTC: `00` to `23`.
    TimeHour = "time.hour" (Computed),
    /// Day of the event, UTC: mon, tue, wed, thu, fri, sat, sun.
    TimeWeekday = "time.weekday" (Computed),
    /// Seconds from event to receipt.
    TimeDelay = "time.delay" (Computed),
    /// Whether the record's own time was not believed: true, false.
    TimeMisdated = "time.misdated" (Computed),
    /// Whom a change opens something to.
    GranteeId = "grantee.id" (OfGrantees),
    /// public, account, domain, user, group, service, role or policy.
    GranteeKind = "grantee.kind" (OfGrantees),
    /// public, foreign or own.
    GranteeScope = "grantee.scope" (OfGrantees),
    /// Whether an announced access covers the event: true, false.
    Planned = "planned" (Computed),
}

/// The fields whose words are known beforehand.
const VOCABULARIES: &[(Normal, &[&str])] = &[
    (Normal::Provider, Provider::NAMES),
    (Normal::Class, Class::NAMES),
    (Normal::Outcome, Outcome::NAMES),
    (Normal::SourceKind, SourceKind::NAMES),
    (Normal::PrincipalKind, PrincipalKind::NAMES),
    (Normal::TimeWeekday, super::derived::WEEKDAYS),
    (Normal::TimeMisdated, &["true", "false"]),
    (Normal::Planned, &["true", "false"]),
    (Normal::Scrubbed, keywatch_event::scrubbed::KINDS),
    (Normal::GranteeKind, super::grantee::KINDS),
    (Normal::GranteeScope, super::grantee::SCOPES),
];

impl Normal {
    /// The words a field is made of, when the vocabulary is closed.
    pub(crate) fn vocabulary(self) -> Option<&'static [&'static str]> {
        VOCABULARIES.iter().find(|(field, _)| *field == self).map(|(_, words)| *words)
    }

    /// Whether an event has one value of it at most.
    pub(crate) const fn is_single(self) -> bool {
        matches!(self.way(), Way::Plain | Way::Computed)
    }

    /// Whether every event has a value of it, which may be an empty text.
    pub(crate) const fn is_always_there(self) -> bool {
        matches!(
            self,
            Self::Provider
                | Self::Service
                | Self::Operation
                | Self::Class
                | Self::Outcome
                | Self::PrincipalId
                | Self::PrincipalKind
                | Self::SourceKind
                | Self::SecretsCount
                | Self::Actor
                | Self::TimeHour
                | Self::TimeWeekday
                | Self::TimeDelay
                | Self::TimeMisdated
                | Self::Planned
        )
    }

    pub(super) fn any(self, view: &View<'_>, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        let secrets = &view.event().secrets;
        match self.way() {
            Way::Plain => self.plain(view).is_some_and(visit),
            Way::Computed => view.computed(self).is_some_and(visit),
            Way::OfSecrets if self == Self::SecretsName => secrets.iter().any(|secret| visit(&secret.name)),
            Way::OfSecrets => secrets.iter().any(|secret| visit(&secret.id)),
            Way::OfScrubbed => view.event().scrubbed.iter().any(|kind| visit(kind)),
            Way::OfGrantees => view.grantees().iter().any(|grantee| visit(grantee.part(self))),
        }
    }

    /// Whether [`Self::plain`] says everything there is to say.
    pub(crate) const fn is_plain(self) -> bool {
        matches!(self.way(), Way::Plain)
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
            | Self::Planned
            | Self::SecretsId
            | Self::SecretsName
            | Self::Scrubbed
            | Self::GranteeId
            | Self::GranteeKind
            | Self::GranteeScope => None,
        }
    }
}
