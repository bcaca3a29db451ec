//! The reader for records that are as they should be: it checks every byte, and gives up where
//! it would have to explain.
//!
//! It jumps from quote to quote, which it finds 64 bytes at a time, and looks at each byte
//! between strings. It accepts nothing that `exact.rs` refuses, and finds the same values.

use super::block::{BLOCK, Marks, block_at, escaped, parity, quotes};
use super::trie::{Node, Trie};
use super::{DEPTH_MAX, Fields};
use fearless_simd::{Level, Simd, dispatch};

/// Reads the object that `text` begins with into `fields`, which are clear; its length. `None`
/// when it is no valid JSON, or needs a second look for another reason. `fields.literal` then says whether
/// another reader could find no more at asked paths: it might where a key differs from a wanted one in case
/// alone or comes twice. Where an array or a number stands where paths go on it might find more at those, which
/// `fields.unsure` then holds. A trie in which nothing else is wanted is read no further in either case.
pub(super) fn read<'a>(trie: &Trie, text: &'a str, fields: &mut Fields<'a>) -> Option<usize> {
    let mut quotes = Quotes { places: std::mem::take(&mut fields.quotes), ..Quotes::default() };
    quotes.places.resize(BLOCKS * BLOCK + AT_ONCE, 0);
    let mut pass = Pass { trie, text, bytes: text.as_bytes(), at: 0, depth: 0, quotes, literal: true };
    let end = pass.record(fields);
    fields.plain = !pass.quotes.backslashes;
    (fields.literal, fields.text) = (pass.literal && end.is_some(), text);
    fields.quotes = pass.quotes.places;
    end
}

/// One reading under way.
struct Pass<'t, 'a> {
    trie: &'t Trie,
    text: &'a str,
    bytes: &'a [u8],
    /// The first byte not yet looked at; never within a string.
    at: usize,
    /// Objects and arrays that are open.
    depth: usize,
    quotes: Quotes,
    literal: bool,
}

/// Blocks whose quotes are found at once.
const BLOCKS: usize = 8;
/// Quotes of a block that are noted at once; few blocks have more.
const AT_ONCE: usize = 8;

/// Where quotes stand; room that is used again.
pub(super) type Places = Vec<usize>;

/// The quotes that begin and end strings, in order, some blocks at a time.
#[derive(Default)]
struct Quotes {
    places: Places,
    /// How many of the places are filled, and how many of those were given out.
    found: usize,
    given: usize,
    /// Where the next block begins.
    next: usize,
    /// Whether it begins within a string.
    in_string: bool,
    /// Whether a backslash before it escapes its first byte.
    carry: bool,
    backslashes: bool,
}

impl Quotes {
    /// The next two quotes. `None` when there are none, or a string holds what it may not.
    #[inline]
    fn pair(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        if self.given + 2 <= self.found {
            let pair = self.places.get(self.given..self.given + 2)?;
            self.given += 2;
            if let [open, close] = pair {
                return Some((*open, *close));
            }
        }
        self.pair_across(bytes)
    }

    #[inline(never)]
    fn pair_across(&mut self, bytes: &[u8]) -> Option<(usize, usize)> {
        let open = self.next(bytes)?;
        Some((open, self.next(bytes)?))
    }

    fn next(&mut self, bytes: &[u8]) -> Option<usize> {
        if self.given == self.found {
            self.refill(bytes)?;
        }
        let place = self.places.get(self.given).copied();
        self.given += 1;
        place
    }

    #[inline(never)]
    fn refill(&mut self, bytes: &[u8]) -> Option<()> {
        (self.found, self.given) = (0, 0);
        dispatch!(Level::new(), simd => self.fill(simd, bytes))
    }

    #[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
    #[inline(always)]
    fn fill<S: Simd>(&mut self, simd: S, bytes: &[u8]) -> Option<()> {
        while self.found == 0 {
            let rest = bytes.get(self.next..).filter(|rest| !rest.is_empty())?;
            for block in rest.chunks(BLOCK).take(BLOCKS) {
                match block.first_chunk::<BLOCK>() {
                    Some(block) => self.scan(simd, bytes, block)?,
                    None => self.scan(simd, bytes, &block_at(bytes, self.next).0)?,
                }
            }
        }
        Some(())
    }

