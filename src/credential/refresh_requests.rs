//! Asking for a look at the store of a key before the next one is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long after a look that was asked for the next question leads to none.
pub(super) const COOLDOWN: Duration = Duration::from_secs(5);

/// Between those who ask for a look and the refresher, which looks.
#[derive(Debug, Default)]
pub(super) struct RefreshRequests {
    asked: Notify,
    begun: AtomicU64,
    over: AtomicU64,
    /// When a look was last asked for, and its number.
    last: Mutex<Option<(Instant, u64)>>,
}

impl RefreshRequests {
    /// Asks for a look that begins after now, and says its number. However many ask, there is one look at a time, and one in
    /// five seconds: without a number, none is coming.
    pub(super) fn ask(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, number)) if now.saturating_duration_since(at) < COOLDOWN => {
                Some(number).filter(|it| !self.is_over(*it))
            }
            _ => {
                let number = self.begun.load(Ordering::Acquire).saturating_add(1);
                *last = Some((now, number));
                self.asked.notify_one();
                Some(number)
            }
        }
    }

    /// Whether the look with this number is over.
    pub(super) fn is_over(&self, number: u64) -> bool {
        self.over.load(Ordering::Acquire) >= number
    }

    /// Resolves when somebody has asked since it last did.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// A look begins.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// The look that began last is over.
    pub(super) fn end(&self) {
        self.over.store(self.begun.load(Ordering::Acquire), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn however_many_ask_there_is_one_look_and_no_other_for_five_seconds() {
        let (looks, start) = (RefreshRequests::default(), Instant::now());
        let ask = |millis| looks.ask(start + Duration::from_millis(millis));
        looks.begin();
        assert_eq!([ask(0), ask(1), ask(2)], [Some(2); 3], "the one that has begun may have looked already");
        looks.end();
        assert_eq!(ask(3), Some(2), "it has still to come");
        looks.begin();
        looks.end();
        assert_eq!([ask(4), ask(4999)], [None; 2]);
        assert_eq!(ask(5000), Some(3));
    }
}
