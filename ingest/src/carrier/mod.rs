//! Opens envelopes until audit records remain.
//!
//! Recognises them by content: what AWS, Google and Azure wrap around a record on its way, and
//! what syslog writes before it. A record goes through unparsed. Never judges a record: what is
//! in no known envelope is handed on for the provider to accept or reject. Every document ends
//! as at least one record, one reject or one count of what carries no event by design.

mod encoded;
mod line;
mod quick;
mod shape;

#[cfg(test)]
mod tests;

use crate::Batch;
use crate::source::{Cut, ENVELOPE_CAPS, Splitter, What};
use keywatch_event::json::{as_text, elements, members};
use keywatch_event::{Place, Reject, RejectReason};
pub(crate) use quick::{Look, Quick};
use shape::Shape;
use std::sync::Arc;

/// Envelopes within one another that are opened. The longest chain seen in practice has four:
/// Lambda, SQS, SNS, EventBridge.
pub const NESTING_MAX: usize = 8;

/// Opens the documents of one source.
#[derive(Debug)]
pub struct Opener {
    quick: Quick,
    name: Arc<str>,
    line: u64,
    /// Records, rejects and control messages that came out of the current document.
    leaves: u32,
    /// Bytes that gzip inside the current document may still expand to.
    budget: u64,
}

/// Opens one message, such as the body of an SQS message or of a Pub/Sub push, into `batch`.
/// Its records are numbered from 1 within `place`, unless the message is itself the record.
pub fn open(message: &[u8], place: &Place, batch: &mut Batch) {
    let mut opener = Opener::new(Arc::clone(&place.name));
    opener.begin(place.line);
    let mut splitter = Splitter::new();
    splitter.feed(message);
    splitter.finish();
    let whole = message.trim_ascii().len();
    let mut any = false;
    while let Some(cut) = splitter.cut() {
        any = true;
        match cut.what {
            What::Document(bytes) => opener.document(bytes, bytes.len() < whole, 0, batch),
            What::Broken(reason, bytes) => opener.reject(reason, bytes, batch),
            What::EmptyList => opener.nothing(batch),
        }
    }
    if !any {
        opener.nothing(batch);
    }
}

impl Opener {
    /// For the source or file called `name`.
    #[must_use]
    pub fn new(name: Arc<str>) -> Self {
        Self { quick: Quick::new(), name, line: 0, leaves: 0, budget: 0 }
    }

    /// Goes on with a document that began on `line` and of which `leaves` came out.
    pub(crate) fn within(name: Arc<str>, line: u64, leaves: u32) -> Self {
        Self { line, leaves, budget: ENVELOPE_CAPS.bytes_max, ..Self::new(name) }
    }

    /// Opens what was cut out of the source into `batch`.
    pub fn open(&mut self, cut: &Cut<'_>, batch: &mut Batch) {
        if cut.ordinal <= 1 {
            self.begin(cut.line);
        }
        match &cut.what {
            What::Document(bytes) if cut.ordinal == 0 && self.quick.is_record(bytes) => {
                batch.push(bytes, self.place(0));
            }
            What::Document(bytes) => self.document(bytes, cut.ordinal > 0, 0, batch),
            What::Broken(reason, bytes) => {
                let goes_on = matches!(reason, RejectReason::Oversize { part, .. } if *part > 1);
                let place = if goes_on { self.place(self.leaves) } else { self.leaf() };
                batch.rejects.push(Reject { place, reason: reason.clone(), bytes: bytes.to_vec() });
            }
            What::EmptyList => batch.skipped += 1,
        }
    }

    const fn begin(&mut self, line: u64) {
        self.line = line;
        self.leaves = 0;
        self.budget = ENVELOPE_CAPS.bytes_max;
    }

    /// `inside`: whether the bytes are part of a larger document. `depth`: envelopes so far.
    fn document(&mut self, bytes: &[u8], inside: bool, depth: usize, batch: &mut Batch) {
        let text = || std::str::from_utf8(bytes).ok();
        match bytes.first() {
            Some(b'{') if self.quick.is_record(bytes) => self.record(bytes, inside, batch),
            Some(b'{') => self.object(bytes, inside, depth, batch),
            Some(b'[') if is_empty_list(bytes) => self.nothing(batch),
            Some(b'[') => match text().map(elements).filter(|list| !list.is_empty()) {
                Some(list) => self.each(&list, depth, batch),
                None => self.line(bytes, inside, depth, batch),
            },
            Some(b'"') => match text().and_then(as_text) {
                Some(text) => self.text(&text, bytes, depth, batch),
                None => self.line(bytes, inside, depth, batch),
            },
            _ => self.line(bytes, inside, depth, batch),
        }
    }

    /// A line of text, with an object at its end or without.
    fn line(&mut self, bytes: &[u8], inside: bool, depth: usize, batch: &mut Batch) {
        if let Some(object) = line::object_in(bytes) {
            return self.document(object, inside, depth, batch);
        }
        let place = if inside { self.leaf() } else { self.place(0) };
        let reason = match std::str::from_utf8(bytes) {
            Ok(_) => RejectReason::Syntax("no JSON object in this line".to_owned()),
            Err(error) => RejectReason::Encoding(error.valid_up_to()),
        };
        batch.rejects.push(Reject { place, reason, bytes: bytes.to_vec() });
    }

