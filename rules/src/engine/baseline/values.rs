//! The values somebody was seen with, ordered by print: first those that are settled, then the others.
//!
//! A value is settled when it was seen on two days. Newcomers never push it out (`peer.rs`): a flood of
//! new values, each seen once, makes nobody forget what is usual.
//!
//! Most have one or two: those lie in place, without an allocation and without a look into far memory.

use super::days::DAY_SECS;
use super::value::Print;
use serde::{Deserialize, Serialize};
use std::ops::Deref;

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

/// How many are settled, and all of them.
#[derive(Clone, Debug)]
enum Kept {
    Few(u8, u8, [Sighted; FEW]),
    Many(u32, Vec<Sighted>),
}

impl Default for Values {
    fn default() -> Self {
        Self(Kept::Few(0, 0, [Sighted::default(); FEW]))
    }
}

impl Deref for Values {
    type Target = [Sighted];

    fn deref(&self) -> &[Sighted] {
        match &self.0 {
            Kept::Few(_, len, kept) => kept.get(..usize::from(*len)).unwrap_or_default(),
            Kept::Many(_, kept) => kept,
        }
    }
}

impl PartialEq for Values {
    fn eq(&self, other: &Self) -> bool {
        self.tiers() == other.tiers()
    }
}

impl Eq for Values {}

impl Values {
    /// The settled ones and the others, in any order.
    pub(super) fn of(mut settled: Vec<Sighted>, mut newcomers: Vec<Sighted>) -> Self {
        settled.sort_unstable_by_key(|known| known.print);
        newcomers.sort_unstable_by_key(|known| known.print);
        let many = settled.len();
        settled.append(&mut newcomers);
        settled.shrink_to_fit();
        let mut values = Self(Kept::Many(u32::try_from(many).unwrap_or(u32::MAX), settled));
        values.keep_in_place();
        values
    }

    /// The settled ones, and the others.
    pub(super) fn tiers(&self) -> (&[Sighted], &[Sighted]) {
        self.split_at_checked(self.settled()).unwrap_or_default()
    }

    fn settled(&self) -> usize {
        match &self.0 {
            Kept::Few(settled, ..) => usize::from(*settled),
            Kept::Many(settled, _) => usize::try_from(*settled).unwrap_or(usize::MAX),
        }
    }

    /// A value.
    pub(super) fn find(&self, print: Print) -> Option<&Sighted> {
        self.place(print).ok().and_then(|at| self.get(at))
    }

    /// Where a value is, or where it belongs as a newcomer.
    fn place(&self, print: Print) -> Result<usize, usize> {
        let (settled, newcomers) = self.tiers();
        let of = |known: &Sighted| known.print;
        settled.binary_search_by_key(&print, of).or_else(|_| {
            let found = newcomers.binary_search_by_key(&print, of);
            found.map(|at| settled.len() + at).map_err(|at| settled.len() + at)
        })
    }

    /// A value was seen at that second.
    pub(super) fn see(&mut self, print: Print, now: u32) {
        match self.place(print) {
            Ok(at) => {
                let Some(known) = self.all_mut().get_mut(at) else { return };
                let again = now / DAY_SECS > known.last / DAY_SECS;
                known.last = known.last.max(now);
                if again {
                    self.settle(at);
                }
            }
            Err(at) => self.insert(at, Sighted { print, last: now }),
        }
    }

    /// The value that was known as another, settled or not, is known.
    pub(super) fn put(&mut self, known: Sighted, settled: bool) {
        self.see(known.print, known.last);
        if settled && let Ok(at) = self.place(known.print) {
            self.settle(at);
        }
    }

    /// The value at a place is settled from now on.
    fn settle(&mut self, at: usize) {
        let (settled, newcomers) = self.tiers();
        let Some(known) = at.checked_sub(settled.len()).and_then(|at| newcomers.get(at)) else { return };
        let to = settled.partition_point(|other| other.print < known.print);
        if let Some(between) = self.all_mut().get_mut(to..=at) {
            between.rotate_right(1);
        }
        match &mut self.0 {
            Kept::Few(settled, ..) => *settled += 1,
            Kept::Many(settled, _) => *settled += 1,
        }
    }

    fn all_mut(&mut self) -> &mut [Sighted] {
        match &mut self.0 {
            Kept::Few(_, len, kept) => kept.get_mut(..usize::from(*len)).unwrap_or_default(),
            Kept::Many(_, kept) => kept,
        }
    }

