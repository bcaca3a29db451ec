//! How fast a receiver is sent to: at most so many messages a minute, evenly refilled.

use std::num::NonZeroU32;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;
use tokio::time::Instant;

/// A bucket that holds ten seconds' worth of messages, at least one.
#[derive(Debug)]
pub(super) struct Pulse {
    per_minute: f64,
    room: f64,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    tokens: f64,
    at: Instant,
}

impl Pulse {
    pub(super) fn new(per_minute: NonZeroU32, now: Instant) -> Self {
        let per_minute = f64::from(per_minute.get());
        let room = (per_minute / 6.0).max(1.0);
        Self { per_minute, room, state: Mutex::new(State { tokens: room, at: now }) }
    }

    /// How many of `wanted` messages may be sent now, and, when none may, how long to wait.
    pub(super) fn grant(&self, wanted: usize, now: Instant) -> (usize, Duration) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let passed = now.saturating_duration_since(state.at).as_secs_f64();
        state.tokens = (state.tokens + passed * self.per_minute / 60.0).min(self.room);
        state.at = now;
        let granted = (1..=wanted).take_while(|_| take(&mut state.tokens)).count();
        let missing = (1.0 - state.tokens).max(0.0);
        (granted, Duration::from_secs_f64(missing * 60.0 / self.per_minute))
    }

    /// Takes back what was granted and not used.
    pub(super) fn give_back(&self, count: usize) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let count = u32::try_from(count).unwrap_or(u32::MAX);
        state.tokens = (state.tokens + f64::from(count)).min(self.room);
    }
}

fn take(tokens: &mut f64) -> bool {
    let enough = *tokens >= 1.0;
    if enough {
        *tokens -= 1.0;
    }
    enough
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_more_is_sent_a_minute_than_the_receiver_may_be_sent() {
        let start = Instant::now();
        let pulse = Pulse::new(NonZeroU32::new(60).unwrap(), start);
        let mut sent = 0;
        for tenth in 0..600 {
            sent += pulse.grant(50, start + Duration::from_millis(tenth * 100)).0;
        }
        assert!((69..=70).contains(&sent), "{sent}: ten at once, then one a second");
    }

    #[test]
    fn a_receiver_that_must_wait_is_told_how_long() {
        let start = Instant::now();
        let pulse = Pulse::new(NonZeroU32::new(6).unwrap(), start);
        assert_eq!(pulse.grant(4, start).0, 1);
        let (granted, wait) = pulse.grant(4, start);
        assert_eq!((granted, wait.as_secs()), (0, 10));
        assert_eq!(pulse.grant(4, start + Duration::from_millis(10_001)).0, 1);
        pulse.give_back(1);
        assert_eq!(pulse.grant(4, start + Duration::from_millis(10_001)).0, 1);
    }
}
