//! Two sets of rules over the same events, and how the alerts of one differ from the other's.
//!
//! Memory does not grow with the events: of every alert a summary is kept, and there is a limit to
//! how many there may be.

use keywatch_event::{Alert, AlertChange, EventTime, Evidence, Level};
use keywatch_rules::{Engine, RuleSet, Seen, Settings};
use serde::Serialize;
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;

/// Most alerts of one side: at 3 KB each, evidence included, 150 MB.
const ALERTS_MAX: usize = 50_000;

/// The rules raise more alerts than can be compared.
#[derive(Debug, thiserror::Error)]
#[error(
    "the rules raise more than {ALERTS_MAX} alerts here; narrow the rule, or try it on less history with --since"
)]
pub(crate) struct TooMany;

/// Two sets of rules at work.
#[derive(Debug)]
pub(crate) struct Trial {
    before: Side,
    after: Side,
    events: u64,
    span: Option<(EventTime, EventTime)>,
}

/// One set of rules and the alerts that stand.
#[derive(Debug)]
struct Side {
    engine: Engine,
    standing: BTreeMap<String, Raised>,
}

/// An alert, as far as it is compared and shown.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Raised {
    pub(crate) id: String,
    pub(crate) rule: String,
    pub(crate) level: Level,
    pub(crate) title: String,
    pub(crate) opened_at: EventTime,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(crate) principal: Option<String>,
    pub(crate) events: u64,
    pub(crate) evidence: Vec<Evidence>,
}

/// The same incident, told differently.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct Changed {
    pub(crate) before: Raised,
    pub(crate) after: Raised,
}

/// How the alerts differ, each list in order of opening.
#[derive(Debug, Default, Serialize)]
pub(crate) struct Difference {
    /// Events both were given.
    pub(crate) events: u64,
    /// Event times of the earliest and the latest.
    pub(crate) from: Option<EventTime>,
    pub(crate) to: Option<EventTime>,
    /// Alerts that are the same.
    pub(crate) same: u64,
    /// Alerts only the rules on trial raise.
    pub(crate) gained: Vec<Raised>,
    /// Alerts only the rules in force raise.
    pub(crate) lost: Vec<Raised>,
    /// Incidents both see, opened at another event, at another level or with other events.
    pub(crate) changed: Vec<Changed>,
}

impl Trial {
    /// Rules in force, and rules on trial, with the same settings.
    pub(crate) fn new(before: RuleSet, after: RuleSet, settings: &Settings) -> Self {
        let side = |rules: RuleSet| Side {
            engine: Engine::new(Arc::new(rules), settings.clone()),
            standing: BTreeMap::new(),
        };
        Self { before: side(before), after: side(after), events: 0, span: None }
    }

    /// Takes events nobody has seen before.
    pub(crate) fn take(&mut self, seen: &[Seen<'_>]) -> Result<(), TooMany> {
        self.events += seen.len() as u64;
        for time in seen.iter().map(|one| one.event.time) {
            let (first, last) = self.span.unwrap_or((time, time));
            self.span = Some((first.min(time), last.max(time)));
        }
        for side in [&mut self.before, &mut self.after] {
            let said = side.engine.evaluate(seen).changes;
            side.apply(said)?;
        }
        Ok(())
    }

    /// Events taken so far.
    pub(crate) const fn events(&self) -> u64 {
        self.events
    }

    /// Ends at the newest event, and compares.
    pub(crate) fn end(mut self) -> Result<Difference, TooMany> {
        if let Some((_, last)) = self.span {
            for side in [&mut self.before, &mut self.after] {
                let said = side.engine.tick(last).changes;
                side.apply(said)?;
            }
        }
        let mut difference = compare(self.before.standing, self.after.standing);
        difference.events = self.events;
        (difference.from, difference.to) = (self.span.map(|span| span.0), self.span.map(|span| span.1));
        Ok(difference)
    }
}

impl Side {
    fn apply(&mut self, changes: Vec<AlertChange>) -> Result<(), TooMany> {
        for change in changes {
            match change {
                AlertChange::Opened { alert, .. } => self.stand(alert),
                AlertChange::Updated { alert, was, .. } => {
                    self.standing.remove(&was.0);
                    self.stand(alert);
                }
                AlertChange::Withdrawn { id, .. } => drop(self.standing.remove(&id.0)),
            }
        }
        if self.standing.len() > ALERTS_MAX { Err(TooMany) } else { Ok(()) }
    }

