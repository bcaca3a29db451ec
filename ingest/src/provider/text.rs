//! Parts and fingerprints of texts, for the providers whose names are paths.
//!
//! A part of a borrowed text is borrowed from the same record; nothing here copies what it need
//! not copy.

use sha2::{Digest, Sha256};
use std::borrow::Cow;
use std::fmt::Write;

/// Bytes of SHA-256 kept in a fingerprint: 128 bits, so that a chance collision among the
/// records of a lifetime stays out of reach.
const FINGERPRINT_BYTES: usize = 16;

/// The part of `text` that `pick` chooses, borrowed for as long as `text` is.
pub(super) fn part<'a>(
    text: &Cow<'a, str>,
    pick: impl for<'t> Fn(&'t str) -> Option<&'t str>,
) -> Option<Cow<'a, str>> {
    match text {
        Cow::Borrowed(text) => pick(text).map(Cow::Borrowed),
        Cow::Owned(text) => pick(text).map(|part| Cow::Owned(part.to_owned())),
    }
}

/// Bytes of what the normaliser adds to an id.
const MARK_BYTES: usize = 9;

/// `parts` one after the other, in one allocation with room for what an id gets added.
pub(super) fn joined(parts: &[&str]) -> String {
    let bytes: usize = parts.iter().map(|part| part.len()).sum();
    let mut whole = String::with_capacity(bytes + MARK_BYTES);
    whole.extend(parts.iter().copied());
    whole
}

/// 16 bytes of SHA-256 over `parts` joined by NUL, in lower-case hexadecimal.
pub(super) fn fingerprint<'p>(parts: impl IntoIterator<Item = &'p [u8]>) -> String {
    let mut hash = Sha256::new();
    for (index, part) in parts.into_iter().enumerate() {
        if index > 0 {
            hash.update([0]);
        }
        hash.update(part);
    }
    let mut shown = String::with_capacity(2 * FINGERPRINT_BYTES);
    for byte in hash.finalize().into_iter().take(FINGERPRINT_BYTES) {
        // Writing into a String cannot fail.
        let _infallible = write!(shown, "{byte:02x}");
    }
    shown
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fingerprint_is_the_head_of_sha_256() {
        // FIPS 180-4, the example "abc".
        assert_eq!(fingerprint([&b"abc"[..]]), "ba7816bf8f01cfea414140de5dae2223");
    }

    #[test]
    fn where_one_part_ends_and_the_next_begins_matters() {
        assert_ne!(fingerprint([&b"ab"[..], b"c"]), fingerprint([&b"a"[..], b"bc"]));
        assert_ne!(fingerprint([&b"a"[..], b""]), fingerprint([&b"a"[..]]));
    }

    #[test]
    fn a_part_of_a_borrowed_text_is_borrowed() {
        let tail = |text: &Cow<'static, str>| part(text, |text| text.split_once('/').map(|(_, tail)| tail));
        assert!(matches!(tail(&Cow::Borrowed("a/b")), Some(Cow::Borrowed("b"))));
        assert!(matches!(tail(&Cow::Owned("a/b".to_owned())), Some(Cow::Owned(b)) if b == "b"));
        assert_eq!(tail(&Cow::Borrowed("ab")), None);
    }
}
