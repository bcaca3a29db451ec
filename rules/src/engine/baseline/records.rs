//! Records by the hash of their names, in tables of which none ever takes much room at once.
//!
//! A table in which much comes and goes would double although it has room: what was taken out of it leaves
//! marks, and when those fill it, it is made anew of twice the size unless it is half empty. Here it is made
//! anew of the size it needs. And there are many tables, so that whatever is done to one is little.

use super::record::Record;
use hashbrown::HashTable;
use hashbrown::hash_table::Entry;

/// How many tables there are: with a hundred thousand records each has some 1,500, which take 200 kB.
const TABLES: usize = 64;
/// Bytes of a record's place in a table.
const PLACE_BYTES: usize = size_of::<Record>() + 1;

/// Records by hash.
#[derive(Debug)]
pub(super) struct Records {
    tables: Box<[HashTable<Record>]>,
    len: usize,
}

impl Records {
    pub(super) fn new() -> Self {
        Self { tables: (0..TABLES).map(|_| HashTable::new()).collect(), len: 0 }
    }

    /// How many there are.
    pub(super) fn len(&self) -> usize {
        self.len
    }

    /// All of them, in no order.
    pub(super) fn iter(&self) -> impl Iterator<Item = &Record> {
        self.tables.iter().flatten()
    }

    pub(super) fn find(&self, hash: u64) -> Option<&Record> {
        self.tables.get(table_of(hash))?.find(hash, |record| record.hash == hash)
    }

    pub(super) fn find_mut(&mut self, hash: u64) -> Option<&mut Record> {
        self.tables.get_mut(table_of(hash))?.find_mut(hash, |record| record.hash == hash)
    }

    /// The record of a hash, made when there is none and `make` gives one; and whether it was made.
    pub(super) fn find_or_make(
        &mut self,
        hash: u64,
        make: impl FnOnce() -> Option<Record>,
    ) -> Option<(&mut Record, bool)> {
        let table = self.tables.get_mut(table_of(hash))?;
        make_room(table);
        match table.entry(hash, |record| record.hash == hash, |record| record.hash) {
            Entry::Occupied(place) => Some((place.into_mut(), false)),
            Entry::Vacant(place) => {
                let record = make()?;
                self.len += 1;
                Some((place.insert(record).into_mut(), true))
            }
        }
    }

    /// Takes out those that go.
    pub(super) fn take_out(&mut self, goes: impl Fn(&Record) -> bool, mut take: impl FnMut(Record)) {
        for table in &mut self.tables {
            for record in table.extract_if(|record| goes(record)) {
                self.len -= 1;
                take(record);
            }
        }
    }

    /// Bytes of the tables.
    #[cfg(test)]
    pub(super) fn allocation_size(&self) -> usize {
        self.tables.iter().map(HashTable::allocation_size).sum()
    }
}

/// The table of a hash, by bits that a table itself does not look at first.
fn table_of(hash: u64) -> usize {
    usize::try_from(hash >> 40).unwrap_or(0) % TABLES
}

/// Makes a table anew that is full of marks.
fn make_room(table: &mut HashTable<Record>) {
    let needed = (table.len() + table.len() / 16 + 1).max(3);
    // A table is at most seven eighths full.
    let places = (needed * 8 / 7).next_power_of_two();
    if table.len() < table.capacity() || places * PLACE_BYTES > table.allocation_size() {
        return;
    }
    let mut anew = HashTable::with_capacity(needed);
    for record in std::mem::take(table) {
        anew.insert_unique(record.hash, record, |record| record.hash);
    }
    *table = anew;
}
