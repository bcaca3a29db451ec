//! Why Azure did not do what it was asked, by what follows from it.
//!
//! <https://learn.microsoft.com/en-us/rest/api/storageservices/blob-service-error-codes>

use object_store::Error as Unread;
use std::error::Error;

/// What kind of trouble a request met.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Trouble {
    /// The credentials are no longer good, or there are none.
    Credentials,
    /// They are good and not enough.
    Denied,
    /// Too many requests.
    Throttled,
    /// What was named is not there.
    Missing,
    /// Azure, or the way to it, fails; or answers what nobody expected.
    Unavailable,
}

/// A request that failed: its trouble, and what was said of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) said: String,
}

/// Longest answer that is passed on.
const SAID_CHARS_MAX: usize = 300;

const CREDENTIALS: &[&str] = &[
    "AuthenticationFailed",
    "InvalidAuthenticationInfo",
    "NoAuthenticationInformation",
    "ExpiredToken",
    "invalid_client",
    "InvalidAuthenticationToken",
];
const DENIED: &[&str] = &[
    "AuthorizationPermissionMismatch",
    "AuthorizationFailure",
    "PublicAccessNotPermitted",
    "KeyBasedAuthenticationNotPermitted",
];
const MISSING: &[&str] = &["ContainerNotFound", "ResourceNotFound", "BlobNotFound", "ContainerBeingDeleted"];
const THROTTLED: &[&str] = &["ServerBusy", "429 Too Many Requests", "503 Service Unavailable"];

impl Failure {
    /// Reads what the store of objects says.
    pub(crate) fn of(error: &Unread) -> Self {
        let mut said = error.to_string();
        let mut source = error.source();
        while let Some(inner) = source {
            let text = inner.to_string();
            if !said.contains(&text) {
                said = format!("{said}: {text}");
            }
            source = inner.source();
        }
        let has = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
        let trouble = if matches!(error, Unread::NotFound { .. } | Unread::InvalidPath { .. }) || has(MISSING)
        {
            Trouble::Missing
        } else if has(DENIED) {
            Trouble::Denied
        } else if has(CREDENTIALS) || matches!(error, Unread::Unauthenticated { .. }) {
            Trouble::Credentials
        } else if matches!(error, Unread::PermissionDenied { .. }) {
            Trouble::Denied
        } else if has(THROTTLED) {
            Trouble::Throttled
        } else {
            Trouble::Unavailable
        };
        Self { trouble, said: short(&said) }
    }

    /// Something that is not as it should be, and may be another time.
    pub(crate) fn unavailable(said: String) -> Self {
        Self { trouble: Trouble::Unavailable, said }
    }

    /// What failed, and how to mend it.
    pub(crate) fn explain(&self, attempt: &str) -> String {
        let remedy = match self.trouble {
            Trouble::Credentials => "give Keywatch an identity or a key that the storage account accepts",
            Trouble::Denied => {
                "give its identity the role Storage Blob Data Reader on the container, or a SAS with read and list; and let its \
                 address through the account's firewall"
            }
            Trouble::Missing => {
                "check the account and the container; Azure makes the container with the first record a diagnostic setting sends"
            }
            Trouble::Throttled => "it is tried again, more slowly",
            Trouble::Unavailable => "it is tried again; check the network, the account and the endpoint",
        };
        format!("{attempt} failed: {}; {remedy}", self.said)
    }
}

/// One line of bounded length: answers may hold whole pages.
fn short(said: &str) -> String {
    let line: Vec<&str> = said.split_whitespace().collect();
    let line = line.join(" ");
    match line.char_indices().nth(SAID_CHARS_MAX) {
        Some((at, _)) => format!("{}…", line.get(..at).unwrap_or_default()),
        None => line,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_azure_says_decides_what_follows() {
        let told = |said: &str| {
            Failure::of(&Unread::Generic { store: "MicrosoftAzure", source: said.into() }).trouble
        };
        for (said, trouble) in [
            ("403: <Code>AuthenticationFailed</Code>", Trouble::Credentials),
            ("403: <Code>AuthorizationPermissionMismatch</Code>", Trouble::Denied),
            ("Server returned 503 Service Unavailable: <Code>ServerBusy</Code>", Trouble::Throttled),
            ("404 Not Found: <Code>ContainerNotFound</Code>", Trouble::Missing),
            ("connection reset", Trouble::Unavailable),
        ] {
            assert_eq!(told(said), trouble, "{said}");
        }
    }

    #[test]
    fn an_answer_of_many_lines_becomes_one_of_bounded_length() {
        assert_eq!(short("<a>\n  <b>"), "<a> <b>");
        assert_eq!(short(&"é".repeat(1000)).chars().count(), SAID_CHARS_MAX + 1);
    }
}