    /// Adds a value at its place.
    fn insert(&mut self, at: usize, value: Sighted) {
        match &mut self.0 {
            Kept::Few(_, len, kept) if usize::from(*len) < FEW => {
                *len += 1;
                if let Some(rest) = kept.get_mut(at..usize::from(*len)) {
                    rest.rotate_right(1);
                    rest.first_mut().into_iter().for_each(|place| *place = value);
                }
            }
            Kept::Few(settled, _, kept) => {
                let mut many = Vec::with_capacity(FEW + 2);
                many.extend_from_slice(kept);
                many.insert(at.min(FEW), value);
                self.0 = Kept::Many(u32::from(*settled), many);
            }
            Kept::Many(_, many) => {
                if many.len() == many.capacity() {
                    many.reserve_exact(1 + many.len() / 4);
                }
                many.insert(at.min(many.len()), value);
            }
        }
    }

    /// Lets those go for which `stays` does not hold; it is told whether they are settled.
    pub(super) fn retain(&mut self, stays: impl Fn(bool, &Sighted) -> bool) {
        let (settled, newcomers) = self.tiers();
        let left = settled.iter().filter(|known| stays(true, known)).count();
        if left == settled.len() && newcomers.iter().all(|known| stays(false, known)) {
            return;
        }
        let (mut at, many) = (0, settled.len());
        let mut kept = |known: &Sighted| {
            at += 1;
            stays(at <= many, known)
        };
        match &mut self.0 {
            Kept::Few(settled, len, few) => {
                let all = few.iter().take(usize::from(*len)).copied();
                let rest: Vec<Sighted> = all.filter(|known| kept(known)).collect();
                (*settled, *len) = (u8::try_from(left).unwrap_or(0), u8::try_from(rest.len()).unwrap_or(0));
                few.iter_mut().zip(rest).for_each(|(place, known)| *place = known);
            }
            Kept::Many(settled, many) => {
                many.retain(|known| kept(known));
                *settled = u32::try_from(left).unwrap_or(u32::MAX);
            }
        }
        self.keep_in_place();
    }

    /// Few values lie in place.
    fn keep_in_place(&mut self) {
        let Kept::Many(settled, many) = &self.0 else { return };
        let mut few = [Sighted::default(); FEW];
        if let (Some(places), Ok(settled), Ok(len)) =
            (few.get_mut(..many.len()), u8::try_from(*settled), u8::try_from(many.len()))
        {
            places.copy_from_slice(many);
            self.0 = Kept::Few(settled, len, few);
        }
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
        let (mut values, mut settled, mut newcomers) = (Values::default(), Vec::new(), Vec::new());
        for bits in [5, 3, 9, 1, 7, 2] {
            values.see(value(bits).print, 7);
            let known = if bits % 3 == 0 {
                values.see(value(bits).print, 7 + DAY_SECS);
                settled.push(Sighted { last: 7 + DAY_SECS, ..value(bits) });
                settled.last()
            } else {
                newcomers.push(value(bits));
                newcomers.last()
            };
            assert_eq!(values.find(value(bits).print), known);
            assert_eq!(values, Values::of(settled.clone(), newcomers.clone()));
        }
        for most in [8, 5, 3, 2, 1] {
            let stays = |known: &Sighted| known.print < value(most).print;
            values.retain(|is_settled, known| {
                assert_eq!(is_settled, known.last > 7, "{known:?}");
                stays(known)
            });
            settled.retain(stays);
            newcomers.retain(stays);
            assert_eq!(values, Values::of(settled.clone(), newcomers.clone()), "below {most}");
            assert_eq!(values.heap_bytes() == 0, values.len() <= FEW);
        }
        assert_eq!(values.find(value(5).print), None);
    }

    #[test]
    fn a_value_that_becomes_another_stays_settled() {
        let mut values = Values::default();
        values.put(value(4), true);
        values.put(value(2), false);
        values.put(value(2), true);
        values.put(value(4), false);
        values.put(value(3), false);
        assert_eq!(values.tiers(), (&[value(2), value(4)][..], &[value(3)][..]));
    }

    #[test]
    fn values_take_thirty_two_bytes() {
        assert_eq!(size_of::<Values>(), 32);
    }
}
