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
                let word = spoken(path.rsplit('.').next().unwrap_or(path));
                let values = format!("values of {word}");
                (word, values)
            }
        }
    }
}

/// A key of a record as a reader would say it: `accountId` is an account, `trailName` a trail,
/// `retentionDays` retention days.
fn spoken(key: &str) -> String {
    let stem = ["Id", "Name", "Arn", "ARN"].into_iter().find_map(|ending| key.strip_suffix(ending));
    let mut words = String::new();
    for letter in stem.filter(|stem| !stem.is_empty()).unwrap_or(key).chars() {
        let begins = letter.is_ascii_uppercase() && words.ends_with(|last: char| last.is_ascii_lowercase());
        words.extend(begins.then_some(' '));
        words.push(if begins { letter.to_ascii_lowercase() } else { letter });
    }
    words
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

#[cfg(test)]
mod tests {
    use super::spoken;

    #[test]
    fn a_key_of_a_record_is_told_in_plain_words() {
        for (key, words) in [
            ("accountId", "account"),
            ("trailName", "trail"),
            ("retentionDays", "retention days"),
            ("roleArn", "role"),
            ("name", "name"),
            ("Id", "Id"),
            ("max_versions", "max_versions"),
            ("eventName", "event"),
        ] {
            assert_eq!(spoken(key), words);
        }
    }
}
