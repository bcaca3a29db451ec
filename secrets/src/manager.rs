//! Where credentials come from.

use crate::backend::Backends;
use crate::cache::{Cache, Health, Limits, Slot};
use crate::document::Document;
use crate::error::SecretErrors;
use crate::failure::Failure;
use crate::{SecretError, SecretRef, SecretValue, Settings, patience};
use std::fmt;
use std::sync::{Arc, PoisonError, RwLock};
use std::time::{Duration, Instant};
use tokio::task::JoinSet;

/// Secrets looked at together by [`SecretManager::check_all`]: enough that a slow backend does not
/// hold up the others, few enough that none is stormed.
const CHECKS_AT_ONCE: usize = 8;

/// Shortest and longest wait between two looks at a login: a lease of seconds is renewed at use, and
/// a login that was made meanwhile is seen within a minute.
const TEND_PAUSE_MIN: Duration = Duration::from_secs(5);
const TEND_PAUSE_MAX: Duration = Duration::from_mins(1);

/// Resolves references to secrets. Cheap to clone; clones share one cache.
#[derive(Clone)]
pub struct SecretManager(Arc<Inner>);

struct Inner {
    parts: RwLock<Arc<Parts>>,
    cache: Cache,
}

/// What a reload replaces. A fetch that is under way ends with those it began with.
struct Parts {
    settings: Settings,
    backends: Backends,
}

/// What became of looking for a secret.
#[derive(Clone, Debug)]
pub struct Checked {
    /// Which secret.
    pub reference: SecretRef,
    /// How long it took.
    pub took: Duration,
    /// Why it cannot be had; `None` when it can.
    pub error: Option<SecretError>,
}

impl SecretManager {
    /// A manager with these settings. Nothing is fetched yet, and no backend is asked.
    #[must_use]
    pub fn new(settings: Settings) -> Self {
        let backends = Backends::new(&settings);
        Self::with_backends(settings, backends)
    }

    pub(crate) fn with_backends(settings: Settings, backends: Backends) -> Self {
        let parts = RwLock::new(Arc::new(Parts { settings, backends }));
        Self(Arc::new(Inner { parts, cache: Cache::default() }))
    }

    /// Goes on as `other` would: with its settings and its logins, and without any value that was
    /// fetched before. Every clone does.
    pub fn take_over(&self, other: &Self) {
        let parts = other.parts();
        *self.0.parts.write().unwrap_or_else(PoisonError::into_inner) = parts;
        self.0.cache.clear();
        other.0.cache.clear();
    }

    /// The value of a secret: from memory when it was fetched within the TTL, else from its
    /// backend, asked once however many callers wait for it. While the backend cannot be asked, the
    /// value of before for as long as the settings allow.
    ///
    /// # Errors
    /// [`SecretError`] with the backend's answer and a remedy.
    pub async fn get(&self, reference: &SecretRef) -> Result<SecretValue, SecretError> {
        let slot = self.0.cache.slot(reference, self.now());
        let document = self.document(reference, &slot).await;
        value_of(document, reference, &slot)
    }

    /// Says that whoever was shown `refused` did not accept it, and yields what has taken its
    /// place. Fetches anew at most once however many callers say so about the same value; yields
    /// the same value again when nothing has changed, and while a fetch for this reason that
    /// brought nothing new is too short ago (one second, doubling up to the TTL).
    ///
    /// # Errors
    /// [`SecretError`] as [`Self::get`].
    pub async fn refused(
        &self,
        reference: &SecretRef,
        refused: &SecretValue,
    ) -> Result<SecretValue, SecretError> {
        let slot = self.0.cache.slot(reference, self.now());
        if let Some(other) = self.other_than(refused, reference, &slot) {
            return Ok(other);
        }
        let document = {
            let _flight = slot.flight.lock().await;
            if let Some(other) = self.other_than(refused, reference, &slot) {
                return Ok(other);
            }
            self.asked_again(reference, refused, &slot).await
        };
        value_of(document, reference, &slot)
    }

    /// Looks for every secret named, several at once, and tells of all of them, in their order.
    pub async fn check_all(&self, references: &[SecretRef]) -> Vec<Checked> {
        let mut waiting = references.iter().cloned().enumerate();
        let mut looking = JoinSet::new();
        let mut checked = Vec::with_capacity(references.len());
        loop {
            while looking.len() < CHECKS_AT_ONCE {
                let Some((place, reference)) = waiting.next() else { break };
                let manager = self.clone();
                looking.spawn(async move { (place, manager.check(reference).await) });
            }
            match looking.join_next().await {
                Some(Ok(done)) => checked.push(done),
                // A look that panicked is told of by the panic itself.
                Some(Err(_)) => {}
                None => break,
            }
        }
        checked.sort_by_key(|(place, _)| *place);
        checked.into_iter().map(|(_, checked)| checked).collect()
    }