    #[expect(clippy::inline_always, reason = "only then it is compiled for the instructions of `S`")]
    #[inline(always)]
    fn scan<S: Simd>(&mut self, simd: S, bytes: &[u8], block: &[u8; BLOCK]) -> Option<()> {
        let (mut bits, is_rare) = quotes(simd, block);
        if is_rare || self.carry {
            bits = self.rare(bytes, block)?;
        }
        let count = bits.count_ones() as usize;
        let next = self.next;
        let places = self.places.get_mut(self.found..)?;
        let mut note = |place: &mut usize| {
            *place = next + bits.trailing_zeros() as usize;
            bits &= bits.wrapping_sub(1);
        };
        // More than there are is no harm, and spares a test for each.
        places.first_chunk_mut::<AT_ONCE>()?.iter_mut().for_each(&mut note);
        if count > AT_ONCE {
            places.iter_mut().take(count).skip(AT_ONCE).for_each(note);
        }
        self.found += count;
        self.in_string ^= count & 1 == 1;
        self.next += BLOCK;
        Some(())
    }

    /// The quotes of a block with backslashes or control characters, if those are in order.
    #[inline(never)]
    fn rare(&mut self, bytes: &[u8], block: &[u8; BLOCK]) -> Option<u64> {
        let Marks { quote, backslash, control, .. } = Marks::of(block);
        let mut literal = escaped(backslash, &mut self.carry, BLOCK);
        let quotes = quote & !literal;
        let inside = parity(quotes) ^ u64::from(self.in_string).wrapping_neg();
        if control & inside != 0 {
            return None;
        }
        self.backslashes |= backslash != 0;
        while literal != 0 {
            let at = self.next + literal.trailing_zeros() as usize;
            literal &= literal - 1;
            if !is_escape(bytes.get(at..).unwrap_or_default()) {
                return None;
            }
        }
        Some(quotes)
    }
}

/// Whether a backslash may stand before these bytes.
fn is_escape(rest: &[u8]) -> bool {
    match rest {
        [b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't', ..] => true,
        [b'u', a, b, c, d, ..] => [a, b, c, d].into_iter().all(u8::is_ascii_hexdigit),
        _ => false,
    }
}

