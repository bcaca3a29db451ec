//! One event in one group of one counting rule, and the order of such entries.

use super::Context;
use super::brief::Brief;
use crate::field::{Field, Normal};
use crate::rule::{Condition, Count, Counted, Incident};
use crate::view::View;
use hashbrown::HashMap;
use keywatch_event::EventTime;
use sha2::{Digest, Sha256};
use std::hash::BuildHasher;
use std::sync::Arc;

/// One event in one group of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) brief: Arc<Brief>,
    /// Which of the rule's hits it matched: bit n for hit n.
    pub(crate) hits: u64,
    /// One per set of incident key fields.
    pub(crate) keys: Box<[Key]>,
    /// What the event adds to the rule's condition, to each further condition and to each
    /// escalation, in that order.
    pub(crate) facts: Box<[Fact]>,
    /// Values it shares with what may be attached, hashed, by number of the attachment.
    pub(crate) shares: Box<[Box<[u64]>]>,
    pub(crate) role: Role,
    /// What was new about it, in words.
    pub(crate) note: Option<Arc<str>>,
    /// Serial number of the incident it belongs to.
    pub(crate) owner: Option<u32>,
    /// Whether windows count it: set when it is swept, since an explanation may come later.
    pub(crate) counted: bool,
}

/// Values of one set of incident key fields: the first 128 bits of their SHA-256, which nobody
/// can make collide on purpose.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Key {
    /// All fields.
    pub(crate) full: u128,
    /// All fields but the actor.
    pub(crate) base: u128,
}

/// What one event adds to one counted condition.
#[derive(Clone, Debug)]
pub(crate) enum Fact {
    /// One more, or not.
    Adds(bool),
    /// These values, hashed.
    Values(Box<[u64]>),
    /// These numbers, in millionths.
    Numbers(Box<[i64]>),
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It counts.
    Hit,
    /// It counts unless something explains it; the text is the key of the explanation.
    Waiting(Box<str>),
    /// It joins an open incident by what it shares with it: number of the rule's attachment, and
    /// the shared values.
    Attached(u8, Box<[u64]>),
}

/// What an event is to one rule.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) hits: u64,
    pub(crate) role: Role,
    pub(crate) note: Option<Arc<str>>,
}

/// How values are hashed within one engine.
pub(crate) type Hashing = hashbrown::DefaultHashBuilder;

impl Entry {
    /// The order in which a group is swept: event time, then id, so that it never depends on
    /// arrival.
    pub(crate) fn order(&self) -> (EventTime, &str) {
        (self.brief.time, &self.brief.id)
    }

    pub(crate) fn new(brief: Arc<Brief>, count: &Count, context: &Context<'_, '_>, part: Part) -> Self {
        let gauge = Gauge { context, hits: part.hits };
        // What is attached is found by what it shares, and counts for nothing but escalations.
        let joins = matches!(part.role, Role::Attached(..));
        let weighs = !joins || !count.escalate.is_empty();
        Self {
            keys: if joins { Box::default() } else { keys_of(&count.incident, context) },
            facts: count.measured().filter(|_| weighs).map(|of| gauge.fact(of)).collect(),
            shares: count.attach.iter().filter(|_| !joins).map(|attach| gauge.shared(&attach.on)).collect(),
            brief,
            hits: part.hits,
            role: part.role,
            note: part.note,
            owner: None,
            counted: false,
        }
    }

    pub(crate) fn has_hit(&self, hit: usize) -> bool {
        self.hits >> hit & 1 == 1
    }

    pub(crate) fn shares_base(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|o| o.base == key.base))
    }
}

impl Count {
    /// Everything that is counted over its events: the condition, further ones, escalations and
    /// the steps of a sequence.
    pub(crate) fn measured(&self) -> impl Iterator<Item = &Counted> {
        let conditions = std::iter::once(&self.condition).chain(&self.any).map(|Condition { of, .. }| of);
        conditions.chain(self.escalate.iter().map(|escalate| &escalate.of))
    }
}

/// Reads what an event adds to conditions.
struct Gauge<'g, 'v> {
    context: &'g Context<'g, 'v>,
    hits: u64,
}

impl Gauge<'_, '_> {
    fn fact(&self, of: &Counted) -> Fact {
        match of {
            Counted::Events | Counted::All(_) => Fact::Adds(true),
            Counted::Matching(matcher) => Fact::Adds(self.context.found.has(*matcher)),
            Counted::Distinct(per_hit) => Fact::Values(self.distinct(per_hit)),
            Counted::Ordered(steps) => {
                let of = steps.iter().find_map(|step| step.of.as_ref());
                of.map_or(Fact::Adds(true), |field| Fact::Values(self.hashed(std::slice::from_ref(field))))
            }
            Counted::Sum(field) | Counted::Average(field) | Counted::Percentile(field, _) => Fact::Numbers(
                field.values(self.context.view).iter().filter_map(|text| millionths(text)).collect(),
            ),
        }
    }

