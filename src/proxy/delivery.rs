//! Answers whose last bytes are on their way into a caller's connection.

use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::telemetry::record::Record;

/// The records of one connection's answers whose fate is not known when hyper has taken their last byte.
///
/// A record that is dropped here was not delivered.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Whether the caller has ended its side: it still waits for the answer, or it has left.
    in_doubt: AtomicBool,
    kept: Mutex<Vec<Record>>,
}

impl Deliveries {
    /// Notes that the caller sends nothing more.
    pub fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Writes down that the connection took an answer, or keeps its record until that is known.
    pub fn push(&self, mut record: Box<Record>) {
        if self.in_doubt.load(Ordering::Relaxed) {
            self.lock().push(*record);
        } else {
            record.line.delivered = true;
        }
    }

    /// Returns whether the fate of every answer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Writes down that the caller got every answer that was kept.
    pub fn confirm(&self) {
        let mut delivered = mem::take(&mut *self.lock());
        for record in &mut delivered {
            record.line.delivered = true;
        }
    }

    /// Writes down that the caller got no answer that was kept.
    pub fn fail(&self) {
        drop(mem::take(&mut *self.lock()));
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Record>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
