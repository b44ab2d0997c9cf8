//! The requests to close or reset a connection.

use std::convert::Infallible;
use std::future::pending;
use std::sync::atomic::{AtomicU8, Ordering};

use tokio::sync::Notify;

/// A request to close or reset a connection once its buffered bytes are written.
#[derive(Debug, Default)]
pub(super) struct ConnectionCut {
    mode: AtomicU8,
    /// Wakes the connection, which does not poll the streams of HTTP/2 itself.
    pub(super) requested: Notify,
    pub(super) http2: bool,
}

impl ConnectionCut {
    pub(super) const CLOSE: u8 = 1;
    pub(super) const RESET: u8 = 2;

    /// Creates it for a connection that stays open until the request.
    pub(super) fn new(http2: bool) -> ConnectionCut {
        ConnectionCut { http2, ..ConnectionCut::default() }
    }

    pub(super) fn mode(&self) -> u8 {
        self.mode.load(Ordering::Relaxed)
    }

    pub(super) fn request(&self, mode: u8) {
        self.mode.store(mode, Ordering::Relaxed);
        self.requested.notify_one();
    }

    /// Requests the cut, and waits until the connection is dropped with this future.
    pub(super) async fn request_and_wait(&self, mode: u8) -> Infallible {
        self.request(mode);
        pending().await
    }
}