    fn distinct(&self, per_hit: &[Vec<Field>]) -> Box<[u64]> {
        let hit = usize::try_from(self.hits.trailing_zeros()).unwrap_or(0);
        per_hit.get(hit).or(per_hit.first()).map(|fields| self.hashed(fields)).unwrap_or_default()
    }

    fn hashed(&self, fields: &[Field]) -> Box<[u64]> {
        if let [field] = fields {
            let mut all = Vec::new();
            field.any(self.context.view, &mut |value| {
                all.push(self.context.hashing.hash_one(value));
                false
            });
            return all.into();
        }
        self.shared(fields)
    }

    fn shared(&self, fields: &[Field]) -> Box<[u64]> {
        shared_values(fields, self.context)
    }
}

/// A number as the record writes it, in millionths, so that sums are exact in any order.
/// Beyond nine million million it saturates.
fn millionths(text: &str) -> Option<i64> {
    let number: f64 = text.parse().ok()?;
    if !number.is_finite() {
        return None;
    }
    #[expect(clippy::cast_possible_truncation, reason = "the cast saturates, as documented")]
    let scaled = (number * 1e6).round() as i64;
    Some(scaled)
}

/// The combined values of fields, hashed for comparison within one engine.
pub(crate) fn shared_values(fields: &[Field], context: &Context<'_, '_>) -> Box<[u64]> {
    combined(fields, context.view).iter().map(|value| context.hashing.hash_one(value)).collect()
}

/// One key per set of fields. Further sets count only when each field has a value: otherwise all
/// events without one would share it.
fn keys_of(incident: &Incident, context: &Context<'_, '_>) -> Box<[Key]> {
    let view = context.view;
    let digest =
        |set, fields: &mut dyn Iterator<Item = &Field>| context.digests.borrow_mut().of(set, fields, view);
    let whole = |set: &[Field]| set.iter().all(|field| field.any(view, &mut |_| true));
    let sets = incident.keys.iter().enumerate().filter(|(at, set)| *at == 0 || whole(set));
    sets.map(|(at, set)| {
        let full = digest(at, &mut set.iter());
        let actor = set.iter().any(|field| field.is(Normal::Actor));
        let mut stable = set.iter().filter(|field| !field.is(Normal::Actor));
        Key { full, base: if actor { digest(at, &mut stable) } else { full } }
    })
    .collect()
}

/// Digests made before: most events are by somebody who did something a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    known: HashMap<Box<[u8]>, u128>,
    /// What is digested now.
    text: Vec<u8>,
}

/// Most digests remembered. One is about 200 bytes.
const DIGESTS_MAX: usize = 20_000;

impl Digests {
    fn of(&mut self, set: usize, fields: &mut dyn Iterator<Item = &Field>, view: &View<'_>) -> u128 {
        let text = &mut self.text;
        text.clear();
        text.push(u8::try_from(set).unwrap_or(u8::MAX));
        for field in fields {
            field.any(view, &mut |value| {
                text.extend((value.len() as u64).to_be_bytes());
                text.extend(value.as_bytes());
                false
            });
            text.push(0x1f);
        }
        if let Some(known) = self.known.get(self.text.as_slice()) {
            return *known;
        }
        let digest =
            Sha256::digest(&self.text).iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte));
        if self.known.len() >= DIGESTS_MAX {
            self.known.clear();
        }
        self.known.insert(self.text.as_slice().into(), digest);
        digest
    }
}

/// The combinations of the fields' values: one text per combination, none when a field has no
/// value.
pub(crate) fn combined(fields: &[Field], view: &View<'_>) -> Vec<String> {
    if let Some(one) = only(fields, view) {
        return vec![one];
    }
    let mut groups = vec![String::new()];
    for field in fields {
        let values = field.values(view);
        groups = groups
            .iter()
            .flat_map(|group| values.iter().map(move |value| format!("{group}{value}\u{1f}")))
            .collect();
    }
    groups
}

/// The one combination there is when each field has exactly one value, as nearly always.
fn only(fields: &[Field], view: &View<'_>) -> Option<String> {
    let mut text = String::new();
    for field in fields {
        let mut values = 0;
        field.any(view, &mut |value| {
            values += 1;
            text.push_str(value);
            text.push('\u{1f}');
            values > 1
        });
        if values != 1 {
            return None;
        }
    }
    Some(text)
}
