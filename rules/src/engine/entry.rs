//! One event in one group of one counting rule, and the order of such entries.

use super::Found;
use super::asleep::Light;
use super::brief::Brief;
use super::few::Few;
use super::key::{Digests, Key, keys_of};
use super::words::{Combination, Combinations, Joint, Name, Said, Words, hashed};
use crate::field::Field;
use crate::rule::{Condition, Count, Counted};
use crate::view::View;
use keywatch_event::EventTime;
use std::borrow::Cow;
use std::cell::RefCell;
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

/// What one event adds to one counted condition.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Fact {
    /// One more, or not.
    Adds(bool),
    /// These values, hashed.
    Values(Few<u64>),
    /// Values that differ from hit to hit, hashed: the bit of the hit, and what it brings.
    ByHit(Box<[(u64, Few<u64>)]>),
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

impl Part {
    /// The same, of which these hits alone count.
    pub(crate) fn of(&self, hits: u64) -> Cow<'_, Self> {
        if hits == self.hits { Cow::Borrowed(self) } else { Cow::Owned(Self { hits, ..self.clone() }) }
    }
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
    groups: Vec<Combination>,
    /// Whether that is the same for all of them.
    is_uniform: bool,
    /// Whether what separates its counts is the key of its incidents, too.
    pub(crate) by_group: bool,
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

    /// The entry of an event in the group of that name.
    pub(crate) fn new(
        brief: Arc<Brief>,
        (count, asks): (&Count, &Asks),
        reading: &Reading<'_, '_>,
        (part, group): (&Part, Name<'_>),
    ) -> Self {
        let gauge = Gauge { reading, asks, part };
        let role = gauge.role(count);
        // What is attached is found by what it shares, and counts for nothing but escalations.
        let joins = matches!(role, Role::Attached(..));
        let weighs = !joins || !count.escalate.is_empty();
        let attach = count.attach.iter().enumerate().filter(|_| !joins);
        Self {
            keys: if joins { Few::None } else { keys_of((count, asks), reading, group) },
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
        (around, digests): (&crate::Surroundings, &RefCell<Digests>),
        group: Name<'_>,
    ) -> Self {
        let Light { brief, note, hits, adds, attached } = light;
        let event = brief.event();
        let seen = crate::Seen { event: &event, place: &brief.place, raw: b"" };
        let view = View::around_event(&seen, around);
        let plays = attached.map_or(Plays::Hit, Plays::Attached);
        let part = Part { hits: u64::from(hits), plays, note, adds: u64::from(adds) };
        let reading = Reading { view: &view, words: None, digests };
        Self::new(Arc::clone(&brief), (count, asks), &reading, (&part, group))
    }

    pub(crate) fn has_hit(&self, hit: usize) -> bool {
        self.live >> hit & 1 == 1
    }

    pub(crate) fn shares_base(&self, other: &Self) -> bool {
        self.keys.iter().any(|key| other.keys.iter().any(|o| o.base == key.base))
    }
}

impl Fact {
    /// The values it brings to what is counted where these hits count.
    pub(crate) fn values(&self, live: u64) -> impl Iterator<Item = u64> {
        let (all, by_hit) = match self {
            Self::Values(values) => (&**values, &[][..]),
            Self::ByHit(by_hit) => (&[][..], &**by_hit),
            Self::Adds(_) | Self::Numbers(_) => (&[][..], &[][..]),
        };
        let of_hits = by_hit.iter().filter(move |(hit, _)| live & hit != 0).flat_map(|(_, values)| &**values);
        all.iter().chain(of_hits).copied()
    }
}

impl Count {
    /// What separates the counts of an event with these hits.
    pub(crate) fn group_by(&self, hits: u64) -> &[Field] {
        self.hits.get(first_of(hits)).or(self.hits.first()).map_or(&[], |hit| &hit.group_by)
    }

    /// Whether distinct values are read of other fields in some hits than in others.
    pub(crate) fn counts_by_hit(&self) -> bool {
        let differ = |of: &Counted| matches!(of, Counted::Distinct(per_hit) if per_hit.windows(2).any(|pair| pair.first() != pair.last()));
        self.measured().any(differ)
    }

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
        let groups: Vec<Combination> = count.hits.iter().map(|hit| whole(&hit.group_by)).collect();
        let is_uniform = groups.windows(2).all(|pair| pair.first() == pair.last());
        // Where the group means something else in each hit, no field says what it is.
        let key = count.incident.keys.first().map_or(&[][..], Vec::as_slice);
        let by_group = if is_uniform { key == count.group_by(0) } else { key.is_empty() };
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
            | Counted::Median(_)
            | Counted::Percentile(..) => Vec::new(),
        });
        let facts = facts.collect();
        Self {
            groups,
            is_uniform,
            by_group,
            facts,
            attach: count.attach.iter().map(|attach| whole(&attach.on)).collect(),
        }
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

    /// An event's hits, those together whose counts the same fields separate.
    pub(crate) fn parted(&self, hits: u64) -> Few<u64> {
        if self.is_uniform || hits & hits.wrapping_sub(1) == 0 {
            return Few::One(hits);
        }
        let mut parts: Vec<(Combination, u64)> = Vec::new();
        for (hit, group) in self.groups.iter().enumerate().filter(|(hit, _)| hits >> hit & 1 == 1) {
            match parts.iter_mut().find(|(known, _)| known == group) {
                Some((_, part)) => *part |= 1 << hit,
                None => parts.push((*group, 1 << hit)),
            }
        }
        parts.into_iter().map(|(_, part)| part).collect()
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
            Counted::Distinct(per_hit) => self.distinct(at, per_hit),
            Counted::Ordered(steps) => {
                let of = steps.iter().find_map(|step| step.of.as_ref());
                of.map_or(Fact::Adds(true), |field| {
                    Fact::Values(self.hashes(combination, std::slice::from_ref(field)))
                })
            }
            Counted::Sum(field)
            | Counted::Average(field)
            | Counted::Median(field)
            | Counted::Percentile(field, _) => Fact::Numbers(
                field.values(self.reading.view).iter().filter_map(|text| millionths(text)).collect(),
            ),
        }
    }

    fn distinct(&self, at: usize, per_hit: &[Vec<Field>]) -> Fact {
        let of = |hits: u64| {
            let fields = per_hit.get(first_of(hits)).or(per_hit.first());
            fields.map(|fields| self.hashes(self.asks.fact(at, hits), fields)).unwrap_or_default()
        };
        let hits = self.part.hits;
        if hits & hits.wrapping_sub(1) == 0 || per_hit.windows(2).all(|pair| pair.first() == pair.last()) {
            return Fact::Values(of(hits));
        }
        let each = (0..per_hit.len().min(64)).map(|hit| 1 << hit).filter(|hit| hits & hit != 0);
        Fact::ByHit(each.map(|hit| (hit, of(hit))).collect())
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
