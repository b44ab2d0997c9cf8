//! When the upstream last answered well and when it last failed. It is shown to people; nothing is decided by it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;

/// The times of the upstream's last answer and last failure, which all workers share.
#[derive(Debug, Default)]
pub struct UpstreamHealth {
    /// In milliseconds since 1970; 0 is never.
    answered: AtomicU64,
    failed: AtomicU64,
}

impl UpstreamHealth {
    /// Records the head of an answer. A 5xx counts as a failure, and so does a 401, which is about the gateway's own key.
    pub fn record_answer(&self, status: StatusCode) {
        if status.is_server_error() || status == StatusCode::UNAUTHORIZED {
            self.record_failure();
        } else {
            self.answered.store(now(), Ordering::Relaxed);
        }
    }

    /// Records that no answer came.
    pub fn record_failure(&self) {
        self.failed.store(now(), Ordering::Relaxed);
    }

    /// Returns when it last answered.
    #[must_use]
    pub fn answered(&self) -> Option<SystemTime> {
        time(&self.answered)
    }

    /// Returns when it last failed.
    #[must_use]
    pub fn failed(&self) -> Option<SystemTime> {
        time(&self.failed)
    }
}

fn now() -> u64 {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    u64::try_from(since.as_millis()).unwrap_or(u64::MAX)
}

fn time(millis: &AtomicU64) -> Option<SystemTime> {
    let millis = millis.load(Ordering::Relaxed);
    (millis > 0).then(|| SystemTime::UNIX_EPOCH + Duration::from_millis(millis))
}
