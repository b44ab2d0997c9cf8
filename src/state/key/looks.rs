//! Asking for a look at the places of keys before the next one is due.

use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::sync::{Notify, watch};
use tokio::time::timeout;

/// How long a look may take for somebody to wait for it; a mounted file system may hang.
const PATIENCE: Duration = Duration::from_secs(2);

/// Between those who ask for a look and the keeper, who looks.
#[derive(Debug, Default)]
pub struct Looks {
    asked: Notify,
    begun: AtomicU64,
    /// The number of the last look that is over.
    over: watch::Sender<u64>,
}

impl Looks {
    /// Waits until a look that begins after now is over.
    pub async fn ask(&self) {
        let mut over = self.over.subscribe();
        let wanted = self.begun.load(Ordering::Acquire).saturating_add(1);
        self.asked.notify_one();
        // Where it does not come in time, what is known stays what it is.
        timeout(PATIENCE, over.wait_for(|over| *over >= wanted)).await.map(drop).ok();
    }

    /// Resolves when somebody has asked since it last did.
    pub(super) async fn asked(&self) {
        self.asked.notified().await;
    }

    /// A look begins; it is over when the number is given back.
    pub(super) fn begin(&self) -> u64 {
        self.begun.fetch_add(1, Ordering::AcqRel).saturating_add(1)
    }

    /// A look is over.
    pub(super) fn over(&self, number: u64) {
        self.over.send_replace(number);
    }
}
