//! The paths of an extractor as a tree of keys, with a table per node to find a key by.
//!
//! A key is found by its length and first bytes alone in nearly all cases: one probe, one
//! comparison of 16 bytes. Never changes after [`Trie::index`].

/// A tree of keys; node 0 is the record itself.
#[derive(Debug)]
pub(super) struct Trie {
    nodes: Vec<Node>,
}

#[derive(Debug, Default)]
struct Node {
    /// Keys and nodes below, until the table is made and beside it.
    children: Vec<(Box<str>, usize)>,
    /// Open addressing, at most a quarter full; its length is a power of two.
    table: Vec<Key>,
    slot: Option<usize>,
}

/// A place of a table; free when it leads to node 0, to which no key leads.
#[derive(Clone, Debug, Default)]
struct Key {
    head: u128,
    len: usize,
    node: usize,
    text: Box<[u8]>,
}

/// Bytes of a key compared at once.
const HEAD_BYTES: usize = 16;

impl Default for Trie {
    fn default() -> Self {
        Self { nodes: vec![Node::default()] }
    }
}

impl Trie {
    /// Number of nodes.
    pub(super) const fn len(&self) -> usize {
        self.nodes.len()
    }

    /// The slot that the value at `node` fills.
    #[inline]
    pub(super) fn slot(&self, node: usize) -> Option<usize> {
        self.nodes.get(node)?.slot
    }

    /// Whether anything within the value at `node` is wanted.
    #[inline]
    pub(super) fn is_inner(&self, node: usize) -> bool {
        self.nodes.get(node).is_some_and(|node| !node.table.is_empty())
    }

    /// Adds a path; a later slot for the same path takes the place of the earlier.
    pub(super) fn add(&mut self, path: &str, slot: usize) {
        let end = path.split('.').fold(0, |at, key| self.add_key(at, key));
        if let Some(node) = self.nodes.get_mut(end) {
            node.slot = Some(slot);
        }
    }

    fn add_key(&mut self, at: usize, key: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some((_, found)) = node.children.iter().find(|(known, _)| &**known == key) {
            return *found;
        }
        node.children.push((key.into(), next));
        self.nodes.push(Node::default());
        next
    }

    /// Makes the tables.
    pub(super) fn index(&mut self) {
        for node in &mut self.nodes {
            if node.children.is_empty() {
                continue;
            }
            node.table = vec![Key::default(); (node.children.len() * 4).next_power_of_two()];
            for (text, child) in &node.children {
                let text = text.as_bytes();
                let head = head_of(text, 0, text.len());
                let key = Key { head, len: text.len(), node: *child, text: text.into() };
                let mut at = first_probe(head, text.len());
                let mask = node.table.len() - 1;
                while node.table.get(at & mask).is_some_and(|taken| taken.node != 0) {
                    at += 1;
                }
                if let Some(place) = node.table.get_mut(at & mask) {
                    *place = key;
                }
            }
        }
    }

    /// The node below `node` under the key that stands in `bytes` from `start` to `end`, as is.
    #[inline]
    pub(super) fn below(&self, node: usize, bytes: &[u8], start: usize, end: usize) -> Option<usize> {
        let table = self.nodes.get(node)?.table.as_slice();
        let (head, len) = (head_of(bytes, start, end), end - start);
        let mut at = first_probe(head, len);
        loop {
            let key = table.get(at & table.len().wrapping_sub(1))?;
            let is_it = key.head == head && key.len == len;
            if is_it && (len <= HEAD_BYTES || bytes.get(start..end) == Some(&*key.text)) {
                return (key.node != 0).then_some(key.node);
            }
            if key.node == 0 {
                return None;
            }
            at += 1;
        }
    }
}

/// The first bytes of what stands from `start` to `end`, the rest zero.
#[inline]
fn head_of(bytes: &[u8], start: usize, end: usize) -> u128 {
    let rest = bytes.get(start..).unwrap_or_default();
    let len = end - start;
    match rest.first_chunk::<HEAD_BYTES>() {
        Some(head) if len < HEAD_BYTES => u128::from_le_bytes(*head) & ((1 << (8 * len)) - 1),
        Some(head) => u128::from_le_bytes(*head),
        None => short_head(rest, len),
    }
}

#[cold]
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
