//! Records in bulk: a piece of an input becomes events in one pass, on whatever thread.
//!
//! The straight way covers lines and lists of plain records. Whatever is not plain (an envelope,
//! several documents on a line, anything that is refused) goes the exact way, through splitter
//! and opener, as following files does; the outcome is the same. Never keeps anything of a piece.

use crate::carrier::{Look, Quick};
use crate::provider::{Normalizer, Stream};
use crate::source::{
    Content, Fill, Input, OneShot, Piece, Pump, Pumped, Splitter, begins_wrapper, damage_of, lines,
};
use crate::{Batch, scrub};
use keywatch_event::scrubbed::marks;
use keywatch_event::{AuditEvent, EventTime, Place, Reject, RejectReason};
use std::io::{Cursor, Read};
use std::ops::Range;
use std::sync::Arc;

/// Records and bytes of a batch that was cut exactly.
const EXACT: (usize, usize) = (1024, 4 << 20);

/// One event, with the record it was read from.
#[derive(Debug)]
pub struct Normalised<'a> {
    /// The event.
    pub event: AuditEvent<'a>,
    /// Where its record stands.
    pub place: Place,
    /// The record's bytes.
    pub raw: &'a [u8],
}

/// What became of some records in a row.
#[derive(Debug, Default)]
pub struct Run<'a> {
    /// Those that describe an event.
    pub events: Vec<Normalised<'a>>,
    /// Those that could not be read.
    pub rejects: Vec<Reject>,
    /// How many describe no event by design.
    pub skipped: u64,
}

/// Turns pieces into events; every thread has its own.
pub struct Worker<'n> {
    normalizer: &'n Normalizer,
    quick: Quick,
    decoder: OneShot,
    events_max: usize,
    /// Empty: the room of the piece before, which is as large as this one will need.
    room: Vec<Normalised<'static>>,
}

impl<'n> Worker<'n> {
    /// A worker that hands events over as soon as it has `events_max`.
    #[must_use]
    pub fn new(normalizer: &'n Normalizer, events_max: usize) -> Self {
        Self { normalizer, quick: Quick::new(), decoder: OneShot::new(), events_max, room: Vec::new() }
    }

    /// Reads all of `piece`, in order.
    pub fn open(&mut self, piece: &Piece, received_at: EventTime, sink: &mut dyn FnMut(&Run<'_>)) {
        let Self { normalizer, quick, decoder, events_max, room } = self;
        // A copy of its own: threads that count references to one name hinder each other.
        let name = Arc::from(&*piece.name);
        let mut pass = Pass {
            stream: normalizer.stream(),
            quick,
            desk: Desk { normalizer, name, received_at, events_max: *events_max, sink },
            run: Run { events: emptied(std::mem::take(room)), ..Run::default() },
        };
        match &piece.content {
            Content::Lines { bytes, lines, first } => {
                pass.lines(bytes, lines, *first);
                pass.flush();
            }
            Content::Packed(packed) => match decoder.expand(packed) {
                Some(bytes) => pass.text(bytes),
                None => pass.desk.packed(packed),
            },
            Content::Cut(batch) => pass.desk.batch(batch),
        }
        *room = emptied(pass.run.events);
    }
}

/// The room of a list, for events that borrow from elsewhere: collecting the nothing that is left takes
/// place where it lies.
fn emptied<'b>(mut events: Vec<Normalised<'_>>) -> Vec<Normalised<'b>> {
    events.clear();
    events.into_iter().map_while(|_| None).collect()
}

/// What is the same for all records of a piece.
struct Desk<'w, 's> {
    normalizer: &'w Normalizer,
    name: Arc<str>,
    received_at: EventTime,
    events_max: usize,
    sink: &'s mut dyn FnMut(&Run<'_>),
}

/// The straight way through the bytes of one piece.
struct Pass<'w, 's, 'a> {
    stream: Stream<'w, 'a>,
    quick: &'w Quick,
    desk: Desk<'w, 's>,
    run: Run<'a>,
}

impl<'a> Pass<'_, '_, 'a> {
    /// Reads lines, of which the first has the number `first`.
    fn lines(&mut self, bytes: &'a [u8], lines: &[Range<usize>], first: u64) {
        let mut at = 0;
        while let Some(line) = lines.get(at) {
            let raw = bytes.get(line.clone()).unwrap_or_default();
            let number = first + at as u64;
            if self.line(raw, number) {
                at += 1;
                continue;
            }
            // Lines of a kind come together: what looks like this one goes the same way.
            let looks = |range: &Range<usize>| self.quick.look(bytes.get(range.clone()).unwrap_or_default());
            let more = lines.get(at + 1..).unwrap_or_default();
            at += 1 + more.iter().take_while(|line| looks(line) == Look::Unsure).count();
            let end =
                lines.get(at).map_or_else(|| lines.last().map_or(0, |line| line.end), |next| next.start);
            let stretch = bytes.get(line.start..end).unwrap_or_default();
            self.flush();
            self.desk.exactly(stretch, Pump::new(Splitter::at_line(number), Arc::clone(&self.desk.name)));
        }
    }

    /// Reads one line; false when it must go the exact way.
    fn line(&mut self, raw: &'a [u8], line: u64) -> bool {
        let look = self.quick.look(raw);
        if look == Look::Unsure || scrub::suspects(raw) {
            return false;
        }
        let Ok(event) = self.stream.normalize(raw, self.desk.received_at) else { return false };
        if look == Look::UnlessLambda && self.stream.is_lambda() {
            return false;
        }
        self.take(event, raw, (line, 0));
        true
    }

