//! How a connection is cut.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// How a connection is to be cut, once what is buffered has been written.
#[derive(Debug, Default)]
pub(super) struct Cut {
    how: AtomicU8,
    /// Wakes the connection, which does not poll the streams of HTTP/2 itself.
    pub(super) asked: Notify,
    pub(super) http2: bool,
}

impl Cut {
    pub(super) const CLOSE: u8 = 1;
    pub(super) const RESET: u8 = 2;

    /// Creates the cut of a connection that is to go on.
    pub(super) fn new(http2: bool) -> Cut {
        Cut { http2, ..Cut::default() }
    }

    pub(super) fn now(&self) -> u8 {
        self.how.load(Ordering::Relaxed)
    }

    pub(super) fn ask(&self, how: u8) {
        self.how.store(how, Ordering::Relaxed);
        self.asked.notify_one();
    }

    /// Asks for the cut, and waits for it.
    pub(super) async fn never(&self, how: u8) -> Infallible {
        self.ask(how);
        pending().await
    }
}
