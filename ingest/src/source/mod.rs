//! Reads files, directories and standard input; cuts bytes into documents.
//!
//! All file I/O of ingestion is here, and nothing else is. A [`Reader`] reads once, a
//! [`Follower`] follows files as they grow and rotate; both cut with a [`Splitter`], which needs
//! the memory of one record whatever the size of the file, and expand gzip with [`Inflate`],
//! which knows when to stop.

mod backoff;
mod cutter;
mod dating;
mod follower;
mod health;
mod inflate;
mod input;
mod lines;
mod list;
mod live;
mod object;
mod oneshot;
mod order;
mod pieces;
mod pump;
mod reader;
mod said;
mod scan;
mod splitter;
mod statement;
#[cfg(test)]
pub(crate) mod testing;
mod walk;

pub use backoff::Backoff;
pub use dating::{APART_SECS, Dater};
pub use follower::Follower;
pub use health::{Condition, Failing, Health, Reached, State};
pub use inflate::{Caps, Damage, ENVELOPE_CAPS, FILE_CAPS, Inflate, damage_of, is_cut_short};
pub(crate) use input::Input;
pub(crate) use lines::lines;
pub(crate) use list::begins_wrapper;
pub use live::{Clock, Live};
pub use object::Object;
pub(crate) use oneshot::OneShot;
pub(crate) use pieces::Content;
pub use pieces::{Piece, Pieces};
pub(crate) use pump::{Fill, Pump, Pumped};
pub use reader::{Progress, Reader};
pub use said::{SAID_CHARS_MAX, chain, short};
pub use splitter::{Cut, PART_BYTES_MAX, RECORD_BYTES_MAX, Splitter, What};
pub use statement::{Stated, Statement};
pub use walk::ReadFailure;
