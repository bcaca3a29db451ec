//! Decides where documents begin and end in a stream of bytes.
//!
//! A document is a JSON value, on one line or on many, or a line of text. The members of a list
//! of records (a top-level array, or the array of a wrapper such as `{"Records":[…]}`) are given
//! out one by one, so that memory is bounded by a record and not by a file. Never parses and
//! never drops a byte that means something. Its decisions depend on the bytes alone, never on
//! how they were divided into reads.

use super::list::{self, List, Move};
use super::scan::{Found, Scan};
use keywatch_event::RejectReason;
use std::ops::Range;

/// Largest record read: list responses of Vault reach tens of MB; longer is hostile or broken.
pub const RECORD_BYTES_MAX: usize = 64 << 20;
/// Largest part in which a longer one is set aside, so that it stays in the store's bounds.
pub const PART_BYTES_MAX: usize = 16 << 20;
/// How far into a document a wrapper's list is looked for, when it is not its first member.
const WRAPPER_BYTES_MAX: usize = 1 << 20;
/// The sizes at which the cutter decides; smaller ones in tests.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    pub(super) record: usize,
    pub(super) part: usize,
    pub(super) wrapper: usize,
}

impl Limits {
    pub(super) const STANDARD: Self =
        Self { record: RECORD_BYTES_MAX, part: PART_BYTES_MAX, wrapper: WRAPPER_BYTES_MAX };
}

/// How far blanks are looked through to see what follows.
pub(super) const LOOK_BYTES_MAX: usize = 4096;

/// The state between two calls of [`Cutter::step`].
#[derive(Debug)]
pub(super) struct Cutter {
    mode: Mode,
    /// Line of the first byte not yet taken, from 1.
    line: u64,
    /// Documents given out of this line, or of the document that began on it.
    ordinal: u32,
    /// Whether a value that is complete is given out before its line is.
    eager: bool,
    limits: Limits,
}

#[derive(Debug)]
enum Mode {
    Between,
    Document { scan: Scan, whole: bool },
    Ended { at: usize },
    Text { searched: usize },
    List { list: List, line: u64, given: bool },
    Rest { searched: usize, line: u64 },
    Oversize(Oversize),
}

/// A record too long to be read, on its way out in parts.
#[derive(Debug)]
struct Oversize {
    scan: Option<Scan>,
    searched: usize,
    part: u32,
    part_bytes: usize,
    line: u64,
    back: Option<Box<(List, u64)>>,
}

/// What to do with the first bytes of the window.
#[derive(Debug, PartialEq)]
pub(super) enum Step {
    /// More bytes are needed, or all have been taken.
    More,
    /// They mean nothing.
    Drop(usize),
    /// They hold something.
    Take(Taken),
}

/// Something found.
#[derive(Debug, PartialEq)]
pub(super) struct Taken {
    pub(super) kind: Kind,
    pub(super) body: Range<usize>,
    /// How many bytes it takes up with what follows it.
    pub(super) bytes: usize,
    pub(super) line: u64,
    pub(super) ordinal: u32,
}

#[derive(Debug, PartialEq)]
pub(super) enum Kind {
    Document,
    Broken(RejectReason),
    EmptyList,
}

impl Cutter {
    pub(super) const fn new(line: u64, eager: bool, limits: Limits) -> Self {
        Self { mode: Mode::Between, line, ordinal: 0, eager, limits }
    }

    /// Within the list of an object, when `given` members were taken; `lines`: on which the object
    /// began, and at which it is now.
    pub(super) const fn within_list(lines: (u64, u64), given: u32, limits: Limits) -> Self {
        let (began, line) = lines;
        let mode = Mode::List { list: List::within_object(), line: began, given: given > 0 };
        Self { mode, line, ordinal: given, eager: false, limits }
    }

    /// Whether the window begins with a line of which nothing was taken.
    pub(super) const fn at_line_start(&self) -> bool {
        self.at_boundary() && self.ordinal == 0
    }

    /// Whether the window begins with a document of its own: reading may go on from here after a
    /// restart.
    pub(super) const fn at_boundary(&self) -> bool {
        matches!(self.mode, Mode::Between | Mode::Document { .. } | Mode::Ended { .. } | Mode::Text { .. })
    }

    pub(super) const fn line(&self) -> u64 {
        self.line
    }

    /// Tells that `bytes` were taken off the front of the window.
    pub(super) fn took(&mut self, bytes: &[u8]) {
        self.line += memchr::memchr_iter(b'\n', bytes).count() as u64;
        if matches!(self.mode, Mode::Between) && bytes.last() == Some(&b'\n') {
            self.ordinal = 0;
        }
    }

    /// Looks at the window once. Its owner drops what was taken and calls again.
    pub(super) fn step(&mut self, window: &[u8], finished: bool) -> Step {
        match &mut self.mode {
            Mode::Between => self.between(window, finished),
            Mode::Document { .. } => self.document(window, finished),
            Mode::Ended { at } => {
                let at = *at;
                self.ended(window, at, finished)
            }
            Mode::Text { .. } => self.text(window, finished),
            Mode::List { .. } => self.list(window, finished),
            Mode::Rest { .. } => self.rest(window, finished),
            Mode::Oversize(_) => self.oversize(window, finished),
        }
    }

