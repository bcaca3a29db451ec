//! Parts of a record and what takes their place.

use keywatch_event::scrubbed::MARK;
use sha2::{Digest, Sha256};
use std::ops::Range;

/// What takes the place of a part.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum With {
    /// The mark of a kind.
    Mark(&'static str),
    /// The mark as a JSON string, for what was no string.
    Quoted(&'static str),
    /// The mark with a fingerprint of what it replaces.
    Fingerprint(&'static str),
    /// Text that was scrubbed itself, as a JSON string.
    Text(Vec<u8>),
}

/// One part to replace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Span {
    pub(super) range: Range<usize>,
    pub(super) with: With,
}

impl Span {
    pub(super) const fn mark(range: Range<usize>, kind: &'static str) -> Self {
        Self { range, with: With::Mark(kind) }
    }
}

/// `record` with all `spans` replaced; of those that overlap the outermost counts. `None` when
/// there are none.
pub(super) fn replace(record: &[u8], mut spans: Vec<Span>) -> Option<Vec<u8>> {
    if spans.is_empty() {
        return None;
    }
    spans.sort_by_key(|span| (span.range.start, usize::MAX - span.range.end));
    let mut out = Vec::with_capacity(record.len() + 32);
    let mut at = 0;
    for span in spans {
        if span.range.start < at {
            continue;
        }
        let old = record.get(span.range.clone()).unwrap_or_default();
        out.extend_from_slice(record.get(at..span.range.start).unwrap_or_default());
        at = span.range.end;
        match span.with {
            With::Mark(kind) => mark(&mut out, kind, &[]),
            With::Fingerprint(kind) => mark(&mut out, kind, &fingerprint(old)),
            With::Quoted(kind) => {
                out.push(b'"');
                mark(&mut out, kind, &[]);
                out.push(b'"');
            }
            With::Text(text) => out.extend_from_slice(&text),
        }
    }
    out.extend_from_slice(record.get(at..).unwrap_or_default());
    Some(out)
}

fn mark(out: &mut Vec<u8>, kind: &str, detail: &[u8]) {
    out.extend_from_slice(MARK.as_bytes());
    out.extend_from_slice(kind.as_bytes());
    out.extend_from_slice(detail);
    out.push(b']');
}

/// `~` and 64 bits of SHA-256. Accessors hold more than 100 random bits, so it says which token it
/// was and not what its accessor is.
fn fingerprint(old: &[u8]) -> Vec<u8> {
    let digest = Sha256::digest(old);
    let mut text = vec![b'~'];
    for byte in digest.iter().take(8) {
        for nibble in [byte >> 4, byte & 0xf] {
            text.extend(char::from_digit(u32::from(nibble), 16).map(|digit| digit as u8));
        }
    }
    text
}
