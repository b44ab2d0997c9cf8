//! Answers that are complete, and whose last bytes are still on their way into the caller's connection.

use std::mem;
use std::sync::{Mutex, PoisonError};

use crate::telemetry::record::Record;

/// The records of one connection's answers, from the last byte that hyper takes until the connection has it.
///
/// A record that is dropped here was not delivered.
#[derive(Debug, Default)]
pub struct Deliveries(Mutex<Vec<Box<Record>>>);

impl Deliveries {
    /// Keeps the record of an answer until its fate is known.
    pub fn push(&self, record: Box<Record>) {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).push(record);
    }

    /// Returns whether the fate of every answer is known.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).is_empty()
    }

    /// Writes down that the connection has taken every answer that was kept.
    pub fn confirm(&self) {
        let delivered = mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner));
        for mut record in delivered {
            record.line.delivered = true;
        }
    }

    /// Writes down that no answer that was kept reached its caller.
    pub fn fail(&self) {
        drop(mem::take(&mut *self.0.lock().unwrap_or_else(PoisonError::into_inner)));
    }
}
