//! Answers whose last bytes were given to a caller's connection, but may not arrive.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::Record;

/// The largest number of records that one connection keeps. A caller may send many requests before it reads an answer.
const MAX_RECORDS: usize = 64;

/// The records of one connection's answers that hyper has taken to the last byte, but that may not have arrived. A record that
/// is dropped here counts as not delivered.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Whether the caller has ended its side. It may still wait for the answer then, or have left.
    in_doubt: AtomicBool,
    kept: Mutex<VecDeque<Record>>,
}

impl Deliveries {
    /// Records that the caller has ended its side.
    pub fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Records that an answer was delivered, or keeps its record until that is known.
    pub fn push(&self, mut record: Box<Record>) {
        if self.in_doubt.load(Ordering::Relaxed) {
            let mut kept = self.lock();
            kept.push_back(*record);
            let oldest = if kept.len() > MAX_RECORDS { kept.pop_front() } else { None };
            // Dropping a record writes it, which must not happen under the lock.
            drop(kept);
            // The connection has taken so many later answers that the caller must have read this one.
            oldest.into_iter().for_each(|mut oldest| oldest.facts.delivered = true);
        } else {
            record.facts.delivered = true;
        }
    }

    /// Returns whether no answer is in doubt.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.lock().is_empty()
    }

    /// Records that every kept answer was delivered.
    pub fn confirm(&self) {
        let mut delivered = mem::take(&mut *self.lock());
        for record in &mut delivered {
            record.facts.delivered = true;
        }
    }

    /// Records that no kept answer was delivered.
    pub fn fail(&self) {
        drop(mem::take(&mut *self.lock()));
    }

    fn lock(&self) -> MutexGuard<'_, VecDeque<Record>> {
        self.kept.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use hyper::HeaderMap;

    use crate::caller::Peer;
    use crate::facts::request_id::RequestId;

    use super::*;

    #[test]
    fn the_records_that_are_kept_have_a_bound() {
        let deliveries = Deliveries::default();
        deliveries.doubt();
        for _ in 0..1000 {
            deliveries.push(Record::new(Arc::default(), Peer::Unix(None), RequestId::of(&HeaderMap::new())));
        }
        assert_eq!(deliveries.lock().len(), MAX_RECORDS);
    }
}
