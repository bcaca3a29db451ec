//! Values out of a record, decoded when somebody asks for them.

use super::Fields;
use super::exact::Key;
use serde::de::{Deserializer, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

impl<'a> Fields<'a> {
    /// The value at `slot` as it stands in the record; `null` counts as absent.
    #[must_use]
    #[inline]
    pub fn raw(&self, slot: usize) -> Option<&'a str> {
        self.slots.get(slot).copied().flatten().filter(|raw| *raw != "null")
    }

    /// A string; empty counts as absent, as Vault before 1.0 wrote it.
    #[must_use]
    #[inline]
    pub fn text(&self, slot: usize) -> Option<Cow<'a, str>> {
        let raw = self.slots.get(slot).copied().flatten()?;
        self.decoded(raw).filter(|text| !text.is_empty())
    }

    /// The text of a string that stands in this record as `raw`.
    #[inline]
    fn decoded(&self, raw: &'a str) -> Option<Cow<'a, str>> {
        if self.plain { quoted(raw).map(Cow::Borrowed) } else { as_text(raw) }
    }

    /// A string, a number or a truth value, as text.
    #[must_use]
    pub fn scalar(&self, slot: usize) -> Option<Cow<'a, str>> {
        let raw = self.raw(slot)?;
        self.decoded(raw).or_else(|| (!raw.starts_with(['{', '['])).then_some(Cow::Borrowed(raw)))
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

/// What stands between the quotes of a JSON string.
#[inline]
fn quoted(raw: &str) -> Option<&str> {
    raw.strip_prefix('"')?.strip_suffix('"')
}

/// Decodes a JSON string; `None` for any other value.
#[must_use]
pub fn as_text(raw: &str) -> Option<Cow<'_, str>> {
    let inner = quoted(raw)?;
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
