//! What earlier versions of the program stored of one `per`.
//!
//! A state that cannot be read is a principal that has to be learned anew, for weeks; so what a version added
//! is told from what the one before wrote by its length, and nothing is lost.

use super::days::Days;
use super::packed;
use super::peer::{Doubts, Peer};
use super::value::Rung;
use super::values::Values;
use crate::engine::shelf::decode;
use serde::{Deserialize, Serialize};

/// Before days on which somebody moved were counted.
#[derive(Serialize, Deserialize)]
pub(super) struct Unmoved {
    #[serde(with = "packed")]
    pub(super) values: Values,
    pub(super) doubts: Option<Box<Doubts>>,
    pub(super) first: u32,
    pub(super) last: u32,
    pub(super) events: u32,
    pub(super) days: Days,
    pub(super) rung: Rung,
    pub(super) again: bool,
    pub(super) settled: bool,
}

/// A stored state, of this version or the one before; `None` when it is neither.
pub(super) fn read(state: &[u8]) -> Option<Peer> {
    decode(state).or_else(|| decode::<Unmoved>(state).map(Peer::from))
}

#[cfg(test)]
impl Unmoved {
    /// What would have been stored of it.
    pub(super) fn of(peer: &Peer) -> Self {
        peer.clone().into()
    }
}
