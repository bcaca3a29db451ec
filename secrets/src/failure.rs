//! What went wrong inside a backend, before it is known which reference asked.
//!
//! Its text is made of our own words, of names the operator wrote, and of codes a backend is known
//! to answer with. What a backend says in its own words is read to choose ours and never passed on:
//! nobody can promise that it holds no value.

use crate::{SecretError, SecretRef, Trouble};
use std::time::Duration;

/// Trouble with a backend, and whether asking again may help.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) trouble: Trouble,
    pub(crate) detail: String,
    pub(crate) remedy: String,
    /// Whether the same question may be answered in a moment.
    pub(crate) again: bool,
    /// How long the backend asked us to wait.
    pub(crate) after: Option<Duration>,
}

impl Failure {
    fn new(trouble: Trouble, detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        let again = trouble == Trouble::Unavailable;
        Self { trouble, detail: detail.into(), remedy: remedy.into(), again, after: None }
    }

    /// There is no such thing.
    pub(crate) fn missing(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Trouble::Missing, detail, remedy)
    }

    /// Keywatch may not have it.
    pub(crate) fn denied(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Trouble::Denied, detail, remedy)
    }

    /// The backend did not answer, or not with what was asked for; asking again may help.
    pub(crate) fn unavailable(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Trouble::Unavailable, detail, remedy)
    }

    /// What is there cannot be used.
    pub(crate) fn unusable(detail: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self::new(Trouble::Unusable, detail, remedy)
    }

    /// The same trouble, for which asking again at once is no use.
    pub(crate) fn at_once_useless(mut self) -> Self {
        self.again = false;
        self
    }

    /// The same trouble, with the wait the backend asked for.
    pub(crate) fn wait(mut self, after: Option<Duration>) -> Self {
        self.after = after;
        self
    }

    /// The same trouble, with what was being done put before it.
    pub(crate) fn during(mut self, what: &str) -> Self {
        self.detail = format!("{what}: {}", self.detail);
        self
    }

    /// The trouble of one reference.
    pub(crate) fn of(self, reference: &SecretRef) -> SecretError {
        SecretError {
            reference: reference.clone(),
            trouble: self.trouble,
            detail: self.detail,
            remedy: self.remedy,
        }
    }
}

/// A code that may be repeated: what backends answer with is short and made of letters, digits and
/// underscores. Anything else is not a code and is not passed on.
pub(crate) fn code(text: &str) -> &str {
    let plain = |byte: u8| byte.is_ascii_alphabetic() || byte == b'_';
    if !text.is_empty() && text.len() <= 48 && text.bytes().all(plain) { text } else { "an unknown code" }
}
