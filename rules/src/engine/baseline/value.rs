//! What a baseline remembers of one value: eight bytes that stand for it.
//!
//! Networks and autonomous systems are packed exactly. Texts are kept as a 64-bit SipHash-1-3
//! with a fixed key, the same in every version of the program because it is stored; two texts
//! that share one would have to be searched for on purpose among 2^64. Nothing here remembers
//! or judges.

use serde::{Deserialize, Serialize};
use std::fmt;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr};

/// A value to judge.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    /// Combined values of fields, with what stands for them.
    Text(&'v str, Print),
    /// A source address, with its autonomous system when a database knows it.
    Address {
        /// The address.
        ip: IpAddr,
        /// Its autonomous system.
        asn: Option<u32>,
    },
}

/// The rung of the generalisation ladder somebody stands on.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) enum Rung {
    /// /24 and /48.
    #[default]
    Narrow,
    /// /16 and /32.
    Wide,
    /// Autonomous systems.
    System,
    /// Too mobile: not judged.
    Mobile,
    /// /8 and /24, where no database tells autonomous systems. Stored by number: a rung that was added later
    /// stands last.
    Block,
}

/// A value in eight bytes, aligned to four so that a sight of it takes twelve.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub(crate) struct Print {
    high: u32,
    low: u32,
}

/// Kinds of packed networks; they stand in the highest byte of a print.
const V4_24: u64 = 1;
const V4_16: u64 = 2;
const V6_48: u64 = 3;
const V6_32: u64 = 4;
const SYSTEM: u64 = 5;
const V4_8: u64 = 6;
const V6_24: u64 = 7;
const KIND_SHIFT: u32 = 56;
const KIND_MASK: u64 = 0xff << KIND_SHIFT;

#[cfg(test)]
impl<'v> Value<'v> {
    /// A text.
    pub(crate) fn text(text: &'v str) -> Self {
        Self::Text(text, Print::of_text(text))
    }
}

impl Print {
    /// What stands for a value on a rung; `None` where it is not judged.
    pub(crate) fn of(value: Value<'_>, rung: Rung) -> Option<Self> {
        match (value, rung) {
            (Value::Text(_, print), _) => Some(print),
            (Value::Address { ip, .. }, Rung::Narrow) => Some(Self::narrow(ip)),
            (Value::Address { ip, .. }, Rung::Wide) => Some(Self::narrow(ip).widened()),
            (Value::Address { ip, .. }, Rung::Block) => Some(Self::narrow(ip).widened().widened()),
            (Value::Address { asn, .. }, Rung::System) => asn.map(Self::system),
            (Value::Address { .. }, Rung::Mobile) => None,
        }
    }

    /// What stands for a text.
    pub(crate) fn of_text(text: &str) -> Self {
        Self::from_bits(sip(text.as_bytes()))
    }

    /// What stands for an autonomous system.
    pub(crate) fn system(asn: u32) -> Self {
        Self::from_bits(SYSTEM << KIND_SHIFT | u64::from(asn))
    }

    /// Whether it stands for an autonomous system; meaningless for texts.
    pub(crate) fn is_system(self) -> bool {
        self.to_bits() >> KIND_SHIFT == SYSTEM
    }

    /// Whether it stands for a network of IPv6 that is none of those a ladder ends with.
    pub(super) fn is_v6(self) -> bool {
        matches!(self.to_bits() >> KIND_SHIFT, V6_48 | V6_32)
    }

    /// The network one rung up.
    pub(crate) fn widened(self) -> Self {
        let (kind, address) = (self.to_bits() >> KIND_SHIFT, self.to_bits() & !KIND_MASK);
        match kind {
            V4_24 => Self::from_bits(V4_16 << KIND_SHIFT | (address & 0xffff_0000)),
            V6_48 => Self::from_bits(V6_32 << KIND_SHIFT | (address & 0xffff_ffff_0000)),
            V4_16 => Self::from_bits(V4_8 << KIND_SHIFT | (address & 0xff00_0000)),
            V6_32 => Self::from_bits(V6_24 << KIND_SHIFT | (address & 0xffff_ff00_0000)),
            _ => self,
        }
    }

    /// The network as people write it. Not for texts.
    pub(crate) fn network(self) -> impl fmt::Display {
        Network(self)
    }

    fn narrow(ip: IpAddr) -> Self {
        match ip.to_canonical() {
            IpAddr::V4(ip) => Self::from_bits(V4_24 << KIND_SHIFT | u64::from(u32::from(ip) & 0xffff_ff00)),
            IpAddr::V6(ip) => {
                let top = u128::from(ip) >> 80;
                Self::from_bits(V6_48 << KIND_SHIFT | u64::try_from(top).unwrap_or(0))
            }
        }
    }

    /// The print of these eight bytes.
    pub(crate) fn from_bits(bits: u64) -> Self {
        let half = |bits: u64| u32::try_from(bits & 0xffff_ffff).unwrap_or(0);
        Self { high: half(bits >> 32), low: half(bits) }
    }

    /// Its eight bytes.
    pub(crate) fn to_bits(self) -> u64 {
        u64::from(self.high) << 32 | u64::from(self.low)
    }
}

struct Network(Print);

