//! How long to wait before trying again: twice as long each time, within limits, with chance.

use std::time::Duration;

/// Longest wait.
const WAIT_MAX: Duration = Duration::from_mins(1);

/// The waits of one attempt after another.
#[derive(Clone, Debug)]
pub(crate) struct Backoff {
    first: Duration,
    tries: u32,
    chance: u64,
}

impl Backoff {
    /// Begins with about `first`. Waits of two that were made at once differ: `seed` says how.
    pub(crate) const fn new(first: Duration, seed: u64) -> Self {
        Self { first, tries: 0, chance: seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1 }
    }

    /// How long to wait now: between half and all of the doubled time.
    pub(crate) fn wait(&mut self) -> Duration {
        let whole = self.first.saturating_mul(1 << self.tries.min(16)).min(WAIT_MAX);
        self.tries = self.tries.saturating_add(1);
        // xorshift64 (Marsaglia 2003): good enough to keep callers apart.
        self.chance ^= self.chance << 13;
        self.chance ^= self.chance >> 7;
        self.chance ^= self.chance << 17;
        let share = f64::from(u32::try_from(self.chance >> 40).unwrap_or(0)) / f64::from(1_u32 << 24);
        whole / 2 + whole.mul_f64(share / 2.0)
    }

    /// It worked.
    pub(crate) const fn reset(&mut self) {
        self.tries = 0;
    }

    /// How often it was waited since it last worked.
    pub(crate) const fn tries(&self) -> u32 {
        self.tries
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_a_minute_and_begin_anew_once_it_worked() {
        let first = Duration::from_secs(1);
        let mut backoff = Backoff::new(first, 7);
        for whole in [1, 2, 4, 8, 16, 32, 60, 60] {
            let (whole, wait) = (Duration::from_secs(whole), backoff.wait());
            assert!(wait >= whole / 2 && wait <= whole, "{wait:?} of {whole:?}");
        }
        backoff.reset();
        assert!(backoff.wait() <= first);
    }
}
