//! Keywatch's own credentials: named by reference, fetched when they are needed, kept in memory
//! for a few minutes, and never written anywhere.
//!
//! Everything that needs a credential holds a [`SecretRef`] and asks the [`SecretManager`] for the
//! [`SecretValue`] at the moment of use. Whoever is told that a credential was refused says so with
//! [`SecretManager::refused`] and gets the one that replaced it, if there is one.

mod backend;
mod cache;
mod clock;
mod document;
mod error;
mod failure;
mod inquiry;
mod manager;
mod patience;
mod reference;
mod settings;
mod value;

pub use cache::Health;
pub use clock::Clock;
pub use error::{SecretError, SecretErrors, Trouble};
pub use inquiry::{AzureInquiry, Unanswered, VaultInquiry, date_of};
pub use manager::{Checked, SecretManager};
pub use reference::{BadReference, SecretRef, Source};
pub use settings::{
    AccessKey, AssumeRole, AwsSettings, AzureIdentity, AzureSettings, BadSetting, Environment, GcpSettings,
    KvVersion, Settings, Told, VaultLogin, VaultSettings,
};
pub use value::{SecretValue, VALUE_BYTES_MAX};