    /// Makes sure that every secret named can be had.
    ///
    /// # Errors
    /// All that cannot be had, at once.
    pub async fn require_all(&self, references: &[SecretRef]) -> Result<(), SecretErrors> {
        let checked = self.check_all(references).await;
        let errors: Vec<_> = checked.into_iter().filter_map(|checked| checked.error).collect();
        if errors.is_empty() { Ok(()) } else { Err(SecretErrors(errors)) }
    }

    /// How every secret that was asked for stands.
    #[must_use]
    pub fn health(&self) -> Vec<Health> {
        self.0.cache.health(self.limits(), self.now())
    }

    /// Keeps logins that run out alive until it is dropped. Without it they are renewed when the
    /// next secret is fetched, which for a token of a short life may be too late.
    pub async fn tend(&self) -> std::convert::Infallible {
        loop {
            let parts = self.parts();
            let due = parts.backends.of(crate::Source::Vault).tend().await.unwrap_or(TEND_PAUSE_MAX);
            parts.settings.clock.sleep(due.clamp(TEND_PAUSE_MIN, TEND_PAUSE_MAX)).await;
        }
    }

    /// Forgets every value and every login, overwriting what nobody else holds.
    pub fn clear(&self) {
        self.0.cache.clear();
        self.parts().backends.forget();
    }

    async fn check(&self, reference: SecretRef) -> Checked {
        let began = self.now();
        let error = self.get(&reference).await.err();
        Checked { reference, took: self.now().duration_since(began), error }
    }

    fn parts(&self) -> Arc<Parts> {
        Arc::clone(&self.0.parts.read().unwrap_or_else(PoisonError::into_inner))
    }

    fn now(&self) -> Instant {
        self.parts().settings.clock.now()
    }

    fn limits(&self) -> Limits {
        Limits::of(&self.parts().settings)
    }

    async fn document(&self, reference: &SecretRef, slot: &Slot) -> Result<Arc<Document>, Failure> {
        if let Some(usable) = slot.usable(self.limits(), self.now()) {
            return usable;
        }
        let _flight = slot.flight.lock().await;
        // Whoever had the flight before may have brought it.
        if let Some(usable) = slot.usable(self.limits(), self.now()) {
            return usable;
        }
        self.fetch(reference, slot).await
    }

    /// Asks the backend and takes in what it says. The caller has the flight.
    async fn fetch(&self, reference: &SecretRef, slot: &Slot) -> Result<Arc<Document>, Failure> {
        let parts = self.parts();
        let backend = parts.backends.of(reference.source);
        let fetched = patience::fetch(backend, reference, &parts.settings).await;
        let now = self.now();
        if let Err(failure) = &fetched {
            let held = slot.held(self.limits(), now).is_some();
            tell(reference, failure, held);
        }
        let failure = fetched.as_ref().err().cloned();
        slot.record(fetched, now);
        match (slot.held(self.limits(), now), failure) {
            (Some(document), _) => Ok(document),
            (None, Some(failure)) => Err(failure),
            (None, None) => Err(Failure::unavailable("it was forgotten meanwhile", "ask again")),
        }
    }

    /// What is held, when it is another value than the refused one.
    fn other_than(&self, refused: &SecretValue, reference: &SecretRef, slot: &Slot) -> Option<SecretValue> {
        let document = slot.held(self.limits(), self.now())?;
        document.value(reference).ok().filter(|value| !value.same_as(refused))
    }

    /// What the backend has now, if it may be asked; else what is held. The caller has the flight.
    async fn asked_again(
        &self,
        reference: &SecretRef,
        refused: &SecretValue,
        slot: &Slot,
    ) -> Result<Arc<Document>, Failure> {
        let now = self.now();
        if !slot.may_ask_again(now)
            && let Some(known) = slot.usable(self.limits(), now)
        {
            return known;
        }
        let document = self.fetch(reference, slot).await;
        let value = document.as_ref().ok().and_then(|document| document.value(reference).ok());
        let news = value.is_some_and(|value| !value.same_as(refused));
        slot.record_refusal(news, self.limits(), self.now());
        tracing::info!(secret = %reference, changed = news, "a credential was refused; fetched it anew");
        document
    }
}

#[expect(clippy::result_large_err, reason = "the error callers see; made once per failed look")]
fn value_of(
    document: Result<Arc<Document>, Failure>,
    reference: &SecretRef,
    slot: &Slot,
) -> Result<SecretValue, SecretError> {
    let value = document.and_then(|document| document.value(reference));
    let value = value.map_err(|failure| failure.of(reference));
    slot.record_field(reference.key.as_deref(), value.as_ref().err());
    value
}

fn tell(reference: &SecretRef, failure: &Failure, held: bool) {
    let Failure { trouble, detail, remedy, .. } = failure;
    if held && *trouble == crate::Trouble::Unavailable {
        tracing::warn!(secret = %reference, %trouble, %detail, %remedy, "a secret could not be refreshed; the value of before is used");
    } else {
        tracing::warn!(secret = %reference, %trouble, %detail, %remedy, "a secret cannot be had");
    }
}

impl fmt::Debug for SecretManager {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str("SecretManager")
    }
}

#[cfg(test)]
mod tests;
