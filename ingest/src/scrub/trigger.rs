//! The one pass over a record: byte strings that every secret value that is looked for begins with,
//! stands behind, or holds.
//!
//! The search is Teddy of the `aho-corasick` crate; `filter` says before whether it is worth it. None
//! is shorter than four bytes, which is what the filter needs of each.

use super::{key, shape, vault};
use aho_corasick::AhoCorasick;
use aho_corasick::packed::{Config, MatchKind, Searcher};
use memchr::memmem;
use shape::Shape;
use std::sync::LazyLock;

/// Parts of the names in `key::NAMES` that are rare in records. Names begin upper or lower case, so
/// the first letter is left out.
const KEYS: &[&str] = &[
    "ecretString",
    "ecret_string",
    "ecretBinary",
    "ecret_binary",
    "ecretAccessKey",
    "ecret_access_key",
    "ecretKey",
    "ecret_key",
    "ecretText",
    "assword",
    "assphrase",
    "laintext",
    "rivateKey",
    "rivate_key",
    "lientSecret",
    "lient_secret",
    "efreshToken",
    "efresh_token",
    "ccessToken",
    "ccess_token",
    "uthToken",
    "auth_token",
    "onnectionString",
    "onnection_string",
    "ccountKey",
];

/// What names a call or object in which an innocent name stands before a value.
const CONTEXTS: &[&str] = &["PutParameter", "\"payload\""];

/// Begins the type of a Vault entry, request or response.
const VAULTS: &[&str] = &["\"type\":\"re", "\"type\": \"re"];

/// Begins a secret of Vault's KV engine, version 2.
const KV_DATA: &[&str] = &["\"data\":{\"data\":{", "\"data\": {\"data\": {"];

/// Why a record is looked at.
#[derive(Clone, Copy, Debug)]
pub(super) enum Trigger {
    /// Begins or holds a token of this shape.
    Shape(&'static Shape),
    /// Part of a name behind which a secret value stands.
    Key,
    /// One of [`CONTEXTS`].
    Context,
    /// A Vault entry.
    Vault,
    /// A KV secret.
    KvData,
    /// The mark of an earlier scrubbing.
    Mark,
}

static TRIGGERS: LazyLock<Vec<(&'static str, Trigger)>> = LazyLock::new(|| {
    let with =
        |texts: &[&'static str], trigger| texts.iter().map(|text| (*text, trigger)).collect::<Vec<_>>();
    let mut all = with(KEYS, Trigger::Key);
    all.extend(with(CONTEXTS, Trigger::Context));
    all.extend(with(VAULTS, Trigger::Vault));
    all.extend(with(KV_DATA, Trigger::KvData));
    all.extend(with(&[keywatch_event::scrubbed::MARK], Trigger::Mark));
    all.extend(shape::SHAPES.iter().map(|shape| (shape.literal, Trigger::Shape(shape))));
    all
});

/// Teddy needs vector instructions; without them, and for records too short for it, the automaton.
static SEARCHER: LazyLock<Option<Searcher>> = LazyLock::new(|| {
    let mut config = Config::new();
    let mut builder = config.match_kind(MatchKind::LeftmostFirst).heuristic_pattern_limits(false).builder();
    builder.extend(TRIGGERS.iter().map(|(text, _)| text)).build()
});

static AUTOMATON: LazyLock<Option<AhoCorasick>> = LazyLock::new(|| {
    let texts = TRIGGERS.iter().map(|(text, _)| text);
    AhoCorasick::builder().match_kind(aho_corasick::MatchKind::LeftmostFirst).build(texts).ok()
});

/// Every byte string that is looked for, and what it stands for.
pub(super) fn texts() -> impl Iterator<Item = (&'static str, Trigger)> {
    TRIGGERS.iter().copied()
}

/// Every trigger in `record`, with where it begins.
pub(super) fn all(record: &[u8]) -> impl Iterator<Item = (Trigger, usize)> {
    let fast = SEARCHER.as_ref().map(|searcher| searcher.find_iter(record));
    let plain = if fast.is_none() { AUTOMATON.as_ref() } else { None };
    let fast = fast.into_iter().flatten().map(|hit| (hit.pattern().as_usize(), hit.start()));
    let plain = plain.into_iter().flat_map(move |automaton| automaton.find_iter(record));
    let plain = plain.map(|hit| (hit.pattern().as_usize(), hit.start()));
    fast.chain(plain).filter_map(|(pattern, at)| Some((TRIGGERS.get(pattern)?.1, at)))
}

impl Trigger {
    /// Whether what stands at `at` is worth a look at the whole record.
    pub(super) fn is_plausible(self, record: &[u8], at: usize) -> bool {
        let rest = record.get(at..).unwrap_or_default();
        match self {
            Self::Shape(shape) => shape.find(record, at).is_some(),
            Self::Mark | Self::Context => true,
            Self::Key => has_value(rest),
            Self::Vault => memmem::find(record, b"hmac-sha256:").is_none(),
            Self::KvData => vault::has_number(rest),
        }
    }
}

/// Whether `rest` begins within a name that is followed by a value, however many times quoted.
fn has_value(rest: &[u8]) -> bool {
    let letters = |byte: &&u8| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-');
    let name = rest.iter().take_while(letters).count();
    let after = rest.get(name..).unwrap_or_default();
    let Some(after) = closing_quote(after) else { return false };
    let Some(value) = after.trim_ascii_start().strip_prefix(b":") else { return false };
    let value = value.trim_ascii_start();
    let Some(text) = closing_quote(value) else { return !value.starts_with(b"null") };
    let end = text.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(text.len());
    !key::is_placeholder(text.get(..end).unwrap_or_default()) || text.get(end) == Some(&b'\\') && end > 0
}

/// What follows a quote, which may be escaped.
fn closing_quote(text: &[u8]) -> Option<&[u8]> {
    let escapes = text.iter().take_while(|byte| **byte == b'\\').count();
    text.get(escapes..)?.strip_prefix(b"\"")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_trigger_is_shorter_than_four_bytes() {
        for (text, _) in TRIGGERS.iter() {
            assert!(text.len() >= 4, "{text}");
        }
    }

    #[test]
    fn both_searches_find_the_same() {
        let record = TRIGGERS.iter().map(|(text, _)| *text).collect::<Vec<_>>().join(" - ");
        let automaton = AUTOMATON.as_ref().unwrap();
        let plain: Vec<_> = automaton.find_iter(&record).map(|hit| hit.start()).collect();
        let fast: Vec<_> = all(record.as_bytes()).map(|(_, at)| at).collect();
        assert_eq!(fast, plain);
        assert!(fast.len() >= TRIGGERS.len());
    }

    #[test]
    fn names_without_a_value_are_passed_over() {
        for text in
            ["assword\":null", "asswordPolicy\",", "assword\":\"\"", "assword\":\"***\"", "assword expired"]
        {
            assert!(!has_value(text.as_bytes()), "{text}");
        }
        for text in
            ["assword\":\"x1\"", "assword\\\" : \\\"x1\\\"", "assword\": 17", "ecretString\":{\"a\":1}"]
        {
            assert!(has_value(text.as_bytes()), "{text}");
        }
    }
}
