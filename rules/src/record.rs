//! Values at dotted paths of a raw record: any number of paths in one pass, without a tree.
//!
//! An array on the way stands for each of its elements. A key is the one spelled as asked; where
//! an object has none, any that differs only in ASCII case. An object at the end of a path is
//! its own JSON text. `null` is absent, and so is everything in bytes that are no JSON object.

use hashbrown::HashMap;
use keywatch_event::AuditEvent;
use keywatch_event::json::{Asked, Extractor, Fields, Told, as_text, elements};
use serde::de::{DeserializeSeed, Deserializer, IgnoredAny, MapAccess, SeqAccess, Visitor};
use serde_json::value::RawValue;
use std::borrow::Cow;
use std::fmt;
use std::sync::Arc;

/// Paths that are read together, compiled.
#[derive(Clone, Debug)]
pub struct Scope {
    nodes: Vec<Node>,
    /// Where each path's values are found.
    slots: HashMap<Box<str>, Slot>,
    /// The number of what the normaliser is asked for, in which these paths are; 0 when they are not.
    asked: u64,
    /// For records that spell every key as asked, which is nearly all.
    literal: Arc<Extractor>,
}

#[derive(Clone, Debug, Default)]
struct Node {
    /// By length of key: keys nobody asked for are told apart without comparing any text.
    children: Vec<(Box<str>, usize)>,
    parent: usize,
    slot: Option<usize>,
}

/// Where the values of one path are found.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Slot {
    /// In what a pass over the record found.
    read: usize,
    /// In what the normaliser tells.
    pub(crate) told: usize,
}

/// What a pass found.
#[derive(Debug)]
pub(crate) enum Found<'a> {
    /// One value for a path at most.
    Literal(Fields<'a>),
    /// In the order of the record.
    Walked(Vec<(usize, &'a RawValue)>),
}

/// Memory of one reading, for the next.
#[derive(Debug, Default)]
pub(crate) struct Spare(Fields<'static>);

impl Default for Scope {
    fn default() -> Self {
        Self::of([])
    }
}

impl Scope {
    /// Compiles paths: keys joined by dots. A path given twice is read once.
    #[must_use]
    pub fn of<'p>(paths: impl IntoIterator<Item = &'p str>) -> Self {
        let mut paths: Vec<&str> = paths.into_iter().collect();
        paths.sort_unstable();
        paths.dedup();
        let literal = Arc::new(Extractor::literal(paths.iter().copied()));
        let mut scope = Self { nodes: vec![Node::default()], slots: HashMap::new(), asked: 0, literal };
        for (slot, path) in paths.into_iter().enumerate() {
            let end = path.split('.').fold(0, |at, key| scope.child(at, key));
            if let Some(node) = scope.nodes.get_mut(end) {
                node.slot = Some(slot);
            }
            scope.slots.insert(path.into(), Slot { read: slot, told: slot });
        }
        for node in &mut scope.nodes {
            node.children.sort_by_key(|(key, _)| key.len());
        }
        scope
    }

    /// The same paths, which are among those the normaliser is asked for.
    pub(crate) fn told_with(mut self, asked: &Asked) -> Self {
        let mut are_asked = true;
        for (path, slot) in &mut self.slots {
            match asked.place(path) {
                Some(place) => slot.told = place,
                None => are_asked = false,
            }
        }
        self.asked = if are_asked { asked.number() } else { 0 };
        self
    }

    fn child(&mut self, at: usize, key: &str) -> usize {
        let next = self.nodes.len();
        let Some(node) = self.nodes.get_mut(at) else { return at };
        if let Some((_, found)) = node.children.iter().find(|(known, _)| &**known == key) {
            return *found;
        }
        node.children.push((key.into(), next));
        self.nodes.push(Node { parent: at, ..Node::default() });
        next
    }

    /// Where the values of `path` are found; `None` when it is not among the scope's.
    pub(crate) fn slot(&self, path: &str) -> Option<Slot> {
        self.slots.get(path).copied()
    }

    /// What the normaliser told of these paths, when it was asked for them.
    pub(crate) fn told<'a>(&self, event: &'a AuditEvent<'a>) -> Option<&'a Told<'a>> {
        event.told.as_ref().filter(|told| told.asked() == self.asked)
    }

    /// Reads every path of one record.
    pub(crate) fn read<'a>(&self, record: &'a [u8]) -> Found<'a> {
        self.read_with(record, Spare::default())
    }

    /// The same, with memory that was used before.
    pub(crate) fn read_with<'a>(&self, record: &'a [u8], spare: Spare) -> Found<'a> {
        let mut fields: Fields<'a> = spare.0;
        if self.literal.read_literally(record, &mut fields) {
            return Found::Literal(fields);
        }
        self.walk(record)
    }

    /// Reads every path of a record in which anything may be odd.
    fn walk<'a>(&self, record: &'a [u8]) -> Found<'a> {
        let Ok(text) = std::str::from_utf8(record) else { return Found::default() };
        let state = &mut State { found: Vec::new(), seen: vec![(0, false); self.nodes.len()], objects: 0 };
        let mut json = serde_json::Deserializer::from_str(text);
        let walked = Walk { scope: self, node: 0, state: &mut *state }.deserialize(&mut json);
        let is_whole = walked.is_ok_and(|is_object| is_object) && json.end().is_ok();
        if is_whole { Found::Walked(std::mem::take(&mut state.found)) } else { Found::default() }
    }

    fn children(&self, node: usize, key: &str) -> &[(Box<str>, usize)] {
        let Some(node) = self.nodes.get(node) else { return &[] };
        let start = node.children.partition_point(|(known, _)| known.len() < key.len());
        let rest = node.children.get(start..).unwrap_or_default();
        let len = rest.iter().take_while(|(known, _)| known.len() == key.len()).count();
        rest.get(..len).unwrap_or_default()
    }

    fn slot_of(&self, node: usize) -> Option<usize> {
        self.nodes.get(node).and_then(|node| node.slot)
    }

    fn is_leaf(&self, node: usize) -> bool {
        self.nodes.get(node).is_none_or(|node| node.children.is_empty())
    }

    /// Whether the path that ends in `slot` leads through `node`.
    fn leads_through(&self, slot: usize, node: usize) -> bool {
        let mut at = self.nodes.iter().position(|node| node.slot == Some(slot)).unwrap_or(0);
        while at != node && at != 0 {
            at = self.nodes.get(at).map_or(0, |node| node.parent);
        }
        at == node
    }
}

