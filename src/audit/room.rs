//! How many records can be on their way: those of starts that are not answered yet, and those that are not written yet.

use std::sync::{Mutex, PoisonError};

use tokio::sync::Semaphore;

/// The most records that can be on their way. One takes about 700 bytes of memory for each output once its start has ended,
/// at most 8 KiB.
pub const PLACES: usize = 8192;

/// Places for records.
#[derive(Debug)]
pub(super) struct Room {
    free: Semaphore,
    /// How many records each output has got: a place is free once all of them have its record.
    written: Mutex<Vec<usize>>,
}

impl Room {
    pub(super) fn new(outputs: usize) -> Room {
        Room { free: Semaphore::new(PLACES), written: Mutex::new(vec![0; outputs]) }
    }

    /// Takes a place if there is one.
    pub(super) fn try_take(&self) -> bool {
        self.free.try_acquire().map(tokio::sync::SemaphorePermit::forget).is_ok()
    }

    /// Takes a place as soon as there is one.
    pub(super) async fn take(&self) {
        // It is never closed.
        drop(self.free.acquire().await.map(tokio::sync::SemaphorePermit::forget));
    }

    /// Gives places back.
    pub(super) fn free(&self, places: usize) {
        self.free.add_permits(places);
    }

    /// How many places are taken.
    pub(super) fn taken(&self) -> usize {
        PLACES.saturating_sub(self.free.available_permits())
    }

    /// This output has got further records. They come to each in its own order, so that only numbers can be compared.
    pub(super) fn written(&self, output: usize, records: usize) {
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
    fn a_place_is_free_once_every_output_has_its_record() {
        let room = Room::new(2);
        for _ in 0..3 {
            assert!(room.try_take());
        }
        room.written(0, 2);
        assert_eq!(room.taken(), 3);
        room.written(1, 1);
        assert_eq!(room.taken(), 2);
        room.written(1, 2);
        assert_eq!(room.taken(), 1);
        room.written(0, 1);
        assert_eq!(room.taken(), 0);
    }

    #[test]
    fn there_are_no_more_places_than_there_are() {
        let room = Room::new(1);
        assert_eq!((0..2 * PLACES).filter(|_| room.try_take()).count(), PLACES);
        room.written(0, 1);
        assert!(room.try_take() && !room.try_take());
    }
}
