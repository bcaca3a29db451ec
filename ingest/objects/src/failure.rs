//! Why a store of objects did not do what it was asked, by what follows from it.
//!
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes>,
//! <https://cloud.google.com/storage/docs/xml-api/reference-status>

use keywatch_ingest::source::{chain, short};
use object_store::Error as Unread;

/// What kind of trouble a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// The credentials are no longer good, or there are none.
    Credentials,
    /// They are good and not enough.
    Denied,
    /// Too many requests.
    Throttled,
    /// What was named is not there.
    Missing,
    /// It lies in an archive tier, which must be left before it can be read.
    Archived,
    /// The store does not take the question.
    Refused,
    /// More is there than is read.
    TooMany,
    /// The store, or the way to it, fails; or answers what nobody expected.
    Unavailable,
}

/// A request that failed: its trouble, and what was said of it.
#[derive(Clone, Debug)]
pub struct Failure {
    /// What follows from it.
    pub trouble: Trouble,
    /// What the store said, on one line of bounded length.
    pub said: String,
}

const CREDENTIALS: &[&str] = &[
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "InvalidAuthenticationToken",
    "ExpiredToken",
    "invalid_client",
    "AuthenticationRequired",
    "401 Unauthorized",
];
const DENIED: &[&str] = &[
    "AuthorizationPermissionMismatch",
    "AuthorizationFailure",
    "AuthorizationSourceIPMismatch",
    "PublicAccessNotPermitted",
    "KeyBasedAuthenticationNotPermitted",
    "AccessDenied",
    "403 Forbidden",
];
const MISSING: &[&str] = &[
    "ContainerNotFound",
    "ContainerBeingDeleted",
    "ResourceNotFound",
    "BlobNotFound",
    "NoSuchBucket",
    "NoSuchKey",
    "404 Not Found",
];
const THROTTLED: &[&str] = &["ServerBusy", "SlowDown", "429 Too Many Requests", "503 Service Unavailable"];
const REFUSED: &[&str] = &["400 Bad Request"];
const ARCHIVED: &[&str] = &["BlobArchived", "BlobBeingRehydrated"];

impl Failure {
    /// A failure of this kind.
    #[must_use]
    pub fn new(trouble: Trouble, said: &str) -> Self {
        Self { trouble, said: short(&without_queries(said)) }
    }

    /// Reads what the store's client says.
    #[must_use]
    pub fn of(error: &Unread) -> Self {
        let said = chain(error);
        // The codes first: Azure refuses credentials with 403 as it refuses what they may not do.
        let has = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
        let trouble = if has(ARCHIVED) {
            Trouble::Archived
        } else if has(CREDENTIALS) || matches!(error, Unread::Unauthenticated { .. }) {
            Trouble::Credentials
        } else if has(DENIED) || matches!(error, Unread::PermissionDenied { .. }) {
            Trouble::Denied
        } else if has(MISSING) || matches!(error, Unread::NotFound { .. } | Unread::InvalidPath { .. }) {
            Trouble::Missing
        } else if has(THROTTLED) {
            Trouble::Throttled
        } else if has(REFUSED) {
            Trouble::Refused
        } else {
            Trouble::Unavailable
        };
        Self::new(trouble, &said)
    }

    /// Something that is not as it should be, and may be another time.
    #[must_use]
    pub fn unavailable(said: &str) -> Self {
        Self::new(Trouble::Unavailable, said)
    }
}

/// What was said, word by word, without what URLs ask for: that is long.
fn without_queries(said: &str) -> String {
    let address = |word: &str| if word.starts_with("http") { word.find('?') } else { None };
    let without = |word| str::get(word, ..address(word).unwrap_or(word.len())).unwrap_or_default();
    let words: Vec<&str> = said.split_whitespace().map(without).collect();
    words.join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_ingest::source::SAID_CHARS_MAX;

    #[test]
    fn what_a_store_says_decides_what_follows() {
        let told = |said: &str| Failure::of(&Unread::Generic { store: "any", source: said.into() }).trouble;
        for (said, trouble) in [
            ("403 Forbidden: <Code>AuthenticationFailed</Code>", Trouble::Credentials),
            ("403 Forbidden: <Code>AuthorizationPermissionMismatch</Code>", Trouble::Denied),
            ("Server returned 503 Service Unavailable: <Code>ServerBusy</Code>", Trouble::Throttled),
            ("404 Not Found: <Code>ContainerNotFound</Code>", Trouble::Missing),
            ("409 Conflict: <Code>BlobArchived</Code>", Trouble::Archived),
            ("401 Unauthorized: <Error><Code>AuthenticationRequired</Code></Error>", Trouble::Credentials),
            ("403 Forbidden: <Error><Code>AccessDenied</Code></Error>", Trouble::Denied),
            ("429 Too Many Requests: <Error><Code>SlowDown</Code></Error>", Trouble::Throttled),
            ("400 Bad Request: <Code>InvalidQueryParameterValue</Code>", Trouble::Refused),
            ("connection reset", Trouble::Unavailable),
        ] {
            assert_eq!(told(said), trouble, "{said}");
        }
    }

    #[test]
    fn an_answer_of_many_lines_becomes_one_of_bounded_length() {
        let said = |text: &str| Failure::unavailable(text).said;
        assert_eq!(said("<a>\n  <b>"), "<a> <b>");
        assert_eq!(said("GET https://x/y?prefix=z: no"), "GET https://x/y no");
        assert_eq!(said(&"é".repeat(1000)).chars().count(), SAID_CHARS_MAX + 1);
    }
}
