//! Text for people: what a record says, made inert and readable.
//!
//! Every page passes through [`visible`] as its last step, so a control or direction character
//! taken from a record can never reach a browser, whichever template printed it.

use chrono::{DateTime, Utc};
use keywatch_event::EventTime;
use std::borrow::Cow;

/// The same text with every character that is invisible or changes how others are shown written
/// out as JSON escapes it: `\u001b` for escape, `\u202e` for a right-to-left override. Line ends and
/// tabs stay.
pub(crate) fn visible(text: &str) -> Cow<'_, str> {
    if !text.chars().any(hides) {
        return Cow::Borrowed(text);
    }
    let mut shown = String::with_capacity(text.len() + 64);
    for character in text.chars() {
        if hides(character) { write_out(&mut shown, character) } else { shown.push(character) }
    }
    Cow::Owned(shown)
}

/// Whether a character is a control, a direction mark or has no width
/// (Unicode Standard Annex 9; Unicode Technical Report 36, section 2).
const fn hides(character: char) -> bool {
    let seen = matches!(character, '\n' | '\t' | ' '..='~');
    let control = matches!(character, '\0'..='\u{1f}' | '\u{7f}'..='\u{9f}');
    let single = matches!(
        character,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{180e}' | '\u{3164}' | '\u{feff}'
    );
    let stretch = matches!(
        character,
        '\u{200b}'..='\u{200f}'
            | '\u{2028}'..='\u{202e}'
            | '\u{2060}'..='\u{206f}'
            | '\u{fff9}'..='\u{fffb}'
            | '\u{e0000}'..='\u{e007f}'
    );
    !seen && (control || single || stretch)
}

fn write_out(shown: &mut String, character: char) {
    for unit in character.encode_utf16(&mut [0; 2]) {
        shown.push_str("\\u");
        push_hex(shown, u32::from(*unit), 4);
    }
}

/// Appends the last `digits` hexadecimal digits of `value`.
pub(crate) fn push_hex(out: &mut String, value: u32, digits: u32) {
    let nibbles = (0..digits).rev().map(|at| (value >> (4 * at)) & 15);
    out.extend(nibbles.filter_map(|nibble| char::from_digit(nibble, 16)));
}

/// Bytes as text: what is not UTF-8 stands as `\xNN`.
pub(crate) fn lossless(bytes: &[u8]) -> String {
    let mut text = String::with_capacity(bytes.len());
    for chunk in bytes.utf8_chunks() {
        text.push_str(chunk.valid());
        for byte in chunk.invalid() {
            text.push_str("\\x");
            push_hex(&mut text, u32::from(*byte), 2);
        }
    }
    text
}

/// A classic hex dump: offset, sixteen bytes, the printable ones beside them.
pub(crate) fn hex_dump(bytes: &[u8]) -> String {
    let mut dump = String::new();
    for (row, line) in (0_u32..).step_by(16).zip(bytes.chunks(16)) {
        push_hex(&mut dump, row, 8);
        dump.push(' ');
        for at in 0..16 {
            dump.push(' ');
            match line.get(at) {
                Some(byte) => push_hex(&mut dump, u32::from(*byte), 2),
                None => dump.push_str("  "),
            }
        }
        dump.push_str("  ");
        let seen = |byte: &u8| if byte.is_ascii_graphic() || *byte == b' ' { char::from(*byte) } else { '.' };
        dump.extend(line.iter().map(seen));
        dump.push('\n');
    }
    dump
}

/// At most the first `limit` bytes of `bytes`, not cutting a character in two, and whether
/// something was left off.
pub(crate) fn head(bytes: &[u8], limit: usize) -> (&[u8], bool) {
    let Some((head, _)) = bytes.split_at_checked(limit).filter(|(_, rest)| !rest.is_empty()) else {
        return (bytes, false);
    };
    let cut = head.utf8_chunks().last().filter(|chunk| chunk.invalid().len() < 4);
    let partial = cut.map_or(0, |chunk| chunk.invalid().len());
    (head.get(..head.len() - partial).unwrap_or(head), true)
}

