//! Whether what came lies in the order a sequence asks for.
//!
//! Each step takes what comes first: that leaves the most for the next. Within one instant there is no order
//! (CloudTrail writes whole seconds), so a step may use entries that sort before those of the step before
//! it; but no entry counts for two steps. Where one instant has entries that would do for several, ways to
//! share them out are tried.

use super::entry::{Entry, Fact};
use crate::rule::Step;

/// Most entries tried for steps in one instant. What is alike is tried once; an instant in which so many
/// differ is shared out by what is tried first.
const TRIES_MAX: u32 = 500;
/// Most ways to have come equally far that are followed: they differ in which values a step has already.
const WAYS_MAX: usize = 16;

/// How far a sequence has come.
#[derive(Clone, Debug, Default)]
struct Reached {
    /// Steps that are done.
    done: usize,
    /// Values the next one has, or how many events.
    values: Vec<u64>,
    events: u64,
}

/// Whether the steps occur one after the other in a window.
pub(crate) fn follows(steps: &[Step], window: &[Box<Entry>]) -> bool {
    let mut furthest = vec![Reached::default()];
    for instant in window.chunk_by(|one, next| one.time == next.time) {
        let done = furthest.first().map_or(0, |reached| reached.done);
        let rest = steps.get(done..).unwrap_or_default();
        let several = |entry: &Entry| rest.iter().filter(|step| entry.is_of(step)).nth(1).is_some();
        if instant.len() > 1 && instant.iter().any(|entry| several(entry)) {
            furthest = Sharing::of(steps, instant, done).furthest(&furthest);
        } else {
            for reached in &mut furthest {
                reached.pass(steps, instant);
            }
            if furthest.len() > 1 {
                furthest = furthest.into_iter().fold(Vec::new(), foremost);
            }
        }
        if furthest.iter().any(|reached| reached.done == steps.len()) {
            return true;
        }
    }
    false
}

/// Those of some ways to come so far, and of another, that no other is ahead of.
fn foremost(mut all: Vec<Reached>, reached: Reached) -> Vec<Reached> {
    if !all.iter().any(|other| reached.is_behind(other)) {
        all.retain(|other| !other.is_behind(&reached));
        if all.len() < WAYS_MAX {
            all.push(reached);
        }
    }
    all
}

impl Entry {
    fn is_of(&self, step: &Step) -> bool {
        self.counted && self.live & step.hits != 0
    }
}

impl Reached {
    /// Goes through an instant in which no entry would do for two steps, or which has only one entry.
    fn pass(&mut self, steps: &[Step], instant: &[Box<Entry>]) {
        while let Some(step) = steps.get(self.done) {
            let done = self.done;
            for entry in instant {
                if entry.is_of(step) && self.take(step, entry) {
                    break;
                }
            }
            // One entry counts for one step.
            if self.done == done || instant.len() == 1 {
                return;
            }
        }
    }

    /// Counts an entry for the next step; whether that is done with it.
    fn take(&mut self, step: &Step, entry: &Entry) -> bool {
        match (&step.of, entry.facts.first()) {
            (Some(_), Some(Fact::Values(values))) => {
                let new = values.iter().copied();
                new.for_each(|value| {
                    if !self.values.contains(&value) {
                        self.values.push(value);
                    }
                });
            }
            _ => self.events += 1,
        }
        let is_done = self.events.max(self.values.len() as u64) >= step.at_least;
        if is_done {
            *self = Self { done: self.done + 1, ..Self::default() };
        }
        is_done
    }

    /// Whether whatever may come does as much for the other.
    fn is_behind(&self, other: &Self) -> bool {
        self.done < other.done
            || self.done == other.done
                && self.events <= other.events
                && self.values.iter().all(|value| other.values.contains(value))
    }
}

/// The entries of one instant, which would do for several steps.
struct Sharing<'s> {
    steps: &'s [Step],
    entries: Vec<&'s Entry>,
    used: Vec<bool>,
    /// How many may still be tried.
    left: u32,
    furthest: Vec<Reached>,
}

impl<'s> Sharing<'s> {
    fn of(steps: &'s [Step], instant: &'s [Box<Entry>], done: usize) -> Self {
        let rest = steps.get(done..).unwrap_or_default();
        let mut entries: Vec<&Entry> = instant.iter().map(|entry| &**entry).collect();
        // What would do for the fewest steps is used first.
        entries.sort_by_key(|entry| rest.iter().filter(|step| entry.is_of(step)).count());
        Self { steps, used: vec![false; entries.len()], entries, left: TRIES_MAX, furthest: Vec::new() }
    }

    /// How far the sequence comes within the instant from where it was before, in all ways that differ.
    fn furthest(mut self, before: &[Reached]) -> Vec<Reached> {
        for reached in before {
            self.share(reached, 0);
        }
        self.furthest
    }

    /// Tries the entries from the one at `from` on for the step that is next.
    fn share(&mut self, reached: &Reached, from: usize) {
        self.furthest = foremost(std::mem::take(&mut self.furthest), reached.clone());
        let steps = self.steps;
        let Some(step) = steps.get(reached.done) else { return };
        let mut tried: Vec<&Entry> = Vec::new();
        for at in from..self.entries.len() {
            let free = self.entries.get(at).filter(|_| self.used.get(at) == Some(&false));
            let Some(entry) = free.copied().filter(|entry| entry.is_of(step)) else { continue };
            let is_alike =
                |other: &&Entry| other.live == entry.live && other.facts.first() == entry.facts.first();
            if tried.iter().any(is_alike) {
                continue;
            }
            if self.left == 0 || self.furthest.iter().any(|reached| reached.done == steps.len()) {
                return;
            }
            self.left -= 1;
            tried.push(entry);
            let mut next = reached.clone();
            let from = if next.take(step, entry) { 0 } else { at + 1 };
            self.mark(at, true);
            self.share(&next, from);
            self.mark(at, false);
        }
    }

    fn mark(&mut self, at: usize, is_used: bool) {
        if let Some(slot) = self.used.get_mut(at) {
            *slot = is_used;
        }
    }
}
