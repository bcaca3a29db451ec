//! Audit logs that lie as objects in folders of days, whoever keeps them: Azure's diagnostic
//! settings append to one blob an hour and resource, Google's log sinks write objects an hour and log.
//!
//! # What must hold so that nothing is lost
//!
//! Objects appear late, in any hour of the last days; they grow while they are read; they are written
//! anew by people who may; they are deleted by rules about their age. So:
//!
//! - **What is read is told by what is listed.** A *folder* is everything above the years: a vault, or
//!   a log. Each look lists a folder from the first day that is still *open*, with no end: whatever is
//!   there and is not what it was when it was read last (another length or tag) is read. Whether an
//!   object is old, or was written before another, plays no part.
//! - **An object is read from the byte up to which its records are committed.** What stands
//!   behind the last whole record waits until there is more. The bytes before that place are looked at
//!   again: when they are others, or there are fewer, somebody wrote the object anew. That is told as a
//!   gap, and it is read from its beginning.
//! - **A day is closed by the store's own time.** Once the store has shown an object that was written
//!   [`Settings::late`] after the end of a day, and the folder was listed after that and all of the day
//!   was read, the day is not listed again. No clock of ours takes part: one that is wrong
//!   closes nothing. In a store that gets nothing new, days stay open, which costs nothing.
//! - **Nothing closes over what could not be read.** An object that fails holds its day open, and those
//!   behind it, until it is read or gone; the others are read meanwhile. One that was listed and is
//!   gone before it was read is a gap.
//! - **Where a source began is committed before anything else.** A folder found years later is
//!   read from that day on.
//!
//! How far a folder is read is committed with its records, by compare-and-set, as a text of bounded
//! size. What does not fit is forgotten there from the oldest on, and read again after a restart:
//! events that come twice are stored once.
//!
//! What is not seen: what is written into a day more than `late` after its end.

mod failure;
mod folder;
mod naming;
mod object;
mod position;
mod shelf;
mod source;
mod span;

pub use failure::{Failure, Trouble};
pub use naming::Naming;
pub use shelf::Shelf;
pub use source::{Objects, position_name, probe};
pub use span::Settings;
