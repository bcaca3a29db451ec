//! Why a secret could not be had.

use crate::SecretRef;
use std::fmt;

/// A secret that could not be had: which one, what the backend answered, what to do.
#[derive(Clone, Debug, thiserror::Error)]
#[error("the secret {reference}: {detail}; {remedy}")]
pub struct SecretError {
    /// Which secret.
    pub reference: SecretRef,
    /// What kind of trouble it is, for whoever has to decide what follows.
    pub trouble: Trouble,
    /// What the backend answered. Never holds a value.
    pub detail: String,
    /// What an operator can do about it.
    pub remedy: String,
}

/// Kinds of trouble, by what the caller can do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Trouble {
    /// There is no such secret, key or version: somebody has to create it.
    Missing,
    /// Keywatch may not read it: somebody has to grant that.
    Denied,
    /// The backend could not be asked now: trying again may help.
    Unavailable,
    /// What is there cannot be used: no text, no such field, too large.
    Unusable,
}

impl Trouble {
    /// Its name in a table or a metric.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Missing => "missing",
            Self::Denied => "denied",
            Self::Unavailable => "unavailable",
            Self::Unusable => "unusable",
        }
    }
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(self.as_str())
    }
}

/// Every secret that could not be had, for a start that fails with all of them at once.
#[derive(Clone, Debug, thiserror::Error)]
#[error("{} of the secrets named in the configuration cannot be had:\n{}", .0.len(), lines(.0))]
pub struct SecretErrors(pub Vec<SecretError>);

fn lines(errors: &[SecretError]) -> String {
    errors.iter().map(|error| format!("  - {error}")).collect::<Vec<_>>().join("\n")
}
