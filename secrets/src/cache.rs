//! What was fetched, in memory and nowhere else.
//!
//! A slot per secret (not per field: all fields of a secret come from one fetch). Whoever finds
//! nothing usable waits for the slot's flight; one fetches, the others find what it brought. This
//! file decides what may be used and when to ask again; it asks nobody itself.

use crate::document::Document;
use crate::failure::Failure;
use crate::{SecretError, SecretRef, Settings, Trouble};
use std::collections::{BTreeMap, HashMap};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// Most secrets kept: the documents of Vault are at most 1 MiB, those of the others 64 KiB, so at
/// worst 256 MiB, and for the few dozen secrets of a real configuration well under one. When it is
/// full, what was asked for longest ago goes.
const SLOTS_MAX: usize = 256;

/// First wait after a failed fetch; it doubles up to [`FAILURE_PAUSE_MAX`]. Meanwhile callers hear of
/// the same failure, and the backend hears of nobody.
const FAILURE_PAUSE: Duration = Duration::from_secs(5);
/// A secret somebody creates is noticed within a minute.
const FAILURE_PAUSE_MAX: Duration = Duration::from_mins(1);

/// First wait after a fetch because of a refusal that brought nothing new; it doubles up to the TTL.
/// A receiver that refuses everything thus costs ten fetches in its first 17 minutes, then one per TTL.
const REFUSAL_PAUSE: Duration = Duration::from_secs(1);

/// Every secret that was asked for.
#[derive(Default)]
pub(crate) struct Cache(Mutex<HashMap<SecretRef, Arc<Slot>>>);

/// One secret: what is known of it, and the right to fetch it.
pub(crate) struct Slot {
    state: Mutex<State>,
    /// Held by whoever fetches.
    pub(crate) flight: tokio::sync::Mutex<()>,
}

struct State {
    held: Option<Held>,
    failed: Option<Failed>,
    refused: Option<Pause>,
    /// What became of each field asked for; as many as the configuration has references.
    fields: BTreeMap<Option<String>, Option<SecretError>>,
    asked_at: Instant,
}

struct Held {
    document: Arc<Document>,
    fetched_at: Instant,
}

struct Failed {
    failure: Failure,
    pause: Pause,
}

/// A wait before the backend is asked again.
#[derive(Clone, Copy)]
struct Pause {
    from: Instant,
    lasts: Duration,
}

/// How long what was fetched may be used.
#[derive(Clone, Copy)]
pub(crate) struct Limits {
    pub(crate) ttl: Duration,
    pub(crate) stale_for: Duration,
}

/// A secret as it stands, for whoever watches Keywatch itself.
#[derive(Clone, Debug)]
pub struct Health {
    /// Which secret.
    pub reference: SecretRef,
    /// How long ago its value was fetched; `None` when there is none.
    pub fetched_ago: Option<Duration>,
    /// Whether the value has outlived its TTL because the backend cannot be asked.
    pub stale: bool,
    /// Why the last fetch, or the last look for its field, failed.
    pub error: Option<SecretError>,
}

impl Limits {
    pub(crate) fn of(settings: &Settings) -> Self {
        Self { ttl: settings.ttl, stale_for: settings.stale_for }
    }
}

impl Cache {
    /// The slot of the secret a reference means.
    pub(crate) fn slot(&self, reference: &SecretRef, now: Instant) -> Arc<Slot> {
        let mut slots = self.slots();
        let name = SecretRef { key: None, ..reference.clone() };
        if !slots.contains_key(&name) && slots.len() >= SLOTS_MAX {
            let oldest =
                slots.iter().min_by_key(|(_, slot)| slot.state().asked_at).map(|(name, _)| name.clone());
            oldest.and_then(|name| slots.remove(&name));
        }
        let slot = Arc::clone(slots.entry(name).or_insert_with(|| Arc::new(Slot::new(now))));
        slot.state().asked_at = now;
        slot
    }

    /// Forgets everything. A fetch that is under way ends in a slot nobody finds any more.
    pub(crate) fn clear(&self) {
        self.slots().clear();
    }

    /// How each secret that was asked for stands, in the order of their names.
    pub(crate) fn health(&self, limits: Limits, now: Instant) -> Vec<Health> {
        let slots: BTreeMap<_, _> =
            self.slots().iter().map(|(name, slot)| (name.clone(), Arc::clone(slot))).collect();
        slots.iter().flat_map(|(name, slot)| slot.state().health(name, limits, now)).collect()
    }

