//! Keywatch's counts as CloudWatch metrics, and the alarm over them.
//!
//! [`count`] turns stored events into data points (pure), [`Publisher`] sends them, [`alarm`] keeps
//! the alarm as configured. Never changes an alarm that Keywatch did not make.
//!
//! Invariant: CloudWatch adds up what it is sent, so nothing is sent twice when it may have been
//! taken the first time.

pub mod alarm;
mod client;
pub mod count;
mod error;
mod publisher;

pub use client::{Client, Settings};
pub use error::CloudWatchError;
pub use publisher::{Clock, Publisher, Sent};
