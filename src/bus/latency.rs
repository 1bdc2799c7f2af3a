//! How long a handler takes: mean, 95th percentile and maximum, in buckets that one thread writes and any may read.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};
use std::time::Duration;

/// How long a handler took.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    /// On average.
    pub mean: Duration,
    /// 95 of 100 times at most this, to a quarter.
    pub p95: Duration,
    /// At most. Calls that take a microsecond or less are measured by the eight, and may each have taken all of it.
    pub max: Duration,
}

/// Buckets of nanoseconds: four for each power of two.
#[derive(Debug)]
pub(super) struct Latencies {
    buckets: [AtomicU64; BUCKETS],
    count: AtomicU64,
    sum: AtomicU64,
    max: AtomicU64,
}

const BUCKETS: usize = 4 * 40;

impl Latencies {
    pub fn new() -> Latencies {
        let zero = || AtomicU64::new(0);
        Latencies { buckets: std::array::from_fn(|_| zero()), count: zero(), sum: zero(), max: zero() }
    }

    /// Counts this many of a duration, of which one may have been longer. Only one thread at a time does.
    pub fn add(&self, nanos: u64, times: u64, longest: u64) {
        bump(&self.buckets[bucket(nanos)], times);
        bump(&self.count, times);
        bump(&self.sum, nanos.saturating_mul(times));
        self.max.store(self.max.load(Relaxed).max(longest), Relaxed);
    }

    /// What was counted; nothing if nothing was.
    pub fn read(&self) -> Option<Latency> {
        let count = self.count.load(Relaxed);
        let mean = self.sum.load(Relaxed).checked_div(count)?;
        let max = self.max.load(Relaxed);
        let mut below = count / 20 + 1;
        // From above, because that is the shorter way.
        let at = self.buckets.iter().rposition(|bucket| {
            below = below.saturating_sub(bucket.load(Relaxed));
            below == 0
        });
        let p95 = upper(at.unwrap_or_default()).min(max);
        Some(Latency {
            mean: Duration::from_nanos(mean),
            p95: Duration::from_nanos(p95),
            max: Duration::from_nanos(max),
        })
    }
}

/// Adds to what only one thread writes, which is cheaper than an addition that others could take part in.
pub(super) fn bump(count: &AtomicU64, more: u64) {
    count.store(count.load(Relaxed).wrapping_add(more), Relaxed);
}

fn bucket(nanos: u64) -> usize {
    let nanos = nanos.max(4);
    let power = nanos.ilog2();
    let quarter = (nanos >> (power - 2)) & 3;
    ((power as usize - 2) * 4 + quarter as usize).min(BUCKETS - 1)
}

/// The end of a bucket.
fn upper(bucket: usize) -> u64 {
    let (power, quarter) = (bucket / 4 + 2, bucket as u64 % 4);
    ((5 + quarter) << (power - 2)) - 1
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    proptest! {
        #[test]
        fn a_duration_lies_in_its_bucket(nanos in 4u64..1 << 41) {
            let at = bucket(nanos);
            prop_assert!(nanos <= upper(at) && (at == 0 || nanos > upper(at - 1)));
            prop_assert!(upper(at) as f64 <= nanos as f64 * 1.25);
        }
    }

    #[test]
    fn the_slowest_of_twenty_are_the_percentile() {
        let latencies = Latencies::new();
        assert_eq!(latencies.read(), None);
        latencies.add(1_000, 94, 1_000);
        latencies.add(1_000_000, 6, 1_000_000);
        let read = latencies.read().unwrap();
        assert_eq!((read.mean.as_nanos(), read.max.as_nanos()), (60_940, 1_000_000));
        assert_eq!(read.p95.as_nanos(), 1_000_000);
        latencies.add(1_000, 900, 1_000);
        assert!(latencies.read().unwrap().p95.as_nanos() < 1_300);
    }
}