/// One URL path segment or query value, percent-encoded (RFC 3986 unreserved characters stay).
pub(crate) fn encoded(text: &str) -> String {
    let mut url = String::with_capacity(text.len());
    for &byte in text.as_bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~".contains(&byte) {
            url.push(char::from(byte));
        } else {
            url.push('%');
            push_hex(&mut url, u32::from(byte), 2);
        }
    }
    url
}

/// Texts up to this many bytes are never broken for the reader.
const WHOLE_BYTES_MAX: usize = 24;

/// A text in the parts it may be broken between: a long id after `/`, `:` and `.`.
pub(crate) fn parts(text: &str) -> impl Iterator<Item = &str> {
    let long = text.len() > WHOLE_BYTES_MAX;
    text.split_inclusive(move |character| long && matches!(character, '/' | ':' | '.'))
}

/// A number with its thousands set apart: `12,345`.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut shown = String::with_capacity(digits.len() + digits.len() / 3);
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            shown.push(',');
        }
        shown.push(digit);
    }
    shown
}

/// `1 event`, `2 events`.
pub(crate) fn counted(number: u64, one: &str, many: &str) -> String {
    format!("{} {}", grouped(number), if number == 1 { one } else { many })
}

/// A moment as a page shows it.
#[derive(Clone, Debug)]
pub(crate) struct When {
    /// For machines: RFC 3339, in the precision given.
    pub(crate) iso: String,
    /// For people: `2026-11-22 18:54:05 UTC`.
    pub(crate) shown: String,
    /// How long ago: `3 min ago`.
    pub(crate) age: String,
}

impl When {
    /// An event time, seen from `now`.
    pub(crate) fn event(at: EventTime, now: DateTime<Utc>) -> Self {
        Self { iso: at.to_string(), shown: stamp(at.to_chrono()), age: age(now.timestamp() - at.secs()) }
    }

    /// A time of our own clock, seen from `now`.
    pub(crate) fn clock(at: DateTime<Utc>, now: DateTime<Utc>) -> Self {
        Self::event(EventTime::from_millis(at.timestamp_millis()), now)
    }
}

/// `2026-11-22 18:54:05 UTC`.
pub(crate) fn stamp(at: DateTime<Utc>) -> String {
    at.format("%Y-%m-%d %H:%M:%S UTC").to_string()
}

/// A distance in seconds as words; negative lies ahead.
fn age(secs: i64) -> String {
    let (number, unit) = match secs.unsigned_abs() {
        0..5 => return "just now".to_owned(),
        short @ 5..60 => (short, "s"),
        short @ 60..3600 => (short / 60, "min"),
        medium @ 3600..172_800 => (medium / 3600, "h"),
        long => (long / 86_400, "d"),
    };
    let number = grouped(number);
    if secs < 0 { format!("in {number} {unit}") } else { format!("{number} {unit} ago") }
}

/// JSON laid out for reading, every token exactly as it came; `None` when the bytes are no JSON.
///
/// Works on the bytes instead of on parsed values, so a number of thirty digits, a repeated key
/// or an escape stays as the provider wrote it.
pub(crate) fn pretty(json: &[u8]) -> Option<String> {
    serde_json::from_slice::<serde::de::IgnoredAny>(json).ok()?;
    let text = std::str::from_utf8(json).ok()?;
    let mut layout = Layout { out: String::with_capacity(text.len() * 2), depth: 0 };
    let mut rest = text.trim_start();
    let mut opened = false;
    while let Some(first) = rest.chars().next() {
        let token = rest.get(..token_len(rest)).unwrap_or(rest);
        layout.token(first, token, &mut opened);
        rest = rest.get(token.len()..).unwrap_or_default().trim_start();
    }
    Some(layout.out)
}

struct Layout {
    out: String,
    depth: usize,
}

impl Layout {
    fn token(&mut self, first: char, token: &str, opened: &mut bool) {
        let empty = std::mem::replace(opened, matches!(first, '{' | '['));
        match first {
            '}' | ']' => {
                self.depth = self.depth.saturating_sub(1);
                if !empty {
                    self.line();
                }
                self.out.push_str(token);
            }
            ',' => {
                self.out.push(',');
                self.line();
            }
            ':' => self.out.push_str(": "),
            _ => {
                if empty {
                    self.line();
                }
                self.depth += usize::from(*opened);
                self.out.push_str(token);
            }
        }
    }

