//! Entries that raise nothing by themselves, of all groups of a rule together.
//!
//! Many rules wait for something rare beside something usual: a refused read beside a read, ten
//! wrong passwords beside whatever else the account does. The usual must be kept, since the rare may
//! come late; but a group in which nothing else happened needs no place of its own. Its entries lie in
//! one list, in order of arrival, and each knows the one before it whose group falls into the same
//! cell of a table. To add one takes no search, and the table is told of many at once: each of its cells
//! lies in far memory, and many that do not wait for each other are as fast as a few that do. When
//! something else happens in a group its entries are taken out.
//!
//! Knows no rule.

use super::asleep::Light;
use keywatch_event::EventTime;
use std::collections::VecDeque;

/// Entries of a block: 48 kB, given back at once.
const BLOCK: usize = 1024;
/// Entries of which the table is told at once.
const AT_ONCE: u64 = 256;
/// Fewest cells of the table.
const CELLS_MIN: usize = 256;

/// Entries in order of arrival. One takes 48 bytes and two cells of 8 at most, besides the brief
/// that rules share.
#[derive(Debug, Default)]
pub(crate) struct Backlog {
    /// All but the last have [`BLOCK`] places.
    blocks: VecDeque<Block>,
    /// Number of the first block's first place.
    first: u64,
    /// By group: the number of the latest place and one; 0 when there is none.
    cells: Vec<u64>,
    /// Number of the first place of which the table knows nothing.
    untold: u64,
    len: usize,
}

#[derive(Debug, Default)]
struct Block {
    places: Vec<Place>,
    /// How many places hold an entry.
    len: usize,
    /// The latest event time it ever held.
    latest: Option<EventTime>,
}

#[derive(Debug)]
struct Place {
    group: u64,
    /// None when it was taken out or let go.
    light: Option<Light>,
    /// What its cell held before.
    before: u64,
}

impl Backlog {
    /// How many entries there are. One that came twice counts twice.
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Adds an entry of a group.
    pub(crate) fn push(&mut self, group: u64, light: Light) {
        let is_full = |blocks: &VecDeque<Block>| blocks.back().is_none_or(|last| last.places.len() >= BLOCK);
        if is_full(&self.blocks) {
            self.close_ranks();
        }
        if is_full(&self.blocks) {
            self.blocks.push_back(Block::default());
        }
        if let Some(block) = self.blocks.back_mut() {
            block.push(Place { group, light: Some(light), before: 0 });
            self.len += 1;
        }
        if self.end() - self.untold >= AT_ONCE {
            self.tell();
        }
    }

    /// Tells the table of every place it does not know.
    fn tell(&mut self) {
        if self.len > self.cells.len() {
            return self.resize();
        }
        let Some(mask) = self.cells.len().checked_sub(1) else { return };
        let mut number = self.untold;
        let known = usize::try_from(number - self.first).unwrap_or(0);
        let mut known_of_block = known % BLOCK;
        for block in self.blocks.iter_mut().skip(known / BLOCK) {
            for place in block.places.iter_mut().skip(known_of_block) {
                number += 1;
                if let Some(cell) = self.cells.get_mut(cell_of(place.group, mask)) {
                    place.before = std::mem::replace(cell, number);
                }
            }
            known_of_block = 0;
        }
        self.untold = number;
    }

    /// Takes the entries of a group out, in order of arrival.
    pub(crate) fn take(&mut self, group: u64) -> Vec<Light> {
        let mut taken = Vec::new();
        if self.len == 0 {
            return taken;
        }
        self.tell();
        let mut next = self.cell(group).map_or(0, |cell| *cell);
        while let Some((block, at)) = next.checked_sub(1).and_then(|number| self.find(number)) {
            let Some(place) = block.places.get(at) else { break };
            let is_its = place.group == group;
            next = place.before;
            if let Some(light) = is_its.then(|| block.empty(at)).flatten() {
                taken.push(light);
                self.len -= 1;
            }
        }
        taken.reverse();
        taken
    }

