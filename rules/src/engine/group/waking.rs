//! How a group comes to be of what lay asleep. What was judged then is not judged again.

use super::{Act, Group, Sweep};
use crate::engine::anchor::Past;
use crate::engine::entry::Entry;
use crate::rule::Count;

/// What a group is made of that slept.
pub(crate) struct Slept {
    pub(crate) entries: Vec<Entry>,
    /// How many of the oldest are sealed.
    pub(crate) sealed: usize,
    /// How many of the oldest were judged when they came, and opened nothing.
    pub(crate) judged: usize,
    /// What is known from before a restart.
    pub(crate) past: Option<Past>,
}

impl Group {
    /// A group that slept until now.
    pub(crate) fn woken(
        count: &Count,
        Slept { entries, sealed, judged, past }: Slept,
        sweep: &Sweep<'_>,
    ) -> Self {
        let entries = entries.into_iter().map(Box::new).collect();
        let mut group = Self { entries, ..Self::new(count) };
        group.past = past.map(|mut past| {
            group.ghosts = std::mem::take(&mut past.over).into();
            Box::new(past)
        });
        group.pass(judged, sweep);
        group.go_on(sealed, sweep);
        group.sealed = sealed.min(group.steps.len());
        group.steps.drain(..group.sealed);
        group
    }

    /// Sweeps the entries up to that at `to`, which are known to open and join nothing.
    fn pass(&mut self, to: usize, sweep: &Sweep<'_>) {
        for at in self.swept()..to.min(self.entries.len()) {
            self.look_upon(at, sweep);
            self.steps.push(Act::Nothing);
        }
    }
}
