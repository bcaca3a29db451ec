//! Where the bytes that matter to cutting stand in a block of 64, one bit each.
//!
//! Knows nothing of JSON beyond its seven characters.

pub(super) use keywatch_event::json::block::{BLOCK, block_at, escaped, parity};
use keywatch_event::json::block::{brackets, equal};

/// One bit per byte of a block, lowest bit first.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Masks {
    /// `"`
    pub(super) quote: u64,
    /// `{`, `[`, `}` and `]`
    pub(super) bracket: u64,
    /// `\`
    pub(super) backslash: u64,
    /// Line feed.
    pub(super) newline: u64,
}

impl Masks {
    pub(super) fn of(block: &[u8; BLOCK]) -> Self {
        Self {
            quote: equal(block, b'"'),
            bracket: brackets(block),
            backslash: equal(block, b'\\'),
            newline: equal(block, b'\n'),
        }
    }
}