    /// Lets the oldest entries go as long as they are from before `time`.
    pub(crate) fn forget_before(&mut self, time: EventTime) {
        while self.blocks.len() > 1
            && self.blocks.front().is_some_and(|block| block.latest.is_none_or(|latest| latest < time))
        {
            self.drop_oldest_block();
        }
        if let Some(block) = self.blocks.front_mut() {
            self.len -= block.let_go(usize::MAX, |light| light.brief.time < time);
        }
        self.shrink();
    }

    /// Lets all entries but the latest `keep` go; how many went.
    pub(crate) fn shed(&mut self, keep: usize) -> usize {
        let before = self.len;
        while self.blocks.front().is_some_and(|block| self.len - block.len >= keep) && self.len > keep {
            self.drop_oldest_block();
        }
        let excess = self.len.saturating_sub(keep);
        if let Some(block) = self.blocks.front_mut() {
            self.len -= block.let_go(excess, |_| true);
        }
        self.shrink();
        before - self.len
    }

    fn drop_oldest_block(&mut self) {
        if let Some(block) = self.blocks.pop_front() {
            self.first += block.places.len() as u64;
            self.untold = self.untold.max(self.first);
            self.len -= block.len;
        }
    }

    /// Gives empty places back when they are three in four.
    fn close_ranks(&mut self) {
        if self.blocks.len() * BLOCK <= 4 * (self.len + BLOCK) {
            return;
        }
        let old = std::mem::take(self);
        let places = old.blocks.into_iter().flat_map(|block| block.places);
        let left = places.filter_map(|place| Some((place.group, place.light?)));
        left.for_each(|(group, light)| self.push(group, light));
    }

    /// Number of the next place.
    fn end(&self) -> u64 {
        let last = self.blocks.back().map_or(0, |block| block.places.len());
        self.first + (self.blocks.len().saturating_sub(1) * BLOCK + last) as u64
    }

    fn find(&mut self, number: u64) -> Option<(&mut Block, usize)> {
        let at = usize::try_from(number.checked_sub(self.first)?).ok()?;
        Some((self.blocks.get_mut(at / BLOCK)?, at % BLOCK))
    }

    /// The cell of a group, unless there is no table yet.
    fn cell(&mut self, group: u64) -> Option<&mut u64> {
        let mask = self.cells.len().checked_sub(1)?;
        self.cells.get_mut(cell_of(group, mask))
    }

    fn shrink(&mut self) {
        if self.cells.len() > CELLS_MIN && self.len < self.cells.len() / 8 {
            self.resize();
        }
    }

    /// Makes the table anew, of twice as many cells as there are entries.
    fn resize(&mut self) {
        let cells = (2 * self.len).next_power_of_two().max(CELLS_MIN);
        self.cells.clear();
        self.cells.resize(cells, 0);
        self.cells.shrink_to_fit();
        self.untold = self.first;
        self.tell();
    }
}

/// The cell of a group: their number is a power of two, and names are hashed already.
fn cell_of(group: u64, mask: usize) -> usize {
    usize::try_from(group & mask as u64).unwrap_or(0)
}

impl Block {
    fn push(&mut self, place: Place) {
        self.latest = self.latest.max(place.light.as_ref().map(|light| light.brief.time));
        self.places.push(place);
        self.len += 1;
    }

    fn empty(&mut self, at: usize) -> Option<Light> {
        let light = self.places.get_mut(at)?.light.take()?;
        self.len -= 1;
        Some(light)
    }

    /// Empties the oldest places, at most so many of those that hold an entry, as long as they may
    /// go; how many went.
    fn let_go(&mut self, most: usize, may_go: impl Fn(&Light) -> bool) -> usize {
        let mut gone = 0;
        for place in &mut self.places {
            if gone >= most || place.light.as_ref().is_some_and(|light| !may_go(light)) {
                break;
            }
            gone += usize::from(place.light.take().is_some());
        }
        self.len -= gone;
        gone
    }
}

#[cfg(test)]
#[path = "backlog_tests.rs"]
mod tests;
