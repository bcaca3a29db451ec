//! Who is known: one record each, found once for all baselines, and which parts of it are to be
//! stored. It never looks into what a baseline knows.

use super::peer::Peer;
use super::record::Record;
use super::records::Records;
use crate::engine::shelf::encode;
use crate::engine::words::Name;
use keywatch_event::Learned;

/// Records by name.
#[derive(Debug)]
pub(crate) struct Ledger {
    pub(super) records: Records,
    pub(super) bytes_max: usize,
    /// Bytes of all records, and of those that are settled.
    pub(super) bytes: usize,
    pub(super) settled_bytes: usize,
    /// Whether what changed is to be written.
    writes: bool,
    /// By baseline: whether it asks what has been unseen for long.
    lasting: Box<[bool]>,
    /// Hashes of records with something to be written, each once.
    pub(super) dirty: Vec<u64>,
    /// Evicted parts the store still has.
    pub(super) gone: Vec<(u16, Box<str>)>,
    pub(super) evicted: u64,
    /// By baseline.
    pub(super) evicted_of: Vec<u64>,
    pub(super) losses: Losses,
}

/// How often names lost something that was known of them; it only grows. 32 kB: names whose hashes share a
/// count seem to lose what the others do, and are asked about once too often, no more.
#[derive(Debug)]
pub(super) struct Losses(Box<[u64]>);

const LOSSES: usize = 4_096;

/// How many records an event is remembered to have asked for: baselines know people, secrets, networks
/// and stores.
const LOOKED: usize = 4;

/// The records one event asked for already.
#[derive(Debug, Default)]
pub(crate) struct Looked<'l> {
    found: [Option<(u64, Option<&'l Record>)>; LOOKED],
    next: usize,
}

impl<'l> Looked<'l> {
    /// What a baseline knows of a name.
    pub(super) fn part(&mut self, ledger: &'l Ledger, of: usize, name: Name<'_>) -> Option<&'l Peer> {
        let known = self.found.iter().flatten().find(|(hash, _)| *hash == name.hash).copied();
        let record = known.map_or_else(|| ledger.find(name), |(_, record)| record);
        if known.is_none()
            && let Some(place) = self.found.get_mut(self.next)
        {
            *place = Some((name.hash, record));
            self.next = (self.next + 1) % LOOKED;
        }
        record?.peer(of)
    }
}

impl Ledger {
    /// Nothing yet, of baselines that ask what has been unseen for long, or not.
    pub(super) fn new(lasting: Box<[bool]>, bytes_max: usize, writes: bool) -> Self {
        Self {
            records: Records::new(),
            bytes_max,
            bytes: 0,
            settled_bytes: 0,
            writes,
            dirty: Vec::new(),
            gone: Vec::new(),
            evicted: 0,
            evicted_of: vec![0; lasting.len()],
            lasting,
            losses: Losses(vec![0; LOSSES].into()),
        }
    }

    pub(super) fn len(&self) -> usize {
        self.records.len()
    }

    pub(super) fn bytes(&self) -> usize {
        self.bytes
    }

    pub(super) fn evicted(&self) -> u64 {
        self.evicted
    }

    pub(super) fn evicted_of(&self, of: usize) -> u64 {
        self.evicted_of.get(of).copied().unwrap_or(0)
    }

    fn is_lasting(&self, of: usize) -> bool {
        self.lasting.get(of).copied().unwrap_or(false)
    }

    pub(super) fn find(&self, name: Name<'_>) -> Option<&Record> {
        self.records.find(name.hash)
    }

    /// Changes what a baseline knows of a name, if it knows anything; `work` says whether it changed
    /// something.
    pub(super) fn change(&mut self, of: usize, name: Name<'_>, work: impl FnOnce(&mut Peer) -> bool) {
        let (writes, lasting) = (self.writes, self.is_lasting(of));
        if let Some(record) = self.records.find_mut(name.hash) {
            let before = Size::of(record);
            if record.change((of, false), (writes, lasting), work) {
                let lists = writes && !std::mem::replace(&mut record.dirty, writes);
                let after = Size::of(record);
                self.changed((before, after), lists.then_some(name.hash));
            }
        }
    }

