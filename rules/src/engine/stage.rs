//! One correlation that others count: at which events its condition is met.
//!
//! It keeps what it counts in groups, as every correlation does, and no incidents. Whether its condition
//! is met at an event depends on the window that ends there alone, and whether it begins to be on
//! the event before as well: so a late event, or one that counts from now on or no more, is a
//! matter of what shares a window with it. What was found is always up to date.
//!
//! Invariant: the notes are the marks of all groups, but for events from before the floor.

mod room;

use super::Context;
use super::brief::Brief;
use super::chain::{Whereabouts, print};
use super::count::Counting;
use super::entry::{Entry, Part, Reading, combined};
use super::few::Few;
use super::instant;
use super::window::Window;
use super::words::hashed;
use crate::rule::Count;
use hashbrown::HashMap;
use keywatch_event::EventTime;
use std::sync::Arc;

/// What a correlation remembers for those that count it.
#[derive(Debug, Default)]
pub(crate) struct Stage {
    /// By hash of the name.
    groups: HashMap<u64, Group>,
    /// By event: where the condition is met.
    notes: HashMap<u64, Note>,
    /// Groups of events that come through another correlation.
    places: Whereabouts,
    /// Events whose note changed, or the events behind which did, since somebody last asked.
    changed: Vec<Arc<Brief>>,
    /// Entries of all groups.
    held: usize,
    /// What lies before it is not judged any more.
    floor: Option<EventTime>,
}

/// Entries of one group, in order.
#[derive(Debug)]
struct Group {
    #[expect(clippy::vec_box, reason = "a window is over such entries; a late one moves all after it")]
    entries: Vec<Box<Entry>>,
    /// What the condition is at each of them.
    marks: Vec<Mark>,
    /// That of the latest entry that counts.
    window: Window,
}

/// What the condition is at an entry.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Mark {
    met: bool,
    /// It is met, and was not at the entry before that counts and is in its window.
    begins: bool,
}

/// Where the condition is met at one event.
#[derive(Debug)]
struct Note {
    time: EventTime,
    /// The groups, and whether it begins to be met there.
    groups: Few<(u64, bool)>,
}

impl Stage {
    /// Takes an event; whether the condition is met at it.
    pub(crate) fn take(
        &mut self,
        counting: Counting<'_>,
        context: &Context<'_, '_>,
        part: &Part,
        brief: &Arc<Brief>,
    ) -> bool {
        for (group, hits) in groups_of(counting, context, part.hits).iter() {
            if self.floor.is_some_and(|floor| brief.time < floor) {
                break;
            }
            let reading =
                Reading { view: context.view, words: Some(context.words), digests: context.digests };
            let part = part.of(*hits);
            let mut entry =
                Entry::of_stage(Arc::clone(brief), (counting.count, counting.asks), &reading, &part);
            entry.live = counting.chained.live(*hits, brief);
            entry.counted = entry.live != 0;
            if counting.chained.comes_through(*hits) {
                self.places.note(brief, *group);
            }
            self.insert(*group, entry, counting.count);
        }
        self.is_met(print(brief), false)
    }

    fn insert(&mut self, name: u64, entry: Entry, count: &Count) {
        let group = self.groups.entry(name).or_insert_with(|| Group::new(count));
        let Some(at) = group.place_for(&entry) else { return };
        group.entries.insert(at, Box::new(entry));
        group.marks.insert(at, Mark::default());
        self.held += 1;
        let mut told = Vec::new();
        group.judge(at, true, count, &mut |brief, mark| told.push((Arc::clone(brief), mark)));
        self.note(name, told);
    }

    /// Notes what the condition is at events of a group.
    fn note(&mut self, group: u64, told: Vec<(Arc<Brief>, Mark)>) {
        for (brief, mark) in told {
            let event = print(&brief);
            let note = self.notes.entry(event).or_insert(Note { time: brief.time, groups: Few::None });
            let others = note.groups.iter().filter(|(other, _)| *other != group).copied();
            note.groups = others.chain(mark.met.then_some((group, mark.begins))).collect();
            if note.groups.is_empty() {
                self.notes.remove(&event);
            }
            self.changed.push(brief);
        }
    }

