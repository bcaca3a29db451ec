//! Azure as a source of audit events: what diagnostic settings append to the blobs of a storage
//! account. Event Hubs are read through their Kafka endpoint, by another crate.
//!
//! Everything here is asked over the network and yields raw records; what a record means is
//! `keywatch-ingest`'s to say.

mod access;
pub mod blob;
mod failure;

pub use access::{Access, Identity};
