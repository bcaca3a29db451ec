//! Alerts that another alert holds whole are not told of apart.
//!
//! A rule names, as `part_of`, the rules that may say the same with more weight. An alert is part
//! of one of theirs when that has at least its level and cites every event it does. What is told
//! is a function of the alerts that stand, whatever the order in which they came to be.

use crate::rule::RuleSet;
use hashbrown::{HashMap, HashSet};
use keywatch_event::{Alert, AlertChange, AlertId, EventTime};
use std::sync::Arc;

/// Most alerts remembered. One is about 3 kB with its evidence, so that all are about 60 MB; the
/// oldest goes first, and is then told of as it was last.
const ALERTS_MAX: usize = 20_000;
/// Seconds after its last event for which an alert is remembered: longer than an incident takes
/// events, and a day for what comes late.
const KEPT_SECS: i64 = 3 * 86_400;

/// The alerts that may be part of others, and those others.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// By rule: the rules whose alerts may hold its own.
    part_of: HashMap<Arc<str>, Vec<Arc<str>>>,
    wholes: HashSet<Arc<str>>,
    standing: HashMap<AlertId, Standing>,
    /// By event: the alerts that cite it.
    citing: HashMap<Box<str>, Vec<AlertId>>,
}

#[derive(Debug)]
struct Standing {
    alert: Arc<Alert>,
    hold_secs: u32,
    /// The id under which it was last told of; `None` while another alert holds it.
    told_as: Option<AlertId>,
    /// It changed since, and whether that is news.
    changed: Option<bool>,
}

impl Parts {
    pub(crate) fn new(rules: &RuleSet) -> Self {
        let parts = rules.rules.iter().filter(|rule| !rule.part_of.is_empty());
        let part_of: HashMap<Arc<str>, Vec<Arc<str>>> =
            parts.map(|rule| (Arc::clone(&rule.id), rule.part_of.clone())).collect();
        let wholes = part_of.values().flatten().cloned().collect();
        Self { part_of, wholes, ..Self::default() }
    }

    /// Takes what changed about alerts, and says what is to be told of it.
    pub(crate) fn settle(
        &mut self,
        changes: Vec<AlertChange>,
        newest: Option<EventTime>,
    ) -> Vec<AlertChange> {
        if self.part_of.is_empty() {
            return changes;
        }
        let (mut told, mut touched) = (Vec::with_capacity(changes.len()), Vec::new());
        for change in changes {
            self.hear(change, &mut told, &mut touched);
        }
        // What a whole cites may be part of it now, or not any more.
        touched.sort_unstable();
        touched.dedup();
        for id in &touched {
            told.extend(self.look_at(id));
        }
        if let Some(newest) = newest {
            self.forget_before(newest.plus_secs(-KEPT_SECS));
        }
        told
    }

    fn hear(&mut self, change: AlertChange, told: &mut Vec<AlertChange>, touched: &mut Vec<AlertId>) {
        match change {
            AlertChange::Opened { alert, hold_secs } if self.concerns(&alert) => {
                let before =
                    Standing { alert: Arc::new(alert), hold_secs, told_as: None, changed: Some(true) };
                self.put(before, told, touched);
            }
            AlertChange::Updated { alert, was, news } if self.concerns(&alert) => {
                let old = self.remove(&was, touched);
                let (hold_secs, told_as) = old.map_or((0, Some(was)), |old| (old.hold_secs, old.told_as));
                let standing = Standing { alert: Arc::new(alert), hold_secs, told_as, changed: Some(news) };
                self.put(standing, told, touched);
            }
            AlertChange::Withdrawn { id, reason } => {
                let old = self.remove(&id, touched);
                let told_as = old.map_or(Some(id), |old| old.told_as);
                told.extend(told_as.map(|id| AlertChange::Withdrawn { id, reason }));
            }
            other @ (AlertChange::Opened { .. } | AlertChange::Updated { .. }) => told.push(other),
        }
    }

    fn concerns(&self, alert: &Alert) -> bool {
        self.part_of.contains_key(&*alert.rule) || self.wholes.contains(&*alert.rule)
    }