    /// Looks again at events that another correlation counts otherwise than before, or for other
    /// reasons.
    pub(crate) fn look_again(&mut self, counting: Counting<'_>, changed: &[Arc<Brief>]) {
        for brief in changed {
            for name in self.places.of(brief).iter() {
                let Some(group) = self.groups.get_mut(name) else { continue };
                let mut told = Vec::new();
                let live = |hits| counting.chained.live(hits, brief);
                let tell = &mut |brief: &Arc<Brief>, mark| told.push((Arc::clone(brief), mark));
                group.look_again(brief, live, counting.count, tell);
                self.note(*name, told);
            }
        }
    }

    /// Whether the condition is met at an event, or begins to be.
    pub(crate) fn is_met(&self, event: u64, beginning: bool) -> bool {
        self.notes.get(&event).is_some_and(|note| !beginning || note.groups.iter().any(|(_, begins)| *begins))
    }

    /// The groups in which it is, or begins to be.
    pub(crate) fn groups_met(&self, event: u64, beginning: bool) -> impl Iterator<Item = u64> {
        let groups = self.notes.get(&event).into_iter().flat_map(|note| note.groups.iter());
        groups.filter(move |(_, begins)| !beginning || *begins).map(|(group, _)| *group)
    }

    /// Which hits count of an event in a group.
    pub(crate) fn live(&self, group: u64, brief: &Brief) -> u64 {
        let entries = self.groups.get(&group).map_or(&[][..], |group| &group.entries);
        let at = entries.binary_search_by(|entry| entry.order().cmp(&brief.order())).ok();
        at.and_then(|at| entries.get(at)).map_or(0, |entry| entry.live)
    }

    /// What counts before an event in the window that ends with it, the latest first.
    pub(crate) fn before(&self, group: u64, brief: &Brief, secs: i64) -> impl Iterator<Item = &Entry> {
        let since = brief.time.plus_secs(-secs);
        let entries = self.groups.get(&group).map_or(&[][..], |group| {
            let upto = group.entries.partition_point(|entry| entry.order() < brief.order());
            group.entries.get(..upto).unwrap_or_default()
        });
        let window = entries.iter().rev().take_while(move |entry| entry.brief.time >= since);
        window.filter(|entry| entry.counted).map(|entry| &**entry)
    }

    /// The events of which something changed since the last call.
    pub(crate) fn take_changed(&mut self) -> Vec<Arc<Brief>> {
        std::mem::take(&mut self.changed)
    }
}

/// The groups an event with these hits falls into, and as which of them.
fn groups_of(counting: Counting<'_>, context: &Context<'_, '_>, hits: u64) -> Few<(u64, u64)> {
    let mut all = Vec::new();
    for hits in counting.asks.parted(hits).iter() {
        match counting.asks.group(*hits).and_then(|which| context.words.of(which)) {
            Some(words) => words.for_each(|said| place(&mut all, said.name.hash, *hits)),
            None => combined(counting.count.group_by(*hits), context.view)
                .iter()
                .for_each(|text| place(&mut all, hashed(text), *hits)),
        }
    }
    all.into_iter().collect()
}

/// Notes that an event falls into a group as these hits.
fn place(all: &mut Vec<(u64, u64)>, group: u64, hits: u64) {
    match all.iter_mut().find(|(known, _)| *known == group) {
        Some((_, known)) => *known |= hits,
        None => all.push((group, hits)),
    }
}

impl Group {
    fn new(count: &Count) -> Self {
        Self { entries: Vec::with_capacity(1), marks: Vec::with_capacity(1), window: Window::new(count) }
    }

    /// Where an entry belongs; `None` when it is there already.
    fn place_for(&self, entry: &Entry) -> Option<usize> {
        if self.entries.last().is_none_or(|last| last.order() < entry.order()) {
            return Some(self.entries.len());
        }
        self.entries.binary_search_by(|known| known.order().cmp(&entry.order())).err()
    }

