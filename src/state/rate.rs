//! Rates, and the token buckets that enforce them.

use std::fmt;
use std::num::NonZeroU32;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

/// An amount in a span of time, and the largest burst.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// The amount.
    pub amount: NonZeroU32,
    /// The span of time.
    pub per: Per,
    /// How many may come at once after a pause.
    pub burst: NonZeroU32,
}

/// The span of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// Written `/s`.
    Second,
    /// Written `/m`.
    Minute,
    /// Written `/h`.
    Hour,
    /// Written `/d`: any 24 hours.
    Day,
}

impl Per {
    /// Returns the span in seconds.
    #[must_use]
    pub fn seconds(self) -> u32 {
        match self {
            Per::Second => 1,
            Per::Minute => 60,
            Per::Hour => 60 * 60,
            Per::Day => 24 * 60 * 60,
        }
    }
}

impl fmt::Display for Rate {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per = match self.per {
            Per::Second => "second",
            Per::Minute => "minute",
            Per::Hour => "hour",
            Per::Day => "day",
        };
        write!(out, "{} per {per}, burst {}", self.amount, self.burst)
    }
}

impl Rate {
    /// Returns how long one token takes to come back.
    fn interval(self) -> Duration {
        // Never zero. The highest rate that can be configured is a million per second, a microsecond each.
        (Duration::from_secs(self.per.seconds().into()) / self.amount.get()).max(Duration::from_nanos(1))
    }

    /// Returns how long an empty bucket takes to fill.
    fn capacity(self) -> Duration {
        self.interval() * self.burst.get()
    }
}

/// The token bucket of one tenant and one limit, shared by all workers. Time refills it; a change of the rate does not.
///
/// It implements the generic cell rate algorithm. The crates for it do not show how many tokens were taken, so with them a
/// change of the rate would fill the bucket.
#[derive(Debug, Default)]
pub struct Bucket(Mutex<Option<Level>>);

/// The level of a bucket.
#[derive(Debug, Clone, Copy)]
struct Level {
    /// The rate that the last request was counted by.
    rate: Rate,
    /// When the bucket will be full.
    full: Instant,
}

impl Level {
    /// Returns how long the bucket takes to fill.
    fn missing(&self, now: Instant) -> Duration {
        self.full.saturating_duration_since(now)
    }

    /// Returns how long the bucket takes to fill at another rate. As many tokens are missing as before, but never more than its
    /// burst.
    fn missing_by(&self, rate: Rate, now: Instant) -> Duration {
        let missing = self.missing(now);
        if self.rate == rate {
            return missing;
        }
        let scaled = missing.as_nanos() * rate.interval().as_nanos() / self.rate.interval().as_nanos().max(1);
        u64::try_from(scaled).map_or(rate.capacity(), Duration::from_nanos).min(rate.capacity())
    }
}

impl Bucket {
    /// Replaces the rate; as many tokens are gone as before.
    pub fn define(&self, rate: Rate, now: Instant) {
        if let Some(level) = self.lock().as_mut() {
            *level = Level { rate, full: now + level.missing_by(rate, now) };
        }
    }

    /// Takes a token at this rate. Returns how many are left.
    ///
    /// # Errors
    ///
    /// The time until there is a token again; none was taken.
    pub fn take(&self, rate: Rate, now: Instant) -> Result<u32, Duration> {
        let mut level = self.lock();
        let missing = level.map_or(Duration::ZERO, |level| level.missing_by(rate, now));
        let (interval, capacity) = (rate.interval(), rate.capacity());
        let taken = missing + interval;
        let (left, missing) = match capacity.checked_sub(taken) {
            Some(left) => (Ok(divide(left, interval)), taken),
            None => (Err(taken.saturating_sub(capacity)), missing),
        };
        *level = Some(Level { rate, full: now + missing });
        left
    }

    /// Returns how many tokens are left at this rate, and how long the bucket takes to fill. Takes none.
    #[must_use]
    pub fn left(&self, rate: Rate, now: Instant) -> (u32, Duration) {
        let missing = self.lock().map_or(Duration::ZERO, |level| level.missing_by(rate, now));
        (divide(rate.capacity().saturating_sub(missing), rate.interval()), missing)
    }

    /// Takes a token while there is no limit. If the limit is configured again later, it continues with the tokens that are
    /// left.
    pub fn count(&self, now: Instant) {
        if let Some(level) = self.lock().as_mut() {
            let taken = level.missing(now) + level.rate.interval();
            level.full = now + taken.min(level.rate.capacity());
        }
    }

    /// Gives a token back.
    pub fn give_back(&self) {
        if let Some(level) = self.lock().as_mut() {
            level.full = level.full.checked_sub(level.rate.interval()).unwrap_or(level.full);
        }
    }

