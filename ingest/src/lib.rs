//! Bytes in, audit events out.
//!
//! Three stages, each ignorant of the next: [`source`] performs the I/O and cuts bytes into
//! documents, [`carrier`] opens envelopes until records remain, [`provider`] turns one record
//! into one [`keywatch_event::AuditEvent`]. A batch never fails as a whole: what cannot be read
//! becomes a reject with its reason, place and bytes.

mod batch;
mod bulk;
pub mod carrier;
pub mod provider;
pub mod scrub;
pub mod source;
pub mod survey;

pub use batch::{Advance, Batch, RawRecord};
pub use bulk::{Normalised, Run, Worker};
