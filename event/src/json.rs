//! Fields out of a raw JSON record in one pass, without building a tree.
//!
//! An [`Extractor`] is compiled once from the dotted paths somebody reads; [`Extractor::read`]
//! walks the bytes once and remembers where each of those values stands. Values are decoded only
//! when asked for. A field of an odd type reads as absent; it never drops the record. What makes
//! a record unreadable as a whole (cut JSON, bad UTF-8, excess depth, a meaningful key twice) is
//! a [`RejectReason`].

use crate::RejectReason;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Deepest nesting of a record that is read. Audit records stay under 20; deeper is hostile,
/// and parsers disagree beyond 128.
pub const DEPTH_MAX: usize = 64;

/// A set of dotted paths, compiled.
#[derive(Debug)]
pub struct Extractor {
    nodes: Vec<Node>,
    slots: usize,
    /// Whether keys compare without regard to ASCII case.
    folds: bool,
}

#[derive(Debug, Default)]
struct Node {
    children: Vec<(Box<str>, usize)>,
    slot: Option<usize>,
}

/// The values found in one record, by the position of their path in [`Extractor::new`].
#[derive(Debug, Default)]
pub struct Fields<'a> {
    slots: Vec<Option<&'a RawValue>>,
    seen: Vec<bool>,
}

impl Extractor {
    /// Compiles `paths`: keys joined by dots, `userIdentity.sessionContext.sessionIssuer.arn`.
    #[must_use]
    pub fn new<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        Self::compile(paths, false)
    }

    /// The same for records whose keys some tool on the way has lower-cased: keys compare without
    /// regard to ASCII case.
    #[must_use]
    pub fn ignoring_case<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        Self::compile(paths, true)
    }

    fn compile<'p>(paths: impl IntoIterator<Item = &'p str>, folds: bool) -> Self {
        let mut extractor = Self { nodes: vec![Node::default()], slots: 0, folds };
        for path in paths {
            let path = if folds { Cow::Owned(path.to_ascii_lowercase()) } else { Cow::Borrowed(path) };
            let end = path.split('.').fold(0, |at, key| extractor.child(at, key));
            if let Some(node) = extractor.nodes.get_mut(end) {
                node.slot = Some(extractor.slots);
            }
            extractor.slots += 1;
        }
        for node in &mut extractor.nodes {
            node.children.sort_by(|(a, _), (b, _)| order(a, b));
        }
        extractor
    }

    fn child(&mut self, at: usize, key: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some((_, found)) = node.children.iter().find(|(known, _)| &**known == key) {
            return *found;
        }
        node.children.push((key.into(), next));
        self.nodes.push(Node::default());
        next
    }

    /// Reads one record, an object. `fields` is cleared first and may be reused.
    ///
    /// # Errors
    /// A [`RejectReason`] when the bytes are not one JSON object that can be read in one way.
    pub fn read<'a>(&self, record: &'a [u8], fields: &mut Fields<'a>) -> Result<(), RejectReason> {
        let text = std::str::from_utf8(record).map_err(|e| RejectReason::Encoding(e.valid_up_to()))?;
        check_depth(record)?;
        self.read_checked(text, fields)
    }

    /// Reads a value taken out of a record that [`Self::read`] accepted.
    ///
    /// # Errors
    /// As [`Self::read`]; a value that is no object is `UnknownShape`.
    pub fn read_checked<'a>(&self, text: &'a str, fields: &mut Fields<'a>) -> Result<(), RejectReason> {
        fields.slots.clear();
        fields.slots.resize(self.slots, None);
        fields.seen.clear();
        fields.seen.resize(self.nodes.len(), false);
        self.walk(0, text, fields)
    }

    fn walk<'a>(&self, node: usize, text: &'a str, fields: &mut Fields<'a>) -> Result<(), RejectReason> {
        let mut duplicate = None;
        let mut json = serde_json::Deserializer::from_str(text);
        let seed = Walk { extractor: self, node, fields, duplicate: &mut duplicate };
        let ended = seed.deserialize(&mut json).and_then(|is_object| json.end().map(|()| is_object));
        match (ended, duplicate) {
            (_, Some(key)) => Err(RejectReason::DuplicateKey(key)),
            (Ok(true), None) => Ok(()),
            (Ok(false), None) => Err(RejectReason::UnknownShape("not a JSON object".to_owned())),
            (Err(error), None) => Err(RejectReason::Syntax(error.to_string())),
        }
    }
}

