//! Why AWS did not do what it was asked, by what follows from it.

use crate::refusal::{Refusal, remedy_for};
use aws_sdk_sqs::error::{ProvideErrorMetadata, SdkError};
use keywatch_ingest::source::short;
use object_store::Error as Unread;
use std::error::Error;
use std::fmt::Debug;

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
    /// AWS, or the way to it, fails; or answers what nobody expected.
    Unavailable,
}

/// A request that failed: its trouble, and what AWS said of it.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) said: String,
    /// What mends it, when that is known.
    pub(crate) remedy: Option<String>,
}

const CREDENTIALS: &[&str] = &[
    "ExpiredToken",
    "ExpiredTokenException",
    "InvalidClientTokenId",
    "UnrecognizedClientException",
    "InvalidAccessKeyId",
    "SignatureDoesNotMatch",
    "InvalidSignatureException",
    "IncompleteSignature",
    "MissingAuthenticationToken",
    "InvalidToken",
    "AuthFailure",
];
const DENIED: &[&str] = &[
    "AccessDenied",
    "AccessDeniedException",
    "AuthorizationError",
    "UnauthorizedOperation",
    "OptInRequired",
];
const THROTTLED: &[&str] = &[
    "ThrottlingException",
    "Throttling",
    "ThrottledException",
    "RequestThrottled",
    "TooManyRequestsException",
    "RequestLimitExceeded",
    "SlowDown",
    "OverLimit",
];
const MISSING: &[&str] = &[
    "QueueDoesNotExist",
    "AWS.SimpleQueueService.NonExistentQueue",
    "com.amazonaws.sqs#QueueDoesNotExist",
    "NoSuchBucket",
];

/// An error and its causes, from the outside in.
pub(crate) fn causes<'e>(
    error: &'e (dyn Error + 'static),
) -> impl Iterator<Item = &'e (dyn Error + 'static)> {
    std::iter::successors(Some(error), |error| (*error).source())
}

/// An error with its causes, each once.
pub(crate) fn chain(error: &(dyn Error + 'static)) -> String {
    let mut said: Vec<String> = Vec::new();
    for text in causes(error).map(ToString::to_string) {
        if !said.iter().any(|known| known.contains(&text)) {
            said.push(text);
        }
    }
    said.join(": ")
}

impl Failure {
    /// A failure that AWS has no part in.
    pub(crate) fn new(trouble: Trouble, said: impl Into<String>) -> Self {
        Self { trouble, said: said.into(), remedy: None }
    }

    /// What mends it, when that is known; else what usually does.
    pub(crate) fn remedy_or<'f>(&'f self, usual: &'f str) -> &'f str {
        self.remedy.as_deref().unwrap_or(usual)
    }

    /// The request could not be signed.
    fn unsigned(refusal: &Refusal) -> Self {
        let Refusal { trouble, said, remedy } = refusal;
        Self { trouble: *trouble, said: short(said), remedy: Some(remedy.clone()) }
    }

    /// Reads what an AWS client says.
    pub(crate) fn of<E, R>(error: &SdkError<E, R>) -> Self
    where
        E: ProvideErrorMetadata + Error + Send + Sync + 'static,
        R: Debug + Send + Sync + 'static,
    {
        if let Some(refusal) = Refusal::among(error) {
            return Self::unsigned(refusal);
        }
        let said = match (error.code(), error.message()) {
            (Some(code), Some(message)) => format!("{code}: {message}"),
            (Some(code), None) => code.to_owned(),
            (None, _) => chain(error),
        };
        let trouble = match (error, error.code()) {
            (_, Some(code)) => trouble_of(code),
            // No request was sent: the credentials could not be had.
            (SdkError::ConstructionFailure(_), None) => Trouble::Credentials,
            (SdkError::DispatchFailure(failure), None) if failure.is_other() || failure.is_user() => {
                Trouble::Credentials
            }
            _ => Trouble::Unavailable,
        };
        Self { trouble, said: short(&said), remedy: error.code().and_then(remedy_for).map(str::to_owned) }
    }

    /// Reads what the store of objects says.
    pub(crate) fn of_object(error: &Unread) -> Self {
        if let Some(refusal) = Refusal::among(error) {
            return Self::unsigned(refusal);
        }
        let said = chain(error);
        let has = |codes: &[&str]| codes.iter().any(|code| said.contains(code));
        let trouble = if matches!(error, Unread::NotFound { .. } | Unread::InvalidPath { .. }) {
            Trouble::Missing
        } else if has(CREDENTIALS) || matches!(error, Unread::Unauthenticated { .. }) {
            Trouble::Credentials
        } else if matches!(error, Unread::PermissionDenied { .. }) {
            Trouble::Denied
        } else if has(&["SlowDown", "503"]) {
            Trouble::Throttled
        } else {
            Trouble::Unavailable
        };
        let code = CREDENTIALS.iter().find(|code| said.contains(**code));
        Self {
            trouble,
            said: short(&said),
            remedy: code.and_then(|code| remedy_for(code)).map(str::to_owned),
        }
    }
}

pub(crate) fn trouble_of(code: &str) -> Trouble {
    let is = |codes: &[&str]| codes.contains(&code);
    if is(CREDENTIALS) {
        Trouble::Credentials
    } else if is(DENIED) {
        Trouble::Denied
    } else if is(THROTTLED) {
        Trouble::Throttled
    } else if is(MISSING) {
        Trouble::Missing
    } else {
        Trouble::Unavailable
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_are_sorted_by_what_follows_from_them() {
        for (code, trouble) in [
            ("ExpiredToken", Trouble::Credentials),
            ("AccessDenied", Trouble::Denied),
            ("ThrottlingException", Trouble::Throttled),
            ("AWS.SimpleQueueService.NonExistentQueue", Trouble::Missing),
            ("InternalError", Trouble::Unavailable),
        ] {
            assert_eq!(trouble_of(code), trouble, "{code}");
        }
    }
}
