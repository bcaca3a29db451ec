//! The paths of an extractor as a tree of keys, all in one table.
//!
//! A key is found by its length, its first and its last bytes: one probe and one comparison in
//! nearly all cases. Never changes after [`Trie::new`].

/// A tree of keys.
#[derive(Debug)]
pub(super) struct Trie {
    /// The tables of all nodes, one after the other; open addressing, at most a quarter full.
    table: Vec<Key>,
    root: Node,
    keys: usize,
    /// Whether some path is of [`Use::Own`].
    pub(super) counts: bool,
}

/// An object whose keys matter: its part of the table, whose length is a power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    start: usize,
    places: usize,
    /// A bit for the outline of each of its keys through which an asked path leads.
    outlines: u64,
}

/// A wanted key.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    ends: Ends,
    /// Number of this key among all, from 1; 0 in a free place.
    pub(super) number: usize,
    /// The slot that its value fills.
    pub(super) slot: Option<usize>,
    /// What is wanted within its value.
    pub(super) below: Node,
    /// Whether a path of [`Use::Own`] leads through it.
    pub(super) counts: bool,
    /// Where asked paths lead from here.
    asked: Leads,
    /// Whether it differs from another key, through which an asked path leads, in case alone.
    pub(super) respells: bool,
    text: Box<[u8]>,
}

/// Where asked paths lead from a key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum Leads {
    /// None leads to it.
    #[default]
    Nowhere,
    /// They end there.
    Here,
    /// Some go on within its value: the first and the last of them. Those between have the key in common too, as
    /// asked paths are in order.
    Below(u32, u32),
}

impl Leads {
    /// The same, with one more that goes on or ends.
    fn and(self, place: u32, goes_on: bool) -> Self {
        match self {
            Self::Below(first, last) if goes_on => Self::Below(first.min(place), last.max(place)),
            Self::Nowhere | Self::Here if goes_on => Self::Below(place, place),
            Self::Nowhere => Self::Here,
            Self::Here | Self::Below(..) => self,
        }
    }
}

impl Key {
    /// The first and the last of the asked paths that go on within its value.
    #[inline]
    pub(super) fn below_asked(&self) -> Option<(u32, u32)> {
        if let Leads::Below(first, last) = self.asked { Some((first, last)) } else { None }
    }
}

/// What a path is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Use {
    /// It decides what a record means: whoever names it twice is refused.
    Own,
    /// Somebody asks for it who would read the record otherwise, and must find the same; its place among those
    /// that are asked for.
    Asked(u32),
}

/// What a key is known by; up to 16 bytes it is all of the key.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Ends {
    /// The first 8 bytes; zero for those a short key has not.
    head: u64,
    /// The last 8 bytes; zero for a key that is shorter.
    tail: u64,
    len: usize,
}

/// Bytes of each end.
const END_BYTES: usize = 8;

/// What the first bytes of a short key are masked with, by its length.
const MASKS: [u64; END_BYTES] =
    [0, 0xff, 0xffff, 0x00ff_ffff, 0xffff_ffff, 0xff_ffff_ffff, 0xffff_ffff_ffff, 0x00ff_ffff_ffff_ffff];

/// A node while paths are being added.
#[derive(Debug, Default)]
struct Draft {
    children: Vec<(Box<str>, Draft)>,
    slot: Option<usize>,
    counts: bool,
    asked: Leads,
}

impl Draft {
    fn add(&mut self, path: &str, (slot, of): (usize, Use)) {
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        let known = self.children.iter().position(|(name, _)| &**name == key);
        let at = known.unwrap_or_else(|| {
            self.children.push((key.into(), Self::default()));
            self.children.len() - 1
        });
        let Some((_, child)) = self.children.get_mut(at) else { return };
        match of {
            Use::Own => child.counts = true,
            Use::Asked(place) => child.asked = child.asked.and(place, rest.is_some()),
        }
        match rest {
            Some(rest) => child.add(rest, (slot, of)),
            None => child.slot = Some(slot),
        }
    }

    /// The keys below through which asked paths lead.
    fn asked(&self) -> impl Iterator<Item = &str> {
        self.children.iter().filter(|(_, child)| child.asked != Leads::Nowhere).map(|(text, _)| &**text)
    }
}

