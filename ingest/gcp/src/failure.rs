//! Why Google did not do what it was asked, by what follows from it.

use google_cloud_gax::error::{CredentialsError, Error, rpc::Code};
use keywatch_ingest::source::{chain, short};
use serde::Deserialize;
use std::error::Error as _;

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
    /// The question itself is refused, such as one with a page token that has expired.
    Invalid,
    /// Google, or the way to it, fails; or answers what nobody expected.
    Unavailable,
}

/// A request that failed: its trouble, and what Google said of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) said: String,
    /// What mends it, where what was said tells more than its trouble.
    pub(crate) remedy: Option<&'static str>,
}

/// What iamcredentials refuses names this permission.
const IMPERSONATION: &str = "grant roles/iam.serviceAccountTokenCreator on the account that is impersonated to the identity that \
                             impersonates it, and see that iamcredentials.googleapis.com is enabled";

/// The body of an error (cloud.google.com/apis/design/errors, "HTTP mapping").
#[derive(Deserialize)]
struct Body {
    error: Told,
}

#[derive(Deserialize)]
struct Told {
    #[serde(default)]
    status: String,
    #[serde(default)]
    message: String,
}

impl Failure {
    pub(crate) fn new(trouble: Trouble, said: &str) -> Self {
        Self { trouble, said: short(said), remedy: None }
    }

    /// Reads an answer over HTTP that is an error.
    pub(crate) fn of_answer(status: u16, body: &[u8]) -> Self {
        let told = serde_json::from_slice::<Body>(body).ok().map(|body| body.error);
        let said = match &told {
            Some(told) if !told.status.is_empty() => format!("{}: {}", told.status, told.message),
            _ => format!("status {status}: {}", String::from_utf8_lossy(body)),
        };
        let trouble = match status {
            401 => Trouble::Credentials,
            403 if told.is_some_and(|told| told.status == "RESOURCE_EXHAUSTED") => Trouble::Throttled,
            403 => Trouble::Denied,
            404 => Trouble::Missing,
            429 => Trouble::Throttled,
            400..=499 => Trouble::Invalid,
            _ => Trouble::Unavailable,
        };
        Self::new(trouble, &said)
    }

    /// Reads what Google's clients say.
    pub(crate) fn of(error: &Error) -> Self {
        if let Some(credentials) = error.source().and_then(|source| source.downcast_ref::<CredentialsError>())
        {
            return Self::of_credentials(credentials);
        }
        let Some(status) = error.status() else {
            let trouble = if error.is_authentication() { Trouble::Credentials } else { Trouble::Unavailable };
            return Self::new(trouble, &chain(error));
        };
        let trouble = match status.code {
            Code::Unauthenticated => Trouble::Credentials,
            Code::PermissionDenied => Trouble::Denied,
            Code::ResourceExhausted => Trouble::Throttled,
            Code::NotFound => Trouble::Missing,
            Code::InvalidArgument | Code::FailedPrecondition => Trouble::Invalid,
            // The list of codes may grow; all others are Google's trouble, not ours.
            Code::Ok
            | Code::Cancelled
            | Code::Unknown
            | Code::DeadlineExceeded
            | Code::AlreadyExists
            | Code::Aborted
            | Code::OutOfRange
            | Code::Unimplemented
            | Code::Internal
            | Code::Unavailable
            | Code::DataLoss
            | _ => Trouble::Unavailable,
        };
        Self::new(trouble, &format!("{}: {}", status.code, status.message))
    }

    /// Reads why there is no token.
    pub(crate) fn of_credentials(error: &CredentialsError) -> Self {
        let trouble = if error.is_transient() { Trouble::Unavailable } else { Trouble::Credentials };
        let said = chain(error);
        let remedy = said.contains("iam.serviceAccounts.getAccessToken").then_some(IMPERSONATION);
        Self { remedy, ..Self::new(trouble, &format!("Google issues no token: {said}")) }
    }

    /// What mends it, where that does not depend on what was asked.
    pub(crate) const fn remedy(&self) -> &'static str {
        if let Some(remedy) = self.remedy {
            return remedy;
        }
        match self.trouble {
            Trouble::Credentials => {
                "give Keywatch credentials that Google accepts: check that the service account, its key and the federation still exist"
            }
            Trouble::Throttled => "somebody else asks as well; it is tried again, more slowly",
            Trouble::Denied | Trouble::Missing | Trouble::Invalid => {
                "check the name and the role Keywatch has there"
            }
            Trouble::Unavailable => "it is tried again; check the network and the endpoint",
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_ingest::source::SAID_CHARS_MAX;

    #[track_caller]
    fn check(status: u16, body: &str, trouble: Trouble, said: &str) {
        let failure = Failure::of_answer(status, body.as_bytes());
        assert_eq!((failure.trouble, failure.said.as_str()), (trouble, said));
    }

    #[test]
    fn answers_are_sorted_by_what_follows_from_them() {
        let denied = r#"{"error":{"code":403,"message":"no","status":"PERMISSION_DENIED"}}"#;
        check(403, denied, Trouble::Denied, "PERMISSION_DENIED: no");
        let quota = r#"{"error":{"code":429,"message":"Quota","status":"RESOURCE_EXHAUSTED"}}"#;
        check(429, quota, Trouble::Throttled, "RESOURCE_EXHAUSTED: Quota");
        check(401, "{}", Trouble::Credentials, "status 401: {}");
        check(400, r#"{"error":{"status":"INVALID_ARGUMENT"}}"#, Trouble::Invalid, "INVALID_ARGUMENT:");
        check(502, "<html>\n <p>no</p>", Trouble::Unavailable, "status 502: <html> <p>no</p>");
    }

    #[test]
    fn an_answer_of_any_length_becomes_a_line_of_bounded_length() {
        let failure = Failure::of_answer(500, "é".repeat(1000).as_bytes());
        assert_eq!(failure.said.chars().count(), SAID_CHARS_MAX + 1);
    }
}
