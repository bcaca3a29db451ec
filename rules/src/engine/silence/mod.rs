//! Noticing that something does not come: a steady stream that stops, and an event whose
//! follower is missing.
//!
//! Neither looks at a clock: `now` is an argument, and whoever gives it decides how far events
//! are known to have arrived.

pub(crate) mod gaps;
pub(crate) mod pairs;
pub(crate) mod rhythm;
mod timed;