    fn object(&mut self, bytes: &[u8], inside: bool, depth: usize, batch: &mut Batch) {
        // What is no UTF-8 or no JSON is the provider's to reject, with its reason.
        let Ok(text) = std::str::from_utf8(bytes) else { return self.record(bytes, inside, batch) };
        let members = members(text);
        let shape = match shape::of(&members) {
            Ok(shape) => shape,
            Err(reason) => return self.reject(reason, bytes, batch),
        };
        if depth >= NESTING_MAX && !matches!(shape, Shape::Record | Shape::Nothing | Shape::Foreign(_)) {
            let detail = format!("more than {NESTING_MAX} envelopes within one another");
            return self.reject(RejectReason::Envelope { carrier: "outer", detail }, bytes, batch);
        }
        match shape {
            Shape::Record => self.record(bytes, inside, batch),
            Shape::Nothing => self.nothing(batch),
            Shape::Foreign(what) => self.reject(RejectReason::UnknownShape(what), bytes, batch),
            Shape::List(list) if list.is_empty() => self.nothing(batch),
            Shape::List(list) => self.each(&list, depth, batch),
            Shape::Value(value) => self.document(value.as_bytes(), true, depth + 1, batch),
            Shape::Text { carrier, raw } => match as_text(raw) {
                Some(text) => self.text(&text, bytes, depth, batch),
                None => self.reject(unreadable(carrier, "its content is no string"), bytes, batch),
            },
            Shape::Encoded { carrier, raw } => self.encoded(carrier, raw, bytes, (depth, batch)),
        }
    }

    fn each(&mut self, list: &[&str], depth: usize, batch: &mut Batch) {
        for element in list {
            if depth < NESTING_MAX {
                self.document(element.as_bytes(), true, depth + 1, batch);
            } else {
                self.record(element.as_bytes(), true, batch);
            }
        }
    }

    /// Text out of an envelope: one document or several.
    fn text(&mut self, text: &str, envelope: &[u8], depth: usize, batch: &mut Batch) {
        if line::is_control(text) {
            return self.nothing(batch);
        }
        let mut splitter = Splitter::new();
        splitter.feed(text.as_bytes());
        splitter.finish();
        if !self.cuts(&mut splitter, depth, batch) {
            self.reject(unreadable("string", "it is empty"), envelope, batch);
        }
    }

    /// Opens all that the splitter has; whether that was anything.
    fn cuts(&mut self, splitter: &mut Splitter, depth: usize, batch: &mut Batch) -> bool {
        let mut any = false;
        while let Some(cut) = splitter.cut() {
            any = true;
            match cut.what {
                What::Document(bytes) if depth < NESTING_MAX => self.document(bytes, true, depth + 1, batch),
                What::Document(bytes) => self.record(bytes, true, batch),
                What::Broken(reason, bytes) => self.reject(reason, bytes, batch),
                What::EmptyList => self.nothing(batch),
            }
        }
        any
    }

    fn encoded(&mut self, carrier: &'static str, raw: &str, envelope: &[u8], to: (usize, &mut Batch)) {
        let (depth, batch) = to;
        let mut content = match encoded::Content::of(carrier, raw, self.budget) {
            Ok(content) => content,
            Err(reason) => return self.reject(reason, envelope, batch),
        };
        let mut splitter = Splitter::new();
        let mut any = false;
        loop {
            let read = content.fill(&mut splitter);
            if !matches!(read, Ok(true)) {
                splitter.finish();
            }
            any |= self.cuts(&mut splitter, depth, batch);
            match read {
                Ok(true) => {}
                Ok(false) => break,
                Err(reason) => {
                    any = true;
                    self.reject(reason, envelope, batch);
                    break;
                }
            }
        }
        self.budget = self.budget.saturating_sub(content.expanded());
        if !any {
            self.reject(unreadable(carrier, "its content is empty"), envelope, batch);
        }
    }

    fn record(&mut self, bytes: &[u8], inside: bool, batch: &mut Batch) {
        let place = if inside { self.leaf() } else { self.place(0) };
        batch.push(bytes, place);
    }

    fn reject(&mut self, reason: RejectReason, bytes: &[u8], batch: &mut Batch) {
        let place = self.leaf();
        batch.rejects.push(Reject { place, reason, bytes: bytes.to_vec() });
    }

    const fn nothing(&mut self, batch: &mut Batch) {
        self.leaves += 1;
        batch.skipped += 1;
    }

    fn leaf(&mut self) -> Place {
        self.leaves += 1;
        self.place(self.leaves)
    }

    fn place(&self, record: u32) -> Place {
        Place { name: Arc::clone(&self.name), line: self.line, record }
    }
}

fn unreadable(carrier: &'static str, detail: &str) -> RejectReason {
    RejectReason::Envelope { carrier, detail: detail.to_owned() }
}

fn is_empty_list(bytes: &[u8]) -> bool {
    let inner = bytes.strip_prefix(b"[").and_then(|rest| rest.strip_suffix(b"]"));
    inner.is_some_and(|inner| inner.trim_ascii().is_empty())
}
