//! What goes up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count of what is there now; clones count the same.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// One of what is counted, for as long as it is held.
#[derive(Debug)]
pub struct Open(Gauge);

impl Gauge {
    /// Counts one until it is dropped.
    #[must_use]
    pub fn open(&self) -> Open {
        self.more();
        Open(self.clone())
    }

    pub(crate) fn more(&self) {
        self.0.fetch_add(1, Ordering::Relaxed);
    }

    pub(crate) fn less(&self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }

    /// How many there are.
    #[must_use]
    pub fn count(&self) -> u64 {
        self.0.load(Ordering::Relaxed)
    }
}

impl Drop for Open {
    fn drop(&mut self) {
        self.0.less();
    }
}
