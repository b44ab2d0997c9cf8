//! Requests to read the store of a credential before the next reading is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Mutex, PoisonError};
use std::time::{Duration, Instant};

use tokio::sync::Notify;

/// How long a granted request suppresses further ones.
const COOLDOWN: Duration = Duration::from_secs(5);

/// The requests for readings, and the numbers of the readings that the refresher has begun and finished.
#[derive(Debug, Default)]
pub(super) struct RefreshRequests {
    notify: Notify,
    begun: AtomicU64,
    finished: AtomicU64,
    /// The time of the last request that was granted, and the number of its reading.
    last: Mutex<Option<(Instant, u64)>>,
}

impl RefreshRequests {
    /// Requests a reading that begins after now, and returns its number. At most one is granted in [`COOLDOWN`]. Returns
    /// `None` if that one is finished already.
    pub(super) fn request(&self, now: Instant) -> Option<u64> {
        let mut last = self.last.lock().unwrap_or_else(PoisonError::into_inner);
        match *last {
            Some((at, number)) if now.saturating_duration_since(at) < COOLDOWN => {
                Some(number).filter(|number| !self.is_finished(*number))
            }
            _ => {
                let number = self.begun.load(Ordering::Acquire).saturating_add(1);
                *last = Some((now, number));
                self.notify.notify_one();
                Some(number)
            }
        }
    }

    /// Returns whether the reading with this number is finished.
    pub(super) fn is_finished(&self, number: u64) -> bool {
        self.finished.load(Ordering::Acquire) >= number
    }

    /// Waits for the next request. One that came since the last call counts.
    pub(super) async fn next(&self) {
        self.notify.notified().await;
    }

    /// Records that a reading begins.
    pub(super) fn begin(&self) {
        self.begun.fetch_add(1, Ordering::AcqRel);
    }

    /// Records that the reading that began last is finished.
    pub(super) fn finish(&self) {
        self.finished.store(self.begun.load(Ordering::Acquire), Ordering::Release);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn at_most_one_reading_is_granted_in_five_seconds() {
        let (requests, start) = (RefreshRequests::default(), Instant::now());
        let request = |millis| requests.request(start + Duration::from_millis(millis));
        requests.begin();
        assert_eq!([request(0), request(1), request(2)], [Some(2); 3], "the one under way may have read already");
        requests.finish();
        assert_eq!(request(3), Some(2), "it has not begun yet");
        requests.begin();
        requests.finish();
        assert_eq!([request(4), request(4999)], [None; 2]);
        assert_eq!(request(5000), Some(3));
    }
}
