//! One event in one group of one counting rule, and the order of such entries.

use super::Found;
use super::asleep::Light;
use super::brief::Brief;
use super::few::Few;
use super::words::{Combination, Combinations, Joint, Said, Words, hashed, hasher};
use crate::field::{Field, Normal};
use crate::rule::{Condition, Count, Counted, Incident};
use crate::view::View;
use hashbrown::HashMap;
use keywatch_event::EventTime;
use sha2::{Digest, Sha256};
use std::cell::RefCell;
use std::hash::Hasher;
use std::sync::Arc;

/// One event in one group of one rule.
#[derive(Clone, Debug)]
pub(crate) struct Entry {
    pub(crate) brief: Arc<Brief>,
    /// The brief's time: a window asks for it more often than for all the rest, which lies further away.
    pub(crate) time: EventTime,
    /// Which of the rule's hits it matched: bit n for hit n.
    pub(crate) hits: u64,
    /// Which of them count, when it was last swept: all, but for those that come through a rule whose
    /// condition is not met at it.
    pub(crate) live: u64,
    /// One per set of incident key fields.
    pub(crate) keys: Few<Key>,
    /// What the event adds to the rule's condition, to each further condition and to each
    /// escalation, in that order.
    pub(crate) facts: Few<Fact>,
    /// Values it shares with what may be attached, hashed, by number of the attachment.
    pub(crate) shares: Few<Few<u64>>,
    pub(crate) role: Role,
    /// What was new about it, in words.
    pub(crate) note: Option<Arc<str>>,
    /// Serial number of the incident it belongs to.
    pub(crate) owner: Option<u32>,
    /// Whether windows count it: set when it is swept, since an explanation may come later.
    pub(crate) counted: bool,
    /// Whether its event is known to matter as long as what an incident is made of.
    pub(crate) kept: bool,
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
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// One more, or not.
    Adds(bool),
    /// These values, hashed.
    Values(Few<u64>),
    /// These numbers, in millionths.
    Numbers(Box<[i64]>),
}

/// What an entry does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Role {
    /// It counts.
    Hit,
    /// It counts unless something explains it; the number stands for the key of the explanation.
    Waiting(u64),
    /// It joins an open incident by what it shares with it: number of the rule's attachment, and
    /// the shared values.
    Attached(u8, Few<u64>),
}

/// What an event is to one rule.
#[derive(Clone, Debug)]
pub(crate) struct Part {
    pub(crate) hits: u64,
    pub(crate) plays: Plays,
    pub(crate) note: Option<Arc<str>>,
    /// Which measured quantities it adds to, where that is a matter of matching: bit n for
    /// quantity n.
    pub(crate) adds: u64,
}

/// The role of an event before its values are read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Plays {
    Hit,
    Waiting(u64),
    Attached(u8),
}

/// The combinations of fields a rule reads of every event that means something to it.
#[derive(Debug)]
pub(crate) struct Asks {
    /// What separates its counts, by hit.
    pub(crate) groups: Vec<Combination>,
    /// What is counted, by measured quantity and hit.
    facts: Vec<Vec<Combination>>,
    /// What attached events share, by attachment.
    attach: Vec<Combination>,
}

/// Where the values of an event are read.
pub(crate) struct Reading<'r, 'v> {
    pub(crate) view: &'r View<'v>,
    /// Its words, when they are made.
    pub(crate) words: Option<&'r Words>,
    pub(crate) digests: &'r RefCell<Digests>,
}

impl Entry {
    /// Its place in a group.
    pub(crate) fn order(&self) -> (EventTime, &str) {
        self.brief.order()
    }

    pub(crate) fn new(
        brief: Arc<Brief>,
        (count, asks): (&Count, &Asks),
        reading: &Reading<'_, '_>,
        part: &Part,
    ) -> Self {
        let gauge = Gauge { reading, asks, part };
        let role = gauge.role(count);
        // What is attached is found by what it shares, and counts for nothing but escalations.
        let joins = matches!(role, Role::Attached(..));
        let weighs = !joins || !count.escalate.is_empty();
        let attach = count.attach.iter().enumerate().filter(|_| !joins);
        Self {
            keys: if joins { Few::None } else { keys_of(&count.incident, reading) },
            facts: count
                .measured()
                .enumerate()
                .filter(|_| weighs)
                .map(|(at, of)| gauge.fact(at, of))
                .collect(),
            shares: attach.map(|(at, attach)| gauge.shared(at, &attach.on)).collect(),
            time: brief.time,
            brief,
            hits: part.hits,
            live: part.hits,
            role,
            note: part.note.clone(),
            owner: None,
            counted: false,
            kept: false,
        }
    }

    /// An entry of a rule that others count: it makes no incidents.
    pub(crate) fn of_stage(
        brief: Arc<Brief>,
        (count, asks): (&Count, &Asks),
        reading: &Reading<'_, '_>,
        part: &Part,
    ) -> Self {
        let gauge = Gauge { reading, asks, part };
        let measured = count.measured().enumerate().take(1 + count.any.len());
        Self {
            keys: Few::None,
            facts: measured.map(|(at, of)| gauge.fact(at, of)).collect(),
            shares: Few::None,
            time: brief.time,
            brief,
            hits: part.hits,
            live: part.hits,
            role: Role::Hit,
            note: part.note.clone(),
            owner: None,
            counted: false,
            kept: false,
        }
    }

