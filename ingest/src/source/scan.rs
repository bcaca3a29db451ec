//! Finds where a JSON value ends, over bytes that come in pieces.
//!
//! Counts brackets outside strings and nothing else: whether the value is valid is for the
//! reader of the record to say. It does tell a value that is cut off, by a line break where JSON
//! allows none, because audit logs hold one record per line and a torn one must not swallow the
//! next. The result never depends on how the bytes were divided.

use keywatch_event::json::DEPTH_MAX;
use keywatch_event::json::block::{BLOCK, Marks, block_at, escaped, parity};

/// How far the search for the end of one value has come.
#[derive(Clone, Debug, Default)]
pub(super) struct Scan {
    /// Bytes of the window looked at.
    pub(super) pos: usize,
    opener: u8,
    depth: usize,
    in_string: bool,
    escaped: bool,
}

/// What the search found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Found {
    /// The value ends before this byte.
    End(usize),
    /// It is cut off before this byte: no value goes on like this.
    Torn(usize),
    /// Not in the bytes so far.
    More,
}

impl Scan {
    /// Goes on through `window`, which begins with the value's first byte, an opening bracket;
    /// looks at no byte from `limit` on.
    pub(super) fn advance(&mut self, window: &[u8], limit: usize) -> Found {
        let full = window.len() >= limit;
        let window = window.get(..limit).unwrap_or(window);
        if self.opener == 0 {
            self.opener = window.first().copied().unwrap_or_default();
        }
        while self.pos < window.len() {
            let (block, len) = block_at(window, self.pos);
            let masks = Marks::of(&block);
            let real = u64::MAX >> (BLOCK - len);
            let mut carry = self.escaped;
            let quotes = masks.quote & !escaped(masks.backslash, &mut carry, len);
            let in_string = parity(quotes & real) ^ (u64::from(self.in_string)).wrapping_neg();
            let events = ((masks.bracket & !in_string) | masks.newline) & real;
            if events != 0 {
                match self.step_through(events, in_string, window, full) {
                    Step::Through => {}
                    Step::Jump => continue,
                    Step::Stop(found) => return found,
                }
            }
            self.escaped = carry;
            self.in_string = (in_string >> (len - 1)) & 1 == 1;
            self.pos += len;
        }
        Found::More
    }

    /// Looks at the brackets and line breaks of a block, one bit each in `events`.
    fn step_through(&mut self, mut events: u64, in_string: u64, window: &[u8], full: bool) -> Step {
        while events != 0 {
            let bit = events & events.wrapping_neg();
            let at = self.pos + events.trailing_zeros() as usize;
            events ^= bit;
            match window.get(at) {
                Some(b'\n') if in_string & bit != 0 || self.depth > DEPTH_MAX => {
                    return Step::Stop(Found::Torn(at));
                }
                Some(b'\n') => return self.step_over_break(window, at, full),
                Some(b'{' | b'[') => self.depth += 1,
                Some(closer) => {
                    self.depth = self.depth.saturating_sub(1);
                    if self.depth == 0 {
                        let is_pair = matches!((self.opener, closer), (b'{', b'}') | (b'[', b']'));
                        return Step::Stop(if is_pair { Found::End(at + 1) } else { Found::Torn(at) });
                    }
                }
                None => {}
            }
        }
        Step::Through
    }

    /// A line break between tokens at `at`: legal when what follows may follow.
    fn step_over_break(&mut self, window: &[u8], at: usize, full: bool) -> Step {
        self.pos = at;
        (self.in_string, self.escaped) = (false, false);
        let after = window.get(at..).unwrap_or_default();
        let blank = after.iter().take_while(|byte| byte.is_ascii_whitespace()).count();
        let before = window.get(..at).unwrap_or_default();
        let last = before.iter().rev().find(|byte| !byte.is_ascii_whitespace());
        match (last, after.get(blank)) {
            (Some(last), Some(next)) if !may_follow(*last, *next) => return Step::Stop(Found::Torn(at)),
            (_, None) if !full => return Step::Stop(Found::More),
            _ => {}
        }
        self.pos += blank;
        Step::Jump
    }
}

