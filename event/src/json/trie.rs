//! The paths of an extractor as a tree of keys, all in one table.
//!
//! A key is found by its length and first bytes alone in nearly all cases: one probe, one
//! comparison of 16 bytes. Never changes after [`Trie::new`].

/// A tree of keys.
#[derive(Debug)]
pub(super) struct Trie {
    /// The tables of all nodes, one after the other; open addressing, at most a quarter full.
    table: Vec<Key>,
    root: Node,
    keys: usize,
}

/// An object whose keys matter: its part of the table, whose length is a power of two.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Node {
    start: usize,
    places: usize,
}

/// A wanted key.
#[derive(Clone, Debug, Default)]
pub(super) struct Key {
    head: u128,
    len: usize,
    /// Number of this key among all, from 1; 0 in a free place.
    pub(super) number: usize,
    /// The slot that its value fills.
    pub(super) slot: Option<usize>,
    /// What is wanted within its value.
    pub(super) below: Node,
    text: Box<[u8]>,
}

/// Bytes of a key compared at once.
const HEAD_BYTES: usize = 16;

/// What the first bytes of a short key are masked with, by its length.
const MASKS: [u128; HEAD_BYTES + 1] = {
    let mut masks = [u128::MAX; HEAD_BYTES + 1];
    let mut len = 0;
    while len < HEAD_BYTES {
        masks[len] = (1 << (8 * len)) - 1;
        len += 1;
    }
    masks
};

/// A node while paths are being added.
#[derive(Debug, Default)]
struct Draft {
    children: Vec<(Box<str>, Draft)>,
    slot: Option<usize>,
}

impl Draft {
    fn add(&mut self, path: &str, slot: usize) {
        let (key, rest) = path.split_once('.').map_or((path, None), |(key, rest)| (key, Some(rest)));
        let known = self.children.iter().position(|(name, _)| &**name == key);
        let at = known.unwrap_or_else(|| {
            self.children.push((key.into(), Self::default()));
            self.children.len() - 1
        });
        match (self.children.get_mut(at), rest) {
            (Some((_, child)), Some(rest)) => child.add(rest, slot),
            (Some((_, child)), None) => child.slot = Some(slot),
            (None, _) => {}
        }
    }
}

impl Trie {
    /// Compiles paths, each with its slot; a later slot for a path takes the place of an earlier.
    pub(super) fn new<'p>(paths: impl IntoIterator<Item = (&'p str, usize)>) -> Self {
        let mut draft = Draft::default();
        for (path, slot) in paths {
            draft.add(path, slot);
        }
        let mut trie = Self { table: Vec::new(), root: Node::default(), keys: 0 };
        trie.root = trie.place(&draft);
        trie
    }

    fn place(&mut self, draft: &Draft) -> Node {
        if draft.children.is_empty() {
            return Node::default();
        }
        let node = Node { start: self.table.len(), places: (draft.children.len() * 4).next_power_of_two() };
        self.table.resize(node.start + node.places, Key::default());
        for (text, child) in &draft.children {
            self.keys += 1;
            let (number, below) = (self.keys, self.place(child));
            let text = text.as_bytes();
            let (head, len) = (head_of(text, 0, text.len()), text.len());
            let key = Key { head, len, number, slot: child.slot, below, text: text.into() };
            let free = (0..node.places).map(|step| node.at(first_probe(head, len) + step));
            let free = free.into_iter().find(|at| self.table.get(*at).is_some_and(|key| key.number == 0));
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

    /// The key of `node` that stands in `bytes` from `start` to `end`, as is.
    #[inline]
    pub(super) fn key(&self, node: Node, bytes: &[u8], start: usize, end: usize) -> Option<&Key> {
        let (head, len) = (head_of(bytes, start, end), end - start);
        let mut at = first_probe(head, len);
        loop {
            let key = self.table.get(node.at(at))?;
            if key.number == 0 {
                return None;
            }
            let is_it = key.head == head && key.len == len;
            if is_it && (len <= HEAD_BYTES || bytes.get(start..end) == Some(&*key.text)) {
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

/// The first bytes of what stands from `start` to `end`, the rest zero.
#[inline]
fn head_of(bytes: &[u8], start: usize, end: usize) -> u128 {
    let rest = bytes.get(start..).unwrap_or_default();
    let len = end - start;
    match rest.first_chunk::<HEAD_BYTES>() {
        Some(head) => u128::from_le_bytes(*head) & MASKS.get(len).copied().unwrap_or(u128::MAX),
        None => short_head(rest, len),
    }
}

#[cold]
#[inline(never)]
fn short_head(rest: &[u8], len: usize) -> u128 {
    let mut head = [0; HEAD_BYTES];
    for (to, byte) in head.iter_mut().zip(rest.iter().take(len)) {
        *to = *byte;
    }
    u128::from_le_bytes(head)
}

/// Where to look for a key first.
#[inline]
fn first_probe(head: u128, len: usize) -> usize {
    // Multiplication by the golden ratio spreads what differs in any bit over the upper bits.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the head are folded into one")]
    let folded = (head as u64) ^ ((head >> 64) as u64).rotate_left(31) ^ ((len as u64) << 59);
    #[expect(clippy::cast_possible_truncation, reason = "16 bits fit")]
    let first = (folded.wrapping_mul(GOLDEN) >> 48) as usize;
    first
}
