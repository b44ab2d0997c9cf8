//! How many callers may be connected: each may need a connection to the upstream beside its own.

use std::sync::Arc;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

/// More are never taken, however many files may be open.
const MOST: usize = 10_000;

/// Files that are open for other things: as many probes as the admin listener serves, and listeners, logs, runtimes.
const RESERVED: usize = 128;

/// Where the system does not say how many files may be open.
const OPEN_FILES: usize = 1024;

/// Held by a connection.
pub type Place = OwnedSemaphorePermit;

/// The places of one process, shared by its workers.
#[derive(Debug, Clone)]
pub struct Capacity {
    places: Arc<Semaphore>,
    most: usize,
}

impl Capacity {
    /// Half of the files that may be open beside the reserved ones, at most 10,000. The soft limit of the process is
    /// raised for it as far as the hard one allows.
    #[must_use]
    pub fn of_process() -> Capacity {
        let wanted = u64::try_from(2 * MOST + RESERVED).unwrap_or(u64::MAX);
        let open_files = rlimit::increase_nofile_limit(wanted).ok().and_then(|limit| usize::try_from(limit).ok());
        let most = open_files.unwrap_or(OPEN_FILES).saturating_sub(RESERVED) / 2;
        let most = most.clamp(1, MOST);
        Capacity { places: Arc::new(Semaphore::new(most)), most }
    }

    /// How many there are.
    #[must_use]
    pub fn most(&self) -> usize {
        self.most
    }

    /// A place, if one is free.
    #[must_use]
    pub fn free_place(&self) -> Option<Place> {
        Arc::clone(&self.places).try_acquire_owned().ok()
    }

    /// Waits for a place; the semaphore is never closed, so there is one in the end.
    pub async fn place(&self) -> Option<Place> {
        Arc::clone(&self.places).acquire_owned().await.ok()
    }
}