    /// An entry may count otherwise than before, or the events behind it may be others.
    fn look_again(
        &mut self,
        brief: &Brief,
        live: impl Fn(u64) -> u64,
        count: &Count,
        tell: &mut dyn FnMut(&Arc<Brief>, Mark),
    ) {
        let Ok(at) = self.entries.binary_search_by(|entry| entry.order().cmp(&brief.order())) else { return };
        let Some(entry) = self.entries.get_mut(at) else { return };
        let did_count = entry.counted;
        entry.live = live(entry.hits);
        entry.counted = entry.live != 0;
        if did_count || entry.counted {
            self.judge(at, false, count, tell);
        }
    }

    /// Judges again what the entry at `at`, which came or changed, may make different.
    fn judge(&mut self, at: usize, is_new: bool, count: &Count, tell: &mut dyn FnMut(&Arc<Brief>, Mark)) {
        let Self { entries, marks, window } = self;
        if is_new && entries.get(at).is_some_and(|entry| !entry.counted) {
            // It may be older than the window reaches, and count later.
            window.first += usize::from(at <= window.first);
            return;
        }
        let Some(time) = entries.get(at).map(|entry| entry.brief.time) else { return };
        let since = at - instant::again(entries.get(..at).unwrap_or_default(), time, count);
        if is_new && at + 1 == entries.len() && since == at {
            pass((entries, marks, window), at, count, tell);
            return;
        }
        let mut own = Window::before(count, entries, since);
        if pass((entries, marks, &mut own), since, count, tell) {
            *window = own;
        } else if is_new {
            window.first += 1;
        }
    }
}

/// Goes from the entry at `at` through what it may make different, with the window as it was before
/// it; whether no entry that counts lies behind.
fn pass(
    (entries, marks, window): (&[Box<Entry>], &mut [Mark], &mut Window),
    at: usize,
    count: &Count,
    tell: &mut dyn FnMut(&Arc<Brief>, Mark),
) -> bool {
    let span = count.timespan_secs;
    let Some(reach) = entries.get(at).map(|entry| entry.brief.time.plus_secs(span)) else { return true };
    let since = reach.plus_secs(-2 * span);
    let earlier = entries.iter().zip(&*marks).take(at).rev();
    let earlier = earlier.take_while(|(entry, _)| entry.brief.time >= since);
    let mut before = earlier.map(|(entry, mark)| (entry, mark.met)).find(|(entry, _)| entry.counted);
    // Whether the condition differs somewhere in the instant that is gone through.
    let (mut differs, mut instant) = (false, None);
    for (place, (entry, mark)) in entries.iter().zip(marks).enumerate().skip(at) {
        let time = entry.brief.time;
        let mut now = Mark::default();
        if entry.counted {
            if instant != Some(time) {
                if time > reach && !differs {
                    return false;
                }
                (differs, instant) = (false, Some(time));
            }
            window.forward(entries, place, span);
            let reached = entries.get(window.first..=place).unwrap_or_default();
            let is_whole = !instant::goes_on(entries, place, count, |other| other.counted);
            now.met = is_whole && is_met(window, reached, count);
            let goes_on = before.is_some_and(|(last, met)| met && last.brief.time >= time.plus_secs(-span));
            now.begins = now.met && !goes_on;
            differs |= now.met != mark.met;
            // Within an instant at whose end alone it is looked at, a series neither begins nor ends.
            if is_whole {
                before = Some((entry, now.met));
            }
        }
        if now != *mark || now.met && time <= reach {
            tell(&entry.brief, now);
        }
        *mark = now;
    }
    true
}

fn is_met(window: &Window, entries: &[Box<Entry>], count: &Count) -> bool {
    let observed = window.observed(count, entries);
    count.condition.bounds.iter().all(|(op, bound)| op.holds(observed, *bound))
        && window.any_holds(count, entries)
}
