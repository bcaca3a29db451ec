//! All that is known of one principal, secret or whatever else: a part for each baseline that saw it,
//! and what it is worth to keep.
//!
//! What it is worth is a function of the parts, and every part of it only ever grows: a restart gives
//! the same.

use super::days::DAY_SECS;
use super::peer::Peer;

/// Bytes of a record beside its name and its parts: its slot in a table that is seven sixteenths full at
/// worst, and 16 for each of two blocks of the allocator.
const RECORD_BYTES: usize = 16 * (size_of::<Record>() + 1) / 7 + 32;

/// One record.
#[derive(Debug)]
pub(super) struct Record {
    /// By the hash alone a name is known here, which is a random one: two names that share it would
    /// have to be found without knowing it. Comparing names costs a look into far memory each time.
    pub(super) hash: u64,
    pub(super) name: Box<str>,
    /// Ordered by baseline.
    pub(super) parts: Vec<Part>,
    pub(super) worth: Worth,
    /// As the limit counts them.
    pub(super) bytes: u32,
    /// Whether it is listed to be written.
    pub(super) dirty: bool,
}

/// What one baseline knows.
#[derive(Debug)]
pub(super) struct Part {
    /// Number of the baseline.
    pub(super) of: u16,
    /// Whether it is to be written.
    pub(super) dirty: bool,
    /// Whether the store has it.
    pub(super) stored: bool,
    /// Whether the baseline asks what has been unseen for long.
    pub(super) lasting: bool,
    pub(super) peer: Peer,
}

/// What a record is worth.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Worth {
    /// Second of the earliest event.
    first: u32,
    /// Second of the latest event.
    last: u32,
    /// Second until which an incident is open.
    pub(super) held_until: u32,
    /// Whether it was seen at more than one moment: invented names mostly are not.
    again: bool,
    /// Whether a baseline asks what has been unseen for long.
    lasting: bool,
    /// Whether it has been here for a day and can be judged.
    pub(super) settled: bool,
}

impl Default for Worth {
    fn default() -> Self {
        Self { first: u32::MAX, last: 0, held_until: 0, again: false, lasting: false, settled: false }
    }
}

impl Worth {
    /// Takes in what a part says.
    fn add(&mut self, Part { peer, lasting, .. }: &Part) {
        self.lasting |= lasting;
        if let Some(first) = peer.first() {
            self.again |= peer.is_seen_again() || self.first != u32::MAX && self.first != first;
            self.first = self.first.min(first);
        }
        self.last = self.last.max(peer.last());
        self.held_until = self.held_until.max(peer.held_until());
        self.settled |= peer.settled;
    }

    /// The order in which records of a tier go: those seen at one moment only first, then those without
    /// an open incident, then the longest unseen. What has been unseen for a day is not what a flood
    /// brings: where a baseline asks for just that, it is worth as much as what was seen again.
    pub(super) fn rank(&self, now: u32) -> u64 {
        let is_held = self.held_until > 0 && self.held_until >= now;
        let is_unseen = self.lasting && now.saturating_sub(self.last) >= DAY_SECS;
        u64::from(self.again || self.settled || is_unseen) << 33
            | u64::from(is_held) << 32
            | u64::from(self.last)
    }

    /// Second of the latest event.
    pub(super) fn last(&self) -> u32 {
        self.last
    }
}

impl Record {
    /// A record without parts.
    pub(super) fn new(hash: u64, name: &str) -> Self {
        let bytes = RECORD_BYTES + name.len().next_multiple_of(16);
        Self {
            hash,
            name: name.into(),
            parts: Vec::new(),
            worth: Worth::default(),
            bytes: u32::try_from(bytes).unwrap_or(u32::MAX),
            dirty: false,
        }
    }

    /// What a baseline knows of it.
    pub(super) fn peer(&self, of: usize) -> Option<&Peer> {
        let at = self.place(of).ok()?;
        self.parts.get(at).map(|part| &part.peer)
    }

    /// Where the part of a baseline is, or belongs.
    pub(super) fn place(&self, of: usize) -> Result<usize, usize> {
        self.parts.binary_search_by_key(&of, |part| usize::from(part.of))
    }

    /// Changes the part of a baseline, and with `makes` makes one that is missing, when `work` says that
    /// it changed something; whether it did.
    pub(super) fn change(
        &mut self,
        (of, makes): (usize, bool),
        (writes, lasting): (bool, bool),
        work: impl FnOnce(&mut Peer) -> bool,
    ) -> bool {
        match self.place(of) {
            Ok(at) => {
                let Some(part) = self.parts.get_mut(at) else { return false };
                let before = part.bytes();
                if !work(&mut part.peer) {
                    return false;
                }
                part.dirty |= writes;
                self.worth.add(part);
                self.bytes = self.bytes.saturating_sub(before).saturating_add(part.bytes());
                true
            }
            Err(at) => {
                let mut peer = Peer::default();
                if !makes || !work(&mut peer) {
                    return false;
                }
                let part = Part { of: number(of), dirty: writes, stored: false, lasting, peer };
                self.insert(at, part);
                true
            }
        }
    }

    /// Takes back what the store has of a baseline.
    pub(super) fn put(&mut self, (of, lasting): (usize, bool), peer: Peer) {
        let part = Part { of: number(of), dirty: false, stored: true, lasting, peer };
        match self.place(of) {
            Err(at) => self.insert(at, part),
            Ok(at) => {
                self.bytes = self.bytes.saturating_sub(self.parts.get(at).map_or(0, Part::bytes));
                self.parts.remove(at);
                self.worth = Worth::default();
                self.parts.iter().for_each(|part| self.worth.add(part));
                self.insert(at, part);
            }
        }
    }

    fn insert(&mut self, at: usize, part: Part) {
        self.worth.add(&part);
        self.bytes = self.bytes.saturating_add(part.bytes());
        self.parts.reserve_exact(1);
        self.parts.insert(at, part);
    }
}

impl Part {
    /// Its bytes, as the limit counts them.
    fn bytes(&self) -> u32 {
        u32::try_from(size_of::<Self>() + self.peer.heap_bytes()).unwrap_or(u32::MAX)
    }
}

/// A baseline's number; there are never 65,536 of them.
fn number(of: usize) -> u16 {
    u16::try_from(of).unwrap_or(u16::MAX)
}