impl Default for Found<'_> {
    fn default() -> Self {
        Self::Walked(Vec::new())
    }
}

impl<'a> Found<'a> {
    /// What can be used again.
    pub(crate) fn into_spare(self) -> Spare {
        match self {
            Self::Literal(fields) => Spare(fields.emptied()),
            Self::Walked(_) => Spare::default(),
        }
    }

    /// Calls `visit` with each value at `slot` until it answers true; whether it did.
    pub(crate) fn any(&self, slot: Slot, visit: &mut dyn FnMut(&str) -> bool) -> bool {
        self.at(slot).any(|raw| visit_scalars(raw, visit))
    }

    /// The values at `slot` as they stand in the record.
    pub(crate) fn at(&self, slot: Slot) -> impl Iterator<Item = &'a str> {
        let (literal, walked) = match self {
            Self::Literal(fields) => (fields.raw(slot.read), &[][..]),
            Self::Walked(found) => (None, found.as_slice()),
        };
        let walked = walked.iter().filter(move |(found, _)| *found == slot.read).map(|(_, raw)| raw.get());
        literal.into_iter().chain(walked)
    }
}

/// Calls `visit` with each value of a JSON text until it answers true; whether it did.
pub(crate) fn visit_scalars(raw: &str, visit: &mut dyn FnMut(&str) -> bool) -> bool {
    match raw.as_bytes().first() {
        Some(b'"') => as_text(raw).is_some_and(|text| visit(&text)),
        Some(b'[') => elements(raw).into_iter().any(|element| visit_scalars(element, visit)),
        Some(b'n') | None => false,
        Some(_) => visit(raw),
    }
}

/// A pass on its way.
struct State<'a> {
    found: Vec<(usize, &'a RawValue)>,
    /// By node: the last object that had a key for it, and whether it was spelled as asked.
    seen: Vec<(u32, bool)>,
    objects: u32,
}

/// One value on the way down; yields whether it was an object.
struct Walk<'s, 'a> {
    scope: &'s Scope,
    node: usize,
    state: &'s mut State<'a>,
}

