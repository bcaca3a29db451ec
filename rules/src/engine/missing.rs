//! Alerts about events nothing followed, and what becomes of them when it comes after all.
//!
//! Unfollowed events of one provider that lie within an hour of each other are one alert. For a day
//! each is remembered: what follows it then takes it out again, and the last takes the alert back.
//! Alerts are stored with every change of theirs, so that a restart goes on with them.

use super::brief::Brief;
use super::memo::{Memo, Row};
use super::shelf::{decode, encode};
use super::silence::pairs::{FOLLOWED_SECS_MAX, Unfollowed, follows};
use crate::rule::Silence;
use crate::wording::spoken;
use hashbrown::HashMap;
use keywatch_event::{AlertId, Learned, Provider};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// Between the rule and the alert in the name of what is stored.
const MARK: &str = "\u{1f}missing ";
/// Seconds within which unfollowed events of one provider are one alert.
const ONCE_PER_SECS: i64 = 3600;
/// Unfollowed events remembered of all alerts: about 400 bytes each with what finds them, 4 MB.
/// Those beyond are counted in their alert, and stay in it whatever follows them.
const MEMBERS_MAX: usize = 10_000;

/// All alerts of one rule that may still change.
#[derive(Debug)]
pub(crate) struct Missing {
    incidents: BTreeMap<AlertId, Incident>,
    /// In which alerts the events of a key are, with their seconds.
    keys: HashMap<Box<str>, Vec<(i64, AlertId)>>,
    members: usize,
    writes: bool,
    /// Alerts to be told of; those to be stored.
    untold: BTreeSet<AlertId>,
    unwritten: BTreeSet<AlertId>,
    unreadable: u64,
}

/// One alert.
#[derive(Debug)]
pub(crate) struct Incident {
    /// The event it opened with, and its key.
    pub(crate) first: Arc<Brief>,
    pub(crate) key: Box<str>,
    /// Whether it was told of.
    is_known: bool,
    /// By second and key: the earliest are shown.
    members: BTreeMap<(i64, Box<str>), Row>,
    last_secs: i64,
    beyond: u64,
    /// How many were followed after all, and the longest that took.
    followed: u64,
    slowest_secs: i64,
}

/// An alert as it is stored.
#[derive(Serialize, Deserialize)]
struct Stored {
    first: Memo,
    key: String,
    members: Vec<(i64, String, Row)>,
    last_secs: i64,
    beyond: u64,
    followed: u64,
    slowest_secs: i64,
}

