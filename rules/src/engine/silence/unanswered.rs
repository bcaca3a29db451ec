//! What is remembered of events that nothing followed, across restarts: those that still wait, and
//! those that were told of.
//!
//! Events of one provider are one alert an hour. It shrinks, and is withdrawn, when their followers
//! come after all. Both are learned state, which is stored with what changed it: so a restart
//! neither tells anything again nor forgets what to withdraw. The events themselves are stored; they
//! bring their briefs along when they are told again.

use super::pairs::OpenEnds;
use crate::engine::brief::Brief;
use keywatch_event::{AlertId, Learned, Provider};
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
use std::sync::Arc;

/// Begins the names under which alerts are stored, and is that under which what waits is.
const MARK: &str = "\u{1f}unfollowed ";
const WAITING: &str = "\u{1f}waiting";
/// Events of an alert that can still be taken back, about 150 bytes each; more are counted alone.
const TOLD_MAX: usize = 1_000;

/// An alert about events of one provider.
#[derive(Clone, Debug)]
pub(crate) struct Missing {
    pub(crate) id: AlertId,
    pub(crate) opened_secs: i64,
    /// The latest of the events.
    pub(crate) last_secs: i64,
    /// By key and second.
    told: BTreeMap<(Box<str>, i64), Waiter>,
    /// How many were told beyond [`TOLD_MAX`].
    beyond: u64,
}

/// An event that waits for its follower, or was told of.
#[derive(Clone, Debug)]
pub(crate) struct Waiter {
    pub(crate) event: Box<str>,
    pub(crate) provider: Provider,
    /// Absent after a restart, until the event is told again.
    pub(crate) brief: Option<Arc<Brief>>,
}

impl Waiter {
    pub(crate) fn of(brief: &Arc<Brief>) -> Self {
        Self { event: brief.id.clone(), provider: brief.who.provider, brief: Some(Arc::clone(brief)) }
    }

    /// Whether this is the event; what is remembered of it is taken along.
    pub(crate) fn is(&mut self, brief: &Arc<Brief>) -> bool {
        let is_it = self.event == brief.id;
        if is_it {
            self.brief = Some(Arc::clone(brief));
        }
        is_it
    }
}

/// What waits, as it is stored: second, key, id and provider; and followers of nothing yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Waiting {
    pub(crate) events: Vec<(i64, String, String, String)>,
    pub(crate) followers: Vec<(i64, String)>,
}

impl Waiting {
    pub(crate) fn of(ends: &OpenEnds<'_, Waiter>) -> Self {
        let event = |(secs, key, waiter): &(i64, &str, &Waiter)| {
            (*secs, (*key).to_owned(), waiter.event.to_string(), waiter.provider.to_string())
        };
        let follower = |(secs, key): &(i64, &str)| (*secs, (*key).to_owned());
        Self {
            events: ends.waiting.iter().map(event).collect(),
            followers: ends.followers.iter().map(follower).collect(),
        }
    }

    /// Whether something waits under this key; it does no longer.
    pub(crate) fn forget(&mut self, key: &str) -> bool {
        let before = self.events.len();
        self.events.retain(|(_, one, ..)| one != key);
        self.events.len() < before
    }

    pub(crate) fn learned(&self, rule: &str) -> Option<Learned> {
        let state = serde_json::to_vec(self).ok()?;
        Some(Learned { key: format!("{rule}{WAITING}"), state })
    }

    /// What [`Self::learned`] gave; `None` for other state.
    pub(crate) fn restored(rule: &str, learned: &Learned) -> Option<Self> {
        let is_it = learned.key.strip_prefix(rule) == Some(WAITING);
        is_it.then(|| serde_json::from_slice(&learned.state).ok())?
    }
}

/// [`Missing`] as it is stored.
#[derive(Serialize, Deserialize)]
struct Kept {
    id: String,
    opened_secs: i64,
    last_secs: i64,
    beyond: u64,
    told: Vec<(String, i64, String)>,
}

impl Missing {
    pub(crate) fn new(id: AlertId, opened_secs: i64) -> Self {
        Self { id, opened_secs, last_secs: opened_secs, told: BTreeMap::new(), beyond: 0 }
    }

    /// Another event that nothing followed.
    pub(crate) fn add(&mut self, key: &str, secs: i64, waiter: &Waiter) {
        self.last_secs = self.last_secs.max(secs);
        if self.told.len() >= TOLD_MAX {
            self.beyond += 1;
            return;
        }
        self.told.insert((key.into(), secs), waiter.clone());
    }

    /// Whether this event was told of; what is remembered of it is taken along.
    pub(crate) fn has_told(&mut self, key: &str, secs: i64, brief: &Arc<Brief>) -> bool {
        self.told.get_mut(&(key.into(), secs)).is_some_and(|told| told.is(brief))
    }

    /// Something of this key came after all: takes back what it follows. Whether there was any.
    pub(crate) fn take_back(&mut self, key: &str, is_followed: impl Fn(i64) -> bool) -> bool {
        let before = self.told.len();
        self.told.retain(|(one, secs), _| **one != *key || !is_followed(*secs));
        self.told.len() < before
    }

    /// How many events it is about.
    pub(crate) fn count(&self) -> u64 {
        self.beyond + self.told.len() as u64
    }

    /// What is remembered of them, oldest first.
    pub(crate) fn briefs(&self) -> Vec<(&str, &Arc<Brief>)> {
        let known = self.told.iter().filter_map(|((key, _), told)| Some((&**key, told.brief.as_ref()?)));
        let mut all: Vec<_> = known.collect();
        all.sort_by(|(_, one), (_, other)| (one.time, &one.id).cmp(&(other.time, &other.id)));
        all
    }

    /// As learned state of a rule.
    pub(crate) fn learned(&self, rule: &str, provider: Provider) -> Option<Learned> {
        let told =
            self.told.iter().map(|((key, secs), told)| (key.to_string(), *secs, told.event.to_string()));
        let kept = Kept {
            id: self.id.0.clone(),
            opened_secs: self.opened_secs,
            last_secs: self.last_secs,
            beyond: self.beyond,
            told: told.collect(),
        };
        let state = serde_json::to_vec(&kept).ok()?;
        Some(Learned { key: format!("{rule}{MARK}{provider}"), state })
    }

    /// What [`Self::learned`] gave; `None` for other state, and for an alert that is over.
    pub(crate) fn restored(rule: &str, learned: &Learned) -> Option<(Provider, Self)> {
        let rest = learned.key.strip_prefix(rule).and_then(|rest| rest.strip_prefix(MARK))?;
        let provider = rest.parse().ok()?;
        let kept: Kept = serde_json::from_slice(&learned.state).ok()?;
        let told = kept.told.into_iter().map(|(key, secs, event)| {
            ((key.into_boxed_str(), secs), Waiter { event: event.into_boxed_str(), provider, brief: None })
        });
        let told: BTreeMap<_, _> = told.collect();
        let missing = Self {
            id: AlertId(kept.id),
            opened_secs: kept.opened_secs,
            last_secs: kept.last_secs,
            told,
            beyond: kept.beyond,
        };
        (missing.count() > 0).then_some((provider, missing))
    }
}
