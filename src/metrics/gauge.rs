//! Counts that go up and down.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

/// A count that goes up and down. Clones share it.
#[derive(Debug, Clone, Default)]
pub struct Gauge(Arc<AtomicU64>);

/// A unit of a gauge. When it is dropped, the gauge counts one less.
#[derive(Debug)]
pub struct Open(Gauge);

impl Gauge {
    /// Counts one more until the unit is dropped.
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

    /// Returns the count.
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
