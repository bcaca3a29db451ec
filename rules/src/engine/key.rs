//! By what events belong to one incident.

use super::entry::{Asks, Reading};
use super::few::Few;
use super::words::{Name, hasher};
use crate::field::{Field, Normal};
use crate::rule::Count;
use crate::view::View;
use hashbrown::HashMap;
use sha2::{Digest, Sha256};
use std::hash::Hasher;

/// Values of one set of incident key fields: the first 128 bits of their SHA-256, which nobody
/// can make collide on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// All fields.
    pub(crate) full: u128,
    /// All fields but the actor.
    pub(crate) base: u128,
}

/// One key per set of fields. Further sets count only when each field has a value: otherwise all
/// events without one would share it. All of a group that is the key share it, also where an event is
/// in several groups.
pub(crate) fn keys_of(
    (count, asks): (&Count, &Asks),
    reading: &Reading<'_, '_>,
    group: Name<'_>,
) -> Few<Key> {
    let (view, incident) = (reading.view, &count.incident);
    let digest = |set, leaves_actor| {
        let mut digests = reading.digests.borrow_mut();
        if set == 0 && asks.by_group {
            return digests.of_group(group, count.group_by(0), leaves_actor);
        }
        let fields = incident.keys.get(set).map_or(&[][..], Vec::as_slice);
        digests.of((set, fields, leaves_actor), view)
    };
    let whole = |set: &[Field]| set.iter().all(|field| field.any(view, &mut |_| true));
    let sets = incident.keys.iter().enumerate().filter(|(at, set)| *at == 0 || whole(set));
    sets.map(|(at, set)| {
        let full = digest(at, false);
        let actor = set.iter().any(|field| field.is(Normal::Actor));
        Key { full, base: if actor { digest(at, true) } else { full } }
    })
    .collect()
}

/// Stands for the values of fields, told apart whatever they hold.
pub(crate) fn values_hash<'f>(fields: impl Iterator<Item = &'f Field>, view: &View<'_>) -> u64 {
    let mut hash = hasher();
    for field in fields {
        field.any(view, &mut |value| {
            hash.write_usize(value.len());
            hash.write(value.as_bytes());
            false
        });
        hash.write_usize(usize::MAX);
    }
    hash.finish()
}

/// Digests made before: most events are by somebody who did something a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    /// By what stands for the set's number and its values.
    known: HashMap<u64, u128>,
    /// What is digested now.
    text: Vec<u8>,
}

/// Most digests remembered. One is about 50 bytes.
const DIGESTS_MAX: usize = 20_000;

impl Digests {
    /// The digest of a set of fields; without the actor when that is left out.
    fn of(&mut self, (set, fields, leaves_actor): (usize, &[Field], bool), view: &View<'_>) -> u128 {
        let fields = || fields.iter().filter(|field| !leaves_actor || !field.is(Normal::Actor));
        let mark = (set as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = values_hash(fields(), view) ^ mark;
        self.known_or(key, |text| {
            text.push(u8::try_from(set).unwrap_or(u8::MAX));
            for field in fields() {
                field.any(view, &mut |value| {
                    lengthen(text, value);
                    false
                });
                text.push(0x1f);
            }
        })
    }

    /// That of the first set of fields, whose values make the name of a group: what [`Self::of`] gives where
    /// each has one value.
    fn of_group(&mut self, group: Name<'_>, fields: &[Field], leaves_actor: bool) -> u128 {
        let mark = if leaves_actor { 0xd1b5_4a32_d192_ed03 } else { 0x8cb9_2ba7_2f3d_8dd7 };
        self.known_or(group.hash ^ mark, |text| {
            text.push(0);
            let values = || group.text.split_terminator('\u{1f}');
            if values().count() != fields.len() {
                // A value that has the separator in it.
                return lengthen(text, group.text);
            }
            let told = values().zip(fields).filter(|(_, field)| !leaves_actor || !field.is(Normal::Actor));
            for (value, _) in told {
                lengthen(text, value);
                text.push(0x1f);
            }
        })
    }

    /// The digest known by a hash, made of what is written when it is not.
    fn known_or(&mut self, key: u64, write: impl FnOnce(&mut Vec<u8>)) -> u128 {
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        self.text.clear();
        write(&mut self.text);
        let digest =
            Sha256::digest(&self.text).iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte));
        if self.known.len() >= DIGESTS_MAX {
            self.known.clear();
        }
        self.known.insert(key, digest);
        digest
    }
}

/// A value with its length before it.
fn lengthen(text: &mut Vec<u8>, value: &str) {
    text.extend((value.len() as u64).to_be_bytes());
    text.extend(value.as_bytes());
}
