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
    table: Vec<Option<Key>>,
    slot: Option<usize>,
}

#[derive(Clone, Debug)]
struct Key {
    head: u128,
    text: Box<[u8]>,
    node: usize,
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
            node.table = vec![None; (node.children.len() * 4).next_power_of_two()];
            for (key, child) in &node.children {
                let key = Key {
                    head: head_of(key.as_bytes(), 0, key.len()),
                    text: key.as_bytes().into(),
                    node: *child,
                };
                let free = probes(key.head, key.text.len(), node.table.len())
                    .find(|at| matches!(node.table.get(*at), Some(None)));
                if let Some(place) = free.and_then(|at| node.table.get_mut(at)) {
                    *place = Some(key);
                }
            }
        }
    }

    /// The node below `node` under the key that stands in `bytes` from `start` to `end`, as is.
    #[inline]
    pub(super) fn below(&self, node: usize, bytes: &[u8], start: usize, end: usize) -> Option<usize> {
        let table = &self.nodes.get(node)?.table;
        let (head, len) = (head_of(bytes, start, end), end - start);
        for at in probes(head, len, table.len()) {
            let key = table.get(at)?.as_ref()?;
            let is_it = key.head == head
                && key.text.len() == len
                && (len <= HEAD_BYTES || bytes.get(start..end) == Some(&*key.text));
            if is_it {
                return Some(key.node);
            }
        }
        None
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

/// Where to look for a key in a table of `places`, in order.
#[inline]
fn probes(head: u128, len: usize, places: usize) -> impl Iterator<Item = usize> {
    // Multiplication by the golden ratio spreads what differs in any bit over the upper bits.
    const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
    #[expect(clippy::cast_possible_truncation, reason = "the halves of the head are folded into one")]
    let folded = (head as u64) ^ ((head >> 64) as u64).rotate_left(31) ^ (len as u64) << 59;
    let mask = places.wrapping_sub(1);
    #[expect(clippy::cast_possible_truncation, reason = "16 bits fit")]
    let first = (folded.wrapping_mul(GOLDEN) >> 48) as usize;
    (0..places).map(move |step| (first + step) & mask)
}