impl Trie {
    /// Compiles paths, each with its slot; a later slot for a path takes the place of an earlier.
    pub(super) fn new<'p>(paths: impl IntoIterator<Item = (&'p str, usize, Use)>) -> Self {
        let mut draft = Draft::default();
        for (path, slot, of) in paths {
            draft.add(path, (slot, of));
            draft.counts |= of == Use::Own;
        }
        let mut trie = Self { table: Vec::new(), root: Node::default(), keys: 0, counts: draft.counts };
        trie.root = trie.place(&draft);
        trie
    }

    fn place(&mut self, draft: &Draft) -> Node {
        if draft.children.is_empty() {
            return Node::default();
        }
        let node = Node {
            start: self.table.len(),
            places: (draft.children.len() * 4).next_power_of_two(),
            outlines: draft.asked().fold(0, |all, text| all | outline(text.as_bytes())),
        };
        self.table.resize(node.start + node.places, Key::default());
        for (text, child) in &draft.children {
            self.keys += 1;
            let (number, below) = (self.keys, self.place(child));
            let respells = |other: &str| other != &**text && other.eq_ignore_ascii_case(text);
            let bytes = text.as_bytes();
            let ends = Ends::of(bytes, 0, bytes.len());
            let key = Key {
                ends,
                number,
                slot: child.slot,
                below,
                counts: child.counts,
                asked: child.asked,
                respells: draft.asked().any(respells),
                text: bytes.into(),
            };
            let mut places = (0..node.places).map(|step| node.at(ends.first_probe() + step));
            let free = places.find(|at| self.table.get(*at).is_some_and(|key| key.number == 0));
            if let Some(place) = free.and_then(|at| self.table.get_mut(at)) {
                *place = key;
            }
        }
        node
    }

    /// Most numbers of keys, plus one.
    pub(super) const fn numbers(&self) -> usize {
        self.keys + 1
    }

    /// The record itself.
    pub(super) const fn root(&self) -> Node {
        self.root
    }

    /// Whether a key that is none of `node`'s differs in ASCII case alone from one through which an asked
    /// path leads.
    #[inline]
    pub(super) fn is_near(&self, node: Node, text: &[u8]) -> bool {
        node.outlines != 0 && node.outlines & outline(text) != 0 && self.is_respelled(node, text)
    }

    #[inline(never)]
    fn is_respelled(&self, node: Node, text: &[u8]) -> bool {
        let keys = self.table.get(node.start..node.start + node.places).unwrap_or_default();
        keys.iter().any(|key| key.asked != Leads::Nowhere && key.text.eq_ignore_ascii_case(text))
    }

    /// The key of `node` that stands in `bytes` from `start` to `end`, as is.
    #[expect(clippy::inline_always, reason = "asked for every key of every record, at one place")]
    #[inline(always)]
    pub(super) fn key(&self, node: Node, bytes: &[u8], start: usize, end: usize) -> Option<&Key> {
        let ends = Ends::of(bytes, start, end);
        let mut at = ends.first_probe();
        loop {
            let key = self.table.get(node.at(at))?;
            if key.number == 0 {
                return None;
            }
            if key.ends == ends && (ends.len <= 2 * END_BYTES || bytes.get(start..end) == Some(&*key.text)) {
                return Some(key);
            }
            at += 1;
        }
    }
}

impl Node {
    /// Whether nothing within is wanted.
    #[inline]
    pub(super) const fn is_leaf(self) -> bool {
        self.places == 0
    }

    /// The place to look at for a probe; beyond every table for a leaf.
    #[inline]
    const fn at(self, probe: usize) -> usize {
        if self.places == 0 { usize::MAX } else { self.start + (probe & (self.places - 1)) }
    }
}

impl Ends {
    /// Of the key that stands in `bytes` from `start` to `end`.
    #[inline]
    fn of(bytes: &[u8], start: usize, end: usize) -> Self {
        let word =
            |at: usize| bytes.get(at..).and_then(<[u8]>::first_chunk).map(|word| u64::from_le_bytes(*word));
        let len = end - start;
        let (head, tail) = match MASKS.get(len) {
            Some(mask) => (word(start).unwrap_or_else(|| last_word(bytes, start)) & mask, 0),
            None => (word(start).unwrap_or(0), word(end - END_BYTES).unwrap_or(0)),
        };
        Self { head, tail, len }
    }

    /// Where to look for the key first.
    #[inline]
    fn first_probe(self) -> usize {
        // Multiplication by the golden ratio spreads what differs in any bit over the upper bits.
        const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
        let folded = self.head ^ self.tail.rotate_left(31) ^ ((self.len as u64) << 59);
        (folded.wrapping_mul(GOLDEN) >> 48) as usize
    }
}

/// One bit for the length and the ends of a key in whatever case: keys that differ in case alone
/// have the same, and few others do.
#[inline]
fn outline(text: &[u8]) -> u64 {
    let end = |byte: Option<&u8>| usize::from(byte.copied().unwrap_or(0) | 0x20);
    1 << ((text.len() * 31 + end(text.first()) + end(text.last()) * 5) % 64)
}

/// The bytes from `start` on, fewer than eight.
#[cold]
#[inline(never)]
fn last_word(bytes: &[u8], start: usize) -> u64 {
    let mut word = [0; END_BYTES];
    for (to, byte) in word.iter_mut().zip(bytes.iter().skip(start)) {
        *to = *byte;
    }
    u64::from_le_bytes(word)
}
