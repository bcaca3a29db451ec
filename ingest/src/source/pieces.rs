//! Reads inputs in pieces that several threads can work on at once.
//!
//! Does as little as reading in order demands: lines are told apart at a glance, a small gzip
//! file is handed on packed. What the glance does not settle is cut and opened here, exactly.

use super::inflate::{GZIP_MAGIC, damage_of};
use super::input::Input;
use super::lines::lines;
use super::oneshot::PACKED_BYTES_MAX;
use super::order;
use super::pump::{Fill, Pump};
use super::reader::{Progress, Reader, Waiting, is_stdin};
use super::splitter::Splitter;
use super::walk::ReadFailure;
use crate::Batch;
use keywatch_event::{EventTime, RejectReason};
use std::fs::File;
use std::io::{self, Cursor, Read};
use std::ops::Range;
use std::path::{Path, PathBuf};
use std::sync::Arc;

/// Bytes of lines in a piece: some two hundred records, which with their events stay in a
/// processor's own cache.
const PIECE_BYTES: usize = 256 << 10;
/// Records and bytes of a piece that was cut exactly.
const EXACT: (usize, usize) = (1024, 4 << 20);
/// How often one input may go back from exact cutting to lines.
const RETURNS_MAX: u32 = 64;

/// A part of one input that can be worked on by itself.
#[derive(Debug)]
pub struct Piece {
    pub(crate) name: Arc<str>,
    pub(crate) content: Content,
}

#[derive(Debug)]
pub(crate) enum Content {
    /// Lines of text, each a document or several; the number of the first.
    Lines { bytes: Vec<u8>, lines: Vec<Range<usize>>, first: u64 },
    /// A whole gzip file.
    Packed(Vec<u8>),
    /// Records and rejects.
    Cut(Batch),
}

/// Reads inputs into pieces, in order.
#[derive(Debug)]
pub struct Pieces {
    reader: Reader,
    current: Option<Current>,
}

#[derive(Debug)]
struct Current {
    path: PathBuf,
    name: Arc<str>,
    input: Input,
    /// Bytes read and not yet given out, from the start of a line.
    carry: Vec<u8>,
    /// Line at which they begin, from 1.
    line: u64,
    ended: bool,
    damage: Option<RejectReason>,
    /// While the input is cut exactly.
    pump: Option<Pump>,
    returns: u32,
}

impl Pieces {
    /// Reads `inputs` as [`Reader::new`] does.
    #[must_use]
    pub fn new(inputs: Vec<PathBuf>) -> Self {
        Self { reader: Reader::new(inputs), current: None }
    }

    /// Reads `inputs` in the order of the first events in them, as far as all of them are files; their
    /// records are dated as of `now`.
    #[must_use]
    pub fn in_order_of_time(inputs: Vec<PathBuf>, now: EventTime) -> Self {
        let mut pieces = Self::new(inputs);
        order::by_time(&mut pieces.reader.waiting, now);
        pieces
    }

    /// The next piece; `None` when all inputs are read. `spare` is a buffer to fill, that of a
    /// piece done with.
    pub fn next_piece(&mut self, mut spare: Vec<u8>) -> Option<Piece> {
        loop {
            let Some(current) = &mut self.current else {
                let Waiting { path, bytes } = self.reader.waiting.pop_front()?;
                match open(&path, bytes, &mut spare) {
                    Ok(Opened::Packed) => {
                        let packed = spare;
                        self.reader.done(packed.len() as u64);
                        return Some(Piece { name: name_of(&path), content: Content::Packed(packed) });
                    }
                    Ok(Opened::Stream(input)) => self.current = Some(Current::new(path, input)),
                    Err(error) => {
                        self.reader.failures.push(ReadFailure::new(&path, &error));
                        self.reader.done(bytes.unwrap_or(0));
                    }
                }
                continue;
            };
            if let Some(content) = current.read(spare, &mut self.reader.failures) {
                return Some(Piece { name: Arc::clone(&current.name), content });
            }
            let taken = current.input.taken();
            self.current = None;
            self.reader.done(taken);
            spare = Vec::new();
        }
    }

    /// How far reading has come.
    #[must_use]
    pub fn progress(&self) -> Progress {
        let progress = self.reader.progress();
        let current = self.current.as_ref().map_or(0, |current| current.input.taken());
        Progress { bytes_read: progress.bytes_read + current, ..progress }
    }

    /// What could not be read so far, with the remedy where one is known.
    #[must_use]
    pub fn failures(&self) -> &[ReadFailure] {
        self.reader.failures()
    }
}

impl Piece {
    /// Gives its buffer back, to be filled again.
    #[must_use]
    pub fn into_buffer(self) -> Vec<u8> {
        match self.content {
            Content::Lines { bytes, .. } | Content::Packed(bytes) => bytes,
            Content::Cut(_) => Vec::new(),
        }
    }
}

enum Opened {
    /// All of it was read.
    Packed,
    Stream(Input),
}

