//! Answers whose last bytes are on their way into a caller's connection.

use std::collections::VecDeque;
use std::mem;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, PoisonError};

use crate::record::Record;

/// How many records one connection keeps. A caller may send many requests before it reads an answer.
const KEPT: usize = 64;

/// The records of one connection's answers whose fate is not known when hyper has taken their last byte.
///
/// A record that is dropped here was not delivered.
#[derive(Debug, Default)]
pub struct Deliveries {
    /// Whether the caller has ended its side: it still waits for the answer, or it has left.
    in_doubt: AtomicBool,
    kept: Mutex<VecDeque<Record>>,
}

impl Deliveries {
    /// Notes that the caller sends nothing more.
    pub fn doubt(&self) {
        self.in_doubt.store(true, Ordering::Relaxed);
    }

    /// Writes down that the connection took an answer, or keeps its record until that is known.
    pub fn push(&self, mut record: Box<Record>) {
        if self.in_doubt.load(Ordering::Relaxed) {
            let mut kept = self.lock();
            kept.push_back(*record);
            let oldest = if kept.len() > KEPT { kept.pop_front() } else { None };
            // The record is written when it is dropped, which needs no lock.
            drop(kept);
            // The connection took so many answers after this one that its caller was there.
            oldest.into_iter().for_each(|mut oldest| oldest.facts.delivered = true);
        } else {
            record.facts.delivered = true;
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
            record.facts.delivered = true;
        }
    }

    /// Writes down that the caller got no answer that was kept.
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
        assert_eq!(deliveries.lock().len(), KEPT);
    }
}
