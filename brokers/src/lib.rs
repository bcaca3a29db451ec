//! How a Kafka cluster is reached: addresses, encryption, credentials, and what its errors mean.
//!
//! Shared by what reads from Kafka and what writes to it. Holds no credential: whoever connects
//! fetches them and hands them over for one client. Opens no connection itself.

mod access;
mod trouble;

pub use access::{Access, ClientCertificate, Mechanism, Sasl, Tls, User, event_hubs};
pub use trouble::{Trouble, explain, trouble_of};