impl<'a> Pass<'_, 'a> {
    /// Passes the record; where it ends, or the text if nothing follows.
    fn record(&mut self, fields: &mut Fields<'a>) -> Option<usize> {
        if self.token() != b'{' {
            return None;
        }
        self.object(self.trie.root(), fields)?;
        let end = self.at;
        self.blanks();
        Some(if self.at == self.bytes.len() { self.at } else { end })
    }

    /// The byte at hand; 0, which is valid nowhere, at the end.
    #[inline]
    fn byte(&self) -> u8 {
        self.bytes.get(self.at).copied().unwrap_or(0)
    }

    #[inline]
    fn blanks(&mut self) {
        while matches!(self.byte(), b' ' | b'\n' | b'\r' | b'\t') {
            self.at += 1;
        }
    }

    /// The byte at hand after blanks.
    #[inline]
    fn token(&mut self) -> u8 {
        let byte = self.byte();
        if byte > b' ' {
            return byte;
        }
        self.blanks();
        self.byte()
    }

    /// Passes a string, whose opening quote is at hand.
    #[inline]
    fn string(&mut self) -> Option<()> {
        let (open, close) = self.quotes.pair(self.bytes)?;
        // Whatever stood between strings was looked at, so it is this one.
        if open != self.at {
            return None;
        }
        self.at = close + 1;
        Some(())
    }

    /// Passes the colon after a key: the first byte of the value.
    #[inline]
    fn colon(&mut self) -> Option<u8> {
        if self.token() != b':' {
            return None;
        }
        self.at += 1;
        Some(self.token())
    }

    /// Passes an object in which something may be wanted, whose brace is at hand.
    fn object(&mut self, node: Node, fields: &mut Fields<'a>) -> Option<()> {
        self.depth += 1;
        self.at += 1;
        if self.depth > DEPTH_MAX {
            return None;
        }
        if self.token() == b'}' {
            self.at += 1;
            self.depth -= 1;
            return Some(());
        }
        loop {
            if self.byte() != b'"' {
                return None;
            }
            self.member(node, fields)?;
            match self.token() {
                b',' => self.at += 1,
                b'}' => break,
                _ => return None,
            }
            self.token();
        }
        self.at += 1;
        self.depth -= 1;
        Some(())
    }

    #[inline]
    fn member(&mut self, node: Node, fields: &mut Fields<'a>) -> Option<()> {
        let start = self.at + 1;
        self.string()?;
        let end = self.at - 1;
        if self.quotes.backslashes && self.bytes.get(start..end)?.contains(&b'\\') {
            return None;
        }
        let first = self.colon()?;
        let trie = self.trie;
        let Some(key) = trie.key(node, self.bytes, start, end) else {
            if trie.is_near(node, self.bytes.get(start..end)?) {
                self.doubt()?;
            }
            return if first == b'"' { self.string() } else { self.skip(first) };
        };
        let again = !fields.is_first(key.number);
        if again && key.counts {
            return None;
        }
        if again || key.respells {
            self.doubt()?;
        }
        let from = self.at;
        if first == b'"' && key.below.is_leaf() {
            self.string()?;
        } else if first == b'{' && !key.below.is_leaf() {
            self.object(key.below, fields)?;
        } else {
            self.skip(first)?;
            // A text, as long as nothing in it must be decoded, a truth value and `null` hold nothing for
            // anybody; in an array there may be objects, and a number may be too large for some readers.
            let is_plain = first == b'"' && !self.quotes.backslashes;
            let below = key.below_asked();
            if let Some(below) = below.filter(|_| !is_plain && !matches!(first, b'n' | b't' | b'f')) {
                fields.unsure.push(below);
                self.trie.counts.then_some(())?;
            }
        }
        if let Some(slot) = key.slot {
            fields.fill(slot, self.text.get(from..self.at)?);
        }
        Some(())
    }

    /// Another reader might find more; goes on only for those who ask no such thing.
    #[cold]
    fn doubt(&mut self) -> Option<()> {
        self.literal = false;
        self.trie.counts.then_some(())
    }

    /// Passes a value that begins with `first`.
    #[inline]
    fn skip(&mut self, first: u8) -> Option<()> {
        match first {
            b'"' => self.string(),
            b'{' | b'[' => self.container(),
            _ => self.scalar(first),
        }
    }

    #[inline]
    fn scalar(&mut self, first: u8) -> Option<()> {
        match first {
            b't' => self.word(*b"true"),
            b'f' => {
                self.at += 1;
                self.word(*b"alse")
            }
            b'n' => self.word(*b"null"),
            _ => self.number(),
        }
    }

    #[inline]
    fn word(&mut self, word: [u8; 4]) -> Option<()> {
        let is_it = self.bytes.get(self.at..)?.first_chunk::<4>() == Some(&word);
        self.at += 4;
        is_it.then_some(())
    }

    /// Passes a number (RFC 8259, section 6).
    fn number(&mut self) -> Option<()> {
        self.at += usize::from(self.byte() == b'-');
        match self.byte() {
            b'0' => self.at += 1,
            _ => self.digits()?,
        }
        if self.byte() == b'.' {
            self.at += 1;
            self.digits()?;
        }
        if matches!(self.byte(), b'e' | b'E') {
            self.at += 1;
            self.at += usize::from(matches!(self.byte(), b'+' | b'-'));
            self.digits()?;
        }
        Some(())
    }

    fn digits(&mut self) -> Option<()> {
        let from = self.at;
        while self.byte().is_ascii_digit() {
            self.at += 1;
        }
        (self.at > from).then_some(())
    }

    /// Passes an object or array in which nothing is wanted, whose bracket is at hand.
    fn container(&mut self) -> Option<()> {
        let outside = self.depth;
        // One bit per open container, the innermost lowest: whether it is an object.
        let mut objects = 0_u64;
        let mut first = self.byte();
        loop {
            match first {
                b'{' | b'[' => {
                    self.at += 1;
                    self.depth += 1;
                    if self.depth > DEPTH_MAX {
                        return None;
                    }
                    objects = objects << 1 | u64::from(first == b'{');
                    let inner = self.token();
                    if inner != if first == b'{' { b'}' } else { b']' } {
                        first = self.element(objects, inner)?;
                        continue;
                    }
                }
                b'"' => self.string()?,
                _ => self.scalar(first)?,
            }
            loop {
                match (self.token(), objects & 1) {
                    (b',', _) => break,
                    (b'}', 1) | (b']', 0) => {}
                    _ => return None,
                }
                self.at += 1;
                self.depth -= 1;
                objects >>= 1;
                if self.depth == outside {
                    return Some(());
                }
            }
            self.at += 1;
            let inner = self.token();
            first = self.element(objects, inner)?;
        }
    }

    /// Passes the key of a member, when the innermost container is an object: the first byte of
    /// the value.
    #[inline]
    fn element(&mut self, objects: u64, first: u8) -> Option<u8> {
        if objects & 1 == 0 {
            return Some(first);
        }
        if first != b'"' {
            return None;
        }
        self.string()?;
        self.colon()
    }
}
