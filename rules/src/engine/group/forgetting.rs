//! How a group gives memory back: what can no longer be judged again is sealed, what no window
//! reaches goes, and when memory is short the oldest entries go whatever windows see.

use super::{Act, Group, Window};
use crate::engine::brief::Brief;
use crate::engine::incident::Incident;
use crate::rule::Count;
use keywatch_event::EventTime;

impl Group {
    /// How many incidents are kept.
    pub(crate) fn incidents(&self) -> usize {
        self.incidents.len()
    }

    /// What its incidents keep by name, in entries.
    pub(crate) fn members(&self) -> usize {
        self.incidents.iter().map(Incident::kept).sum()
    }

    /// Event time of the latest event that an incident counts.
    pub(crate) fn last_joined(&self) -> Option<EventTime> {
        self.incidents.iter().map(|incident| incident.last).max()
    }

    /// Gives up judging what lies before `floor` again; entries more than a window before it go.
    /// Incidents still open are kept.
    pub(crate) fn seal(&mut self, floor: EventTime, count: &Count) {
        let upto = self.entries.partition_point(|entry| entry.brief.time < floor);
        let newly = upto.saturating_sub(self.sealed).min(self.steps.len());
        self.steps.drain(..newly);
        self.sealed += newly;
        let keep_from = floor.plus_secs(-count.timespan_secs);
        let old =
            self.entries.iter().take(self.sealed.min(self.window.first)).filter(|e| e.brief.time < keep_from);
        self.drop_oldest(old.count());
        self.drop_closed(floor, count);
        self.past.take_if(|past| past.until <= Some(floor));
        self.forget_names(count);
    }

    /// Lets all entries but the latest `keep` go, whatever windows see; how many went.
    pub(crate) fn shed(&mut self, keep: usize, count: &Count) -> usize {
        let excess = self.entries.len().saturating_sub(keep);
        if excess == 0 {
            return 0;
        }
        let newly = excess.saturating_sub(self.sealed).min(self.steps.len());
        self.steps.drain(..newly);
        self.sealed += newly;
        let mut window = Window::new(count);
        self.entries.drain(..excess);
        self.look_beyond(excess);
        self.sealed -= excess.min(self.sealed);
        for at in 0..self.entries.len() {
            if self.entries.get(at).is_some_and(|entry| entry.counted) {
                window.forward(&self.entries, at, count.timespan_secs);
            }
        }
        self.window = window;
        if let Some(floor) =
            self.entries.get(self.sealed).or(self.entries.last()).map(|entry| entry.brief.time)
        {
            self.drop_closed(floor, count);
        }
        self.forget_names(count);
        excess
    }

    /// Lets incidents forget the events by name that say nothing of their own. What an incident is joined
    /// with by other rules is found anew by all its events: those keep them.
    fn forget_names(&mut self, count: &Count) {
        if self.dirty || count.is_chained() {
            return;
        }
        let settled = self.settled();
        let since = self.entries.get(self.sealed).map(|entry| entry.order());
        let is_sealed = |brief: &Brief| since.is_none_or(|since| brief.order() < since);
        self.full.seal(is_sealed);
        self.base.seal(is_sealed);
        for incident in self.incidents.iter_mut().take(settled) {
            incident.forget_names(is_sealed, count);
        }
    }

    /// How many incidents were opened by entries that are sealed.
    fn settled(&self) -> usize {
        let opened_since = self.steps.iter().filter(|step| matches!(step, Act::Opened(_))).count();
        self.incidents.len().saturating_sub(opened_since)
    }

    fn drop_oldest(&mut self, count: usize) {
        if count == 0 {
            return;
        }
        // No entry that may still come has them in its window.
        self.entries.drain(..count);
        self.sealed -= count;
        self.window.first -= count;
        self.look_beyond(count);
    }

    /// Forgets incidents at the front that are over before `floor` and were made by entries that
    /// are sealed.
    fn drop_closed(&mut self, floor: EventTime, count: &Count) {
        let settled = self.settled();
        let is_over = |incident: &&Incident| {
            !incident.takes(floor, count)
                && (count.incident.repeats_secs == 0 || !incident.is_repeated(floor, count))
        };
        let over = self.incidents.iter().take(settled).take_while(is_over).count();
        for (at, incident) in self.incidents.drain(..over).enumerate() {
            let serial = self.serial + u32::try_from(at).unwrap_or(u32::MAX);
            self.full.forget(incident.full_keys.into_iter(), serial);
            self.base.forget(incident.base_keys.into_iter(), serial);
        }
        self.serial += u32::try_from(over).unwrap_or(u32::MAX);
    }
}