enum Step {
    Through,
    Jump,
    Stop(Found),
}

/// Whether the token that begins with `next` may stand after the one that ends with `last`.
const fn may_follow(last: u8, next: u8) -> bool {
    let separates = matches!(next, b',' | b':' | b'}' | b']');
    match last {
        b'{' => matches!(next, b'"' | b'}'),
        b'[' => !matches!(next, b',' | b':' | b'}'),
        b',' | b':' => !separates,
        _ => separates,
    }
}

/// Where the string that begins `window` ends: after its closing quote. A line break ends it too
/// soon.
pub(super) fn string_end(window: &[u8]) -> Found {
    let mut at = 1;
    loop {
        let rest = window.get(at..).unwrap_or_default();
        let Some(found) = memchr::memchr3(b'"', b'\\', b'\n', rest) else { return Found::More };
        match rest.get(found) {
            Some(b'"') => return Found::End(at + found + 1),
            Some(b'\\') => at += found + 2,
            _ => return Found::Torn(at + found),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Feeds `text` in steps of `step` bytes; the answer must not depend on it.
    fn run(text: &[u8], limit: usize, step: usize) -> Found {
        let mut scan = Scan::default();
        let mut end = 0;
        loop {
            end = (end + step).min(text.len());
            let found = scan.advance(&text[..end], limit);
            if found != Found::More || end == text.len() {
                return found;
            }
        }
    }

    #[track_caller]
    fn check(text: &str, want: Found) {
        for step in 1..=text.len().max(1) {
            assert_eq!(run(text.as_bytes(), usize::MAX, step), want, "{text} in steps of {step}");
        }
    }

    #[test]
    fn a_value_ends_with_the_bracket_that_closes_it() {
        check("{} x", Found::End(2));
        check(r#"{"a":[{"b":"}]"}]}{"#, Found::End(18));
        check(r#"{"a":"\\\"}","b":"\\"}"#, Found::End(22));
        check("[[1],[2]],", Found::End(9));
        check("{\n  \"a\": [\n    1,\n    2\n  ]\n\n}\n", Found::End(30));
        let long = format!(r#"{{"a":"{}","b":[{}]}}"#, "x{".repeat(100), "[1],".repeat(40));
        check(&long, Found::End(long.len()));
    }

    #[test]
    fn a_value_without_its_end_is_asked_on() {
        check("", Found::More);
        check(r#"{"a":[1,2"#, Found::More);
        check("{\"a\":1,\n", Found::More);
    }

    #[test]
    fn a_torn_line_is_told_from_a_value_of_several_lines() {
        check("{\"a\":\"x\n", Found::Torn(7));
        check("{\"a\":1\n{\"b\":2}\n", Found::Torn(6));
        check("{\"a\":1,\n{\"b\":2}\n{\"c\":3}\n", Found::Torn(15));
        check("{\"a\":\n{\"b\":2}\n{\"c\":3}\n", Found::Torn(13));
        check("{\n{\"b\":2}\n", Found::Torn(1));
        check("{\"a\":1]", Found::Torn(6));
        check(&"[\n".repeat(DEPTH_MAX + 2), Found::Torn(DEPTH_MAX * 2 + 1));
    }

    #[test]
    fn blank_lines_are_passed_at_once() {
        let text = format!("{{\"a\":1{}}}", "\n".repeat(500_000));
        assert_eq!(run(text.as_bytes(), usize::MAX, text.len()), Found::End(text.len()));
    }

    #[test]
    fn no_byte_beyond_the_limit_is_looked_at() {
        for step in 1..12 {
            assert_eq!(run(br#"{"a":"bc"}"#, 9, step), Found::More);
            assert_eq!(run(b"{\"a\":1\n   {", 9, step), Found::More);
        }
    }

    #[test]
    fn a_string_ends_with_its_quote() {
        assert_eq!(string_end(br#""a\"b\\" x"#), Found::End(8));
        assert_eq!(string_end(br#""a\"#), Found::More);
        assert_eq!(string_end(b"\"a\n\""), Found::Torn(2));
    }
}
