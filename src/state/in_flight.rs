//! Exchanges that are not settled.

use std::num::NonZeroU32;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many exchanges of one tenant are not settled.
#[derive(Debug, Default)]
pub struct InFlight(AtomicU32);

/// As many as are allowed are in flight already.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Full;

impl InFlight {
    /// One more, unless there are `limit` already; how many may still come.
    ///
    /// # Errors
    ///
    /// [`Full`]; nothing was counted.
    pub fn enter(&self, limit: Option<NonZeroU32>) -> Result<u32, Full> {
        let limit = limit.map_or(u32::MAX, NonZeroU32::get);
        let more = |count: u32| (count < limit).then(|| count + 1);
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).map_err(|_| Full)?;
        Ok(limit - before - 1)
    }

    /// One less.
    pub fn leave(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// The count now.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_enter_as_the_limit_allows_and_one_more_for_each_that_leaves() {
        let in_flight = InFlight::default();
        let limit = NonZeroU32::new(2);
        assert_eq!([in_flight.enter(limit), in_flight.enter(limit)], [Ok(1), Ok(0)]);
        assert_eq!(in_flight.enter(limit), Err(Full));
        in_flight.leave();
        assert_eq!(in_flight.enter(limit), Ok(0));
        assert!(in_flight.enter(None).is_ok(), "without a limit it is only counted");
        assert_eq!(in_flight.count(), 3);
        assert_eq!(in_flight.enter(limit), Err(Full), "also where the limit was lowered below the count");
    }

    #[test]
    fn threads_at_once_never_enter_beyond_the_limit() {
        let in_flight = InFlight::default();
        let entered = std::thread::scope(|scope| {
            let enter = || (0..1000).filter(|_| in_flight.enter(NonZeroU32::new(1500)).is_ok()).count();
            let threads = [scope.spawn(enter), scope.spawn(enter)];
            threads.map(|thread| thread.join().unwrap()).iter().sum::<usize>()
        });
        assert_eq!((entered, in_flight.count()), (1500, 1500));
    }
}
