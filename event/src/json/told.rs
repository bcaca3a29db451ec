//! What a record says at paths that somebody asks for beside the normaliser's own, found in the same pass.
//!
//! Told is only what could be read in one way alone: then it is what any other reader of those paths would
//! find. Of a record with a key that may stand for an asked one nothing is told, and where an array stands in the
//! way, nothing of what lies behind it: whoever asks for that reads the record.

use super::{Extractor, Fields};
use std::sync::atomic::{AtomicU64, Ordering};

/// Paths that somebody asks for, each once; by default none.
#[derive(Debug, Default)]
pub struct Asked {
    /// Tells it from every other within this process; 0 where nobody asks.
    number: u64,
    /// In order.
    paths: Vec<Box<str>>,
}

/// The values of one record at asked paths. It borrows the record.
#[derive(Clone, Debug, PartialEq)]
pub struct Told<'a> {
    asked: u64,
    /// What begins with the record.
    text: &'a str,
    values: Vec<Span>,
    /// First and last of paths of which nothing is told.
    unsure: Vec<(u32, u32)>,
}

/// It is not told what stands at a path.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Unsure;

/// No asked path.
pub(super) const NOWHERE: u32 = u32::MAX;

/// Where a value stands in the record, and at which path.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Span {
    path: u32,
    from: u32,
    to: u32,
}

impl Asked {
    /// Asks for `paths`: keys joined by dots.
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        static NEXT: AtomicU64 = AtomicU64::new(1);
        let mut paths: Vec<Box<str>> = paths.into_iter().map(Box::from).collect();
        paths.sort_unstable();
        paths.dedup();
        Self { number: NEXT.fetch_add(1, Ordering::Relaxed), paths }
    }

    /// Tells it from every other within this process; never 0.
    #[must_use]
    pub const fn number(&self) -> u64 {
        self.number
    }

    /// The paths, in order.
    pub fn paths(&self) -> impl Iterator<Item = &str> {
        self.paths.iter().map(|path| &**path)
    }

    /// The place of a path among them.
    #[must_use]
    pub fn place(&self, path: &str) -> Option<usize> {
        self.paths.binary_search_by(|known| (**known).cmp(path)).ok()
    }
}

impl<'a> Told<'a> {
    /// The number of what was asked.
    #[must_use]
    pub const fn asked(&self) -> u64 {
        self.asked
    }

    /// The value at the path of that place, as it stands in the record; `null` counts as absent.
    ///
    /// # Errors
    /// The record must be asked itself.
    pub fn at(&self, place: usize) -> Result<Option<&'a str>, Unsure> {
        let is_unsure = |(first, last): &(u32, u32)| (*first as usize..=*last as usize).contains(&place);
        if self.unsure.iter().any(is_unsure) {
            return Err(Unsure);
        }
        let span = self.values.iter().find(|span| span.path as usize == place);
        Ok(span.and_then(|span| self.text.get(span.from as usize..span.to as usize)))
    }
}

impl<'a> Fields<'a> {
    /// What the record read last says at the paths its `extractor` was asked for; `None` when all of it
    /// could be read otherwise.
    #[must_use]
    pub fn told(&self, extractor: &Extractor) -> Option<Told<'a>> {
        if !self.literal || extractor.asked == 0 {
            return None;
        }
        let start = self.text.as_ptr().addr();
        let mut values = Vec::with_capacity(self.filled.len());
        for slot in &self.filled {
            let path = extractor.places.get(*slot).copied().unwrap_or(NOWHERE);
            if let Some(value) = self.raw(*slot).filter(|_| path != NOWHERE) {
                let from = value.as_ptr().addr().checked_sub(start)?;
                let to = u32::try_from(from + value.len()).ok()?;
                values.push(Span { path, from: u32::try_from(from).ok()?, to });
            }
        }
        Some(Told { asked: extractor.asked, text: self.text, values, unsure: self.unsure.clone() })
    }
}
