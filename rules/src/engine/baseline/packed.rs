//! Values as stored: twelve bytes each, least significant first, so that writing many costs little more
//! than copying them. Where some are settled, a mark stands between the others and them.

use super::value::Print;
use super::values::{Sighted, Values};
use serde::de::{Error, Visitor};
use serde::{Deserializer, Serializer};
use std::fmt;

const EACH: usize = 12;

pub(super) fn serialize<S: Serializer>(values: &Values, to: S) -> Result<S::Ok, S::Error> {
    let (settled, newcomers) = values.tiers();
    let mut bytes = Vec::with_capacity((values.len() + 1) * EACH);
    let mut put = |values: &[Sighted]| {
        for known in values {
            bytes.extend(known.print.to_bits().to_le_bytes());
            bytes.extend(known.last.to_le_bytes());
        }
    };
    put(newcomers);
    // No value has this print, and none was seen in 1970.
    if !settled.is_empty() {
        put(&[Sighted::default()]);
        put(settled);
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
        let (mut newcomers, mut settled) = (Vec::with_capacity(bytes.len() / EACH), None);
        let mut rest = bytes;
        while let Some((print, after)) = rest.split_first_chunk::<8>() {
            let Some((last, after)) = after.split_first_chunk::<4>() else { break };
            rest = after;
            let known = Sighted {
                print: Print::from_bits(u64::from_le_bytes(*print)),
                last: u32::from_le_bytes(*last),
            };
            if known == Sighted::default() {
                settled = Some(Vec::new());
            } else {
                settled.as_mut().unwrap_or(&mut newcomers).push(known);
            }
        }
        match rest {
            [] => Ok(Values::of(settled.unwrap_or_default(), newcomers)),
            _ => Err(E::invalid_length(bytes.len(), &self)),
        }
    }
}
