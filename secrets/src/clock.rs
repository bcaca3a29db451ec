//! The only clock of this crate: how old a value is, how long a backend is waited for.
//!
//! Real time, or a time the owner of a test moves. Nothing here knows the date.

use std::fmt;
use std::future::Future;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

/// A clock. Clones tell the same time.
#[derive(Clone, Default)]
pub struct Clock(Option<Arc<Owned>>);

/// A time that stands still until it is moved.
struct Owned {
    began: Instant,
    passed: Mutex<Duration>,
}

impl Clock {
    /// Real time.
    #[must_use]
    pub fn real() -> Self {
        Self(None)
    }

    /// A time that stands still until [`Self::advance`] moves it, or somebody who would have slept
    /// does: waits cost nothing.
    #[must_use]
    pub fn owned() -> Self {
        Self(Some(Arc::new(Owned { began: Instant::now(), passed: Mutex::default() })))
    }

    /// Moves an owned time on. Real time moves by itself.
    pub fn advance(&self, by: Duration) {
        if let Some(owned) = &self.0 {
            *owned.passed.lock().unwrap_or_else(PoisonError::into_inner) += by;
        }
    }

    /// The time now.
    #[must_use]
    pub fn now(&self) -> Instant {
        match &self.0 {
            None => Instant::now(),
            Some(owned) => owned.began + *owned.passed.lock().unwrap_or_else(PoisonError::into_inner),
        }
    }

    /// Waits; an owned time is moved instead, after everybody else had a turn.
    pub async fn sleep(&self, time: Duration) {
        if self.0.is_none() {
            return tokio::time::sleep(time).await;
        }
        tokio::task::yield_now().await;
        self.advance(time);
        tokio::task::yield_now().await;
    }

    /// What a future yields, unless that takes longer.
    pub(crate) async fn within<T>(&self, time: Duration, future: impl Future<Output = T>) -> Option<T> {
        let until = self.now() + time;
        let yielded = tokio::time::timeout(time, future).await.ok()?;
        (self.0.is_none() || self.now() < until).then_some(yielded)
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.write_str(if self.0.is_some() { "Clock(owned)" } else { "Clock(real)" })
    }
}
