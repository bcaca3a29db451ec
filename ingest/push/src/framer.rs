//! Cuts what comes over a connection into messages.
//!
//! Two framings, told apart message by message (RFC 6587): a line, or a length in ASCII digits, a
//! space and as many bytes that begin with `<`. Audit devices write lines; syslog daemons do either.

use keywatch_ingest::source::RECORD_BYTES_MAX;

/// Digits a length may have: 99,999,999 bytes, beyond the largest record.
const DIGITS_MAX: usize = 8;
/// A buffer that grew beyond this for one message is given back.
const BUFFER_BYTES_KEPT: usize = 256 << 10;

/// The bytes of one connection that are no message yet.
#[derive(Debug, Default)]
pub(crate) struct Framer {
    buffer: Vec<u8>,
    start: usize,
    /// Bytes behind `start` that hold no line feed.
    looked: usize,
    /// The rest of a message that was given up is passed over.
    skips: bool,
}

impl Framer {
    /// Where to read into next.
    pub(crate) fn buffer(&mut self) -> &mut Vec<u8> {
        if self.start > 0 {
            self.buffer.drain(..self.start);
            self.start = 0;
        }
        if self.buffer.is_empty() && self.buffer.capacity() > BUFFER_BYTES_KEPT {
            self.buffer = Vec::new();
        }
        &mut self.buffer
    }

    /// Bytes that are held.
    pub(crate) const fn held(&self) -> usize {
        self.buffer.len() - self.start
    }

    /// The next message; `None` when more bytes are needed.
    pub(crate) fn next(&mut self) -> Option<&[u8]> {
        loop {
            let (frame, taken) = match self.counted() {
                Counted::Whole { head, length } => {
                    ((self.start + head)..(self.start + head + length), head + length)
                }
                Counted::Part => return None,
                Counted::No => {
                    let rest = self.buffer.get(self.start + self.looked..).unwrap_or_default();
                    let Some(at) = memchr::memchr2(b'\n', 0, rest) else {
                        self.looked = self.buffer.len() - self.start;
                        return None;
                    };
                    let length = self.looked + at;
                    (self.start..self.start + length, length + 1)
                }
            };
            self.start += taken;
            self.looked = 0;
            let was_given_up = std::mem::take(&mut self.skips);
            let is_empty = self.buffer.get(frame.clone()).is_none_or(|frame| frame.trim_ascii().is_empty());
            if !was_given_up && !is_empty {
                return self.buffer.get(frame);
            }
        }
    }

    /// What is left when the connection has ended: a message that was cut off, if anything.
    pub(crate) fn rest(&mut self) -> Option<&[u8]> {
        let from = std::mem::replace(&mut self.start, self.buffer.len());
        let rest = self.buffer.get(from..).unwrap_or_default().trim_ascii();
        (!rest.is_empty() && !self.skips).then_some(rest)
    }

    /// Lets go of a message that is too long; its rest is passed over as it comes.
    pub(crate) fn give_up(&mut self) {
        self.buffer = Vec::new();
        (self.start, self.looked, self.skips) = (0, 0, true);
    }

    fn counted(&self) -> Counted {
        let rest = self.buffer.get(self.start..).unwrap_or_default();
        if self.skips || self.looked > DIGITS_MAX + 1 {
            return Counted::No;
        }
        let digits = rest.iter().take(DIGITS_MAX + 1).take_while(|byte| byte.is_ascii_digit()).count();
        let is_length = (1..=DIGITS_MAX).contains(&digits) && rest.first() != Some(&b'0');
        match (rest.get(digits), rest.get(digits + 1)) {
            _ if !is_length => Counted::No,
            (None, _) | (Some(b' '), None) => Counted::Part,
            (Some(b' '), Some(b'<')) => {
                let text = rest.get(..digits).and_then(|digits| std::str::from_utf8(digits).ok());
                let length: usize = text.and_then(|text| text.parse().ok()).unwrap_or(usize::MAX);
                let head = digits + 1;
                match length {
                    _ if length > RECORD_BYTES_MAX => Counted::No,
                    _ if rest.len() < head + length => Counted::Part,
                    _ => Counted::Whole { head, length },
                }
            }
            _ => Counted::No,
        }
    }
}

enum Counted {
    No,
    Part,
    Whole { head: usize, length: usize },
}

#[cfg(test)]
mod tests {
    use super::*;

    /// All messages, whatever the pieces the bytes come in.
    #[track_caller]
    fn check(bytes: &[u8], messages: &[&str], rest: Option<&str>) {
        for piece in 1..=bytes.len() {
            let (mut framer, mut found) = (Framer::default(), Vec::new());
            for part in bytes.chunks(piece) {
                framer.buffer().extend_from_slice(part);
                while let Some(frame) = framer.next() {
                    found.push(String::from_utf8_lossy(frame).into_owned());
                }
            }
            assert_eq!(found, messages, "in pieces of {piece}");
            assert_eq!(framer.rest().map(String::from_utf8_lossy).as_deref(), rest, "in pieces of {piece}");
        }
    }

    #[test]
    fn lines_are_messages_and_what_has_no_end_is_the_rest() {
        check(b"{\"a\":1}\n\r\n{\"b\":2}\r\n{\"c\"", &["{\"a\":1}", "{\"b\":2}\r"], Some("{\"c\""));
    }

    #[test]
    fn lengths_are_heeded_and_may_stand_between_lines() {
        check(b"9 <86>1 {}\n{}\n6 <8>\n{}{}\n", &["<86>1 {}\n", "{}", "<8>\n{}", "{}"], None);
    }

    #[test]
    fn a_line_that_begins_with_digits_is_a_line() {
        check(b"2026 {}\n0 <1>\n123456789 <1>\n", &["2026 {}", "0 <1>", "123456789 <1>"], None);
    }

    #[test]
    fn a_message_that_was_given_up_is_passed_over_to_its_end() {
        let mut framer = Framer::default();
        framer.buffer().extend_from_slice(b"long");
        assert_eq!(framer.next(), None);
        framer.give_up();
        framer.buffer().extend_from_slice(b"er\n{}\n");
        assert_eq!(framer.next(), Some(&b"{}"[..]));
    }
}
