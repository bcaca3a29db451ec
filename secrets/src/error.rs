//! Why a secret could not be had.

use crate::SecretRef;

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
