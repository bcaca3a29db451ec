//! A secret in memory.

use secrecy::{ExposeSecret, SecretString};
use std::fmt;
use std::sync::Arc;
use zeroize::Zeroize;

/// Largest secret Keywatch takes: 64 KiB, what AWS Secrets Manager and Google Secret Manager hold at
/// most. What is larger is a file, not a credential.
pub const VALUE_BYTES_MAX: usize = 64 * 1024;

/// The value of a secret: shared, never copied, overwritten with zeros when the last holder lets it
/// go. `Debug` shows nothing of it, and there is no `Display`.
#[derive(Clone)]
pub struct SecretValue(Arc<SecretString>);

impl SecretValue {
    /// Takes a value into keeping. Nothing of `value` is left behind where it lay.
    #[must_use]
    pub fn new(mut value: String) -> Self {
        if value.capacity() == value.len() {
            return Self(Arc::new(value.into()));
        }
        // Shrinking would hand the old memory back as it is: copy, then overwrite it.
        let exact: Box<str> = value.as_str().into();
        value.zeroize();
        Self(Arc::new(exact.into()))
    }

    /// The value itself, for handing it to whoever asked for the credential and to nobody else.
    #[must_use]
    pub fn expose(&self) -> &str {
        self.0.expose_secret()
    }

    /// Whether both hold the same text.
    #[must_use]
    pub fn same_as(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0) || self.expose() == other.expose()
    }
}

impl fmt::Debug for SecretValue {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretValue([redacted])")
    }
}
