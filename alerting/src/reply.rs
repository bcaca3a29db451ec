//! What became of one attempt.

use std::time::Duration;

/// What follows from an answer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// Taken.
    Delivered,
    /// Try again later.
    TryAgain,
    /// The receiver wants nothing more, until a person resumes it.
    Gone,
    /// This message will never be taken, by the receiver's own rules: give it up at once.
    GiveUp,
}

/// What came back, or why nothing did.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reply {
    /// What follows.
    pub verdict: Verdict,
    /// The HTTP status, or the SMTP code, when there was an answer.
    pub status: Option<u16>,
    /// From the beginning of the attempt to the end of the answer.
    pub latency: Duration,
    /// Beginning of the answer, without control characters.
    pub excerpt: Option<String>,
    /// What went wrong, with the remedy when one is known; nothing when delivered.
    pub error: Option<String>,
    /// How long the receiver asks to be left alone: the `Retry-After` header as sent.
    pub retry_after: Option<String>,
    /// Whether it was Keywatch's credentials that were refused.
    pub credentials_refused: bool,
}

impl Reply {
    /// No answer, for the reason given.
    #[must_use]
    pub fn failed(error: String) -> Self {
        Self {
            verdict: Verdict::TryAgain,
            status: None,
            latency: Duration::ZERO,
            excerpt: None,
            error: Some(error),
            retry_after: None,
            credentials_refused: false,
        }
    }

    /// Nothing was sent, and never will be: the notification itself cannot be.
    #[must_use]
    pub fn unsendable(error: String) -> Self {
        Self { verdict: Verdict::GiveUp, ..Self::failed(error) }
    }

    /// Taken, without anything more to say.
    #[must_use]
    pub fn delivered(status: Option<u16>) -> Self {
        Self { verdict: Verdict::Delivered, status, error: None, ..Self::failed(String::new()) }
    }
}
