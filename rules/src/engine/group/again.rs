//! Looking again at what was swept, when an entry turns out to mean something else.

use super::{Act, Group, Sweep};
use crate::engine::brief::Brief;
use crate::engine::entry::Entry;
use crate::engine::incident::Incident;
use crate::engine::instant::can_end;
use keywatch_event::EventTime;

impl Group {
    /// Sweeps again from the first entry at or after `from`: what it is by itself changed.
    pub(crate) fn look_again(&mut self, from: EventTime, sweep: &Sweep<'_>) {
        let at = self.entries.partition_point(|entry| entry.brief.time < from);
        self.sweep_again(at, sweep);
    }

    /// Looks again at the entry of an event that other rules count otherwise than before, or for other
    /// reasons. One that counts from now on is as one that comes late.
    pub(crate) fn look_at_one(&mut self, brief: &Brief, sweep: &Sweep<'_>) {
        let at = self.position(brief).filter(|at| (self.sealed..self.swept()).contains(at));
        let Some((at, entry)) = at.and_then(|at| Some((at, self.entries.get(at)?))) else { return };
        if (sweep.live)(entry) == entry.live {
            return self.touch_around(brief.time);
        }
        if entry.counted || can_end(sweep.count) || self.step_at(at) != Some(&Act::Nothing) {
            return self.sweep_again(at, sweep);
        }
        self.steps.remove(at - self.sealed);
        let entry = self.entries.remove(at);
        self.window.first -= usize::from(at < self.window.first);
        self.look_past(at);
        self.place_late(at, entry, sweep);
        self.dirty |= self.swept() < self.entries.len();
        if sweep.count.lagged.is_some() {
            self.finish(sweep);
        }
    }

    /// Sweeps again from the first entry between `from` and `until` that is explained now, or not any
    /// more; does nothing when there is none.
    pub(crate) fn look_at_waiting(&mut self, (from, until): (EventTime, EventTime), sweep: &Sweep<'_>) {
        let at = self.entries.partition_point(|entry| entry.brief.time < from).max(self.sealed);
        let swept = self.entries.get(..self.swept()).unwrap_or_default();
        let mut near = swept.iter().skip(at).take_while(|entry| entry.brief.time <= until);
        if let Some(first) = near.position(|entry| entry.counted != sweep.counts(entry)) {
            self.sweep_again(at + first, sweep);
        }
    }

    fn sweep_again(&mut self, at: usize, sweep: &Sweep<'_>) {
        let time = self.entries.get(at).map(|entry| entry.brief.time);
        let at = time.map_or(at, |time| self.since(at, time, sweep.count));
        self.wind_back(at.max(self.sealed), sweep.count);
        self.dirty |= self.swept() < self.entries.len();
        if sweep.count.lagged.is_some() {
            self.finish(sweep);
        }
    }

    /// Others may stand behind an event of that time: all incidents are touched that may have it.
    fn touch_around(&mut self, time: EventTime) {
        let has = |(_, incident): &(u32, &Incident)| (incident.first..=incident.last).contains(&time);
        let around = (self.serial..).zip(&self.incidents).filter(has);
        let around: Vec<u32> = around.map(|(serial, _)| serial).collect();
        for serial in around {
            self.touch(serial);
        }
    }

    /// Puts an entry that lies before others that are swept in its place.
    pub(super) fn place_late(&mut self, at: usize, entry: Box<Entry>, sweep: &Sweep<'_>) {
        if let Some(entry) = self.slip_in(at, entry, sweep) {
            self.wind_back(self.since(at, entry.brief.time, sweep.count), sweep.count);
            self.entries.insert(at, entry);
        }
    }
}