    /// The entry a sleeping group kept the essence of.
    pub(crate) fn awakened(
        light: Light,
        (count, asks): (&Count, &Asks),
        around: &crate::Surroundings,
        digests: &RefCell<Digests>,
    ) -> Self {
        let Light { brief, note, hits, adds, attached } = light;
        let event = brief.event();
        let seen = crate::Seen { event: &event, place: &brief.place, raw: b"" };
        let view = View::around_event(&seen, around);
        let plays = attached.map_or(Plays::Hit, Plays::Attached);
        let part = Part { hits: u64::from(hits), plays, note, adds: u64::from(adds) };
        let reading = Reading { view: &view, words: None, digests };
        Self::new(Arc::clone(&brief), (count, asks), &reading, &part)
    }

    pub(crate) fn has_hit(&self, hit: usize) -> bool {
        self.live >> hit & 1 == 1
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

impl Asks {
    /// What a rule asks for.
    pub(crate) fn of(count: &Count, all: &mut Combinations) -> Self {
        let mut whole = |fields: &[Field]| all.of(fields, Joint::Whole);
        let groups = count.hits.iter().map(|hit| whole(&hit.group_by)).collect();
        let facts = count.measured().map(|of| match of {
            Counted::Distinct(per_hit) => per_hit.iter().map(|fields| whole(fields)).collect(),
            Counted::Ordered(steps) => {
                let of = steps.iter().find_map(|step| step.of.as_ref());
                of.map(|field| whole(std::slice::from_ref(field))).into_iter().collect()
            }
            Counted::Events
            | Counted::Matching(_)
            | Counted::All(_)
            | Counted::Sum(_)
            | Counted::Average(_)
            | Counted::Percentile(..) => Vec::new(),
        });
        let facts = facts.collect();
        Self { groups, facts, attach: count.attach.iter().map(|attach| whole(&attach.on)).collect() }
    }

    /// Calls `make` with every combination that is read of an event that matched `found`: the
    /// fields of other hits may cost a look into the record.
    pub(crate) fn each(&self, count: &Count, found: &Found, make: &mut impl FnMut(Combination)) {
        let mut hits = (0_u64..).zip(&count.hits).filter(|(_, hit)| found.has(hit.matcher)).peekable();
        if hits.peek().is_none() {
            let attached = count.attach.iter().zip(&self.attach).filter(|(one, _)| found.has(one.matcher));
            self.groups.first().into_iter().chain(attached.map(|(_, which)| which)).copied().for_each(make);
            return;
        }
        for (hit, _) in hits {
            let hits = 1 << hit.min(63);
            let facts = (0..self.facts.len()).filter_map(|at| self.fact(at, hits));
            self.group(hits).into_iter().chain(facts).for_each(&mut *make);
        }
    }

    /// What separates the counts of an event with these hits.
    pub(crate) fn group(&self, hits: u64) -> Option<Combination> {
        self.groups.get(first_of(hits)).or(self.groups.first()).copied()
    }

    /// The values of a measured quantity that an event with these hits brings.
    pub(crate) fn fact(&self, at: usize, hits: u64) -> Option<Combination> {
        let per_hit = self.facts.get(at)?;
        per_hit.get(first_of(hits)).or(per_hit.first()).copied()
    }
}

/// The first of some hits.
fn first_of(hits: u64) -> usize {
    usize::try_from(hits.trailing_zeros()).unwrap_or(0)
}

/// Reads what an event adds to conditions.
struct Gauge<'g, 'v> {
    reading: &'g Reading<'g, 'v>,
    asks: &'g Asks,
    part: &'g Part,
}

impl Gauge<'_, '_> {
    fn role(&self, count: &Count) -> Role {
        match self.part.plays {
            Plays::Hit => Role::Hit,
            Plays::Waiting(key) => Role::Waiting(key),
            Plays::Attached(which) => {
                let at = usize::from(which);
                let on = count.attach.get(at).map_or(&[][..], |attach| &attach.on);
                Role::Attached(which, self.shared(at, on))
            }
        }
    }

    fn fact(&self, at: usize, of: &Counted) -> Fact {
        let combination = self.asks.fact(at, self.part.hits);
        match of {
            Counted::Events | Counted::All(_) => Fact::Adds(true),
            Counted::Matching(_) => Fact::Adds(self.part.adds >> at.min(63) & 1 == 1),
            Counted::Distinct(per_hit) => {
                let fields = per_hit.get(first_of(self.part.hits)).or(per_hit.first());
                Fact::Values(fields.map(|fields| self.hashes(combination, fields)).unwrap_or_default())
            }
            Counted::Ordered(steps) => {
                let of = steps.iter().find_map(|step| step.of.as_ref());
                of.map_or(Fact::Adds(true), |field| {
                    Fact::Values(self.hashes(combination, std::slice::from_ref(field)))
                })
            }
            Counted::Sum(field) | Counted::Average(field) | Counted::Percentile(field, _) => Fact::Numbers(
                field.values(self.reading.view).iter().filter_map(|text| millionths(text)).collect(),
            ),
        }
    }

    /// What an event shares with others by attachment `at`.
    fn shared(&self, at: usize, on: &[Field]) -> Few<u64> {
        self.hashes(self.asks.attach.get(at).copied(), on)
    }

    /// The combined values of fields, hashed; their words are used when they are made.
    fn hashes(&self, combination: Option<Combination>, fields: &[Field]) -> Few<u64> {
        let made = self.reading.words.zip(combination).and_then(|(words, which)| words.of(which));
        match made {
            Some(words) => words.map(|Said { name, .. }| name.hash).collect(),
            None => combined(fields, self.reading.view).iter().map(|text| hashed(text)).collect(),
        }
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

/// One key per set of fields. Further sets count only when each field has a value: otherwise all
/// events without one would share it.
fn keys_of(incident: &Incident, reading: &Reading<'_, '_>) -> Few<Key> {
    let view = reading.view;
    let digest = |set, leaves_actor| {
        let fields = incident.keys.get(set).map_or(&[][..], Vec::as_slice);
        reading.digests.borrow_mut().of((set, fields, leaves_actor), view)
    };
    let whole = |set: &[Field]| set.iter().all(|field| field.any(view, &mut |_| true));
    let sets = incident.keys.iter().enumerate().filter(|(at, set)| *at == 0 || whole(set));
    sets.map(|(at, set)| {
        let full = digest(at, false);
        let actor = set.iter().any(|field| field.is(Normal::Actor));
        Key { full, base: if actor { digest(at, true) } else { full } }
    })
    .collect()
}

/// Stands for the values of fields, told apart whatever they hold.
pub(crate) fn values_hash<'f>(fields: impl Iterator<Item = &'f Field>, view: &View<'_>) -> u64 {
    let mut hash = hasher();
    for field in fields {
        field.any(view, &mut |value| {
            hash.write_usize(value.len());
            hash.write(value.as_bytes());
            false
        });
        hash.write_usize(usize::MAX);
    }
    hash.finish()
}

/// Digests made before: most events are by somebody who did something a moment ago.
#[derive(Debug, Default)]
pub(crate) struct Digests {
    /// By what stands for the set's number and its values.
    known: HashMap<u64, u128>,
    /// What is digested now.
    text: Vec<u8>,
}

/// Most digests remembered. One is about 50 bytes.
const DIGESTS_MAX: usize = 20_000;

impl Digests {
    /// The digest of a set of fields; without the actor when that is left out.
    fn of(&mut self, (set, fields, leaves_actor): (usize, &[Field], bool), view: &View<'_>) -> u128 {
        let fields = || fields.iter().filter(|field| !leaves_actor || !field.is(Normal::Actor));
        let mark = (set as u64 + 1).wrapping_mul(0x9e37_79b9_7f4a_7c15);
        let key = values_hash(fields(), view) ^ mark;
        if let Some(known) = self.known.get(&key) {
            return *known;
        }
        let text = &mut self.text;
        text.clear();
        text.push(u8::try_from(set).unwrap_or(u8::MAX));
        for field in fields() {
            field.any(view, &mut |value| {
                text.extend((value.len() as u64).to_be_bytes());
                text.extend(value.as_bytes());
                false
            });
            text.push(0x1f);
        }
        let digest =
            Sha256::digest(&self.text).iter().take(16).fold(0, |all, byte| all << 8 | u128::from(*byte));
        if self.known.len() >= DIGESTS_MAX {
            self.known.clear();
        }
        self.known.insert(key, digest);
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

/// Bytes made room for at once for the values of a few fields.
const ROOM: usize = 96;

/// The one combination there is when each field has exactly one value, as nearly always.
fn only(fields: &[Field], view: &View<'_>) -> Option<String> {
    let mut text = String::with_capacity(ROOM);
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

/// As [`combined`], with a missing value as no text.
pub(crate) fn blanks_combined(fields: &[Field], view: &View<'_>) -> Vec<String> {
    if let Some(one) = only_blanks(fields, view) {
        return vec![one];
    }
    let mut all = vec![String::new()];
    for (at, field) in fields.iter().enumerate() {
        let mut values = field.values(view);
        if values.is_empty() {
            values.push(String::new());
        }
        let joint = if at == 0 { "" } else { " " };
        all = all
            .iter()
            .flat_map(|one| values.iter().map(move |value| format!("{one}{joint}{value}")))
            .collect();
    }
    all
}

/// The one combination there is when no field has several values, as nearly always.
fn only_blanks(fields: &[Field], view: &View<'_>) -> Option<String> {
    let mut text = String::with_capacity(ROOM);
    for (at, field) in fields.iter().enumerate() {
        if at > 0 {
            text.push(' ');
        }
        let mut values = 0;
        field.any(view, &mut |value| {
            values += 1;
            text.push_str(value);
            values > 1
        });
        if values > 1 {
            return None;
        }
    }
    Some(text)
}