impl fmt::Display for Network {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bits = self.0.to_bits();
        let (kind, v4) = (bits >> KIND_SHIFT, Ipv4Addr::from(self.0.low));
        let v6 = Ipv6Addr::from(u128::from(bits & !KIND_MASK) << 80);
        match kind {
            V4_24 => write!(out, "{v4}/24"),
            V4_16 => write!(out, "{v4}/16"),
            V6_48 => write!(out, "{v6}/48"),
            V6_32 => write!(out, "{v6}/32"),
            V4_8 => write!(out, "{v4}/8"),
            V6_24 => write!(out, "{v6}/24"),
            _ => write!(out, "AS{}", self.0.low),
        }
    }
}

/// SipHash-1-3 of Aumasson and Bernstein, with the key zero.
fn sip(bytes: &[u8]) -> u64 {
    let mut state =
        [0x736f_6d65_7073_6575, 0x646f_7261_6e64_6f6d, 0x6c79_6765_6e65_7261, 0x7465_6462_7974_6573];
    let mut words = bytes.chunks_exact(8);
    for word in &mut words {
        absorb(&mut state, u64::from_le_bytes(word.try_into().unwrap_or_default()));
    }
    let tail = words.remainder().iter().rev().fold(0, |word, byte| word << 8 | u64::from(*byte));
    absorb(&mut state, (bytes.len() as u64) << 56 | tail);
    let [v0, v1, v2, v3] = state;
    state = [v0, v1, v2 ^ 0xff, v3];
    for _ in 0..3 {
        round(&mut state);
    }
    state.iter().fold(0, |all, word| all ^ word)
}

fn absorb(state: &mut [u64; 4], word: u64) {
    let [_, _, _, v3] = state;
    *v3 ^= word;
    round(state);
    let [v0, ..] = state;
    *v0 ^= word;
}

fn round(state: &mut [u64; 4]) {
    let [mut v0, mut v1, mut v2, mut v3] = *state;
    v0 = v0.wrapping_add(v1);
    v1 = v1.rotate_left(13) ^ v0;
    v0 = v0.rotate_left(32);
    v2 = v2.wrapping_add(v3);
    v3 = v3.rotate_left(16) ^ v2;
    v0 = v0.wrapping_add(v3);
    v3 = v3.rotate_left(21) ^ v0;
    v2 = v2.wrapping_add(v1);
    v1 = v1.rotate_left(17) ^ v2;
    v2 = v2.rotate_left(32);
    *state = [v0, v1, v2, v3];
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::hash::Hasher;

    fn shown(ip: &str, rung: Rung) -> String {
        let value = Value::Address { ip: ip.parse().unwrap(), asn: Some(64_496) };
        Print::of(value, rung).map_or_else(|| "not judged".to_owned(), |print| print.network().to_string())
    }

    #[test]
    fn an_address_becomes_wider_networks_rung_by_rung() {
        assert_eq!(shown("198.51.100.7", Rung::Narrow), "198.51.100.0/24");
        assert_eq!(shown("198.51.100.7", Rung::Wide), "198.51.0.0/16");
        assert_eq!(shown("198.51.100.7", Rung::Block), "198.0.0.0/8");
        assert_eq!(shown("2001:db8:1:2::3", Rung::Block), "2001:d00::/24");
        assert_eq!(shown("2001:db8:1:2::3", Rung::Narrow), "2001:db8:1::/48");
        assert_eq!(shown("2001:db8:1:2::3", Rung::Wide), "2001:db8::/32");
        assert_eq!(shown("198.51.100.7", Rung::System), "AS64496");
        assert_eq!(shown("198.51.100.7", Rung::Mobile), "not judged");
        assert_eq!(shown("::ffff:198.51.100.7", Rung::Narrow), "198.51.100.0/24");
    }

    #[test]
    fn a_widened_print_is_the_print_of_the_wider_network() {
        for ip in ["198.51.100.7", "2001:db8:1:2::3"] {
            let value = Value::Address { ip: ip.parse().unwrap(), asn: None };
            let narrow = Print::of(value, Rung::Narrow).unwrap();
            assert_eq!(Some(narrow.widened()), Print::of(value, Rung::Wide));
        }
    }

    #[test]
    fn networks_of_different_kinds_never_meet() {
        let prints: std::collections::BTreeSet<Print> = ["0.0.0.1", "::1"]
            .into_iter()
            .flat_map(|ip| {
                let value = Value::Address { ip: ip.parse().unwrap(), asn: Some(0) };
                [Rung::Narrow, Rung::Wide, Rung::System].map(|rung| Print::of(value, rung).unwrap())
            })
            .collect();
        assert_eq!(prints.len(), 5);
    }

    #[test]
    fn texts_have_the_prints_they_always_had() {
        // The standard library's hasher is the same function today; the fixed numbers are what
        // stored state depends on.
        for text in ["", "a", "seven77", "eight888", "arn:aws:iam::111122223333:role/payments"] {
            let mut std = std::collections::hash_map::DefaultHasher::new();
            std.write(text.as_bytes());
            assert_eq!(sip(text.as_bytes()), std.finish(), "{text}");
        }
        assert_eq!(sip(b""), 0xd1fb_a762_150c_532c);
    }
}