impl<'a> DeserializeSeed<'a> for Walk<'_, 'a> {
    type Value = bool;
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<bool, D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Walk<'_, 'a> {
    fn below(&mut self, node: usize) -> Walk<'_, 'a> {
        Walk { scope: self.scope, node, state: &mut *self.state }
    }

    /// The nodes a key of the current object leads to: rarely more than one.
    fn taken(&mut self, key: &str, object: u32, object_start: usize) -> (Option<usize>, Vec<usize>) {
        let (mut first, mut more) = (None, Vec::new());
        let scope = self.scope;
        for (known, child) in scope.children(self.node, key) {
            let exact = &**known == key;
            if !exact && !known.eq_ignore_ascii_case(key) {
                continue;
            }
            let Some(seen) = self.state.seen.get_mut(*child) else { continue };
            let before = (seen.0 == object).then_some(seen.1);
            if !exact && before == Some(true) {
                continue;
            }
            *seen = (object, exact);
            if exact && before == Some(false) {
                self.forget(*child, object_start);
            }
            match first {
                None => first = Some(*child),
                Some(_) => more.push(*child),
            }
        }
        (first, more)
    }

    /// Drops what a key in other case brought, now that the one spelled as asked is there.
    fn forget(&mut self, child: usize, object_start: usize) {
        let scope = self.scope;
        let mut at = 0;
        self.state.found.retain(|(slot, _)| {
            at += 1;
            at <= object_start || !scope.leads_through(*slot, child)
        });
    }

    fn take(&mut self, node: usize, value: &'a RawValue) {
        if let Some(slot) = self.scope.slot_of(node) {
            self.state.found.push((slot, value));
        }
        if !self.scope.is_leaf(node) {
            let mut json = serde_json::Deserializer::from_str(value.get());
            // The text was read as a value once already; what is odd in it is absent.
            let _is_object = self.below(node).deserialize(&mut json).unwrap_or(false);
        }
    }
}

impl<'a> Visitor<'a> for Walk<'_, 'a> {
    type Value = bool;

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_map<M: MapAccess<'a>>(mut self, mut map: M) -> Result<bool, M::Error> {
        self.state.objects += 1;
        let (object, start) = (self.state.objects, self.state.found.len());
        while let Some(Text(key)) = map.next_key::<Text<'a>>()? {
            let (first, more) = self.taken(&key, object, start);
            let Some(child) = first else {
                map.next_value::<IgnoredAny>()?;
                continue;
            };
            if more.is_empty() && self.scope.slot_of(child).is_none() {
                map.next_value_seed(self.below(child))?;
                continue;
            }
            let value = map.next_value::<&'a RawValue>()?;
            self.take(child, value);
            for child in more {
                self.take(child, value);
            }
        }
        Ok(true)
    }

    fn visit_seq<S: SeqAccess<'a>>(mut self, mut seq: S) -> Result<bool, S::Error> {
        if self.node == 0 {
            while seq.next_element::<IgnoredAny>()?.is_some() {}
            return Ok(false);
        }
        let node = self.node;
        while seq.next_element_seed(self.below(node))?.is_some() {}
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

/// A text of the record, borrowed unless it holds escapes.
struct Text<'a>(Cow<'a, str>);

impl<'de> serde::Deserialize<'de> for Text<'de> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct TextVisitor;
        impl<'de> Visitor<'de> for TextVisitor {
            type Value = Text<'de>;
            fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
                out.write_str("a text")
            }
            fn visit_borrowed_str<E>(self, text: &'de str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Borrowed(text)))
            }
            fn visit_str<E>(self, text: &str) -> Result<Self::Value, E> {
                Ok(Text(Cow::Owned(text.to_owned())))
            }
        }
        deserializer.deserialize_str(TextVisitor)
    }
}

/// Every string value of a record, at any depth; keys are not values.
pub(crate) fn strings(record: &[u8]) -> Vec<Cow<'_, str>> {
    let mut all = Vec::new();
    let Ok(text) = std::str::from_utf8(record) else { return all };
    let mut json = serde_json::Deserializer::from_str(text);
    let walked = Strings(&mut all).deserialize(&mut json);
    if walked.is_err() || json.end().is_err() {
        all.clear();
    }
    all
}

struct Strings<'s, 'a>(&'s mut Vec<Cow<'a, str>>);

impl<'a> DeserializeSeed<'a> for Strings<'_, 'a> {
    type Value = ();
    fn deserialize<D: Deserializer<'a>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'a> Visitor<'a> for Strings<'_, 'a> {
    type Value = ();

    fn expecting(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("a JSON value")
    }

    fn visit_map<M: MapAccess<'a>>(self, mut map: M) -> Result<(), M::Error> {
        while map.next_key::<IgnoredAny>()?.is_some() {
            map.next_value_seed(Strings(&mut *self.0))?;
        }
        Ok(())
    }

    fn visit_seq<S: SeqAccess<'a>>(self, mut seq: S) -> Result<(), S::Error> {
        while seq.next_element_seed(Strings(&mut *self.0))?.is_some() {}
        Ok(())
    }

    fn visit_borrowed_str<E>(self, text: &'a str) -> Result<(), E> {
        self.0.push(Cow::Borrowed(text));
        Ok(())
    }

    fn visit_str<E>(self, text: &str) -> Result<(), E> {
        self.0.push(Cow::Owned(text.to_owned()));
        Ok(())
    }

    fn visit_bool<E>(self, _: bool) -> Result<(), E> {
        Ok(())
    }

    fn visit_i64<E>(self, _: i64) -> Result<(), E> {
        Ok(())
    }

    fn visit_u64<E>(self, _: u64) -> Result<(), E> {
        Ok(())
    }

    fn visit_f64<E>(self, _: f64) -> Result<(), E> {
        Ok(())
    }

    fn visit_unit<E>(self) -> Result<(), E> {
        Ok(())
    }
}

#[cfg(test)]
mod tests;

#[cfg(test)]
mod told_tests;
