//! Modifiers that write a text in another way before it is compared: `windash`, `wide`,
//! `utf16…`, `base64`, `base64offset`. They apply in the order written.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use rsigma_parser::{Modifier, SigmaString};

/// Characters Windows tools take for the dash of an option.
const DASHES: [char; 5] = ['-', '/', '–', '—', '―'];
/// Most dashes of one text that are varied: five to the fourth is 625 texts.
const DASHES_MAX: usize = 4;

/// A text after its modifiers.
pub(super) enum Encoded {
    /// Texts in which wildcards keep their meaning.
    Wild(Vec<String>),
    /// Texts in which nothing is a wildcard.
    Plain(Vec<String>),
}

/// The ways `text` is written after `modifiers`; others than this module's are skipped.
///
/// # Errors
/// What was attempted, and the remedy.
pub(super) fn encoded(text: &str, modifiers: &[Modifier]) -> Result<Encoded, (String, &'static str)> {
    let mut wild = vec![text.to_owned()];
    let mut bytes: Option<Vec<Vec<u8>>> = None;
    for modifier in modifiers {
        if *modifier == Modifier::WindAsh {
            if bytes.is_some() {
                let message = "`windash` cannot follow an encoding".to_owned();
                return Err((message, "write `windash` before `wide` and `base64`"));
            }
            wild = wild.iter().map(|text| windash(text)).collect::<Result<Vec<_>, _>>()?.concat();
        }
        if let Some((_, encode)) = ENCODINGS.iter().find(|(known, _)| known == modifier) {
            let before = match bytes.take() {
                Some(before) => before,
                None => wild.iter().map(|text| plain(text)).collect::<Result<Vec<_>, _>>()?,
            };
            bytes = Some(before.iter().flat_map(|one| encode(one)).collect());
        }
    }
    let Some(bytes) = bytes else { return Ok(Encoded::Wild(wild)) };
    let texts: Option<Vec<String>> = bytes.into_iter().map(|text| String::from_utf8(text).ok()).collect();
    texts.map(Encoded::Plain).ok_or_else(|| {
        let message = format!("`{text}` in UTF-16 is no text a record can hold");
        (message, "add `base64` or `base64offset` behind it")
    })
}

fn plain(text: &str) -> Result<Vec<u8>, (String, &'static str)> {
    SigmaString::new(text).as_plain().map(String::into_bytes).ok_or_else(|| {
        (format!("`{text}` has wildcards, which cannot be encoded"), "remove them, or write `\\*`")
    })
}

type Encode = fn(&[u8]) -> Vec<Vec<u8>>;

/// The encodings; all but the last give one text.
const ENCODINGS: [(Modifier, Encode); 5] = [
    (Modifier::Wide, |bytes| vec![utf16(bytes, u16::to_le_bytes)]),
    (Modifier::Utf16, |bytes| vec![[vec![0xff, 0xfe], utf16(bytes, u16::to_le_bytes)].concat()]),
    (Modifier::Utf16be, |bytes| vec![utf16(bytes, u16::to_be_bytes)]),
    (Modifier::Base64, |bytes| vec![STANDARD.encode(bytes).into_bytes()]),
    (Modifier::Base64Offset, |bytes| (0..3).map(|offset| at_offset(bytes, offset)).collect()),
];

fn utf16(bytes: &[u8], order: fn(u16) -> [u8; 2]) -> Vec<u8> {
    String::from_utf8_lossy(bytes).encode_utf16().flat_map(order).collect()
}

/// The characters every base64 text has that holds `bytes` at a place `offset` beyond a multiple
/// of three: those that depend on neighbours are cut off.
fn at_offset(bytes: &[u8], offset: usize) -> Vec<u8> {
    let mut padded = vec![b' '; offset];
    padded.extend_from_slice(bytes);
    let text = STANDARD.encode(&padded);
    let start = [0, 2, 3].get(offset).copied().unwrap_or(0);
    let cut = [0, 3, 2].get(padded.len() % 3).copied().unwrap_or(0);
    text.get(start..text.len().saturating_sub(cut)).unwrap_or_default().as_bytes().to_vec()
}

/// Every way to write the dashes that begin a word.
fn windash(text: &str) -> Result<Vec<String>, (String, &'static str)> {
    let mut before = None;
    let mut pieces = vec![String::new()];
    let mut chars = text.chars().peekable();
    while let Some(c) = chars.next() {
        let begins = chars.peek().is_some_and(|next| next.is_alphanumeric());
        let is_inside = before.is_some_and(char::is_alphanumeric);
        if DASHES.contains(&c) && begins && !is_inside {
            pieces.push(String::new());
        } else if let Some(piece) = pieces.last_mut() {
            piece.push(c);
        }
        before = Some(c);
    }
    if pieces.len() > DASHES_MAX + 1 {
        let message = format!("`{text}` has more than {DASHES_MAX} dashes, too many to write in every way");
        return Err((message, "split it into several values with `|all`"));
    }
    let mut pieces = pieces.into_iter();
    let mut all = vec![pieces.next().unwrap_or_default()];
    for piece in pieces {
        let written = |head: &String| DASHES.map(|dash| format!("{head}{dash}{piece}"));
        all = all.iter().flat_map(written).collect();
    }
    Ok(all)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn texts(text: &str, modifiers: &[Modifier]) -> Vec<String> {
        match encoded(text, modifiers) {
            Ok(Encoded::Wild(texts) | Encoded::Plain(texts)) => texts,
            Err((message, remedy)) => vec![format!("{message}; {remedy}")],
        }
    }

    #[test]
    fn a_text_at_any_offset_of_a_base64_text_is_found() {
        let found = texts("http://", &[Modifier::Base64Offset]);
        assert_eq!(found, ["aHR0cDovL", "h0dHA6Ly", "odHRwOi8v"]);
        for before in ["", "a", "ab", "abc"] {
            let whole = STANDARD.encode(format!("{before}http://example.com/x"));
            assert!(found.iter().any(|part| whole.contains(part)), "{whole}");
        }
    }

    #[test]
    fn encodings_apply_in_the_order_written() {
        assert_eq!(texts("ab", &[Modifier::Wide, Modifier::Base64]), ["YQBiAA=="]);
        assert_eq!(texts("ab", &[Modifier::Utf16be, Modifier::Base64]), ["AGEAYg=="]);
        assert_eq!(texts("ab", &[Modifier::Utf16, Modifier::Base64]), ["//5hAGIA"]);
        assert_eq!(texts("a\\*", &[Modifier::Base64]), ["YSo="]);
    }

    #[test]
    fn dashes_that_begin_a_word_are_written_in_five_ways() {
        assert_eq!(texts("-x y-z", &[Modifier::WindAsh]), ["-x y-z", "/x y-z", "–x y-z", "—x y-z", "―x y-z"]);
        assert_eq!(texts("-a -b", &[Modifier::WindAsh]).len(), 25);
        assert_eq!(texts("*-x", &[Modifier::WindAsh]).len(), 5);
    }

    #[test]
    fn what_cannot_be_encoded_is_said_with_a_remedy() {
        assert!(texts("a*", &[Modifier::Base64])[0].contains("wildcards, which cannot be encoded; remove"));
        assert!(texts("a", &[Modifier::Utf16])[0].contains("add `base64`"));
        assert!(texts("-a", &[Modifier::Base64, Modifier::WindAsh])[0].contains("before `wide`"));
        assert!(texts("-a -a -a -a -a", &[Modifier::WindAsh])[0].contains("more than 4 dashes"));
    }
}
