//! Alerts that another alert holds whole are not told of apart.
//!
//! A rule names, as `part_of`, the rules that may say the same with more weight. An alert is part
//! of one of theirs when that has at least its level and cites every event it does. What is told
//! is a function of the alerts that stand, whatever the order in which they came to be.

use super::weight::bytes_of;
use super::words::hashed;
use crate::rule::RuleSet;
use hashbrown::{HashMap, HashSet};
use keywatch_event::{Alert, AlertChange, AlertId, EventTime, Level};
use std::collections::BTreeSet;
use std::sync::Arc;

/// Most alerts remembered, and most bytes of them: one with a single event takes a kilobyte, one that shows
/// twenty events and a hundred secrets twenty. The oldest goes first, and is then told of as it was last.
const ALERTS_MAX: usize = 20_000;
const BYTES_MAX: usize = 16 << 20;
/// Seconds after its last event for which an alert is remembered: longer than an incident takes
/// events, and a day for what comes late.
const KEPT_SECS: i64 = 3 * 86_400;

/// The alerts that may be part of others, and those others.
#[derive(Debug, Default)]
pub(crate) struct Parts {
    /// By rule: the rules whose alerts may hold its own.
    part_of: HashMap<Arc<str>, Vec<Arc<str>>>,
    wholes: HashSet<Arc<str>>,
    /// By number, in the order in which they came.
    standing: HashMap<u64, Standing>,
    numbers: HashMap<AlertId, u64>,
    next: u64,
    /// By what an event's id is hashed to: the alerts that cite it.
    citing: HashMap<u64, Vec<u64>>,
    by_age: BTreeSet<(EventTime, u64)>,
    bytes: usize,
}

