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
    let mut reached = Reached::default();
    for instant in window.chunk_by(|one, next| one.time == next.time) {
        let rest = steps.get(reached.done..).unwrap_or_default();
        let several = |entry: &Entry| rest.iter().filter(|step| entry.is_of(step)).nth(1).is_some();
        if instant.len() > 1 && instant.iter().any(|entry| several(entry)) {
            let entries: Vec<&Entry> = instant.iter().map(|entry| &**entry).collect();
            reached = Sharing { steps, entries, left: TRIES_MAX }.best(&reached);
        } else {
            reached.pass(steps, instant);
        }
        if reached.done == steps.len() {
            return true;
        }
    }
    false
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

    fn is_behind(&self, other: &Self) -> bool {
        (self.done, self.events, self.values.len()) < (other.done, other.events, other.values.len())
    }
}

/// The entries of one instant, which would do for several steps.
struct Sharing<'s> {
    steps: &'s [Step],
    entries: Vec<&'s Entry>,
    /// How many may still be tried.
    left: u32,
}

impl Sharing<'_> {
    /// How far the sequence comes within the instant.
    fn best(mut self, reached: &Reached) -> Reached {
        let steps = self.steps.get(reached.done..).unwrap_or_default();
        // What would do for the fewest steps is used first.
        self.entries.sort_by_key(|entry| steps.iter().filter(|step| entry.is_of(step)).count());
        let mut best = reached.clone();
        let mut used = vec![false; self.entries.len()];
        self.share(reached, 0, &mut used, &mut best);
        best
    }

    /// Tries the entries from the one at `from` on for the step that is next.
    fn share(&mut self, reached: &Reached, from: usize, used: &mut [bool], best: &mut Reached) {
        if best.is_behind(reached) {
            best.clone_from(reached);
        }
        let steps = self.steps;
        let Some(step) = steps.get(reached.done) else { return };
        let mut tried: Vec<usize> = Vec::new();
        for at in from..self.entries.len() {
            let Some(entry) = self.entries.get(at).copied().filter(|entry| entry.is_of(step)) else {
                continue;
            };
            let is_alike =
                |other: &&Entry| other.live == entry.live && other.facts.first() == entry.facts.first();
            let alike = tried.iter().filter_map(|other| self.entries.get(*other)).any(is_alike);
            if used.get(at).is_none_or(|used| *used) || alike {
                continue;
            }
            if self.left == 0 || best.done == steps.len() {
                return;
            }
            self.left -= 1;
            tried.push(at);
            let mut next = reached.clone();
            let from = if next.take(step, entry) { 0 } else { at + 1 };
            mark(used, at, true);
            self.share(&next, from, used, best);
            mark(used, at, false);
        }
    }
}

fn mark(used: &mut [bool], at: usize, is_used: bool) {
    if let Some(slot) = used.get_mut(at) {
        *slot = is_used;
    }
}
