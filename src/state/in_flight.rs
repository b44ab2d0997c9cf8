//! Exchanges that are not settled.

use std::num::NonZeroU32;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

/// The number of exchanges of one tenant that are not settled.
#[derive(Debug, Default)]
pub struct InFlightCount(AtomicU32);

/// An exchange that is counted until this is dropped.
#[derive(Debug)]
pub struct InFlight(Arc<InFlightCount>);

impl InFlightCount {
    /// Counts one more exchange. Returns it, and how many more the limit allows, or `None` if the limit is reached.
    #[must_use]
    pub fn enter(self: &Arc<Self>, limit: Option<NonZeroU32>) -> Option<(InFlight, u32)> {
        let limit = limit.map_or(u32::MAX, NonZeroU32::get);
        let more = |count: u32| (count < limit).then(|| count + 1);
        let before = self.0.fetch_update(Ordering::Relaxed, Ordering::Relaxed, more).ok()?;
        Some((InFlight(Arc::clone(self)), limit - before - 1))
    }

    /// Returns the present number.
    #[must_use]
    pub fn count(&self) -> u32 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for InFlight {
    fn drop(&mut self) {
        self.0.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn as_many_enter_as_the_limit_allows_and_one_more_for_each_that_leaves() {
        let count = Arc::<InFlightCount>::default();
        let enter = |limit: u32| count.enter(NonZeroU32::new(limit));
        let (first, left) = enter(2).unwrap();
        let (_second, none_left) = enter(2).unwrap();
        assert_eq!((left, none_left), (1, 0));
        assert!(enter(2).is_none());
        drop(first);
        let _third = enter(2).unwrap();
        let _unlimited = count.enter(None).unwrap();
        assert_eq!(count.count(), 3, "an exchange without a limit is counted, too");
        assert!(enter(2).is_none(), "a limit that was lowered below the count lets none enter");
    }

    #[test]
    fn threads_at_once_never_enter_beyond_the_limit() {
        let count = Arc::<InFlightCount>::default();
        let entered: Vec<InFlight> = std::thread::scope(|scope| {
            let enter = || (0..1000).filter_map(|_| Some(count.enter(NonZeroU32::new(1500))?.0)).collect::<Vec<_>>();
            let threads = [scope.spawn(enter), scope.spawn(enter)];
            threads.into_iter().flat_map(|thread| thread.join().unwrap()).collect()
        });
        assert_eq!((entered.len(), count.count()), (1500, 1500));
    }
}
