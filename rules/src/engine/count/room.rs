//! How much one counting rule holds, and how it gives memory back.

use super::{CountState, Gauges, Slot};
use crate::rule::Count;
use keywatch_event::EventTime;

/// How many entries of sleeping groups take the memory of one that is awake, about 600 bytes: alone
/// in its group one takes about 180, besides the brief that rules share.
const LIGHT: usize = 3;
/// How many entries of the backlog take that. One takes about 60, but where each is by somebody else
/// the briefs are what fills memory.
const USUAL: usize = 3;

impl CountState {
    /// What is held, in entries of groups that are awake.
    pub(crate) fn len(&self) -> usize {
        let light = (self.asleep + self.explanations.len() + self.places.len()).div_ceil(LIGHT);
        self.awake + light + self.backlog.len().div_ceil(USUAL)
    }

    /// What is learned, and what of it had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        let lag = self.lag.borrow();
        Gauges {
            principals: lag.len(),
            learned_bytes: lag.bytes(),
            principals_evicted: lag.evicted(),
            unreadable: lag.unreadable(),
            ..Gauges::default()
        }
    }

    pub(crate) fn seal(&mut self, count: &Count, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
        // No entry that may still come has them in its window.
        self.backlog.forget_before(floor.plus_secs(-count.timespan_secs));
        self.groups.retain(|_, slot| match slot {
            Slot::Asleep(group) => {
                group.seal(floor, count.timespan_secs);
                group.len() > 0
            }
            Slot::Awake(group) => {
                group.seal(floor, count);
                group.dirty || !group.is_empty()
            }
        });
        self.explanations.forget_before(floor.secs() - count.timespan_secs);
        self.forget_places();
        self.recount();
    }

    fn forget_places(&mut self) {
        let is_awake = |group: u64| matches!(self.groups.get(&group), Some(Slot::Awake(_)));
        self.places.forget(self.floor, is_awake);
        self.names.retain(|group, _| is_awake(*group));
    }

    fn recount(&mut self) {
        (self.awake, self.asleep) = (0, 0);
        for slot in self.groups.values() {
            match slot {
                Slot::Asleep(group) => self.asleep += group.len(),
                Slot::Awake(group) => self.awake += group.len(),
            }
        }
    }

    /// Lets entries and explanations go until the share `part` of `of` is left: of the backlog
    /// the oldest, of the others groups of one entry first,
    /// those without an open incident before the others and the oldest before the newer, because
    /// a real attack has more than one; then the oldest of the others. How many went.
    pub(crate) fn shed(&mut self, count: &Count, (part, of): (usize, usize)) -> usize {
        let explained = self.explanations.shed(self.explanations.len() * part / of.max(1));
        let usual = self.backlog.shed(self.backlog.len() * part / of.max(1));
        let before = self.awake + self.asleep;
        let target = before * part / of.max(1);
        self.shed_singles(target, |slot| match slot {
            Slot::Asleep(_) => true,
            Slot::Awake(group) => group.latest().is_some_and(|time| !group.is_open(time, count)),
        });
        self.shed_singles(target, |_| true);
        let held = self.awake + self.asleep;
        if held > target {
            let keep = |len: usize| (len * target / held).max(1);
            for slot in self.groups.values_mut() {
                match slot {
                    Slot::Asleep(group) => group.shed(keep(group.len())),
                    Slot::Awake(group) => _ = group.shed(keep(group.len()), count),
                }
            }
            self.recount();
            // Each of the others is down to a few, and may be one of very many.
            self.shed_singles(target, |_| true);
        }
        self.forget_places();
        explained + usual + before.saturating_sub(self.awake + self.asleep)
    }

    /// Lets the oldest groups of one entry go, of those that may.
    fn shed_singles(&mut self, target: usize, may_go: impl Fn(&Slot) -> bool) {
        let single = |slot: &Slot| slot.is_single() && may_go(slot);
        let singles = self.groups.values().filter(|slot| single(slot));
        let mut latest: Vec<EventTime> = singles.filter_map(Slot::latest).collect();
        let excess = (self.awake + self.asleep).saturating_sub(target).min(latest.len());
        if excess == 0 {
            return;
        }
        let (_, bound, _) = latest.select_nth_unstable(excess - 1);
        let bound = *bound;
        self.groups.retain(|_, slot| !single(slot) || slot.latest().is_none_or(|time| time > bound));
        self.recount();
    }
}

impl Slot {
    fn is_single(&self) -> bool {
        match self {
            Self::Asleep(group) => group.len() == 1,
            Self::Awake(group) => group.len() == 1 && !group.dirty,
        }
    }

    fn latest(&self) -> Option<EventTime> {
        match self {
            Self::Asleep(group) => group.latest(),
            Self::Awake(group) => group.latest(),
        }
    }
}
