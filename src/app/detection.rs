//! The rules in force as the dashboard shows them: they change with a reload, their figures with
//! every batch.

use chrono::{DateTime, Utc};
use keywatch_dashboard::{Detection, Memory, ReloadFailed, RuleInfo, Rules};
use keywatch_rules::{Gauges, Rule, RuleSet, Settings};
use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

/// What the dashboard is told of the rules; clones share it.
#[derive(Clone, Debug)]
pub(super) struct Shown(Arc<Mutex<Detection>>);

/// Most entries, and most bytes of what is learned, that the engine keeps.
#[derive(Clone, Copy, Debug)]
pub(super) struct Limits {
    entries: u64,
    learned_bytes: u64,
}

impl Limits {
    pub(super) const fn of(settings: &Settings) -> Self {
        Self { entries: settings.entries_max as u64, learned_bytes: settings.learned_bytes_max as u64 }
    }
}

impl Shown {
    pub(super) fn new(rules: &RuleSet) -> Self {
        let shown = Self(Arc::default());
        shown.loaded(rules, &[]);
        shown
    }

    /// Other rules have taken over; the keys in `waiting` take effect at the next start.
    pub(super) fn loaded(&self, rules: &RuleSet, waiting: &[&str]) {
        let mut detection = self.lock();
        detection.waiting = waiting.iter().map(|key| (*key).to_owned()).collect();
        detection.rules = Arc::new(rules.rules.iter().map(info).collect());
        detection.reload_failed = None;
    }

    /// Other rules were to take over and could not.
    pub(super) fn not_loaded(&self, at: DateTime<Utc>, why: String) {
        self.lock().reload_failed = Some(ReloadFailed { at, why });
    }

    /// Takes the engine's figures.
    pub(super) fn holds(&self, gauges: Gauges, forgotten: Vec<(String, u64)>, late: u64, limits: Limits) {
        self.lock().memory = Memory {
            entries: (gauges.entries as u64, limits.entries),
            principals: gauges.principals as u64,
            learned_bytes: (gauges.learned_bytes as u64, limits.learned_bytes),
            entries_evicted: gauges.entries_evicted,
            principals_evicted: gauges.principals_evicted,
            forgotten,
            late,
        };
    }

    /// The ids of the rules in force.
    pub(super) fn names(&self) -> BTreeSet<String> {
        self.lock().rules.iter().map(|rule| rule.id.clone()).collect()
    }

    /// What the dashboard asks.
    pub(super) fn informant(&self) -> Rules {
        let shown = self.clone();
        Arc::new(move || shown.lock().clone())
    }

    fn lock(&self) -> MutexGuard<'_, Detection> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn info(rule: &Rule) -> RuleInfo {
    RuleInfo {
        id: rule.id.to_string(),
        title: rule.title.clone(),
        level: rule.level,
        action: rule.action.clone(),
        description: rule.description.clone(),
        runbook: rule.runbook.clone(),
        tags: rule.tags.clone(),
        place: format!("{}:{}", rule.file, rule.line),
        blind: rule.blind.clone(),
    }
}
