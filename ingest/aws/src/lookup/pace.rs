//! How often `LookupEvents` may be asked: twice a second per account and region, whoever asks
//! (docs.aws.amazon.com/awscloudtrail/latest/APIReference/API_LookupEvents.html).

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::time::{Instant, sleep_until};

/// Accounts and regions told apart; beyond them old ones are forgotten, which costs a throttled
/// request at worst.
const KEYS_MAX: usize = 10_000;

/// Turns for requests, shared by all sources of the process. Clones share them.
#[derive(Clone, Debug)]
pub struct Pace {
    every: Duration,
    next: Arc<Mutex<HashMap<String, Instant>>>,
}

impl Default for Pace {
    /// AWS's quota, with a little to spare for the time on the way.
    fn default() -> Self {
        Self::every(Duration::from_millis(520))
    }
}

impl PartialEq for Pace {
    /// Whether both give turns as often.
    fn eq(&self, other: &Self) -> bool {
        self.every == other.every
    }
}

impl Pace {
    /// One request per `every`, for accounts with another quota.
    #[must_use]
    pub fn every(every: Duration) -> Self {
        Self { every, next: Arc::default() }
    }

    /// Waits for the turn of a request to this account and region.
    pub(super) async fn turn(&self, key: &str) {
        let at = self.book(key, Instant::now());
        sleep_until(at).await;
    }

    fn book(&self, key: &str, now: Instant) -> Instant {
        let mut next = self.next.lock().unwrap_or_else(PoisonError::into_inner);
        if next.len() >= KEYS_MAX {
            next.retain(|_, at| *at > now);
        }
        let at = next.get(key).copied().unwrap_or(now).max(now);
        next.insert(key.to_owned(), at + self.every);
        at
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn two_a_second_per_account_and_region_whoever_asks() {
        let half = Duration::from_millis(500);
        let pace = Pace::every(half);
        let (now, other) = (Instant::now(), pace.clone());
        let turns = [pace.book("1:eu", now), other.book("1:eu", now), pace.book("1:eu", now)];
        assert_eq!(turns, [now, now + half, now + half * 2]);
        assert_eq!(pace.book("1:us", now), now);
        assert_eq!(pace.book("2:eu", now), now);
        let later = now + half * 9;
        assert_eq!(pace.book("1:eu", later), later, "turns that nobody took are not made up for");
    }
}
