//! When the upstream last answered well and last failed to, for people: nothing is decided by it.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use hyper::StatusCode;

/// Shared by all workers; in milliseconds since 1970, 0 for never.
#[derive(Debug, Default)]
pub struct Reach {
    answered: AtomicU64,
    failed: AtomicU64,
}

impl Reach {
    /// It sent the head of an answer. A 5xx, or a 401, which is about the gateway's key, is a failure to those who look.
    pub fn has_answered(&self, status: StatusCode) {
        if status.is_server_error() || status == StatusCode::UNAUTHORIZED {
            self.has_failed();
        } else {
            self.answered.store(now(), Ordering::Relaxed);
        }
    }

    /// It could not be reached, broke off or was too slow.
    pub fn has_failed(&self) {
        self.failed.store(now(), Ordering::Relaxed);
    }

    /// When it last answered.
    #[must_use]
    pub fn answered(&self) -> Option<SystemTime> {
        time(&self.answered)
    }

    /// When it last failed.
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
