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
/// How many entries take the memory of an incident with its group and the keys it is found by, 1.8 kB. The
/// events it keeps by name count as an entry each too: when no window reaches one any more, all that is
/// remembered of it stays because of the incident.
const INCIDENT: usize = 3;

impl CountState {
    /// What is held, in entries of groups that are awake.
    pub(crate) fn len(&self) -> usize {
        let light = (self.asleep + self.explanations.len() + self.places.len()).div_ceil(LIGHT);
        self.awake + INCIDENT * self.incidents + self.members + light + self.backlog.len().div_ceil(USUAL)
    }

    /// What is learned, and what of it had to go.
    pub(crate) fn gauges(&self) -> Gauges {
        let lag = self.lag.borrow();
        Gauges {
            principals: lag.len(),
            learned_bytes: lag.bytes(),
            principals_evicted: lag.evicted() + self.anchors.evicted(),
            unreadable: lag.unreadable() + self.anchors.unreadable(),
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
        (self.awake, self.asleep, self.incidents, self.members) = (0, 0, 0, 0);
        for slot in self.groups.values() {
            match slot {
                Slot::Asleep(group) => self.asleep += group.len(),
                Slot::Awake(group) => {
                    self.awake += group.len();
                    self.incidents += group.incidents();
                    self.members += group.members();
                }
            }
        }
    }

    /// Lets entries and explanations go until the share `part` of `of` is left, or an open incident with what
    /// little its window needs: of the backlog the oldest; of groups of which an incident alone is left
    /// as many as are too many, those that came to nothing more for longest; of the others groups of one
    /// entry first, the oldest before the newer, because a real attack has more than one; then the
    /// oldest entries of the others. How much went.
    pub(crate) fn shed(&mut self, count: &Count, (part, of): (usize, usize)) -> usize {
        let share = |all: usize| all * part / of.max(1);
        let explained = self.explanations.shed(share(self.explanations.len()));
        let usual = self.backlog.shed(share(self.backlog.len()));
        let before = self.weight();
        let target = share(before);
        let over: usize = self.groups.values().filter(|slot| slot.is_over()).map(Slot::weight).sum();
        self.shed_oldest(before - (over - share(over)), false, Slot::is_over);
        self.shed_oldest(target, true, |slot| slot.is_single() && !slot.is_open(count));
        let held = self.weight();
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
            self.shed_oldest(target, true, |slot| slot.is_single() && !slot.is_open(count));
        }
        self.forget_places();
        explained + usual + before.saturating_sub(self.weight())
    }

    /// Lets whole groups go, whatever is open in them, until the share `part` of `of` is left: those of one
    /// entry first, the oldest before the newer. How much went.
    ///
    /// Unless it is to do so `fully`, a rule keeps the group with which it would give more than its part.
    pub(crate) fn shed_open(&mut self, (part, of): (usize, usize), fully: bool) -> usize {
        let before = self.weight();
        let target = before * part / of.max(1);
        self.shed_oldest(target, fully, Slot::is_single);
        self.shed_oldest(target, fully, |_| true);
        self.forget_places();
        before.saturating_sub(self.weight())
    }

    /// Lets the oldest groups go, of those that may and have told everything, until so much is left:
    /// `fully`, or as many as leave no less.
    fn shed_oldest(&mut self, target: usize, fully: bool, may_go: impl Fn(&Slot) -> bool) {
        let Some(excess) = self.weight().checked_sub(target).filter(|excess| *excess > 0) else { return };
        let going = |slot: &Slot| slot.latest().filter(|_| may_go(slot) && slot.is_told());
        let ages = self.groups.values().filter_map(|slot| Some((going(slot)?, slot.weight())));
        let mut ages: Vec<(EventTime, usize)> = ages.collect();
        ages.sort_unstable();
        let mut freed = 0;
        let goes = |(_, weight): &&(EventTime, usize)| {
            let before = freed;
            freed += weight;
            if fully { before < excess } else { freed <= excess }
        };
        let Some((bound, _)) = ages.iter().take_while(goes).last().copied() else { return };
        self.groups.retain(|_, slot| going(slot).is_none_or(|time| time > bound));
        self.recount();
    }

    /// What groups hold, in entries.
    fn weight(&self) -> usize {
        self.awake + self.asleep + INCIDENT * self.incidents + self.members
    }
}

impl Slot {
    /// Whether nothing of it waits to be told.
    fn is_told(&self) -> bool {
        match self {
            Self::Asleep(_) => true,
            Self::Awake(group) => !group.dirty,
        }
    }

    fn is_single(&self) -> bool {
        self.len() == 1
    }

    /// Whether an incident alone is left.
    fn is_over(&self) -> bool {
        self.len() == 0
    }

    /// Whether an incident is open at its latest entry.
    fn is_open(&self, count: &Count) -> bool {
        match self {
            Self::Asleep(_) => false,
            Self::Awake(group) => group.latest().is_none_or(|time| group.is_open(time, count)),
        }
    }

    fn len(&self) -> usize {
        match self {
            Self::Asleep(group) => group.len(),
            Self::Awake(group) => group.len(),
        }
    }

    /// What it holds, in entries.
    fn weight(&self) -> usize {
        match self {
            Self::Asleep(group) => group.len(),
            Self::Awake(group) => group.len() + INCIDENT * group.incidents() + group.members(),
        }
    }

    /// Event time of the latest entry, or of the latest event of its incidents where no entry is left.
    fn latest(&self) -> Option<EventTime> {
        match self {
            Self::Asleep(group) => group.latest(),
            Self::Awake(group) => group.latest().or_else(|| group.last_joined()),
        }
    }
}

#[cfg(test)]
#[path = "room_tests.rs"]
mod tests;
