//! The counts of reloads of the configuration.

use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, SystemTime};

use crate::counter::Counter;

/// The counts of reloads by result.
#[derive(Debug, Default)]
pub struct Reloads {
    applied: Counter,
    refused: Counter,
    restart_needed: Counter,
    failing: AtomicBool,
    /// When the configuration in use was loaded, in milliseconds since 1970.
    at: AtomicU64,
}

impl Reloads {
    /// Records that a configuration was loaded.
    pub fn loaded(&self, now: SystemTime) {
        let since = now.duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
        self.at.store(u64::try_from(since.as_millis()).unwrap_or(u64::MAX), Ordering::Relaxed);
        self.failing.store(false, Ordering::Relaxed);
    }

    /// Records that a changed configuration is in use.
    pub fn applied(&self, now: SystemTime) {
        self.applied.add();
        self.loaded(now);
    }

    /// Records that a changed configuration was refused.
    pub fn refused(&self) {
        self.refused.add();
        self.failing.store(true, Ordering::Relaxed);
    }

    /// Records that a changed configuration needs a restart.
    pub fn restart_needed(&self) {
        self.restart_needed.add();
        self.failing.store(true, Ordering::Relaxed);
    }

    pub(crate) fn results(&self) -> [(&'static str, u64); 3] {
        let counts = [("applied", &self.applied), ("refused", &self.refused), ("restart_needed", &self.restart_needed)];
        counts.map(|(result, count)| (result, count.count()))
    }

    pub(crate) fn is_failing(&self) -> bool {
        self.failing.load(Ordering::Relaxed)
    }

    pub(crate) fn seconds(&self) -> f64 {
        Duration::from_millis(self.at.load(Ordering::Relaxed)).as_secs_f64()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_try_that_failed_shows_until_one_succeeds() {
        let reloads = Reloads::default();
        let at = |seconds: u64| SystemTime::UNIX_EPOCH + Duration::from_millis(seconds * 1000 + 500);
        reloads.loaded(at(1));
        assert!(!reloads.is_failing());
        reloads.refused();
        reloads.restart_needed();
        assert!(reloads.is_failing());
        assert_eq!(reloads.seconds(), 1.5);
        reloads.applied(at(2));
        assert!(!reloads.is_failing());
        assert_eq!(reloads.seconds(), 2.5);
        assert_eq!(reloads.results(), [("applied", 1), ("refused", 1), ("restart_needed", 1)]);
    }
}
