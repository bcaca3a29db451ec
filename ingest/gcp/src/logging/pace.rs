//! How often `entries.list` may be asked: sixty times a minute for the project that is billed,
//! whoever asks (cloud.google.com/logging/quotas, "Logging API quotas and limits").

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Turns for requests, shared by all sources of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Pace {
    every: Duration,
    next: Arc<Mutex<Option<Instant>>>,
}

impl Default for Pace {
    /// Google's quota, with a little to spare for others.
    fn default() -> Self {
        Self::every(Duration::from_millis(1100))
    }
}

impl PartialEq for Pace {
    /// Whether both give turns as often.
    fn eq(&self, other: &Self) -> bool {
        self.every == other.every
    }
}

impl Pace {
    /// One request per `every`, for projects with another quota.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self { every, next: Arc::default() }
    }

    /// Waits for the turn of a request.
    pub(super) async fn turn(&self) {
        let at = self.book(Instant::now());
        sleep_until(at).await;
    }

    fn book(&self, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        let at = next.unwrap_or(now).max(now);
        *next = Some(at + self.every);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn turns_are_given_one_after_another_whoever_asks() {
        let second = Duration::from_secs(1);
        let pace = Pace::every(second);
        let (now, other) = (Instant::now(), pace.clone());
        let turns = [pace.book(now), other.book(now), pace.book(now)];
        assert_eq!(turns, [now, now + second, now + second * 2]);
        let later = now + second * 9;
        assert_eq!(pace.book(later), later, "turns that nobody took are not made up for");
    }
}