/// Keys by length, then by text: most unwanted keys are told apart without comparing any text.
fn order(a: &str, b: &str) -> std::cmp::Ordering {
    a.len().cmp(&b.len()).then_with(|| a.cmp(b))
}

/// One object on the way down; yields whether the value was an object at all.
struct Walk<'s, 'a> {
    extractor: &'s Extractor,
    node: usize,
    fields: &'s mut Fields<'a>,
    duplicate: &'s mut Option<String>,
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = bool;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<bool, M::Error> {
        let Self { extractor, node, fields, duplicate } = self;
        while let Some(Key(key)) = map.next_key::<Key<'a>>()? {
            let key = if extractor.folds { Cow::Owned(key.to_ascii_lowercase()) } else { key };
            let children = extractor.nodes.get(node).map_or(&[][..], |node| &node.children);
            let found = children.binary_search_by(|(known, _)| order(known, &key)).ok();
            let Some(&(_, child)) = found.and_then(|at| children.get(at)) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if fields.seen.get_mut(child).is_some_and(|seen| std::mem::replace(seen, true)) {
                *duplicate = Some(key.into_owned());
                return Err(serde::de::Error::custom("duplicate key"));
            }
            let Some(target) = extractor.nodes.get(child) else { continue };
            let Some(slot) = target.slot else {
                map.next_value_seed(Walk {
                    extractor,
                    node: child,
                    fields: &mut *fields,
                    duplicate: &mut *duplicate,
                })?;
                continue;
            };
            let value = map.next_value::<&'a RawValue>()?;
            if let Some(place) = fields.slots.get_mut(slot) {
                *place = Some(value);
            }
            if !target.children.is_empty() && value.get().starts_with('{') {
                let inner = extractor.walk(child, value.get(), fields);
                if let Err(RejectReason::DuplicateKey(key)) = inner {
                    *duplicate = Some(key);
                    return Err(serde::de::Error::custom("duplicate key"));
                }
            }
        }
        Ok(true)
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<bool, S::Error> {
        while seq.next_element::<IgnoredAny>()?.is_some() {}
        Ok(false)
    }

    fn visit_bool<E>(self, _: bool) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_i64<E>(self, _: i64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_u64<E>(self, _: u64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_f64<E>(self, _: f64) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_str<E>(self, _: &str) -> Result<bool, E> {
        Ok(false)
    }

    fn visit_unit<E>(self) -> Result<bool, E> {
        Ok(false)
    }
}

/// An object key, borrowed unless it holds escapes.
struct Key<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Key<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct KeyVisitor;
        impl<'de> Visitor<'de> for KeyVisitor {
            type Value = Key<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a key")
            }
            fn visit_borrowed_str<E>(self, key: &'de str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Borrowed(key)))
            }
            fn visit_str<E>(self, key: &str) -> Result<Self::Value, E> {
                Ok(Key(Cow::Owned(key.to_owned())))
            }
        }
        deserializer.deserialize_str(KeyVisitor)
    }
}

/// Refuses nesting deeper than [`DEPTH_MAX`].
///
/// # Errors
/// [`RejectReason::Depth`].
pub fn check_depth(record: &[u8]) -> Result<(), RejectReason> {
    // Fewer openers than levels allowed cannot nest too deep; that is nearly every record.
    let openers = record.iter().filter(|&&byte| byte == b'{' || byte == b'[').count();
    if openers <= DEPTH_MAX || deepest(record) <= DEPTH_MAX {
        return Ok(());
    }
    Err(RejectReason::Depth)
}

