//! Findings in, notifications out: delivers alerts from the outbox to webhooks.
//!
//! Messages follow Standard Webhooks 1.0: signed, under a stable id, with a fresh timestamp at
//! every attempt. Every outbound address passes one egress policy. Nothing here decides which
//! receiver is told about which alert; that is written in the outbox already.

mod clock;
mod deliver;
mod egress;
mod probe;
mod receiver;
pub mod render;
pub mod schedule;
mod sign;
#[cfg(test)]
mod testing;

pub use clock::{Clock, OsRandom, Random};
pub use deliver::{DeliverError, Deliverer, STOP_TIMEOUT, Wake};
pub use egress::{Egress, EgressPolicy, Lookup, Refusal, Resolved, SystemLookup, special_use};
pub use probe::{TEST_KIND, TestReport, send_test};
pub use receiver::webhook::SEND_TIMEOUT;
pub use receiver::{CONCURRENCY, Fault, Problem, SECRETS, WebhookReceiver, validate};
pub use sign::{SECRET_BYTES, SecretError, SignError, SigningSecret, signature};
