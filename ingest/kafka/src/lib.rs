//! Kafka as a source of audit events, Azure's Event Hubs among them.
//!
//! A member of a consumer group whose offsets are Keywatch's own: they are committed with the
//! events, in the same transaction, and reading begins from there whatever the cluster remembers.
//! What is committed to the cluster as well is for its own tools to see. Any carrier may be in a
//! message's value; what cannot be read becomes a reject and never stops a partition.

mod context;
mod group;
mod ledger;
mod probe;
mod session;
mod settings;

pub use group::Group;
pub use ledger::{Mark, position_prefix};
pub use probe::probe;
pub use settings::{Settings, Start};
