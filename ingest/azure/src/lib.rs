//! Azure as a source of audit events: what diagnostic settings write to containers of a storage
//! account.
//!
//! Here is only who Keywatch is to an account, and what mends a trouble with it. How containers are
//! read is `keywatch-objects`' to say. (Event Hubs speak Kafka's protocol, and are read by
//! `keywatch-kafka`.)

mod access;

pub use access::{Access, Container, Identity};