/// Opens a file; one that is small and compressed is read at once, into `packed`.
fn open(path: &Path, bytes: Option<u64>, packed: &mut Vec<u8>) -> io::Result<Opened> {
    if is_stdin(path) {
        return Input::open(io::stdin()).map(Opened::Stream);
    }
    let mut file = File::open(path)?;
    if bytes.is_none_or(|bytes| bytes > PACKED_BYTES_MAX) {
        return Input::open(file).map(Opened::Stream);
    }
    let mut head = Vec::new();
    Read::by_ref(&mut file).take(GZIP_MAGIC.len() as u64).read_to_end(&mut head)?;
    if head != GZIP_MAGIC {
        return Input::open(Cursor::new(head).chain(file)).map(Opened::Stream);
    }
    packed.clear();
    packed.reserve(usize::try_from(bytes.unwrap_or(0)).unwrap_or(0) + 1);
    packed.append(&mut head);
    let most = PACKED_BYTES_MAX - packed.len() as u64;
    Read::by_ref(&mut file).take(most).read_to_end(packed)?;
    if packed.len() as u64 == PACKED_BYTES_MAX {
        return Input::open(Cursor::new(std::mem::take(packed)).chain(file)).map(Opened::Stream);
    }
    Ok(Opened::Packed)
}

fn name_of(path: &Path) -> Arc<str> {
    path.display().to_string().into()
}

impl Current {
    fn new(path: PathBuf, input: Input) -> Self {
        let name = name_of(&path);
        let (carry, damage, pump) = (Vec::new(), None, None);
        Self { path, name, input, carry, line: 1, ended: false, damage, pump, returns: 0 }
    }

    /// The next piece of this input; `None` at its end.
    fn read(&mut self, mut bytes: Vec<u8>, failures: &mut Vec<ReadFailure>) -> Option<Content> {
        loop {
            if self.pump.is_some() {
                let batch = self.cut(failures);
                if !batch.is_empty() {
                    return Some(Content::Cut(batch));
                }
                if self.pump.is_some() {
                    continue;
                }
            }
            let filled = self.fill(&mut bytes, failures);
            let text = bytes.get(..filled).unwrap_or_default();
            if text.is_empty() {
                let batch = self.last_words();
                return (!batch.is_empty()).then_some(Content::Cut(batch));
            }
            let found = lines(text, self.ended && self.damage.is_none());
            let rest = text.get(found.end..).unwrap_or_default();
            if found.lines.is_empty() {
                let mut pump = Pump::new(Splitter::at_line(self.line), Arc::clone(&self.name));
                pump.splitter.feed(rest);
                self.pump = Some(pump);
                continue;
            }
            self.carry.extend_from_slice(rest);
            let first = self.line;
            self.line += found.lines.len() as u64;
            return Some(Content::Lines { bytes, lines: found.lines, first });
        }
    }

    /// Fills `bytes` from the start with what was carried over and what is read now; how many.
    fn fill(&mut self, bytes: &mut Vec<u8>, failures: &mut Vec<ReadFailure>) -> usize {
        let mut filled = self.carry.len();
        if bytes.len() < PIECE_BYTES + filled {
            bytes.resize(PIECE_BYTES + filled, 0);
        }
        if let Some(head) = bytes.get_mut(..filled) {
            head.copy_from_slice(&self.carry);
        }
        self.carry.clear();
        while !self.ended && filled < PIECE_BYTES {
            match self.input.read(bytes.get_mut(filled..).unwrap_or_default()) {
                Ok(0) => self.ended = true,
                Ok(count) => filled += count,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.broke(error, failures),
            }
        }
        filled
    }

    fn broke(&mut self, error: io::Error, failures: &mut Vec<ReadFailure>) {
        self.ended = true;
        match damage_of(error) {
            Ok(reason) => self.damage = Some(reason),
            Err(error) => failures.push(ReadFailure::new(&self.path, &error)),
        }
    }

    /// Cuts exactly, and goes back to lines when the cutter comes to the start of one.
    fn cut(&mut self, failures: &mut Vec<ReadFailure>) -> Batch {
        let mut fill = Fill::new(EXACT.0, EXACT.1);
        let Some(mut pump) = self.pump.take() else { return fill.batch };
        loop {
            if self.ended {
                if !pump.flush(&mut fill) {
                    break;
                }
                self.line = pump.splitter.safe().1;
                fill.batch.rejects.append(&mut self.last_words().rejects);
                return fill.batch;
            }
            if !pump.drain(&mut fill) {
                break;
            }
            if self.returns < RETURNS_MAX
                && let Some((rest, line)) = pump.splitter.at_line_start()
            {
                self.carry.extend_from_slice(rest);
                self.line = line;
                self.returns += 1;
                return fill.batch;
            }
            match pump.splitter.fill_from(&mut self.input) {
                Ok(0) => self.ended = true,
                Ok(_) => {}
                Err(error) => self.broke(error, failures),
            }
        }
        self.pump = Some(pump);
        fill.batch
    }

    /// What is said of an input that ends in damage.
    fn last_words(&mut self) -> Batch {
        let mut fill = Fill::new(1, 1);
        if let Some(reason) = self.damage.take() {
            fill.damaged(&self.name, self.line, reason);
        }
        fill.batch
    }
}