    /// The same, and makes it known; then makes room.
    pub(super) fn make(&mut self, of: usize, name: Name<'_>, now: u32, work: impl FnOnce(&mut Peer) -> bool) {
        let (writes, how) = (self.writes, (self.writes, self.is_lasting(of)));
        let mut work = Some(work);
        let mut change =
            |record: &mut Record| work.take().is_some_and(|work| record.change((of, true), how, work));
        let made = self.records.find_or_make(name.hash, || {
            let mut record = Record::new(name.hash, name.text);
            change(&mut record).then_some(record)
        });
        let Some((record, is_new)) = made else { return };
        let before = if is_new { Size::default() } else { Size::of(record) };
        if !is_new && !change(record) {
            return;
        }
        let lists = writes && !std::mem::replace(&mut record.dirty, writes);
        let after = Size::of(record);
        self.changed((before, after), lists.then_some(name.hash));
        self.make_room(now);
    }

    /// A name that a baseline knows has an open incident until then. One part says so for all of them:
    /// they go together.
    pub(super) fn hold(&mut self, of: usize, name: Name<'_>, (now, until): (u32, u32)) {
        if self.find(name).is_some_and(|record| until > record.worth.held_until) {
            self.change(of, name, |peer| peer.hold(until));
            self.make_room(now);
        }
    }

    /// Takes back what the store has of a name for a baseline.
    pub(super) fn put(&mut self, of: usize, name: Name<'_>, peer: Peer) {
        let lasting = self.is_lasting(of);
        let made = self.records.find_or_make(name.hash, || Some(Record::new(name.hash, name.text)));
        let Some((record, is_new)) = made else { return };
        let before = if is_new { Size::default() } else { Size::of(record) };
        record.put((of, lasting), peer);
        let after = Size::of(record);
        self.changed((before, after), None);
    }

    /// Parts that changed since the last call: those to delete, with an empty state, by baseline and name,
    /// then the others in the order in which their records changed.
    pub(super) fn take(&mut self, key: impl Fn(usize, &str) -> String) -> Vec<Learned> {
        let mut learned = Vec::new();
        // They went in the order of a table, which is another in each process.
        self.gone.sort_unstable();
        for (of, name) in std::mem::take(&mut self.gone) {
            let of = usize::from(of);
            let known = self.find(Name::from(&*name)).and_then(|record| record.peer(of));
            if known.is_none() {
                learned.push(Learned { key: key(of, &name), state: Vec::new() });
            }
        }
        for hash in std::mem::take(&mut self.dirty) {
            let Some(record) = self.records.find_mut(hash) else { continue };
            record.dirty = false;
            for part in record.parts.iter_mut().filter(|part| part.dirty) {
                (part.dirty, part.stored) = (false, true);
                let of = usize::from(part.of);
                learned.push(Learned { key: key(of, &record.name), state: encode(&part.peer) });
            }
        }
        learned
    }

    /// Bytes really held, with 16 for the allocator's own use of each block.
    #[cfg(test)]
    pub(super) fn held_bytes(&self) -> usize {
        let block = |bytes: usize| bytes.next_multiple_of(16) + 16;
        let held = self.records.iter().map(|record| {
            let parts = record.parts.capacity() * size_of::<super::record::Part>();
            let own: usize = record.parts.iter().map(|part| part.peer.heap_bytes()).sum();
            block(record.name.len()) + block(parts) + own
        });
        self.records.allocation_size() + held.sum::<usize>()
    }

    /// A record that was of one size is of another now; `lists` is its hash when it is to be written and
    /// was not yet listed.
    fn changed(&mut self, (before, after): (Size, Size), lists: Option<u64>) {
        self.bytes = self.bytes + after.bytes - before.bytes;
        self.settled_bytes = self.settled_bytes + after.settled() - before.settled();
        self.dirty.extend(lists);
    }
}

impl Losses {
    /// How often the name of this hash lost something.
    pub(super) fn of(&self, hash: u64) -> u64 {
        self.0.get(Self::place(hash)).copied().unwrap_or(0)
    }

    /// It lost something.
    pub(super) fn add(&mut self, hash: u64) {
        if let Some(losses) = self.0.get_mut(Self::place(hash)) {
            *losses += 1;
        }
    }

    fn place(hash: u64) -> usize {
        usize::try_from(hash % LOSSES as u64).unwrap_or(0)
    }
}

/// How large a record is, and in which tier.
#[derive(Clone, Copy, Default)]
struct Size {
    bytes: usize,
    is_settled: bool,
}

impl Size {
    fn of(record: &Record) -> Self {
        Self { bytes: record.bytes as usize, is_settled: record.worth.settled }
    }

    fn settled(self) -> usize {
        if self.is_settled { self.bytes } else { 0 }
    }
}
