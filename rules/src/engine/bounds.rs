//! How the engine keeps its memory within its limits, and what it hands over to be stored.

use super::{Engine, Gauges, Known, Stage, State};
use crate::rule::Kind;
use keywatch_event::{EventTime, Learned};

impl Engine {
    /// Keeps memory bounded: when there are too many entries, what lies far enough back is
    /// sealed, then more recent entries too, and at last entries go, which is counted.
    pub(super) fn bound(&mut self) {
        self.gauges.entries = self.held();
        if self.gauges.entries > self.settings.entries_max {
            self.make_room();
        }
        let learned = self.states.iter().map(State::gauges).chain(self.baselines.iter().map(known_gauges));
        let entries = Gauges {
            entries: self.gauges.entries,
            entries_evicted: self.gauges.entries_evicted,
            beyond_memory: self.late_entries,
            ..Gauges::default()
        };
        self.gauges = learned.fold(entries, Gauges::plus);
    }

    fn make_room(&mut self) {
        let Some(newest) = self.newest else { return };
        let mut lateness = self.settings.lateness_secs;
        while self.gauges.entries > self.settings.entries_max / 4 * 3 && lateness > 60 {
            self.seal(newest.plus_secs(-lateness));
            self.gauges.entries = self.held();
            lateness /= 4;
        }
        if self.gauges.entries > self.settings.entries_max / 4 * 3 {
            self.shed();
        }
    }

    /// Whether entries must go.
    pub(super) fn is_full(&self) -> bool {
        self.held() > self.settings.entries_max
    }

    fn held(&self) -> usize {
        let stages = self.stages.iter().map(Stage::len);
        self.states.iter().map(State::entries).chain(stages).sum()
    }

    fn seal(&mut self, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                state.seal(count, floor);
            }
        }
        for (at, stage) in self.dispatch.chains.counted().zip(&mut self.stages) {
            if let Some(Kind::Count(count)) = self.rules.rules.get(at).map(|rule| &rule.kind) {
                stage.seal(count, floor);
            }
        }
    }

    /// Shrinks every rule's share to three quarters of the limit.
    fn shed(&mut self) {
        let (held, target) = (self.gauges.entries.max(1), self.settings.entries_max / 4 * 3);
        let mut shed = 0;
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                shed += state.shed(count, (target, held));
            }
        }
        shed += self.stages.iter_mut().map(|stage| stage.shed((target, held))).sum::<usize>();
        self.gauges.entries_evicted += shed as u64;
        self.gauges.entries = self.held();
    }

    /// Learned state that changed since the last call.
    pub(super) fn take_learned(&mut self) -> Vec<Learned> {
        if !self.settings.writes_learned {
            return Vec::new();
        }
        let mut learned = Vec::new();
        for (spec, known) in self.rules.baselines.iter().zip(&mut self.baselines) {
            learned.extend(known.take_learned(&spec.rule));
        }
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            match state {
                State::Count(state) => learned.extend(state.lag.get_mut().take_learned(&rule.id)),
                State::Silence(quiet) => learned.extend(quiet.take_learned(&rule.id)),
                State::None | State::Risk(_) => {}
            }
        }
        learned
    }

    /// Gives one piece of learned state back to whom it belongs.
    pub(super) fn restore_learned(&mut self, learned: &Learned) {
        for (spec, known) in self.rules.baselines.iter().zip(&mut self.baselines) {
            known.restore(&spec.rule, learned);
        }
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            match state {
                State::Count(state) => state.lag.get_mut().restore(&rule.id, learned),
                State::Silence(quiet) => quiet.restore(&rule.id, learned),
                State::None | State::Risk(_) => {}
            }
        }
    }
}

impl Gauges {
    fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            principals: self.principals + other.principals,
            entries_evicted: self.entries_evicted + other.entries_evicted,
            principals_evicted: self.principals_evicted + other.principals_evicted,
            beyond_memory: self.beyond_memory + other.beyond_memory,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

fn known_gauges(known: &Known) -> Gauges {
    Gauges {
        principals: known.len(),
        principals_evicted: known.evicted(),
        unreadable: known.unreadable(),
        ..Gauges::default()
    }
}

impl State {
    /// What is learned and held apart from entries.
    fn gauges(&self) -> Gauges {
        match self {
            Self::Count(state) => state.gauges(),
            Self::Silence(quiet) => quiet.gauges(),
            Self::Risk(risks) => risks.gauges(),
            Self::None => Gauges::default(),
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Count(state) => state.len(),
            Self::None | Self::Silence(_) | Self::Risk(_) => 0,
        }
    }
}
