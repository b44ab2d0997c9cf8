//! Connections that wait for their next request, the last used first, so that surplus ones grow old and close.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use hyper::client::conn::http1::SendRequest;

use super::body::Body;

/// One worker's unused connections.
#[derive(Debug)]
pub struct Pool {
    idle: Duration,
    connections: Mutex<Vec<Unused>>,
}

#[derive(Debug)]
struct Unused {
    connection: SendRequest<Body>,
    since: Instant,
}

impl Pool {
    /// A pool whose connections are dropped once unused for `idle`.
    #[must_use]
    pub fn new(idle: Duration) -> Pool {
        Pool { idle, connections: Mutex::default() }
    }

    /// The most recently used connection that can carry a request now.
    #[must_use]
    pub fn take(&self) -> Option<SendRequest<Body>> {
        let now = Instant::now();
        let mut connections = self.lock();
        connections.retain(|unused| unused.is_alive(now, self.idle));
        // One that is still writing a request which was answered early is not ready; it waits here to be closed.
        let newest = connections.iter().rposition(|unused| unused.connection.is_ready())?;
        Some(connections.remove(newest).connection)
    }

    /// Keeps a connection whose last answer was read to its end.
    pub fn put(&self, connection: SendRequest<Body>) {
        if !connection.is_closed() {
            self.lock().push(Unused { connection, since: Instant::now() });
        }
    }

    /// Closes what has been unused for too long, also where no request comes by; never ends.
    pub async fn sweep(self: Arc<Self>) {
        let mut tick = tokio::time::interval(self.idle.max(Duration::from_millis(10)) / 2);
        loop {
            let now = tick.tick().await.into_std();
            self.lock().retain(|unused| unused.is_alive(now, self.idle));
        }
    }

    fn lock(&self) -> MutexGuard<'_, Vec<Unused>> {
        self.connections.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Unused {
    fn is_alive(&self, now: Instant, idle: Duration) -> bool {
        !self.connection.is_closed() && now.saturating_duration_since(self.since) < idle
    }
}