    fn between(&mut self, window: &[u8], finished: bool) -> Step {
        const BOM: &[u8] = b"\xef\xbb\xbf";
        let blank = window.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0)).count();
        if blank > 0 {
            return Step::Drop(blank);
        }
        match window.first() {
            None => Step::More,
            Some(b'\n' | b',') => Step::Drop(1),
            Some(b'{') => self.begin(list::begins_wrapper(window), finished),
            Some(b'[') => self.begin_array(list::begins_array(window), finished),
            Some(_) if window.starts_with(BOM) => Step::Drop(BOM.len()),
            Some(_) if BOM.starts_with(window) && !finished => Step::More,
            Some(_) => self.enter(Mode::Text { searched: 0 }),
        }
    }

    fn begin(&mut self, is_wrapper: Option<bool>, finished: bool) -> Step {
        match is_wrapper {
            None if !finished => Step::More,
            Some(true) => self.enter_list(),
            _ => self.enter(Mode::Document { scan: Scan::default(), whole: false }),
        }
    }

    fn begin_array(&mut self, is_array: Option<bool>, finished: bool) -> Step {
        match is_array {
            None if !finished => Step::More,
            Some(true) => self.enter_list(),
            _ => self.enter(Mode::Text { searched: 0 }),
        }
    }

    fn enter(&mut self, mode: Mode) -> Step {
        self.mode = mode;
        Step::Drop(0)
    }

    fn enter_list(&mut self) -> Step {
        let line = self.line;
        self.enter(Mode::List { list: List::default(), line, given: false })
    }

    fn document(&mut self, window: &[u8], finished: bool) -> Step {
        let Mode::Document { scan, whole } = &mut self.mode else { return Step::More };
        let limit = if *whole { self.limits.record } else { self.limits.wrapper };
        match scan.advance(window, limit) {
            Found::End(at) => self.enter(Mode::Ended { at }),
            Found::Torn(at) => self.broken(window.get(..at).unwrap_or_default()),
            Found::More if window.len() >= limit && !*whole => {
                *whole = true;
                let head = window.get(..limit).unwrap_or_default();
                if list::holds_list(head) { self.enter_list() } else { Step::Drop(0) }
            }
            Found::More if window.len() >= limit => {
                let scan = std::mem::take(scan);
                self.enter_oversize(Some(scan), None)
            }
            Found::More if finished => self.broken(window),
            Found::More => Step::More,
        }
    }

    /// A document that does not hold together: its records if it is a list of them, else its
    /// first line alone, because what follows may be other documents.
    fn broken(&mut self, head: &[u8]) -> Step {
        let head = head.get(..self.limits.wrapper).unwrap_or(head);
        if list::holds_list(head) { self.enter_list() } else { self.enter(Mode::Text { searched: 0 }) }
    }

    fn ended(&mut self, window: &[u8], at: usize, finished: bool) -> Step {
        let rest = window.get(at..).unwrap_or_default();
        let look = rest.get(..LOOK_BYTES_MAX).unwrap_or(rest);
        let blank = look.iter().take_while(|byte| matches!(byte, b' ' | b'\t' | b'\r' | 0)).count();
        let (bytes, alone) = match look.get(blank) {
            None if !finished && !self.eager && look.len() < LOOK_BYTES_MAX => return Step::More,
            Some(b'\n') => (at + blank + 1, true),
            Some(b',') | None => (at, true),
            Some(_) => (at, false),
        };
        self.mode = Mode::Between;
        let line = self.line;
        self.take(Kind::Document, 0..at, bytes, (line, alone))
    }

    fn take(&mut self, kind: Kind, body: Range<usize>, bytes: usize, place: (u64, bool)) -> Step {
        let (line, alone) = place;
        let ordinal = if alone && self.ordinal == 0 { 0 } else { self.ordinal + 1 };
        self.ordinal += 1;
        Step::Take(Taken { kind, body, bytes, line, ordinal })
    }

    fn text(&mut self, window: &[u8], finished: bool) -> Step {
        let Mode::Text { searched } = &mut self.mode else { return Step::More };
        match line_end(window, searched, (self.limits.record, finished)) {
            LineEnd::Unknown => Step::More,
            LineEnd::TooLong => self.enter_oversize(None, None),
            LineEnd::At { body, bytes } => {
                self.mode = Mode::Between;
                let line = self.line;
                self.take(Kind::Document, 0..body, bytes, (line, true))
            }
        }
    }

    fn list(&mut self, window: &[u8], finished: bool) -> Step {
        let Mode::List { list, line, given } = &mut self.mode else { return Step::More };
        let line = *line;
        match list.step(window, self.limits.record, finished) {
            Move::More => Step::More,
            Move::Drop(bytes) => Step::Drop(bytes),
            Move::Item(bytes) => {
                *given = true;
                self.take(Kind::Document, 0..bytes, bytes, (line, false))
            }
            Move::Closed(bytes) => {
                let given = *given;
                self.mode = Mode::Between;
                if given { Step::Drop(bytes) } else { self.take(Kind::EmptyList, 0..0, bytes, (line, true)) }
            }
            Move::TooLong(scan) => {
                let back = Box::new((std::mem::take(list), line));
                self.enter_oversize(scan, Some(back))
            }
            Move::Malformed => self.enter(Mode::Rest { searched: 0, line }),
        }
    }

    /// What is left of a list that is broken off: to the end of the line.
    fn rest(&mut self, window: &[u8], finished: bool) -> Step {
        let Mode::Rest { searched, line } = &mut self.mode else { return Step::More };
        let line = *line;
        match line_end(window, searched, (self.limits.record, finished)) {
            LineEnd::Unknown => Step::More,
            LineEnd::TooLong => self.enter_oversize(None, None),
            LineEnd::At { body, bytes } => {
                self.mode = Mode::Between;
                let reason = RejectReason::Syntax("the list of records is broken off here".to_owned());
                self.take(Kind::Broken(reason), 0..body, bytes, (line, false))
            }
        }
    }

    fn enter_oversize(&mut self, scan: Option<Scan>, back: Option<Box<(List, u64)>>) -> Step {
        let line = back.as_ref().map_or(self.line, |back| back.1);
        let Limits { record: searched, part: part_bytes, .. } = self.limits;
        self.enter(Mode::Oversize(Oversize { scan, searched, part: 0, part_bytes, line, back }))
    }

    fn oversize(&mut self, window: &[u8], finished: bool) -> Step {
        let Mode::Oversize(over) = &mut self.mode else { return Step::More };
        let Some(stop) = over.stop(window, finished) else { return Step::More };
        let (part, line) = (over.part + 1, over.line);
        over.part = part;
        if let Some(last) = &stop.last {
            let back = over.back.take().filter(|_| *last == Last::Value);
            self.mode = back.map_or(Mode::Between, |back| {
                let (list, line) = *back;
                Mode::List { list, line, given: true }
            });
        }
        if stop.body == 0 {
            return Step::Drop(stop.bytes);
        }
        let reason = RejectReason::Oversize { part, limit_bytes: self.limits.record };
        self.ordinal += u32::from(part == 1);
        let ordinal = self.ordinal;
        Step::Take(Taken { kind: Kind::Broken(reason), body: 0..stop.body, bytes: stop.bytes, line, ordinal })
    }
}

