//! The present time, read once and passed on.

use std::time::{Instant, SystemTime};

/// A reading of the monotonic clock and of the wall clock.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For rates and retention.
    pub monotonic: Instant,
    /// For budgets.
    pub wall: SystemTime,
}

impl Now {
    /// Reads both clocks.
    #[must_use]
    pub fn read() -> Now {
        Now { monotonic: Instant::now(), wall: SystemTime::now() }
    }
}
