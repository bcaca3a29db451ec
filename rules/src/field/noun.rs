//! What the values of a field are called in a sentence.

use super::{Field, Normal};

impl Field {
    /// What one value is called, and several.
    pub(crate) fn noun(&self) -> (String, String) {
        match self {
            Self::Normal(normal) => {
                let (one, many) = normal.noun();
                (one.to_owned(), many.to_owned())
            }
            Self::Raw(raw) => {
                let path = raw.paths.first().map_or("", |path| path);
                let last = path.rsplit('.').next().unwrap_or(path);
                (last.to_owned(), format!("values of {last}"))
            }
        }
    }
}

impl Normal {
    const fn noun(self) -> (&'static str, &'static str) {
        match self {
            Self::Provider => ("provider", "providers"),
            Self::Service | Self::PrincipalVia => ("service", "services"),
            Self::Store => ("store", "stores"),
            Self::Account => ("account", "accounts"),
            Self::Region => ("region", "regions"),
            Self::Operation => ("operation", "operations"),
            Self::Class => ("kind of call", "kinds of calls"),
            Self::Outcome => ("outcome", "outcomes"),
            Self::ErrorCode | Self::ErrorMessage => ("error", "errors"),
            Self::PrincipalId | Self::PrincipalName => ("principal", "principals"),
            Self::PrincipalKind => ("kind of principal", "kinds of principals"),
            Self::PrincipalSession => ("session", "sessions"),
            Self::PrincipalSessionFamily => ("kind of session", "kinds of sessions"),
            Self::PrincipalAccessKey => ("access key", "access keys"),
            Self::SourceIp | Self::SourceRaw => ("address", "addresses"),
            Self::SourceKind => ("kind of address", "kinds of addresses"),
            Self::SourceNetwork => ("network", "networks"),
            Self::SourceAsn => ("autonomous system", "autonomous systems"),
            Self::SourceCountry => ("country", "countries"),
            Self::UserAgent | Self::UserAgentFamily => ("client", "clients"),
            Self::SecretsId | Self::SecretsName => ("secret", "secrets"),
            Self::SecretsCount => ("number of secrets", "numbers of secrets"),
            Self::EchoOf => ("kind of repetition", "kinds of repetitions"),
            Self::Scrubbed => ("kind of value", "kinds of values"),
            Self::Actor => ("actor", "actors"),
            Self::TimeHour => ("hour", "hours"),
            Self::TimeWeekday => ("weekday", "weekdays"),
            Self::TimeDelay => ("delay", "delays"),
            Self::TimeMisdated | Self::Planned => ("answer", "answers"),
            Self::GranteeId => ("grantee", "grantees"),
            Self::GranteeKind => ("kind of grantee", "kinds of grantees"),
            Self::GranteeScope => ("scope", "scopes"),
        }
    }
}

/// What several fields taken together are called: one value of theirs, and several.
pub(crate) fn joint(fields: &[Field]) -> (String, String) {
    match fields {
        [one] => one.noun(),
        many => {
            let each: Vec<String> = many.iter().map(|field| field.noun().0).collect();
            let all = crate::wording::listed(&each);
            (all.clone(), format!("combinations of {all}"))
        }
    }
}