    fn stand(&mut self, alert: Alert) {
        self.standing.insert(alert.id.0.clone(), Raised::from(alert));
    }
}

impl From<Alert> for Raised {
    fn from(alert: Alert) -> Self {
        Self {
            id: alert.id.0,
            rule: alert.rule,
            level: alert.level,
            title: alert.title,
            opened_at: alert.opened_at,
            principal: alert.principal.map(|principal| principal.id),
            events: alert.events,
            evidence: alert.evidence,
        }
    }
}

/// Alerts of one id are one incident; so are alerts of one rule that share evidence.
fn compare(mut before: BTreeMap<String, Raised>, after: BTreeMap<String, Raised>) -> Difference {
    let mut difference = Difference::default();
    let mut unmatched = Vec::new();
    for (id, after) in after {
        match before.remove(&id) {
            Some(before) => difference.pair(before, after),
            None => unmatched.push(after),
        }
    }
    let mut by_evidence: HashMap<(String, String), String> = HashMap::new();
    for raised in before.values() {
        for evidence in &raised.evidence {
            by_evidence.insert((raised.rule.clone(), evidence.event.clone()), raised.id.clone());
        }
    }
    for after in unmatched {
        let shared = |one: &Evidence| by_evidence.get(&(after.rule.clone(), one.event.clone()));
        let partner = after.evidence.iter().find_map(shared).and_then(|id| before.remove(id));
        match partner {
            Some(before) => difference.pair(before, after),
            None => difference.gained.push(after),
        }
    }
    difference.lost = before.into_values().collect();
    difference.sort();
    difference
}

impl Difference {
    fn pair(&mut self, before: Raised, after: Raised) {
        let same = before.id == after.id && before.level == after.level && before.events == after.events;
        if same {
            self.same += 1;
        } else {
            self.changed.push(Changed { before, after });
        }
    }

    fn sort(&mut self) {
        let order = |raised: &Raised| (raised.opened_at, raised.id.clone());
        self.gained.sort_by_key(order);
        self.lost.sort_by_key(order);
        self.changed.sort_by_key(|changed| order(&changed.after));
    }

    /// Gained, lost and changed alerts of every UTC day that has one.
    pub(crate) fn days(&self) -> BTreeMap<String, [u64; 3]> {
        let mut days: BTreeMap<String, [u64; 3]> = BTreeMap::new();
        let changed = self.changed.iter().map(|changed| &changed.after);
        let all = self.gained.iter().map(|one| (0, one));
        let all = all.chain(self.lost.iter().map(|one| (1, one))).chain(changed.map(|one| (2, one)));
        for (kind, raised) in all {
            let counts = days.entry(day(raised.opened_at)).or_default();
            counts.get_mut(kind).into_iter().for_each(|count| *count += 1);
        }
        days
    }
}

/// The UTC day of an instant: `2026-01-31`.
pub(crate) fn day(at: EventTime) -> String {
    at.to_chrono().format("%Y-%m-%d").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;
    use keywatch_event::Place;

    fn raised(id: &str, rule: &str, level: Level, evidence: &[&str]) -> (String, Raised) {
        let proof = |event: &&str| Evidence {
            event: (*event).to_owned(),
            time: EventTime::from_secs(0),
            place: Place { name: "a.log".into(), line: 1, record: 0 },
        };
        let raised = Raised {
            id: id.to_owned(),
            rule: rule.to_owned(),
            level,
            title: String::new(),
            opened_at: EventTime::from_secs(86_400 * 3),
            principal: None,
            events: evidence.len() as u64,
            evidence: evidence.iter().map(proof).collect(),
        };
        (id.to_owned(), raised)
    }

    fn ids(raised: &[Raised]) -> Vec<&str> {
        raised.iter().map(|one| one.id.as_str()).collect()
    }

    #[test]
    fn alerts_are_gained_lost_changed_or_the_same() {
        let high = Level::High;
        let before = BTreeMap::from([
            raised("same", "R", high, &["a"]),
            raised("level", "R", high, &["b"]),
            raised("moved", "R", high, &["c", "d"]),
            raised("lost", "R", high, &["e"]),
        ]);
        let after = BTreeMap::from([
            raised("same", "R", high, &["a"]),
            raised("level", "R", Level::Critical, &["b"]),
            raised("later", "R", high, &["d"]),
            raised("other", "Q", high, &["e"]),
        ]);
        let found = compare(before, after);
        assert_eq!((found.same, ids(&found.gained), ids(&found.lost)), (1, vec!["other"], vec!["lost"]));
        let pairs: Vec<(&str, &str)> =
            found.changed.iter().map(|one| (one.before.id.as_str(), one.after.id.as_str())).collect();
        assert_eq!(pairs, [("moved", "later"), ("level", "level")]);
        assert_eq!(found.days(), BTreeMap::from([("1970-01-04".to_owned(), [1, 1, 2])]));
    }
}
