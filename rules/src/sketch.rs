//! Percentiles of durations in little memory: thirds of a doubling, the old fading.

use serde::{Deserialize, Serialize};

/// Three per doubling: 2^21 seconds are 24 days.
const BUCKETS: usize = 64;
/// From how many on all of them count half: what is old fades.
const SEEN_MAX: u32 = 4_096;

/// How often durations of each length were seen: at most 150 bytes.
#[derive(Clone, Debug, Default, Serialize, Deserialize)]
pub struct Sketch {
    /// Counts by [`bucket`], as far as any was seen.
    counts: Vec<u16>,
    total: u32,
}

impl Sketch {
    /// A duration of so many seconds was seen.
    pub fn add(&mut self, secs: i64) {
        let at = bucket(secs);
        if self.counts.len() <= at {
            self.counts.resize(at + 1, 0);
        }
        if let Some(count) = self.counts.get_mut(at) {
            *count = count.saturating_add(1);
            self.total = self.total.saturating_add(1);
        }
        if self.total >= SEEN_MAX {
            self.counts.iter_mut().for_each(|count| *count = count.div_ceil(2));
            self.total = self.counts.iter().map(|count| u32::from(*count)).sum();
        }
    }

    /// How many were seen; what is old counts half.
    #[must_use]
    pub const fn seen(&self) -> u32 {
        self.total
    }

    /// The 99th percentile in seconds, nearest rank, at the upper edge of its bucket; 0 when
    /// nothing was seen.
    #[must_use]
    pub fn p99(&self) -> f64 {
        let rank = (u64::from(self.total) * 99).div_ceil(100);
        let mut seen = 0_u64;
        let at = self.counts.iter().position(|count| {
            seen += u64::from(*count);
            seen >= rank
        });
        at.filter(|_| self.total > 0).map_or(0.0, upper_edge)
    }
}

/// The bucket of a duration in seconds: thirds of a doubling, exact by comparing cubes.
fn bucket(secs: i64) -> usize {
    let gap = u128::from(secs.clamp(1, 1 << 40).unsigned_abs());
    let cube = gap * gap * gap;
    // 2^n <= gap^3 < 2^(n+1) says that it lies in the n-th third.
    usize::try_from(cube.ilog2()).unwrap_or(BUCKETS).min(BUCKETS - 1)
}

/// The least duration, in seconds, that no longer belongs to a bucket.
fn upper_edge(bucket: usize) -> f64 {
    let third = [1.0, 1.259_921_049_894_873_2, 1.587_401_051_968_199_4];
    let next = bucket + 1;
    let doublings = f64::from(1_u32 << (next / 3).min(31));
    third.get(next % 3).copied().unwrap_or(1.0) * doublings
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn buckets_are_thirds_of_a_doubling() {
        for gap in 1..100_000_i64 {
            let at = bucket(gap);
            let edge = f64::from(u32::try_from(gap).unwrap());
            assert!(edge < upper_edge(at), "{gap} in {at}");
            assert!(at == 0 || edge >= upper_edge(at - 1) - 1e-6, "{gap} in {at}");
        }
        assert_eq!(bucket(i64::MAX), BUCKETS - 1);
        assert_eq!(bucket(-5), 0);
    }

    #[test]
    fn what_is_old_fades_from_the_sketch() {
        let mut sketch = Sketch::default();
        (0..4_000).for_each(|_| sketch.add(10_000));
        (0..100_000).for_each(|_| sketch.add(10));
        assert!(sketch.p99() < 20.0, "{}", sketch.p99());
        assert!(sketch.total < SEEN_MAX);
    }
}
