//! Values as stored: twelve bytes each, least significant first, so that writing many costs little more
//! than copying them.

use super::value::Print;
use super::values::{Sighted, Values};
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

const EACH: usize = 12;

pub(super) fn serialize<S: Serializer>(values: &Values, to: S) -> Result<S::Ok, S::Error> {
    let mut bytes = Vec::with_capacity(values.len() * EACH);
    for known in values.iter() {
        bytes.extend(known.print.to_bits().to_le_bytes());
        bytes.extend(known.last.to_le_bytes());
    }
    to.serialize_bytes(&bytes)
}

pub(super) fn deserialize<'d, D: Deserializer<'d>>(from: D) -> Result<Values, D::Error> {
    from.deserialize_bytes(Packed)
}

struct Packed;

impl Visitor<'_> for Packed {
    type Value = Values;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(out, "{EACH} bytes for each value")
    }

    fn visit_bytes<E: Error>(self, bytes: &[u8]) -> Result<Self::Value, E> {
        let mut values = Vec::with_capacity(bytes.len() / EACH);
        let mut rest = bytes;
        while let Some((print, after)) = rest.split_first_chunk::<8>() {
            let Some((last, after)) = after.split_first_chunk::<4>() else { break };
            let print = Print::from_bits(u64::from_le_bytes(*print));
            values.push(Sighted { print, last: u32::from_le_bytes(*last) });
            rest = after;
        }
        if rest.is_empty() { Ok(values.into()) } else { Err(E::invalid_length(bytes.len(), &self)) }
    }
}
