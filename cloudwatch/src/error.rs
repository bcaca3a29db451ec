//! What can go wrong with CloudWatch, by what follows from it.

use aws_sdk_cloudwatch::error::{ProvideErrorMetadata, SdkError};
use hyper_util::client::legacy::Error as ConnectError;

/// A call that did not work.
#[derive(Debug, thiserror::Error)]
pub enum CloudWatchError {
    /// It certainly changed nothing.
    #[error("CloudWatch did not {attempted}: {said}; {remedy}")]
    Refused {
        /// What was attempted.
        attempted: &'static str,
        /// What was answered.
        said: String,
        /// What to do.
        remedy: &'static str,
    },
    /// Nobody knows whether it did.
    #[error("no answer came when asked to {attempted}, so nobody knows whether CloudWatch did: {said}")]
    Doubtful {
        /// What was attempted.
        attempted: &'static str,
        /// What went wrong.
        said: String,
    },
    /// There is an alarm of that name which Keywatch did not make.
    #[error(
        "the alarm {0} exists and is not tagged keywatch:managed=true, so it is left alone; give `cloudwatch.alarm.name` another name, or tag it when Keywatch shall have it"
    )]
    Foreign(String),
}

impl CloudWatchError {
    /// What an error of the SDK means.
    pub(crate) fn of<E>(attempted: &'static str, error: &SdkError<E>) -> Self
    where
        E: ProvideErrorMetadata + std::error::Error + Send + Sync + 'static,
    {
        let is_certain = match error {
            SdkError::ConstructionFailure(_) | SdkError::ServiceError(_) => true,
            SdkError::DispatchFailure(_) => never_connected(error),
            // Whatever else it is, and whatever the SDK adds: the request may have arrived.
            SdkError::TimeoutError(_) | SdkError::ResponseError(_) | _ => false,
        };
        let code = error.code().unwrap_or_default().to_owned();
        let said = chain(error);
        if is_certain {
            Self::Refused { attempted, said, remedy: remedy(&code) }
        } else {
            Self::Doubtful { attempted, said }
        }
    }
}

fn remedy(code: &str) -> &'static str {
    match code {
        "AccessDenied" | "AccessDeniedException" => {
            "grant the policy of docs/cloudwatch.md to Keywatch's role"
        }
        "Throttling" | "ThrottlingException" | "LimitExceededFault" | "LimitExceeded" => {
            "it is tried again later"
        }
        "InvalidClientTokenId" | "UnrecognizedClientException" | "ExpiredToken" | "ExpiredTokenException" => {
            "look at the credentials Keywatch runs with"
        }
        _ => "look at `cloudwatch` in the configuration and at the network",
    }
}

/// Whether the connection itself failed: then nothing was sent.
fn never_connected(error: &(dyn std::error::Error + 'static)) -> bool {
    let mut cause = Some(error);
    while let Some(at) = cause {
        if at.downcast_ref::<ConnectError>().is_some_and(ConnectError::is_connect) {
            return true;
        }
        cause = at.source();
    }
    false
}

/// The error and its causes in one line.
fn chain(error: &(dyn std::error::Error + 'static)) -> String {
    let mut said = error.to_string();
    let mut cause = error.source();
    while let Some(at) = cause {
        let text = at.to_string();
        if !said.contains(&text) {
            said = format!("{said}: {text}");
        }
        cause = at.source();
    }
    said.chars().map(|c| if c.is_control() { ' ' } else { c }).take(500).collect()
}