/// What is to be told of an alert.
pub(crate) enum Told<'m> {
    Opened(&'m Incident),
    Grown(&'m Incident),
    /// It is over, for this reason.
    Over(AlertId, String),
}

impl Missing {
    pub(crate) fn new(writes: bool) -> Self {
        Self {
            incidents: BTreeMap::new(),
            keys: HashMap::new(),
            members: 0,
            writes,
            untold: BTreeSet::new(),
            unwritten: BTreeSet::new(),
            unreadable: 0,
        }
    }

    /// How many stored alerts could not be read and were ignored.
    pub(crate) fn unreadable(&self) -> u64 {
        self.unreadable
    }

    /// Nothing followed an event. `id` names the alert it opens, unless one is open.
    pub(crate) fn add(&mut self, one: Unfollowed<Arc<Brief>>, id: impl FnOnce(&str, &str) -> AlertId) {
        let (provider, secs) = (one.brief.who.provider, one.time_secs);
        let id = self.open(provider, secs).unwrap_or_else(|| id(&one.key, &one.brief.id));
        let has_room = self.members < MEMBERS_MAX;
        let incident = self.incidents.entry(id.clone()).or_insert_with(|| Incident {
            first: Arc::clone(&one.brief),
            key: one.key.clone(),
            is_known: false,
            members: BTreeMap::new(),
            last_secs: secs,
            beyond: 0,
            followed: 0,
            slowest_secs: 0,
        });
        incident.last_secs = incident.last_secs.max(secs);
        if !has_room {
            incident.beyond += 1;
        } else if incident.members.insert((secs, one.key.clone()), Row::of(&one.brief)).is_none() {
            self.members += 1;
            self.keys.entry(one.key).or_default().push((secs, id.clone()));
        }
        self.changed(id);
    }

    /// An event came that follows others of its key.
    pub(crate) fn follow(&mut self, key: &str, secs: i64) {
        let Some(known) = self.keys.get_mut(key) else { return };
        let found: Vec<(i64, AlertId)> = known.extract_if(.., |(waited, _)| follows(*waited, secs)).collect();
        if known.is_empty() {
            self.keys.remove(key);
        }
        for (waited, id) in found {
            if let Some(incident) = self.incidents.get_mut(&id)
                && incident.members.remove(&(waited, key.into())).is_some()
            {
                self.members -= 1;
                incident.followed += 1;
                incident.slowest_secs = incident.slowest_secs.max(secs - waited);
                self.changed(id);
            }
        }
    }

    /// Forgets alerts whose events are too old for anything to follow them.
    pub(crate) fn forget(&mut self, now_secs: i64) {
        let old = |incident: &Incident| now_secs - incident.last_secs > FOLLOWED_SECS_MAX;
        let old: Vec<AlertId> =
            self.incidents.iter().filter(|(_, one)| old(one)).map(|(id, _)| id.clone()).collect();
        for id in old {
            self.remove(&id);
            if self.writes {
                self.unwritten.insert(id);
            }
        }
    }

    /// Tells of every alert that changed since the last call.
    pub(crate) fn tell(&mut self, spec: &Silence, mut to: impl FnMut(Told<'_>)) {
        for id in std::mem::take(&mut self.untold) {
            let Some(incident) = self.incidents.get_mut(&id) else { continue };
            if incident.events() == 0 {
                let (is_known, reason) = (incident.is_known, incident.reason(spec));
                self.remove(&id);
                if is_known {
                    to(Told::Over(id, reason));
                }
            } else if std::mem::replace(&mut incident.is_known, true) {
                to(Told::Grown(incident));
            } else {
                to(Told::Opened(incident));
            }
        }
    }

    /// What of the alerts changed since the last call, to be stored.
    pub(crate) fn take_learned(&mut self, rule: &str) -> Vec<Learned> {
        let unwritten = std::mem::take(&mut self.unwritten).into_iter();
        let state = |id: &AlertId| self.incidents.get(id).map_or_else(Vec::new, |one| encode(&one.stored()));
        unwritten.map(|id| Learned { state: state(&id), key: format!("{rule}{MARK}{id}") }).collect()
    }

    /// Takes back what [`Self::take_learned`] gave; other state is ignored, and state that cannot be
    /// read is ignored and counted.
    pub(crate) fn restore(&mut self, rule: &str, learned: &Learned) {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK));
        let Some(id) = rest.map(|id| AlertId(id.to_owned())) else { return };
        let Some(stored) = decode::<Stored>(&learned.state) else {
            self.unreadable += 1;
            return;
        };
        self.members += stored.members.len();
        for (secs, key, _) in &stored.members {
            self.keys.entry_ref(key.as_str()).or_default().push((*secs, id.clone()));
        }
        self.incidents.insert(id, Incident::of(stored));
    }

    /// The alert that takes an event of that provider and second.
    fn open(&self, provider: Provider, secs: i64) -> Option<AlertId> {
        let takes = |incident: &Incident| {
            incident.first.who.provider == provider && (secs - incident.last_secs).abs() <= ONCE_PER_SECS
        };
        self.incidents.iter().find(|(_, incident)| takes(incident)).map(|(id, _)| id.clone())
    }

    fn changed(&mut self, id: AlertId) {
        if self.writes {
            self.unwritten.insert(id.clone());
        }
        self.untold.insert(id);
    }

    fn remove(&mut self, id: &AlertId) {
        let Some(incident) = self.incidents.remove(id) else { return };
        self.members -= incident.members.len();
        for (secs, key) in incident.members.into_keys() {
            if let Some(known) = self.keys.get_mut(&key) {
                known.retain(|(other, of)| (*other, of) != (secs, id));
                if known.is_empty() {
                    self.keys.remove(&key);
                }
            }
        }
    }
}

impl Incident {
    /// How many events nothing has followed.
    pub(crate) fn events(&self) -> u64 {
        self.members.len() as u64 + self.beyond
    }

    /// Those that are remembered, the earliest first.
    pub(crate) fn rows(&self) -> impl DoubleEndedIterator<Item = &Row> {
        self.members.values()
    }

    /// How many were followed after all.
    pub(crate) const fn followed(&self) -> u64 {
        self.followed
    }

    /// Why it is over.
    fn reason(&self, spec: &Silence) -> String {
        let what = match self.followed {
            1 => "it was followed after all".to_owned(),
            count => format!("all {count} events were followed after all"),
        };
        let slowest = spoken(self.slowest_secs.max(1));
        if self.slowest_secs <= spec.secs_min {
            format!("{what}, within {slowest}: only the records of that reached Keywatch late")
        } else {
            format!("{what}, the slowest {slowest} later; the rule waits {}", spoken(spec.secs_min))
        }
    }

    fn stored(&self) -> Stored {
        let member = |((secs, key), row): (&(i64, Box<str>), &Row)| (*secs, key.to_string(), row.clone());
        Stored {
            first: Memo::of(&self.first),
            key: self.key.to_string(),
            members: self.members.iter().map(member).collect(),
            last_secs: self.last_secs,
            beyond: self.beyond,
            followed: self.followed,
            slowest_secs: self.slowest_secs,
        }
    }

    fn of(stored: Stored) -> Self {
        let member = |(secs, key, row): (i64, String, Row)| ((secs, key.into_boxed_str()), row);
        Self {
            first: stored.first.brief(),
            key: stored.key.into(),
            is_known: true,
            members: stored.members.into_iter().map(member).collect(),
            last_secs: stored.last_secs,
            beyond: stored.beyond,
            followed: stored.followed,
            slowest_secs: stored.slowest_secs,
        }
    }
}
