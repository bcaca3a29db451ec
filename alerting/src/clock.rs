//! Time and chance as the delivery loop sees them, so that a test owns both.
//!
//! Nothing here reads the clock: the program passes one in.

use chrono::{DateTime, Utc};

/// The present time, asked whenever a decision needs it.
pub trait Clock: Send + Sync {
    /// Now, UTC.
    fn now(&self) -> DateTime<Utc>;
}

/// Random bits, for spreading retries and naming test messages; never for keys.
pub trait Random: Send + Sync {
    /// 64 random bits.
    fn next_u64(&self) -> u64;
}

/// The operating system's random source.
#[derive(Clone, Copy, Debug, Default)]
pub struct OsRandom;

impl Random for OsRandom {
    /// A source that fails gives the middle of the range: retries then keep their plain schedule.
    fn next_u64(&self) -> u64 {
        getrandom::u64().unwrap_or(u64::MAX / 2)
    }
}
