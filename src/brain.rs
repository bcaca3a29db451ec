//! Stand-in for the engine's coming interface.

use keywatch_event::{Classified, Evaluation, EventTime, Learned, Level};
use keywatch_rules::{Gauges, RuleSet, Seen, Settings};
use std::sync::Arc;

pub(crate) struct Signal<'a> {
    pub(crate) seen: Seen<'a>,
    pub(crate) rules: Vec<String>,
}

#[derive(Debug)]
pub(crate) struct Engine(keywatch_rules::Engine);

impl Engine {
    pub(crate) fn new(rules: Arc<RuleSet>, settings: Settings) -> Self {
        Self(keywatch_rules::Engine::new(rules, settings))
    }

    pub(crate) fn restore(&mut self, learned: &[Learned], signals: &[Signal<'_>]) {
        let seen: Vec<Seen<'_>> = signals.iter().map(|signal| signal.seen).collect();
        drop(signals.iter().map(|signal| signal.rules.len()));
        self.0.restore(learned, &seen);
    }

    pub(crate) fn evaluate(&mut self, seen: &[Seen<'_>]) -> Evaluation {
        self.0.evaluate(seen)
    }

    pub(crate) fn tick(&mut self, _now: EventTime) -> Evaluation {
        let _ = self.0.gauges();
        Evaluation::default()
    }

    pub(crate) fn floor(&self) -> Option<EventTime> {
        let _ = self.0.gauges();
        None
    }

    pub(crate) fn revise(&self, late: &[Seen<'_>], _history: &[Signal<'_>]) -> Evaluation {
        let _ = self.0.gauges();
        let quiet = Classified { level: Level::Info, rules: Vec::new(), matters_secs: 0 };
        Evaluation { classified: vec![quiet; late.len()], ..Evaluation::default() }
    }

    pub(crate) fn span_secs(&self) -> i64 {
        let _ = self.0.gauges();
        90_000
    }

    pub(crate) fn gauges(&self) -> Gauges {
        self.0.gauges()
    }
}
