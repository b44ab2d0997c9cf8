//! The present time, read once and passed on.

use std::time::{Instant, SystemTime};

/// A reading of the clock that measures spans of time, and of the one that says which day it is.
#[derive(Debug, Clone, Copy)]
pub struct Now {
    /// For rates and for what is forgotten after a while.
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
