//! Bytes in, documents out: the buffer around the cutter.
//!
//! Performs no I/O of its own. Holds one record and one read at most, whatever the size of the
//! file: see [`RECORD_BYTES_MAX`].

use super::cutter::{Cutter, Kind, Limits, Step};
use keywatch_event::RejectReason;
use std::io::{self, Read};

pub use super::cutter::{PART_BYTES_MAX, RECORD_BYTES_MAX};

/// Bytes asked for at once. While a long record is incomplete the reads grow with it, so that
/// looking again at what is already there stays linear.
const READ_BYTES: usize = 256 * 1024;
/// Bytes kept after they were given out, for [`Splitter::before_safe`].
const KEPT_BYTES: usize = 1024;
/// A buffer that grew beyond this for one long record is given back.
const BUFFER_BYTES_MAX: usize = 4 << 20;

/// Cuts a stream of bytes into documents, whatever the pieces it comes in.
#[derive(Debug)]
pub struct Splitter {
    buffer: Vec<u8>,
    start: usize,
    end: usize,
    cutter: Cutter,
    finished: bool,
    taken: u64,
    safe: (u64, u64),
}

/// One thing cut out of the stream.
#[derive(Debug, PartialEq, Eq)]
pub struct Cut<'a> {
    /// What it is.
    pub what: What<'a>,
    /// Line on which its document begins, from 1.
    pub line: u64,
    /// Its number within the document or the line, from 1; 0 for a document alone on its line.
    pub ordinal: u32,
}

/// What was cut out.
#[derive(Debug, PartialEq, Eq)]
pub enum What<'a> {
    /// A JSON value or a line of text; not checked in any way.
    Document(&'a [u8]),
    /// Bytes that belong to no document.
    Broken(RejectReason, &'a [u8]),
    /// A list of records without any.
    EmptyList,
}

impl Default for Splitter {
    fn default() -> Self {
        Self::new()
    }
}

impl Splitter {
    /// For a stream that is read from its beginning to its end.
    #[must_use]
    pub fn new() -> Self {
        Self::with(Cutter::new(1, false, Limits::STANDARD), (0, 1))
    }

    /// For a stream that goes on growing, from `offset` on, where `line` begins. A JSON value is
    /// given out as soon as it is complete, before its line is.
    #[must_use]
    pub fn following(offset: u64, line: u64) -> Self {
        Self::with(Cutter::new(line, true, Limits::STANDARD), (offset, line))
    }

    /// For the rest of a stream, from where `line` begins.
    #[must_use]
    pub(crate) fn at_line(line: u64) -> Self {
        Self::with(Cutter::new(line, false, Limits::STANDARD), (0, line))
    }

    /// For the rest of a stream, from within a list of records that is the member of an object;
    /// `given` of them came before. `lines`: on which the object began, and at which it is now.
    pub(super) fn within_list(lines: (u64, u64), given: u32) -> Self {
        Self::with(Cutter::within_list(lines, given, Limits::STANDARD), (0, lines.0))
    }

    /// What is left, when it begins with a line of which nothing was given out, and that line's
    /// number.
    pub(super) fn at_line_start(&self) -> Option<(&[u8], u64)> {
        let rest = self.buffer.get(self.start..self.end)?;
        (self.taken > 0 && self.cutter.at_line_start()).then_some((rest, self.cutter.line()))
    }

    fn with(cutter: Cutter, safe: (u64, u64)) -> Self {
        Self { buffer: Vec::new(), start: 0, end: 0, cutter, finished: false, taken: safe.0, safe }
    }

    /// Adds bytes.
    pub fn feed(&mut self, bytes: &[u8]) {
        self.make_room(bytes.len());
        if let Some(room) = self.buffer.get_mut(self.end..self.end + bytes.len()) {
            room.copy_from_slice(bytes);
            self.end += bytes.len();
        }
    }

    /// Reads once from `reader`; 0 at its end.
    ///
    /// # Errors
    /// Those of the reader.
    pub fn fill_from(&mut self, reader: &mut (impl Read + ?Sized)) -> io::Result<usize> {
        let wanted = READ_BYTES.max((self.end - self.start) / 2);
        self.make_room(wanted);
        let room = self.buffer.get_mut(self.end..self.end + wanted).unwrap_or_default();
        let count = loop {
            match reader.read(room) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                other => break other?,
            }
        };
        self.end += count;
        Ok(count)
    }

    /// Tells that no more bytes will come: what is left is given out as it is.
    pub const fn finish(&mut self) {
        self.finished = true;
    }

    /// The next thing, or `None` when more bytes are needed.
    pub fn cut(&mut self) -> Option<Cut<'_>> {
        loop {
            let window = self.buffer.get(self.start..self.end).unwrap_or_default();
            match self.cutter.step(window, self.finished) {
                Step::More => return None,
                Step::Drop(bytes) => self.take(bytes),
                Step::Take(taken) => {
                    let at = self.start;
                    self.take(taken.bytes);
                    let body =
                        self.buffer.get(at + taken.body.start..at + taken.body.end).unwrap_or_default();
                    let what = match taken.kind {
                        Kind::Document => What::Document(body),
                        Kind::Broken(reason) => What::Broken(reason, body),
                        Kind::EmptyList => What::EmptyList,
                    };
                    return Some(Cut { what, line: taken.line, ordinal: taken.ordinal });
                }
            }
        }
    }

    /// From where reading may go on after a restart: the offset in the stream, and the line
    /// that stands there. Everything before has been given out.
    #[must_use]
    pub const fn safe(&self) -> (u64, u64) {
        self.safe
    }

    /// The last bytes before [`Self::safe`], at most 1 KiB; empty while they are not at hand.
    #[must_use]
    pub fn before_safe(&self) -> &[u8] {
        if self.safe.0 != self.taken {
            return &[];
        }
        let from = self.start.saturating_sub(KEPT_BYTES);
        self.buffer.get(from..self.start).unwrap_or_default()
    }

    fn take(&mut self, bytes: usize) {
        let taken = self.buffer.get(self.start..self.start + bytes).unwrap_or_default();
        self.cutter.took(taken);
        self.start += bytes;
        self.taken += bytes as u64;
        if self.cutter.at_boundary() {
            self.safe = (self.taken, self.cutter.line());
        }
    }

    fn make_room(&mut self, bytes: usize) {
        let behind = self.start.min(KEPT_BYTES);
        let is_large = self.buffer.len() > BUFFER_BYTES_MAX;
        if self.start > behind && (is_large || self.end + bytes > self.buffer.len()) {
            self.buffer.copy_within(self.start - behind..self.end, 0);
            (self.start, self.end) = (behind, self.end - self.start + behind);
        }
        if self.end + bytes > self.buffer.len() {
            self.buffer.resize((self.end + bytes).next_power_of_two(), 0);
        } else if is_large && self.end + bytes <= BUFFER_BYTES_MAX / 4 {
            self.buffer.truncate(BUFFER_BYTES_MAX);
            self.buffer.shrink_to_fit();
        }
    }
}

#[cfg(test)]
mod tests;
