//! Who is forgotten when there is too much.
//!
//! One limit for all baselines together, and two tiers. Whoever has been here for a day and can be
//! judged is settled; the settled have nine tenths of the bytes, and newcomers can never take one from
//! them: a flood of invented names only pushes out other new names. Within a tier those seen at one
//! moment only go first, unless a baseline asks what has been unseen for long and they have been for a day;
//! then those about whom nothing was raised lately, then the longest unseen. What goes depends on the state alone, not on the order it was restored in.
//!
//! Whoever goes makes room for many: each time a twentieth of the limit is given back, of newcomers
//! that have a tenth of it at least, so that a newcomer costs a look at some twenty records and a place
//! in the order of as many.

use super::ledger::Ledger;
use super::record::Record;
use hashbrown::HashSet;

impl Ledger {
    /// Brings what is held below the limit.
    pub(super) fn make_room(&mut self, now: u32) {
        let settled_max = self.bytes_max / 10 * 9;
        if self.settled_bytes > settled_max {
            self.let_go(true, self.settled_bytes - self.bytes_max / 5 * 4, now);
        }
        if self.bytes > self.bytes_max {
            self.let_go(false, self.bytes - self.bytes_max + self.bytes_max / 20, now);
        }
    }

    /// The same after a restart, as of the latest event.
    pub(super) fn restored(&mut self) {
        let now = self.records.iter().map(|record| record.worth.last()).max().unwrap_or(0);
        self.make_room(now);
    }

    /// Forgets the lowest of a tier by rank, then by name, until so many bytes are given back.
    fn let_go(&mut self, settled: bool, bytes: usize, now: u32) {
        let of_tier = |record: &&Record| record.worth.settled == settled;
        let ranked = self.records.iter().filter(of_tier);
        let mut ranked: Vec<(u64, u32)> =
            ranked.map(|record| (record.worth.rank(now), record.bytes)).collect();
        ranked.sort_unstable();
        let mut freed = 0;
        let last = ranked.iter().find(|(_, bytes_of)| {
            freed += *bytes_of as usize;
            freed >= bytes
        });
        // When all of them are not enough, all go.
        let Some((bound, _)) = last.or(ranked.last()).copied() else { return };
        let below = ranked.iter().take_while(|(rank, _)| *rank < bound);
        let sure: usize = below.map(|(_, bytes)| *bytes as usize).sum();
        let chosen = self.lowest_by_name(settled, (bound, now), bytes.saturating_sub(sure));
        self.forget(|record| {
            record.worth.settled == settled && {
                let rank = record.worth.rank(now);
                rank < bound || rank == bound && chosen.contains(&record.hash)
            }
        });
    }

    /// Of the records of one rank, hashes of the first by name that have so many bytes.
    fn lowest_by_name(&self, settled: bool, (rank, now): (u64, u32), bytes: usize) -> HashSet<u64> {
        let same = |record: &&Record| record.worth.settled == settled && record.worth.rank(now) == rank;
        let mut same: Vec<&Record> = self.records.iter().filter(same).collect();
        same.sort_unstable_by(|one, other| one.name.cmp(&other.name));
        let mut freed = 0;
        let lowest = same.iter().take_while(|record| {
            let goes = freed < bytes;
            freed += record.bytes as usize;
            goes
        });
        lowest.map(|record| record.hash).collect()
    }

    fn forget(&mut self, goes: impl Fn(&Record) -> bool) {
        let Self { records, bytes, settled_bytes, evicted, evicted_of, gone, losses, .. } = self;
        records.take_out(goes, |record| {
            losses.add(record.hash);
            let of_record = record.bytes as usize;
            *bytes -= of_record;
            *settled_bytes -= if record.worth.settled { of_record } else { 0 };
            *evicted += 1;
            for part in &record.parts {
                if let Some(evicted) = evicted_of.get_mut(usize::from(part.of)) {
                    *evicted += 1;
                }
                if part.stored {
                    gone.push((part.of, record.name.clone()));
                }
            }
        });
        // One batch may make and forget any number; what waits to be written stays as bounded as what
        // there is.
        let records = &self.records;
        self.dirty.retain(|hash| records.find(*hash).is_some());
    }
}
