//! Keywatch's own credentials: named by reference, fetched when they are needed, kept in memory
//! for a few minutes, and never written anywhere.
//!
//! Everything that needs a credential holds a [`SecretRef`] and asks the [`SecretManager`] for the
//! [`SecretValue`] at the moment of use. Whoever is told that a credential was refused says so with
//! [`SecretManager::refused`] and gets the one that replaced it, if there is one.

mod error;
mod manager;
mod reference;
mod value;

pub use error::{SecretError, Trouble};
pub use manager::{Environment, SecretManager, Settings};
pub use reference::{BadReference, SecretRef, Source};
pub use value::SecretValue;
