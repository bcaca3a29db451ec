//! How the engine keeps its memory within its limits, and what it hands over to be stored.

use super::{Baselines, CountState, Engine, Gauges, Mixed, Stage, State};
use crate::rule::{Kind, RuleSet};
use keywatch_event::{EventTime, Learned};

impl Engine {
    /// Keeps memory bounded: when there are too many entries, what lies far enough back is
    /// sealed, then more recent entries too, and at last entries go, which is counted.
    pub(super) fn bound(&mut self) {
        self.gauges.entries = self.held();
        if self.gauges.entries > self.settings.entries_max {
            self.make_room();
        }
        let learned =
            self.states.iter().map(State::gauges).chain([known_gauges(&self.baselines, &self.mixed)]);
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
        self.shared.sweep();
        self.gauges.entries = self.held();
        let mut lateness = self.settings.lateness_secs;
        while self.gauges.entries > self.settings.entries_max / 4 * 3 && lateness > 60 {
            let floor = newest.plus_secs(-lateness);
            // To look through everything for nothing takes most of the time that a flood costs.
            if self.floor.is_none_or(|sealed| sealed < floor) {
                self.seal(floor);
                self.shared.sweep();
                self.gauges.entries = self.held();
            }
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
        self.states.iter().map(State::entries).chain(stages).sum::<usize>() + self.shared.held()
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

    /// Tells rules what will be given back of the past: what reaches beyond `floor`, or nothing more.
    pub(super) fn expect_past(&mut self, floor: Option<EventTime>) {
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                state.expect_past(count, floor);
            }
        }
    }

    /// Gives up judging what lies before `floor`, of which only a part is known. Rules that others count
    /// keep what they noted: those may not have looked at it yet.
    pub(super) fn close(&mut self, floor: EventTime) {
        self.floor = self.floor.max(Some(floor));
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                state.seal(count, floor);
            }
        }
        self.stages.iter_mut().for_each(|stage| stage.close(floor));
    }

    /// Shrinks every rule's share to three quarters of the limit, and drops what is open only when that
    /// leaves too much.
    fn shed(&mut self) {
        let (held, target) = (self.gauges.entries.max(1), self.settings.entries_max / 4 * 3);
        let mut shed = 0;
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            if let (Kind::Count(count), State::Count(state)) = (&rule.kind, state) {
                shed += state.shed(count, (target, held));
            }
        }
        shed += self.stages.iter_mut().map(|stage| stage.shed((target, held))).sum::<usize>();
        let max = self.settings.entries_max;
        for (enough, fully) in [(max / 8 * 7, false), (max, true)] {
            self.shared.sweep();
            let held = self.held();
            let states = self.states.iter_mut().filter_map(State::counting).filter(|_| held > enough);
            shed += states.map(|state| state.shed_open((target, held), fully)).sum::<usize>();
        }
        self.gauges.entries_evicted += shed as u64;
        self.shared.sweep();
        self.gauges.entries = self.held();
    }

    /// Learned state that changed since the last call.
    pub(super) fn take_learned(&mut self) -> Vec<Learned> {
        if !self.settings.writes_learned {
            return Vec::new();
        }
        let (newest, lateness_secs) = (self.newest, self.settings.lateness_secs);
        let mut learned = self.baselines.take_learned(&self.rules.baselines);
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            match (&rule.kind, state) {
                (Kind::Count(count), State::Count(state)) => {
                    let behind = lateness_secs + count.matters_secs(true);
                    learned.extend(state.lag.get_mut().take_learned(&rule.id));
                    let floor = newest.map(|newest| newest.plus_secs(-behind));
                    learned.extend(state.anchors.take_learned(&rule.id, floor));
                }
                (_, State::Silence(quiet)) => learned.extend(quiet.take_learned(&rule.id)),
                (_, State::Risk(risks)) => learned.extend(risks.take_learned(&rule.id)),
                (_, State::Count(_) | State::None) => {}
            }
        }
        let floor = newest.map(|newest| newest.plus_secs(-lateness_secs - self.span_secs()));
        learned.extend(self.mixed.take_learned(floor));
        learned
    }

    /// Gives one piece of learned state back to whom it belongs.
    pub(super) fn restore_learned(&mut self, learned: &Learned) {
        self.baselines.restore(&self.rules.baselines, learned);
        self.mixed.restore(learned);
        for (rule, state) in self.rules.rules.iter().zip(&mut self.states) {
            match state {
                State::Count(state) => {
                    state.lag.get_mut().restore(&rule.id, learned);
                    state.anchors.restore(&rule.id, learned);
                }
                State::Silence(quiet) => quiet.restore(&rule.id, learned),
                State::Risk(risks) => risks.restore(&rule.id, learned),
                State::None => {}
            }
        }
    }
}

impl Gauges {
    fn plus(self, other: Self) -> Self {
        Self {
            entries: self.entries + other.entries,
            principals: self.principals + other.principals,
            learned_bytes: self.learned_bytes + other.learned_bytes,
            entries_evicted: self.entries_evicted + other.entries_evicted,
            principals_evicted: self.principals_evicted + other.principals_evicted,
            beyond_memory: self.beyond_memory + other.beyond_memory,
            unreadable: self.unreadable + other.unreadable,
        }
    }
}

/// The bytes of all baselines together and of each learned threshold, of so many in all.
pub(super) fn shares(rules: &RuleSet, bytes_max: usize) -> (usize, usize) {
    let lagged = |kind: &Kind| matches!(kind, Kind::Count(count) if count.lagged.is_some());
    let lags = rules.rules.iter().filter(|rule| lagged(&rule.kind)).count();
    let baselines = bytes_max / 4 * 3;
    (baselines, (bytes_max - baselines) / lags.max(1))
}

/// By rule: how many it forgot because of the limit.
pub(super) fn forgotten<'e>(
    rules: &'e RuleSet,
    known: &'e Baselines,
    states: &'e [State],
) -> impl Iterator<Item = (&'e str, u64)> {
    let baselines = rules.baselines.iter().enumerate();
    let baselines = baselines.map(|(at, spec)| (&*spec.rule, known.evicted_of(at)));
    let states = rules.rules.iter().zip(states);
    let states = states.map(|(rule, state)| (&*rule.id, state.gauges().principals_evicted));
    baselines.chain(states).filter(|(_, evicted)| *evicted > 0)
}

fn known_gauges(known: &Baselines, mixed: &Mixed) -> Gauges {
    Gauges {
        principals: known.len(),
        learned_bytes: known.bytes(),
        principals_evicted: known.evicted(),
        unreadable: known.unreadable() + mixed.unreadable(),
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

    fn counting(&mut self) -> Option<&mut CountState> {
        match self {
            Self::Count(state) => Some(state),
            Self::None | Self::Silence(_) | Self::Risk(_) => None,
        }
    }

    fn entries(&self) -> usize {
        match self {
            Self::Count(state) => state.len(),
            Self::None | Self::Silence(_) | Self::Risk(_) => 0,
        }
    }
}
