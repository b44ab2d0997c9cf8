//! Rates, and the buckets that enforce them.

use std::fmt;
use std::num::NonZeroU32;
use std::time::Duration;

use governor::clock::{Clock, MonotonicClock};
use governor::middleware::StateInformationMiddleware;
use governor::state::{InMemoryState, NotKeyed};
use governor::{Quota, RateLimiter};

/// So many in a span of time, and how many of them may come at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Rate {
    /// How many.
    pub amount: NonZeroU32,
    /// In which span.
    pub per: Per,
    /// How many may come at once after a rest.
    pub burst: NonZeroU32,
}

/// The span of time of a rate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Per {
    /// `/s`
    Second,
    /// `/m`
    Minute,
    /// `/h`
    Hour,
    /// `/d`, any 24 hours.
    Day,
}

impl Per {
    /// In seconds.
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
        write!(out, "{} a {per}, {} at once", self.amount, self.burst)
    }
}

type Limiter<C> = RateLimiter<NotKeyed, InMemoryState, C, StateInformationMiddleware>;

/// The bucket of one tenant and one limit, shared by all workers. Only time refills it.
#[derive(Debug)]
pub struct Bucket<C: Clock = MonotonicClock> {
    rate: Rate,
    limiter: Limiter<C>,
    clock: C,
}

impl Bucket {
    /// A full bucket.
    #[must_use]
    pub fn new(rate: Rate) -> Bucket {
        Bucket::with_clock(rate, MonotonicClock)
    }
}

impl<C: Clock + Clone> Bucket<C> {
    fn with_clock(rate: Rate, clock: C) -> Bucket<C> {
        let one = Duration::from_secs(rate.per.seconds().into()) / rate.amount.get();
        // Not zero, as far as rates go: a million in a second is a microsecond each.
        let quota = Quota::with_period(one).unwrap_or(Quota::per_second(rate.amount)).allow_burst(rate.burst);
        let limiter = RateLimiter::direct_with_clock(quota, clock.clone()).with_middleware();
        Bucket { rate, limiter, clock }
    }

    /// Its definition.
    #[must_use]
    pub fn rate(&self) -> Rate {
        self.rate
    }

    /// Takes one; how many are left at once.
    ///
    /// # Errors
    ///
    /// How long it takes until there is one again; nothing was taken.
    pub fn take(&self) -> Result<u32, Duration> {
        match self.limiter.check() {
            Ok(state) => Ok(state.remaining_burst_capacity()),
            Err(until) => Err(until.wait_time_from(self.clock.now())),
        }
    }
}

#[cfg(test)]
mod tests {
    use governor::clock::FakeRelativeClock;

    use super::*;

    fn bucket(amount: u32, per: Per, burst: u32) -> (Bucket<FakeRelativeClock>, FakeRelativeClock) {
        let [amount, burst] = [amount, burst].map(|n| NonZeroU32::new(n).unwrap());
        let clock = FakeRelativeClock::default();
        (Bucket::with_clock(Rate { amount, per, burst }, clock.clone()), clock)
    }

    #[test]
    fn a_burst_comes_at_once_and_then_one_in_each_share_of_the_span() {
        let (bucket, clock) = bucket(30, Per::Minute, 3);
        assert_eq!([bucket.take(), bucket.take(), bucket.take()], [Ok(2), Ok(1), Ok(0)]);
        assert_eq!(bucket.take(), Err(Duration::from_secs(2)));
        clock.advance(Duration::from_millis(1_500));
        assert_eq!(bucket.take(), Err(Duration::from_millis(500)));
        clock.advance(Duration::from_millis(500));
        assert_eq!(bucket.take(), Ok(0));
        assert!(bucket.take().is_err());
        clock.advance(Duration::from_secs(60 * 60));
        assert_eq!(bucket.take(), Ok(2), "a rest fills the burst and no more");
    }

    #[test]
    fn the_longest_burst_that_can_be_configured_is_counted() {
        let (bucket, clock) = bucket(1, Per::Day, 366);
        assert_eq!(bucket.take(), Ok(365));
        (0..365).for_each(|_| assert!(bucket.take().is_ok()));
        assert_eq!(bucket.take(), Err(Duration::from_secs(24 * 60 * 60)));
        clock.advance(Duration::from_secs(24 * 60 * 60));
        assert_eq!(bucket.take(), Ok(0));
    }

    #[test]
    fn the_slowest_and_the_fastest_rate_hold() {
        let (slow, clock) = bucket(1, Per::Day, 1);
        assert_eq!((slow.take(), slow.take()), (Ok(0), Err(Duration::from_secs(24 * 60 * 60))));
        clock.advance(Duration::from_secs(24 * 60 * 60));
        assert_eq!(slow.take(), Ok(0));
        let (fast, clock) = bucket(1_000_000, Per::Second, 1);
        assert_eq!((fast.take(), fast.take()), (Ok(0), Err(Duration::from_micros(1))));
        clock.advance(Duration::from_micros(1));
        assert_eq!(fast.take(), Ok(0));
    }
}