/// Where a part ends.
struct Stop {
    body: usize,
    bytes: usize,
    last: Option<Last>,
}

#[derive(PartialEq)]
enum Last {
    Value,
    Line,
}

impl Oversize {
    /// The end of the next part: of a full one, of the value, of its line or of everything.
    fn stop(&mut self, window: &[u8], finished: bool) -> Option<Stop> {
        let view = window.get(..self.part_bytes).unwrap_or(window);
        if self.searched < view.len() {
            let rest = view.get(self.searched..).unwrap_or_default();
            let newline = memchr::memchr(b'\n', rest).map(|at| self.searched + at);
            let scanned = self.scan.as_mut().map(|scan| scan.advance(view, newline.unwrap_or(view.len())));
            match (scanned, newline) {
                (Some(Found::End(at)), _) => {
                    return Some(Stop { body: at, bytes: at, last: Some(Last::Value) });
                }
                (_, Some(at)) => return Some(Stop { body: at, bytes: at + 1, last: Some(Last::Line) }),
                (Some(Found::Torn(_)), None) => self.scan = None,
                _ => {}
            }
            self.searched = view.len();
        }
        if view.len() == self.part_bytes {
            self.searched -= self.part_bytes;
            if let Some(scan) = &mut self.scan {
                scan.pos = scan.pos.saturating_sub(self.part_bytes);
            }
            return Some(Stop { body: self.part_bytes, bytes: self.part_bytes, last: None });
        }
        let all = view.len();
        finished.then_some(Stop { body: all, bytes: all, last: Some(Last::Line) })
    }
}

enum LineEnd {
    Unknown,
    TooLong,
    At { body: usize, bytes: usize },
}

/// Looks for the end of the line that begins the window, from `searched` on.
fn line_end(window: &[u8], searched: &mut usize, (limit, finished): (usize, bool)) -> LineEnd {
    let view = window.get(..limit).unwrap_or(window);
    let rest = view.get(*searched..).unwrap_or_default();
    let (end, bytes) = match memchr::memchr(b'\n', rest) {
        Some(at) => (*searched + at, *searched + at + 1),
        None if view.len() >= limit => return LineEnd::TooLong,
        None if finished => (view.len(), view.len()),
        None => {
            *searched = view.len();
            return LineEnd::Unknown;
        }
    };
    let line = view.get(..end).unwrap_or_default();
    let kept = line.iter().rposition(|byte| !matches!(byte, b' ' | b'\t' | b'\r' | 0));
    LineEnd::At { body: kept.map_or(0, |at| at + 1), bytes }
}
