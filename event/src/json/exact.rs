//! The reader with the last word: slow, and told by `serde_json` what is JSON.
//!
//! It says what is wrong with a record, where. Values within objects nobody looks into are
//! checked for syntax only.

use super::trie::{Key as Wanted, Node};
use super::{Extractor, Fields};
use crate::RejectReason;
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;

/// Reads `text`, which is not nested too deep, into `fields`, which are clear.
pub(super) fn read<'a>(
    extractor: &Extractor,
    text: &'a str,
    fields: &mut Fields<'a>,
) -> Result<(), RejectReason> {
    let whole: &'a RawValue = serde_json::from_str(text).map_err(|error| syntax(&error))?;
    if !whole.get().starts_with('{') {
        return Err(RejectReason::UnknownShape("not a JSON object".to_owned()));
    }
    object(extractor, extractor.trie.root(), text, fields)
}

fn syntax(error: &serde_json::Error) -> RejectReason {
    RejectReason::Syntax(error.to_string())
}

fn object<'a>(
    extractor: &Extractor,
    node: Node,
    text: &'a str,
    fields: &mut Fields<'a>,
) -> Result<(), RejectReason> {
    let mut broken = None;
    let mut json = serde_json::Deserializer::from_str(text);
    let members = Members { extractor, node, fields, broken: &mut broken };
    match (members.deserialize(&mut json), broken) {
        (_, Some(reason)) => Err(reason),
        (Err(error), None) => Err(syntax(&error)),
        (Ok(()), None) => Ok(()),
    }
}

/// The members of one object on the way down.
struct Members<'s, 'a> {
    extractor: &'s Extractor,
    node: Node,
    fields: &'s mut Fields<'a>,
    /// What was found wrong beyond syntax.
    broken: &'s mut Option<RejectReason>,
}

impl<'a> DeserializeSeed<'a> for Members<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_map(self)
    }
}

impl<'a> Visitor<'a> for Members<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("an object")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        let Self { extractor, node, fields, broken } = self;
        while let Some(Key(key)) = map.next_key::<Key<'a>>()? {
            let key = if extractor.folds { Cow::Owned(key.to_ascii_lowercase()) } else { key };
            let wanted = extractor.trie.key(node, key.as_bytes(), 0, key.len());
            let Some(wanted) = wanted.filter(|wanted| wanted.counts) else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            let value = map.next_value::<&'a RawValue>()?.get();
            let outcome = if fields.is_first(wanted.number) {
                take(extractor, wanted, value, fields)
            } else {
                Err(RejectReason::DuplicateKey(key.into_owned()))
            };
            if let Err(reason) = outcome {
                *broken = Some(reason);
                return Err(serde::de::Error::custom("told apart from syntax"));
            }
        }
        Ok(())
    }
}

fn take<'a>(
    extractor: &Extractor,
    wanted: &Wanted,
    value: &'a str,
    fields: &mut Fields<'a>,
) -> Result<(), RejectReason> {
    if let Some(slot) = wanted.slot {
        fields.fill(slot, value);
    }
    if !wanted.below.is_leaf() && value.starts_with('{') {
        object(extractor, wanted.below, value, fields)?;
    }
    Ok(())
}

/// An object key, borrowed unless it holds escapes.
pub(super) struct Key<'a>(pub(super) Cow<'a, str>);

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