fn deepest(record: &[u8]) -> usize {
    let (mut depth, mut max, mut in_string, mut escaped) = (0_usize, 0, false, false);
    for &byte in record {
        match (in_string, byte) {
            (true, _) if escaped => escaped = false,
            (true, b'\\') => escaped = true,
            (_, b'"') => in_string = !in_string,
            (false, b'{' | b'[') => {
                depth += 1;
                max = max.max(depth);
            }
            (false, b'}' | b']') => depth = depth.saturating_sub(1),
            _ => {}
        }
    }
    max
}

impl<'a> Fields<'a> {
    /// The value at `slot` as it stands in the record; `null` counts as absent.
    #[must_use]
    pub fn raw(&self, slot: usize) -> Option<&'a str> {
        self.slots.get(slot).copied().flatten().map(RawValue::get).filter(|raw| *raw != "null")
    }

    /// A string; empty counts as absent, as Vault before 1.0 wrote it.
    #[must_use]
    pub fn text(&self, slot: usize) -> Option<Cow<'a, str>> {
        self.raw(slot).and_then(as_text).filter(|text| !text.is_empty())
    }

    /// A string, a number or a truth value, as text.
    #[must_use]
    pub fn scalar(&self, slot: usize) -> Option<Cow<'a, str>> {
        let raw = self.raw(slot)?;
        as_text(raw).or_else(|| (!raw.starts_with(['{', '['])).then_some(Cow::Borrowed(raw)))
    }

    /// A whole number, written as a number (`7`, `7.0`) or as a string.
    #[must_use]
    pub fn int(&self, slot: usize) -> Option<i64> {
        let text = self.scalar(slot)?;
        text.strip_suffix(".0").unwrap_or(&text).parse().ok()
    }

    /// A truth value, written as `true` or `"true"`.
    #[must_use]
    pub fn truth(&self, slot: usize) -> Option<bool> {
        match &*self.scalar(slot)? {
            "true" | "True" => Some(true),
            "false" | "False" => Some(false),
            _ => None,
        }
    }

    /// The strings of an array; a lone string counts as an array of one.
    #[must_use]
    pub fn texts(&self, slot: usize) -> Vec<Cow<'a, str>> {
        let Some(raw) = self.raw(slot) else { return Vec::new() };
        match as_text(raw) {
            Some(one) => vec![one],
            None => elements(raw).into_iter().filter_map(as_text).collect(),
        }
    }

    /// The elements of an array as they stand; empty for anything else.
    #[must_use]
    pub fn list(&self, slot: usize) -> Vec<&'a str> {
        self.raw(slot).map(elements).unwrap_or_default()
    }

    /// The members of an object as they stand; empty for anything else. For maps whose keys hold
    /// dots or are not known beforehand.
    #[must_use]
    pub fn members(&self, slot: usize) -> Vec<(Cow<'a, str>, &'a str)> {
        self.raw(slot).map(members).unwrap_or_default()
    }
}

/// Decodes a JSON string; `None` for any other value.
#[must_use]
pub fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = raw.strip_prefix('"')?.strip_suffix('"')?;
    if memchr::memchr(b'\\', inner.as_bytes()).is_none() {
        return Some(Cow::Borrowed(inner));
    }
    serde_json::from_str(raw).ok().map(Cow::Owned)
}

/// The elements of a JSON array as they stand; empty for anything else.
#[must_use]
pub fn elements(raw: &str) -> Vec<&str> {
    let list: Option<Vec<&RawValue>> = serde_json::from_str(raw).ok();
    list.unwrap_or_default().into_iter().map(RawValue::get).collect()
}

