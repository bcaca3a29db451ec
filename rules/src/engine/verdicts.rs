//! A batch being judged: what was said of each of its events so far.

use super::brief::Brief;
use super::incident::Incident;
use crate::rule::Rule;
use keywatch_event::{AlertChange, Classified, Evaluation, Kept, Learned, Level};
use std::sync::Arc;

/// What was said of a batch so far.
#[derive(Debug)]
pub(crate) struct Verdicts {
    classified: Vec<Classified>,
    pub(crate) changes: Vec<AlertChange>,
    kept: Vec<Kept>,
}

impl Verdicts {
    pub(crate) fn new(events: usize) -> Self {
        let nothing = Classified { level: Level::Info, rules: Vec::new(), matters_secs: 0 };
        Self { classified: vec![nothing; events], changes: Vec::new(), kept: Vec::new() }
    }

    /// So many rules will say something of the event at `at`.
    pub(crate) fn expect(&mut self, at: usize, rules: usize) {
        if let Some(said) = self.classified.get_mut(at) {
            said.rules.reserve(rules);
        }
    }

    /// A rule says something of the event at `at`.
    pub(crate) fn say(&mut self, at: usize, rule: &Rule, level: Level) {
        let Some(said) = self.classified.get_mut(at) else { return };
        // A rule's id is one text wherever it stands.
        if !said.rules.iter().any(|known| Arc::ptr_eq(known, &rule.id)) {
            let position = if level > said.level { 0 } else { said.rules.len() };
            said.rules.insert(position, Arc::clone(&rule.id));
        }
        said.level = said.level.max(level);
    }

    /// The event at `at` may matter to windows for so long after its time.
    pub(crate) fn matters(&mut self, at: usize, secs: i64) {
        if let Some(said) = self.classified.get_mut(at) {
            said.matters_secs = said.matters_secs.max(u32::try_from(secs).unwrap_or(u32::MAX));
        }
    }

    /// The events of this batch that belong to an incident are said to.
    pub(crate) fn say_members(&mut self, batch: u64, rule: &Rule, incident: &Incident) {
        for member in &incident.members {
            let (came_in, at) = member.brief.batch;
            if came_in == batch {
                self.say(usize::try_from(at).unwrap_or(usize::MAX), rule, incident.level);
            }
        }
    }

    /// An event of this batch or an earlier one matters for so long after its time, which was not known when
    /// it was judged.
    pub(crate) fn keep(&mut self, batch: u64, brief: &Brief, secs: i64) {
        let (came_in, at) = brief.batch;
        if came_in == batch {
            return self.matters(usize::try_from(at).unwrap_or(usize::MAX), secs);
        }
        let matters_secs = u32::try_from(secs).unwrap_or(u32::MAX);
        self.kept.push(Kept { event: brief.id.to_string(), time: brief.time, matters_secs });
    }

    pub(crate) fn finish(self, learned: Vec<Learned>) -> Evaluation {
        Evaluation { classified: self.classified, changes: self.changes, learned, kept: self.kept }
    }
}
