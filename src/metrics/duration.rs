//! Durations in buckets, counted without a lock, and tables of them that take memory where something has happened.

use std::sync::OnceLock;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

const MILLISECOND: u64 = 1_000_000;

/// The upper bounds that OpenTelemetry advises for the durations of requests, in nanoseconds.
const BOUNDS: [u64; 14] = [
    5 * MILLISECOND,
    10 * MILLISECOND,
    25 * MILLISECOND,
    50 * MILLISECOND,
    75 * MILLISECOND,
    100 * MILLISECOND,
    250 * MILLISECOND,
    500 * MILLISECOND,
    750 * MILLISECOND,
    1_000 * MILLISECOND,
    2_500 * MILLISECOND,
    5_000 * MILLISECOND,
    7_500 * MILLISECOND,
    10_000 * MILLISECOND,
];

/// A histogram of durations.
#[derive(Debug, Default)]
pub(crate) struct Histogram {
    counts: [AtomicU64; BOUNDS.len() + 1],
    nanoseconds: AtomicU64,
}

/// A histogram at one moment.
#[derive(Debug, PartialEq)]
pub(crate) struct Observation {
    pub(crate) seconds: f64,
    pub(crate) count: u64,
    /// The upper bound of each bucket, in seconds, and how many fell into it.
    pub(crate) buckets: [(f64, u64); BOUNDS.len() + 1],
}

impl Histogram {
    pub(crate) fn observe(&self, took: Duration) {
        let nanoseconds = u64::try_from(took.as_nanos()).unwrap_or(u64::MAX);
        if let Some(count) = self.counts.get(BOUNDS.partition_point(|bound| *bound < nanoseconds)) {
            count.fetch_add(1, Ordering::Relaxed);
        }
        self.nanoseconds.fetch_add(nanoseconds, Ordering::Relaxed);
    }

    pub(crate) fn observed(&self) -> Observation {
        let seconds = |nanoseconds| Duration::from_nanos(nanoseconds).as_secs_f64();
        let mut buckets = [(f64::INFINITY, 0); BOUNDS.len() + 1];
        let bounds = BOUNDS.into_iter().map(seconds).chain([f64::INFINITY]);
        for ((bucket, bound), count) in buckets.iter_mut().zip(bounds).zip(&self.counts) {
            *bucket = (bound, count.load(Ordering::Relaxed));
        }
        // The sum of what was read, so that the buckets and the count are of one moment.
        let count = buckets.iter().map(|(_, count)| count).sum();
        Observation { seconds: seconds(self.nanoseconds.load(Ordering::Relaxed)), count, buckets }
    }
}

/// A table whose entries are made when they are first used, as few of them ever are.
#[derive(Debug)]
pub(crate) struct Lazy<T, const N: usize>([OnceLock<Box<T>>; N]);

impl<T, const N: usize> Default for Lazy<T, N> {
    fn default() -> Self {
        Lazy(std::array::from_fn(|_| OnceLock::new()))
    }
}

impl<T: Default, const N: usize> Lazy<T, N> {
    /// Returns an entry; beyond the table, its last one.
    pub(crate) fn at(&self, index: usize) -> Option<&T> {
        self.0.get(index).or(self.0.last()).map(|place| &**place.get_or_init(Box::default))
    }

    /// Returns the entries that were used, with their indices.
    pub(crate) fn used(&self) -> impl Iterator<Item = (usize, &T)> {
        self.0.iter().enumerate().filter_map(|(index, place)| place.get().map(|used| (index, &**used)))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_duration_falls_into_the_first_bucket_that_it_is_not_above() {
        let histogram = Histogram::default();
        for milliseconds in [0, 5, 6, 10_000, 10_001] {
            histogram.observe(Duration::from_millis(milliseconds));
        }
        let Observation { seconds, count, buckets } = histogram.observed();
        assert_eq!((seconds, count), (20.012, 5));
        let filled: Vec<(f64, u64)> = buckets.into_iter().filter(|(_, count)| *count > 0).collect();
        assert_eq!(filled, [(0.005, 2), (0.01, 1), (10.0, 1), (f64::INFINITY, 1)]);
    }

    #[test]
    fn a_table_has_what_was_used_and_its_last_place_takes_what_is_beyond() {
        let table = Lazy::<Histogram, 3>::default();
        assert_eq!(table.used().count(), 0);
        for index in [1, 7] {
            table.at(index).unwrap().observe(Duration::ZERO);
        }
        assert_eq!(table.used().map(|(index, _)| index).collect::<Vec<_>>(), [1, 2]);
    }
}