/// The members of a JSON object as they stand, in order; empty for anything else.
#[must_use]
pub fn members(raw: &str) -> Vec<(Cow<'_, str>, &str)> {
    struct Members;
    impl<'de> Visitor<'de> for Members {
        type Value = Vec<(Cow<'de, str>, &'de str)>;
        fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
            out.write_str("an object")
        }
        fn visit_map<M: MapAccess<'de>>(self, mut map: M) -> Result<Self::Value, M::Error> {
            let mut all = Vec::new();
            while let Some((Key(key), value)) = map.next_entry::<Key<'de>, &'de RawValue>()? {
                all.push((key, value.get()));
            }
            Ok(all)
        }
    }
    let mut json = serde_json::Deserializer::from_str(raw);
    json.deserialize_map(Members).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn read<'a>(paths: &[&str], record: &'a str) -> Result<Fields<'a>, RejectReason> {
        let mut fields = Fields::default();
        Extractor::new(paths.iter().copied()).read(record.as_bytes(), &mut fields)?;
        Ok(fields)
    }

    #[test]
    fn wanted_values_are_found_at_any_depth_and_the_rest_is_skipped() {
        let record = r#"{"x":[1,{"a":2}],"a":{"b":"one","z":{},"c":{"d":7}},"e":"q\"u\u00e9"}"#;
        let fields = read(&["a.b", "a.c.d", "e", "a.c", "nope"], record).unwrap();
        assert_eq!(fields.text(0).as_deref(), Some("one"));
        assert_eq!(fields.int(1), Some(7));
        assert_eq!(fields.text(2).as_deref(), Some("q\"ué"));
        assert_eq!(fields.raw(3), Some(r#"{"d":7}"#));
        assert_eq!(fields.raw(4), None);
    }

    #[test]
    fn a_field_of_an_odd_type_reads_as_absent() {
        for odd in ["5", "true", "null", "[]", "{}", "1e99", "-3"] {
            let record = format!(r#"{{"a":{odd},"b":{{"c":{odd}}}}}"#);
            let fields = read(&["a.b.c", "b.c", "b.c.d"], &record).unwrap();
            assert_eq!(fields.text(0), None, "{odd}");
            assert_eq!(fields.text(1), None, "{odd}");
        }
    }

    #[test]
    fn keys_that_were_lower_cased_on_the_way_are_found_when_asked_for() {
        let record = br#"{"useridentity":{"ARN":"x"}}"#;
        let mut fields = Fields::default();
        Extractor::ignoring_case(["userIdentity.arn"]).read(record, &mut fields).unwrap();
        assert_eq!(fields.text(0).as_deref(), Some("x"));
        Extractor::new(["userIdentity.arn"]).read(record, &mut fields).unwrap();
        assert_eq!(fields.text(0), None);
    }

    #[track_caller]
    fn check_reject(record: &[u8], want: &str) {
        let mut fields = Fields::default();
        let got = Extractor::new(["a", "b.c"]).read(record, &mut fields).map_err(|e| e.kind());
        assert_eq!(got, Err(want), "{}", String::from_utf8_lossy(record));
    }

    #[test]
    fn what_cannot_be_read_in_one_way_is_refused() {
        check_reject(br#"{"a":1"#, "syntax");
        check_reject(br#"{"a":1} x"#, "syntax");
        check_reject(b"", "syntax");
        check_reject(b"7", "unknown_shape");
        check_reject(b"[]", "unknown_shape");
        check_reject(b"{\"a\":\"\xff\"}", "encoding");
        check_reject(br#"{"a":1,"a":2}"#, "duplicate_key");
        check_reject(br#"{"a":1,"\u0061":2}"#, "duplicate_key");
        check_reject(br#"{"b":{"c":1,"c":2}}"#, "duplicate_key");
        check_reject(br#"{"b":{},"b":{"c":2}}"#, "duplicate_key");
        check_reject(format!("{{\"z\":{}{}}}", "[".repeat(10_000), "]".repeat(10_000)).as_bytes(), "depth");
    }

    #[test]
    fn brackets_inside_strings_are_not_depth() {
        let record = format!(r#"{{"a":"{}"}}"#, "[".repeat(1000));
        assert!(read(&["a"], &record).is_ok());
    }

    proptest! {
        #[test]
        fn reading_never_panics(record in proptest::collection::vec(any::<u8>(), 0..200)) {
            let mut fields = Fields::default();
            let _outcome = Extractor::new(["a.b", "a"]).read(&record, &mut fields);
        }
    }
}
