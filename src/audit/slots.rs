//! The slots of records: one for each start that has not ended and for each record that is not written yet.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

/// The number of slots. Once its start has ended, a record takes about 700 bytes of memory for each output, 8 KiB at most.
pub const SLOTS: usize = 8192;

/// The slots.
#[derive(Debug)]
pub(super) struct Slots {
    free: Semaphore,
    /// How many records each output has written. A slot is free when all of them have written its record.
    written: Mutex<Vec<usize>>,
}

impl Slots {
    /// Creates the slots of an audit with this number of outputs.
    pub(super) fn new(outputs: usize) -> Slots {
        Slots { free: Semaphore::new(SLOTS), written: Mutex::new(vec![0; outputs]) }
    }

    /// Takes a slot if one is free.
    pub(super) fn try_take(&self) -> bool {
        self.free.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_ok()
    }

    /// Takes a slot as soon as one is free.
    pub(super) async fn take(&self) {
        // The semaphore is never closed.
        drop(self.free.acquire().await.map(tokio::sync::SemaphorePermit::forget));
    }

    /// Gives slots back.
    pub(super) fn free(&self, slots: usize) {
        self.free.add_permits(slots);
    }

    /// Returns how many slots are taken.
    pub(super) fn taken(&self) -> usize {
        SLOTS.saturating_sub(self.free.available_permits())
    }

    /// Records that an output has written further records, and frees slots. The outputs write in different orders, so only
    /// numbers can be compared.
    pub(super) fn record_written(&self, output: usize, records: usize) {
        let mut written = self.written.lock().unwrap_or_else(PoisonError::into_inner);
        let everywhere = |written: &[usize]| written.iter().copied().min().unwrap_or(0);
        let before = everywhere(&written);
        if let Some(written) = written.get_mut(output) {
            *written += records;
        }
        self.free(everywhere(&written) - before);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slot_is_free_once_every_output_has_its_record() {
        let slots = Slots::new(2);
        for _ in 0..3 {
            assert!(slots.try_take());
        }
        slots.record_written(0, 2);
        assert_eq!(slots.taken(), 3);
        slots.record_written(1, 1);
        assert_eq!(slots.taken(), 2);
        slots.record_written(1, 2);
        assert_eq!(slots.taken(), 1);
        slots.record_written(0, 1);
        assert_eq!(slots.taken(), 0);
    }

    #[test]
    fn no_more_slots_are_taken_than_there_are() {
        let slots = Slots::new(1);
        assert_eq!((0..2 * SLOTS).filter(|_| slots.try_take()).count(), SLOTS);
        slots.record_written(0, 1);
        assert!(slots.try_take() && !slots.try_take());
    }
}
