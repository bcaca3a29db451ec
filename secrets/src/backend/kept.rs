//! Something made once, when it is first needed, and made anew after it was forgotten.

use crate::failure::Failure;
use std::sync::atomic::{AtomicU64, Ordering};
use tokio::sync::Mutex;

/// What a backend made and keeps: a client, or credentials. Whoever comes while it is being made
/// waits for it.
pub(super) struct Kept<T> {
    made: Mutex<Option<(u64, T)>>,
    /// How often it was forgotten: what was made before is not used any more.
    era: AtomicU64,
}

impl<T> Default for Kept<T> {
    fn default() -> Self {
        Self { made: Mutex::default(), era: AtomicU64::new(0) }
    }
}

impl<T: Clone> Kept<T> {
    /// What was made, or what is made now.
    pub(super) async fn get_or_make(
        &self,
        make: impl AsyncFnOnce() -> Result<T, Failure>,
    ) -> Result<T, Failure> {
        let mut place = self.made.lock().await;
        let era = self.era.load(Ordering::SeqCst);
        if let Some((_, kept)) = place.as_ref().filter(|(of, _)| *of == era) {
            return Ok(kept.clone());
        }
        *place = None;
        let fresh = make().await?;
        *place = Some((era, fresh.clone()));
        Ok(fresh)
    }

    /// Forgets it; what is being made meanwhile is used once and not kept.
    pub(super) fn forget(&self) {
        self.era.fetch_add(1, Ordering::SeqCst);
        if let Ok(mut made) = self.made.try_lock() {
            *made = None;
        }
    }
}
