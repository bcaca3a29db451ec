//! Google Cloud as a source of audit events: Cloud Logging asked directly, and the Pub/Sub
//! subscription of a log sink.
//!
//! Apart from `keywatch-ingest` because Google's clients weigh more than the rest of ingestion.
//! Everything here is asked over the network and yields raw records; what a record means is
//! `keywatch-ingest`'s to say. Nothing is acknowledged to Google before its records are committed.

mod access;
mod failure;
mod feed;
pub mod logging;
pub mod pubsub;
pub mod survey;

pub use access::Access;