#[derive(Debug)]
struct Standing {
    id: AlertId,
    rule: Arc<str>,
    level: Level,
    events: u64,
    /// The ids of the events it shows, hashed: by that alone they are known here.
    cites: Box<[u64]>,
    /// When its latest event happened.
    last: EventTime,
    /// What is told of it, where it may be part of another: what cannot be is told at once.
    alert: Option<Box<Alert>>,
    hold_secs: u32,
    /// The id under which it was last told of; `None` while another alert holds it.
    told_as: Option<AlertId>,
    /// It changed since, and whether that is news.
    changed: Option<bool>,
    bytes: usize,
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
        for number in touched {
            told.extend(self.look_at(number));
        }
        if let Some(newest) = newest {
            self.forget_before(newest.plus_secs(-KEPT_SECS));
        }
        told
    }

    fn hear(&mut self, change: AlertChange, told: &mut Vec<AlertChange>, touched: &mut Vec<u64>) {
        match change {
            AlertChange::Opened { alert, hold_secs } => match self.rule_of(&alert) {
                Some(rule) => {
                    let new = Standing { hold_secs, ..Standing::of(rule, &alert) };
                    self.put(new, alert, told, touched);
                }
                None => told.push(AlertChange::Opened { alert, hold_secs }),
            },
            AlertChange::Updated { alert, was, news } => match self.rule_of(&alert) {
                Some(rule) => {
                    let old = self.remove(&was, touched);
                    let (hold_secs, told_as) = old.map_or((0, Some(was)), |old| (old.hold_secs, old.told_as));
                    let changed = Some(news);
                    let new = Standing { hold_secs, told_as, changed, ..Standing::of(rule, &alert) };
                    self.put(new, alert, told, touched);
                }
                None => told.push(AlertChange::Updated { alert, was, news }),
            },
            AlertChange::Withdrawn { id, reason } => {
                let old = self.remove(&id, touched);
                let told_as = old.map_or(Some(id), |old| old.told_as);
                told.extend(told_as.map(|id| AlertChange::Withdrawn { id, reason }));
            }
        }
    }

    /// The alert's rule, when its alerts may be parts or wholes.
    fn rule_of(&self, alert: &Alert) -> Option<Arc<str>> {
        let part = self.part_of.get_key_value(&*alert.rule).map(|(rule, _)| rule);
        part.or_else(|| self.wholes.get(&*alert.rule)).cloned()
    }

    /// Remembers an alert. One that is no part of anything is told of at once.
    fn put(
        &mut self,
        mut standing: Standing,
        alert: Alert,
        told: &mut Vec<AlertChange>,
        touched: &mut Vec<u64>,
    ) {
        let number = self.next;
        self.next += 1;
        if self.part_of.contains_key(&standing.rule) {
            standing.bytes += bytes_of(&alert);
            standing.alert = Some(Box::new(alert));
        } else {
            told.extend(standing.tell(alert));
        }
        for event in &standing.cites {
            self.citing.entry(*event).or_insert_with(|| Vec::with_capacity(1)).push(number);
        }
        self.bytes += standing.bytes;
        self.by_age.insert((standing.last, number));
        self.numbers.insert(standing.id.clone(), number);
        self.standing.insert(number, standing);
        self.touch(number, touched);
    }

    fn remove(&mut self, id: &AlertId, touched: &mut Vec<u64>) -> Option<Standing> {
        let number = *self.numbers.get(id)?;
        self.touch(number, touched);
        self.forget(number)
    }

    fn forget(&mut self, number: u64) -> Option<Standing> {
        let old = self.standing.remove(&number)?;
        self.numbers.remove(&old.id);
        self.by_age.remove(&(old.last, number));
        self.bytes -= old.bytes;
        for event in &old.cites {
            if let Some(citing) = self.citing.get_mut(event) {
                citing.retain(|other| *other != number);
                if citing.is_empty() {
                    self.citing.remove(event);
                }
            }
        }
        Some(old)
    }

    /// The alert, and the parts it may hold, must be looked at again.
    fn touch(&self, number: u64, touched: &mut Vec<u64>) {
        touched.push(number);
        let Some(standing) = self.standing.get(&number).filter(|one| self.wholes.contains(&one.rule)) else {
            return;
        };
        let citing = standing.cites.iter().filter_map(|event| self.citing.get(event));
        touched.extend(citing.flatten());
    }

    /// What is to be told of an alert that may be a part.
    fn look_at(&mut self, number: u64) -> Option<AlertChange> {
        let standing = self.standing.get(&number)?;
        let part_of = self.part_of.get(&standing.rule)?;
        let whole = self.whole_of(standing, part_of).cloned();
        let standing = self.standing.get_mut(&number)?;
        if let Some(whole) = whole {
            standing.changed = Some(true);
            let id = standing.told_as.take()?;
            return Some(AlertChange::Withdrawn { id, reason: format!("it is part of {whole}") });
        }
        standing.changed?;
        let alert = standing.alert.as_deref()?.clone();
        standing.tell(alert)
    }

    /// The alert that holds `part`.
    fn whole_of(&self, part: &Standing, part_of: &[Arc<str>]) -> Option<&AlertId> {
        let candidates = self.citing.get(part.cites.first()?)?.iter();
        let mut wholes = candidates.filter_map(|number| self.standing.get(number));
        let whole = wholes.find(|whole| part_of.contains(&whole.rule) && whole.holds(part));
        whole.map(|whole| &whole.id)
    }

    /// Forgets what lies before `time`, and the oldest of what is too much.
    fn forget_before(&mut self, time: EventTime) {
        while let Some((last, number)) = self.by_age.first().copied() {
            let is_full = self.standing.len() > ALERTS_MAX || self.bytes > BYTES_MAX;
            if last >= time && !is_full {
                return;
            }
            self.forget(number);
        }
    }
}

impl Standing {
    /// An alert nobody was told of.
    fn of(rule: Arc<str>, alert: &Alert) -> Self {
        let cites: Box<[u64]> = alert.evidence.iter().map(|row| hashed(&row.event)).collect();
        // An entry of each table with as much again for room, the id three times, and each event
        // with its own list.
        let bytes = 2 * size_of::<Self>() + 3 * (alert.id.0.len() + 40) + cites.len() * 100;
        Self {
            id: alert.id.clone(),
            rule,
            level: alert.level,
            events: alert.events,
            cites,
            last: alert.last_event_at,
            alert: None,
            hold_secs: 0,
            told_as: None,
            changed: Some(true),
            bytes,
        }
    }

    /// What is to be told of it as it is now, unless that was told.
    fn tell(&mut self, alert: Alert) -> Option<AlertChange> {
        let news = self.changed.take()?;
        match self.told_as.replace(self.id.clone()) {
            None => Some(AlertChange::Opened { alert, hold_secs: self.hold_secs }),
            Some(was) => Some(AlertChange::Updated { alert, was, news }),
        }
    }

    /// Whether it weighs as much as `part` and cites all that cites. An alert shows its first events only;
    /// one with more events than it shows is held by one with as many.
    fn holds(&self, part: &Self) -> bool {
        let shows_all = part.events <= part.cites.len() as u64;
        self.level >= part.level
            && (shows_all || self.events >= part.events)
            && part.cites.iter().all(|event| self.cites.contains(event))
    }
}

#[cfg(test)]
#[path = "parts_tests.rs"]
mod tests;
