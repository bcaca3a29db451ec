//! Fields out of a raw JSON record in one pass, without building a tree.
//!
//! An [`Extractor`] is compiled once from the dotted paths somebody reads; [`Extractor::read`]
//! walks the bytes once and remembers where each of those values stands. Values are decoded only
//! when asked for. A field of an odd type reads as absent; it never drops the record. What makes
//! a record unreadable as a whole (JSON that is cut or not valid anywhere, bad UTF-8, excess
//! depth, a meaningful key twice) is a [`RejectReason`].
//!
//! Two readers stand behind it. The swift one (`swift.rs`) checks every byte and knows how to
//! say yes; when it meets anything it is not certain of, the exact one (`exact.rs`), built on
//! `serde_json`, reads the record again and has the last word. Tests hold the two together.

pub mod block;
mod exact;
mod swift;
mod told;
mod trie;
mod values;

#[cfg(test)]
mod tests;

use crate::RejectReason;
pub use told::{Asked, Told, Unsure};
use trie::{Trie, Use};
pub use values::{as_text, elements, members};

/// Deepest nesting of a record that is read. Audit records stay under 20; deeper is hostile,
/// and parsers disagree beyond 128.
pub const DEPTH_MAX: usize = 64;

/// A set of dotted paths, compiled.
#[derive(Debug)]
pub struct Extractor {
    trie: Trie,
    slots: usize,
    /// Whether keys compare without regard to ASCII case.
    folds: bool,
    /// The number of what is asked beside; 0 for nothing.
    asked: u64,
    /// By slot: the place among the asked paths, [`NOWHERE`](told::NOWHERE) for none.
    places: Vec<u32>,
}

/// The values found in one record, by the position of their path in [`Extractor::new`].
#[derive(Debug, Default)]
pub struct Fields<'a> {
    slots: Vec<Option<&'a str>>,
    /// The slots that are not empty.
    filled: Vec<usize>,
    /// By number of a key: the last reading that came upon it.
    seen: Vec<u32>,
    /// Number of the current reading.
    reading: u32,
    /// Whether the record is known to hold no backslash, so that strings stand as they are.
    plain: bool,
    /// Whether no other reader could find more at the asked paths.
    literal: bool,
    /// First and last of asked paths, at each of which one might all the same.
    unsure: Vec<(u32, u32)>,
    /// What the record read last begins.
    text: &'a str,
    /// Room for the quotes of the record being read.
    quotes: swift::Places,
}

impl Extractor {
    /// Compiles `paths`: keys joined by dots, `userIdentity.sessionContext.sessionIssuer.arn`.
    #[must_use]
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        Self::compile(paths, false)
    }

    /// The same for records whose keys some tool on the way has lower-cased: keys compare without
    /// regard to ASCII case.
    #[must_use]
    pub fn ignoring_case<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        Self::compile(paths, true)
    }

    /// The same, and reads what is `asked` in the same pass. That decides nothing: a record is read and
    /// refused as without it.
    #[must_use]
    pub fn asking<'p>(paths: impl IntoIterator<Item = &'p str>, asked: &Asked) -> Self {
        let own: Vec<&str> = paths.into_iter().collect();
        let mut all: Vec<(&str, usize, Use)> =
            own.iter().zip(0..).map(|(path, slot)| (*path, slot, Use::Own)).collect();
        let mut places = vec![told::NOWHERE; own.len()];
        for (path, place) in asked.paths().zip(0_u32..) {
            // The last place is the one that is filled.
            let slot = own.iter().rposition(|known| *known == path).unwrap_or(places.len());
            places.resize(places.len().max(slot + 1), told::NOWHERE);
            places.get_mut(slot).into_iter().for_each(|at| *at = place);
            all.push((path, slot, Use::Asked(place)));
        }
        let slots = places.len();
        Self { trie: Trie::new(all), slots, folds: false, asked: asked.number(), places }
    }

    /// Compiles paths for [`Self::read_literally`].
    #[must_use]
    pub fn literal<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let paths: Vec<&str> = paths.into_iter().collect();
        let trie = Trie::new(paths.iter().zip(0..).map(|(path, slot)| (*path, slot, Use::Asked(0))));
        Self { trie, slots: paths.len(), folds: false, asked: 0, places: Vec::new() }
    }

    fn compile<'p>(paths: impl IntoIterator<Item = &'p str>, folds: bool) -> Self {
        let fold = |path: &str| if folds { path.to_ascii_lowercase() } else { path.to_owned() };
        let paths: Vec<String> = paths.into_iter().map(fold).collect();
        let trie = Trie::new(paths.iter().zip(0..).map(|(path, slot)| (&**path, slot, Use::Own)));
        Self { trie, slots: paths.len(), folds, asked: 0, places: Vec::new() }
    }

    /// Reads one record, an object. `fields` is cleared first and may be reused.
    ///
    /// # Errors
    /// A [`RejectReason`] when the bytes are not one JSON object that can be read in one way.
    pub fn read<'a>(&self, record: &'a [u8], fields: &mut Fields<'a>) -> Result<(), RejectReason> {
        let text = text_of(record)?;
        if self.read_head(text, fields) == Some(text.len()) {
            return Ok(());
        }
        check_depth(record)?;
        fields.clear(self);
        exact::read(self, text, fields)
    }

    /// Reads a value taken out of a record that [`Self::read`] accepted.
    ///
    /// # Errors
    /// As [`Self::read`]; a value that is no object is `UnknownShape`.
    pub fn read_checked<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> Result<(), RejectReason> {
        self.read(text.as_bytes(), fields)
    }

    /// Reads the object that `text` begins with, whatever follows it, and tells its length. `None`
    /// when that takes a second look: the caller then finds the end of the record by other means
    /// and hands it to [`Self::read`].
    #[must_use]
    pub fn read_head<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> Option<usize> {
        fields.clear(self);
        if self.folds { None } else { swift::read(&self.trie, text, fields) }
    }
}