    /// Reads the content of a file.
    fn text(&mut self, bytes: &'a [u8]) {
        if begins_wrapper(bytes) == Some(true)
            && let Ok(text) = std::str::from_utf8(bytes)
        {
            return self.list(text);
        }
        let found = lines(bytes, true);
        self.lines(bytes, &found.lines, 1);
        self.flush();
        let rest = bytes.get(found.end..).unwrap_or_default();
        let line = found.lines.len() as u64 + 1;
        self.desk.exactly(rest, Pump::new(Splitter::at_line(line), Arc::clone(&self.desk.name)));
    }

    /// Reads an object that begins with a list of records: plain ones straight, and from the
    /// first other byte on exactly.
    fn list(&mut self, text: &'a str) {
        let mut at = memchr::memchr(b'[', text.as_bytes()).map_or(0, |at| at + 1);
        let mut given = 0_u32;
        while let Some(record) = text.get(at..).and_then(|rest| self.member(rest, given + 1)) {
            given += 1;
            at += record.len();
            let rest = text.get(at..).unwrap_or_default().as_bytes();
            at += rest.iter().take_while(|byte| **byte == b',' || byte.is_ascii_whitespace()).count();
        }
        self.flush();
        let rest = text.get(at..).unwrap_or_default().as_bytes();
        let name = Arc::clone(&self.desk.name);
        if given == 0 {
            return self.desk.exactly(text.as_bytes(), Pump::new(Splitter::new(), name));
        }
        let before = text.as_bytes().get(..at).unwrap_or_default();
        let line = 1 + memchr::memchr_iter(b'\n', before).count() as u64;
        let pump = Pump::within_list((1, line), given, name);
        self.desk.exactly(rest, pump);
    }

    /// Reads the record that `rest` begins with, member `number` of its list.
    fn member(&mut self, rest: &'a str, number: u32) -> Option<&'a str> {
        let look = Quick::look_at_key(rest.as_bytes());
        if look == Look::Unsure {
            return None;
        }
        let (record, event) = self.stream.normalize_head(rest, self.desk.received_at)?;
        if (look == Look::UnlessLambda && self.stream.is_lambda()) || scrub::suspects(record.as_bytes()) {
            return None;
        }
        self.take(event, record.as_bytes(), (1, number));
        Some(record)
    }

    fn take(&mut self, event: Option<AuditEvent<'a>>, raw: &'a [u8], place: (u64, u32)) {
        let Some(event) = event else {
            self.run.skipped += 1;
            return;
        };
        let (line, record) = place;
        let place = Place { name: Arc::clone(&self.desk.name), line, record };
        self.run.events.push(Normalised { event, place, raw });
        if self.run.events.len() >= self.desk.events_max {
            self.flush();
        }
    }

    fn flush(&mut self) {
        if !self.run.events.is_empty() || self.run.skipped > 0 {
            (self.desk.sink)(&self.run);
        }
        self.run.events.clear();
        self.run.skipped = 0;
    }
}

impl Desk<'_, '_> {
    /// Cuts and opens `bytes` the exact way.
    fn exactly(&mut self, mut bytes: &[u8], mut pump: Pump) {
        self.pump(&mut bytes, &mut pump);
    }

    /// The same for a gzip file that takes a closer look.
    fn packed(&mut self, packed: &[u8]) {
        let mut pump = Pump::new(Splitter::new(), Arc::clone(&self.name));
        match Input::open(Cursor::new(packed.to_vec())) {
            Ok(mut input) => self.pump(&mut input, &mut pump),
            Err(error) => self.damaged(1, RejectReason::Compression(error.to_string())),
        }
    }

    fn pump(&mut self, reader: &mut dyn Read, pump: &mut Pump) {
        let mut damage = None;
        loop {
            let mut fill = Fill::new(EXACT.0, EXACT.1);
            let pumped = pump.run(reader, &mut fill);
            self.batch(&fill.batch);
            match pumped {
                Pumped::Full => {}
                Pumped::Dry => break,
                Pumped::Broke(error) => {
                    let said = |error: std::io::Error| RejectReason::Compression(error.to_string());
                    damage = Some(damage_of(error).unwrap_or_else(said));
                    break;
                }
            }
        }
        loop {
            let mut fill = Fill::new(EXACT.0, EXACT.1);
            let ended = pump.flush(&mut fill);
            self.batch(&fill.batch);
            if ended {
                break;
            }
        }
        if let Some(reason) = damage {
            self.damaged(pump.line(), reason);
        }
    }

    fn damaged(&mut self, line: u64, reason: RejectReason) {
        let mut fill = Fill::new(1, 1);
        fill.damaged(&self.name, line, reason);
        self.batch(&fill.batch);
    }

    /// Normalises what was cut, without the secret values in it.
    fn batch(&mut self, batch: &Batch) {
        let clean = scrub::clean(batch);
        let batch = clean.as_ref().unwrap_or(batch);
        let mut run = Run { skipped: batch.skipped, rejects: batch.rejects.clone(), ..Run::default() };
        let mut stream = self.normalizer.stream();
        for record in &batch.records {
            let raw = batch.raw(record);
            match stream.normalize(raw, self.received_at) {
                Ok(Some(event)) => {
                    let event =
                        if clean.is_some() { AuditEvent { scrubbed: marks(raw), ..event } } else { event };
                    run.events.push(Normalised { event, place: record.place.clone(), raw });
                }
                Ok(None) => run.skipped += 1,
                Err(reason) => {
                    run.rejects.push(Reject { place: record.place.clone(), reason, bytes: raw.to_vec() });
                }
            }
        }
        if !batch.is_empty() {
            (self.sink)(&run);
        }
    }
}

impl std::fmt::Debug for Worker<'_> {
    fn fmt(&self, out: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        out.debug_struct("Worker").field("events_max", &self.events_max).finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests;
