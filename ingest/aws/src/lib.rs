//! AWS as a source of audit events: a trail's objects in S3 announced through SQS, events carried
//! in SQS messages themselves, and CloudTrail's `LookupEvents`.
//!
//! Apart from `keywatch-ingest` because AWS's clients weigh more than the rest of ingestion.
//! Everything here is asked over the network and yields raw records; what a record means is
//! `keywatch-ingest`'s to say. Nothing is acknowledged to AWS before its records are committed.

mod access;
mod failure;
mod feed;
mod identity;
pub mod lookup;
mod refusal;
pub mod survey;
pub mod trail;

pub use access::{Access, Keys, Role};