impl Extractor {
    /// Reads one record in which nothing could be read in two ways: every key on a path is
    /// spelled as asked, once, or there is none like it, and no path leads through an array. Whether
    /// the record is one; if not, what `fields` hold means nothing. For an extractor made by
    /// [`Self::literal`].
    #[must_use]
    pub fn read_literally<'a>(&self, record: &'a [u8], fields: &mut Fields<'a>) -> bool {
        fields.clear(self);
        let Ok(text) = text_of(record) else { return false };
        swift::read(&self.trie, text, fields) == Some(text.len()) && fields.literal
    }
}

impl<'a> Fields<'a> {
    /// The same memory, for records that live otherwise.
    #[must_use]
    pub fn emptied<'b>(mut self) -> Fields<'b> {
        self.filled.clear();
        Fields {
            slots: self.slots.into_iter().map(|_| None).collect(),
            filled: self.filled,
            seen: self.seen,
            reading: self.reading,
            plain: false,
            literal: false,
            unsure: Vec::new(),
            text: "",
            quotes: self.quotes,
        }
    }

    fn clear(&mut self, extractor: &Extractor) {
        let is_next = self.slots.len() == extractor.slots && self.seen.len() == extractor.trie.numbers();
        if !is_next || self.reading == u32::MAX {
            self.slots = vec![None; extractor.slots];
            self.seen = vec![0; extractor.trie.numbers()];
            self.filled = Vec::with_capacity(extractor.slots);
            self.reading = 0;
        }
        for slot in self.filled.drain(..) {
            if let Some(value) = self.slots.get_mut(slot) {
                *value = None;
            }
        }
        self.reading += 1;
        (self.plain, self.literal) = (false, false);
        self.unsure.clear();
    }

    /// Notes that the record holds a key, by its number; false when it did before.
    #[inline]
    fn is_first(&mut self, key: usize) -> bool {
        self.seen.get_mut(key).is_none_or(|seen| std::mem::replace(seen, self.reading) != self.reading)
    }

    #[inline]
    fn fill(&mut self, slot: usize, value: &'a str) {
        if let Some(place) = self.slots.get_mut(slot) {
            *place = Some(value);
            self.filled.push(slot);
        }
    }
}

/// The record as text, checked with vector instructions; those do not tell where it goes wrong.
fn text_of(record: &[u8]) -> Result<&str, RejectReason> {
    let wrong_at = |_| std::str::from_utf8(record).map_or_else(|error| error.valid_up_to(), str::len);
    simdutf8::basic::from_utf8(record).map_err(|error| RejectReason::Encoding(wrong_at(error)))
}

/// Refuses nesting deeper than [`DEPTH_MAX`].
///
/// # Errors
/// [`RejectReason::Depth`].
pub fn check_depth(record: &[u8]) -> Result<(), RejectReason> {
    // Fewer openers than levels allowed cannot nest too deep; that is nearly every record.
    let openers = record.iter().filter(|&&byte| byte == b'{' || byte == b'[').count();
    if openers <= DEPTH_MAX || deepest(record) <= DEPTH_MAX {
        return Ok(());
    }
    Err(RejectReason::Depth)
}

fn deepest(record: &[u8]) -> usize {
    let (mut depth, mut max, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in record {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                max = max.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    max
}