    fn lock(&self) -> MutexGuard<'_, Option<Level>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Returns how many times a part fits into a duration.
fn divide(all: Duration, part: Duration) -> u32 {
    u32::try_from(all.as_nanos() / part.as_nanos().max(1)).unwrap_or(u32::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn rate(amount: u32, per: Per, burst: u32) -> Rate {
        let [amount, burst] = [amount, burst].map(|n| NonZeroU32::new(n).unwrap());
        Rate { amount, per, burst }
    }

    /// A bucket and its clock.
    struct TimedBucket {
        bucket: Bucket,
        now: Instant,
    }

    impl TimedBucket {
        fn new() -> TimedBucket {
            TimedBucket { bucket: Bucket::default(), now: Instant::now() }
        }

        fn pass(&mut self, time: Duration) {
            self.now += time;
        }

        fn take(&self, rate: Rate) -> Result<u32, Duration> {
            self.bucket.take(rate, self.now)
        }
    }

    const DAY: Duration = Duration::from_secs(24 * 60 * 60);

    #[test]
    fn a_burst_comes_at_once_and_then_one_in_each_share_of_the_span() {
        let (mut bucket, rate) = (TimedBucket::new(), rate(30, Per::Minute, 3));
        assert_eq!([bucket.take(rate), bucket.take(rate), bucket.take(rate)], [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(bucket.take(rate), Err(Duration::from_secs(2)));
        bucket.pass(Duration::from_millis(1_500));
        assert_eq!(bucket.take(rate), Err(Duration::from_millis(500)));
        bucket.pass(Duration::from_millis(500));
        assert_eq!(bucket.take(rate), Ok(0));
        assert!(bucket.take(rate).is_err());
        bucket.pass(Duration::from_secs(60 * 60));
        assert_eq!(bucket.take(rate), Ok(2), "a rest fills the burst and no more");
    }

    #[test]
    fn the_longest_burst_that_can_be_configured_is_counted() {
        let (mut bucket, rate) = (TimedBucket::new(), rate(1, Per::Day, 366));
        assert_eq!(bucket.take(rate), Ok(365));
        (0..365).for_each(|_| assert!(bucket.take(rate).is_ok()));
        assert_eq!(bucket.take(rate), Err(DAY));
        bucket.pass(DAY);
        assert_eq!(bucket.take(rate), Ok(0));
    }

    #[test]
    fn the_slowest_and_the_fastest_rate_hold() {
        let (mut slow, rate_slow) = (TimedBucket::new(), rate(1, Per::Day, 1));
        assert_eq!((slow.take(rate_slow), slow.take(rate_slow)), (Ok(0), Err(DAY)));
        slow.pass(DAY);
        assert_eq!(slow.take(rate_slow), Ok(0));
        let (mut fast, rate_fast) = (TimedBucket::new(), rate(1_000_000, Per::Second, 1));
        assert_eq!((fast.take(rate_fast), fast.take(rate_fast)), (Ok(0), Err(Duration::from_micros(1))));
        fast.pass(Duration::from_micros(1));
        assert_eq!(fast.take(rate_fast), Ok(0));
    }

    #[test]
    fn another_rate_starts_with_as_many_gone_as_the_one_before() {
        let bucket = TimedBucket::new();
        let (two, three) = (rate(2, Per::Day, 2), rate(3, Per::Day, 3));
        let all = |rate| std::iter::from_fn(|| bucket.take(rate).ok()).count();
        assert_eq!([all(two), all(three), all(two), all(three)], [2, 1, 0, 1]);
        let mut bucket = TimedBucket::new();
        assert_eq!(bucket.take(rate(60, Per::Minute, 60)), Ok(59));
        bucket.bucket.define(two, bucket.now);
        bucket.pass(Duration::from_secs(60));
        assert_eq!(bucket.take(two), Ok(0), "it comes back at the new pace from the change on");
        let hasty = rate(1_000_000, Per::Second, 1_000_000);
        let bucket = TimedBucket::new();
        (0..100).for_each(|_| assert!(bucket.take(hasty).is_ok()));
        assert_eq!(bucket.take(two), Err(DAY / 2), "empty, and no emptier");
    }

    #[test]
    fn a_limit_that_is_taken_away_and_given_back_has_been_counted_in_between() {
        let (mut bucket, three) = (TimedBucket::new(), rate(3, Per::Day, 3));
        assert_eq!(bucket.take(three), Ok(2));
        bucket.bucket.count(bucket.now);
        assert_eq!(bucket.take(three), Ok(0));
        (0..100).for_each(|_| bucket.bucket.count(bucket.now));
        assert_eq!(bucket.take(three), Err(DAY / 3), "empty, and no emptier");
        bucket.pass(DAY);
        assert_eq!(bucket.take(three), Ok(2));
    }

    #[test]
    fn a_token_that_is_given_back_can_be_taken_again_and_fills_nothing_beyond_the_burst() {
        let (bucket, one) = (TimedBucket::new(), rate(1, Per::Day, 1));
        assert_eq!(bucket.take(one), Ok(0));
        bucket.bucket.give_back();
        assert_eq!(bucket.take(one), Ok(0));
        (0..3).for_each(|_| bucket.bucket.give_back());
        assert_eq!((bucket.take(one), bucket.take(one)), (Ok(0), Err(DAY)));
    }

    #[test]
    fn threads_at_once_take_no_more_than_there_are() {
        let (bucket, rate) = (TimedBucket::new(), rate(1500, Per::Day, 1500));
        let taken = std::thread::scope(|scope| {
            let take = || (0..1000).filter(|_| bucket.take(rate).is_ok()).count();
            let threads = [scope.spawn(take), scope.spawn(take)];
            threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!(taken, 1500);
    }
}