    fn slots(&self) -> MutexGuard<'_, HashMap<SecretRef, Arc<Slot>>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Slot {
    fn new(now: Instant) -> Self {
        let state = State { held: None, failed: None, refused: None, fields: BTreeMap::new(), asked_at: now };
        Self { state: Mutex::new(state), flight: tokio::sync::Mutex::default() }
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// What may be used now without asking the backend; `None` when it has to be asked.
    pub(crate) fn usable(&self, limits: Limits, now: Instant) -> Option<Result<Arc<Document>, Failure>> {
        self.state().usable(limits, now)
    }

    /// What is held, as old as it may be, when it may be used at all.
    pub(crate) fn held(&self, limits: Limits, now: Instant) -> Option<Arc<Document>> {
        self.state().alive(limits, now)
    }

    /// Takes in what a fetch brought. A backend that answers "no" ends the use of what is held; one
    /// that cannot be asked does not.
    pub(crate) fn record(&self, fetched: Result<Document, Failure>, now: Instant) {
        let mut state = self.state();
        match fetched {
            Ok(document) => {
                state.held = Some(Held { document: Arc::new(document), fetched_at: now });
                state.failed = None;
            }
            Err(failure) => {
                if failure.trouble != Trouble::Unavailable {
                    state.held = None;
                }
                let before = state.failed.as_ref().map(|failed| failed.pause);
                let pause = Pause::after(before, now, FAILURE_PAUSE, FAILURE_PAUSE_MAX);
                state.failed = Some(Failed { failure, pause });
            }
        }
    }

    /// Whether a refusal may cause a fetch now.
    pub(crate) fn may_ask_again(&self, now: Instant) -> bool {
        let state = self.state();
        let pauses = [state.refused, state.failed.as_ref().map(|failed| failed.pause)];
        pauses.into_iter().flatten().all(|pause| pause.is_over(now))
    }

    /// Remembers that a refusal caused a fetch, and whether that brought another value.
    pub(crate) fn record_refusal(&self, brought_news: bool, limits: Limits, now: Instant) {
        let mut state = self.state();
        let next = Pause::after(state.refused, now, REFUSAL_PAUSE, limits.ttl);
        // What is new may be replaced in the next moment as well.
        state.refused = (!brought_news).then_some(next);
    }

    /// Remembers what became of a field.
    pub(crate) fn record_field(&self, key: Option<&str>, error: Option<&SecretError>) {
        self.state().fields.insert(key.map(ToOwned::to_owned), error.cloned());
    }
}

impl State {
    fn usable(&self, limits: Limits, now: Instant) -> Option<Result<Arc<Document>, Failure>> {
        if let Some(held) = self.held.as_ref().filter(|held| now < held.fetched_at + limits.ttl) {
            return Some(Ok(Arc::clone(&held.document)));
        }
        let failed = self.failed.as_ref().filter(|failed| !failed.pause.is_over(now))?;
        Some(self.alive(limits, now).ok_or_else(|| failed.failure.clone()))
    }

    fn alive(&self, limits: Limits, now: Instant) -> Option<Arc<Document>> {
        let held = self.held.as_ref()?;
        (now < held.fetched_at + limits.ttl + limits.stale_for).then(|| Arc::clone(&held.document))
    }

    fn health(&self, name: &SecretRef, limits: Limits, now: Instant) -> Vec<Health> {
        let alive = self.held.as_ref().filter(|_| self.alive(limits, now).is_some());
        let fetched_ago = alive.map(|held| now.duration_since(held.fetched_at));
        let of_field = |(key, error): (&Option<String>, &Option<SecretError>)| {
            let reference = SecretRef { key: key.clone(), ..name.clone() };
            let failed = self.failed.as_ref().map(|failed| failed.failure.clone().of(&reference));
            Health {
                fetched_ago,
                stale: fetched_ago.is_some_and(|age| age >= limits.ttl),
                error: failed.or_else(|| error.clone()),
                reference,
            }
        };
        self.fields.iter().map(of_field).collect()
    }
}

impl Pause {
    /// The next wait: the first one, or twice the one before when that is not long over.
    fn after(before: Option<Self>, now: Instant, first: Duration, longest: Duration) -> Self {
        let recent = before.filter(|pause| now < pause.from + pause.lasts * 2 + longest);
        let lasts = recent.map_or(first, |pause| (pause.lasts * 2).min(longest));
        Self { from: now, lasts }
    }

    fn is_over(self, now: Instant) -> bool {
        now >= self.from + self.lasts
    }
}