    /// Remembers an alert. One that is no part of anything is told of at once.
    fn put(&mut self, mut standing: Standing, told: &mut Vec<AlertChange>, touched: &mut Vec<AlertId>) {
        let id = standing.alert.id.clone();
        if !self.part_of.contains_key(&*standing.alert.rule) {
            told.extend(standing.tell());
        }
        for row in &standing.alert.evidence {
            self.citing.entry_ref(&*row.event).or_default().push(id.clone());
        }
        self.standing.insert(id.clone(), standing);
        self.touch(&id, touched);
    }

    fn remove(&mut self, id: &AlertId, touched: &mut Vec<AlertId>) -> Option<Standing> {
        self.touch(id, touched);
        let old = self.standing.remove(id)?;
        for row in &old.alert.evidence {
            if let Some(citing) = self.citing.get_mut(&*row.event) {
                citing.retain(|other| other != id);
                if citing.is_empty() {
                    self.citing.remove(&*row.event);
                }
            }
        }
        Some(old)
    }

    /// The alert, and the parts it may hold, must be looked at again.
    fn touch(&self, id: &AlertId, touched: &mut Vec<AlertId>) {
        touched.push(id.clone());
        let Some(standing) = self.standing.get(id).filter(|one| self.wholes.contains(&*one.alert.rule))
        else {
            return;
        };
        let citing = standing.alert.evidence.iter().filter_map(|row| self.citing.get(&*row.event));
        touched.extend(citing.flatten().cloned());
    }

    /// What is to be told of an alert that may be a part.
    fn look_at(&mut self, id: &AlertId) -> Option<AlertChange> {
        let standing = self.standing.get(id)?;
        let part_of = self.part_of.get(&*standing.alert.rule)?;
        let whole = self.whole_of(&standing.alert, part_of).cloned();
        let standing = self.standing.get_mut(id)?;
        match whole {
            Some(whole) => {
                standing.changed = Some(true);
                let id = standing.told_as.take()?;
                Some(AlertChange::Withdrawn { id, reason: format!("it is part of {whole}") })
            }
            None => standing.tell(),
        }
    }

    /// The alert that holds `part`.
    fn whole_of(&self, part: &Alert, part_of: &[Arc<str>]) -> Option<&AlertId> {
        let first = part.evidence.first()?;
        let candidates = self.citing.get(&*first.event)?.iter();
        let mut wholes = candidates.filter(|id| {
            self.standing.get(*id).is_some_and(|whole| {
                part_of.iter().any(|rule| **rule == *whole.alert.rule) && holds(&whole.alert, part)
            })
        });
        wholes.next()
    }

    fn forget_before(&mut self, time: EventTime) {
        let mut old: Vec<(EventTime, AlertId)> = Vec::new();
        if self.standing.len() > ALERTS_MAX {
            old = self.standing.values().map(|one| (one.alert.last_event_at, one.alert.id.clone())).collect();
            old.sort_unstable();
            old.truncate(self.standing.len() - ALERTS_MAX / 4 * 3);
        } else if self.standing.values().any(|one| one.alert.last_event_at < time) {
            let gone = self.standing.values().filter(|one| one.alert.last_event_at < time);
            old = gone.map(|one| (one.alert.last_event_at, one.alert.id.clone())).collect();
        }
        for (_, id) in old {
            self.remove(&id, &mut Vec::new());
        }
    }
}

impl Standing {
    /// What is to be told of it as it is now, unless that was told.
    fn tell(&mut self) -> Option<AlertChange> {
        let news = self.changed.take()?;
        let alert = Alert::clone(&self.alert);
        let id = alert.id.clone();
        match self.told_as.replace(id) {
            None => Some(AlertChange::Opened { alert, hold_secs: self.hold_secs }),
            Some(was) => Some(AlertChange::Updated { alert, was, news }),
        }
    }
}

/// Whether `whole` weighs as much as `part` and cites all it cites. An alert shows its first
/// events only; one with more events than it shows is held by one with as many.
fn holds(whole: &Alert, part: &Alert) -> bool {
    let cites = |event: &str| whole.evidence.iter().any(|row| *row.event == *event);
    let shows_all = part.events <= part.evidence.len() as u64;
    whole.level >= part.level
        && (shows_all || whole.events >= part.events)
        && part.evidence.iter().all(|row| cites(&row.event))
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
