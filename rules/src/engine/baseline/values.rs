//! The values somebody was seen with, ordered by print.
//!
//! Most have one or two: those lie in place, without an allocation and without a look into far memory.

use super::value::Print;
use serde::{Deserialize, Serialize};
use std::ops::{Deref, DerefMut};

/// One known value.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Sighted {
    pub(super) print: Print,
    /// Second of the latest sight, late by up to what a refresh takes.
    pub(super) last: u32,
}

/// How many values lie in place.
const FEW: usize = 2;

/// Values in order. 32 bytes; more than [`FEW`] lie on the heap.
#[derive(Clone, Debug)]
pub(super) struct Values(Kept);

#[derive(Clone, Debug)]
enum Kept {
    Few(u8, [Sighted; FEW]),
    Many(Vec<Sighted>),
}

impl Default for Values {
    fn default() -> Self {
        Self(Kept::Few(0, [Sighted::default(); FEW]))
    }
}

impl Deref for Values {
    type Target = [Sighted];

    fn deref(&self) -> &[Sighted] {
        match &self.0 {
            Kept::Few(len, kept) => kept.get(..usize::from(*len)).unwrap_or_default(),
            Kept::Many(kept) => kept,
        }
    }
}

impl DerefMut for Values {
    fn deref_mut(&mut self) -> &mut [Sighted] {
        match &mut self.0 {
            Kept::Few(len, kept) => kept.get_mut(..usize::from(*len)).unwrap_or_default(),
            Kept::Many(kept) => kept,
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for Values {}

impl From<Vec<Sighted>> for Values {
    fn from(mut values: Vec<Sighted>) -> Self {
        values.sort_unstable_by_key(|known| known.print);
        let mut few = [Sighted::default(); FEW];
        if let (Some(places), Ok(len)) = (few.get_mut(..values.len()), u8::try_from(values.len())) {
            places.copy_from_slice(&values);
            Self(Kept::Few(len, few))
        } else {
            values.shrink_to_fit();
            Self(Kept::Many(values))
        }
    }
}

impl Values {
    /// Adds a value at its place.
    pub(super) fn insert(&mut self, at: usize, value: Sighted) {
        match &mut self.0 {
            Kept::Few(len, kept) if usize::from(*len) < FEW => {
                *len += 1;
                if let Some(rest) = kept.get_mut(at..usize::from(*len)) {
                    rest.rotate_right(1);
                    rest.first_mut().into_iter().for_each(|place| *place = value);
                }
            }
            Kept::Few(_, kept) => {
                let mut many = Vec::with_capacity(FEW + 2);
                many.extend_from_slice(kept);
                many.insert(at.min(FEW), value);
                self.0 = Kept::Many(many);
            }
            Kept::Many(many) => {
                if many.len() == many.capacity() {
                    many.reserve_exact(1 + many.len() / 4);
                }
                many.insert(at.min(many.len()), value);
            }
        }
    }

    /// Lets those go for which `stays` does not hold.
    pub(super) fn retain(&mut self, stays: impl Fn(&Sighted) -> bool) {
        if self.iter().all(&stays) {
            return;
        }
        if let Kept::Many(many) = &mut self.0 {
            many.retain(&stays);
            if many.len() > FEW {
                return;
            }
        }
        let left: Vec<Sighted> = self.iter().copied().filter(&stays).collect();
        *self = Self::from(left);
    }

    /// Bytes on the heap at most, by how many there are: a function of what is stored, so that a
    /// restart changes nothing. A quarter may be spare, and 16 are the allocator's own.
    pub(super) fn heap_bytes(&self) -> usize {
        if self.len() <= FEW { 0 } else { (self.len() + 1 + self.len() / 4) * size_of::<Sighted>() + 16 }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn value(bits: u64) -> Sighted {
        Sighted { print: Print::from_bits(bits), last: 7 }
    }

    #[test]
    fn values_are_the_same_whether_they_lie_in_place_or_not() {
        let (mut values, mut plain) = (Values::default(), Vec::new());
        for bits in [5, 3, 9, 1, 7, 2] {
            let at = plain.partition_point(|known: &Sighted| known.print < value(bits).print);
            values.insert(at, value(bits));
            plain.insert(at, value(bits));
            assert_eq!(*values, *plain);
            assert_eq!(values, Values::from(plain.clone()));
        }
        for most in [8, 5, 3, 2, 1] {
            let stays = |known: &Sighted| known.print < value(most).print;
            values.retain(stays);
            plain.retain(stays);
            assert_eq!(*values, *plain, "below {most}");
            assert_eq!(values.heap_bytes() == 0, values.len() <= FEW);
        }
    }

    #[test]
    fn values_take_thirty_two_bytes() {
        assert_eq!(size_of::<Values>(), 32);
    }
}