    fn line(&mut self) {
        self.out.push('\n');
        self.out.extend(std::iter::repeat_n("  ", self.depth.min(64)));
    }
}

/// Length of the token `text` begins with: a string, a mark, or a run of anything else.
fn token_len(text: &str) -> usize {
    let bytes = text.as_bytes();
    match bytes.first() {
        Some(b'"') => {
            let mut escaped = false;
            let end = bytes.iter().skip(1).position(|&byte| {
                let closes = byte == b'"' && !escaped;
                escaped = byte == b'\\' && !escaped;
                closes
            });
            end.map_or(bytes.len(), |end| end + 2)
        }
        Some(b'{' | b'}' | b'[' | b']' | b',' | b':') => 1,
        _ => text.find(|c: char| "{}[],:\" \t\r\n".contains(c)).unwrap_or(bytes.len()).max(1),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hidden_characters_are_written_out() {
        assert_eq!(visible("plain é 漢字\n\t"), "plain é 漢字\n\t");
        assert_eq!(visible("\u{1b}[31mred\0\r"), "\\u001b[31mred\\u0000\\u000d");
        assert_eq!(visible("a\u{202e}b\u{2066}c\u{7f}\u{85}"), "a\\u202eb\\u2066c\\u007f\\u0085");
        assert_eq!(visible("\u{e0041}\u{200b}"), "\\udb40\\udc41\\u200b");
    }

    #[test]
    fn pretty_json_keeps_every_token() {
        let raw = br#" {"a":{"n":1234567890123456789012345678901.50e+1,"a":"x\"}, ","e":{},"l":[ ]},"b":[1,[null,true]]}"#;
        let want = r#"{
  "a": {
    "n": 1234567890123456789012345678901.50e+1,
    "a": "x\"}, ",
    "e": {},
    "l": []
  },
  "b": [
    1,
    [
      null,
      true
    ]
  ]
}"#;
        assert_eq!(pretty(raw).as_deref(), Some(want));
        assert_eq!(pretty(b"12"), Some("12".to_owned()));
        assert_eq!(pretty(br#""\\""#), Some(r#""\\""#.to_owned()));
        assert_eq!(pretty(b"{cut"), None);
        assert_eq!(pretty(b"\xff"), None);
    }

    #[test]
    fn bytes_that_are_no_text_stay_readable() {
        assert_eq!(lossless(b"ok \xff\xc3\xa9"), "ok \\xffé");
        assert_eq!(head("aé".as_bytes(), 2), (&b"a"[..], true));
        assert_eq!(head(b"abc", 3), (&b"abc"[..], false));
        let dump = hex_dump(b"0123456789abcdef\x1b");
        assert!(dump.starts_with("00000000  30 31 32"), "{dump}");
        assert!(dump.contains("  0123456789abcdef\n00000010  1b "), "{dump}");
    }

    #[test]
    fn ages_and_numbers_read_as_words() {
        let cases = [
            (2, "just now"),
            (59, "59 s ago"),
            (180, "3 min ago"),
            (7200, "2 h ago"),
            (-180, "in 3 min"),
            (259_200, "3 d ago"),
        ];
        for (secs, want) in cases {
            assert_eq!(age(secs), want);
        }
        assert_eq!(
            ["0", "999", "1,000", "1234567"].map(|n| grouped(n.replace(',', "").parse().unwrap())),
            ["0", "999", "1,000", "1,234,567"]
        );
        assert_eq!(counted(1, "event", "events"), "1 event");
    }

    #[test]
    fn long_ids_break_between_their_parts_and_short_ones_nowhere() {
        let broken = |text: &str| parts(text).collect::<Vec<_>>().join("|");
        assert_eq!(broken("aws:111122223333:secret/prod/db.key"), "aws:|111122223333:|secret/|prod/|db.|key");
        assert_eq!(broken("secret.batch_read"), "secret.batch_read");
        assert_eq!(broken(""), "");
    }

    #[test]
    fn url_values_are_encoded() {
        assert_eq!(encoded("arn:aws:x/é&=?#"), "arn%3aaws%3ax%2f%c3%a9%26%3d%3f%23");
    }
}
